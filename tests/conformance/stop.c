/* stop.c - hark_reactor_stop: from callbacks, threads and signal handlers, before and during a run.
 *
 * A stop that is lost shows as a run that does not end, and Check's time limit ends the test. */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct hark_reactor *reactor;

static void stop_it(struct actor *a)
{
	hark_reactor_stop(hark_handler_reactor(&a->handler));
}

START_TEST(stop_in_a_callback_ends_the_run)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	a->act = stop_it;
	actor_feed(a, 3); /* read one at a time, each with a stop */
	for (unsigned i = 1; i <= 3; i++) {
		ck_assert_int_eq(hark_reactor_run(r), 0);
		ck_assert_uint_eq(a->recvs, i);
	}

	/* All were used up. */
	a->act = NULL;
	quiet(r, 20);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

START_TEST(stop_in_a_callback_of_a_turn_is_used_up_by_it)
{
	exact(EXACT_TURNS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	a->act = stop_it;
	actor_feed(a, 2);
	ck_assert_int_ge(hark_reactor_turn(r, -1), 0);
	ck_assert_uint_eq(a->recvs, 1);
	a->act = NULL;
	ck_assert_int_eq(active_turn(r), 1);
	quiet(r, 20);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* Several are ready, all of them stop: each is called once, in whichever run. */
START_TEST(stop_loses_no_readiness)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a[8];
	unsigned got = 0;

	for (int i = 0; i < 8; i++) {
		a[i] = actor_new(r);
		a[i]->act = stop_it;
		if (_i)
			actor_make_edge(a[i]);
		actor_feed(a[i], 2);
	}
	while (got < 16) {
		ck_assert_int_eq(hark_reactor_run(r), 0);
		got = 0;
		for (int i = 0; i < 8; i++)
			got += a[i]->recvs;
	}
	for (int i = 0; i < 8; i++)
		a[i]->act = NULL;
	settle(r, 8);
	quiet(r, 20);
	for (int i = 0; i < 8; i++) {
		ck_assert_uint_eq(a[i]->recvs, 2);
		actor_free(a[i]);
	}
	hark_reactor_free(r);
}
END_TEST

START_TEST(stop_before_a_run_ends_it_and_is_used_up)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	actor_feed(a, 1);
	hark_reactor_stop(r);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(a->calls, 0);
	a->act = stop_it;
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(a->recvs, 1);
	a->act = NULL;
	quiet(r, 20);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

START_TEST(stop_before_a_turn_ends_it_and_is_used_up)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	actor_feed(a, 1);
	hark_reactor_stop(r);
	ck_assert_int_eq(hark_reactor_turn(r, -1), 0);
	ck_assert_uint_eq(a->calls, 0);
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_uint_eq(a->recvs, 1);

	/* Also where nothing is left to run. */
	actor_free(a);
	hark_reactor_stop(r);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* So many that a pipe or a counter would be full: none blocks, errno is kept, and they are one. */
START_TEST(many_stops_are_one)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	quiet(r, 20);
	for (int i = 0; i < 200000; i++) {
		errno = 12345;
		hark_reactor_stop(r);
		ck_assert_int_eq(errno, 12345);
	}
	ck_assert_int_eq(hark_reactor_turn(r, -1), 0);
	quiet(r, 20);
	actor_feed(a, 1);
	ck_assert_int_eq(active_turn(r), 1);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* From a thread. */

static void sleep_ns(int64_t ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / HARK_S(1)), .tv_nsec = (long)(ns % HARK_S(1))};

	nanosleep(&t, NULL);
}

static void *stop_later(void *with)
{
	sleep_ns(HARK_MS(20));
	hark_reactor_stop(with);
	return NULL;
}

