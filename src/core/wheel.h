/* wheel.h - the timing wheel: timers filed by the tick at which they are to be looked at.
 *
 * Each of the next 4096 ticks has a slot; beyond that a level of 64 slots has one for 4096 ticks
 * each, the next level one for 64 times as many, and so on: any int64_t of nanoseconds has a
 * place. When a tick is over, its timers are due, in 64 parts of it that are called one by one. */
#ifndef HARK_WHEEL_H
#define HARK_WHEEL_H

#include <hark/timer.h>

/* 2^17 ns: an eighth of a millisecond. */
#define HARK__TICK_SHIFT 17
#define HARK__TICKS_SHIFT 12
#define HARK__TICKS (1 << HARK__TICKS_SHIFT)
#define HARK__WHEEL_LEVELS 6
#define HARK__WHEEL_BITS 6
#define HARK__WHEEL_SLOTS (1 << HARK__WHEEL_BITS)

struct hark__wheel {
	int64_t time;          /* the tick up to which all slots are empty */
	uint64_t pending;      /* timers started */
	uint64_t alive;        /* those of them that keep run going */
	struct hark_link soon; /* due already when they were started: for the next turn */
	struct hark_link last; /* in this turn: those of them that belong after all others */

	/* What has timers has a bit, and what has none may have; the lists are made with it. */
	uint64_t due_filled; /* in this turn: those of the tick that is over */
	uint64_t tick_groups_filled, ticks_filled[HARK__TICKS / 64];
	uint64_t filled[HARK__WHEEL_LEVELS];
	struct hark_link due[64];
	struct hark_link ticks[HARK__TICKS];
	struct hark_link slots[HARK__WHEEL_LEVELS][HARK__WHEEL_SLOTS];
};

#endif
