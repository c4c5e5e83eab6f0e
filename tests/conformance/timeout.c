/* timeout.c - how long a turn waits: never shorter than asked, and as long as there is time; what a
 * signal does to it; and hark_reactor_now.
 *
 * No upper bound is tested: a machine may be busy. */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static const int64_t timeouts[] = {
	1,
	HARK_US(1),
	HARK_US(300),
	HARK_MS(1) - 1,
	HARK_MS(1),
	HARK_MS(1) + 1,
	HARK_US(1500),
	HARK_MS(20),
	HARK_MS(33) + HARK_US(333) + 333,
};
#define TIMEOUTS (sizeof timeouts / sizeof timeouts[0])

static void check_never_early(struct hark_reactor *r)
{
	for (size_t i = 0; i < TIMEOUTS; i++)
		for (int n = 0; n < 20; n++) {
			int64_t start = clock_ns();
			int callbacks = hark_reactor_turn(r, timeouts[i]);
			int64_t lasted = clock_ns() - start;

			ck_assert_int_eq(callbacks, 0);
			ck_assert_msg(lasted >= timeouts[i], "asked for %lld ns, waited %lld",
			              (long long)timeouts[i], (long long)lasted);
			if (timeouts[i] > HARK_MS(5))
				break;
		}
}

START_TEST(turn_is_never_early)
{
	exact(EXACT_CALLS | EXACT_TURNS);
	struct hark_options options = {.spin_ns = _i ? HARK_US(50) : 0};
	struct hark_reactor *r = new_reactor(&options);
	struct actor *a;

	check_never_early(r); /* with nothing added */
	a = actor_new(r);
	check_never_early(r);
	a->recv = false; /* wants nothing */
	hark_handler_refresh(&a->handler);
	actor_feed(a, 1);
	check_never_early(r);
	actor_free(a);
	a = actor_new(r);
	actor_make_edge(a);
	check_never_early(r);

	/* An edge that nobody wants comes in the middle of it. */
	a->recv = false;
	hark_handler_refresh(&a->handler);
	actor_feed(a, 1);
	check_never_early(r);
	ck_assert_uint_eq(a->calls, 0);
	actor_free(a);
	check_never_early(r);
	hark_reactor_free(r);
}
END_TEST

static void *stop_later(void *with)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	hark_reactor_stop(with);
	return NULL;
}

/* However long it may spin: with half a minute of that before each sleep, these take no time. */
START_TEST(spinning_ends_with_the_timeout_and_with_a_stop)
{
	exact(EXACT_CALLS);
	struct hark_options options = {.spin_ns = HARK_S(30)};
	struct hark_reactor *r = new_reactor(&options);
	struct actor *a = actor_new(r);
	int64_t start = clock_ns();
	pthread_t thread;

	ck_assert_int_eq(hark_reactor_turn(r, HARK_MS(1)), 0);
	ck_assert_int_eq(hark_reactor_turn(r, HARK_MS(5)), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_later, r), 0);
	ck_assert_int_eq(hark_reactor_turn(r, -1), 0);
	pthread_join(thread, NULL);
	actor_feed(a, 1);
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_int_lt(clock_ns() - start, HARK_S(25));
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

START_TEST(turn_of_zero_does_not_wait)
{
	exact(EXACT_CALLS | EXACT_TURNS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	/* A wait for ever would never come back. */
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	actor_feed(a, 1);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 1);
	actor_free(a);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	hark_reactor_free(r);
}
END_TEST

/* A thread feeds actors while the turn waits: first one that does not want it, then one that
 * does. */
static struct actor *bystander;

static void *feed_later(void *with)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	actor_feed(bystander, 1);
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	actor_feed(with, 1);
	return NULL;
}

/* As long as can be asked for: no sum may overflow into a wait that is over at once, or fail. */
START_TEST(turn_of_an_age_waits_for_what_comes)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	const int64_t ages[] = {
		INT64_MAX,          INT64_MAX - 1,   INT64_MAX / 2, HARK_S(3000000000),
		HARK_S(86400) * 25, HARK_S(2147484), HARK_S(86401), -1,
		INT64_MIN};
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);
	int64_t age = ages[_i];
	pthread_t thread;

	/* On edges it does wake the reactor, which has to go on waiting for the rest of the time.
	 */
	bystander = actor_new(r);
	actor_make_edge(bystander);
	bystander->recv = false;
	hark_handler_refresh(&bystander->handler);
	ck_assert_int_eq(pthread_create(&thread, NULL, feed_later, a), 0);
	ck_assert_int_eq(hark_reactor_turn(r, age), 1);
	pthread_join(thread, NULL);
	int64_t start = clock_ns();
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_later, r), 0);
	ck_assert_int_eq(hark_reactor_turn(r, age), 0);
	pthread_join(thread, NULL);
	ck_assert_int_ge(clock_ns() - start, HARK_MS(20));
	ck_assert_uint_eq(bystander->calls, 0);
	actor_free(bystander);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* Signals. */

static int signals; /* atomic */

static void count_signal(int number)
{
	(void)number;
	__atomic_fetch_add(&signals, 1, __ATOMIC_SEQ_CST);
}

static int signals_so_far(void)
{
	return __atomic_load_n(&signals, __ATOMIC_SEQ_CST);
}

