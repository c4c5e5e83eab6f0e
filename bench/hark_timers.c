/* hark_timers.c - timers of hark, inside the program's own struct. */
#include "hark_driver.h"

struct alarm {
	struct hark_timer timer;
	bool pending;
};

static struct hark_reactor *reactor;

static void handle_alarm(struct hark_timer *t, uint64_t missed);
static const struct hark_timer_ops ops = {.handle_timer = handle_alarm, .name = "alarm"};

static inline void alarm_init(struct alarm *alarm)
{
	hark_timer_init(&alarm->timer, &ops);
}

static inline void alarm_start(struct alarm *alarm, int64_t delay)
{
	hark_timer_start(reactor, &alarm->timer, delay);
}

static inline void alarm_again(struct alarm *alarm, int64_t delay)
{
	hark_timer_start(reactor, &alarm->timer, delay);
}

static inline void alarm_stop(struct alarm *alarm)
{
	hark_timer_stop(&alarm->timer);
}

static inline void loop_update(void)
{
	hark_reactor_update(reactor);
}

static inline int loop_turn(void)
{
	int callbacks = hark_reactor_turn(reactor, 0);

	return callbacks < 0 ? callbacks : 0;
}

static int loop_call(void);

#include "work_timers.h"

static void handle_alarm(struct hark_timer *t, uint64_t missed)
{
	(void)missed;
	alarm_came((struct alarm *)t);
}

static void handle_call(struct hark_message *m, struct hark_reactor *r)
{
	(void)m, (void)r;
	timers_work();
}

static int loop_call(void)
{
	static struct hark_message call = {.handle_message = handle_call};

	hark_post(reactor, &call);
	return loop_turn();
}

static int hark_timers_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	struct hark_options options = {.backend = backend, .why = why, .why_size = size};
	int error = hark_reactor_new(&reactor, &options);

	if (error == 0)
		timers_open(cell);
	return error;
}

static int hark_timers_watch(void)
{
	timers_watch();
	return 0;
}

static void hark_timers_close(void)
{
	hark_reactor_free(reactor);
	timers_close();
}

const struct driver hark_timers = {
	.name = "hark",
	.kind = TIMERS,
	.backend = hark_bench_backend,
	.works = hark_bench_works,
	.open = hark_timers_open,
	.watch = hark_timers_watch,
	.run = timers_run,
	.close = hark_timers_close,
};
