/* fairness.c - who always has data does not starve who has just got some, nor the other way
 * round. Counted in callbacks and turns, never in time. */
#include "cases.h"
#include "conformance.h"
#include "probe.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUSY 100
#define FRESH 4000

/* A hundred handlers that never see the end of their data, on edges (where the reactor itself
 * remembers that they are ready) and on levels, and four thousand that get one byte each. */
START_TEST(the_always_ready_do_not_starve_the_fresh)
{
	exact(EXACT_TURNS);
	bool edges = _i % 2;

	if (!need_descriptors(2 * (BUSY + FRESH) + 100)) {
		except("the_always_ready_do_not_starve_the_fresh",
		       "the hard limit on descriptors is too low");
		return;
	}
	struct hark_reactor *r = new_reactor(NULL);
	struct probe *p = calloc(BUSY + FRESH, sizeof *p);
	int(*fds)[2] = calloc(BUSY + FRESH, sizeof *fds);
	static const char much[2000];

	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_nonnull(fds);
	for (int i = 0; i < BUSY + FRESH; i++) {
		socket_pair("unix", fds[i]);
		probe_init(&p[i], fds[i][0]);
		p[i].recv = true;
		probe_add(r, &p[i]);
		if (i < BUSY && edges)
			to_edges(r, &p[i], fds[i][1]);
		p[i].on_recv = i < BUSY ? verb_one : verb_all;
	}
	for (int i = 0; i < BUSY; i++)
		put(fds[i][1], much, sizeof much);

	/* The busy ones are all at work before the others get anything. */
	for (int turn = 0; turn < 20; turn++)
		ck_assert_int_gt(active_turn(r), 0);
	unsigned busy = 0;
	for (int i = 0; i < BUSY; i++) {
		ck_assert_uint_gt(p[i].recvs, 0);
		busy += p[i].recvs;
	}
	for (int i = BUSY; i < BUSY + FRESH; i++)
		put(fds[i][1], "x", 1);

	int served = 0, turns = 0;
	while (served < FRESH) {
		int callbacks = active_turn(r);

		ck_assert_int_gt(callbacks, 0);
		ck_assert_msg(turns++ < FRESH, "after %d turns only %d of %d were served", turns,
		              served, FRESH);
		served = 0;
		for (int i = BUSY; i < BUSY + FRESH; i++)
			served += p[i].recvs > 0;
	}
	unsigned meanwhile = 0;
	for (int i = 0; i < BUSY; i++)
		meanwhile += p[i].recvs;
	meanwhile -= busy;
	ck_assert_msg(meanwhile <= FRESH / 2,
	              "%u callbacks of those who always have data came before the last of %d "
	              "who had just got some",
	              meanwhile, FRESH);

	hark_reactor_free(r);
	free(fds);
	free(p);
}
END_TEST

/* One handler whose readiness the reactor itself remembers, among so many that are ready in the
 * kernel that no wait ever reports them all: it waits for some turns, but not for ever. */
