/* embed.c - hark inside another event loop: hark_reactor_prepare, hark_reactor_fd, and the outer
 * loop an honest poll(2) that waits as long as it is told. */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

/* True where the backend has a descriptor to be polled; else it must say so. */
static bool embeddable(struct hark_reactor *r, const char *test)
{
	if (backend_is("select") || backend_is("poll")) {
		ck_assert_int_eq(hark_reactor_fd(r), -ENOTSUP);
		except(test, "it has no descriptor, and hark_reactor_fd says so");
		hark_reactor_free(r);
		return false;
	}
	if (emulated(test, NOT_POLLABLE)) {
		hark_reactor_free(r);
		return false;
	}
	ck_assert_int_ge(hark_reactor_fd(r), 0);
	return true;
}

/* One round of the outer loop. Returns the callbacks; *polled is what poll(2) said. */
static int outer_round(struct hark_reactor *r, int limit_ms, int *polled)
{
	int64_t due = hark_reactor_prepare(r);
	struct pollfd p = {.fd = hark_reactor_fd(r), .events = POLLIN};

	ck_assert(due == 0 || due == -1);
	*polled = poll(&p, 1, due == 0 ? 0 : limit_ms);
	ck_assert_int_ge(*polled, 0);
	if (due == -1 && *polled == 0)
		return 0; /* an outer loop has no reason to look */
	int callbacks = hark_reactor_turn(r, 0);
	ck_assert_int_ge(callbacks, 0);
	return callbacks;
}

/* Rounds that wait without end until count is n. */
static void outer_until(struct hark_reactor *r, const unsigned *count, unsigned n)
{
	int polled;

	while (*count < n)
		outer_round(r, -1, &polled);
}

/* Nothing is to be done, and the outer loop is let sleep; once edges and wakes, and what chaos
 * makes of them, are used up. That nothing is ready at this moment proves nothing: io_uring's
 * thread may have to be in the kernel first, for what is cancelled, say. */
static void outer_quiet(struct hark_reactor *r)
{
	int polled, callbacks = 0;
	unsigned rounds = 0;

	do {
		callbacks += outer_round(r, 20, &polled);
		ck_assert_uint_lt(rounds++, patience(8));
	} while (polled || hark_reactor_prepare(r) == 0);
	ck_assert_int_le(callbacks, few(0));
}

START_TEST(events_reach_the_outer_loop)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a, *b;

	if (!embeddable(r, "events_reach_the_outer_loop"))
		return;
	a = actor_new(r);
	if (_i)
		actor_make_edge(a);
	outer_quiet(r);
	for (unsigned i = 1; i <= 3; i++) {
		actor_feed(a, 2);
		outer_until(r, &a->recvs, 2 * i);
		if (_i)
			settle(r, 8);
		outer_quiet(r);
	}

	/* Changes made between the rounds: more handlers, less interest, none. */
	b = actor_new(r);
	actor_feed(b, 1);
	outer_until(r, &b->recvs, 1);
	a->recv = false;
	hark_handler_refresh(&a->handler);
	actor_feed(a, 1);
	outer_quiet(r);
	a->recv = true;
	hark_handler_refresh(&a->handler);
	outer_until(r, &a->recvs, 7);
	a->send = true;
	hark_handler_refresh(&a->handler);
	outer_until(r, &a->sends, 1);
	a->send = false;
	hark_handler_refresh(&a->handler);
	settle(r, 8);
	outer_quiet(r);
	actor_free(a);
	actor_feed(b, 1);
	outer_until(r, &b->recvs, 2);
	actor_free(b);
	outer_quiet(r);
	hark_reactor_free(r);
}
END_TEST

