/* reuse.c - descriptors that are closed, whose numbers are reused, and that others keep open.
 *
 * The kernel's object may outlive the number (dup, fork) and the number the handler. Whoever is
 * added to a number must hear nothing of its predecessor's file, and a file that nobody watches
 * any more must not keep the reactor busy. */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How a predecessor ends: removed before it is closed, after, or after its number is taken; with
 * a dup that keeps its file open or without; on level or on edges. */
#define BEFORE 0
#define AFTER 1
#define TAKEN 2
#define WAYS (3 * 2 * 2)

struct way {
	int removed; /* BEFORE, AFTER or TAKEN */
	bool dup;
	bool edge;
};

static struct way way_of(int i)
{
	return (struct way){.removed = i % 3, .dup = i / 3 % 2, .edge = i / 6};
}

/* Ends old and puts a new actor on its number, with nothing to receive; *keep is what still holds
 * old's file open, or -1. */
static struct actor *succeed(struct hark_reactor *r, struct actor *old, struct way way, int *keep)
{
	struct actor *fresh;
	int n = old->handler.fd, fds[2];

	socket_pair("unix", fds);
	*keep = way.dup ? dup(n) : -1;
	if (way.removed == BEFORE)
		hark_handler_remove(&old->handler);
	ck_assert_int_eq(close(n), 0);
	if (way.removed == AFTER)
		hark_handler_remove(&old->handler);
	ck_assert_int_eq(dup2(fds[0], n), n);
	close(fds[0]);
	if (way.removed == TAKEN)
		hark_handler_remove(&old->handler);
	fresh = actor_make_on(n, fds[1]);
	ck_assert_int_eq(hark_handler_add(r, &fresh->handler), 0);
	return fresh;
}

static struct actor *rivals[2], *heir;
static struct way heirs_way;
static int heirs_keep, heirs_peer;

static void succeed_the_other(struct actor *a)
{
	struct actor **other = a == rivals[0] ? &rivals[1] : &rivals[0];

	heirs_peer = (*other)->peer;
	heir = succeed(hark_handler_reactor(&a->handler), *other, heirs_way, &heirs_keep);
	actor_forget(*other);
	*other = NULL;
	a->act = NULL;
}

/* Two are ready in one batch; the first to be called puts an heir on the other's number. */
START_TEST(number_reused_in_a_callback_of_the_same_batch)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r;

	heirs_way = way_of(_i);
	if (heirs_way.removed != BEFORE &&
	    emulated("number_reused_in_a_callback_of_the_same_batch", KNOTES_STAY))
		return;
	r = new_reactor(NULL);
	for (int i = 0; i < 2; i++) {
		rivals[i] = actor_new(r);
		if (heirs_way.edge)
			actor_make_edge(rivals[i]);
		rivals[i]->act = succeed_the_other;
	}
	actor_feed(rivals[0], 1);
	actor_feed(rivals[1], 1);
	while (rivals[0] && rivals[1])
		ck_assert_int_ge(hark_reactor_turn(r, -1), 0);
	settle(r, 8);
	quiet(r, 20);
	ck_assert_uint_eq(heir->calls, 0);

	/* The old file can still wake nobody, and the heir is served. */
	if (heirs_way.dup)
		ck_assert_int_eq(write(heirs_peer, "z", 1), 1);
	quiet(r, 20);
	ck_assert_uint_eq(heir->calls, 0);
	actor_feed(heir, 2);
	turns_until(r, &heir->recvs, 2);
	actor_free(heir);
	for (int i = 0; i < 2; i++)
		if (rivals[i])
			actor_free(rivals[i]);
	hark_reactor_free(r);
}
END_TEST

