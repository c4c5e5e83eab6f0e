/* edge.c - what a reactor that watches with edges can get wrong. Each test first brings its
 * descriptor onto edges, where the backend has them; what it then expects holds everywhere.
 *
 * A read that fills only a part of its buffer proves nothing on most sockets, and on TCP not
 * always; a call that answers EAGAIN proves nothing if it asked for something else. A reactor
 * that believes such a call waits for an edge that never comes: the tests see it fall asleep. */
#include "cases.h"
#include "conformance.h"
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const transports[] = {"unix", "tcp"};

/* One hark_recv a callback, into more room than there is data for. */
static void recv_much(struct probe *p)
{
	char buf[1000];

	p->result = hark_recv(&p->h, buf, sizeof buf);
	if (p->result > 0) {
		p->received += (size_t)p->result;
		p->last = buf[p->result - 1];
	}
}

static void recvmsg_much(struct probe *p)
{
	char buf[1000];
	char control[256];
	struct iovec iov = {.iov_base = buf, .iov_len = sizeof buf};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control,
	};

	p->result = hark_recvmsg(&p->h, &msg, 0);
	if (p->result > 0) {
		p->received += (size_t)p->result;
		p->last = buf[p->result - 1];
	}
}

/* A stream socket on edges, drained, that wants to receive. */
static struct hark_reactor *on_edges(struct probe *p, int fds[2], const char *transport)
{
	struct hark_reactor *r = new_reactor(NULL);

	socket_pair(transport, fds);
	probe_init(p, fds[0]);
	p->recv = true;
	probe_add(r, p);
	bool edges = to_edges(r, p, fds[1]);
	if (backend_can() & HARK_CAN_EDGE)
		ck_assert_msg(edges, "%s: a change of interest still costs a change", transport);
	return r;
}

/* Runs turns until that many bytes have been received, each turn with a callback. */
static void until_received(struct hark_reactor *r, struct probe *p, size_t n)
{
	while (p->received < n) {
		ck_assert_msg(active_turn(r) > 0, "stuck after %zu of %zu bytes", p->received, n);
	}
	ck_assert_uint_eq(p->received, n);
}

static void send_with_fd(int socket, int fd, const char *data)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char bytes[64];
	struct iovec iov = {.iov_base = bytes, .iov_len = strlen(data)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof control.room,
	};

	ck_assert_uint_lt(iov.iov_len, sizeof bytes);
	memcpy(bytes, data, iov.iov_len);
	memset(&control, 0, sizeof control);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(cmsg), &fd, sizeof fd);
	ck_assert_int_eq(sendmsg(socket, &msg, 0), (ssize_t)iov.iov_len);
}

/* A Unix stream stops at ancillary data, with more behind. */
START_TEST(a_short_read_at_ancillary_data_leaves_more_behind)
{
	struct probe p;
	int fds[2];
	struct hark_reactor *r = on_edges(&p, fds, "unix");

	p.on_recv = _i ? recvmsg_much : recv_much;
	for (size_t round = 1; round <= 5; round++) {
		put(fds[1], "ab", 2);
		send_with_fd(fds[1], 0, "cd");
		put(fds[1], "ef", 2);
		send_with_fd(fds[1], 0, "gh");
		until_received(r, &p, 8 * round);
		ck_assert_int_eq(p.last, 'h');
		settle(r, 10);
	}
	hark_reactor_free(r);
}
END_TEST

static int urgent_peer;

static void send_urgent(int fd)
{
	ck_assert_int_eq(send(fd, "U", 1, MSG_OOB), 1);
}

/* The urgent byte and more come between the report and the read. */
static void urgent_comes_then_recv(struct probe *p)
{
	if (urgent_peer >= 0) {
		send_urgent(urgent_peer);
		put(urgent_peer, "cdefg", 5);
		urgent_peer = -1;
	}
	recv_much(p);
}

