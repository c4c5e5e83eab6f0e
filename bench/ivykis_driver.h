/* ivykis_driver.h - what the drivers of ivykis share. It has one loop a thread. */
#ifndef BENCH_IVYKIS_DRIVER_H
#define BENCH_IVYKIS_DRIVER_H

#include "bench.h"
#include <iv.h>

/* ivykis_sockets.c */
const char *ivykis_backend(unsigned index);

#endif
