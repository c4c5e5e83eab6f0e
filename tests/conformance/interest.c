/* interest.c - interest is a question: when it is asked, and what its changes cost. A change of
 * interest is a system call only where it must be one. */
#include "cases.h"
#include "conformance.h"
#include "probe.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const transports[] = {"unix", "tcp"};

static bool toggle_fully; /* each change with its refresh */

static void toggle_often(struct probe *p)
{
	verb_one(p);
	for (int i = 0; i < 1000; i++) {
		p->send = !p->send;
		if (toggle_fully)
			hark_handler_refresh(&p->h);
	}
}

/* Changes that cancel out inside a callback never reach the backend. */
START_TEST(a_thousand_toggles_in_a_callback_cost_no_change)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transports[_i % 2], fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	p.on_recv = toggle_often;
	toggle_fully = _i / 2;
	probe_add(r, &p);
	settle(r, 5);
	uint64_t changes = stats_of(r).changes;
	for (unsigned i = 1; i <= 10; i++) {
		put(fds[1], "x", 1);
		turns_until(r, &p.recvs, i);
	}
	settle(r, 5);
	ck_assert_uint_eq(stats_of(r).changes, changes);
	ck_assert_uint_eq(p.sends, 0);
	hark_reactor_free(r);
}
END_TEST

/* The same from outside callbacks, and for the direction that is wanted all the time. */
START_TEST(a_thousand_toggles_between_turns_cost_no_change)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transports[_i], fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	p.on_recv = verb_one;
	probe_add(r, &p);
	settle(r, 5);
	uint64_t changes = stats_of(r).changes;
	for (int i = 0; i < 500; i++) {
		probe_want(&p, false, true);
		probe_want(&p, true, false);
	}
	settle(r, 5);
	ck_assert_uint_eq(stats_of(r).changes, changes);
	put(fds[1], "x", 1);
	turns_until(r, &p.recvs, 1);
	hark_reactor_free(r);
}
END_TEST

static void recv_then_want_send(struct probe *p)
{
	verb_all(p);
	p->send = true;
}

/* One that reads a portion, and finds in its next callback that there is no more. */
static void recv_one_then_want_send(struct probe *p)
{
	verb_one(p);
	if (p->result == 1)
		p->send = true;
}

/* A server's hops: receive, want to send, send, no longer want to. Once on edges they are free. */
START_TEST(steady_churn_costs_no_change_on_edges)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transports[_i % 2], fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	to_edges(r, &p, fds[1]);
	p.on_recv = _i / 2 ? recv_one_then_want_send : recv_then_want_send;
	p.on_send = verb_send_one;
	uint64_t changes = stats_of(r).changes;
	for (unsigned i = 1; i <= 200; i++) {
		char c;

		put(fds[1], "x", 1);
		turns_until(r, &p.sends, i);
		while (recv(fds[1], &c, 1, 0) < 0 && errno == EAGAIN)
			;
		/* The peer has read: a Unix socket is then reported writable, which nobody wants
		 * now, but will in the next hop. */
		settle(r, 5);
	}
	changes = stats_of(r).changes - changes;
	if (backend_can() & HARK_CAN_EDGE)
		ck_assert_msg(changes == 0, "%llu changes in 200 hops on edges",
		              (unsigned long long)changes);
	else
		ck_assert_uint_le(changes, 400);
	hark_reactor_free(r);
}
END_TEST

/* A direction that is first wanted inside a callback, on edges of the other direction alone. */
START_TEST(a_direction_first_wanted_in_a_callback_is_watched)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transports[_i], fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	p.on_recv = verb_all;
	p.on_send = verb_send_one;
	probe_add(r, &p);
	put(fds[1], "x", 1);
	turns_until(r, &p.recvs, 1);
	probe_want(&p, false, false);
	settle(r, 5);
	probe_want(&p, true, false);
	settle(r, 5);
	p.on_recv = recv_then_want_send;
	put(fds[1], "x", 1);
	turns_until(r, &p.sends, 1);
	hark_reactor_free(r);
}
END_TEST