/* A read from TCP stops at urgent data, with more behind, also for who does not want any. */
START_TEST(a_short_read_at_urgent_data_leaves_more_behind)
{
	struct probe p;
	int fds[2];
	struct hark_reactor *r = on_edges(&p, fds, "tcp");

	p.on_recv = recv_much;
	urgent_peer = -1;
	for (size_t round = 1; round <= 6; round++) {
		put(fds[1], "ab", 2);
		if (round % 3 == 0) {
			urgent_peer = fds[1];
			p.on_recv = urgent_comes_then_recv;
		} else {
			if (round % 3 == 1) {
				p.on_recv = verb_one;
				turns_until(r, &p.recvs, p.recvs + 1);
				p.on_recv = recv_much;
			}
			send_urgent(fds[1]);
			put(fds[1], "cdefg", 5);
		}
		until_received(r, &p, 7 * round);
		ck_assert_int_eq(p.last, 'g');
		settle(r, 10);
	}
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* Once the urgent byte has been taken nothing reports it any more, and yet a read stops there. */
START_TEST(a_short_read_where_urgent_data_was_taken_leaves_more_behind)
{
	exact(EXACT_VERBS);
	/* On edges only with the verb: what the program does by itself outside its callbacks is
	 * hidden from the reactor. */
	bool edges_first = _i == 2, verb = _i > 0;
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	char urgent;
	int fds[2];

	socket_pair("tcp", fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	p.on_recv = verb_one;
	probe_add(r, &p);
	if (edges_first) {
		to_edges(r, &p, fds[1]);
	} else {
		put(fds[1], "x", 1);
		turns_until(r, &p.recvs, 1);
	}
	p.received = 0;
	probe_want(&p, false, false);
	put(fds[1], "abc", 3);
	send_urgent(fds[1]);
	put(fds[1], "def", 3);
	ssize_t n;
	do
		n = verb ? hark_recvfrom(&p.h, &urgent, 1, MSG_OOB, NULL, NULL)
		         : recv(fds[0], &urgent, 1, MSG_OOB);
	while (n != 1);
	if (!edges_first)
		settle(r, 3); /* edges are armed only now */
	p.on_recv = recv_much;
	probe_want(&p, true, false);
	until_received(r, &p, 6);
	ck_assert_int_eq(p.last, 'f');
	hark_reactor_free(r);
}
END_TEST

/* A pair of sockets that keep their messages apart. */
static void packet_pair(const char *kind, int fds[2])
{
	if (!strcmp(kind, "udp")) {
		struct sockaddr_in a[2];

		for (int i = 0; i < 2; i++) {
			socklen_t len = sizeof a[i];

			fds[i] = socket(AF_INET, SOCK_DGRAM, 0);
			ck_assert_int_ge(fds[i], 0);
			memset(&a[i], 0, sizeof a[i]);
			a[i].sin_family = AF_INET;
			a[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
			ck_assert_int_eq(bind(fds[i], (struct sockaddr *)&a[i], len), 0);
			ck_assert_int_eq(getsockname(fds[i], (struct sockaddr *)&a[i], &len), 0);
		}
		for (int i = 0; i < 2; i++)
			ck_assert_int_eq(connect(fds[i], (struct sockaddr *)&a[!i], sizeof a[!i]),
			                 0);
	} else {
		int type = strcmp(kind, "seqpacket") ? SOCK_DGRAM : SOCK_SEQPACKET;

		if (socketpair(AF_UNIX, type, 0, fds) && errno == EPROTONOSUPPORT) {
			/* macOS has no such sockets. */
			ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
		}
	}
	nonblocking(fds[0]);
	nonblocking(fds[1]);
}

/* Each read takes one message and leaves the others. */
START_TEST(each_packet_gets_its_callback)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	static const char *const kinds[] = {"seqpacket", "dgram", "udp"};
	static const char *const messages[] = {"a", "bcd", "efghi", "jk", "l"};
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	packet_pair(kinds[_i % 3], fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	to_edges(r, &p, fds[1]);
	p.on_recv = _i / 3 ? recvmsg_much : recv_much;
	for (size_t round = 1; round <= 4; round++) {
		unsigned recvs = p.recvs;

		for (int i = 0; i < 5; i++)
			put(fds[1], messages[i], strlen(messages[i]));
		until_received(r, &p, 12 * round);
		ck_assert_int_eq(p.last, 'l');
		ck_assert_uint_eq(p.recvs, recvs + 5);
		ck_assert_int_le(settle(r, 10), few(1));
	}
	hark_reactor_free(r);
}
END_TEST

/* Calls that answer EAGAIN or less than was asked for, and say nothing about what is queued. */
static void peek(struct probe *p)
{
	char buf[1000];

	p->result = hark_recvfrom(&p->h, buf, sizeof buf, MSG_PEEK, NULL, NULL);
}

static void peek_message(struct probe *p)
{
	char buf[1000];
	struct iovec iov = {.iov_base = buf, .iov_len = sizeof buf};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	p->result = hark_recvmsg(&p->h, &msg, MSG_PEEK);
}

static void out_of_band(struct probe *p)
{
	char buf[1000];

	p->result = hark_recvfrom(&p->h, buf, sizeof buf, MSG_OOB, NULL, NULL);
}

static void nothing_asked(struct probe *p)
{
	char c;

	p->result = hark_recv(&p->h, &c, 0);
}

#ifdef MSG_ERRQUEUE
static void error_queue(struct probe *p)
{
	char buf[1000];
	struct iovec iov = {.iov_base = buf, .iov_len = sizeof buf};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	p->result = hark_recvmsg(&p->h, &msg, MSG_ERRQUEUE);
}
#endif

static void (*const beside_the_point[])(struct probe *p) = {
	peek,        peek_message, out_of_band, nothing_asked,
#ifdef MSG_ERRQUEUE
	error_queue,
#endif
};

/* Each on TCP and then on a Unix stream, but for the last, which a Unix stream has not. */
#ifdef MSG_ERRQUEUE
#define BESIDE_THE_POINT 9
#else
#define BESIDE_THE_POINT 8
#endif

START_TEST(a_call_beside_the_point_does_not_say_drained)
{
	void (*call)(struct probe * p) = beside_the_point[_i / 2];
	struct probe p;
	int fds[2];
	struct hark_reactor *r = on_edges(&p, fds, transports[!(_i % 2)]);

	for (size_t round = 1; round <= 5; round++) {
		put(fds[1], "abc", 3);
		p.on_recv = call;
		for (int i = 0; i < 3; i++)
			turns_until(r, &p.recvs, p.recvs + 1);
		p.on_recv = verb_one;
		until_received(r, &p, 3 * round);
		settle(r, 10);
	}
	hark_reactor_free(r);
}
END_TEST

/* Nor does it say that there is something: whoever makes no other call is called for what the
 * kernel reports, not for what was ready once. */
START_TEST(a_call_beside_the_point_that_finds_nothing_does_not_spin)
{
	void (*call)(struct probe * p) = beside_the_point[_i / 2];
	struct probe p;
	int fds[2];
	struct hark_reactor *r = on_edges(&p, fds, transports[!(_i % 2)]);

	if (call == nothing_asked) { /* it finds what it asks for */
		hark_reactor_free(r);
		return;
	}
	for (size_t round = 1; round <= 5; round++) {
		put(fds[1], "abc", 3);
		p.on_recv = verb_one;
		until_received(r, &p, 3 * round); /* with no EAGAIN */
		p.on_recv = call;
		ck_assert_int_le(settle(r, 100), few(3));
	}
	hark_reactor_free(r);
}
END_TEST

/* Urgent data that is read with room to spare leaves the ordinary data where it is. */
START_TEST(reading_urgent_data_does_not_say_drained)
{
	exact(EXACT_VERBS);
	struct probe p;
	int fds[2];
	struct hark_reactor *r = on_edges(&p, fds, "tcp");

	put(fds[1], "abc", 3);
	send_urgent(fds[1]);
	p.on_recv = out_of_band;
	do
		turns_until(r, &p.recvs, p.recvs + 1);
	while (p.result != 1 && chaotic()); /* called for nothing, when it was on its way */
	ck_assert_int_eq(p.result, 1);
	p.on_recv = verb_one;
	until_received(r, &p, 3);
	settle(r, 10);
	hark_reactor_free(r);
}
END_TEST

static int closing_peer;

static void recv_then_shutdown(struct probe *p)
{
	recv_much(p);
	shutdown(closing_peer, SHUT_WR);
}

static void shutdown_then_recv(struct probe *p)
{
	shutdown(closing_peer, SHUT_WR);
	recv_much(p);
}

/* The peer ends its side: the data first, then the end, which stays readable, whenever it comes
 * relative to the short read before it. */
START_TEST(the_end_comes_after_the_data)
{
	exact(EXACT_VERBS);
	struct probe p;
	int fds[2];
	struct hark_reactor *r = on_edges(&p, fds, transports[_i % 2]);

	p.on_recv = recv_much;
	p.result = -1;
	closing_peer = fds[1];
	put(fds[1], "data", 4);
	switch (_i / 2) {
	case 0: /* both at once */
		shutdown(fds[1], SHUT_WR);
		break;
	case 1: /* the end in a later turn */
		until_received(r, &p, 4);
		shutdown(fds[1], SHUT_WR);
		break;
	case 2:
		p.on_recv = recv_then_shutdown;
		until_received(r, &p, 4);
		break;
	case 3: /* after the report, before the read */
		p.on_recv = shutdown_then_recv;
		until_received(r, &p, 4);
		break;
	default: /* a part is read, then the end comes */
		p.on_recv = verb_one;
		turns_until(r, &p.recvs, p.recvs + 1);
		shutdown(fds[1], SHUT_WR);
		break;
	}
	p.on_recv = recv_much;
	until_received(r, &p, 4);
	while (p.result != 0)
		turns_until(r, &p.recvs, p.recvs + 1);
	for (int i = 0; i < 10; i++) {
		turns_until(r, &p.recvs, p.recvs + 1);
		ck_assert(p.result == 0 || (chaotic() && again(p.result)));
	}

	/* The other side still works. */
	p.on_send = verb_send_one;
	p.recv = false;
	for (unsigned i = 1; i <= 5; i++) {
		char c;

		probe_want(&p, false, true);
		turns_until(r, &p.sends, i);
		while (recv(fds[1], &c, 1, 0) < 0 && errno == EAGAIN)
			;
		ck_assert_int_eq(c, 's');
	}

	/* And its end is not reported to who does not want to receive. */
	settle(r, 10);
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* The peer closes its socket with data of ours unread: the reset reaches the handler. */
START_TEST(a_reset_is_received)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	struct linger linger = {.l_onoff = 1};
	struct probe p;
	int fds[2];
	struct hark_reactor *r = on_edges(&p, fds, "tcp");

	if (_i % 2)
		probe_want(&p, false, false);
	settle(r, 5);
	ck_assert_int_eq(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
	close(fds[1]);
	if (_i % 2) {
		for (int i = 0; i < 3; i++)
			quiet(r, 20);
		ck_assert_uint_eq(p.recvs, 0);
		probe_want(&p, true, false);
	}
	p.on_recv = verb_one;
	turns_until(r, &p.recvs, 1);
	if (!error_is_taken("a_reset_is_received"))
		ck_assert_int_eq(p.result, -ECONNRESET);
	for (unsigned i = 2; i < 10; i++) {
		turns_until(r, &p.recvs, i);
		ck_assert_int_eq(p.result, 0);
	}
	hark_handler_remove(&p.h);
	hark_reactor_free(r);
}
END_TEST

/* One portion a callback, as a program does that queues its output. */
static void send_much(struct probe *p)
{
	static const char zeros[3000];

	p->result = hark_send(&p->h, zeros, sizeof zeros);
}

static void send_all(struct probe *p)
{
	do
		send_much(p);
	while (p->result > 0);
}

static void plain_send_all(struct probe *p)
{
	fill(p->h.fd);
}

/* TCP moves what is sent from one buffer to the other in its own time: it is full when nothing
 * happens for a while, and it takes more than one draining to empty it. */
static void until_full(struct hark_reactor *r)
{
	for (int turns = 0; hark_reactor_turn(r, HARK_MS(5)) > 0; turns++)
		ck_assert_int_lt(turns, 100000);
}

static void drained_until(struct hark_reactor *r, int peer, const unsigned *count, unsigned n)
{
	int64_t start = clock_ns();

	while (*count < n) {
		drain(peer);
		ck_assert_int_ge(hark_reactor_turn(r, HARK_MS(1)), 0);
		ck_assert_msg(clock_ns() - start < HARK_S(20), "room again, and nobody is told");
	}
}

/* A full buffer that the peer drains can take more: handle_send comes again, each time. */
START_TEST(a_full_buffer_that_is_drained_is_reported)
{
	exact(EXACT_TURNS);
	static void (*const ways[])(struct probe *) = {send_much, send_all, plain_send_all};
	const char *transport = transports[_i % 2];
	bool edges = _i / 2 % 2;
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	small_pair(transport, fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	if (edges)
		to_edges(r, &p, fds[1]);
	p.on_send = ways[_i / 4];
	p.on_recv = verb_all;
	probe_want(&p, true, true);
	for (int round = 0; round < 20; round++) {
		until_full(r);
		ck_assert_uint_gt(p.sends, 0);
		drained_until(r, fds[1], &p.sends, p.sends + 1);
	}

	/* Also when it was not wanted while it was drained. */
	for (int round = 0; round < 6; round++) {
		until_full(r);
		probe_want(&p, true, false);
		if (round % 2)
			settle(r, 3);
		unsigned sends = p.sends;
		if (round % 3)
			ck_assert_uint_gt(drain(fds[1]), 0);
		if (round % 3 == 1)
			settle(r, 3);
		ck_assert_uint_eq(p.sends, sends);
		probe_want(&p, true, true);
		drained_until(r, fds[1], &p.sends, sends + 1);
	}
	hark_reactor_free(r);
}
END_TEST

/* Two handlers that send each other a sequence in portions of changing size. */
struct duplex {
	struct probe p;
	bool verbs_recv, verbs_send;
	size_t total, sent, arrived;
	unsigned seed;
};

static size_t portion(struct duplex *d)
{
	d->seed = d->seed * 1103515245 + 12345;
	return 1 + (d->seed >> 16) % 5000;
}

static unsigned char sequence(size_t at)
{
	return (unsigned char)(at ^ at >> 8 ^ at >> 16);
}

static void duplex_recv(struct probe *p)
{
	struct duplex *d = (struct duplex *)(void *)p;
	unsigned char buf[5001];
	ssize_t n;

	n = d->verbs_recv ? hark_recv(&p->h, buf, portion(d)) : recv(p->h.fd, buf, portion(d), 0);
	bool same = true; /* an assertion a byte would take most of the test's time */
	for (ssize_t i = 0; i < n; i++)
		same &= buf[i] == sequence(d->arrived + (size_t)i);
	ck_assert_msg(same, "other bytes than those sent, after %zu", d->arrived);
	if (n > 0)
		d->arrived += (size_t)n;
	p->recv = d->arrived < d->total;
}

static void duplex_send(struct probe *p)
{
	struct duplex *d = (struct duplex *)(void *)p;
	unsigned char buf[5001];
	size_t len = portion(d);
	ssize_t n;

	if (len > d->total - d->sent)
		len = d->total - d->sent;
	for (size_t i = 0; i < len; i++)
		buf[i] = sequence(d->sent + i);
	n = d->verbs_send ? hark_send(&p->h, buf, len) : send(p->h.fd, buf, len, 0);
	if (n > 0)
		d->sent += (size_t)n;
	p->send = d->sent < d->total;
}

START_TEST(a_saturated_full_duplex_stream_loses_nothing)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct duplex d[2];
	int fds[2];

	small_pair(transports[_i % 2], fds);
	for (int i = 0; i < 2; i++) {
		memset(&d[i], 0, sizeof d[i]);
		probe_init(&d[i].p, fds[i]);
		d[i].verbs_recv = (_i / 2 + i) % 3 != 1;
		d[i].verbs_send = (_i / 2 + i) % 3 != 2;
		d[i].seed = (unsigned)(_i * 2 + i);
		d[i].total = 2000000;
		d[i].p.recv = d[i].p.send = true;
		d[i].p.on_recv = duplex_recv;
		d[i].p.on_send = duplex_send;
		probe_add(r, &d[i].p);
	}
	while (d[0].arrived < d[0].total || d[1].arrived < d[1].total)
		ck_assert_msg(active_turn(r) > 0, "stuck: sent %zu and %zu, received %zu and %zu",
		              d[0].sent, d[1].sent, d[1].arrived, d[0].arrived);
	settle(r, 10);
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* What became ready while nobody wanted it is there when somebody does. */
START_TEST(readiness_is_remembered_while_it_is_not_wanted)
{
	exact(EXACT_VERBS);
	const char *transport = transports[_i % 2];
	bool sending_meanwhile = _i / 2 % 2;
	bool told = _i / 4 % 2;
	bool rest = _i / 8;
	struct probe p;
	int fds[2];
	struct hark_reactor *r = on_edges(&p, fds, transport);

	p.on_recv = verb_one;
	p.on_send = NULL;
	for (unsigned round = 1; round <= 10; round++) {
		if (rest) {
			/* One of two bytes is taken, and the other one left. */
			put(fds[1], "ab", 2);
			while (p.last != 'a')
				turns_until(r, &p.recvs, p.recvs + 1);
		}
		unsigned recvs = p.recvs;
		probe_want(&p, false, sending_meanwhile);
		if (told)
			settle(r, 3);
		if (!rest)
			put(fds[1], "b", 1);
		settle(r, 5);
		ck_assert_uint_eq(p.recvs, recvs);
		probe_want(&p, true, false);
		turns_until(r, &p.recvs, recvs + 1);
		ck_assert_int_eq(p.last, 'b');
		p.last = 0;
		settle(r, 5);
	}
	hark_reactor_free(r);
}
END_TEST

/* Between two changes of interest the program empties the socket itself, and it fills again. */
START_TEST(remembered_readiness_may_be_out_of_date)
{
	struct probe p;
	int fds[2];
	struct hark_reactor *r = on_edges(&p, fds, transports[_i]);

	p.on_recv = verb_one;
	for (unsigned round = 1; round <= 10; round++) {
		unsigned recvs = p.recvs;

		probe_want(&p, false, false);
		put(fds[1], "ab", 2);
		settle(r, 5);
		while (drain(fds[0]) == 0)
			;
		probe_want(&p, true, false);
		ck_assert_int_le(settle(r, 10), few(2));
		put(fds[1], "c", 1);
		p.last = 0;
		turns_until(r, &p.recvs, recvs + 1);
		while (p.last != 'c')
			turns_until(r, &p.recvs, p.recvs + 1);
		settle(r, 5);
	}
	hark_reactor_free(r);
}
END_TEST

static void remove_and_add(struct probe *p)
{
	struct hark_reactor *r = hark_handler_reactor(&p->h);

	verb_one(p);
	hark_handler_remove(&p->h);
	probe_add(r, p);
}

/* A handler that is removed and added again with data pending is called for it. */
START_TEST(a_handler_that_is_added_again_finds_what_is_pending)
{
	struct probe p;
	int fds[2];
	struct hark_reactor *r = on_edges(&p, fds, transports[_i % 2]);

	p.on_recv = verb_one;
	for (unsigned round = 1; round <= 10; round++) {
		put(fds[1], "abc", 3);
		if (_i / 2)
			p.on_recv = remove_and_add;
		turns_until(r, &p.recvs, p.recvs + 1);
		hark_handler_remove(&p.h);
		ck_assert_int_eq(settle(r, 3), 0);
		probe_add(r, &p);
		until_received(r, &p, 3 * round);
		ck_assert_int_eq(p.last, 'c');
		settle(r, 5);
	}
	hark_reactor_free(r);
}
END_TEST

/* A descriptor turns to edges while data is already there and room, too. */
START_TEST(what_is_ready_when_edges_are_armed_is_reported)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transports[_i], fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	p.on_recv = verb_one;
	probe_add(r, &p);
	put(fds[1], "abcdef", 6);
	turns_until(r, &p.recvs, 1);
	probe_want(&p, true, true);
	p.on_send = verb_send_one;
	turns_until(r, &p.sends, 1);
	until_received(r, &p, 6);
	probe_want(&p, false, true);
	turns_until(r, &p.sends, 2);
	put(fds[1], "ghi", 3);
	probe_want(&p, true, true);
	turns_until(r, &p.sends, 3);
	until_received(r, &p, 9);
	hark_reactor_free(r);
}
END_TEST

/* A handler that turns from verbs to its own I/O and back, more often than hark follows it. */
START_TEST(changing_the_way_again_and_again_loses_nothing)
{
	struct probe p;
	int fds[2];
	struct hark_reactor *r = on_edges(&p, fds, transports[_i]);

	for (size_t round = 1; round <= 60; round++) {
		p.on_recv = round % 3 ? verb_one : plain_one;
		put(fds[1], "abcd", 4);
		until_received(r, &p, 4 * round - 2);
		probe_want(&p, false, false);
		ck_assert_int_eq(settle(r, 3), 0);
		probe_want(&p, true, false);
		until_received(r, &p, 4 * round);
		ck_assert_int_le(settle(r, 10), few(3));
	}
	hark_reactor_free(r);
}
END_TEST

TCase *case_edge(void)
{
	TCase *tc = tcase_create("edge");

	tcase_add_loop_test(tc, a_short_read_at_ancillary_data_leaves_more_behind, 0, 2);
	tcase_add_test(tc, a_short_read_at_urgent_data_leaves_more_behind);
	tcase_add_loop_test(tc, a_short_read_where_urgent_data_was_taken_leaves_more_behind, 0, 3);
	tcase_add_loop_test(tc, each_packet_gets_its_callback, 0, 6);
	tcase_add_loop_test(tc, a_call_beside_the_point_does_not_say_drained, 0, BESIDE_THE_POINT);
	tcase_add_loop_test(tc, a_call_beside_the_point_that_finds_nothing_does_not_spin, 0,
	                    BESIDE_THE_POINT);
	tcase_add_test(tc, reading_urgent_data_does_not_say_drained);
	tcase_add_loop_test(tc, the_end_comes_after_the_data, 0, 10);
	tcase_add_loop_test(tc, a_reset_is_received, 0, 2);
	tcase_add_loop_test(tc, a_full_buffer_that_is_drained_is_reported, 0, 12);
	tcase_add_loop_test(tc, a_saturated_full_duplex_stream_loses_nothing, 0, 6);
	tcase_add_loop_test(tc, readiness_is_remembered_while_it_is_not_wanted, 0, 16);
	tcase_add_loop_test(tc, remembered_readiness_may_be_out_of_date, 0, 2);
	tcase_add_loop_test(tc, a_handler_that_is_added_again_finds_what_is_pending, 0, 4);
	tcase_add_loop_test(tc, what_is_ready_when_edges_are_armed_is_reported, 0, 2);
	tcase_add_loop_test(tc, changing_the_way_again_and_again_loses_nothing, 0, 2);
	return tc;
}
