/* ring.c - `ring io_uring`: an io_uring that the kernel refuses, or does not let go on.
 *
 * A system without it, a sysctl or a sandbox refuses the ring; then it is not chosen, or says why
 * it cannot be. And a submission ring that is full is handed in by a call that may fail: here all
 * fail that only hand in, and not those that wait. */
#include "actor.h"
#include "deny.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* More than there is room for in the submission ring. */
#define MANY 600

static const struct {
	int error;
	const char *words;
} refusals[] = {
	{EPERM, "kernel.io_uring_disabled or a seccomp filter"},
	{ENOSYS, "the kernel has no io_uring, or a filter hides it"},
	{ENOMEM, "no memory for its rings"},
	{EMFILE, NULL},
};

/* Named by the program or by the environment, it is what was asked for, and nothing else will do.
 */
START_TEST(ring_that_is_refused_says_why)
{
	struct hark_reactor *r = NULL;
	char why[256] = "untouched";
	struct hark_options options = {.why = why, .why_size = sizeof why};
	const char *words = refusals[_i / 2].words;
	int error = refusals[_i / 2].error;
	unsigned open = open_descriptors();

	setenv("HARK_BACKEND", _i % 2 ? "io_uring" : "select", 1);
	if (_i % 2 == 0)
		options.backend = "io_uring";
	deny(SYS_io_uring_setup, error);
	ck_assert_int_eq(hark_reactor_new(&r, &options), -error);
	ck_assert_ptr_null(r);
	ck_assert_msg(strstr(why, "io_uring") && strstr(why, words ? words : strerror(error)),
	              "it says '%s'", why);
	ck_assert_int_eq(balance, 0);
	ck_assert_uint_eq(open_descriptors(), open);
}
END_TEST

/* Left to choose, hark goes on to the next; not for a shortage, which would pass. */
START_TEST(ring_that_is_refused_is_passed_over)
{
	struct hark_reactor *r = NULL;
	char why[256] = "untouched";
	struct hark_options options = {.why = why, .why_size = sizeof why};
	bool only = refusals[_i].error == EPERM || refusals[_i].error == ENOSYS;
	struct actor *a;
	unsigned next = 0;

	unsetenv("HARK_BACKEND");
	if (!strcmp(hark_backend_at(0)->name, "epoll"))
		deny(SYS_epoll_create1, ENOSYS);
	while (strcmp(hark_backend_at(next++)->name, "io_uring") != 0)
		;
	if (!hark_backend_at(next))
		return;
	deny(SYS_io_uring_setup, refusals[_i].error);
	ck_assert_int_eq(hark_reactor_new(&r, &options), only ? 0 : -refusals[_i].error);
	if (!only)
		return;
	ck_assert_str_eq(hark_reactor_backend(r), hark_backend_at(next)->name);
	ck_assert_str_eq(why, "");
	a = actor_new(r);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	actor_free(a);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}
END_TEST

/* A filter that lets a ring be made, and forbids what makes it one thread's. */
START_TEST(ring_that_may_not_be_enabled_goes_on_as_another)
{
	struct hark_reactor *r;
	struct actor *a;

	deny(SYS_io_uring_register, EPERM);
	r = new_reactor(NULL);
	a = actor_new(r);
	for (unsigned i = 1; i <= 3; i++) {
		actor_feed(a, 1);
		turns_until(r, &a->recvs, i);
	}
	settle(r, 8);
	quiet(r, 20);
	actor_free(a);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}
END_TEST

/* What wakes many polls, and is gone before the kernel has looked for each: what is ready behind
 * them is found in the same turn. */
START_TEST(wake_ups_for_nothing_hide_no_event)
{
	enum { WATCHES = 100 };
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *idle[WATCHES], *a;
	char dir[] = "/tmp/hark-ring-XXXXXX", event[4096];
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_ge(inotify_add_watch(watch, dir, IN_DELETE_SELF), 0);
	for (int i = 0; i < WATCHES; i++) {
		idle[i] = actor_make_on(dup(watch), -1);
		ck_assert_int_eq(hark_handler_add(r, &idle[i]->handler), 0);
	}
	a = actor_new(r);
	settle(r, 8);
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert_int_gt(read(watch, event, sizeof event), 0);
	actor_feed(a, 1);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 1);
	ck_assert_uint_eq(a->recvs, 1);
	for (int i = 0; i < WATCHES; i++) {
		hark_handler_remove(&idle[i]->handler);
		close(idle[i]->handler.fd);
		actor_forget(idle[i]);
	}
	close(watch);
	actor_free(a);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}