START_TEST(the_remembered_are_not_starved_by_the_kernels)
{
	exact(EXACT_TURNS | EXACT_VERBS);
	enum { CROWD = 3000 };

	if (!need_descriptors(2 * CROWD + 100)) {
		except("the_remembered_are_not_starved_by_the_kernels",
		       "the hard limit on descriptors is too low");
		return;
	}
	struct hark_reactor *r = new_reactor(NULL);
	struct probe *crowd = calloc(CROWD, sizeof *crowd);
	struct probe p;
	char much[200] = "";
	int fds[2];

	ck_assert_ptr_nonnull(crowd);
	socket_pair("unix", fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	to_edges(r, &p, fds[1]);
	p.on_recv = verb_one;
	put(fds[1], much, sizeof much);
	turns_until(r, &p.recvs, 1);
	for (int i = 0; i < CROWD; i++) {
		int pair[2];

		socket_pair("unix", pair);
		put(pair[1], "x", 1);
		probe_init(&crowd[i], pair[0]);
		crowd[i].recv = true; /* and ignores its callbacks */
		probe_add(r, &crowd[i]);
	}

	/* From a kernel that takes turns, too, its turn comes at the latest when all others have
	 * had theirs; an edge comes once, and from then on it is the reactor's business. */
	for (unsigned round = 1; round < 20; round++) {
		unsigned recvs = p.recvs;
		int callbacks = 0, turns = 0;

		while (p.recvs == recvs) {
			callbacks += active_turn(r);
			turns++;
			ck_assert_msg(callbacks <= 2 * CROWD,
			              "not called in %d turns with %d callbacks", turns, callbacks);
		}
		if (backend_can() & HARK_CAN_EDGE)
			ck_assert_msg(turns <= 9, "called after %d turns only", turns);
	}
	hark_reactor_free(r);
	free(crowd);
}
END_TEST

/* One descriptor is woken a hundred times, or more often than io_uring has places for completions,
 * before anybody waits. Others, on edges and on levels, get a byte after that, and have it in the
 * same turn. */
START_TEST(one_that_is_woken_again_and_again_keeps_nobody_waiting)
{
	exact(EXACT_CALLS | EXACT_TURNS | EXACT_VERBS);
	const int wakes = _i / 2 ? 10000 : 100;
	const bool edges = _i % 2;
	struct hark_reactor *r = new_reactor(NULL);
	struct probe noisy, others[20];
	size_t before[20];
	int fds[2], pairs[20][2], callbacks;

	socket_pair("unix", fds);
	probe_init(&noisy, fds[0]);
	noisy.recv = true;
	probe_add(r, &noisy);
	if (edges)
		to_edges(r, &noisy, fds[1]);
	for (int i = 0; i < 20; i++) {
		socket_pair("unix", pairs[i]);
		probe_init(&others[i], pairs[i][0]);
		others[i].recv = true;
		probe_add(r, &others[i]);
		if (i % 2)
			to_edges(r, &others[i], pairs[i][1]);
		others[i].on_recv = verb_all;
		before[i] = others[i].received;
	}
	settle(r, 5);
	noisy.on_recv = verb_all;
	noisy.received = 0;
	for (int i = 0; i < wakes; i++) {
		put(fds[1], "x", 1);
		if (i % 50 == 49)
			drain(fds[0]);
	}
	put(fds[1], "x", 1);
	for (int i = 0; i < 20; i++)
		put(pairs[i][1], "x", 1);
	/* Chaos holds everything back to the end of a wait, whose batch is then full. */
	callbacks = active_turn(r);
	if (chaotic())
		settle(r, 1000);
	else
		ck_assert_int_eq(callbacks, 21);
	ck_assert_uint_eq(noisy.received, 1);
	for (int i = 0; i < 20; i++)
		ck_assert_uint_eq(others[i].received - before[i], 1);
	ck_assert_int_le(settle(r, 10), few(1));

	/* They all hear of what comes after it, too. */
	put(fds[1], "x", 1);
	for (int i = 0; i < 20; i++)
		put(pairs[i][1], "x", 1);
	settle(r, 1000);
	ck_assert_uint_eq(noisy.received, 2);
	for (int i = 0; i < 20; i++)
		ck_assert_uint_eq(others[i].received - before[i], 2);
	hark_reactor_free(r);
}
END_TEST

/* All that are ready get their callbacks by turns. */
START_TEST(equals_are_served_equally)
{
	exact(EXACT_CALLS | EXACT_TURNS | EXACT_VERBS);
	enum { N = 300 };
	struct hark_reactor *r;
	struct probe p[N];
	int fds[N][2];
	char much[400] = "";

	ck_assert(need_descriptors(2 * N + 100));
	r = new_reactor(NULL);
	for (int i = 0; i < N; i++) {
		socket_pair("unix", fds[i]);
		probe_init(&p[i], fds[i][0]);
		p[i].recv = true;
		probe_add(r, &p[i]);
		if (_i)
			to_edges(r, &p[i], fds[i][1]);
		p[i].on_recv = verb_one;
	}
	for (int i = 0; i < N; i++)
		put(fds[i][1], much, sizeof much);
	for (int turn = 0; turn < 200; turn++)
		ck_assert_int_gt(active_turn(r), 0);
	unsigned least = p[0].recvs, most = p[0].recvs;
	for (int i = 1; i < N; i++) {
		if (p[i].recvs < least)
			least = p[i].recvs;
		if (p[i].recvs > most)
			most = p[i].recvs;
	}
	ck_assert_uint_gt(least, 0);
	ck_assert_msg(most - least <= 2 + most / 4, "one had %u callbacks and another %u", least,
	              most);
	hark_reactor_free(r);
}
END_TEST

TCase *case_fairness(void)
{
	TCase *tc = tcase_create("fairness");

	tcase_add_loop_test(tc, the_always_ready_do_not_starve_the_fresh, 0, 2);
	tcase_add_test(tc, the_remembered_are_not_starved_by_the_kernels);
	tcase_add_loop_test(tc, one_that_is_woken_again_and_again_keeps_nobody_waiting, 0, 4);
	tcase_add_loop_test(tc, equals_are_served_equally, 0, 2);
	return tc;
}
