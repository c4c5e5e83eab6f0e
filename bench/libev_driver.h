/* libev_driver.h - what the drivers of libev share. */
#ifndef BENCH_LIBEV_DRIVER_H
#define BENCH_LIBEV_DRIVER_H

#include "bench.h"
#include <ev.h>

/* libev_sockets.c */
const char *libev_backend(unsigned index);
bool libev_works(const char *backend, char *why, size_t size);
struct ev_loop *libev_open(const char *backend);

#endif
