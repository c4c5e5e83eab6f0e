/* level.c - readiness is level-triggered: a handler is called as long as there is something, in
 * whatever way and in whatever portions it takes it. A reactor that watches with edges must not
 * let a handler notice, neither one that does its own I/O nor one that changes its mind. */
#include "cases.h"
#include "conformance.h"
#include "probe.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const transports[] = {"unix", "tcp"};

/* How a handler does its I/O: with hark's verbs, with plain system calls, or with a mixture. */
enum how {
	VERBS,
	PLAIN,
	ALTERNATELY,      /* one callback with verbs, the next with plain calls */
	VERBS_THEN_PLAIN, /* for the first part of the test verbs, then plain calls */
	PLAIN_THEN_VERBS,
	BOTH, /* in one callback first a verb, then a plain call */
	BOTH_REVERSED,
	HOWS,
};

static const char *const how_name[] = {
	"verbs", "plain",         "alternately", "verbs then plain", "plain then verbs",
	"both",  "both reversed",
};

/* When the interest changes, which is what turns a registration to edges. */
enum when { NEVER, BEFORE, DURING, WHENS };

static const char *const when_name[] = {"never", "before", "during"};

#define ROUNDS 40

/* A handler that takes a portion in each callback and checks that no byte is missing. */
struct taker {
	struct probe p;
	enum how how;
	size_t portion;
	unsigned round;
	unsigned char next; /* the byte that comes next */
};

static bool with_verb(const struct taker *t, unsigned callback)
{
	switch (t->how) {
	case PLAIN:
	case BOTH_REVERSED:
		return false;
	case ALTERNATELY:
		return callback % 2 == 0;
	case VERBS_THEN_PLAIN:
		return t->round < ROUNDS / 2;
	case PLAIN_THEN_VERBS:
		return t->round >= ROUNDS / 2;
	default:
		return true;
	}
}

static void take_portion(struct taker *t, bool verb)
{
	unsigned char buf[128];
	ssize_t n;

	if (verb) {
		n = hark_recv(&t->p.h, buf, t->portion);
	} else {
		n = recv(t->p.h.fd, buf, t->portion, 0);
		if (n < 0)
			n = -errno;
	}
	require(n > 0 || again(n), "receiving failed: %s", strerror((int)-n));
	for (ssize_t i = 0; i < n; i++)
		require(buf[i] == t->next++, "another byte after %zu", t->p.received);
	if (n > 0)
		t->p.received += (size_t)n;
}

static void take(struct probe *p)
{
	struct taker *t = (struct taker *)(void *)p;
	bool verb = with_verb(t, p->recvs);

	take_portion(t, verb);
	if (t->how == BOTH || t->how == BOTH_REVERSED)
		take_portion(t, !verb);
}

static void put_counting(int fd, unsigned char *next, size_t n)
{
	unsigned char buf[64];

	for (size_t i = 0; i < n; i++)
		buf[i] = (*next)++;
	put(fd, buf, n);
}

/* Receiving in every mixture, by single bytes and by more than there is, over both transports,
 * on registrations whose interest never changed, has changed before, and keeps changing. */
START_TEST(no_byte_is_lost_however_it_is_received)
{
	int i = _i;
	enum how how = (enum how)(i % HOWS);
	i /= HOWS;
	enum when when = (enum when)(i % WHENS);
	i /= WHENS;
	const char *transport = transports[i % 2];
	size_t portion = i / 2 ? 100 : 1;
	struct hark_reactor *r = new_reactor(NULL);
	struct taker t = {.how = how, .portion = portion};
	unsigned char next = 0;
	size_t sent = 0;
	int fds[2];

	socket_pair(transport, fds);
	probe_init(&t.p, fds[0]);
	t.p.recv = true;
	t.p.on_recv = take;
	probe_add(r, &t.p);
	if (when == BEFORE)
		to_edges(r, &t.p, fds[1]);

	for (t.round = 0; t.round < ROUNDS; t.round++) {
		size_t n = 1 + t.round * 7 % 23;
		bool pause = when == DURING && t.round % 3;
		unsigned recvs = t.p.recvs;

		if (pause)
			probe_want(&t.p, false, false);
		if (pause && t.round % 3 == 1)
			settle(r, 5); /* the kernel is told so, and only then do they come */
		put_counting(fds[1], &next, n);
		sent += n;
		if (pause) {
			settle(r, 5);
			ck_assert_uint_eq(t.p.recvs, recvs);
			probe_want(&t.p, true, false);
		}
		while (t.p.received < sent) {
			recvs = t.p.recvs;
			int callbacks = active_turn(r);
			ck_assert_msg(callbacks > 0 && t.p.recvs == recvs + 1,
			              "%s, %s, interest changed %s, %zu bytes a callback: stuck in "
			              "round %u after %zu of %zu bytes",
			              how_name[how], transport, when_name[when], portion, t.round,
			              t.p.received, sent);
		}
		int spurious = settle(r, 20);
		ck_assert_msg(spurious <= few(3),
		              "%s, %s, interest changed %s: %d spurious callbacks", how_name[how],
		              transport, when_name[when], spurious);
	}
	hark_reactor_free(r);
}
END_TEST

