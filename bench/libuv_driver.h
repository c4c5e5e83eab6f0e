/* libuv_driver.h - what the drivers of libuv share. */
#ifndef BENCH_LIBUV_DRIVER_H
#define BENCH_LIBUV_DRIVER_H

#include "bench.h"
#include <uv.h>

/* libuv_sockets.c */
const char *libuv_backend(unsigned index);
void libuv_close(uv_loop_t *loop);

#endif
