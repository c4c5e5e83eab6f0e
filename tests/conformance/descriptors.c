/* descriptors.c - every kind of descriptor, with what is odd about each: pipes, ttys, files that
 * are always ready, listening sockets, connections that are refused or reset, urgent data. */
#include "cases.h"
#include "conformance.h"
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#ifndef __linux__
#include <sys/event.h>
#endif

static void read_much(struct probe *p)
{
	char buf[1000];

	p->result = hark_read(&p->h, buf, sizeof buf);
	if (p->result > 0) {
		p->received += (size_t)p->result;
		p->last = buf[p->result - 1];
	}
}

static void read_one(struct probe *p)
{
	p->result = hark_read(&p->h, &p->last, 1);
	if (p->result > 0)
		p->received++;
}

static void write_one(struct probe *p)
{
	p->result = hark_write(&p->h, "w", 1);
	if (p->result == 1)
		p->send = false;
}

static void write_all(struct probe *p)
{
	char buf[1000] = "";

	while ((p->result = hark_write(&p->h, buf, sizeof buf)) > 0)
		;
}

static void receive_at_least(struct hark_reactor *r, struct probe *p, size_t n)
{
	while (p->received < n)
		turns_until(r, &p->recvs, p->recvs + 1);
	ck_assert_uint_eq(p->received, n);
}

/* A pipe: byte by byte, its end after its data, and again and again. */
START_TEST(a_pipe_is_read_to_its_end)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	nonblocking(fds[0]);
	probe_init(&p, fds[0]);
	p.recv = true;
	p.on_recv = read_one;
	probe_add(r, &p);
	for (size_t i = 1; i <= 10; i++) {
		put(fds[1], "abc", 3);
		receive_at_least(r, &p, 3 * i);
		ck_assert_int_eq(settle(r, 5), 0);
		probe_want(&p, i % 2, false);
		settle(r, 5);
		probe_want(&p, true, false);
	}
	put(fds[1], "xyz", 3);
	close(fds[1]);
	receive_at_least(r, &p, 33);
	ck_assert_int_eq(p.last, 'z');
	for (int i = 0; i < 5; i++) {
		turns_until(r, &p.recvs, p.recvs + 1);
		ck_assert_int_eq(p.result, 0);
	}

	/* Its end does not spin when nobody wants to read. */
	probe_want(&p, false, false);
	for (int i = 0; i < 5; i++)
		quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

START_TEST(a_pipe_is_written_until_full_and_again_when_drained)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe(fds), 0);
	nonblocking(fds[0]);
	nonblocking(fds[1]);
	probe_init(&p, fds[1]);
	p.send = true;
	p.on_send = write_all;
	probe_add(r, &p);
	for (unsigned i = 1; i <= 10; i++) {
		turns_until(r, &p.sends, i);
		ck_assert_int_eq(p.result, -EAGAIN);
		ck_assert_int_eq(settle(r, 5), 0);
		quiet(r, 10);
		ck_assert_uint_gt(drain(fds[0]), 0);
	}
	settle(r, 5);

	/* The reader goes away while the pipe is full. */
	unsigned sends = p.sends;
	fill(fds[1]);
	close(fds[0]);
	turns_until(r, &p.sends, sends + 1);
	ck_assert_int_eq(p.result, -EPIPE);
	probe_want(&p, false, false);
	for (int i = 0; i < 5; i++)
		quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

#ifdef O_DIRECT
/* A pipe that keeps its packets apart: each read leaves the rest. */
START_TEST(a_packet_pipe_gets_a_callback_for_each_packet)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	nonblocking(fds[0]);
	if (fcntl(fds[1], F_SETFL, O_DIRECT))
		return;
	probe_init(&p, fds[0]);
	p.recv = true;
	p.on_recv = read_much;
	probe_add(r, &p);
	for (unsigned i = 1; i <= 5; i++) {
		for (int n = 0; n < 4; n++)
			put(fds[1], "abcd", 3);
		receive_at_least(r, &p, 12 * i);
		ck_assert_uint_eq(p.recvs, 4 * i);
		probe_want(&p, false, false);
		settle(r, 5);
		probe_want(&p, true, false);
	}
	hark_reactor_free(r);
}
END_TEST
#endif