/* An echo that holds at most one portion, so that its interest changes in every callback. */
struct echo {
	struct probe p;
	enum how recv_how, send_how;
	size_t portion;
	size_t held, taken; /* in buf, and of these sent */
	char buf[1000];
};

static bool echo_verb(enum how how, unsigned callback)
{
	return how == VERBS || (how == ALTERNATELY && callback % 2);
}

static void echo_recv(struct probe *p)
{
	struct echo *e = (struct echo *)(void *)p;
	ssize_t n;

	if (echo_verb(e->recv_how, p->recvs))
		n = hark_recv(&p->h, e->buf, e->portion);
	else if ((n = recv(p->h.fd, e->buf, e->portion, 0)) < 0)
		n = -errno;
	if (again(n))
		return;
	require(n > 0, "%zd bytes", n);
	e->held = (size_t)n;
	e->taken = 0;
	p->recv = false;
	p->send = true;
}

static void echo_send(struct probe *p)
{
	struct echo *e = (struct echo *)(void *)p;
	const char *from = e->buf + e->taken;
	size_t left = e->held - e->taken;
	ssize_t n;

	if (echo_verb(e->send_how, p->sends))
		n = hark_send(&p->h, from, left);
	else if ((n = send(p->h.fd, from, left, 0)) < 0)
		n = -errno;
	if (again(n))
		return;
	require(n > 0, "%zd bytes", n);
	e->taken += (size_t)n;
	p->send = e->taken < e->held;
	p->recv = !p->send;
}

/* The client of the echo: sends a sequence and checks it when it comes back, at most `slowly`
 * bytes at a time. Returns whether it could do anything. */
struct client {
	int fd;
	size_t total, sent, received, slowly;
};

static char client_byte(size_t at)
{
	return (char)(at * 31 >> 3);
}

static bool client_step(struct client *c)
{
	char buf[512];
	size_t n = c->total - c->sent;
	bool progress = false;
	ssize_t done;

	if (n > sizeof buf)
		n = sizeof buf;
	for (size_t i = 0; i < n; i++)
		buf[i] = client_byte(c->sent + i);
	if (n > 0 && (done = send(c->fd, buf, n, 0)) > 0) {
		c->sent += (size_t)done;
		progress = true;
	}
	done = recv(c->fd, buf, c->slowly, 0);
	bool same = true; /* an assertion a byte would take most of the test's time */
	for (ssize_t i = 0; i < done; i++)
		same &= buf[i] == client_byte(c->received + (size_t)i);
	require(same, "other bytes than those sent, after %zu", c->received);
	if (done > 0) {
		c->received += (size_t)done;
		progress = true;
	}
	return progress;
}

/* Receiving in one way and sending in another, with interest that changes in each callback: by
 * single bytes, and with so much that both directions are full again and again. */
