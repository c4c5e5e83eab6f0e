/* hark_driver.h - what the drivers of hark share. */
#ifndef BENCH_HARK_DRIVER_H
#define BENCH_HARK_DRIVER_H

#include "bench.h"
#include <hark/hark.h>

/* hark_sockets.c */
const char *hark_bench_backend(unsigned index);
bool hark_bench_works(const char *backend, char *why, size_t size);

#endif