/* Nothing is lost when a handler that wants nothing for long wants something again. */
START_TEST(refresh_from_outside_takes_effect_before_the_wait)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transports[_i % 2], fds);
	probe_init(&p, fds[0]);
	p.on_recv = _i / 2 ? verb_one : plain_one;
	probe_add(r, &p);
	put(fds[1], "abc", 3);
	quiet(r, 20);
	for (unsigned i = 1; i <= 3; i++) {
		probe_want(&p, true, false);
		turns_until(r, &p.recvs, i);
		ck_assert_int_eq(p.last, "abc"[i - 1]);
		probe_want(&p, false, false);
		quiet(r, 20);
	}
	hark_reactor_free(r);
}
END_TEST

/* Two handlers that are ready in the same turn; whichever comes first silences the other. */
static struct probe duo[2];

static void silence_the_other(struct probe *p)
{
	struct probe *other = &duo[p == duo];

	other->recv = other->send = false;
	hark_handler_refresh(&other->h);
}

START_TEST(refresh_in_anothers_callback_takes_effect_before_the_call)
{
	struct hark_reactor *r = new_reactor(NULL);
	int fds[2][2];

	for (int i = 0; i < 2; i++) {
		socket_pair("unix", fds[i]);
		if (_i / 2)
			probe_init_ready(&duo[i], fds[i][0]);
		else
			probe_init(&duo[i], fds[i][0]);
		duo[i].recv = true;
		duo[i].send = _i % 2;
		duo[i].on_recv = silence_the_other;
		duo[i].on_send = silence_the_other;
		duo[i].on_ready = silence_the_other;
		probe_add(r, &duo[i]);
		put(fds[i][1], "x", 1);
	}
	for (int i = 0; i < 5; i++)
		ck_assert_int_gt(active_turn(r), 0);
	unsigned first = duo[0].recvs + duo[0].sends + duo[0].readies;
	unsigned second = duo[1].recvs + duo[1].sends + duo[1].readies;
	ck_assert_msg((first == 0) != (second == 0), "%u and %u callbacks: one was silenced", first,
	              second);

	/* And is woken again by the other's callback. */
	unsigned loud = first == 0, silent = !loud;
	duo[loud].recv = duo[loud].send = false;
	hark_handler_refresh(&duo[loud].h);
	quiet(r, 20);
	duo[silent].on_recv = duo[silent].on_send = duo[silent].on_ready = NULL;
	probe_want(&duo[silent], true, false);
	ck_assert_int_eq(active_turn(r), 1);
	hark_reactor_free(r);
}
END_TEST

static void wake_the_other(struct probe *p)
{
	struct probe *other = &duo[p == duo];

	verb_one(p);
	other->recv = true;
	hark_handler_refresh(&other->h);
}

START_TEST(refresh_in_anothers_callback_wakes)
{
	struct hark_reactor *r = new_reactor(NULL);
	int fds[2][2];

	for (int i = 0; i < 2; i++) {
		socket_pair("unix", fds[i]);
		probe_init(&duo[i], fds[i][0]);
		probe_add(r, &duo[i]);
		put(fds[i][1], "x", 1);
	}
	duo[0].on_recv = wake_the_other;
	probe_want(&duo[0], true, false);
	turns_until(r, &duo[0].recvs, 1);
	turns_until(r, &duo[1].recvs, 1);
	hark_reactor_free(r);
}
END_TEST

/* In one turn a handler is called for receiving and then for sending only if it still wants to. */
static void no_more_sending(struct probe *p)
{
	verb_one(p);
	p->send = false;
}

START_TEST(a_callback_can_call_off_the_next_one)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair("unix", fds);
	probe_init(&p, fds[0]);
	p.recv = p.send = true;
	p.on_recv = no_more_sending;
	put(fds[1], "x", 1);
	probe_add(r, &p);
	turns_until(r, &p.recvs, 1);
	settle(r, 5);
	ck_assert_uint_eq(p.sends, 0);
	hark_reactor_free(r);
}
END_TEST