static void open_tty(int *master, int *slave)
{
	*master = posix_openpt(O_RDWR | O_NOCTTY);
	ck_assert_msg(*master >= 0, "posix_openpt: %s", strerror(errno));
	ck_assert_int_eq(grantpt(*master), 0);
	ck_assert_int_eq(unlockpt(*master), 0);
	*slave = open(ptsname(*master), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(*slave, 0);
	nonblocking(*master);
	nonblocking(*slave);
}

/* A tty in its usual mode gives one line to a read, and nothing before the line ends. */
START_TEST(a_tty_gives_its_lines_one_by_one)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct termios mode;
	struct probe p;
	int master, slave;

	open_tty(&master, &slave);
	ck_assert_int_eq(tcgetattr(slave, &mode), 0);
	mode.c_lflag |= ICANON;
	mode.c_lflag &= ~(tcflag_t)ECHO;
	ck_assert_int_eq(tcsetattr(slave, TCSANOW, &mode), 0);

	probe_init(&p, slave);
	p.recv = true;
	p.on_recv = read_much;
	p.on_send = write_one;
	probe_add(r, &p);
	quiet(r, 10);
	put(master, "par", 3);
	quiet(r, 50);
	put(master, "tial\none\ntwo\nthree\n", 19);
	receive_at_least(r, &p, 22);
	ck_assert_uint_eq(p.recvs, 4);
	quiet(r, 20);

	probe_want(&p, true, true);
	turns_until(r, &p.sends, 1);
	ck_assert_int_eq(p.result, 1);
	char c = 0;
	while (read(master, &c, 1) < 0)
		;
	ck_assert_int_eq(c, 'w');

	/* Hung up: readable, and the handler sees it. */
	close(master);
	turns_until(r, &p.recvs, 5);
	ck_assert_msg(p.result == 0 || p.result == -EIO, "%zd", p.result);
	probe_want(&p, false, false);
	for (int i = 0; i < 5; i++)
		quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

START_TEST(a_tty_master_is_read_and_written)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct termios mode;
	struct probe p;
	int master, slave;

	open_tty(&master, &slave);
	ck_assert_int_eq(tcgetattr(slave, &mode), 0);
	mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	mode.c_oflag &= ~(tcflag_t)OPOST;
	mode.c_cc[VMIN] = 1;
	mode.c_cc[VTIME] = 0;
	ck_assert_int_eq(tcsetattr(slave, TCSANOW, &mode), 0);
	probe_init(&p, master);
	p.recv = true;
	p.on_recv = read_one;
	p.on_send = write_one;
	probe_add(r, &p);
	for (unsigned i = 1; i <= 5; i++) {
		char c = 0;

		put(slave, "abc", 3);
		receive_at_least(r, &p, 3 * i);
		probe_want(&p, true, true);
		turns_until(r, &p.sends, i);
		while (read(slave, &c, 1) < 0)
			;
		ck_assert_int_eq(c, 'w');
	}
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* Files are always ready. Some kernels refuse to watch them, and yet a handler of one is called
 * like any other, in each turn, for all it wants, and holds up nobody. */
enum { REGULAR_FILE, EMPTY_FILE, DEV_NULL, DIRECTORY, ALWAYS_READY };

static int open_always_ready(int which)
{
	char path[] = "/tmp/hark-conformance-XXXXXX";
	int fd;

	if (which == DEV_NULL)
		return open("/dev/null", O_RDWR);
	if (which == DIRECTORY)
		return open("/", O_RDONLY);
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	unlink(path);
	if (which == REGULAR_FILE) {
		put(fd, "contents", 8);
		ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	}
	return fd;
}

START_TEST(what_is_always_ready_is_called_in_each_turn)
{
	exact(EXACT_CALLS | EXACT_TURNS | EXACT_VERBS);
	static const char *const names[] = {"a regular file", "an empty file", "/dev/null",
	                                    "a directory"};
	const char *name = names[_i];
	int fd = open_always_ready(_i);
	struct hark_reactor *r;
	struct probe p, socket;
	int fds[2];

	ck_assert_int_ge(fd, 0);
	r = new_reactor(NULL);
	socket_pair("unix", fds);
	probe_init(&socket, fds[0]);
	socket.recv = true;
	socket.on_recv = verb_one;
	probe_add(r, &socket);
	probe_init(&p, fd);
	probe_add(r, &p);
	quiet(r, 20);

	probe_want(&p, true, false);
	for (unsigned i = 1; i <= 10; i++) {
		ck_assert_int_ge(active_turn(r), 1);
		ck_assert_msg(p.recvs == i, "%s: %u callbacks in %u turns", name, p.recvs, i);
		if (i % 2)
			put(fds[1], "x", 1);
	}
	ck_assert_msg(socket.recvs == 5, "%s keeps the socket from being served: %u of 5", name,
	              socket.recvs);

	/* What it reads is what is there, and then its end, which is readable, too. */
	if (_i == REGULAR_FILE) {
		p.on_recv = read_one;
		receive_at_least(r, &p, 8);
		ck_assert_int_eq(p.last, 's');
		p.on_recv = NULL;
		ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	}
	probe_want(&p, false, false);
	for (int i = 0; i < 3; i++)
		quiet(r, 20);
	put(fds[1], "x", 1);
	turns_until(r, &socket.recvs, 6);

	if (_i != DIRECTORY) {
		probe_want(&p, true, true);
		unsigned recvs = p.recvs;
		for (unsigned i = 1; i <= 10; i++) {
			ck_assert_int_eq(active_turn(r), 2);
			ck_assert_uint_eq(p.sends, i);
			ck_assert_uint_eq(p.recvs, recvs + i);
		}
	}
	ck_assert_uint_eq(p.errors, 0);
	hark_handler_remove(&p.h);
	quiet(r, 20);

	/* Again, and closed while it is ready. */
	p.recv = true;
	p.send = false;
	probe_add(r, &p);
	turns_until(r, &p.recvs, p.recvs + 3);
	hark_handler_remove(&p.h);
	close(fd);
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* The number of a file that was always ready goes to a socket that is not. */
START_TEST(the_number_of_a_file_is_reused_by_a_socket)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];
	int fd = open_always_ready(REGULAR_FILE);

	probe_init(&p, fd);
	p.recv = true;
	probe_add(r, &p);
	turns_until(r, &p.recvs, 3);
	hark_handler_remove(&p.h);
	close(fd);
	socket_pair("unix", fds);
	ck_assert_int_eq(fds[0], fd);
	probe_init(&p, fds[0]);
	p.recv = true;
	p.on_recv = verb_one;
	probe_add(r, &p);
	quiet(r, 20);
	put(fds[1], "x", 1);
	turns_until(r, &p.recvs, 1);
	quiet(r, 20);
	ck_assert_uint_eq(p.recvs, 1);
	hark_reactor_free(r);
}
END_TEST

