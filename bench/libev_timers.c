/* libev_timers.c - timers of libev: ev_timer_start for one that is not pending, ev_timer_again with
 * a repeat for one that is, which its documentation says to be the quickest. */
#include "libev_driver.h"
#include <errno.h>

struct alarm {
	ev_timer timer;
	bool pending;
};

static struct ev_loop *loop;
static ev_prepare call;

static void handle_alarm(struct ev_loop *l, ev_timer *timer, int events);

static inline double seconds(int64_t ns)
{
	return (double)ns * 1e-9;
}

static inline void alarm_init(struct alarm *alarm)
{
	ev_timer_init(&alarm->timer, handle_alarm, 0., 0.);
}

static inline void alarm_start(struct alarm *alarm, int64_t delay)
{
	ev_timer_set(&alarm->timer, seconds(delay), 0.);
	ev_timer_start(loop, &alarm->timer);
}

static inline void alarm_again(struct alarm *alarm, int64_t delay)
{
	alarm->timer.repeat = seconds(delay);
	ev_timer_again(loop, &alarm->timer);
}

static inline void alarm_stop(struct alarm *alarm)
{
	ev_timer_stop(loop, &alarm->timer);
}

static inline void loop_update(void)
{
	ev_now_update(loop);
}

static inline int loop_turn(void)
{
	ev_run(loop, EVRUN_NOWAIT);
	return 0;
}

static int loop_call(void);

#include "work_timers.h"

static void handle_alarm(struct ev_loop *l, ev_timer *timer, int events)
{
	(void)l, (void)events;
	alarm_came((struct alarm *)timer);
}

static void handle_call(struct ev_loop *l, ev_prepare *prepare, int events)
{
	(void)events;
	ev_prepare_stop(l, prepare);
	timers_work();
}

static int loop_call(void)
{
	ev_prepare_init(&call, handle_call);
	ev_prepare_start(loop, &call);
	return loop_turn();
}

static int libev_timers_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	(void)why, (void)size;
	loop = libev_open(backend);
	if (loop == NULL)
		return -errno;
	timers_open(cell);
	return 0;
}

static int libev_timers_watch(void)
{
	timers_watch();
	return 0;
}

static void libev_timers_close(void)
{
	ev_loop_destroy(loop);
	timers_close();
}

const struct driver libev_timers = {
	.name = "libev",
	.kind = TIMERS,
	.backend = libev_backend,
	.works = libev_works,
	.open = libev_timers_open,
	.watch = libev_timers_watch,
	.run = timers_run,
	.close = libev_timers_close,
};
