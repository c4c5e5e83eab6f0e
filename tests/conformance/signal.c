/* signal.c - signals as events.
 *
 * What is counted are deliveries that the process cannot merge: raise(3) returns when the handler
 * has, and a real-time signal is queued. */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A watcher that sums what it is told and then does what the test has told it to. */
struct ear {
	struct hark_signal signal; /* first */
	unsigned calls, heard;
	void (*act)(struct ear *e);
	struct ear *with;
};

static struct hark_reactor *reactor;

static void hear(struct hark_signal *s, unsigned count)
{
	struct ear *e = (struct ear *)(void *)s;

	ck_assert_uint_gt(count, 0);
	e->calls++;
	__atomic_fetch_add(&e->heard, count, __ATOMIC_SEQ_CST);
	if (e->act)
		e->act(e);
}

static const struct hark_signal_ops ops = {.handle_signal = hear, .name = "ear"};

static void init(struct ear *e)
{
	memset(e, 0, sizeof *e);
	hark_signal_init(&e->signal, &ops);
}

static void listen_to(struct hark_reactor *r, struct ear *e, int number)
{
	init(e);
	ck_assert_int_eq(hark_signal_start(r, &e->signal, number), 0);
}

/* Turns until e has heard n; it must not have to be asked twice. */
static void hear_out(struct hark_reactor *r, struct ear *e, unsigned n)
{
	while (__atomic_load_n(&e->heard, __ATOMIC_SEQ_CST) < n)
		ck_assert_msg(active_turn(r) > 0, "heard %u of %u", e->heard, n);
	ck_assert_uint_eq(e->heard, n);
}

/* The disposition before. */

static volatile sig_atomic_t handled_before;

static void handle_before(int number)
{
	(void)number;
	handled_before = handled_before + 1;
}

static void (*disposition(int number))(int)
{
	struct sigaction action;

	ck_assert_int_eq(sigaction(number, NULL, &action), 0);
	return action.sa_handler;
}

START_TEST(every_delivery_is_counted)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct ear e;

	listen_to(r, &e, SIGUSR1);
	for (unsigned i = 1; i <= 1000; i++) {
		ck_assert_int_eq(raise(SIGUSR1), 0);
		if (i % 10 == 0)
			hear_out(r, &e, i);
	}
	ck_assert_uint_eq(e.calls, 100);
	ck_assert_uint_eq(stats_of(r).signals, 100);
	ck_assert_uint_eq(stats_of(r).callbacks, 100);
	quiet(r, 10);
	hark_signal_stop(&e.signal);
	hark_reactor_free(r);
}
END_TEST

START_TEST(every_watcher_is_told)
{
	struct hark_reactor *r = new_reactor(NULL), *s = new_reactor(NULL);
	struct ear e[4];

	for (int i = 0; i < 4; i++)
		listen_to(i < 3 ? r : s, &e[i], i == 2 ? SIGUSR2 : SIGUSR1);
	for (int i = 0; i < 7; i++)
		raise(SIGUSR1);
	raise(SIGUSR2);
	ck_assert_int_eq(active_turn(r), 3);
	ck_assert_int_eq(active_turn(s), 1);
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(e[i].heard, i == 2 ? 1 : 7);
	hark_signal_stop(&e[0].signal);
	raise(SIGUSR1);
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_int_eq(active_turn(s), 1);
	ck_assert_uint_eq(e[0].heard, 7);
	ck_assert_uint_eq(e[1].heard, 8);
	ck_assert_uint_eq(e[3].heard, 8);
	hark_reactor_free(r);
	hark_reactor_free(s);
}
END_TEST

