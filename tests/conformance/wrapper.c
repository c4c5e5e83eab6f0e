/* wrapper.c - wrappers that bend what passes them: reports that come late or for nothing, refusals,
 * short and empty reads, a clock of their own. What a handler may rely on holds all the same. */
#include "actor.h"
#include "bender.h"
#include "cases.h"
#include "faulty.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *behind(const char *wrappers)
{
	static char chain[300];

	snprintf(chain, sizeof chain, "%s:%s", wrappers, backend);
	return chain;
}

static struct hark_reactor *bent(void)
{
	return bender_reactor(behind(BENDER));
}

/* ---- Reports ---- */

/* Each report comes one wait late, on level and on edges, and nothing is slept upon. */
START_TEST(reports_that_are_held_back_arrive)
{
	struct hark_reactor *r = bent();
	struct bender *b = bender_at("");
	struct actor *a = actor_new(r), *edge = actor_new(r);
	unsigned got = 0;

	actor_make_edge(edge);
	b->hold = true;
	for (int i = 0; i < 20; i++) {
		got += 2;
		actor_feed(a, 2);
		actor_feed(edge, 2);
		turns_until(r, &a->recvs, got);
		turns_until(r, &edge->recvs, got);
		a->send = edge->send = true;
		hark_handler_refresh(&a->handler);
		hark_handler_refresh(&edge->handler);
		turns_until(r, &a->sends, (unsigned)i + 1);
		turns_until(r, &edge->sends, (unsigned)i + 1);
		a->send = edge->send = false;
		hark_handler_refresh(&a->handler);
		hark_handler_refresh(&edge->handler);
	}
	ck_assert_uint_ge(b->readies, 40);
	b->hold = false;
	settle(r, 8);
	quiet(r, 20);
	actor_free(a);
	actor_free(edge);
	hark_reactor_free(r);
}
END_TEST

/* It is held back for one handler, and the number is another's when it arrives. */
START_TEST(report_that_is_held_back_dies_with_its_registration)
{
	struct hark_reactor *r = bent();
	struct bender *b = bender_at("");
	struct actor *a = actor_new(r), *other;
	int fd = a->handler.fd, pair[2];
	uint64_t stale;

	settle(r, 4);
	b->hold = true;
	actor_feed(a, 1);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	ck_assert_uint_eq(b->held_count, 1);
	actor_free(a);
	socket_pair("unix", pair);
	ck_assert_int_eq(pair[0], fd);
	other = actor_make_on(pair[0], pair[1]);
	ck_assert_int_eq(hark_handler_add(r, &other->handler), 0);
	stale = stats_of(r).stale;
	settle(r, 4);
	b->hold = false;
	settle(r, 4);
	ck_assert_uint_eq(stats_of(r).stale, stale + 1);
	ck_assert_uint_eq(other->calls, 0);
	actor_feed(other, 1);
	turns_until(r, &other->recvs, 1);
	actor_free(other);
	hark_reactor_free(r);
}
END_TEST

/* Gone in a callback of the same dispatch, with its reactor: what was held back goes nowhere. */
static struct actor *victim;

static void free_all(struct actor *a)
{
	struct hark_reactor *r = hark_handler_reactor(&a->handler);

	actor_free(victim);
	actor_free(a);
	hark_reactor_free(r);
}

START_TEST(freed_in_a_callback_while_reports_are_held_back)
{
	struct hark_reactor *r = bent();
	struct bender *b = bender_at("");
	struct actor *a = actor_new(r);

	victim = actor_new(r);
	a->act = free_all;
	settle(r, 4);
	b->hold = true;
	actor_feed(a, 1);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	actor_feed(victim, 1);
	ck_assert_int_eq(hark_reactor_turn(r, -1), 0); /* a's report is let go, and a frees all */
	ck_assert_uint_eq(bender_closed, 1);
}
END_TEST

