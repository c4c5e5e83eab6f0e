/* io.c - the verbs: each is its system call, with -errno for an answer, and on sockets never
 * blocks and never raises SIGPIPE. */
#include "cases.h"
#include "conformance.h"
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static const char *const transports[] = {"unix", "tcp"};

static void blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	ck_assert_int_eq(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK), 0);
}

static bool is_nonblocking(int fd)
{
	return fcntl(fd, F_GETFL) & O_NONBLOCK;
}

/* A handler that is not added serves as well: the verbs are calls on its descriptor. */
static struct hark_handler handler_of(int fd)
{
	static const struct hark_handler_ops ops = {.name = "verbs only"};
	struct hark_handler h;

	hark_handler_init(&h, &ops, fd);
	return h;
}

/* Each of the verbs, under one signature. */
static struct iovec one_iov(void *buf, size_t len)
{
	return (struct iovec){.iov_base = buf, .iov_len = len};
}

static ssize_t by_recv(struct hark_handler *h, void *buf, size_t len)
{
	return hark_recv(h, buf, len);
}

static ssize_t by_recvfrom(struct hark_handler *h, void *buf, size_t len)
{
	return hark_recvfrom(h, buf, len, 0, NULL, NULL);
}

static ssize_t by_recvmsg(struct hark_handler *h, void *buf, size_t len)
{
	struct iovec iov = one_iov(buf, len);
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	return hark_recvmsg(h, &msg, 0);
}

static ssize_t by_send(struct hark_handler *h, void *buf, size_t len)
{
	return hark_send(h, buf, len);
}

static ssize_t by_sendto(struct hark_handler *h, void *buf, size_t len)
{
	return hark_sendto(h, buf, len, 0, NULL, 0);
}

static ssize_t by_sendmsg(struct hark_handler *h, void *buf, size_t len)
{
	struct iovec iov = one_iov(buf, len);
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	return hark_sendmsg(h, &msg, 0);
}

static ssize_t by_accept(struct hark_handler *h, void *buf, size_t len)
{
	(void)buf;
	(void)len;
	return hark_accept(h, NULL, NULL);
}

static ssize_t (*const receiving[])(struct hark_handler *, void *, size_t) = {by_recv, by_recvfrom,
                                                                              by_recvmsg};
static ssize_t (*const sending[])(struct hark_handler *, void *, size_t) = {by_send, by_sendto,
                                                                            by_sendmsg};
static ssize_t (*const all_verbs[])(struct hark_handler *, void *, size_t) = {
	by_recv, by_recvfrom, by_recvmsg, by_send, by_sendto, by_sendmsg, by_accept, hark_read,
};

/* What goes in comes out; a blocking socket answers -EAGAIN instead of blocking; the end is 0;
 * a peer that is gone is -EPIPE (or a reset) and no signal. */
START_TEST(the_socket_verbs_transfer_and_never_block)
{
	ssize_t (*receive)(struct hark_handler *, void *, size_t) = receiving[_i % 3];
	ssize_t (*give)(struct hark_handler *, void *, size_t) = sending[_i % 3];
	int fds[2];
	char buf[100];

	/* SIGPIPE has its default action here: it would end the test. */
	signal(SIGPIPE, SIG_DFL);
	socket_pair(transports[_i / 3], fds);
	blocking(fds[0]);
	blocking(fds[1]);
	struct hark_handler a = handler_of(fds[0]), b = handler_of(fds[1]);

	ck_assert_int_eq(receive(&a, buf, sizeof buf), -EAGAIN);
	ck_assert_int_eq(give(&b, (char[]){"hello"}, 5), 5);
	ssize_t n;
	while ((n = receive(&a, buf, 3)) == -EAGAIN)
		;
	ck_assert_int_eq(n, 3);
	ck_assert_int_eq(receive(&a, buf + 3, sizeof buf - 3), 2);
	ck_assert_int_eq(memcmp(buf, "hello", 5), 0);
	ck_assert_int_eq(receive(&a, buf, sizeof buf), -EAGAIN);

	static char much[100000];
	size_t total = 0;
	while ((n = give(&a, much, sizeof much)) > 0) {
		total += (size_t)n;
		ck_assert_uint_lt(total, 1u << 30);
	}
	ck_assert_int_eq(n, -EAGAIN);
	while (total > 0) {
		n = receive(&b, much, sizeof much);
		if (n == -EAGAIN)
			continue;
		ck_assert_int_gt(n, 0);
		total -= (size_t)n;
	}

	ck_assert_int_eq(shutdown(fds[1], SHUT_WR), 0);
	while ((n = receive(&a, buf, sizeof buf)) == -EAGAIN)
		;
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(give(&b, buf, 1), -EPIPE);
	close(fds[1]);
	while ((n = give(&a, buf, 1)) >= 0)
		;
	ck_assert_msg(n == -EPIPE || n == -ECONNRESET, "%s", strerror((int)-n));
	ck_assert_int_eq(give(&a, buf, 1), -EPIPE);
}
END_TEST