START_TEST(bad_arguments)
{
	static const struct hark_signal_ops empty = {.name = "empty"};
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_signal deaf;
	struct ear e;
	static const int numbers[] = {0,         -1,        1000,    129,    128,
	                              INT32_MAX, INT32_MIN, SIGKILL, SIGSTOP};

	init(&e);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		ck_assert_int_eq(hark_signal_start(r, &e.signal, numbers[i]), -EINVAL);
	ck_assert_int_eq(hark_signal_start(NULL, &e.signal, SIGUSR1), -EINVAL);
	ck_assert_int_eq(hark_signal_start(r, NULL, SIGUSR1), -EINVAL);
	hark_signal_init(&deaf, &empty);
	ck_assert_int_eq(hark_signal_start(r, &deaf, SIGUSR1), -EINVAL);
	hark_signal_init(&deaf, NULL);
	ck_assert_int_eq(hark_signal_start(r, &deaf, SIGUSR1), -EINVAL);
	ck_assert(disposition(SIGUSR1) == SIG_DFL);
	hark_signal_stop(&e.signal);
	ck_assert_int_eq(hark_signal_start(r, &e.signal, SIGUSR1), 0);
	ck_assert_int_eq(hark_signal_start(r, &e.signal, SIGUSR1), -EALREADY);
	ck_assert_int_eq(hark_signal_start(r, &e.signal, SIGUSR2), -EALREADY);
	raise(SIGUSR1);
	hear_out(r, &e, 1);
	hark_signal_stop(&e.signal);
	hark_signal_stop(&e.signal);
	hark_reactor_free(r);
}
END_TEST

/* It may come between a call and the look at its errno. */
START_TEST(signal_leaves_errno_alone)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct ear a;

	listen_to(r, &a, SIGUSR1);
	for (int i = 1; i <= 3; i++) {
		errno = ENOTTY;
		raise(SIGUSR1);
		ck_assert_int_eq(errno, ENOTTY);
		hear_out(r, &a, (unsigned)i);
	}
	hark_reactor_free(r);
}
END_TEST

START_TEST(disposition_comes_back_with_the_last)
{
	struct hark_reactor *r = new_reactor(NULL), *s = new_reactor(NULL);
	struct ear a, b, c;

	ck_assert(signal(SIGUSR1, handle_before) == SIG_DFL);
	for (int run = 0; run < 3; run++) {
		listen_to(r, &a, SIGUSR1);
		listen_to(s, &b, SIGUSR1);
		listen_to(r, &c, SIGUSR1);
		hark_signal_stop(run == 0 ? &a.signal : &c.signal);
		hark_signal_stop(run == 1 ? &a.signal : &b.signal);
		raise(SIGUSR1);
		ck_assert_int_eq(handled_before, run);
		hark_signal_stop(&a.signal);
		hark_signal_stop(&b.signal);
		hark_signal_stop(&c.signal);
		ck_assert(disposition(SIGUSR1) == handle_before);
		raise(SIGUSR1);
		ck_assert_int_eq(handled_before, run + 1);
	}
	ck_assert(signal(SIGUSR1, SIG_IGN) == handle_before);
	listen_to(r, &a, SIGUSR1);
	raise(SIGUSR1);
	hear_out(r, &a, 1);
	hark_signal_stop(&a.signal);
	ck_assert(disposition(SIGUSR1) == SIG_IGN);
	/* What has been delivered to a watcher that is stopped is forgotten. */
	listen_to(r, &a, SIGUSR1);
	raise(SIGUSR1);
	hark_signal_stop(&a.signal);
	ck_assert_int_eq(hark_signal_start(r, &a.signal, SIGUSR1), 0);
	settle(r, 3);
	ck_assert_uint_eq(a.heard, 0);
	/* Whoever has taken the signal over keeps it. */
	signal(SIGUSR1, handle_before);
	hark_signal_stop(&a.signal);
	ck_assert(disposition(SIGUSR1) == handle_before);
	hark_reactor_free(r);
	hark_reactor_free(s);
}
END_TEST

START_TEST(freeing_the_reactor_detaches)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct ear a, b;

	listen_to(r, &a, SIGUSR1);
	listen_to(r, &b, SIGUSR2);
	raise(SIGUSR1);
	hark_reactor_free(r);
	ck_assert(disposition(SIGUSR1) == SIG_DFL);
	ck_assert(disposition(SIGUSR2) == SIG_DFL);
	hark_signal_stop(&a.signal);
	hark_signal_stop(&b.signal);
	r = new_reactor(NULL);
	ck_assert_int_eq(hark_signal_start(r, &a.signal, SIGUSR2), 0);
	raise(SIGUSR2);
	hear_out(r, &a, 1);
	hark_reactor_free(r);
}
END_TEST

