/* denied.c - `denied BACKEND`: system calls that the kernel refuses, one after the other.
 *
 * What cannot be done is told by the right errno at the right place, leaves nothing behind and
 * changes nothing else; what can be done another way goes on. */
#include "actor.h"
#include "deny.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <hark/worker.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The errnos of a table of them: a test's index says which. */
#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* The calls with which a backend waits, as far as this architecture has them. */
static const long waits[] = {
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
#ifdef SYS_select
	SYS_select,
#endif
#ifdef SYS_io_uring_enter
	SYS_io_uring_enter,
#endif
	SYS_epoll_pwait,    SYS_epoll_pwait2, SYS_ppoll, SYS_pselect6,
};

static void deny_waits(int error)
{
	for (int i = 0; i < COUNT(waits); i++)
		deny(waits[i], error);
}

/* Whichever waker is built in. */
static void deny_wakers(int error)
{
	deny(SYS_eventfd2, error);
	deny(SYS_pipe2, error);
}

/* A reactor cannot be made: the reason is told, and nothing is left. */
static void fails_to_open(const char *name, int expected)
{
	struct hark_reactor *r = NULL;
	char why[256] = "untouched";
	struct hark_options options = {.backend = name, .why = why, .why_size = sizeof why};
	unsigned open = open_descriptors();

	ck_assert_int_eq(hark_reactor_new(&r, &options), -expected);
	ck_assert_ptr_null(r);
	ck_assert_msg(strstr(why, strerror(expected)) != NULL, "it says '%s'", why);
	ck_assert_int_eq(balance, 0);
	ck_assert_uint_eq(open_descriptors(), open);
}

static const int no_objects[] = {EMFILE, ENFILE, ENOMEM, EPERM, ENOSYS, EINVAL};

START_TEST(new_without_a_waker_says_why)
{
	deny_wakers(no_objects[_i]);
	fails_to_open(backend, no_objects[_i]);
}
END_TEST

START_TEST(new_without_epoll_says_why)
{
	deny(SYS_epoll_create1, no_objects[_i]);
	fails_to_open("epoll", no_objects[_i]);
}
END_TEST

/* Not for a shortage, which would pass. */
START_TEST(best_backend_without_epoll_is_the_next)
{
	struct hark_reactor *r = NULL;
	char why[256] = "untouched";
	struct hark_options options = {.why = why, .why_size = sizeof why};
	struct actor *a;

	unsetenv("HARK_BACKEND");
	if (strcmp(hark_backend_at(0)->name, "epoll") != 0)
		return;
	deny(SYS_epoll_create1, no_objects[_i]);
	if (_i < 3) {
		fails_to_open(NULL, no_objects[_i]);
		return;
	}
	ck_assert_int_eq(hark_reactor_new(&r, &options), 0);
	ck_assert_str_eq(hark_reactor_backend(r), hark_backend_at(1)->name);
	ck_assert_str_eq(why, "");
	a = actor_new(r);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	actor_free(a);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}
END_TEST

static unsigned ticks;

static void tick(struct hark_timer *t, uint64_t missed)
{
	(void)t;
	(void)missed;
	ticks++;
}

static const int no_calls[] = {ENOSYS, EPERM};

/* Without nanoseconds a wait has whole milliseconds: it is longer, never shorter, and does not spin
 * for the rest. */
