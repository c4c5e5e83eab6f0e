/* world.c - the descriptors: pairs of every kind, opened, closed and kept alive by a dup. */
#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener; /* makes all TCP pairs */
static struct sockaddr_in listening;
static bool seqpacket; /* this system has Unix sockets of that type */

/* The test's own calls do not fail on a sound machine. */
static int must(int result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "differential: cannot %s: %s\n", what, strerror(errno));
		exit(2);
	}
	return result;
}

static void set(int fd, int level, int name, int value)
{
	must(setsockopt(fd, level, name, &value, sizeof value), "set a socket option");
}

static void reset_at_close(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), "set SO_LINGER");
}

static void nonblock(int fd)
{
	must(fcntl(fd, F_SETFL, O_NONBLOCK), "make a descriptor nonblocking");
}

/* A socket bound to a port of the loopback interface. */
static int bound(int type, struct sockaddr_in *address)
{
	socklen_t length = sizeof *address;
	int fd = must(socket(AF_INET, type, 0), "make an internet socket");

	memset(address, 0, sizeof *address);
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(bind(fd, (struct sockaddr *)address, length), "bind to the loopback interface");
	must(getsockname(fd, (struct sockaddr *)address, &length), "ask a socket its name");
	return fd;
}

static int connected(const struct sockaddr_in *address)
{
	int fd = must(socket(AF_INET, SOCK_STREAM, 0), "make an internet socket");

	set(fd, SOL_SOCKET, SO_SNDBUF, 8192);
	set(fd, SOL_SOCKET, SO_RCVBUF, 8192);
	must(connect(fd, (const struct sockaddr *)address, sizeof *address), "connect");
	return fd;
}

void world_init(void)
{
	int fds[2];

	listener = bound(SOCK_STREAM, &listening);
	set(listener, SOL_SOCKET, SO_SNDBUF, 8192);
	set(listener, SOL_SOCKET, SO_RCVBUF, 8192);
	must(listen(listener, 8), "listen");

	seqpacket = socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == 0;
	if (seqpacket) {
		close(fds[0]);
		close(fds[1]);
	}
}

static void open_tcp(int fds[2], bool inlined[2], uint32_t x)
{
	fds[0] = connected(&listening);
	fds[1] = must(accept(listener, NULL, NULL), "accept");
	for (int i = 0; i < 2; i++) {
		set(fds[i], IPPROTO_TCP, TCP_NODELAY, 1);
		inlined[i] = (x >> i & 1) != 0;
		if (inlined[i])
			set(fds[i], SOL_SOCKET, SO_OOBINLINE, 1);
	}
}

static void open_udp(int fds[2])
{
	struct sockaddr_in addresses[2];

	for (int i = 0; i < 2; i++)
		fds[i] = bound(SOCK_DGRAM, &addresses[i]);
	for (int i = 0; i < 2; i++)
		must(connect(fds[i], (struct sockaddr *)&addresses[!i], sizeof addresses[0]),
		     "connect");
}

static void open_unix(int fds[2], int type, uint32_t x)
{
	must(socketpair(AF_UNIX, type, 0, fds), "make a socket pair");
	for (int i = 0; i < 2; i++) {
		/* 1 is raised to the least that the system allows. */
		if (x >> i & 1)
			set(fds[i], SOL_SOCKET, SO_SNDBUF, x & 4 ? 1 : 8192);
	}
}

static void open_pair(int fds[2], enum kind kind, bool inlined[2], uint32_t x)
{
	inlined[0] = inlined[1] = false;
	switch (kind) {
	case DATAGRAM:
		open_unix(fds, SOCK_DGRAM, x);
		break;
	case SEQPACKET:
		open_unix(fds, seqpacket ? SOCK_SEQPACKET : SOCK_DGRAM, x);
		break;
	case TCP:
		open_tcp(fds, inlined, x);
		break;
	case PIPE:
		must(pipe(fds), "make a pipe");
		break;
	case UDP:
		open_udp(fds);
		break;
	case LISTENER:
		fds[0] = bound(SOCK_STREAM, &(struct sockaddr_in){0});
		fds[1] = -1;
		must(listen(fds[0], CLIENTS + 1), "listen");
		break;
	default:
		open_unix(fds, SOCK_STREAM, x);
		break;
	}
}