/* From callbacks. */

static void stop_self(struct ear *e)
{
	hark_signal_stop(&e->signal);
}

static void stop_other(struct ear *e)
{
	hark_signal_stop(&e->with->signal);
}

static void start_other(struct ear *e)
{
	ck_assert_int_eq(hark_signal_start(reactor, &e->with->signal, SIGUSR1), 0);
}

static void free_other(struct ear *e)
{
	hark_signal_stop(&e->with->signal);
	bury(e->with, sizeof *e->with);
}

static void free_reactor(struct ear *e)
{
	(void)e;
	hark_reactor_free(reactor);
}

static void raise_again(struct ear *e)
{
	if (e->calls < 10)
		raise(SIGUSR1);
}

START_TEST(started_and_stopped_in_callbacks)
{
	struct ear a, b, *c = malloc(sizeof *c);

	ck_assert_ptr_nonnull(c);
	reactor = new_reactor(NULL);
	listen_to(reactor, &a, SIGUSR1);
	a.act = stop_self;
	raise(SIGUSR1);
	hear_out(reactor, &a, 1);
	ck_assert(disposition(SIGUSR1) == SIG_DFL);

	listen_to(reactor, &a, SIGUSR1);
	listen_to(reactor, &b, SIGUSR1);
	a.act = stop_other;
	a.with = &b;
	raise(SIGUSR1);
	hear_out(reactor, &a, 1);
	settle(reactor, 3);
	ck_assert_uint_eq(b.heard, 0);

	/* One that is started is told of later deliveries only. */
	a.act = start_other;
	raise(SIGUSR1);
	hear_out(reactor, &a, 2);
	settle(reactor, 3);
	ck_assert_uint_eq(b.heard, 0);
	a.act = NULL;
	raise(SIGUSR1);
	settle(reactor, 3);
	ck_assert_uint_eq(b.heard, 1);

	listen_to(reactor, c, SIGUSR1);
	a.act = free_other;
	a.with = c;
	raise(SIGUSR1);
	settle(reactor, 3);
	ck_assert_uint_eq(b.heard, 2);

	a.act = raise_again;
	a.calls = a.heard = 0;
	raise(SIGUSR1);
	hear_out(reactor, &a, 10);
	ck_assert_uint_eq(a.calls, 10);
	settle(reactor, 3);
	ck_assert_uint_eq(b.heard, 12);

	a.act = free_reactor;
	raise(SIGUSR1);
	ck_assert_int_eq(hark_reactor_turn(reactor, -1), 0);
	ck_assert_uint_eq(b.heard, 12);
	hark_signal_stop(&a.signal);
	hark_signal_stop(&b.signal);
	ck_assert(disposition(SIGUSR1) == SIG_DFL);
}
END_TEST

START_TEST(a_watcher_does_not_keep_a_run)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct ear e;

	listen_to(r, &e, SIGUSR1);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	hark_reactor_free(r);
}
END_TEST

/* Waking. */

/* Tells the process, or this thread alone, when the reactor is probably asleep. */
static void *send_late(void *with)
{
	const int *number = with;

	for (int i = 0; i < 5; i++) {
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
		if (i % 2)
			pthread_kill(pthread_self(), *number);
		else
			kill(getpid(), *number);
	}
	return NULL;
}

/* Delivered to another thread than the one that sleeps, so that no EINTR helps. */
START_TEST(a_signal_wakes_the_sleeper)
{
	struct hark_options options = {.spin_ns = _i ? HARK_US(50) : 0};
	struct hark_reactor *r = new_reactor(&options);
	int number = SIGUSR1;
	pthread_t thread;
	sigset_t set;
	struct ear e;

	listen_to(r, &e, SIGUSR1);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_late, &number), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	for (unsigned turns = 0; e.heard < 5; turns++) {
		ck_assert_int_ge(active_turn(r), 1);
		ck_assert_uint_lt(turns, 5);
	}
	pthread_join(thread, NULL);
	hark_reactor_free(r);
}
END_TEST

