/* virtual.c - the clock that jumps, and what hark/test.h makes of it. Were one of these days of
 * waiting a real one, the test would not end. */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <hark/test.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT 500

static struct hark_reactor *reactor;
static char why[512];

static struct hark_reactor *on_virtual(const char *wrappers)
{
	char chain[256];
	struct hark_options options = {.backend = chain, .why = why, .why_size = sizeof why};

	snprintf(chain, sizeof chain, "%s:%s", wrappers, backend);
	ck_assert_msg(hark_reactor_new(&reactor, &options) == 0, "%s", why);
	return reactor;
}

/* ---- Timers ---- */

struct alarm {
	struct hark_timer timer;
	int64_t due;
};

static struct alarm alarms[COUNT];
static int64_t rung[2][COUNT];
static int ringing, rings;

static void ring(struct hark_timer *t, uint64_t missed)
{
	struct alarm *a = (struct alarm *)(void *)t;
	int64_t now = hark_reactor_now(reactor);

	ck_assert_uint_eq(missed, 0);
	ck_assert_int_ge(now, a->due); /* never early */
	ck_assert_int_le(now, a->due + HARK_MS(2));
	rung[ringing][rings++] = now;
}

static const struct hark_timer_ops alarm_ops = {.handle_timer = ring, .name = "alarm"};

/* Ten hours of them, twice, at the same moments. */
START_TEST(hours_of_timers_are_the_same_each_time)
{
	for (ringing = 0; ringing < 2; ringing++) {
		on_virtual("virtual");
		srand(7);
		rings = 0;
		for (int i = 0; i < COUNT; i++) {
			int64_t delay = HARK_MS(rand() % 36000000);

			hark_timer_init(&alarms[i].timer, &alarm_ops);
			alarms[i].due = hark_reactor_now(reactor) + delay;
			hark_timer_start(reactor, &alarms[i].timer, delay);
		}
		ck_assert_int_eq(hark_reactor_run(reactor), 0);
		ck_assert_int_eq(rings, COUNT);
		hark_reactor_free(reactor);
	}
	ck_assert_mem_eq(rung[0], rung[1], sizeof rung[0]);
}
END_TEST

static unsigned ticks;
static struct actor *fed;
static int64_t fed_at;

static void tick(struct hark_timer *t, uint64_t missed)
{
	ck_assert_uint_eq(missed, 0);
	ck_assert_uint_eq(fed->recvs, ticks); /* the one before has been served */
	actor_feed(fed, 1);
	fed_at = hark_reactor_now(reactor);
	if (++ticks == 1440)
		hark_timer_stop(t);
}

/* Or called for nothing, later. */
static void served(struct actor *a)
{
	static unsigned before;

	if (a->recvs > before)
		ck_assert_int_le(hark_reactor_now(reactor), fed_at + HARK_MS(1));
	before = a->recvs;
	if (a->recvs == 1440)
		hark_handler_remove(&a->handler);
}

/* A day of minutes, and in each a descriptor is ready, at once by this clock. */
START_TEST(descriptors_are_served_before_the_clock_goes_on)
{
	static const struct hark_timer_ops ops = {.handle_timer = tick};
	struct hark_timer timer;
	int64_t start;

	on_virtual(_i ? "virtual:chaos=seed=3" : "virtual");
	start = hark_reactor_now(reactor);
	fed = actor_new(reactor);
	fed->act = served;
	hark_timer_init(&timer, &ops);
	hark_timer_start_rate(reactor, &timer, HARK_S(60), HARK_S(60));
	ck_assert_int_eq(hark_reactor_run(reactor), 0);
	ck_assert_uint_eq(ticks, 1440);
	ck_assert_int_ge(hark_reactor_now(reactor) - start, HARK_S(86400));
	ck_assert_int_lt(hark_reactor_now(reactor) - start, HARK_S(86401));
	actor_free(fed);
	hark_reactor_free(reactor);
}
END_TEST

/* ---- Tasks and jobs ---- */

static ssize_t sleep_for_hours(struct hark_task *t)
{
	static int i;
	static int64_t start;
	ssize_t n;

	HARK_TASK_BEGIN(t);
	start = hark_reactor_now(reactor);
	for (i = 0; i < 10; i++) {
		HARK_AWAIT(t, n, hark_await_delay(t, HARK_S(3600)));
		ck_assert_int_ge(hark_reactor_now(reactor) - start, HARK_S(3600) * (i + 1));
	}
	HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV, hark_reactor_now(reactor) + HARK_S(60)));
	HARK_TASK_END(t);
	return n;
}

START_TEST(tasks_sleep_for_hours)
{
	static const struct hark_task_ops ops = {.run = sleep_for_hours};
	struct hark_task t;
	int fds[2];

	on_virtual("virtual");
	socket_pair("unix", fds);
	hark_task_init(&t, &ops);
	t.handler.fd = fds[0];
	ck_assert_int_eq(hark_task_run(reactor, &t), -ETIMEDOUT);
	hark_reactor_free(reactor);
}
END_TEST