/* The same between turns, with readiness that the predecessor has not used up. */
START_TEST(number_reused_between_turns)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r;
	struct actor *old, *fresh;
	struct way way = way_of(_i);
	int keep;

	if (way.removed != BEFORE && emulated("number_reused_between_turns", KNOTES_STAY))
		return;
	r = new_reactor(NULL);
	old = actor_new(r);
	if (way.edge)
		actor_make_edge(old);
	actor_feed(old, 3);
	turns_until(r, &old->recvs, 1);
	fresh = succeed(r, old, way, &keep);
	quiet(r, 20);
	ck_assert_uint_eq(fresh->calls, 0);
	actor_feed(fresh, 1);
	turns_until(r, &fresh->recvs, 1);
	settle(r, 8);
	quiet(r, 20);
	ck_assert_uint_eq(fresh->recvs, 1);
	close(old->peer);
	actor_forget(old);
	actor_free(fresh);
	hark_reactor_free(r);
}
END_TEST

/* The successor has something to receive when it is added: its predecessor's state must not hide
 * that, drained as it was. */
START_TEST(number_reused_with_data_waiting)
{
	struct hark_reactor *r;
	struct actor *old, *fresh;
	struct way way = way_of(_i);
	int keep;

	if (way.removed != BEFORE && emulated("number_reused_with_data_waiting", KNOTES_STAY))
		return;
	r = new_reactor(NULL);
	old = actor_new(r);
	if (way.edge)
		actor_make_edge(old);
	fresh = succeed(r, old, way, &keep);
	actor_feed(fresh, 2);
	fresh->send = true;
	hark_handler_refresh(&fresh->handler);
	while (fresh->recvs < 2 || !fresh->sends)
		ck_assert_int_ge(hark_reactor_turn(r, -1), 0);
	close(old->peer);
	actor_forget(old);
	actor_free(fresh);
	hark_reactor_free(r);
}
END_TEST

/* More often than a small counter of generations holds, each predecessor's file kept open and
 * readable. */
START_TEST(number_reused_three_hundred_times_over_dups)
{
	exact(EXACT_CALLS);
	struct way way = {.removed = _i ? AFTER : BEFORE, .dup = true};
	struct hark_reactor *r;
	struct actor *a, *fresh, *witness;
	int keep;

	if (way.removed != BEFORE &&
	    emulated("number_reused_three_hundred_times_over_dups", KNOTES_STAY))
		return;
	if (!need_descriptors(1024)) {
		except("number_reused_three_hundred_times_over_dups",
		       "the limit on descriptors is too low");
		return;
	}
	r = new_reactor(NULL);
	witness = actor_new(r);
	a = actor_new(r);
	for (unsigned i = 1; i <= 300; i++) {
		actor_feed(a, 2);
		turns_until(r, &a->recvs, 1);
		fresh = succeed(r, a, way, &keep);
		actor_forget(a);
		a = fresh;
		actor_feed(witness, 1);
		turns_until(r, &witness->recvs, i);
		ck_assert_uint_eq(a->calls, 0);
	}
	settle(r, 8);
	quiet(r, 20);
	ck_assert_uint_eq(a->calls, 0);
	actor_free(a);
	actor_free(witness);
	hark_reactor_free(r);
}
END_TEST

/* Closed, then removed, while a dup keeps the file open and readable: the kernel goes on telling
 * about a registration that is nobody's (epoll). */
START_TEST(closed_fd_with_dup_does_not_spin)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r;
	struct actor *a, *others[4];
	struct hark_stats stats;
	bool edge = _i;
	int keep;

	if (emulated("closed_fd_with_dup_does_not_spin", KNOTES_STAY))
		return;
	r = new_reactor(NULL);
	a = actor_new(r);
	for (int i = 0; i < 4; i++)
		others[i] = actor_new(r);
	if (edge) {
		actor_make_edge(a);
		actor_make_edge(others[0]);
		actor_make_edge(others[1]);
	}
	others[1]->recv = others[3]->recv = false;
	hark_handler_refresh(&others[1]->handler);
	hark_handler_refresh(&others[3]->handler);
	settle(r, 8);
	keep = dup(a->handler.fd);
	close(a->handler.fd);
	hark_handler_remove(&a->handler);
	actor_feed(a, 1); /* into the file that keep holds open */
	quiet(r, 50);
	stats = stats_of(r);
	if (backend_is("epoll")) {
		ck_assert_uint_ge(stats.stale, 1);
		ck_assert_uint_ge(stats.rebuilds, 1);
	}
	actor_feed(a, 1);
	quiet(r, 50);
	ck_assert_uint_eq(stats_of(r).stale, stats.stale);

	/* All others are served as before, in both directions. */
	for (int i = 0; i < 4; i++) {
		actor_feed(others[i], 2);
		others[i]->send = true;
		hark_handler_refresh(&others[i]->handler);
	}
	for (int i = 0; i < 4; i++)
		while (!others[i]->sends || others[i]->recvs < (others[i]->recv ? 2u : 0u))
			ck_assert_int_ge(hark_reactor_turn(r, -1), 0);
	ck_assert_uint_eq(others[1]->recvs + others[3]->recvs, 0);
	for (int i = 0; i < 4; i++)
		actor_free(others[i]);
	close(keep);
	close(a->peer);
	actor_forget(a);
	hark_reactor_free(r);
}
END_TEST