/* Delivered to the sleeper itself. */
START_TEST(a_signal_to_the_sleeper_is_heard)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct ear e;

	if (signals_are_put_off("a_signal_to_the_sleeper_is_heard")) {
		hark_reactor_free(r);
		return;
	}
	listen_to(r, &e, SIGUSR1);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		for (int i = 0; i < 20; i++) {
			nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
			kill(getppid(), SIGUSR1);
		}
		_exit(0);
	}
	/* The machine may be so slow that two are one. */
	int status;
	while (waitpid(pid, &status, WNOHANG) == 0)
		ck_assert_int_ge(hark_reactor_turn(r, HARK_MS(200)), 0);
	settle(r, 3);
	ck_assert_uint_ge(e.heard, 1);
	ck_assert_uint_le(e.heard, 20);
	hark_reactor_free(r);
}
END_TEST

/* A storm on two reactors in two threads, from two more: each delivery is made by raise(3), and so
 * by itself, in a thread that has nothing to do with either reactor. */

#define STORM 50000

static struct hark_reactor *reactors[2];
static struct ear ears[2];
static unsigned churning; /* atomic */

static void *storm(void *unused)
{
	(void)unused;
	for (int i = 0; i < STORM; i++)
		raise(SIGUSR1);
	return NULL;
}

static void end_when_all_is_heard(struct ear *e)
{
	if (e->heard == 2 * STORM)
		hark_reactor_stop(reactors[e - ears]);
}

static void *run_reactor(void *with)
{
	struct hark_reactor *r = with;

	/* A handler keeps the run going. */
	struct actor *a = actor_new(r);
	if (hark_reactor_run(r))
		abort();
	actor_free(a);
	return NULL;
}

START_TEST(a_storm_is_counted_by_all)
{
	pthread_t threads[4];

	for (int i = 0; i < 2; i++) {
		reactors[i] = new_reactor(NULL);
		listen_to(reactors[i], &ears[i], SIGUSR1);
		ears[i].act = end_when_all_is_heard;
	}
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, run_reactor, reactors[i]);
	for (int i = 2; i < 4; i++)
		pthread_create(&threads[i], NULL, storm, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(ears[i].heard, 2 * STORM);
		hark_reactor_free(reactors[i]);
	}
	ck_assert(disposition(SIGUSR1) == SIG_DFL);
}
END_TEST

/* Watchers come and go, on the stack of their thread, while signals pour in. */
static void *churn(void *with)
{
	struct hark_reactor *r = with;

	while (__atomic_load_n(&churning, __ATOMIC_SEQ_CST)) {
		struct ear e[3];

		for (int i = 0; i < 3; i++) {
			init(&e[i]);
			if (hark_signal_start(r, &e[i].signal, SIGUSR1))
				abort();
		}
		if (hark_reactor_turn(r, HARK_US(50)) < 0)
			abort();
		hark_signal_stop(&e[1].signal);
		hark_signal_stop(&e[0].signal);
		hark_signal_stop(&e[2].signal);
		memset(e, 0x5a, sizeof e);
	}
	return NULL;
}

START_TEST(watchers_come_and_go_in_a_storm)
{
	struct hark_reactor *r = new_reactor(NULL);
	pthread_t churners[2], storms[2];
	struct ear e;

	listen_to(r, &e, SIGUSR1); /* the one that stays hears all */
	churning = 1;
	for (int i = 0; i < 2; i++) {
		reactors[i] = new_reactor(NULL);
		pthread_create(&churners[i], NULL, churn, reactors[i]);
		pthread_create(&storms[i], NULL, storm, NULL);
	}
	hear_out(r, &e, 2 * STORM);
	for (int i = 0; i < 2; i++)
		pthread_join(storms[i], NULL);
	__atomic_store_n(&churning, 0, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 2; i++) {
		pthread_join(churners[i], NULL);
		hark_reactor_free(reactors[i]);
	}
	hark_reactor_free(r);
}
END_TEST

#ifndef __has_feature
#define __has_feature(name) 0
#endif

/* True under ThreadSanitizer, which takes signals itself and hands on those that come meanwhile as
 * one. An exception from the test. */