START_TEST(stop_from_a_thread_ends_a_sleeping_run)
{
	exact(EXACT_CALLS);
	struct hark_options options = {.spin_ns = _i ? HARK_MS(5) : 0};
	struct hark_reactor *r = new_reactor(&options);
	struct actor *a = actor_new(r);
	pthread_t thread;

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, stop_later, r), 0);
		ck_assert_int_eq(i == 1 ? hark_reactor_turn(r, -1) : hark_reactor_run(r), 0);
		pthread_join(thread, NULL);
	}
	ck_assert_int_eq(hark_reactor_turn(r, HARK_MS(20)), 0);
	ck_assert_uint_eq(a->calls, 0);
	actor_free(a);

	/* Nothing at all is added: a turn without an end waits for it as well. */
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_later, r), 0);
	ck_assert_int_eq(hark_reactor_turn(r, -1), 0);
	pthread_join(thread, NULL);
	hark_reactor_free(r);
}
END_TEST

/* A thread stops each of many runs at a moment of its own. */

#define ROUNDS 20000

static unsigned round_now; /* atomic */

static void spin_for(unsigned n)
{
	for (volatile unsigned i = 0; i < n; i++)
		;
}

static void *stop_every_round(void *with)
{
	unsigned seed = 1;

	for (unsigned i = 1; i <= ROUNDS; i++) {
		while (__atomic_load_n(&round_now, __ATOMIC_ACQUIRE) < i)
			;
		seed = seed * 1103515245 + 12345;
		spin_for((seed >> 16) % 1500); /* a few microseconds: about the wait's start */
		hark_reactor_stop(with);
	}
	return NULL;
}

START_TEST(stops_from_a_thread_at_random_times)
{
	exact(EXACT_CALLS | EXACT_TURNS);
	struct hark_options options = {.spin_ns = _i ? HARK_US(3) : 0};
	struct hark_reactor *r = new_reactor(&options);
	struct actor *a = actor_new(r);
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, stop_every_round, r), 0);
	for (unsigned i = 1; i <= ROUNDS; i++) {
		__atomic_store_n(&round_now, i, __ATOMIC_RELEASE);
		ck_assert_int_eq(i % 2 ? hark_reactor_run(r) : hark_reactor_turn(r, -1), 0);
	}
	pthread_join(thread, NULL);
	ck_assert_uint_eq(a->calls, 0);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* From a signal handler. */

static volatile sig_atomic_t signals, errno_lost;

static void stop_on_signal(int number)
{
	int error = errno;

	(void)number;
	signals++;
	errno = 4321;
	hark_reactor_stop(reactor);
	if (errno != 4321)
		errno_lost = 1;
	errno = error;
}

static void handle_signal(int number, void (*handler)(int), int flags)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = handler;
	action.sa_flags = flags;
	ck_assert_int_eq(sigaction(number, &action, NULL), 0);
}

START_TEST(stop_from_a_signal_handler)
{
	exact(EXACT_CALLS);
	struct itimerval timer = {.it_value = {.tv_usec = 20000}};
	struct actor *a;

	if (signals_are_put_off("stop_from_a_signal_handler"))
		return;
	/* With SA_RESTART and without. */
	handle_signal(SIGALRM, stop_on_signal, _i ? SA_RESTART : 0);
	reactor = new_reactor(NULL);
	a = actor_new(reactor);
	for (int i = 0; i < 3; i++) {
		setitimer(ITIMER_REAL, &timer, NULL);
		ck_assert_int_eq(hark_reactor_run(reactor), 0);
		ck_assert_int_eq(signals, i + 1);
	}
	ck_assert_int_eq(raise(SIGALRM), 0);
	ck_assert_int_eq(hark_reactor_run(reactor), 0);
	ck_assert_int_eq(errno_lost, 0);
	quiet(reactor, 20);
	actor_free(a);
	hark_reactor_free(reactor);
}
END_TEST

static pthread_t main_thread;

static void *signal_every_round(void *with)
{
	unsigned seed = 7;

	(void)with;
	for (unsigned i = 1; i <= ROUNDS; i++) {
		while (__atomic_load_n(&round_now, __ATOMIC_ACQUIRE) < i)
			;
		seed = seed * 1103515245 + 12345;
		spin_for((seed >> 16) % 1500);
		pthread_kill(main_thread, SIGUSR1);
	}
	return NULL;
}