START_TEST(an_echo_loses_nothing_however_it_receives_and_sends)
{
	static const enum how hows[] = {VERBS, PLAIN, ALTERNATELY};
	const char *transport = transports[_i / 9 % 2];
	bool much = _i / 18;
	struct hark_reactor *r = new_reactor(NULL);
	struct echo e = {
		.recv_how = hows[_i % 3],
		.send_how = hows[_i / 3 % 3],
		.portion = much ? sizeof e.buf : 1,
	};
	struct client c = {.total = much ? (chaotic() ? 200000 : 600000) : 300,
	                   .slowly = much ? 100 : 10};
	int fds[2];

	small_pair(transport, fds);
	c.fd = fds[1];
	probe_init(&e.p, fds[0]);
	e.p.recv = true;
	e.p.on_recv = echo_recv;
	e.p.on_send = echo_send;
	probe_add(r, &e.p);

	/* Much: now the client is so slow that everything is full, now everything is drained. What
	 * is on its way inside TCP is nobody's to wait for: hence the short turns. */
	int64_t progress = clock_ns();
	while (c.received < c.total) {
		if (much)
			c.slowly = c.received % 3000 < 500 ? 500 : 100;
		if (client_step(&c) || hark_reactor_turn(r, 0) > 0)
			progress = clock_ns();
		else
			ck_assert_int_ge(hark_reactor_turn(r, HARK_MS(1)), 0);
		ck_assert_msg(
			clock_ns() - progress < HARK_S(20),
			"receives with %s, sends with %s, %s: stuck after %zu of %zu bytes, of "
			"which %zu were sent",
			how_name[e.recv_how], how_name[e.send_how], transport, c.received, c.total,
			c.sent);
	}
	ck_assert_uint_eq(c.received, c.total);
	ck_assert_int_le(settle(r, 20), few(3));
	hark_reactor_free(r);
}
END_TEST

/* A handler that ignores its callback is called again in each turn, once. */
START_TEST(an_ignored_callback_comes_again_each_turn)
{
	exact(EXACT_CALLS);
	bool edges = _i / 2;
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transports[_i % 2], fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	if (edges)
		to_edges(r, &p, fds[1]);
	put(fds[1], "x", 1);
	turns_until(r, &p.recvs, 1);
	for (unsigned turn = 2; turn < 20; turn++) {
		ck_assert_int_eq(active_turn(r), 1);
		ck_assert_uint_eq(p.recvs, turn);
	}

	/* The same with both directions, and then with one again. */
	probe_want(&p, true, true);
	for (unsigned turn = 1; turn < 20; turn++) {
		ck_assert_int_eq(active_turn(r), 2);
		ck_assert_uint_eq(p.sends, turn);
	}
	probe_want(&p, false, true);
	for (unsigned turn = 20; turn < 40; turn++) {
		ck_assert_int_eq(active_turn(r), 1);
		ck_assert_uint_eq(p.sends, turn);
	}
	hark_reactor_free(r);
}
END_TEST

/* While a registration is level-triggered, hark adds no callback to those of the kernel: never to
 * a handler that does its own I/O, whether or not its interest changes, and not to one with verbs
 * until its interest first changes. */
START_TEST(a_level_triggered_handler_gets_no_spurious_callback)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	const char *transport = transports[_i % 2];
	bool verbs = _i / 2;
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transport, fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	p.on_recv = verbs ? verb_one : plain_one;
	probe_add(r, &p);
	ck_assert_int_eq(settle(r, 10), 0);
	for (unsigned i = 0; i < 100; i++) {
		unsigned recvs = p.recvs;

		if (!verbs && i % 5 == 4) {
			probe_want(&p, true, true);
			ck_assert_int_eq(active_turn(r), 1);
			probe_want(&p, true, false);
		}
		put(fds[1], "abc", 3);
		turns_until(r, &p.recvs, recvs + 3);
		ck_assert_int_eq(settle(r, 10), 0);
		ck_assert_uint_eq(p.recvs, recvs + 3);
		ck_assert_int_eq(p.last, 'c');
	}
	ck_assert_uint_eq(p.sends, verbs ? 0 : 20);
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* Readiness that a turn reported and nobody was called for is the kernel's to report again: by
 * the time the handler wants it, it may be over. */
static void send_no_more(struct probe *p)
{
	plain_one(p);
	p->send = false;
}