/* Added and removed inside a turn, a descriptor never reaches the backend. */
static struct probe visitor;
static int visitor_fds[2];

static void add_and_remove(struct probe *p)
{
	verb_one(p);
	for (int i = 0; i < 100; i++) {
		probe_init(&visitor, visitor_fds[0]);
		visitor.recv = true;
		probe_add(hark_handler_reactor(&p->h), &visitor);
		hark_handler_remove(&visitor.h);
	}
}

START_TEST(adding_and_removing_within_a_turn_costs_nothing)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair("unix", fds);
	socket_pair("unix", visitor_fds);
	put(visitor_fds[1], "x", 1);
	probe_init(&p, fds[0]);
	p.recv = true;
	p.on_recv = add_and_remove;
	probe_add(r, &p);
	settle(r, 5);
	struct hark_stats before = stats_of(r);
	put(fds[1], "x", 1);
	turns_until(r, &p.recvs, 1);
	settle(r, 5);
	ck_assert_uint_eq(stats_of(r).changes, before.changes);
	ck_assert_uint_eq(stats_of(r).handlers, 1);

	/* Between turns, too. */
	add_and_remove(&p);
	settle(r, 5);
	ck_assert_uint_eq(stats_of(r).changes, before.changes);
	ck_assert_uint_eq(visitor.recvs, 0);
	hark_reactor_free(r);
}
END_TEST

/* The peer is gone and the handler wants nothing: the reactor sleeps. */
START_TEST(a_hang_up_that_nobody_wants_does_not_spin)
{
	exact(EXACT_VERBS);
	const char *transport = transports[_i % 2];
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transport, fds);
	probe_init(&p, fds[0]);
	switch (_i / 2) {
	case 0: /* never wanted anything */
		probe_add(r, &p);
		settle(r, 5);
		close(fds[1]);
		break;
	case 1: /* wanted, on levels */
		p.recv = true;
		probe_add(r, &p);
		settle(r, 5);
		probe_want(&p, false, false);
		close(fds[1]);
		break;
	case 2: /* wanted, on edges */
		p.recv = true;
		probe_add(r, &p);
		to_edges(r, &p, fds[1]);
		probe_want(&p, false, false);
		close(fds[1]);
		break;
	case 3: /* on edges; it stops to want only when it has seen the end */
		p.recv = true;
		probe_add(r, &p);
		to_edges(r, &p, fds[1]);
		p.on_recv = verb_one;
		close(fds[1]);
		turns_until(r, &p.recvs, 3);
		probe_want(&p, false, false);
		break;
	default: /* the same on levels, with plain calls */
		p.recv = true;
		p.on_recv = plain_one;
		probe_add(r, &p);
		close(fds[1]);
		turns_until(r, &p.recvs, 3);
		probe_want(&p, false, false);
		break;
	}
	unsigned recvs = p.recvs;
	for (int i = 0; i < 5; i++)
		quiet(r, 20);
	ck_assert_uint_eq(p.recvs, recvs);

	/* It is not forgotten. */
	p.on_recv = verb_one;
	probe_want(&p, true, false);
	turns_until(r, &p.recvs, recvs + 1);
	ck_assert_int_eq(p.result, 0);
	hark_reactor_free(r);
}
END_TEST

/* A program that forgets to stop wanting to send would spin elsewhere; here it is asked after
 * each callback, and its answer counts. */
static int left_to_send;

static void send_what_is_left(struct probe *p)
{
	p->result = hark_send(&p->h, "x", 1);
	p->send = --left_to_send > 0;
}

START_TEST(write_interest_is_asked_again_after_each_callback)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transports[_i], fds);
	probe_init(&p, fds[0]);
	p.on_send = send_what_is_left;
	p.send = true;
	left_to_send = 5;
	probe_add(r, &p);
	turns_until(r, &p.sends, 5);
	for (int i = 0; i < 3; i++)
		quiet(r, 20);
	ck_assert_uint_eq(p.sends, 5);
	ck_assert_uint_eq(drain(fds[1]), 5);
	hark_reactor_free(r);
}
END_TEST