/* The last word on a channel: what it has delivered, where that does not depend on order. */
static void account(struct world *w, const struct channel *c)
{
	if (c->serial == 0)
		return;
	w->hash += chance_mix(chance_mix(c->serial) + (c->lossy ? 0 : c->received + 1));
}

/* Opens the pair of e, if both ends are closed. x decides kind and properties. */
bool world_open(struct world *w, struct end *e, uint32_t x)
{
	struct end *ends[2] = {e, end_peer(w, e)};
	static const enum kind kinds[16] = {
		STREAM, STREAM, STREAM, DATAGRAM, DATAGRAM, SEQPACKET, SEQPACKET, TCP,
		TCP,    TCP,    TCP,    PIPE,     UDP,      UDP,       UDP,       LISTENER};
	enum kind kind = kinds[x % 16];
	bool blocking = (x >> 8 & 3) == 0;
	bool inlined[2];
	int fds[2];

	if (ends[0]->fd >= 0 || ends[1]->fd >= 0)
		return false;
	open_pair(fds, kind, inlined, x >> 4);
	if (kind == SEQPACKET && !seqpacket)
		kind = DATAGRAM;

	for (int i = 0; i < 2; i++) {
		struct channel *c = channel_out(w, ends[i]);

		account(w, c);
		*c = (struct channel){.serial = ++w->serials, .kind = kind};
		*ends[i] = (struct end){.fd = fds[i], .kind = kind, .inlined = inlined[i]};
		ends[i]->able = HARK_RECV | HARK_SEND;
		if (kind == TCP && !(w->quirks & QUIRK_URGENT))
			ends[i]->able |= HARK_URGENT;
		if (kind == PIPE)
			ends[i]->able = i == 0 ? HARK_RECV : HARK_SEND;
		if (kind == LISTENER)
			ends[i]->able = i == 0 ? HARK_RECV : 0;
		/* On sockets the verbs never block, and the test's own calls have MSG_DONTWAIT. */
		if (fds[i] >= 0 && (!blocking || kind == PIPE || kind == LISTENER))
			nonblock(fds[i]);
	}
	if (kind == PIPE || kind == LISTENER)
		channel_out(w, ends[0])->ended = channel_out(w, ends[0])->over = true;
	return true;
}

/* Closes the pair of e, all of whose bytes have arrived. */
void world_retire(struct world *w, struct end *e)
{
	struct end *ends[2] = {e, end_peer(w, e)};

	for (int i = 0; i < 2; i++) {
		account(w, channel_out(w, ends[i]));
		channel_out(w, ends[i])->serial = 0;
	}
	for (int i = 0; i < 2; i++) {
		if (ends[i]->actor)
			actor_free(ends[i]->actor);
		if (ends[i]->fd >= 0)
			world_close(w, ends[i], true);
	}
}

/* Closes e: what was under way in either direction may be lost. */
void world_close(struct world *w, struct end *e, bool reset)
{
	struct channel *out = channel_out(w, e), *in = channel_in(w, e);
	int *clients = w->clients[e - w->ends];

	if (reset && e->kind == TCP)
		reset_at_close(e->fd);
	close(e->fd);
	e->fd = -1;
	out->ended = out->lossy = in->lossy = in->over = true;
	out->owed = 0;
	bytes_changed(end_peer(w, e));
	if (e->kind == LISTENER) {
		in->ended = true;
		in->owed = 0;
		for (uint64_t i = in->received; i < in->sent; i++)
			close(clients[i % CLIENTS]);
	}
}