START_TEST(wait_without_epoll_pwait2_is_not_too_short)
{
	static const int64_t lengths[] = {1, 999, HARK_US(300), HARK_US(1001), HARK_US(2500)};
	static const struct hark_timer_ops ops = {.handle_timer = tick};
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_timer t;

	deny(SYS_epoll_pwait2, no_calls[_i]);
	settle(r, 4);
	for (int i = 0; i < COUNT(lengths); i++) {
		uint64_t before = stats_of(r).waits;
		int64_t start = clock_ns();

		ck_assert_int_eq(hark_reactor_turn(r, lengths[i]), 0);
		ck_assert_int_ge(clock_ns() - start, lengths[i]);
		ck_assert_uint_le(stats_of(r).waits - before, 3);
	}
	hark_timer_init(&t, &ops);
	for (int i = 0; i < COUNT(lengths); i++) {
		int64_t start = clock_ns();
		uint64_t before = stats_of(r).waits;

		hark_timer_start(r, &t, lengths[i]);
		ck_assert_int_eq(hark_reactor_run(r), 0);
		ck_assert_uint_eq(ticks, (unsigned)i + 1);
		ck_assert_int_ge(clock_ns() - start, lengths[i]);
		ck_assert_uint_le(stats_of(r).waits - before, 8);
	}
	hark_reactor_free(r);
}
END_TEST

static const int bad_waits[] = {EINVAL, ENOMEM, EPERM, ENOSYS, EFAULT};

/* The program is told, each time, and nothing of what it has added is lost. */
START_TEST(wait_that_fails_ends_the_run_with_its_errno)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	actor_feed(a, 1);
	deny_waits(bad_waits[_i]);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(hark_reactor_run(r), -bad_waits[_i]);
		ck_assert_int_eq(hark_reactor_turn(r, HARK_US(10)), -bad_waits[_i]);
		ck_assert_int_eq(hark_reactor_turn(r, -1), -bad_waits[_i]);
	}
	ck_assert_uint_eq(a->calls, 1);
	ck_assert_ptr_eq(hark_handler_reactor(&a->handler), r);
	actor_free(a);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}
END_TEST

/* A turn comes back each time, and a run goes on. */
START_TEST(wait_that_is_interrupted_for_ever_goes_on)
{
	static const struct hark_timer_ops ops = {.handle_timer = tick};
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_timer t;

	deny_waits(EINTR);
	ck_assert_int_eq(hark_reactor_turn(r, -1), 0);
	ck_assert_int_eq(hark_reactor_turn(r, HARK_S(60)), 0);
	hark_timer_init(&t, &ops);
	hark_timer_start(r, &t, HARK_MS(2));
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(ticks, 1);
	hark_reactor_free(r);
}
END_TEST

static const int refusals[] = {ENOMEM, ENOSPC, EINVAL};

/* A registration that the kernel has no room for is that handler's affair. */
START_TEST(registration_that_is_refused_goes_to_handle_error)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *before = actor_new(r), *a;

	settle(r, 4);
	deny_if(SYS_epoll_ctl, 1, EPOLL_CTL_ADD, refusals[_i]);
	a = actor_new(r);
	turns_until(r, &a->errors, 1);
	ck_assert_int_eq(a->error, refusals[_i]);
	ck_assert_ptr_null(hark_handler_reactor(&a->handler));
	ck_assert_uint_eq(stats_of(r).handlers, 1);
	actor_feed(before, 1);
	turns_until(r, &before->recvs, 1);
	actor_free(a);
	actor_free(before);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}
END_TEST

START_TEST(change_that_is_refused_goes_to_handle_error)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r), *other = actor_new(r);

	settle(r, 4);
	deny_if(SYS_epoll_ctl, 1, EPOLL_CTL_MOD, refusals[_i]);
	a->send = true;
	hark_handler_refresh(&a->handler);
	turns_until(r, &a->errors, 1);
	ck_assert_int_eq(a->error, refusals[_i]);
	ck_assert_ptr_null(hark_handler_reactor(&a->handler));
	actor_feed(other, 1);
	turns_until(r, &other->recvs, 1);
	actor_free(a);
	actor_free(other);
	hark_reactor_free(r);
}
END_TEST

/* What the kernel does not forget is known as a dead registration by its first event, and goes
 * with the kernel object. */