/* What a verb may not be used on. */
START_TEST(the_verbs_pass_errors_on)
{
	ssize_t (*v)(struct hark_handler *, void *, size_t) = all_verbs[_i];
	struct hark_handler h = handler_of(-1);
	char buf[10] = "";
	int fds[2];

	ck_assert_int_eq(v(&h, buf, sizeof buf), -EBADF);
	ck_assert_int_eq(pipe(fds), 0);
	close(fds[0]);
	close(fds[1]);
	h = handler_of(fds[0]);
	ck_assert_int_eq(v(&h, buf, sizeof buf), -EBADF);
	if (v == hark_read)
		return;
	ck_assert_int_eq(pipe(fds), 0);
	for (int i = 0; i < 2; i++) {
		h = handler_of(fds[i]);
		ck_assert_int_eq(v(&h, buf, sizeof buf), -ENOTSOCK);
	}
	h = handler_of(socket(AF_INET, SOCK_STREAM, 0));
	ssize_t n = v(&h, buf, sizeof buf);
	if (v == by_accept)
		ck_assert_int_eq(n, -EINVAL);
	else
		ck_assert_msg(n == -ENOTCONN || n == -EPIPE, "%s", strerror((int)-n));
}
END_TEST

START_TEST(read_and_write_turn_errno_into_a_result)
{
	char buf[10];
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	struct hark_handler in = handler_of(fds[0]), out = handler_of(fds[1]);

	ck_assert_int_eq(hark_write(&out, "hello", 5), 5);
	ck_assert_int_eq(hark_read(&in, buf, sizeof buf), 5);
	nonblocking(fds[0]);
	nonblocking(fds[1]);
	ck_assert_int_eq(hark_read(&in, buf, sizeof buf), -EAGAIN);
	ck_assert_int_eq(hark_write(&in, buf, 1), -EBADF);
	ck_assert_int_eq(hark_read(&out, buf, 1), -EBADF);
	fill(fds[1]);
	ck_assert_int_eq(hark_write(&out, buf, sizeof buf), -EAGAIN);
	drain(fds[0]);
	signal(SIGPIPE, SIG_IGN);
	close(fds[0]);
	ck_assert_int_eq(hark_write(&out, buf, 1), -EPIPE);
	close(fds[1]);
	ck_assert_int_eq(hark_write(&out, buf, 1), -EBADF);
}
END_TEST

static void interrupted(int signo)
{
	(void)signo;
}

START_TEST(an_interrupted_read_says_so)
{
	struct sigaction action = {.sa_handler = interrupted}; /* without SA_RESTART */
	struct itimerval timer = {
		.it_value = {.tv_usec = 20000},
		.it_interval = {.tv_usec = 20000},
	};
	char c;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
	struct hark_handler h = handler_of(fds[0]);
	ck_assert_int_eq(hark_read(&h, &c, 1), -EINTR);
	timer = (struct itimerval){.it_value = {0}};
	setitimer(ITIMER_REAL, &timer, NULL);
}
END_TEST