/* While such a registration fires, what others have just got is not lost with the old object. */
START_TEST(nothing_is_lost_when_the_kernel_object_is_replaced)
{
	struct hark_reactor *r;
	struct actor *a, *others[64];
	unsigned bytes = 0;

	if (emulated("nothing_is_lost_when_the_kernel_object_is_replaced", KNOTES_STAY))
		return;
	r = new_reactor(NULL);
	for (int i = 0; i < 64; i++) {
		others[i] = actor_new(r);
		if (i % 2)
			actor_make_edge(others[i]);
	}
	for (int round = 0; round < 20; round++) {
		a = actor_new(r);
		settle(r, 256);
		int keep = dup(a->handler.fd);
		close(a->handler.fd);
		hark_handler_remove(&a->handler);
		actor_feed(a, 1);
		for (int i = 0; i < 64; i++)
			actor_feed(others[i], 1);
		bytes++;
		for (int i = 0; i < 64; i++)
			turns_until(r, &others[i]->recvs, bytes);
		for (int i = 0; i < 64; i++)
			ck_assert_uint_eq(others[i]->recvs, bytes);
		close(keep);
		close(a->peer);
		actor_forget(a);
	}
	settle(r, 256);
	quiet(r, 20);
	for (int i = 0; i < 64; i++)
		actor_free(others[i]);
	hark_reactor_free(r);
}
END_TEST

/* Closed and never removed: silent, and no burden. */
START_TEST(closed_fd_never_removed_is_silent)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r;
	struct actor *a, *other;
	bool edge = _i;

	r = new_reactor(NULL);
	a = actor_new(r);
	other = actor_new(r);
	if (edge) {
		actor_make_edge(a);
		actor_make_edge(other);
	}
	settle(r, 8);
	close(a->handler.fd);
	quiet(r, 50);
	quiet(r, 50);
	ck_assert_uint_eq(a->calls, 0);
	actor_feed(other, 3);
	turns_until(r, &other->recvs, 3);
	settle(r, 8);
	quiet(r, 20);
	ck_assert_uint_eq(a->calls, 0);

	/* Nor does it fail the run, or keep others from coming. */
	hark_reactor_stop(r);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	hark_handler_remove(&other->handler);
	ck_assert_int_eq(hark_handler_add(r, &other->handler), 0);
	actor_feed(other, 1);
	turns_until(r, &other->recvs, 4);
	hark_handler_remove(&a->handler);
	close(a->peer);
	actor_forget(a);
	actor_free(other);
	hark_reactor_free(r);
}
END_TEST

/* Closed before its first turn, so that the kernel never heard of it. */
START_TEST(closed_and_removed_before_the_first_turn)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r), *other = actor_new(r);

	close(a->handler.fd);
	hark_handler_remove(&a->handler);
	actor_feed(other, 1);
	turns_until(r, &other->recvs, 1);
	settle(r, 8);
	quiet(r, 20);
	close(a->peer);
	actor_forget(a);
	actor_free(other);
	hark_reactor_free(r);
}
END_TEST

static void close_itself_late(struct actor *a)
{
	if (a->recvs == 0)
		return;
	close(a->handler.fd);
	hark_handler_remove(&a->handler);
}