static int gate[2];
static unsigned done, late;

static void work(struct hark_job *j)
{
	char c;

	(void)j;
	if (read(gate[0], &c, 1) != 1)
		abort();
}

static void work_done(struct hark_job *j, int error)
{
	(void)j;
	ck_assert_int_eq(error, 0);
	ck_assert_uint_eq(late, 0);
	done++;
}

static void give_up(struct hark_timer *t, uint64_t missed)
{
	(void)t, (void)missed;
	late++;
	put(gate[1], "g", 1);
}

/* A job that works is waited for, and no deadline hits it meanwhile. */
START_TEST(jobs_have_time_in_reality)
{
	static const struct hark_job_ops job_ops = {.work = work, .handle_done = work_done};
	static const struct hark_timer_ops timer_ops = {.handle_timer = give_up,
	                                                .background = true};
	const struct hark_pool_options options = {.threads = 1, .queue = 1};
	struct hark_pool *pool;
	struct hark_timer timer;
	struct hark_job job;

	on_virtual("virtual=patience=60000");
	ck_assert_int_eq(pipe(gate), 0);
	ck_assert_int_eq(hark_pool_new(&pool, &options), 0);
	hark_job_init(&job, &job_ops);
	hark_timer_init(&timer, &timer_ops);
	hark_timer_start(reactor, &timer, HARK_MS(1));
	ck_assert_int_eq(hark_job_submit(pool, reactor, &job), 0);
	put(gate[1], "g", 1);
	ck_assert_int_eq(hark_reactor_run(reactor), 0);
	ck_assert(done == 1 && late == 0);
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(reactor);
}
END_TEST

static struct probe busy, answered;

static void remove_busy(struct hark_timer *t, uint64_t missed)
{
	(void)t, (void)missed;
	hark_handler_remove(&busy.h);
}

/* Slowly, beyond a crowd of waits; and the next moment has room for another crowd. */
START_TEST(clock_goes_on_though_somebody_is_always_ready)
{
	static const struct hark_timer_ops ops = {.handle_timer = remove_busy};
	struct hark_timer t;
	int64_t now;
	int fds[2];

	on_virtual("virtual");
	socket_pair("unix", fds);
	put(fds[1], "x", 1);
	probe_init(&busy, fds[0]);
	busy.recv = true; /* and ignores its callbacks */
	hark_timer_init(&t, &ops);
	for (int i = 0; i < 2; i++) {
		probe_add(reactor, &busy);
		now = hark_reactor_now(reactor);
		for (int turn = 0; turn < 400; turn++)
			ck_assert_int_eq(hark_reactor_turn(reactor, 0), 1);
		ck_assert_int_eq(hark_reactor_now(reactor), now);
		hark_timer_start(reactor, &t, HARK_MS(50));
		ck_assert_int_eq(hark_reactor_run(reactor), 0);
		ck_assert_uint_gt(busy.recvs, 4000u * (unsigned)(i + 1));
		hark_timer_start(reactor, &t, HARK_S(3600));
		ck_assert_int_eq(hark_reactor_run(reactor), 0);
	}
	hark_reactor_free(reactor);
}
END_TEST

static void *answer_late(void *fd)
{
	usleep(50000);
	put(*(int *)fd, "x", 1);
	return NULL;
}

static void note_answer(struct probe *p)
{
	verb_one(p);
	if (p->result == 1)
		hark_handler_remove(&p->h);
}

/* Somebody else's answer comes before a deadline of this clock, though nothing has been sent. */
START_TEST(others_have_a_grace_in_reality)
{
	static const struct hark_timer_ops ops = {.handle_timer = give_up};
	struct hark_timer t;
	pthread_t thread;
	int64_t start;
	int fds[2];

	on_virtual("virtual=grace=60000");
	start = hark_reactor_now(reactor);
	socket_pair("unix", fds);
	gate[1] = fds[1];
	probe_init(&answered, fds[0]);
	answered.recv = true;
	answered.on_recv = note_answer;
	probe_add(reactor, &answered);
	hark_timer_init(&t, &ops);
	hark_timer_start(reactor, &t, HARK_MS(1));
	ck_assert_int_eq(pthread_create(&thread, NULL, answer_late, &fds[1]), 0);
	ck_assert_int_eq(hark_reactor_turn(reactor, -1), 1);
	ck_assert_uint_eq(late, 0);
	ck_assert_uint_eq(answered.received, 1);
	ck_assert_int_eq(hark_reactor_now(reactor), start);
	pthread_join(thread, NULL);
	hark_reactor_free(reactor);
}
END_TEST