/* The flags that a verb is given arrive, beside its own. */
START_TEST(the_flags_are_passed_on)
{
	char buf[10];
	int fds[2];

	socket_pair("unix", fds);
	struct hark_handler a = handler_of(fds[0]), b = handler_of(fds[1]);
	ck_assert_int_eq(hark_sendto(&b, "abc", 3, 0, NULL, 0), 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(hark_recvfrom(&a, buf, 2, MSG_PEEK, NULL, NULL), 2);
	ck_assert_int_eq(hark_recv(&a, buf, sizeof buf), 3);

	/* A datagram that does not fit says so in the message's flags. */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	a = handler_of(fds[0]);
	put(fds[1], "abcdef", 6);
	struct iovec iov = one_iov(buf, 2);
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ck_assert_int_eq(hark_recvmsg(&a, &msg, 0), 2);
	ck_assert_int_ne(msg.msg_flags & MSG_TRUNC, 0);

	/* Out-of-band data goes out as such. */
	socket_pair("tcp", fds);
	a = handler_of(fds[0]);
	b = handler_of(fds[1]);
	ck_assert_int_eq(hark_sendto(&b, "U", 1, MSG_OOB, NULL, 0), 1);
	ssize_t n;
	do
		n = hark_recvfrom(&a, buf, sizeof buf, MSG_OOB, NULL, NULL);
	while (n == -EAGAIN || n == -EINVAL); /* it is on its way */
	ck_assert_int_eq(n, 1);
	ck_assert_int_eq(buf[0], 'U');
	ck_assert_int_eq(hark_recv(&a, buf, sizeof buf), -EAGAIN);
}
END_TEST

START_TEST(several_pieces_are_gathered_and_scattered)
{
	char out[2][4] = {"abc", "def"}, in[3][3];
	struct iovec from[2], to[3];
	int fds[2];

	socket_pair(transports[_i], fds);
	struct hark_handler a = handler_of(fds[0]), b = handler_of(fds[1]);
	for (int i = 0; i < 2; i++)
		from[i] = one_iov(out[i], 3);
	for (int i = 0; i < 3; i++)
		to[i] = one_iov(in[i], 2);
	struct msghdr give = {.msg_iov = from, .msg_iovlen = 2};
	struct msghdr receive = {.msg_iov = to, .msg_iovlen = 3};
	ck_assert_int_eq(hark_sendmsg(&b, &give, 0), 6);
	ssize_t n;
	while ((n = hark_recvmsg(&a, &receive, 0)) == -EAGAIN)
		;
	ck_assert_int_eq(n, 6);
	ck_assert_int_eq(memcmp(in[0], "ab", 2), 0);
	ck_assert_int_eq(memcmp(in[1], "cd", 2), 0);
	ck_assert_int_eq(memcmp(in[2], "ef", 2), 0);
}
END_TEST

/* Who sent it, and where it is to go; both addresses as the system calls have them. */
START_TEST(datagrams_carry_addresses)
{
	struct sockaddr_in a[2], from;
	struct hark_handler h[2];
	socklen_t len;
	char buf[10];

	for (int i = 0; i < 2; i++) {
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		len = sizeof a[i];
		memset(&a[i], 0, sizeof a[i]);
		a[i].sin_family = AF_INET;
		a[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&a[i], len), 0);
		ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a[i], &len), 0);
		h[i] = handler_of(fd);
	}
	ck_assert_int_eq(hark_send(&h[0], "x", 1), -EDESTADDRREQ);
	for (int i = 0; i < 2; i++) {
		ssize_t n;

		ck_assert_int_eq(
			hark_sendto(&h[0], "hi", 2, 0, (struct sockaddr *)&a[1], sizeof a[1]), 2);
		memset(&from, 0, sizeof from);
		len = sizeof from;
		struct iovec iov = one_iov(buf, sizeof buf);
		struct msghdr msg = {
			.msg_name = &from,
			.msg_namelen = len,
			.msg_iov = &iov,
			.msg_iovlen = 1,
		};
		do
			n = i ? hark_recvmsg(&h[1], &msg, 0)
			      : hark_recvfrom(&h[1], buf, sizeof buf, 0, (struct sockaddr *)&from,
			                      &len);
		while (n == -EAGAIN);
		ck_assert_int_eq(n, 2);
		ck_assert_uint_eq(i ? msg.msg_namelen : len, sizeof from);
		ck_assert_uint_eq(from.sin_port, a[0].sin_port);
		ck_assert_uint_eq(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	}
	ck_assert_int_eq(hark_sendto(&h[0], NULL, 0, 0, (struct sockaddr *)&a[1], sizeof a[1]), 0);
	ssize_t n;
	while ((n = hark_recv(&h[1], buf, sizeof buf)) == -EAGAIN)
		;
	ck_assert_int_eq(n, 0); /* an empty datagram */
	ck_assert_int_eq(hark_recv(&h[1], buf, sizeof buf), -EAGAIN);
}
END_TEST

static int accepted;
static struct sockaddr_in accepted_from;
static socklen_t accepted_len;

static void accept_one(struct probe *p)
{
	accepted_len = sizeof accepted_from;
	accepted = hark_accept(&p->h, (struct sockaddr *)&accepted_from, &accepted_len);
}

static int connect_to(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)address, sizeof *address), 0);
	return fd;
}

/* What hark_accept returns is ready for use in a reactor: nonblocking, close-on-exec, and with
 * its address; the listener, which blocked, does not from now on. */
