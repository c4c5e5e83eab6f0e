/* support.c - what the test cases share: conformance.h and probe.h. */
#include "conformance.h"
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

const char *backend;
static int wrappers_length; /* of the argument, up to the last ':' */
static const char *wrappers = "";
bool long_tests = true;

void set_backend(const char *argument)
{
	const char *colon = strrchr(argument, ':');

	backend = colon ? colon + 1 : argument;
	wrappers = argument;
	wrappers_length = (int)(backend - argument);
}

const char *chained(const char *name)
{
	static char chain[256];

	snprintf(chain, sizeof chain, "%.*s%s", wrappers_length, wrappers, name);
	return chain;
}

bool chaotic(void)
{
	const char *chaos = strstr(wrappers, "chaos");

	return chaos && chaos < wrappers + wrappers_length;
}

bool backend_is(const char *name)
{
	return !strcmp(backend, name);
}

unsigned backend_can(void)
{
	const struct hark_backend *b;

	for (unsigned i = 0; (b = hark_backend_at(i)); i++)
		if (backend_is(b->name))
			return b->can;
	return 0;
}

void except(const char *test, const char *reason)
{
	printf("exception: %s: %s: %s\n", backend, test, reason);
	fflush(stdout);
}

bool error_is_taken(const char *test)
{
#ifdef __linux__
	if (backend_is("kqueue")) {
		except(test, "libkqueue asks for SO_ERROR, and the verb finds no error any more");
		return true;
	}
#endif
	(void)test;
	return false;
}

struct hark_reactor *new_reactor(const struct hark_options *options)
{
	struct hark_options o = {0};
	struct hark_reactor *r = NULL;
	char why[256] = "";

	if (options)
		o = *options;
	o.backend = chained(backend);
	if (!o.why) {
		o.why = why;
		o.why_size = sizeof why;
	}

	int error = hark_reactor_new(&r, &o);
	ck_assert_msg(error == 0, "no reactor on %s: %s: %s", o.backend, strerror(-error), o.why);
	ck_assert_str_eq(hark_reactor_backend(r), o.backend);
	return r;
}

struct hark_stats stats_of(const struct hark_reactor *r)
{
	struct hark_stats stats;

	hark_reactor_stats(r, &stats);
	return stats;
}

void nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	ck_assert_int_ge(flags, 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
}

static void buffers(int fd, int size)
{
	if (size == 0)
		return;
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
}

int tcp_listener(struct sockaddr_in *address)
{
	socklen_t len = sizeof *address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	memset(address, 0, sizeof *address);
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)address, len), 0);
	ck_assert_int_eq(listen(fd, 128), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)address, &len), 0);
	return fd;
}

/* A size of 0 leaves the buffers as the system makes them. TCP wants to know before it connects:
 * a window that has been promised and is then taken back makes it slow. */