static int accepted;

static void accept_verb(struct probe *p)
{
	int fd = hark_accept(&p->h, NULL, NULL);

	accepted += fd >= 0;
	if (fd >= 0)
		close(fd);
}

static void accept_plain(struct probe *p)
{
	int fd = accept(p->h.fd, NULL, NULL);

	accepted += fd >= 0;
	if (fd >= 0)
		close(fd);
}

/* A listener is called as long as connections wait, one taken a callback. */
START_TEST(each_waiting_connection_gets_a_callback)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct sockaddr_in address;
	struct probe p;
	int fd = tcp_listener(&address);

	nonblocking(fd);
	probe_init(&p, fd);
	p.recv = true;
	p.on_recv = _i ? accept_verb : accept_plain;
	probe_add(r, &p);
	for (int round = 1; round <= 5; round++) {
		for (int i = 0; i < 4; i++) {
			int client = socket(AF_INET, SOCK_STREAM, 0);

			ck_assert_int_eq(
				connect(client, (struct sockaddr *)&address, sizeof address), 0);
		}
		while (accepted < 4 * round)
			turns_until(r, &p.recvs, p.recvs + 1);
		ck_assert_int_le(settle(r, 5), few(1));
		probe_want(&p, false, false);
		settle(r, 5);
		probe_want(&p, true, false);
	}
	ck_assert_int_eq(accepted, 20);
	hark_reactor_free(r);
}
END_TEST

static void send_to_see(struct probe *p)
{
	p->result = hark_send(&p->h, "x", 1);
	p->send = false;
}

