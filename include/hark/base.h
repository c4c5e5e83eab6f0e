/* hark/base.h - what every other header of hark needs.
 *
 * Times are int64_t nanoseconds of a monotonic clock; HARK_MS(5) is five milliseconds.
 * Functions that can fail return 0 or more on success and a negated errno on failure.
 * The library never aborts, exits, prints, or installs a signal handler unasked. */
#ifndef HARK_BASE_H
#define HARK_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HARK_VERSION_MAJOR 0
#define HARK_VERSION_MINOR 1
#define HARK_VERSION_PATCH 0
#define HARK_VERSION "0.1.0"

#if defined(__GNUC__) || defined(__clang__)
#define HARK_API __attribute__((visibility("default")))
#else
#define HARK_API
#endif

#ifdef __cplusplus
#define HARK_BEGIN_DECLS extern "C" {
#define HARK_END_DECLS }
#else
#define HARK_BEGIN_DECLS
#define HARK_END_DECLS
#endif

/* Durations in nanoseconds. */
#define HARK_NS(n) ((int64_t)(n))
#define HARK_US(n) ((int64_t)(n)*1000)
#define HARK_MS(n) ((int64_t)(n)*1000000)
#define HARK_S(n) ((int64_t)(n)*1000000000)

/* A deadline that does not come. */
#define HARK_NEVER INT64_MAX

/* What a descriptor may be ready for. A handler's handle_ready gets a set of these. */
#define HARK_RECV 0x01u   /* recv, read or accept would not block: data, end of file, or an error */
#define HARK_SEND 0x02u   /* send or write would not block: room, or an error */
#define HARK_URGENT 0x04u /* out-of-band data: POLLPRI, select's third set */
#define HARK_BROKEN 0x08u /* an error or a hang-up; a hint that a backend may omit */

/* The struct of that type whose member is at `pointer`: in a timer's callback, say,
 * HARK_CONTAINER(t, struct client, idle) is the client whose idle is t. */
#define HARK_CONTAINER(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Links of the reactor's lists inside the caller's objects; private. */
struct hark_link {
	struct hark_link *next, *prev;
};

struct hark_reactor;

#endif