START_TEST(removal_that_is_refused_is_survived)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r), *other = actor_new(r);

	settle(r, 4);
	deny_if(SYS_epoll_ctl, 1, EPOLL_CTL_DEL, refusals[_i]);
	hark_handler_remove(&a->handler);
	actor_feed(a, 1);
	actor_feed(other, 1);
	turns_until(r, &other->recvs, 1);
	settle(r, 8);
	quiet(r, 20);
	ck_assert_uint_eq(a->calls, 0);
	ck_assert_uint_eq(stats_of(r).rebuilds, 1);
	actor_free(a);
	actor_free(other);
	hark_reactor_free(r);
}
END_TEST

/* The reactor would sleep through every post: it says so at each turn. */
START_TEST(waker_that_is_refused_ends_each_run)
{
	struct hark_reactor *r = new_reactor(NULL);

	deny(SYS_epoll_ctl, refusals[_i]);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(hark_reactor_turn(r, HARK_S(60)), -refusals[_i]);
		ck_assert_uint_eq(stats_of(r).handlers, 0);
	}
	ck_assert_int_eq(hark_reactor_run(r), 0); /* nothing is left */
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}
END_TEST

/* accept(2) and what prepares it. */

static unsigned refused;
static int refusal;

static void take_call(struct hark_handler *h)
{
	struct sockaddr_in from;
	socklen_t len = sizeof from;

	ck_assert_int_eq(hark_accept(h, (struct sockaddr *)&from, &len), -refusal);
	refused++;
}

static const struct hark_handler_ops listener_ops = {.wants_recv = hark_always,
                                                     .handle_recv = take_call};

static void forbid_accept(void)
{
	deny(SYS_accept4, refusal);
}

static void forbid_getfl(void)
{
	deny_if(SYS_fcntl, 1, F_GETFL, refusal);
}

static void forbid_setfl(void)
{
	deny_if(SYS_fcntl, 1, F_SETFL, refusal);
}