static bool signals_are_merged(const char *test)
{
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
	except(test, "ThreadSanitizer merges queued signals");
	return true;
#else
	(void)test;
	return false;
#endif
}

/* No more signals than that are queued for this process. What its user may have at all others need,
 * too: where all is used up, timer_create(2) fails in Check, also beside this test. */
static void queue_at_most(rlim_t n)
{
#ifdef RLIMIT_SIGPENDING
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_SIGPENDING, &limit), 0);
	if (limit.rlim_cur > n)
		limit.rlim_cur = n;
	ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &limit), 0);
#else
	(void)n;
#endif
}

/* From another process, in signals that the kernel queues: none may be missing. It says when its
 * queue is full. */
START_TEST(a_storm_from_another_process_is_counted)
{
#ifdef SIGRTMIN
	if (signals_are_merged("a_storm_from_another_process_is_counted"))
		return;
	const unsigned n = 100000;
	struct hark_reactor *r = new_reactor(NULL);
	struct ear e;
	int status;

	queue_at_most(10000);
	listen_to(r, &e, SIGRTMIN + 1);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		pid_t parent = getppid();

		for (unsigned i = 0; i < n;) {
			if (sigqueue(parent, SIGRTMIN + 1, (union sigval){0}) == 0)
				i++;
			else if (errno == EAGAIN)
				sched_yield();
			else
				_exit(1);
		}
		_exit(0);
	}
	while (e.heard < n) {
		int rc = hark_reactor_turn(r, HARK_S(60));

		ck_assert_msg(rc >= 0, "%s", strerror(-rc));
	}
	ck_assert_uint_eq(e.heard, n);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	hark_reactor_free(r);
#else
	except("a_storm_from_another_process_is_counted", "this system queues no signals");
#endif
}
END_TEST

/* From another process and from two threads, in signals that the kernel merges while one is
 * pending. How many it delivers is counted by a handler of the test's own, which hands them on. */

#define KILLS 100000

static void (*handler_of_hark)(int);
static unsigned delivered; /* atomic */

static void count_and_hand_on(int number)
{
	__atomic_fetch_add(&delivered, 1, __ATOMIC_SEQ_CST);
	handler_of_hark(number);
}

static void *kill_own_process(void *unused)
{
	for (int i = 0; i < KILLS / 4; i++)
		kill(getpid(), SIGUSR1);
	return unused;
}

START_TEST(a_storm_of_kills_loses_only_what_the_kernel_merges)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct sigaction action;
	pthread_t threads[2];
	sigset_t pending;
	struct ear e;
	int status;

	listen_to(r, &e, SIGUSR1);
	ck_assert_int_eq(sigaction(SIGUSR1, NULL, &action), 0);
	handler_of_hark = action.sa_handler;
	action.sa_handler = count_and_hand_on;
	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		pid_t parent = getppid();

		for (int i = 0; i < KILLS / 2; i++)
			if (kill(parent, SIGUSR1) < 0)
				_exit(1);
		_exit(0);
	}
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, kill_own_process, NULL);
	while (waitpid(pid, &status, WNOHANG) == 0)
		ck_assert_int_ge(hark_reactor_turn(r, HARK_MS(20)), 0);
	ck_assert_int_eq(status, 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	do
		ck_assert_int_eq(sigpending(&pending), 0);
	while (sigismember(&pending, SIGUSR1));
	settle(r, 8);
	ck_assert_uint_eq(e.heard, delivered);
	ck_assert_uint_ge(delivered, 1);
	ck_assert_uint_le(delivered, KILLS);
	hark_reactor_free(r);
}
END_TEST

/* fork(2). */

static struct ear inherited;

static void child_body(void *with)
{
	struct hark_reactor *r = with;
	struct ear own;

	init(&own);
	ck_assert_int_eq(hark_signal_start(r, &own.signal, SIGUSR1), -ECHILD);
	raise(SIGUSR1);
	raise(SIGUSR1);
	ck_assert_int_eq(hark_reactor_after_fork(r), 0);
	raise(SIGUSR1);
	/* Its own, and not what its parent had got before. */
	hear_out(r, &inherited, 3);
	ck_assert_int_eq(hark_signal_start(r, &own.signal, SIGUSR2), 0);
	raise(SIGUSR2);
	hear_out(r, &own, 1);
	hark_signal_stop(&inherited.signal);
	hark_reactor_free(r);
	ck_assert(disposition(SIGUSR1) == SIG_DFL);
}

