/* record.h - the backend under test, with a record of what the reactor asks of it.
 *
 * It is registered under another name, with a clock and a wait of its own, which note what they are
 * told and pass it on. So a test knows how long the reactor wanted to sleep, how long it did sleep,
 * and by which time it looked at its timers. */
#ifndef RECORD_H
#define RECORD_H

#include <stdint.h>

/* A round is a wait and the callbacks after it; the timers come last. Times are nanoseconds of the
 * monotonic clock. */
struct record {
	uint64_t round;
	int64_t look;     /* the reactor's time in this round, once it was asked for */
	int64_t previous; /* the same in the round before */
	int64_t asked;    /* when the wait was to end: INT64_MAX never, before `began` at once */
	int64_t began, ended;
};

extern struct record record;

/* Registers it. Returns the name to use for a reactor on it, or NULL if there is no such backend.
 * The functions are called before each wait and after it, on the reactor's thread. */
const char *record_backend(const char *name, void (*before)(void), void (*after)(void));

int64_t clock_ns(void);

#endif