static void recv_to_see(struct probe *p)
{
	verb_one(p);
	p->recv = false;
}

/* A refused connect is readiness, in whichever direction is wanted; the verb says what it is. */
START_TEST(a_refused_connect_is_reported)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct sockaddr_in address;
	struct probe p;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	close(tcp_listener(&address)); /* nobody listens there now */
	nonblocking(fd);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno != EINPROGRESS) {
		ck_assert_int_eq(errno, ECONNREFUSED);
		except("a_refused_connect_is_reported", "this system refuses at once");
		return;
	}
	probe_init(&p, fd);
	p.recv = _i != 1;
	p.send = _i != 0;
	p.on_recv = recv_to_see;
	p.on_send = send_to_see;
	probe_add(r, &p);
	if (_i == 1)
		turns_until(r, &p.sends, 1);
	else
		turns_until(r, &p.recvs, 1);
	if (_i != 2 && !error_is_taken("a_refused_connect_is_reported"))
		ck_assert_msg(p.result == -ECONNREFUSED, "the verb says %s",
		              strerror((int)-p.result));
	probe_want(&p, false, false);
	for (int i = 0; i < 3; i++)
		quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* An accepted connect is room to send, and then works in both directions. */
START_TEST(a_connect_is_reported_when_it_is_done)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct sockaddr_in address;
	struct probe p;
	char c = 0;
	int listener = tcp_listener(&address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	nonblocking(fd);
	if (connect(fd, (struct sockaddr *)&address, sizeof address))
		ck_assert_int_eq(errno, EINPROGRESS);
	probe_init(&p, fd);
	p.send = true;
	p.on_send = send_to_see;
	p.on_recv = verb_one;
	probe_add(r, &p);
	turns_until(r, &p.sends, 1);
	ck_assert_int_eq(p.result, 1);
	int peer = accept(listener, NULL, NULL);
	ck_assert_int_eq(recv(peer, &c, 1, 0), 1);
	put(peer, "y", 1);
	probe_want(&p, true, false);
	receive_at_least(r, &p, 1);
	ck_assert_int_eq(p.last, 'y');
	hark_reactor_free(r);
}
END_TEST

/* UDP: nobody listens at the peer, and the next call on the socket says so. */
START_TEST(an_unreachable_datagram_is_reported)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct sockaddr_in address;
	socklen_t len = sizeof address;
	struct probe p;
	int gone = socket(AF_INET, SOCK_DGRAM, 0), fd = socket(AF_INET, SOCK_DGRAM, 0);

	memset(&address, 0, sizeof address);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(gone, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(getsockname(gone, (struct sockaddr *)&address, &len), 0);
	close(gone);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, len), 0);
	nonblocking(fd);
	probe_init(&p, fd);
	p.recv = true;
	p.on_recv = verb_one;
	probe_add(r, &p);
	bool taken = error_is_taken("an_unreachable_datagram_is_reported");
	for (unsigned i = 1; i <= 5; i++) {
		ck_assert_int_eq(send(fd, "x", 1, 0), 1);
		turns_until(r, &p.recvs, p.recvs + 1);
		if (!taken)
			ck_assert_int_eq(p.result, -ECONNREFUSED);
		ck_assert_int_le(settle(r, 5), few(1));
	}
	hark_reactor_free(r);
}
END_TEST

#ifdef IP_RECVERR
static void find_nothing(struct probe *p)
{
	char c;

	p->result = hark_recv(&p->h, &c, 1);
}

static void read_error_queue(struct probe *p)
{
	char buf[1000], control[1000];
	struct iovec iov = {.iov_base = buf, .iov_len = sizeof buf};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control,
	};

	p->result = hark_recvmsg(&p->h, &msg, MSG_ERRQUEUE);
}

/* An error queue that nobody reads keeps its socket ready, however often the ordinary verb says
 * that there is nothing. */