static void accepts_nothing(int error, void (*forbid)(void))
{
	struct hark_reactor *r = new_reactor(NULL);
	struct sockaddr_in address;
	int listener = tcp_listener(&address), client;
	struct actor *a = actor_new(r);
	struct hark_handler h;
	unsigned open;

	hark_handler_init(&h, &listener_ops, listener);
	ck_assert_int_eq(hark_handler_add(r, &h), 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	open = open_descriptors();
	refusal = error;
	forbid();
	turns_until(r, &refused, 3); /* it waits, and nobody else does */
	actor_feed(a, 2);
	turns_until(r, &a->recvs, 2);
	ck_assert_uint_eq(open_descriptors(), open);
	hark_handler_remove(&h);
	close(listener);
	close(client);
	actor_free(a);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}

static const int bad_accepts[] = {ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM,
                                  EPROTO,       EPERM,  EINTR,  ENOSYS};

START_TEST(accept_answers_each_errno)
{
	accepts_nothing(bad_accepts[_i], forbid_accept);
}
END_TEST

START_TEST(accept_from_what_cannot_be_made_nonblocking)
{
	accepts_nothing(EPERM, _i == 0 ? forbid_getfl : forbid_setfl);
}
END_TEST

/* Whether it is TCP cannot be asked: then no short read says anything. */
START_TEST(short_read_of_what_cannot_be_asked_loses_nothing)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair("tcp", fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	p.on_recv = verb_all;
	probe_add(r, &p);
	to_edges(r, &p, fds[1]);
	deny(SYS_getsockopt, no_calls[_i]);
	for (size_t i = 1; i <= 20; i++) {
		put(fds[1], "abc", 3);
		while (p.received < 3 * i)
			ck_assert_int_gt(active_turn(r), 0);
	}
	quiet(r, 10);
	hark_handler_remove(&p.h);
	hark_reactor_free(r);
}
END_TEST

/* Threads. */

static void no_work(struct hark_job *j)
{
	(void)j;
}

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define LEAKS_ARE_SOUGHT true
#else
#define LEAKS_ARE_SOUGHT false
#endif

START_TEST(pool_without_threads_says_so)
{
	static const int errors[] = {EAGAIN, EPERM};
	static const struct hark_job_ops ops = {.work = no_work};
	struct hark_pool *p = NULL;
	struct hark_reactor *r;
	struct hark_job j;
	int had;

	if (LEAKS_ARE_SOUGHT) {
		except("pool_without_threads_says_so", "LeakSanitizer needs a thread of its own");
		return;
	}
	r = new_reactor(NULL);
	had = balance;
#ifdef SYS_clone3
	deny(SYS_clone3, errors[_i]);
#endif
	deny(SYS_clone, errors[_i]);
	ck_assert_int_eq(hark_pool_new(&p, &(struct hark_pool_options){.threads = 3}), -errors[_i]);
	ck_assert_ptr_null(p);
	ck_assert_int_eq(balance, had);
	hark_job_init(&j, &ops);
	ck_assert_int_eq(hark_job_submit(p, r, &j), -EINVAL);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}
END_TEST

/* Signals. */

static unsigned told;

static void tell(struct hark_signal *s, unsigned count)
{
	(void)s;
	told += count;
}

START_TEST(signal_that_cannot_be_caught_is_not_started)
{
	static const struct hark_signal_ops ops = {.handle_signal = tell};
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_signal one, other;

	hark_signal_init(&one, &ops);
	hark_signal_init(&other, &ops);
	signal(SIGUSR1, SIG_IGN);
	deny_if(SYS_rt_sigaction, 0, SIGUSR1, EINVAL);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(hark_signal_start(r, &one, SIGUSR1), -EINVAL);
	hark_signal_stop(&one);
	ck_assert_int_eq(hark_signal_start(r, &other, SIGUSR2), 0);
	raise(SIGUSR1);
	raise(SIGUSR2);
	turns_until(r, &told, 1);
	ck_assert_uint_eq(told, 1);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}
END_TEST

/* Children. */

static unsigned exits;
static int status;

static void ended(struct hark_child *c, int how)
{
	(void)c;
	exits++;
	status = how;
}

static const struct hark_child_ops child_ops = {.handle_exit = ended};

/* A child that ends when the descriptor is closed. */
static pid_t waiting_child(int *hold)
{
	int fds[2];
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		char byte;

		close(fds[1]);
		_exit(read(fds[0], &byte, 1) == 0 ? 7 : 1);
	}
	close(fds[0]);
	*hold = fds[1];
	return pid;
}

static const int no_pidfds[] = {EMFILE, ENFILE, ENOMEM, ENODEV, EINVAL};

/* What is no answer to whether there is such a call is the caller's to know. (ENOSYS and EPERM are:
 * the whole of the conformance suite's child.c runs with them too.) */
START_TEST(child_whose_descriptor_cannot_be_had_is_not_started)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_child c;
	int hold, how;
	pid_t pid = waiting_child(&hold);
	unsigned open = open_descriptors();

	hark_child_init(&c, &child_ops);
	deny(SYS_pidfd_open, no_pidfds[_i]);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(hark_child_start(r, &c, pid), -no_pidfds[_i]);
	ck_assert_uint_eq(stats_of(r).children, 0);
	ck_assert_uint_eq(open_descriptors(), open);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	close(hold);
	ck_assert_int_eq(waitpid(pid, &how, 0), pid); /* it is still the program's */
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}
END_TEST

/* It passes for one that has ended, and is asked until it has. */
START_TEST(child_that_is_said_to_be_gone_is_reaped_when_it_is)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_child c;
	int hold;
	pid_t pid = waiting_child(&hold);

	hark_child_init(&c, &child_ops);
	deny(SYS_pidfd_open, ESRCH);
	ck_assert_int_eq(hark_child_start(r, &c, pid), 0);
	hark_reactor_turn(r, HARK_MS(5));
	ck_assert_uint_eq(exits, 0);
	close(hold);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(exits, 1);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}