START_TEST(accept_returns_what_a_server_needs)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct sockaddr_in address, mine;
	struct probe p;
	int clients[5];
	int fd = tcp_listener(&address);

	ck_assert(!is_nonblocking(fd));
	struct hark_handler h = handler_of(fd);
	ck_assert_int_eq(hark_accept(&h, NULL, NULL), -EAGAIN);
	ck_assert(is_nonblocking(fd));

	blocking(fd);
	probe_init(&p, fd);
	p.recv = true;
	p.on_recv = accept_one;
	probe_add(r, &p);
	for (int i = 0; i < 5; i++)
		clients[i] = connect_to(&address);
	for (unsigned i = 0; i < 5; i++) {
		socklen_t len = sizeof mine;

		turns_until(r, &p.recvs, i + 1);
		ck_assert_int_ge(accepted, 0);
		ck_assert(is_nonblocking(accepted));
		ck_assert_int_ne(fcntl(accepted, F_GETFD) & FD_CLOEXEC, 0);
		ck_assert_uint_eq(accepted_len, sizeof mine);
		ck_assert_int_eq(getsockname(clients[i], (struct sockaddr *)&mine, &len), 0);
		ck_assert_uint_eq(accepted_from.sin_port, mine.sin_port);
		ck_assert_uint_eq(accepted_from.sin_addr.s_addr, mine.sin_addr.s_addr);
		put(clients[i], &i, sizeof i);
		unsigned got = 99;
		while (recv(accepted, &got, sizeof got, 0) < 0)
			;
		ck_assert_uint_eq(got, i);
	}
	ck_assert_int_le(settle(r, 10), few(1));
	ck_assert(is_nonblocking(fd));

	/* A short address is cut, and its whole length told. */
	int client = connect_to(&address);
	struct sockaddr_in cut;
	socklen_t len = 4;
	memset(&cut, 0x55, sizeof cut);
	while (hark_accept(&h, (struct sockaddr *)&cut, &len) == -EAGAIN)
		;
	ck_assert_uint_eq(len, sizeof cut);
	ck_assert_uint_eq(cut.sin_addr.s_addr, 0x55555555);
	close(client);
	hark_reactor_free(r);
}
END_TEST

/* When descriptors have run out the connection stays, and the handler is called again. */
START_TEST(accept_without_descriptors_loses_no_connection)
{
	exact(EXACT_VERBS);
	struct rlimit limit = {.rlim_cur = 100, .rlim_max = 100};
	struct hark_reactor *r = new_reactor(NULL);
	struct sockaddr_in address;
	struct probe p;
	int fd = tcp_listener(&address);
	int last = -1, hoard;

	probe_init(&p, fd);
	p.recv = true;
	p.on_recv = accept_one;
	probe_add(r, &p);
	connect_to(&address);
	connect_to(&address);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while ((hoard = dup(fd)) >= 0)
		last = hoard;
	for (unsigned i = 1; i <= 5; i++) {
		turns_until(r, &p.recvs, i);
		ck_assert_int_eq(accepted, -EMFILE);
	}
	for (unsigned i = 6; i <= 7; i++) {
		close(last--);
		turns_until(r, &p.recvs, i);
		ck_assert_int_ge(accepted, 0);
	}
	ck_assert_int_le(settle(r, 5), few(1));
	hark_reactor_free(r);
}
END_TEST

/* A Unix datagram socket without a peer of its own sends to one that is full: full of somebody
 * else's datagrams, so that poll(2) calls the sender writable all the time, and no edge comes
 * when the receiver drains. With a peer of its own there is one. */
static struct sockaddr_un receiver_address;

static void sendto_receiver(struct probe *p)
{
	p->result = hark_sendto(&p->h, "0123456789", 10, 0, (struct sockaddr *)&receiver_address,
	                        sizeof receiver_address);
}

static void sendmsg_to_receiver(struct probe *p)
{
	struct iovec iov = one_iov((char[]){"0123456789"}, 10);
	struct msghdr msg = {
		.msg_name = &receiver_address,
		.msg_namelen = sizeof receiver_address,
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};

	p->result = hark_sendmsg(&p->h, &msg, 0);
}

static void send_to_peer(struct probe *p)
{
	p->result = hark_send(&p->h, "0123456789", 10);
}

static bool is_full(const struct probe *p)
{
	return p->result == -EAGAIN || p->result == -ENOBUFS;
}

static int bound_receiver(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	memset(&receiver_address, 0, sizeof receiver_address);
	receiver_address.sun_family = AF_UNIX;
	snprintf(receiver_address.sun_path, sizeof receiver_address.sun_path,
	         "/tmp/hark-conformance-%ld", (long)getpid());
	unlink(receiver_address.sun_path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&receiver_address, sizeof receiver_address),
	                 0);
	nonblocking(fd);
	return fd;
}