START_TEST(a_level_triggered_handler_is_not_called_for_what_was_ready)
{
	exact(EXACT_CALLS);
	bool edges = _i / 2;
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	small_pair(transports[_i % 2], fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	if (edges) {
		/* Edges remember that there is room; its own I/O brings it back to levels. */
		to_edges(r, &p, fds[1]);
		p.on_recv = plain_one;
		put(fds[1], "x", 1);
		turns_until(r, &p.recvs, 1);
		settle(r, 5);
	}
	put(fds[1], "x", 1);
	while (recv(fds[0], &p.last, 1, MSG_PEEK) < 0)
		;
	p.on_recv = send_no_more;
	probe_want(&p, true, true);
	unsigned recvs = p.recvs;
	turns_until(r, &p.recvs, recvs + 1);
	ck_assert_uint_eq(p.sends, 0);

	/* Full, and full again if what TCP has in hand arrives meanwhile. */
	put(fds[1], "y", 1);
	struct pollfd room = {.fd = fds[0], .events = POLLOUT};
	do
		fill(fds[0]);
	while (poll(&room, 1, 50) > 0);
	p.on_recv = plain_one;
	probe_want(&p, true, true);
	turns_until(r, &p.recvs, recvs + 2);
	settle(r, 5);
	ck_assert_msg(p.sends == 0, "called %u times for room that there no longer is", p.sends);
	hark_reactor_free(r);
}
END_TEST

/* Plain I/O after a verb has drained the socket and edges have been armed: the reactor sees the
 * verb's EAGAIN, not that the plain call of an earlier callback had left something. */
START_TEST(plain_io_on_edges_is_called_while_anything_remains)
{
	const char *transport = transports[_i];
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transport, fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	to_edges(r, &p, fds[1]);
	p.received = 0;
	p.on_recv = plain_one;
	for (unsigned round = 1; round <= 20; round++) {
		put(fds[1], "0123456789", 10);
		while (p.received < 10 * round)
			turns_until(r, &p.recvs, p.recvs + 1);
		ck_assert_int_eq(p.last, '9');
		ck_assert_int_le(settle(r, 10), few(1));
	}

	/* And verbs again, now that the registration has gone back to levels. */
	p.on_recv = verb_one;
	for (unsigned round = 21; round <= 40; round++) {
		probe_want(&p, false, false);
		ck_assert_int_eq(settle(r, 10), 0);
		put(fds[1], "0123456789", 10);
		probe_want(&p, true, false);
		while (p.received < 10 * round)
			turns_until(r, &p.recvs, p.recvs + 1);
	}
	hark_reactor_free(r);
}
END_TEST

/* What woke the reactor was one direction; when the turn comes, both are ready. */
START_TEST(a_wake_up_for_one_direction_does_not_hide_the_other)
{
	exact(EXACT_CALLS | EXACT_TURNS);
	bool glue = _i % 2, edges = _i / 2;
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	small_pair("unix", fds);
	if (glue)
		probe_init_ready(&p, fds[0]);
	else
		probe_init(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	if (edges)
		to_edges(r, &p, fds[1]);
	p.recvs = 0;
	fill(fds[0]);
	probe_want(&p, true, true);
	settle(r, 5);
	p.sends = p.readies = 0;
	drain(fds[1]);
	put(fds[1], "x", 1);
	ck_assert_int_eq(active_turn(r), glue ? 1 : 2);
	if (glue)
		ck_assert_uint_eq(p.ready & (HARK_RECV | HARK_SEND), HARK_RECV | HARK_SEND);
	else
		ck_assert(p.recvs == 1 && p.sends == 1);
	hark_reactor_free(r);
}
END_TEST

TCase *case_level(void)
{
	TCase *tc = tcase_create("level");

	tcase_add_loop_test(tc, no_byte_is_lost_however_it_is_received, 0, HOWS * WHENS * 4);
	tcase_add_loop_test(tc, an_echo_loses_nothing_however_it_receives_and_sends, 0, 36);
	tcase_add_loop_test(tc, an_ignored_callback_comes_again_each_turn, 0, 4);
	tcase_add_loop_test(tc, a_level_triggered_handler_gets_no_spurious_callback, 0, 4);
	tcase_add_loop_test(tc, a_level_triggered_handler_is_not_called_for_what_was_ready, 0, 4);
	tcase_add_loop_test(tc, plain_io_on_edges_is_called_while_anything_remains, 0, 2);
	tcase_add_loop_test(tc, a_wake_up_for_one_direction_does_not_hide_the_other, 0, 3);
	return tc;
}