START_TEST(an_error_queue_is_readiness_until_it_is_read)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct sockaddr_in address;
	socklen_t len = sizeof address;
	struct probe p;
	int one = 1;
	int peer = socket(AF_INET, SOCK_DGRAM, 0), fd = socket(AF_INET, SOCK_DGRAM, 0);

	memset(&address, 0, sizeof address);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(peer, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(getsockname(peer, (struct sockaddr *)&address, &len), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	ck_assert_int_eq(connect(peer, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof one), 0);
	nonblocking(fd);
	nonblocking(peer);
	probe_init(&p, fd);
	p.recv = true;
	probe_add(r, &p);
	if (_i)
		to_edges(r, &p, peer);
	close(peer);
	p.on_recv = find_nothing;
	ck_assert_int_eq(send(fd, "x", 1, 0), 1);
	turns_until(r, &p.recvs, 10);
	p.on_recv = read_error_queue;
	turns_until(r, &p.recvs, 11);
	ck_assert_int_eq(p.result, 1);
	p.on_recv = find_nothing;
	ck_assert_int_le(settle(r, 5), few(2));
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST
#endif

static void read_urgent(struct probe *p)
{
	p->result = hark_recvfrom(&p->h, &p->last, 1, MSG_OOB, NULL, NULL);
}

/* What kqueue needs to tell urgent data; Linux has it only as an emulation without this filter. */
static bool no_urgent_data(const char *test)
{
#ifndef EVFILT_EXCEPT
	if (backend_is("kqueue")) {
		except(test, "this kqueue has no EVFILT_EXCEPT, which reports out-of-band data");
		return true;
	}
#endif
	(void)test;
	return false;
}

/* Who wants urgent data is told, in each turn until it is read. */
START_TEST(urgent_data_is_told_to_who_wants_it)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	if (no_urgent_data("urgent_data_is_told_to_who_wants_it"))
		return;

	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	bool together = _i / 2 == 1, edges = _i / 2 == 2;

	socket_pair("tcp", fds);
	if (together)
		probe_init_ready(&p, fds[0]);
	else
		probe_init(&p, fds[0]);
	unsigned *calls = together ? &p.readies : &p.urgents;
	p.recv = true;
	probe_add(r, &p);
	if (edges)
		to_edges(r, &p, fds[1]);
	p.urgent = true;
	p.on_recv = verb_one;
	probe_want(&p, _i % 2, false);
	quiet(r, 20);
	for (unsigned round = 1; round <= 3; round++) {
		unsigned before = *calls;

		ck_assert_int_eq(send(fds[1], "U", 1, MSG_OOB), 1);
		turns_until(r, calls, before + 5);
		if (together)
			ck_assert_uint_ne(p.ready & HARK_URGENT, 0);
		p.on_urgent = p.on_ready = read_urgent;
		turns_until(r, calls, before + 6);
		ck_assert_int_eq(p.result, 1);
		ck_assert_int_eq(p.last, 'U');
		if (_i % 2 == 0)
			for (int i = 0; i < 3; i++)
				quiet(r, 20);
		p.on_urgent = p.on_ready = NULL;
	}

	/* When it is no longer wanted it is not told. */
	p.urgent = false;
	probe_want(&p, false, false);
	ck_assert_int_eq(send(fds[1], "U", 1, MSG_OOB), 1);
	for (int i = 0; i < 3; i++)
		quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* In one turn the urgent data comes before the ordinary. */
START_TEST(urgent_data_comes_first)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	if (no_urgent_data("urgent_data_comes_first"))
		return;

	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair("tcp", fds);
	probe_init(&p, fds[0]);
	p.recv = p.urgent = true;
	p.on_urgent = read_urgent;
	p.on_recv = verb_one;
	put(fds[1], "abc", 3);
	ck_assert_int_eq(send(fds[1], "U", 1, MSG_OOB), 1);
	put(fds[1], "def", 3);
	char buf[10];
	while (recv(fds[0], buf, sizeof buf, MSG_PEEK) < 3)
		;
	probe_add(r, &p);
	ck_assert_int_eq(active_turn(r), 2);
	ck_assert_uint_eq(p.urgents, 1);
	ck_assert_uint_eq(p.recvs, 1);
	ck_assert_int_eq(p.last, 'a'); /* the later of the two calls */
	receive_at_least(r, &p, 6);
	ck_assert_int_eq(p.last, 'f');
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* Who does not want it reads the ordinary data around it, and is not kept busy by it. */
START_TEST(urgent_data_does_not_disturb_who_does_not_want_it)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair("tcp", fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	if (_i / 3)
		to_edges(r, &p, fds[1]);
	p.on_recv = _i % 3 == 0 ? verb_one : _i % 3 == 1 ? verb_all : plain_one;
	for (size_t round = 1; round <= 5; round++) {
		put(fds[1], "abc", 3);
		ck_assert_int_eq(send(fds[1], "U", 1, MSG_OOB), 1);
		put(fds[1], "def", 3);
		receive_at_least(r, &p, 6 * round);
		ck_assert_int_le(settle(r, 10), few(2));
	}
	ck_assert_int_eq(send(fds[1], "U", 1, MSG_OOB), 1);
	settle(r, 10);
	for (int i = 0; i < 3; i++)
		quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* Both ends of a datagram pair at work in one reactor, with interest that changes. */
static void dgram_send(struct probe *p)
{
	p->result = hark_send(&p->h, "datagram", 8);
	if (p->result != 8)
		ck_assert_msg(p->result == -EAGAIN || p->result == -ENOBUFS, "%s",
		              strerror((int)-p->result));
}

static void dgram_recv(struct probe *p)
{
	char buf[100];

	p->result = hark_recv(&p->h, buf, sizeof buf);
	if (p->result > 0) {
		ck_assert_int_eq(p->result, 8);
		p->received++;
	}
}

START_TEST(a_full_datagram_socket_goes_on_when_its_peer_reads)
{
	exact(EXACT_VERBS);
	static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
	struct hark_reactor *r = new_reactor(NULL);
	struct probe from, to;
	int fds[2];

	if (socketpair(AF_UNIX, types[_i], 0, fds)) {
		ck_assert_int_eq(errno, EPROTONOSUPPORT);
		except("a_full_datagram_socket_goes_on_when_its_peer_reads",
		       "this system has no SOCK_SEQPACKET");
		return;
	}
	probe_init(&from, fds[0]);
	probe_init(&to, fds[1]);
	from.on_send = dgram_send;
	to.on_recv = dgram_recv;
	probe_add(r, &from);
	probe_add(r, &to);
	for (int round = 0; round < 10; round++) {
		probe_want(&from, false, true);
		probe_want(&to, false, false);
		while (from.result != -EAGAIN && from.result != -ENOBUFS)
			if (hark_reactor_turn(r, HARK_MS(20)) == 0)
				break;
		settle(r, 3);
		from.result = 0;
		size_t received = to.received;
		probe_want(&to, true, false);
		while (to.received < received + 50)
			turns_until(r, &to.recvs, to.recvs + 1);
		while (from.result != 8)
			turns_until(r, &from.sends, from.sends + 1);
	}
	hark_reactor_free(r);
}
END_TEST

TCase *case_descriptors(void)
{
	TCase *tc = tcase_create("descriptors");

	tcase_add_test(tc, a_pipe_is_read_to_its_end);
	tcase_add_test(tc, a_pipe_is_written_until_full_and_again_when_drained);
#ifdef O_DIRECT
	tcase_add_test(tc, a_packet_pipe_gets_a_callback_for_each_packet);
#endif
	tcase_add_test(tc, a_tty_gives_its_lines_one_by_one);
	tcase_add_test(tc, a_tty_master_is_read_and_written);
	tcase_add_loop_test(tc, what_is_always_ready_is_called_in_each_turn, 0, ALWAYS_READY);
	tcase_add_test(tc, the_number_of_a_file_is_reused_by_a_socket);
	tcase_add_loop_test(tc, each_waiting_connection_gets_a_callback, 0, 2);
	tcase_add_loop_test(tc, a_refused_connect_is_reported, 0, 3);
	tcase_add_test(tc, a_connect_is_reported_when_it_is_done);
	tcase_add_test(tc, an_unreachable_datagram_is_reported);
#ifdef IP_RECVERR
	tcase_add_loop_test(tc, an_error_queue_is_readiness_until_it_is_read, 0, 2);
#endif
	tcase_add_loop_test(tc, urgent_data_is_told_to_who_wants_it, 0, 6);
	tcase_add_test(tc, urgent_data_comes_first);
	tcase_add_loop_test(tc, urgent_data_does_not_disturb_who_does_not_want_it, 0, 6);
	tcase_add_loop_test(tc, a_full_datagram_socket_goes_on_when_its_peer_reads, 0, 2);
	return tc;
}
