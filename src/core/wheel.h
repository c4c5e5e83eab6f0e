/* wheel.h - the timing wheel: timers filed by the tick at which they are to be looked at.
 *
 * Eight levels of 64 slots; a slot of level 0 is one tick, a slot of each further level 64 of the
 * level below, so that any int64_t of nanoseconds has a place. */
#ifndef HARK_WHEEL_H
#define HARK_WHEEL_H

#include <hark/timer.h>

/* 2^17 ns: an eighth of a millisecond. */
#define HARK__TICK_SHIFT 17
#define HARK__WHEEL_LEVELS 8
#define HARK__WHEEL_BITS 6
#define HARK__WHEEL_SLOTS (1 << HARK__WHEEL_BITS)

struct hark__wheel {
	int64_t time;          /* the tick up to which all slots are empty */
	uint64_t pending;      /* timers started */
	uint64_t alive;        /* those of them that keep run going */
	struct hark_link soon; /* due already when they were started: for the next turn */
	struct hark_link due;  /* being called in this turn */
	uint64_t filled[HARK__WHEEL_LEVELS]; /* slots that may have timers, a bit each */
	struct hark_link slots[HARK__WHEEL_LEVELS][HARK__WHEEL_SLOTS];
};

#endif