/* Asking is not a walk over all handlers: who is not active is not asked. */
START_TEST(an_idle_handler_is_not_asked)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p[50];
	int fds[50][2];
	unsigned asked = 0, now = 0;

	for (int i = 0; i < 50; i++) {
		socket_pair("unix", fds[i]);
		probe_init(&p[i], fds[i][0]);
		p[i].recv = true;
		p[i].on_recv = verb_one;
		probe_add(r, &p[i]);
	}
	settle(r, 5);
	for (int i = 1; i < 50; i++)
		asked += p[i].asked_count;
	for (unsigned i = 1; i <= 100; i++) {
		put(fds[0][1], "x", 1);
		turns_until(r, &p[0].recvs, i);
	}
	for (int i = 1; i < 50; i++)
		now += p[i].asked_count;
	ck_assert_uint_eq(now, asked);
	ck_assert_uint_ge(p[0].asked_count, 100);

	/* And any number of refreshes in a turn is one question. */
	asked = p[1].asked_count;
	for (int i = 0; i < 100; i++)
		hark_handler_refresh(&p[1].h);
	settle(r, 5);
	ck_assert_uint_ge(p[1].asked_count, asked + 1);
	ck_assert_uint_le(p[1].asked_count, asked + 2);
	hark_reactor_free(r);
}
END_TEST

/* Both directions are ready: the one call of handle_ready has them both. */
START_TEST(handle_ready_gets_both_directions_in_one_call)
{
	exact(EXACT_CALLS | EXACT_TURNS);
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transports[_i], fds);
	probe_init_ready(&p, fds[0]);
	p.recv = p.send = true;
	put(fds[1], "x", 1);
	while (recv(fds[0], &p.last, 1, MSG_PEEK) < 0)
		;
	probe_add(r, &p);
	for (unsigned i = 1; i <= 10; i++) {
		ck_assert_int_eq(active_turn(r), 1);
		ck_assert_uint_eq(p.readies, i);
		ck_assert_uint_eq(p.ready, HARK_RECV | HARK_SEND);
	}
	probe_want(&p, true, false);
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_uint_eq(p.ready, HARK_RECV);
	probe_want(&p, false, true);
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_uint_eq(p.ready, HARK_SEND);
	plain_all(&p);
	probe_want(&p, true, true);
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_uint_eq(p.ready, HARK_SEND);
	probe_want(&p, true, false);
	quiet(r, 20);
	ck_assert_uint_eq(p.recvs + p.sends + p.urgents, 0);
	hark_reactor_free(r);
}
END_TEST

/* handle_ready is for who does his own I/O, and the end of file reaches him as readiness. */
START_TEST(handle_ready_stays_level_triggered_to_the_end)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transports[_i], fds);
	probe_init_ready(&p, fds[0]);
	p.recv = true;
	p.on_ready = plain_one;
	probe_add(r, &p);
	for (unsigned i = 0; i < 10; i++) {
		probe_want(&p, true, i % 2);
		settle(r, 2);
		probe_want(&p, true, false);
		put(fds[1], "abc", 3);
		while (p.received < 3 * (i + 1))
			turns_until(r, &p.readies, p.readies + 1);
		ck_assert_int_eq(settle(r, 5), 0);
	}
	shutdown(fds[1], SHUT_WR);
	for (int i = 0; i < 5; i++) {
		turns_until(r, &p.readies, p.readies + 1);
		ck_assert_uint_eq(p.ready & ~HARK_BROKEN, HARK_RECV);
		ck_assert_int_eq(p.result, 0);
	}
	hark_reactor_free(r);
}
END_TEST

static void ready_no_more(struct probe *p)
{
	plain_one(p);
	p->recv = p->send = false;
}