/* ---- hark/test.h ---- */

START_TEST(advance_runs_what_comes_due)
{
	static const struct hark_timer_ops ops = {.handle_timer = ring};
	struct hark_timer *t = &alarms[0].timer;
	int64_t start;

	ck_assert_int_eq(setenv("HARK_BACKEND", backend, 1), 0);
	ck_assert_int_eq(hark_test_reactor(&reactor, NULL, 9), 0);
	ck_assert_ptr_nonnull(strstr(hark_reactor_backend(reactor), "chaos=seed=9"));
	start = hark_reactor_now(reactor);
	hark_timer_init(t, &ops);
	alarms[0].due = start + HARK_S(30);
	hark_timer_start_at(reactor, t, alarms[0].due);
	ck_assert_int_eq(hark_test_advance(reactor, HARK_S(29)), 0);
	ck_assert_int_eq(rings, 0);
	ck_assert_int_eq(hark_reactor_now(reactor), start + HARK_S(29));
	ck_assert_int_eq(hark_test_advance(reactor, HARK_S(2)), 1);
	ck_assert_int_eq(rings, 1);
	ck_assert_int_eq(hark_reactor_now(reactor), start + HARK_S(31));
	ck_assert_int_eq(hark_test_advance(reactor, -1), -EINVAL);
	hark_reactor_free(reactor);
	ck_assert_int_eq(hark_test_reactor(&reactor, "", 1), 0);
	ck_assert_int_eq(hark_test_advance(reactor, 1), -ENOTSUP);
	hark_reactor_free(reactor);
}
END_TEST

/* A timer for the very moment; and what chaos holds back or interrupts at it. */
START_TEST(advance_includes_its_last_moment)
{
	static const char *const unkind[] = {"virtual:chaos=all=0,late=1",
	                                     "virtual:chaos=all=0,eintr=1"};
	struct hark_timer *t = &alarms[0].timer;
	struct actor *a;

	ck_assert_int_eq(setenv("HARK_BACKEND", backend, 1), 0);
	ck_assert_int_eq(hark_test_reactor(&reactor, "virtual", 1), 0);
	hark_timer_init(t, &alarm_ops);
	alarms[0].due = hark_reactor_now(reactor) + HARK_S(30);
	hark_timer_start_at(reactor, t, alarms[0].due);
	ck_assert_int_eq(hark_test_advance(reactor, HARK_S(30)), 1);
	ck_assert_int_eq(rings, 1);
	hark_reactor_free(reactor);

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(hark_test_reactor(&reactor, unkind[i], 1), 0);
		a = actor_new(reactor);
		actor_feed(a, 1);
		ck_assert_int_ge(hark_test_advance(reactor, 0), 1);
		ck_assert_uint_ge(a->recvs, 1);
		actor_free(a);
		hark_reactor_free(reactor);
	}
}
END_TEST

static void stop(struct hark_timer *t, uint64_t missed)
{
	(void)t, (void)missed;
	hark_reactor_stop(reactor);
}

START_TEST(advance_ends_when_it_is_stopped)
{
	static const struct hark_timer_ops ops = {.handle_timer = stop};
	struct hark_timer t;
	int64_t start, stopped;

	ck_assert_int_eq(setenv("HARK_BACKEND", backend, 1), 0);
	ck_assert_int_eq(hark_test_reactor(&reactor, "virtual", 1), 0);
	start = hark_reactor_now(reactor);
	hark_timer_init(&t, &ops);
	hark_timer_start(reactor, &t, HARK_S(10));
	ck_assert_int_eq(hark_test_advance(reactor, HARK_S(30)), 1);
	stopped = hark_reactor_now(reactor);
	ck_assert_int_ge(stopped, start + HARK_S(10));
	ck_assert_int_lt(stopped, start + HARK_S(11));
	ck_assert_int_eq(hark_test_advance(reactor, HARK_S(30)), 0);
	ck_assert_int_eq(hark_reactor_now(reactor), stopped + HARK_S(30));
	hark_reactor_free(reactor);
}
END_TEST

TCase *case_virtual(void)
{
	TCase *tc = tcase_create("virtual");

	tcase_add_test(tc, hours_of_timers_are_the_same_each_time);
	tcase_add_loop_test(tc, descriptors_are_served_before_the_clock_goes_on, 0, 2);
	tcase_add_test(tc, tasks_sleep_for_hours);
	tcase_add_test(tc, jobs_have_time_in_reality);
	tcase_add_test(tc, clock_goes_on_though_somebody_is_always_ready);
	tcase_add_test(tc, others_have_a_grace_in_reality);
	tcase_add_test(tc, advance_runs_what_comes_due);
	tcase_add_test(tc, advance_includes_its_last_moment);
	tcase_add_test(tc, advance_ends_when_it_is_stopped);
	return tc;
}