/* Keeps the file that fd names open for some time. */
void world_dup(struct world *w, int fd)
{
	int *dup_fd = &w->dups[w->next_dup++ % DUPS];

	if (*dup_fd >= 0)
		close(*dup_fd);
	*dup_fd = fd < 0 ? -1 : must(dup(fd), "dup");
}

/* There is one at a time. */
static struct world *measured;

static void handle_slow(struct hark_reactor *r, const struct hark_slow *slow)
{
	(void)slow;
	if (measured->reactor != r)
		fail(measured, "told of a callback though the reactor is freed");
	actor_after(measured);
}

void world_reactor(struct world *w)
{
	char why[256];
	struct hark_options options = {
		.backend = w->chain,
		.slow_ns = w->measured,
		.handle_slow = handle_slow,
		.why = why,
		.why_size = sizeof why,
	};
	int error = hark_reactor_new(&w->reactor, &options);

	measured = w;
	if (error)
		fail(w, "hark_reactor_new: %s (%s)", strerror(-error), why);
	w->stopped = false;
}

static void ignore(struct hark_handler *h)
{
	(void)h;
}

/* Some kqueues have no filter for out-of-band data, and refuse it. */
static bool reports_urgent(struct hark_reactor *r)
{
	static const struct hark_handler_ops ops = {
		.wants_urgent = hark_always,
		.handle_urgent = ignore,
	};
	struct hark_handler h;
	bool reports;

	hark_handler_init(&h, &ops, listener);
	must(hark_handler_add(r, &h), "watch a listener for out-of-band data");
	reports = hark_reactor_turn(r, 0) >= 0;
	hark_handler_remove(&h);
	return reports;
}

/* What makes a reactor on the backend: as "chaos:epoll" it is under chaos, from the run's seed. */
const char *world_chain(char *chain, size_t size, const char *backend, uint64_t seed)
{
	static const char chaos[] = "chaos:";

	if (strncmp(backend, chaos, strlen(chaos)) == 0)
		snprintf(chain, size, "chaos=seed=%" PRIu64 ":%s", seed, backend + strlen(chaos));
	else
		snprintf(chain, size, "%s", backend);
	return chain;
}

void world_make(struct world *w, const char *backend, uint64_t seed, uint32_t steps)
{
	*w = (struct world){.backend = backend, .seed = seed, .steps = steps, .turn = 1};
	w->chaotic = world_chain(w->chain, sizeof w->chain, backend, seed) != NULL &&
	             strcmp(w->chain, backend) != 0;
	if (strrchr(backend, ':') != NULL)
		backend = strrchr(backend, ':') + 1;
	w->wild = (chance_mix(seed) & 1) != 0;
	w->watched = (chance_mix(seed) & 6) != 0;
	w->measured = (chance_mix(seed) & 8) != 0;
#ifdef __linux__
	/* There kqueue is libkqueue, an emulation: it leaves the registration of a closed
	 * descriptor in place. */
	if (strcmp(backend, "kqueue") == 0)
		w->quirks = QUIRK_CLOSE;
#endif
	/* To look with poll(2) before each report would cost a system call an event. */
	if (strcmp(backend, "io_uring") == 0)
		w->quirks = QUIRK_WAKE_UPS;
	for (int i = 0; i < ENDS; i++)
		w->ends[i].fd = -1;
	for (int i = 0; i < DUPS; i++)
		w->dups[i] = -1;
	report_world(w);
	world_reactor(w);
	if (strcmp(backend, "kqueue") == 0 && !reports_urgent(w->reactor))
		w->quirks |= QUIRK_URGENT;
}

void world_free(struct world *w)
{
	for (int i = 0; i < ENDS; i += 2)
		world_retire(w, &w->ends[i]);
	for (int i = 0; i < DUPS; i++)
		world_dup(w, -1);
	hark_reactor_free(w->reactor);
	actor_graves(w);
}