/* What hark remembers as ready, the kernel does not report again: prepare must say "now". */
START_TEST(remembered_readiness_is_due_now)
{
	exact(EXACT_CALLS | EXACT_TURNS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a;

	if (!embeddable(r, "remembered_readiness_is_due_now"))
		return;
	a = actor_new(r);
	actor_make_edge(a);
	a->send = true;
	hark_handler_refresh(&a->handler);
	actor_feed(a, 3);
	ck_assert_int_eq(hark_reactor_prepare(r), 0); /* it has been writable all the time */
	outer_until(r, &a->recvs, 1);
	a->recv = a->send = false;
	hark_handler_refresh(&a->handler);
	outer_quiet(r);
	a->recv = true;
	hark_handler_refresh(&a->handler);
	outer_until(r, &a->recvs, 3);
	settle(r, 8);
	outer_quiet(r);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

static unsigned letters;

static void count_letter(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	(void)r;
	__atomic_fetch_add(&letters, 1, __ATOMIC_RELEASE);
}

static struct hark_reactor *reactor;

#define LETTERS 3000

static void *post_one_by_one(void *with)
{
	struct hark_message *m = with;
	unsigned seed = 3;

	for (unsigned i = 1; i <= LETTERS; i++) {
		if (hark_post(reactor, m))
			return with;
		while (__atomic_load_n(&letters, __ATOMIC_ACQUIRE) < i)
			sched_yield();
		seed = seed * 1103515245 + 12345;
		for (volatile unsigned n = (seed >> 16) % 1500; n > 0; n--)
			;
	}
	return NULL;
}

/* Posts come while the outer loop is asleep, and while it is about to be: each must reach it. */
START_TEST(posts_wake_the_outer_loop)
{
	struct hark_message m;
	pthread_t thread;
	void *failed;

	reactor = new_reactor(NULL);
	if (!embeddable(reactor, "posts_wake_the_outer_loop"))
		return;
	hark_message_init(&m, count_letter);

	/* One that is there before. */
	ck_assert_int_eq(hark_post(reactor, &m), 0);
	ck_assert_int_eq(hark_reactor_prepare(reactor), 0);
	outer_until(reactor, &letters, 1);
	letters = 0;
	outer_quiet(reactor);

	ck_assert_int_eq(pthread_create(&thread, NULL, post_one_by_one, &m), 0);
	outer_until(reactor, &letters, LETTERS);
	pthread_join(thread, &failed);
	ck_assert_ptr_null(failed);
	outer_quiet(reactor);
	hark_reactor_free(reactor);
}
END_TEST

static void *stop_later(void *with)
{
	nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	hark_reactor_stop(reactor);
	return with;
}

START_TEST(stop_wakes_the_outer_loop)
{
	pthread_t thread;
	int polled;

	reactor = new_reactor(NULL);
	if (!embeddable(reactor, "stop_wakes_the_outer_loop"))
		return;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, stop_later, NULL), 0);
		ck_assert_int_eq(outer_round(reactor, -1, &polled), 0);
		ck_assert_int_eq(polled, 1);
		pthread_join(thread, NULL);
		outer_quiet(reactor);
	}
	hark_reactor_stop(reactor);
	ck_assert_int_eq(hark_reactor_prepare(reactor), 0);
	ck_assert_int_eq(hark_reactor_turn(reactor, -1), 0);
	outer_quiet(reactor);
	hark_reactor_free(reactor);
}
END_TEST

/* The kernel object is replaced: the descriptor may be another from then on. */
START_TEST(outer_loop_survives_a_rebuild)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a, *b;
	int keep;

	if (!embeddable(r, "outer_loop_survives_a_rebuild"))
		return;
	a = actor_new(r);
	b = actor_new(r);
	outer_quiet(r);
	keep = dup(a->handler.fd);
	close(a->handler.fd);
	hark_handler_remove(&a->handler);
	actor_feed(a, 1);
	outer_quiet(r);
	actor_feed(b, 2);
	outer_until(r, &b->recvs, 2);
	settle(r, 8);
	outer_quiet(r);
	if (backend_is("epoll"))
		ck_assert_uint_ge(stats_of(r).rebuilds, 1);
	close(keep);
	close(a->peer);
	actor_forget(a);
	actor_free(b);
	hark_reactor_free(r);
}
END_TEST