START_TEST(closed_before_it_is_removed_in_its_own_callback)
{
	struct hark_reactor *r;
	struct actor *a, *other;
	int keep;

	if (emulated("closed_before_it_is_removed_in_its_own_callback", KNOTES_STAY))
		return;
	r = new_reactor(NULL);
	a = actor_new(r);
	other = actor_new(r);
	keep = _i ? dup(a->handler.fd) : -1;
	a->act = close_itself_late;
	actor_feed(a, 2);
	turns_until(r, &a->recvs, 1);
	unsigned calls = a->calls;
	settle(r, 8);
	quiet(r, 20);
	ck_assert_uint_eq(a->calls, calls);
	actor_feed(other, 1);
	turns_until(r, &other->recvs, 1);
	if (keep >= 0)
		close(keep);
	close(a->peer);
	actor_forget(a);
	actor_free(other);
	hark_reactor_free(r);
}
END_TEST

/* A child that was forked while a handler was there holds its file open. */
START_TEST(file_kept_open_by_a_child_does_not_spin)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r;
	struct actor *a, *other;
	bool late = _i;
	int status;

	if (late && emulated("file_kept_open_by_a_child_does_not_spin", KNOTES_STAY))
		return;
	r = new_reactor(NULL);
	a = actor_new(r);
	other = actor_new(r);
	settle(r, 8);

	pid_t child = lasting_child();
	if (!late)
		hark_handler_remove(&a->handler);
	close(a->handler.fd);
	if (late)
		hark_handler_remove(&a->handler);
	actor_feed(a, 1); /* the child's copy is readable now */
	quiet(r, 50);
	if (late && backend_is("epoll"))
		ck_assert_uint_ge(stats_of(r).rebuilds, 1);
	actor_feed(other, 1);
	turns_until(r, &other->recvs, 1);
	settle(r, 8);
	quiet(r, 20);

	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	quiet(r, 20);
	close(a->peer);
	actor_forget(a);
	actor_free(other);
	hark_reactor_free(r);
}
END_TEST

/* The number goes to a file that hark does not watch; the program closed it too early but does
 * remove the handler: the new owner's file must not be disturbed, nor reported. */
START_TEST(number_taken_by_a_file_that_is_not_watched)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);
	int n = a->handler.fd, fds[2];
	char byte;

	if (_i)
		actor_make_edge(a);
	settle(r, 8);
	socket_pair("unix", fds);
	ck_assert_int_eq(dup2(fds[0], n), n);
	hark_handler_remove(&a->handler);
	ck_assert_int_eq(write(fds[1], "!", 1), 1);
	quiet(r, 20);
	ck_assert_uint_eq(a->calls, 0);
	ck_assert_int_eq(read(n, &byte, 1), 1);
	close(fds[0]);
	close(fds[1]);
	close(n);
	close(a->peer);
	actor_forget(a);
	hark_reactor_free(r);
}
END_TEST

/* Closed, then removed, and the same file comes back under the same number before anything told of
 * it: the kernel may have kept the registration (epoll says EEXIST). */
START_TEST(same_file_under_the_same_number_again)
{
	struct hark_reactor *r;
	struct actor *a;
	int keep, n;

	if (emulated("same_file_under_the_same_number_again", KNOTES_STAY))
		return;
	r = new_reactor(NULL);
	a = actor_new(r);
	n = a->handler.fd;
	if (_i)
		actor_make_edge(a);
	settle(r, 8);
	keep = dup(n);
	close(n);
	hark_handler_remove(&a->handler);
	ck_assert_int_eq(dup2(keep, n), n);
	close(keep);
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	actor_feed(a, 2);
	turns_until(r, &a->recvs, 2);
	ck_assert_uint_eq(a->errors, 0);
	a->send = true;
	hark_handler_refresh(&a->handler);
	turns_until(r, &a->sends, 1);
	a->send = false;
	hark_handler_refresh(&a->handler);
	settle(r, 8);
	quiet(r, 20);
	actor_free(a);
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* Removing one of two descriptors of the same file leaves the other alone. */
START_TEST(two_descriptors_of_one_file)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);
	struct actor *b = actor_make_on(dup(a->handler.fd), dup(a->peer));

	if (_i)
		actor_make_edge(a);
	ck_assert_int_eq(hark_handler_add(r, &b->handler), 0);
	b->recv = false;
	b->send = true;
	hark_handler_refresh(&b->handler);
	actor_feed(a, 2);
	while (a->recvs < 2 || !b->sends)
		ck_assert_int_ge(hark_reactor_turn(r, -1), 0);
	hark_handler_remove(&a->handler);
	b->recv = true;
	b->send = false;
	hark_handler_refresh(&b->handler);
	actor_feed(a, 1);
	turns_until(r, &b->recvs, 1);
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	actor_free(b);
	settle(r, 8);
	quiet(r, 20);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 3);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* dup2(2) over a descriptor that is watched: the kernel has lost its registration and hark has not
 * been told. On level it is watched again when its interest changes. (With edges a change need not
 * come to the kernel: a program has to remove what it replaces.) */