/* A signal that comes between the look for a stop and the sleep is the one that gets lost. */
START_TEST(stops_from_signal_handlers_at_random_times)
{
	exact(EXACT_CALLS);
	sigset_t set;
	pthread_t thread;
	struct actor *a;

	if (signals_are_put_off("stops_from_signal_handlers_at_random_times"))
		return;
	handle_signal(SIGUSR1, stop_on_signal, _i ? SA_RESTART : 0);
	reactor = new_reactor(NULL);
	a = actor_new(reactor);
	main_thread = pthread_self();

	/* The thread keeps the signal blocked: it is for this one only. */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	ck_assert_int_eq(pthread_create(&thread, NULL, signal_every_round, NULL), 0);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	for (unsigned i = 1; i <= ROUNDS; i++) {
		__atomic_store_n(&round_now, i, __ATOMIC_RELEASE);
		ck_assert_int_eq(hark_reactor_run(reactor), 0);
		ck_assert_int_ge(signals, (int)i);
	}
	pthread_join(thread, NULL);
	ck_assert_int_eq(errno_lost, 0);
	ck_assert_uint_eq(a->calls, 0);
	quiet(reactor, 20);
	actor_free(a);
	hark_reactor_free(reactor);
}
END_TEST

/* Signals rain while handlers work: nothing of theirs is lost. */
START_TEST(stops_from_signals_while_handlers_work)
{
	struct itimerval timer = {.it_interval = {.tv_usec = 200}, .it_value = {.tv_usec = 200}};
	struct itimerval off = {{0, 0}, {0, 0}};
	struct actor *a[4];
	unsigned rounds = 2000;

	if (signals_are_put_off("stops_from_signals_while_handlers_work"))
		return;
	handle_signal(SIGALRM, stop_on_signal, 0);
	reactor = new_reactor(NULL);
	for (int i = 0; i < 4; i++) {
		a[i] = actor_new(reactor);
		if (i % 2)
			actor_make_edge(a[i]);
	}
	setitimer(ITIMER_REAL, &timer, NULL);
	for (unsigned n = 1; n <= rounds; n++) {
		for (int i = 0; i < 4; i++)
			actor_feed(a[i], 1);
		for (int i = 0; i < 4; i++)
			while (a[i]->recvs < n)
				ck_assert_int_eq(hark_reactor_run(reactor), 0);
	}
	setitimer(ITIMER_REAL, &off, NULL);
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(a[i]->recvs, rounds);
	ck_assert_int_gt(signals, 0);
	for (int i = 0; i < 4; i++)
		actor_free(a[i]);
	hark_reactor_free(reactor);
}
END_TEST

static void stop_message(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	hark_reactor_stop(r);
}

START_TEST(stop_in_a_message)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);
	struct hark_message m;

	hark_message_init(&m, stop_message);
	ck_assert_int_eq(hark_post(r, &m), 0);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	quiet(r, 20);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

TCase *case_stop(void)
{
	TCase *tc = tcase_create("stop");

	tcase_add_test(tc, stop_in_a_callback_ends_the_run);
	tcase_add_test(tc, stop_in_a_callback_of_a_turn_is_used_up_by_it);
	tcase_add_loop_test(tc, stop_loses_no_readiness, 0, 2);
	tcase_add_test(tc, stop_before_a_run_ends_it_and_is_used_up);
	tcase_add_test(tc, stop_before_a_turn_ends_it_and_is_used_up);
	if (long_tests)
		tcase_add_test(tc, many_stops_are_one);
	tcase_add_loop_test(tc, stop_from_a_thread_ends_a_sleeping_run, 0, 2);
	if (long_tests)
		tcase_add_loop_test(tc, stops_from_a_thread_at_random_times, 0, 2);
	tcase_add_loop_test(tc, stop_from_a_signal_handler, 0, 2);
	if (long_tests)
		tcase_add_loop_test(tc, stops_from_signal_handlers_at_random_times, 0, 2);
	if (long_tests)
		tcase_add_test(tc, stops_from_signals_while_handlers_work);
	tcase_add_test(tc, stop_in_a_message);
	return tc;
}
