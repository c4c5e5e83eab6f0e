/* raw_timers.c - timers by hand: the heap of raw_heap.h. */
#include "raw_heap.h"
#include <errno.h>

struct alarm {
	struct heap_timer timer;
	bool pending;
};

static struct {
	struct heap heap;
	int64_t now;
} loop = {.heap = HEAP_EMPTY};

static void handle_alarm(struct heap_timer *timer);

static inline void alarm_init(struct alarm *alarm)
{
	alarm->timer = (struct heap_timer){.handle = handle_alarm};
}

static inline void alarm_start(struct alarm *alarm, int64_t delay)
{
	heap_insert(&loop.heap, &alarm->timer, loop.now + delay);
}

static inline void alarm_again(struct alarm *alarm, int64_t delay)
{
	heap_move(&loop.heap, &alarm->timer, loop.now + delay);
}

static inline void alarm_stop(struct alarm *alarm)
{
	heap_remove(&loop.heap, &alarm->timer);
}

static inline void loop_update(void)
{
	loop.now = now();
}

static int loop_call(void);

static inline int loop_turn(void)
{
	loop.now = now();
	heap_expire(&loop.heap, loop.now);
	return 0;
}

#include "work_timers.h"

static void handle_alarm(struct heap_timer *timer)
{
	alarm_came((struct alarm *)timer);
}

static int loop_call(void)
{
	timers_work();
	return 0;
}

static const char *raw_timers_backend(unsigned index)
{
	return index == 0 ? "heap" : NULL;
}

static int raw_timers_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	(void)backend, (void)why, (void)size;
	timers_open(cell);
	return 0;
}

static int raw_timers_watch(void)
{
	timers_watch();
	return 0;
}

static void raw_timers_close(void)
{
	heap_close(&loop.heap);
	timers_close();
}

const struct driver raw_timers = {
	.name = "raw",
	.kind = TIMERS,
	.backend = raw_timers_backend,
	.open = raw_timers_open,
	.watch = raw_timers_watch,
	.run = timers_run,
	.close = raw_timers_close,
};
