/* libuv_timers.c - timers of libuv. Its times are milliseconds. */
#include "libuv_driver.h"
#include <hark/base.h>

struct alarm {
	uv_timer_t timer;
	bool pending;
};

static uv_loop_t loop;
static uv_prepare_t call;

static void handle_alarm(uv_timer_t *timer);

static inline uint64_t milliseconds(int64_t ns)
{
	return (uint64_t)ns / HARK_MS(1);
}

static inline void alarm_init(struct alarm *alarm)
{
	uv_timer_init(&loop, &alarm->timer);
}

static inline void alarm_start(struct alarm *alarm, int64_t delay)
{
	uv_timer_start(&alarm->timer, handle_alarm, milliseconds(delay), 0);
}

static inline void alarm_again(struct alarm *alarm, int64_t delay)
{
	uv_timer_start(&alarm->timer, handle_alarm, milliseconds(delay), 0);
}

static inline void alarm_stop(struct alarm *alarm)
{
	uv_timer_stop(&alarm->timer);
}

static inline void loop_update(void)
{
	uv_update_time(&loop);
}

static inline int loop_turn(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
	return 0;
}

static int loop_call(void);

#include "work_timers.h"

static void handle_alarm(uv_timer_t *timer)
{
	alarm_came((struct alarm *)timer);
}

static void handle_call(uv_prepare_t *prepare)
{
	uv_prepare_stop(prepare);
	timers_work();
}

static int loop_call(void)
{
	uv_prepare_start(&call, handle_call);
	return loop_turn();
}

static int libuv_timers_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	int error = uv_loop_init(&loop);

	(void)backend, (void)why, (void)size;
	if (error < 0)
		return error;
	uv_prepare_init(&loop, &call);
	timers_open(cell);
	return 0;
}

static int libuv_timers_watch(void)
{
	timers_watch();
	return 0;
}

static void libuv_timers_close(void)
{
	libuv_close(&loop);
	timers_close();
}

const struct driver libuv_timers = {
	.name = "libuv",
	.kind = TIMERS,
	.backend = libuv_backend,
	.open = libuv_timers_open,
	.watch = libuv_timers_watch,
	.run = timers_run,
	.close = libuv_timers_close,
};