START_TEST(a_full_receiver_of_datagrams_that_drains_is_noticed)
{
	exact(EXACT_TURNS | EXACT_VERBS);
	static void (*const ways[])(struct probe *) = {sendto_receiver, sendmsg_to_receiver,
	                                               send_to_peer};
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int receiver = bound_receiver();
	int other = socket(AF_UNIX, SOCK_DGRAM, 0);

	nonblocking(other);
	ck_assert_int_eq(
		connect(other, (struct sockaddr *)&receiver_address, sizeof receiver_address), 0);
	probe_init(&p, socket(AF_UNIX, SOCK_DGRAM, 0));
	p.on_send = ways[_i];
	p.send = true;
	if (ways[_i] == send_to_peer)
		ck_assert_int_eq(connect(p.h.fd, (struct sockaddr *)&receiver_address,
		                         sizeof receiver_address),
		                 0);
	probe_add(r, &p);
	for (int round = 0; round < 10; round++) {
		/* Its interest changes, so that it would be on edges if that were right. */
		turns_until(r, &p.sends, p.sends + 2);
		probe_want(&p, true, false);
		settle(r, 3);
		probe_want(&p, true, true);
		turns_until(r, &p.sends, p.sends + 1);
		while (recv(receiver, &p.last, 1, 0) > 0)
			;
		while (send(other, "x", 1, 0) == 1)
			;
		for (int i = 0; i < 3; i++)
			hark_reactor_turn(r, 0);
		/* poll(2) knows that a peer is full, and does not have its sender called. */
		ck_assert(is_full(&p) || ways[_i] == send_to_peer);
		unsigned sends = p.sends;
		while (recv(receiver, &p.last, 1, 0) > 0)
			;
		turns_until(r, &p.sends, sends + 1);
		while (is_full(&p))
			turns_until(r, &p.sends, p.sends + 1);
		ck_assert_int_eq(p.result, 10);
	}
	unlink(receiver_address.sun_path);
	hark_reactor_free(r);
}
END_TEST

/* The same when it was not in its own callback that it found the receiver full. */
START_TEST(a_receiver_found_full_outside_a_callback_is_noticed)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int receiver = bound_receiver();
	int other = socket(AF_UNIX, SOCK_DGRAM, 0);

	nonblocking(other);
	ck_assert_int_eq(
		connect(other, (struct sockaddr *)&receiver_address, sizeof receiver_address), 0);
	probe_init(&p, socket(AF_UNIX, SOCK_DGRAM, 0));
	p.on_send = sendto_receiver;
	p.send = true;
	probe_add(r, &p);
	turns_until(r, &p.sends, 2);
	probe_want(&p, true, false);
	settle(r, 3);
	probe_want(&p, true, true);
	turns_until(r, &p.sends, 4);
	while (send(other, "x", 1, 0) == 1)
		;
	while (recv(receiver, &p.last, 1, 0) > 0 && p.last != 'x')
		; /* none of its own is left to be reported as read */
	while (send(other, "x", 1, 0) == 1)
		;
	sendto_receiver(&p);
	ck_assert(is_full(&p));
	unsigned sends = p.sends;
	while (recv(receiver, &p.last, 1, 0) > 0)
		;
	turns_until(r, &p.sends, sends + 1);
	unlink(receiver_address.sun_path);
	hark_reactor_free(r);
}
END_TEST

TCase *case_io(void)
{
	TCase *tc = tcase_create("io");

	tcase_add_loop_test(tc, the_socket_verbs_transfer_and_never_block, 0, 6);
	tcase_add_loop_test(tc, the_verbs_pass_errors_on, 0,
	                    (int)(sizeof all_verbs / sizeof *all_verbs));
	tcase_add_test(tc, read_and_write_turn_errno_into_a_result);
	tcase_add_test(tc, an_interrupted_read_says_so);
	tcase_add_test(tc, the_flags_are_passed_on);
	tcase_add_loop_test(tc, several_pieces_are_gathered_and_scattered, 0, 2);
	tcase_add_test(tc, datagrams_carry_addresses);
	tcase_add_test(tc, accept_returns_what_a_server_needs);
	tcase_add_test(tc, accept_without_descriptors_loses_no_connection);
	tcase_add_loop_test(tc, a_full_receiver_of_datagrams_that_drains_is_noticed, 0, 3);
	tcase_add_test(tc, a_receiver_found_full_outside_a_callback_is_noticed);
	return tc;
}
