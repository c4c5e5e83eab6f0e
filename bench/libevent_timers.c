/* libevent_timers.c - timers of libevent; a common timeout for those that are all put off by the
 * same time. */
#include "libevent_driver.h"
#include <errno.h>
#include <hark/base.h>

struct alarm {
	struct event timer;
	bool pending;
};

static struct event_base *base;
static struct event call;
static const struct timeval *put_off; /* the common timeout of refresh */

static void handle_alarm(evutil_socket_t fd, short events, void *alarm);

static inline struct timeval time_of(int64_t ns)
{
	return (struct timeval){
		.tv_sec = (time_t)(ns / HARK_S(1)),
		.tv_usec = (suseconds_t)(ns % HARK_S(1) / HARK_US(1)),
	};
}

static inline void alarm_init(struct alarm *alarm)
{
	event_assign(&alarm->timer, base, -1, 0, handle_alarm, alarm);
}

static inline void alarm_start(struct alarm *alarm, int64_t delay)
{
	const struct timeval time = time_of(delay);

	event_add(&alarm->timer, &time);
}

static inline void alarm_again(struct alarm *alarm, int64_t delay)
{
	if (put_off != NULL)
		event_add(&alarm->timer, put_off);
	else
		alarm_start(alarm, delay);
}

static inline void alarm_stop(struct alarm *alarm)
{
	event_del(&alarm->timer);
}

static inline void loop_update(void)
{
	event_base_update_cache_time(base);
}

static inline int loop_turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
	return 0;
}

static int loop_call(void);

#include "work_timers.h"

static void handle_alarm(evutil_socket_t fd, short events, void *alarm)
{
	(void)fd, (void)events;
	alarm_came(alarm);
}

static void handle_call(evutil_socket_t fd, short events, void *context)
{
	(void)fd, (void)events, (void)context;
	timers_work();
}

static int loop_call(void)
{
	event_active(&call, EV_TIMEOUT, 0);
	return loop_turn();
}

static int libevent_timers_open(const char *backend, const struct cell *cell, char *why,
                                size_t size)
{
	const struct timeval minute = time_of(TIMERS_PUT_OFF);

	(void)why, (void)size;
	base = libevent_open(backend, EVENT_BASE_FLAG_NOLOCK);
	if (base == NULL)
		return -ENOMEM;
	event_assign(&call, base, -1, 0, handle_call, NULL);
	put_off = NULL;
	if (cell->job == TIMERS_REFRESH)
		put_off = event_base_init_common_timeout(base, &minute);
	timers_open(cell);
	return 0;
}

static int libevent_timers_watch(void)
{
	timers_watch();
	return 0;
}

static void libevent_timers_close(void)
{
	for (unsigned i = 0; i < timers.count; i++)
		event_del(&timers.alarms[i].timer);
	event_base_free(base);
	timers_close();
}

const struct driver libevent_timers = {
	.name = "libevent",
	.kind = TIMERS,
	.backend = libevent_backend,
	.works = libevent_works,
	.open = libevent_timers_open,
	.watch = libevent_timers_watch,
	.run = timers_run,
	.close = libevent_timers_close,
};
