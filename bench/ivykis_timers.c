/* ivykis_timers.c - timers of ivykis. Its times are absolute; a timer is moved by taking it out and
 * putting it in. */
#include "ivykis_driver.h"
#include <hark/base.h>

struct alarm {
	struct iv_timer timer;
	bool pending;
};

static void handle_alarm(void *alarm);

static inline void alarm_init(struct alarm *alarm)
{
	IV_TIMER_INIT(&alarm->timer);
	alarm->timer.cookie = alarm;
	alarm->timer.handler = handle_alarm;
}

static inline void alarm_start(struct alarm *alarm, int64_t delay)
{
	struct timespec *expires = &alarm->timer.expires;

	*expires = iv_now;
	expires->tv_sec += delay / HARK_S(1);
	expires->tv_nsec += delay % HARK_S(1);
	if (expires->tv_nsec >= HARK_S(1)) {
		expires->tv_sec++;
		expires->tv_nsec -= HARK_S(1);
	}
	iv_timer_register(&alarm->timer);
}

static inline void alarm_stop(struct alarm *alarm)
{
	iv_timer_unregister(&alarm->timer);
}

static inline void alarm_again(struct alarm *alarm, int64_t delay)
{
	alarm_stop(alarm);
	alarm_start(alarm, delay);
}

static inline void loop_update(void)
{
	iv_invalidate_now();
	iv_validate_now();
}

static int loop_turn(void);
static int loop_call(void);

#include "work_timers.h"

static void handle_alarm(void *alarm)
{
	alarm_came(alarm);
}

static void handle_quit(void *context)
{
	(void)context;
	iv_quit();
}

static void handle_call(void *context)
{
	(void)context;
	timers_work();
	iv_quit();
}

/* Runs the loop until a timer that comes at once, after the others, has been called. */
static int loop_turn(void)
{
	struct iv_timer last;

	IV_TIMER_INIT(&last);
	last.handler = handle_quit;
	iv_invalidate_now();
	iv_validate_now();
	last.expires = iv_now;
	iv_timer_register(&last);
	iv_main();
	return 0;
}

static int loop_call(void)
{
	struct iv_task call;

	IV_TASK_INIT(&call);
	call.handler = handle_call;
	iv_task_register(&call);
	iv_main();
	return 0;
}

static int ivykis_timers_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	(void)backend, (void)why, (void)size;
	iv_init();
	timers_open(cell);
	return 0;
}

static int ivykis_timers_watch(void)
{
	timers_watch();
	return 0;
}

static void ivykis_timers_close(void)
{
	for (unsigned i = 0; i < timers.count; i++) {
		if (iv_timer_registered(&timers.alarms[i].timer))
			iv_timer_unregister(&timers.alarms[i].timer);
	}
	iv_deinit();
	timers_close();
}

const struct driver ivykis_timers = {
	.name = "ivykis",
	.kind = TIMERS,
	.backend = ivykis_backend,
	.open = ivykis_timers_open,
	.watch = ivykis_timers_watch,
	.run = timers_run,
	.close = ivykis_timers_close,
};