/* Turns of its own between rounds of the outer loop. */
START_TEST(turns_and_outer_rounds_mix)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a;
	unsigned got = 0;

	if (!embeddable(r, "turns_and_outer_rounds_mix"))
		return;
	a = actor_new(r);
	for (int i = 0; i < 50; i++) {
		actor_feed(a, 2);
		got += 2;
		turns_until(r, &a->recvs, got - 1);
		outer_until(r, &a->recvs, got);
		quiet(r, 0);
		outer_quiet(r);
	}
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* hark in hark: the inner reactor's descriptor is a handler of the outer one. */

static struct hark_reactor *inner;

static void turn_inner(struct hark_handler *h)
{
	(void)h;
	do
		ck_assert_int_ge(hark_reactor_turn(inner, 0), 0);
	while (hark_reactor_prepare(inner) == 0);
}

START_TEST(hark_in_hark)
{
	static const struct hark_handler_ops ops = {
		.wants_recv = hark_always, .handle_recv = turn_inner, .name = "inner reactor"};
	struct hark_reactor *outer = new_reactor(NULL);
	struct hark_handler nested;
	struct hark_message m;
	struct actor *a, *b;
	pthread_t thread;

	if (!embeddable(outer, "hark_in_hark"))
		return;
	inner = new_reactor(NULL);
	a = actor_new(inner);
	b = actor_new(outer);
	hark_handler_init(&nested, &ops, hark_reactor_fd(inner));
	ck_assert_int_eq(hark_handler_add(outer, &nested), 0);
	ck_assert_int_eq(hark_reactor_prepare(inner), -1);
	actor_feed(a, 3);
	turns_until(outer, &a->recvs, 3);
	actor_feed(b, 1);
	turns_until(outer, &b->recvs, 1);
	hark_message_init(&m, count_letter);
	reactor = inner;
	ck_assert_int_eq(pthread_create(&thread, NULL, post_one_by_one, &m), 0);
	while (__atomic_load_n(&letters, __ATOMIC_ACQUIRE) < LETTERS)
		ck_assert_int_ge(hark_reactor_turn(outer, -1), 0);
	pthread_join(thread, NULL);
	settle(outer, 8);
	quiet(outer, 20);
	hark_handler_remove(&nested);
	actor_free(a);
	actor_free(b);
	hark_reactor_free(inner);
	hark_reactor_free(outer);
}
END_TEST

/* Where there is no descriptor, prepare tells the time all the same. */
START_TEST(prepare_tells_what_is_due)
{
	exact(EXACT_CALLS | EXACT_TURNS);
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_message m;
	struct actor *a;

	ck_assert_int_eq(hark_reactor_prepare(r), -1);
	a = actor_new(r);
	ck_assert_int_eq(hark_reactor_prepare(r), -1);
	hark_message_init(&m, count_letter);
	ck_assert_int_eq(hark_post(r, &m), 0);
	ck_assert_int_eq(hark_reactor_prepare(r), 0);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 1);
	ck_assert_int_eq(hark_reactor_prepare(r), -1);

	/* It runs no callback. */
	actor_feed(a, 1);
	hark_reactor_prepare(r);
	ck_assert_uint_eq(a->calls, 0);
	turns_until(r, &a->recvs, 1);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

TCase *case_embed(void)
{
	TCase *tc = tcase_create("embed");

	tcase_add_loop_test(tc, events_reach_the_outer_loop, 0, 2);
	tcase_add_test(tc, remembered_readiness_is_due_now);
	tcase_add_test(tc, posts_wake_the_outer_loop);
	tcase_add_test(tc, stop_wakes_the_outer_loop);
	tcase_add_test(tc, outer_loop_survives_a_rebuild);
	tcase_add_test(tc, turns_and_outer_rounds_mix);
	tcase_add_test(tc, hark_in_hark);
	tcase_add_test(tc, prepare_tells_what_is_due);
	return tc;
}
