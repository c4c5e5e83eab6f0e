/* libevent_driver.h - what the drivers of libevent share. */
#ifndef BENCH_LIBEVENT_DRIVER_H
#define BENCH_LIBEVENT_DRIVER_H

#include "bench.h"
#include <event2/event.h>
#include <event2/event_struct.h>

/* libevent_sockets.c */
const char *libevent_backend(unsigned index);
bool libevent_works(const char *backend, char *why, size_t size);
bool libevent_is_beyond_select(const char *backend, const struct ring *ring);

/* flags: of enum event_base_config_flag. NULL if there is none. */
struct event_base *libevent_open(const char *backend, int flags);

#endif