static void every_ten_milliseconds(int flags)
{
	struct itimerval timer = {.it_interval = {.tv_usec = 10000},
	                          .it_value = {.tv_usec = 10000}};
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = count_signal;
	action.sa_flags = flags;
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

START_TEST(signal_ends_a_turn)
{
	exact(EXACT_CALLS | EXACT_TURNS);
	struct hark_reactor *r;
	struct actor *a;

	if (signals_are_put_off("signal_ends_a_turn"))
		return;
	r = new_reactor(NULL);
	a = actor_new(r);
	every_ten_milliseconds(0);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(hark_reactor_turn(r, _i ? HARK_S(1000) : -1), 0);
		ck_assert_int_gt(signals_so_far(), i);
	}
	ck_assert_uint_eq(a->calls, 0);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

static void stop_when_told(struct actor *a)
{
	hark_reactor_stop(hark_handler_reactor(&a->handler));
}

static void *feed_after_signals(void *with)
{
	while (signals_so_far() < 5)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	actor_feed(with, 1);
	return NULL;
}

START_TEST(signals_do_not_end_a_run)
{
	exact(EXACT_CALLS | EXACT_TURNS | EXACT_VERBS);
	struct hark_reactor *r;
	struct actor *a;
	pthread_t thread;
	sigset_t set;

	if (signals_are_put_off("signals_do_not_end_a_run"))
		return;
	r = new_reactor(NULL);
	a = actor_new(r);
	a->act = stop_when_told;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	ck_assert_int_eq(pthread_create(&thread, NULL, feed_after_signals, a), 0);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	every_ten_milliseconds(0);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	pthread_join(thread, NULL);
	ck_assert_int_ge(signals_so_far(), 5);
	ck_assert_uint_eq(a->recvs, 1);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* The clock. */

static struct hark_reactor *reactor;
static int64_t seen[2];
static unsigned looks;

static void look_twice(struct actor *a)
{
	int64_t now = hark_reactor_now(reactor);
	int64_t start = clock_ns();

	(void)a;
	ck_assert_int_ge(start, now);
	while (clock_ns() - start < HARK_MS(2))
		;
	ck_assert_int_eq(hark_reactor_now(reactor), now);
	seen[looks++ % 2] = now;
}

static int64_t updated;

static void look_and_update(struct actor *a)
{
	int64_t now = hark_reactor_now(reactor);
	int64_t start = clock_ns();

	(void)a;
	while (clock_ns() - start < HARK_MS(2))
		;
	updated = hark_reactor_update(reactor);
	ck_assert_int_ge(updated - now, HARK_MS(2));
	ck_assert_int_eq(hark_reactor_now(reactor), updated);
}

START_TEST(now_is_one_moment_in_a_turn_and_fresh_between)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	struct actor *a, *b;
	int64_t before, start;

	reactor = new_reactor(NULL);
	a = actor_new(reactor);
	b = actor_new(reactor);
	a->act = b->act = look_twice;

	/* Between turns it goes on, and it is the monotonic clock. */
	start = clock_ns();
	before = hark_reactor_now(reactor);
	ck_assert_int_ge(before, start);
	while (clock_ns() - start < HARK_MS(2))
		;
	ck_assert_int_ge(hark_reactor_now(reactor) - before, HARK_MS(1));
	ck_assert_int_le(hark_reactor_now(reactor), clock_ns());

	/* Both callbacks of a turn see the same, which is later than the start of the turn. */
	actor_feed(a, 1);
	actor_feed(b, 1);
	before = clock_ns();
	turns_until(reactor, &looks, 2);
	if (a->recvs == 1 && b->recvs == 1 && stats_of(reactor).turns == 1)
		ck_assert_int_eq(seen[0], seen[1]);
	ck_assert_int_ge(seen[0], before);
	ck_assert_int_gt(hark_reactor_now(reactor), seen[1]);

	/* The next turn sees the time after its wait, not the one before. */
	before = clock_ns();
	actor_feed(a, 1);
	turns_until(reactor, &looks, 3);
	ck_assert_int_ge(seen[0], before);

	a->act = look_and_update;
	actor_feed(a, 1);
	turns_until(reactor, &a->recvs, 3);
	ck_assert_int_gt(updated, seen[0]);
	actor_free(a);
	actor_free(b);
	hark_reactor_free(reactor);
}
END_TEST

/* A message sees a time that is no earlier than the wait's end. */
static int64_t message_time;

static void note_time(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	message_time = hark_reactor_now(r);
}

static void *post_later(void *with)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	if (hark_post(reactor, with))
		return with;
	return NULL;
}

START_TEST(now_in_a_message_is_after_the_wait)
{
	exact(EXACT_CALLS | EXACT_TURNS);
	struct hark_message m;
	pthread_t thread;
	void *failed;

	reactor = new_reactor(NULL);
	hark_message_init(&m, note_time);
	int64_t start = clock_ns();
	ck_assert_int_eq(pthread_create(&thread, NULL, post_later, &m), 0);
	ck_assert_int_eq(hark_reactor_turn(reactor, HARK_S(1000)), 1);
	pthread_join(thread, &failed);
	ck_assert_ptr_null(failed);
	ck_assert_int_ge(message_time - start, HARK_MS(20));
	hark_reactor_free(reactor);
}
END_TEST

TCase *case_timeout(void)
{
	TCase *tc = tcase_create("timeout");

	if (long_tests)
		tcase_add_loop_test(tc, turn_is_never_early, 0, 2);
	tcase_add_test(tc, spinning_ends_with_the_timeout_and_with_a_stop);
	tcase_add_test(tc, turn_of_zero_does_not_wait);
	if (long_tests)
		tcase_add_loop_test(tc, turn_of_an_age_waits_for_what_comes, 0, 9);
	tcase_add_loop_test(tc, signal_ends_a_turn, 0, 2);
	tcase_add_test(tc, signals_do_not_end_a_run);
	tcase_add_test(tc, now_is_one_moment_in_a_turn_and_fresh_between);
	tcase_add_test(tc, now_in_a_message_is_after_the_wait);
	return tc;
}