/* A callback for nothing finds nothing, and harms nobody. */
START_TEST(reports_for_nothing_do_no_harm)
{
	struct hark_reactor *r = bent();
	struct bender *b = bender_at("");
	struct actor *a = actor_new(r);

	if (_i)
		actor_make_edge(a);
	settle(r, 4);
	b->spurious = a->handler.fd;
	for (unsigned i = 1; i <= 20; i++) {
		unsigned calls = a->calls;

		ck_assert_int_ge(hark_reactor_turn(r, 0), 1);
		ck_assert_uint_eq(a->calls, calls + 1);
		ck_assert_uint_eq(a->recvs, i - 1);
		actor_feed(a, 1);
		while (a->recvs < i)
			ck_assert_int_ge(hark_reactor_turn(r, 0), 0);
	}
	b->spurious = -1;
	settle(r, 8);
	quiet(r, 20);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* A registration that is not the slot's is nobody's, whoever reports it. */
START_TEST(reports_of_other_generations_are_dropped)
{
	struct hark_reactor *r = bender_reactor(behind("bender=a:bender=b"));
	struct hark_port *up = bender_at("b")->up;
	struct actor *a = actor_new(r);
	uint32_t generation;

	settle(r, 4);
	generation = hark_slot(up, a->handler.fd)->generation;
	ck_assert(!hark_ready(up, a->handler.fd, generation + 1, HARK_RECV));
	ck_assert(!hark_ready(up, -1, generation, HARK_RECV));
	ck_assert(!hark_ready(up, 1 << 20, generation, HARK_RECV));
	hark_refuse(up, a->handler.fd, generation + 1, ENODEV);
	hark_refuse(up, -1, generation, ENODEV);
	ck_assert_uint_eq(stats_of(r).stale, 5);
	quiet(r, 10);
	ck_assert_uint_eq(a->calls, 0);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* ---- Refusals ---- */

START_TEST(refusal_by_a_wrapper)
{
	struct hark_reactor *r = bent();
	struct bender *b = bender_at("");
	struct actor *a = actor_make(), *other = actor_new(r);

	/* At once or late. */
	b->fd = a->handler.fd;
	b->refuse = _i ? 0 : ENODEV;
	b->late = _i ? ENODEV : 0;
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	turns_until(r, &a->errors, 1);
	ck_assert_int_eq(a->error, ENODEV);
	ck_assert_ptr_null(hark_handler_reactor(&a->handler));

	/* As always ready: it is called, and the kernel does not hear of it. */
	b->refuse = _i ? 0 : EPERM;
	b->late = _i ? EPERM : 0;
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_ge(hark_reactor_turn(r, -1), 1);
	ck_assert_uint_ge(a->calls, 4);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	actor_free(a);
	actor_feed(other, 1);
	turns_until(r, &other->recvs, 1);
	quiet(r, 10);
	actor_free(other);
	hark_reactor_free(r);
}
END_TEST

/* A backend whose changes travel later refuses late; the wrappers before it hear of it. */
START_TEST(late_refusal_passes_the_wrappers)
{
	struct hark_reactor *r;
	struct actor *a = actor_make();

	faulty_register();
	r = bender_reactor("bender=a:bender=b:" FAULTY_NAME);
	faulty = (struct faulty){.fd = a->handler.fd, .late = ENODEV};
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	turns_until(r, &a->errors, 1);
	ck_assert_int_eq(a->error, ENODEV);
	ck_assert_uint_eq(bender_at("a")->refusals, 1);
	ck_assert_uint_eq(bender_at("b")->refusals, 1);
	ck_assert_ptr_nonnull(strstr(bender_log, "refuse b, refuse a, "));
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

START_TEST(room_is_reserved_in_each_link)
{
	struct hark_reactor *r;
	struct bender *a, *b;
	struct actor *actor = actor_make();

	faulty_register();
	faulty = (struct faulty){.fd = -1};
	r = bender_reactor("bender=a:bender=b:" FAULTY_NAME);
	a = bender_at("a");
	b = bender_at("b");
	for (int i = 0; i < 3; i++) {
		a->reserve = i == 0 ? ENOMEM : 0;
		b->reserve = i == 1 ? ENOMEM : 0;
		faulty.reserve = i == 2 ? ENOMEM : 0;
		ck_assert_int_eq(hark_handler_add(r, &actor->handler), -ENOMEM);
		ck_assert_ptr_null(hark_handler_reactor(&actor->handler));
	}
	faulty.reserve = 0;
	ck_assert_int_eq(hark_handler_add(r, &actor->handler), 0);
	actor_feed(actor, 1);
	turns_until(r, &actor->recvs, 1);
	actor_free(actor);
	hark_reactor_free(r);
}
END_TEST

/* ---- Verbs ---- */

static void recv_much(struct probe *p)
{
	char bytes[4096];

	p->result = hark_recv(&p->h, bytes, sizeof bytes);
	if (p->result > 0)
		p->received += (size_t)p->result;
}

static void recvfrom_much(struct probe *p)
{
	char bytes[4096];

	p->result = hark_recvfrom(&p->h, bytes, sizeof bytes, 0, NULL, NULL);
	if (p->result > 0)
		p->received += (size_t)p->result;
}

/* Receives all of what is sent, a callback at a time; a socket that is taken for drained before it
 * is leaves the reactor asleep. */
static void receive_all(struct hark_reactor *r, struct probe *p, int peer)
{
	static const char bytes[1000];

	for (size_t round = 1; round <= 5; round++) {
		put(peer, bytes, sizeof bytes);
		while (p->received < round * sizeof bytes)
			ck_assert_msg(hark_reactor_turn(r, HARK_S(20)) > 0, "stuck after %zu bytes",
			              p->received);
	}
	settle(r, 10);
	quiet(r, 10);
}

static struct hark_reactor *on_edges(struct probe *p, int fds[2], const char *transport)
{
	struct hark_reactor *r = bent();
	bool edges;

	socket_pair(transport, fds);
	probe_init(p, fds[0]);
	p->recv = true;
	probe_add(r, p);
	edges = to_edges(r, p, fds[1]);
	ck_assert_int_eq(edges, (backend_can() & HARK_CAN_EDGE) != 0);
	p->on_recv = recv_much;
	return r;
}

static const char *const transports[] = {"unix", "tcp"};

/* A read is short by what the wrapper asked for, not by what the handler did. */
START_TEST(short_reads_lose_nothing)
{
	struct probe p;
	int fds[2];
	struct hark_reactor *r = on_edges(&p, fds, transports[_i]);

	bender_at("")->shorten = 100;
	receive_all(r, &p, fds[1]);
	p.on_recv = recvfrom_much;
	p.received = 0;
	bender_at("")->shorten = 7;
	receive_all(r, &p, fds[1]);
	hark_reactor_free(r);
}
END_TEST

/* Reads that find nothing where there is something, each followed by a report. */
START_TEST(empty_reads_lose_nothing)
{
	struct probe p;
	int fds[2];
	struct hark_reactor *r = on_edges(&p, fds, transports[_i]);

	for (unsigned again = 1; again <= 3; again++) {
		p.received = 0;
		bender_at("")->again = again;
		receive_all(r, &p, fds[1]);
		ck_assert_uint_eq(bender_at("")->again, 0);
	}
	hark_reactor_free(r);
}
END_TEST

/* That a socket was empty is the kernel's to say: what is in it from before it was on edges may
 * hold an urgent mark, where a read is short. */
START_TEST(empty_read_of_a_wrapper_s_making_proves_nothing)
{
	struct hark_reactor *r = bent();
	struct bender *b = bender_at("");
	struct probe p;
	char urgent;
	int fds[2];

	socket_pair("tcp", fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	p.on_recv = verb_one;
	probe_add(r, &p);
	put(fds[1], "x", 1);
	turns_until(r, &p.recvs, 1);
	p.received = 0;
	probe_want(&p, false, false);
	put(fds[1], "abc", 3);
	ck_assert_int_eq(send(fds[1], "U", 1, MSG_OOB), 1);
	put(fds[1], "def", 3);
	while (recv(fds[0], &urgent, 1, MSG_OOB) != 1)
		;
	settle(r, 3); /* edges are armed only now */
	p.on_recv = recv_much;
	b->again = 1;
	probe_want(&p, true, false);
	while (p.received < 6)
		ck_assert_msg(hark_reactor_turn(r, HARK_S(20)) > 0, "stuck after %zu of 6 bytes",
		              p.received);
	ck_assert_uint_eq(b->again, 0);
	hark_reactor_free(r);
}
END_TEST

/* ---- Time, and an outer loop ---- */

START_TEST(clock_of_a_wrapper_is_the_reactor_s)
{
	struct hark_reactor *r = bender_reactor(behind("bender=a:bender=b"));
	int64_t before, now;

	bender_at("a")->ahead = HARK_S(1000);
	bender_at("b")->ahead = HARK_S(20);
	before = clock_ns();
	now = hark_reactor_now(r) - HARK_S(1020);
	ck_assert(before <= now && now <= clock_ns());
	hark_reactor_free(r);
}
END_TEST

START_TEST(outer_loop_is_told_of_what_is_held_back)
{
	struct hark_reactor *r = bent();
	struct bender *b = bender_at("");
	struct actor *a = actor_new(r);

	settle(r, 4);
	ck_assert_int_eq(hark_reactor_prepare(r), -1);
	b->hold = true;
	actor_feed(a, 1);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	ck_assert_int_eq(hark_reactor_prepare(r), 0);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 1);
	ck_assert_uint_eq(a->recvs, 1);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

TCase *case_wrapper(void)
{
	TCase *tc = tcase_create("wrapper");

	tcase_add_test(tc, reports_that_are_held_back_arrive);
	tcase_add_test(tc, report_that_is_held_back_dies_with_its_registration);
	tcase_add_test(tc, freed_in_a_callback_while_reports_are_held_back);
	tcase_add_loop_test(tc, reports_for_nothing_do_no_harm, 0, 2);
	tcase_add_test(tc, reports_of_other_generations_are_dropped);
	tcase_add_loop_test(tc, refusal_by_a_wrapper, 0, 2);
	tcase_add_test(tc, late_refusal_passes_the_wrappers);
	tcase_add_test(tc, room_is_reserved_in_each_link);
	tcase_add_loop_test(tc, short_reads_lose_nothing, 0, 2);
	tcase_add_loop_test(tc, empty_reads_lose_nothing, 0, 2);
	tcase_add_test(tc, empty_read_of_a_wrapper_s_making_proves_nothing);
	tcase_add_test(tc, clock_of_a_wrapper_is_the_reactor_s);
	tcase_add_test(tc, outer_loop_is_told_of_what_is_held_back);
	return tc;
}