static void tcp_pair(int fds[2], int size)
{
	struct sockaddr_in address;
	int listener = tcp_listener(&address);
	int one = 1;

	buffers(listener, size);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_ge(fds[0], 0);
	buffers(fds[0], size);
	ck_assert_int_eq(connect(fds[0], (struct sockaddr *)&address, sizeof address), 0);
	fds[1] = accept(listener, NULL, NULL);
	ck_assert_int_ge(fds[1], 0);
	close(listener);

	/* A test sends single bytes and waits for them. */
	for (int i = 0; i < 2; i++)
		setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void socket_pair(const char *transport, int fds[2])
{
	if (!strcmp(transport, "tcp"))
		tcp_pair(fds, 0);
	else
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	nonblocking(fds[0]);
	nonblocking(fds[1]);
}

void small_pair(const char *transport, int fds[2])
{
	if (!strcmp(transport, "tcp")) {
		/* Much smaller than a segment of the loopback interface, it would crawl. */
		tcp_pair(fds, 32768);
	} else {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		buffers(fds[0], 4096);
		buffers(fds[1], 4096);
	}
	nonblocking(fds[0]);
	nonblocking(fds[1]);
}

bool need_descriptors(unsigned long n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return false;
	if (limit.rlim_cur >= n)
		return true;
	limit.rlim_cur = n;
	if (limit.rlim_max < n)
		limit.rlim_max = n; /* the superuser may */
	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* Under chaos what there is may be held back for some turns, and these may be interrupted. */
#define QUIET_TURNS (chaotic() ? 16 : 1)

int settle(struct hark_reactor *r, int limit)
{
	int callbacks = 0, quiet = 0;

	for (int i = 0; i < limit * QUIET_TURNS && quiet < QUIET_TURNS; i++) {
		int n = hark_reactor_turn(r, 0);

		require(n >= 0, "the turn failed: %s", strerror(-n));
		quiet = n == 0 ? quiet + 1 : 0;
		callbacks += n;
	}
	return callbacks;
}

char *dump_of(const struct hark_reactor *r)
{
	static char text[65536];
	FILE *file = tmpfile();

	ck_assert_ptr_nonnull(file);
	hark_reactor_dump(r, file);
	rewind(file);
	size_t n = fread(text, 1, sizeof text - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

bool again(ssize_t result)
{
	return result == -EAGAIN || result == -EINTR;
}

void exact(unsigned what)
{
	char argument[256];
	const char *end;

	if (!chaotic())
		return;
	/* Its settings begin with its seed, and of two settings the later one counts. */
	end = strchr(strstr(wrappers, "chaos="), ':');
	snprintf(argument, sizeof argument, "%.*s%s%s%s%s%s", (int)(end - wrappers), wrappers,
	         what & EXACT_CALLS ? ",spurious=0" : "",
	         what & EXACT_TURNS ? ",late=0,one=0,eintr=0" : "",
	         what & EXACT_ORDER ? ",order=0,late=0,one=0" : "",
	         what & EXACT_VERBS ? ",eagain=0,eintr=0,short=0" : "", end);
	set_backend(strdup(argument));
}

int few(int n)
{
	return chaotic() ? n + 20 : n;
}

unsigned patience(unsigned turns)
{
	return turns * (unsigned)QUIET_TURNS;
}

int active_turn(struct hark_reactor *r)
{
	int64_t end = clock_ns() + HARK_S(20);
	int n;

	do {
		n = hark_reactor_turn(r, HARK_S(20));
		require(n >= 0, "the turn failed: %s", strerror(-n));
	} while (n == 0 && clock_ns() < end);
	return n;
}

pid_t lasting_child(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(100); /* outlives no failed test for long */
		for (;;)
			pause();
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

int64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The probe. */

static const struct probe *const_probe(const struct hark_handler *h)
{
	return (const struct probe *)(const void *)h;
}

static struct probe *probe_of(struct hark_handler *h)
{
	return (struct probe *)(void *)h;
}

static bool probe_wants_recv(const struct hark_handler *h)
{
	const struct probe *p = const_probe(h);

	*p->asked += 1;
	return p->recv;
}

static bool probe_wants_send(const struct hark_handler *h)
{
	return const_probe(h)->send;
}

static bool probe_wants_urgent(const struct hark_handler *h)
{
	return const_probe(h)->urgent;
}

static void probe_handle_recv(struct hark_handler *h)
{
	struct probe *p = probe_of(h);

	require(p->recv, "handle_recv of a handler that does not want to receive");
	p->recvs++;
	if (p->on_recv)
		p->on_recv(p);
}

static void probe_handle_send(struct hark_handler *h)
{
	struct probe *p = probe_of(h);

	require(p->send, "handle_send of a handler that does not want to send");
	p->sends++;
	if (p->on_send)
		p->on_send(p);
}

static void probe_handle_urgent(struct hark_handler *h)
{
	struct probe *p = probe_of(h);

	require(p->urgent, "handle_urgent of a handler that does not want urgent data");
	p->urgents++;
	if (p->on_urgent)
		p->on_urgent(p);
}

static void probe_handle_ready(struct hark_handler *h, unsigned ready)
{
	struct probe *p = probe_of(h);
	unsigned want = (p->recv ? HARK_RECV : 0) | (p->send ? HARK_SEND : 0) |
	                (p->urgent ? HARK_URGENT : 0);

	require(ready & want, "handle_ready(%#x) of a handler that wants %#x", ready, want);
	require(!(ready & ~(want | HARK_BROKEN)), "handle_ready(%#x) though only %#x is wanted",
	        ready, want);
	p->readies++;
	p->ready = ready;
	if (p->on_ready)
		p->on_ready(p);
}

static void probe_handle_error(struct hark_handler *h, int error)
{
	struct probe *p = probe_of(h);

	p->errors++;
	p->error = error;
}

static const struct hark_handler_ops probe_ops = {
	.wants_recv = probe_wants_recv,
	.wants_send = probe_wants_send,
	.wants_urgent = probe_wants_urgent,
	.handle_recv = probe_handle_recv,
	.handle_send = probe_handle_send,
	.handle_urgent = probe_handle_urgent,
	.handle_error = probe_handle_error,
	.name = "probe",
};

static const struct hark_handler_ops ready_ops = {
	.wants_recv = probe_wants_recv,
	.wants_send = probe_wants_send,
	.wants_urgent = probe_wants_urgent,
	.handle_ready = probe_handle_ready,
	.handle_error = probe_handle_error,
	.name = "ready probe",
};

static void init(struct probe *p, const struct hark_handler_ops *ops, int fd)
{
	memset(p, 0, sizeof *p);
	p->asked = &p->asked_count;
	hark_handler_init(&p->h, ops, fd);
}

void probe_init(struct probe *p, int fd)
{
	init(p, &probe_ops, fd);
}

void probe_init_ready(struct probe *p, int fd)
{
	init(p, &ready_ops, fd);
}

void probe_add(struct hark_reactor *r, struct probe *p)
{
	int error = hark_handler_add(r, &p->h);

	ck_assert_msg(error == 0, "cannot add descriptor %d: %s", p->h.fd, strerror(-error));
}

void probe_want(struct probe *p, bool recv, bool send)
{
	p->recv = recv;
	p->send = send;
	hark_handler_refresh(&p->h);
}

void verb_one(struct probe *p)
{
	p->result = hark_recv(&p->h, &p->last, 1);
	if (p->result > 0)
		p->received++;
}

void plain_one(struct probe *p)
{
	p->result = recv(p->h.fd, &p->last, 1, 0);
	if (p->result > 0)
		p->received++;
}

void verb_all(struct probe *p)
{
	char buf[4096];

	while ((p->result = hark_recv(&p->h, buf, sizeof buf)) > 0)
		p->received += (size_t)p->result;
}

void plain_all(struct probe *p)
{
	char buf[4096];

	while ((p->result = recv(p->h.fd, buf, sizeof buf, 0)) > 0)
		p->received += (size_t)p->result;
}

void verb_send_one(struct probe *p)
{
	p->result = hark_send(&p->h, "s", 1);
	if (p->result == 1)
		p->send = false;
}

bool to_edges(struct hark_reactor *r, struct probe *p, int peer)
{
	struct probe before = *p;
	uint64_t changes = 0;
	bool free_of_charge = false;

	/* Invented events that nobody wants have a direction disarmed, which costs a change. */
	int more = chaotic() && (backend_can() & HARK_CAN_EDGE) ? 40 : 0;

	p->on_recv = verb_all;
	p->on_send = verb_send_one;
	for (int round = 0; round < 4 || (round < more && !free_of_charge); round++) {
		unsigned sends = p->sends;
		size_t received = p->received;
		char c;

		changes = stats_of(r).changes;
		put(peer, "e", 1);
		while (p->received == received)
			turns_until(r, &p->recvs, p->recvs + 1);
		probe_want(p, true, true);
		turns_until(r, &p->sends, sends + 1);
		settle(r, 10);
		while (recv(peer, &c, 1, 0) < 0 && errno == EAGAIN)
			;
		free_of_charge = stats_of(r).changes == changes;
	}

	/* A last callback that used no verb would bring it back to levels. */
	probe_want(p, before.recv, before.send);
	settle(r, 1);
	p->on_recv = before.on_recv;
	p->on_send = before.on_send;
	p->recvs = before.recvs;
	p->sends = before.sends;
	p->received = before.received;
	return free_of_charge;
}

void turns_until(struct hark_reactor *r, const unsigned *count, unsigned n)
{
	while (*count < n)
		require(active_turn(r) > 0, "stuck: asleep after %u of %u callbacks", *count, n);
}

void quiet(struct hark_reactor *r, int ms)
{
	uint64_t waits = stats_of(r).waits;
	int64_t start = clock_ns();
	int callbacks = 0;
	int64_t left = HARK_MS(ms);

	do {
		callbacks += hark_reactor_turn(r, left);
		left = start + HARK_MS(ms) - clock_ns();
	} while (left > 0 && chaotic());
	ck_assert_msg(callbacks <= few(0), "%d instead of no callbacks", callbacks);
	ck_assert_msg(left <= 0, "the turn ended %lld ns early", (long long)left);
	waits = stats_of(r).waits - waits;
	ck_assert_msg(waits <= (chaotic() ? 64 : 4),
	              "%llu waits in a turn in which nothing happens: it spins",
	              (unsigned long long)waits);
}

void put(int fd, const void *data, size_t len)
{
	ssize_t n = write(fd, data, len);

	require(n == (ssize_t)len, "wrote %zd of %zu bytes: %s", n, len, strerror(errno));
}

size_t drain(int fd)
{
	char buf[65536];
	size_t total = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof buf)) > 0)
		total += (size_t)n;
	return total;
}

size_t fill(int fd)
{
	static const char zeros[4096];
	size_t total = 0;
	ssize_t n;

	while ((n = write(fd, zeros, sizeof zeros)) > 0)
		total += (size_t)n;
	ck_assert_msg(n < 0 && errno == EAGAIN, "a full descriptor says %s", strerror(errno));
	return total;
}
