/* work_timers.h - mix, refresh and expire, once for all drivers.
 *
 * A driver includes this file after it has defined what the workload needs of it:
 *
 *   struct alarm                       what its user keeps for one timer, with the member bool
 *                                      pending: is it started and has not come?
 *   void alarm_init(alarm)             makes it one that is not started
 *   void alarm_start(alarm, delay)     of one that is not pending; due `delay` nanoseconds from
 *                                      now, by the loop's idea of now
 *   void alarm_again(alarm, delay)     of one that is pending: moves it there
 *   void alarm_stop(alarm)             of one that is pending
 *   void loop_update(void)             has the loop read the clock
 *   int loop_call(void)                calls timers_work from a callback of the loop: 0 or -errno
 *   int loop_turn(void)                one turn, without waiting: 0 or -errno
 *
 * calls alarm_came from its timers' callback, and has timers_open, timers_watch, timers_run and
 * timers_close do what its functions of that name are to do for the timers. */
#ifndef BENCH_WORK_TIMERS_H
#define BENCH_WORK_TIMERS_H

#include "bench.h"
#include <hark/base.h>
#include <stdlib.h>
#include <time.h>

/* Operations between two looks at the clock, as in a turn with so many events. */
#define TIMERS_A_TURN 64

/* Of refresh: by how much each is put off. */
#define TIMERS_PUT_OFF HARK_S(60)

/* Of expire: how far apart deadlines are on average, and how late a loop may be. */
#define TIMERS_APART HARK_NS(100)
#define TIMERS_LATE HARK_MS(2)

static struct {
	enum job job;
	unsigned count;
	struct alarm *alarms;
	unsigned came;   /* of expire: how many in this cycle */
	int64_t horizon; /* of expire: when the last is due */
	uint64_t random;
} timers;

/* 32 random bits, the same ones in each turn: a linear congruential generator, the upper half. */
static inline uint32_t timers_random(void)
{
	timers.random = timers.random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(timers.random >> 32);
}

static inline struct alarm *timers_any(void)
{
	return &timers.alarms[(uint64_t)timers_random() * timers.count >> 32];
}

/* From 10 to 79 seconds, all alike likely: none comes while it is measured. */
static inline int64_t timers_delay(void)
{
	return HARK_S(10) + ((int64_t)timers_random() << 4);
}

static inline void alarm_came(struct alarm *alarm)
{
	alarm->pending = false;
	timers.came++;
}

/* Of one and a half times as many timers as are to be pending, starts any that is not, and stops or
 * moves any that is: in the long run two of three are pending, and each of the three things is done
 * as often. */
static inline void timers_mix(void)
{
	struct alarm *alarm = timers_any();
	const int64_t delay = timers_delay();

	if (!alarm->pending) {
		alarm->pending = true;
		alarm_start(alarm, delay);
	} else if (delay & 1 << 4) {
		alarm->pending = false;
		alarm_stop(alarm);
	} else {
		alarm_again(alarm, delay);
	}
}

static inline void timers_refresh(void)
{
	alarm_again(timers_any(), TIMERS_PUT_OFF);
}

/* All of them, to be due in random order within the horizon. */
static inline void timers_insert(void)
{
	loop_update();
	for (unsigned i = 0; i < timers.count; i++) {
		timers.alarms[i].pending = true;
		alarm_start(&timers.alarms[i], timers.horizon * timers_random() >> 32);
	}
}

/* What the driver calls from a callback of its loop. */
static inline void timers_work(void)
{
	if (timers.job == TIMERS_EXPIRE) {
		timers_insert();
		return;
	}
	while (tally.hops < tally.goal) {
		loop_update();
		for (unsigned i = 0; i < TIMERS_A_TURN; i++) {
			if (timers.job == TIMERS_MIX)
				timers_mix();
			else
				timers_refresh();
		}
		tally.hops += TIMERS_A_TURN;
	}
}

static inline void timers_sleep_until(int64_t end)
{
	const int64_t begin = now();
	int64_t left;

	while ((left = end - now()) > 0) {
		const struct timespec time = {left / HARK_S(1), (long)(left % HARK_S(1))};

		nanosleep(&time, NULL);
	}
	tally.idle += now() - begin;
}

/* Starts all timers, lets the last become due, and has them called. */
static inline int timers_expire(void)
{
	const int64_t begin = now();
	int error = loop_call();

	timers_sleep_until(begin + timers.horizon + TIMERS_LATE);
	while (timers.came < timers.count && error == 0)
		error = loop_turn();
	tally.hops += timers.came;
	timers.came = 0;
	return error;
}

static inline int timers_run(void)
{
	int error = 0;

	while (tally.hops < tally.goal && error == 0)
		error = timers.job == TIMERS_EXPIRE ? timers_expire() : loop_call();
	return error;
}

/* Allocates the timers, from the beginning of a cache line on. */
static inline void timers_open(const struct cell *cell)
{
	void *alarms;

	timers.job = cell->job;
	timers.count = cell->outstanding;
	if (timers.job == TIMERS_MIX)
		timers.count += timers.count / 2;
	timers.came = 0;
	timers.random = 1;
	timers.horizon = TIMERS_APART * cell->outstanding;
	if (timers.horizon < HARK_MS(1))
		timers.horizon = HARK_MS(1);
	if (posix_memalign(&alarms, 64, timers.count * sizeof *timers.alarms) != 0)
		broken("out of memory");
	timers.alarms = alarms;
	for (unsigned i = 0; i < timers.count; i++) {
		timers.alarms[i].pending = false;
		alarm_init(&timers.alarms[i]);
	}
}

/* Starts those that are pending from the beginning. Of refresh each has been put off once before,
 * in an order that is not that of their addresses, as in a server that has run for a while. */
static inline void timers_watch(void)
{
	const unsigned step = timers.count % 7919 != 0 ? 7919 : 1;

	loop_update();
	for (unsigned i = 0; i < timers.count && timers.job != TIMERS_EXPIRE; i++) {
		struct alarm *alarm = &timers.alarms[(uint64_t)i * step % timers.count];

		if (timers.job == TIMERS_MIX && i % 3 == 2)
			continue;
		alarm->pending = true;
		if (timers.job == TIMERS_MIX) {
			alarm_start(alarm, timers_delay());
		} else {
			alarm_start(alarm, TIMERS_PUT_OFF / 2);
			alarm_again(alarm, TIMERS_PUT_OFF);
		}
	}
}

static inline void timers_close(void)
{
	free(timers.alarms);
}

#endif