static void child_that_stops(void *with)
{
	raise(SIGUSR1);
	hark_signal_stop(&inherited.signal);
	ck_assert(disposition(SIGUSR1) == SIG_DFL);
	hark_reactor_free(with);
}

START_TEST(a_childs_signals_are_its_own)
{
	struct hark_reactor *r = new_reactor(NULL);

	listen_to(r, &inherited, SIGUSR1);
	settle(r, 3);
	raise(SIGUSR1);
	in_child(child_body, r);
	in_child(child_that_stops, r);
	hear_out(r, &inherited, 1);
	settle(r, 3);
	quiet(r, 10);
	raise(SIGUSR1);
	hear_out(r, &inherited, 2);
	hark_reactor_free(r);
}
END_TEST

/* A fork while other threads are inside the handler and hold the lock: the child can stop. */
START_TEST(a_fork_in_a_storm_leaves_no_lock_held)
{
	struct hark_reactor *r = new_reactor(NULL);
	pthread_t churner, stormer;

	reactors[0] = new_reactor(NULL);
	listen_to(r, &inherited, SIGUSR1);
	churning = 1;
	pthread_create(&churner, NULL, churn, reactors[0]);
	pthread_create(&stormer, NULL, storm, NULL);
	for (int i = 0; i < 60; i++) {
		int status;
		pid_t pid = fork();

		/* No assertion in the child: another thread may have been in one. */
		if (pid == 0) {
			alarm(60); /* the watchdog: it ends the child with a signal */
			hark_signal_stop(&inherited.signal);
			_exit(0);
		}
		ck_assert_int_gt(pid, 0);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
	}
	pthread_join(stormer, NULL);
	__atomic_store_n(&churning, 0, __ATOMIC_SEQ_CST);
	pthread_join(churner, NULL);
	hear_out(r, &inherited, STORM);
	hark_reactor_free(reactors[0]);
	hark_reactor_free(r);
}
END_TEST

START_TEST(dump_names_watchers)
{
	struct hark_reactor *r = new_reactor(NULL);
	FILE *file = tmpfile();
	char text[4096], wanted[64];
	struct ear e;

	ck_assert_ptr_nonnull(file);
	listen_to(r, &e, SIGUSR1);
	hark_reactor_dump(r, file);
	rewind(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	snprintf(wanted, sizeof wanted, "signal %d ear\n", SIGUSR1);
	ck_assert_ptr_nonnull(strstr(text, wanted));
	hark_reactor_free(r);
}
END_TEST

TCase *case_signal(void)
{
	TCase *tc = tcase_create("signal");

	tcase_add_test(tc, every_delivery_is_counted);
	tcase_add_test(tc, every_watcher_is_told);
	tcase_add_test(tc, bad_arguments);
	tcase_add_test(tc, signal_leaves_errno_alone);
	tcase_add_test(tc, disposition_comes_back_with_the_last);
	tcase_add_test(tc, freeing_the_reactor_detaches);
	tcase_add_test(tc, started_and_stopped_in_callbacks);
	tcase_add_test(tc, a_watcher_does_not_keep_a_run);
	tcase_add_loop_test(tc, a_signal_wakes_the_sleeper, 0, 2);
	tcase_add_test(tc, a_signal_to_the_sleeper_is_heard);
	if (long_tests)
		tcase_add_test(tc, a_storm_is_counted_by_all);
	if (long_tests)
		tcase_add_test(tc, watchers_come_and_go_in_a_storm);
	if (long_tests)
		tcase_add_test(tc, a_storm_from_another_process_is_counted);
	if (long_tests)
		tcase_add_test(tc, a_storm_of_kills_loses_only_what_the_kernel_merges);
	tcase_add_test(tc, a_childs_signals_are_its_own);
	tcase_add_test(tc, a_fork_in_a_storm_leaves_no_lock_held);
	tcase_add_test(tc, dump_names_watchers);
	return tc;
}