END_TEST

/* Forked children. */

static long missing;
static int missing_error;

static void cannot_be_the_childs(void *with)
{
	struct actor *a = with;
	struct hark_reactor *r = hark_handler_reactor(&a->handler);
	unsigned open = open_descriptors();

	if (missing)
		deny(missing, missing_error);
	else
		deny_wakers(missing_error);
	for (int i = 0; i < 3; i++) {
		int had = balance;

		ck_assert_int_eq(hark_reactor_after_fork(r), -missing_error);
		ck_assert_uint_eq(open_descriptors(), open);
		ck_assert_int_le(balance, had + 1); /* the table's, which stays */
		ck_assert_int_eq(hark_reactor_turn(r, 0), -ECHILD);
	}
	actor_free(a);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}

static void fails_after_fork(long call, int error)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	missing = call;
	missing_error = error;
	settle(r, 4);
	in_child(cannot_be_the_childs, a);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	actor_free(a);
	hark_reactor_free(r);
}

START_TEST(after_fork_without_a_waker_says_so)
{
	fails_after_fork(0, no_objects[_i]);
}
END_TEST

START_TEST(after_fork_without_epoll_says_so)
{
	fails_after_fork(SYS_epoll_create1, no_objects[_i]);
}
END_TEST

/* What only who registers can be refused. */
static void add_tests_of_epoll(TCase *tc)
{
	tcase_add_loop_test(tc, wait_without_epoll_pwait2_is_not_too_short, 0, COUNT(no_calls));
	tcase_add_loop_test(tc, registration_that_is_refused_goes_to_handle_error, 0,
	                    COUNT(refusals));
	tcase_add_loop_test(tc, change_that_is_refused_goes_to_handle_error, 0, COUNT(refusals));
	tcase_add_loop_test(tc, removal_that_is_refused_is_survived, 0, COUNT(refusals));
	tcase_add_loop_test(tc, waker_that_is_refused_ends_each_run, 0, COUNT(refusals));
	tcase_add_loop_test(tc, new_without_epoll_says_why, 0, COUNT(no_objects));
	tcase_add_loop_test(tc, best_backend_without_epoll_is_the_next, 0, COUNT(no_objects));
	tcase_add_loop_test(tc, after_fork_without_epoll_says_so, 0, COUNT(no_objects));
}

int main(int argc, char **argv)
{
	TCase *tc = tcase_create("denied");

	tcase_add_loop_test(tc, new_without_a_waker_says_why, 0, COUNT(no_objects));
	tcase_add_loop_test(tc, wait_that_fails_ends_the_run_with_its_errno, 0, COUNT(bad_waits));
	tcase_add_test(tc, wait_that_is_interrupted_for_ever_goes_on);
	tcase_add_loop_test(tc, accept_answers_each_errno, 0, COUNT(bad_accepts));
	tcase_add_loop_test(tc, accept_from_what_cannot_be_made_nonblocking, 0, 2);
	tcase_add_loop_test(tc, short_read_of_what_cannot_be_asked_loses_nothing, 0,
	                    COUNT(no_calls));
	tcase_add_loop_test(tc, pool_without_threads_says_so, 0, 2);
	tcase_add_test(tc, signal_that_cannot_be_caught_is_not_started);
	tcase_add_loop_test(tc, child_whose_descriptor_cannot_be_had_is_not_started, 0,
	                    COUNT(no_pidfds));
	tcase_add_test(tc, child_that_is_said_to_be_gone_is_reaped_when_it_is);
	tcase_add_loop_test(tc, after_fork_without_a_waker_says_so, 0, COUNT(no_objects));
	if (argc == 2 && strcmp(argv[1], "epoll") == 0)
		add_tests_of_epoll(tc);
	return unit_main(tc, argc, argv);
}