START_TEST(number_that_names_another_file_is_watched_at_its_next_change)
{
	struct hark_reactor *r;
	struct actor *a;
	int fds[2];

	if (emulated("number_that_names_another_file_is_watched_at_its_next_change", KNOTES_STAY))
		return;
	r = new_reactor(NULL);
	a = actor_new(r);
	settle(r, 8);
	socket_pair("unix", fds);
	ck_assert_int_eq(dup2(fds[0], a->handler.fd), a->handler.fd);
	close(fds[0]);
	close(a->peer);
	a->peer = fds[1];
	for (unsigned i = 1; i <= 3; i++) {
		unsigned recvs = a->recvs;

		a->send = true;
		a->recv = false;
		hark_handler_refresh(&a->handler);
		turns_until(r, &a->sends, a->sends + 1);
		a->send = false;
		a->recv = true;
		hark_handler_refresh(&a->handler);
		actor_feed(a, 1);
		turns_until(r, &a->recvs, recvs + 1);
	}
	ck_assert_uint_eq(a->errors, 0);
	ck_assert_ptr_eq(hark_handler_reactor(&a->handler), r);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* What is removed leaves the kernel at once, and has not to be found out by its events. */
START_TEST(removed_and_left_open_tells_nothing_more)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	if (_i)
		actor_make_edge(a);
	settle(r, 8);
	hark_handler_remove(&a->handler);
	actor_feed(a, 3);
	quiet(r, 10);
	ck_assert_uint_eq(stats_of(r).stale, 0);
	ck_assert_uint_eq(stats_of(r).rebuilds, 0);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

TCase *case_reuse(void)
{
	TCase *tc = tcase_create("reuse");

	tcase_add_loop_test(tc, number_reused_in_a_callback_of_the_same_batch, 0, WAYS);
	tcase_add_loop_test(tc, number_reused_between_turns, 0, WAYS);
	tcase_add_loop_test(tc, number_reused_with_data_waiting, 0, WAYS);
	tcase_add_loop_test(tc, number_reused_three_hundred_times_over_dups, 0, 2);
	tcase_add_loop_test(tc, closed_fd_with_dup_does_not_spin, 0, 2);
	tcase_add_test(tc, nothing_is_lost_when_the_kernel_object_is_replaced);
	tcase_add_loop_test(tc, closed_fd_never_removed_is_silent, 0, 2);
	tcase_add_test(tc, closed_and_removed_before_the_first_turn);
	tcase_add_loop_test(tc, closed_before_it_is_removed_in_its_own_callback, 0, 2);
	tcase_add_loop_test(tc, file_kept_open_by_a_child_does_not_spin, 0, 2);
	tcase_add_loop_test(tc, number_taken_by_a_file_that_is_not_watched, 0, 2);
	tcase_add_loop_test(tc, same_file_under_the_same_number_again, 0, 2);
	tcase_add_loop_test(tc, two_descriptors_of_one_file, 0, 2);
	tcase_add_test(tc, number_that_names_another_file_is_watched_at_its_next_change);
	tcase_add_loop_test(tc, removed_and_left_open_tells_nothing_more, 0, 2);
	return tc;
}