END_TEST

/* From here on the submission ring is not handed in but by a call that waits. */
static const int obstacles[] = {EBUSY, EAGAIN};

static void deny_handing_in(int error)
{
	deny_if(SYS_io_uring_enter, 3, 0, error);
}

START_TEST(handlers_that_find_the_ring_full_are_armed_later)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a[MANY];

	ck_assert(need_descriptors(2 * MANY + 100));
	settle(r, 4);
	deny_handing_in(obstacles[_i]);
	for (int i = 0; i < MANY; i++)
		a[i] = actor_new(r);
	for (int i = 0; i < MANY; i++)
		actor_feed(a[i], 2);
	for (int i = 0; i < MANY; i++) {
		turns_until(r, &a[i]->recvs, 2);
		ck_assert_uint_eq(a[i]->errors, 0);
	}
	settle(r, 8);
	quiet(r, 20);
	ck_assert_uint_eq(stats_of(r).rebuilds, 0);
	hark_reactor_free(r);
	for (int i = 0; i < MANY; i++)
		actor_free(a[i]);
	ck_assert_int_eq(balance, 0);
}
END_TEST

/* Close(2) tells the peer only when no poll holds the file any more: the ring that has one is
 * closed and lets go of all at once. */
START_TEST(polls_that_cannot_be_cancelled_hold_no_socket)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a[MANY], *other;
	char byte;

	ck_assert(need_descriptors(2 * MANY + 100));
	for (int i = 0; i < MANY; i++)
		a[i] = actor_new(r);
	other = actor_new(r);
	settle(r, 8);
	deny_handing_in(obstacles[_i]);
	for (int i = 0; i < MANY; i++) {
		hark_handler_remove(&a[i]->handler);
		close(a[i]->handler.fd);
	}
	actor_feed(other, 1);
	turns_until(r, &other->recvs, 1);
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(recv(a[i]->peer, &byte, 1, MSG_DONTWAIT), 0);
		close(a[i]->peer);
		actor_forget(a[i]);
	}
	settle(r, 8);
	quiet(r, 20);
	actor_free(other);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}
END_TEST

/* All that the kernel answers is that it cannot: the program hears of it, and may try again. */
START_TEST(ring_that_takes_nothing_ends_the_run)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a[MANY];

	ck_assert(need_descriptors(2 * MANY + 100));
	for (int i = 0; i < MANY; i++)
		a[i] = actor_new(r);
	deny(SYS_io_uring_enter, obstacles[_i]);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(hark_reactor_run(r), -obstacles[_i]);
		ck_assert_int_eq(hark_reactor_turn(r, -1), -obstacles[_i]);
	}
	hark_reactor_free(r);
	for (int i = 0; i < MANY; i++)
		actor_free(a[i]);
	ck_assert_int_eq(balance, 0);
}
END_TEST

int main(int argc, char **argv)
{
	TCase *tc = tcase_create("ring");

	tcase_add_loop_test(tc, ring_that_is_refused_says_why, 0, 2 * COUNT(refusals));
	tcase_add_loop_test(tc, ring_that_is_refused_is_passed_over, 0, COUNT(refusals));
	tcase_add_test(tc, ring_that_may_not_be_enabled_goes_on_as_another);
	tcase_add_test(tc, wake_ups_for_nothing_hide_no_event);
	tcase_add_loop_test(tc, handlers_that_find_the_ring_full_are_armed_later, 0,
	                    COUNT(obstacles));
	tcase_add_loop_test(tc, polls_that_cannot_be_cancelled_hold_no_socket, 0, COUNT(obstacles));
	tcase_add_loop_test(tc, ring_that_takes_nothing_ends_the_run, 0, COUNT(obstacles));
	return unit_main(tc, argc, argv);
}