/* handle_ready's handler is asked after its callback, as any other. */
START_TEST(interest_is_asked_after_handle_ready)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transports[_i], fds);
	probe_init_ready(&p, fds[0]);
	p.on_ready = ready_no_more;
	probe_add(r, &p);
	put(fds[1], "abc", 3);
	for (unsigned i = 1; i <= 3; i++) {
		probe_want(&p, true, i % 2);
		turns_until(r, &p.readies, i);
		quiet(r, 20);
		ck_assert_uint_eq(p.readies, i);
	}
	hark_reactor_free(r);
}
END_TEST

/* A handler that uses the verbs in handle_ready, and so looks like one that edges would suit, may
 * go over to its own I/O at any time: it is called while there is something, and no more. */
START_TEST(handle_ready_with_verbs_stays_level_triggered)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transports[_i], fds);
	probe_init_ready(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	for (unsigned round = 0; round < 10; round++) {
		void (*const ways[])(struct probe *) = {verb_one, verb_all, plain_one, plain_all};

		p.on_ready = ways[round % 4];
		put(fds[1], "abc", 3);
		while (p.received < 3 * (round + 1))
			turns_until(r, &p.readies, p.readies + 1);
		ck_assert_int_eq(settle(r, 5), 0);
		p.on_ready = NULL;
		probe_want(&p, true, true);
		ck_assert_int_eq(active_turn(r), 1);
		ck_assert_uint_eq(p.ready, HARK_SEND);
		probe_want(&p, true, false);
		ck_assert_int_eq(settle(r, 5), 0);
	}
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* The peer goes on sending to who does not want to receive: that wakes nobody, once the reactor
 * has noticed. */
START_TEST(what_nobody_wants_does_not_wake_again_and_again)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transports[_i], fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	to_edges(r, &p, fds[1]);
	probe_want(&p, false, false);
	settle(r, 5);
	uint64_t events = stats_of(r).events;
	for (int i = 0; i < 50; i++) {
		put(fds[1], "x", 1);
		ck_assert_int_eq(hark_reactor_turn(r, HARK_MS(1)), 0);
	}
	events = stats_of(r).events - events;
	ck_assert_msg(events <= 4, "%llu events of what nobody wants", (unsigned long long)events);
	p.on_recv = verb_one;
	p.received = 0;
	probe_want(&p, true, false);
	while (p.received < 50)
		turns_until(r, &p.recvs, p.recvs + 1);
	hark_reactor_free(r);
}
END_TEST

TCase *case_interest(void)
{
	TCase *tc = tcase_create("interest");

	tcase_add_loop_test(tc, a_thousand_toggles_in_a_callback_cost_no_change, 0, 4);
	tcase_add_loop_test(tc, a_thousand_toggles_between_turns_cost_no_change, 0, 2);
	tcase_add_loop_test(tc, steady_churn_costs_no_change_on_edges, 0, 4);
	tcase_add_loop_test(tc, a_direction_first_wanted_in_a_callback_is_watched, 0, 2);
	tcase_add_loop_test(tc, refresh_from_outside_takes_effect_before_the_wait, 0, 4);
	tcase_add_loop_test(tc, refresh_in_anothers_callback_takes_effect_before_the_call, 0, 4);
	tcase_add_test(tc, refresh_in_anothers_callback_wakes);
	tcase_add_test(tc, a_callback_can_call_off_the_next_one);
	tcase_add_test(tc, adding_and_removing_within_a_turn_costs_nothing);
	tcase_add_loop_test(tc, a_hang_up_that_nobody_wants_does_not_spin, 0, 10);
	tcase_add_loop_test(tc, write_interest_is_asked_again_after_each_callback, 0, 2);
	tcase_add_test(tc, an_idle_handler_is_not_asked);
	tcase_add_loop_test(tc, handle_ready_gets_both_directions_in_one_call, 0, 2);
	tcase_add_loop_test(tc, handle_ready_stays_level_triggered_to_the_end, 0, 2);
	tcase_add_loop_test(tc, interest_is_asked_after_handle_ready, 0, 2);
	tcase_add_loop_test(tc, handle_ready_with_verbs_stays_level_triggered, 0, 2);
	tcase_add_loop_test(tc, what_nobody_wants_does_not_wake_again_and_again, 0, 2);
	return tc;
}
