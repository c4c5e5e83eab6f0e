/* chaos.c - everything that the contract allows and a kernel seldom does, from a seed.
 *
 * Events are held back, put in another order, handed over one at a time, and invented; waits and
 * verbs are interrupted; verbs answer -EAGAIN where they need not, move less than they could, and
 * fail. Each kind of mischief has a rate, and one generator of numbers decides it all, so that the
 * same seed makes the same run of the same events.
 *
 * What is held back has one place for each descriptor, got when that is added. It may lie there for
 * a few waits, and none of these sleeps. An -EAGAIN of our own making for a descriptor that is
 * watched with edges is followed by a report from the same place. An end is sure: nothing is held
 * back for more than LATE_MAX waits, and nobody is lied to more than LIES_MAX times running. */
#include "sys/sys.h"
#include "wrappers/settings.h"
#include "wrappers/wrappers.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define LATE_MAX 4u          /* waits for which an event is held back */
#define INTERRUPTIONS_MAX 2u /* waits that are interrupted running */
#define INVENTIONS_MAX 3u    /* events that are invented while nothing happens */
#define LIES_MAX 3u          /* verbs of one descriptor that lie running */

#define ONE 1000000000u /* the rate 1 */

#define DIRECTIONS (HARK_RECV | HARK_SEND | HARK_URGENT)

/* What has a rate. */
enum {
	ORDER,    /* the events of a wait in another order */
	LATE,     /* an event held back, in each wait */
	SINGLE,   /* one event in a wait */
	SPURIOUS, /* readiness invented */
	INTERRUPT,
	AGAIN,
	SHORT,
	RESET, /* from here on only when asked for */
	NO_DESCRIPTORS,
	NO_BUFFERS,
	NO_MEMORY,
	RATES
};

static const struct rate {
	const char *name;
	uint32_t rate;
} defaults[RATES] = {
	{"order", 500000000}, {"late", 200000000},   {"one", 100000000},   {"spurious", 100000000},
	{"eintr", 50000000},  {"eagain", 100000000}, {"short", 300000000}, {"econnreset", 0},
	{"emfile", 0},        {"enobufs", 0},        {"enomem", 0},
};

/* A descriptor. */
struct place {
	uint32_t generation; /* of the registration whose events are held back */
	uint8_t events;      /* that are; 0: none */
	uint8_t age;         /* for how many waits */
	uint8_t lies;        /* verbs that were lied to, running */
};

struct chaos {
	struct hark_port *up;
	uint64_t random;
	uint64_t rates[RATES];

	struct place *places; /* at the descriptor's number */
	int *held;            /* descriptors that have events held back */
	int room;             /* of both */
	int count;            /* of held */

	unsigned interruptions; /* running */
	unsigned inventions;    /* since something happened */
	bool happened;          /* something was reported in this wait */
};

/* ---- Chance ---- */

/* A counter, and a mixing of its bits. */
static uint64_t draw(struct chaos *c)
{
	uint64_t word = c->random += 0x9e3779b97f4a7c15u;

	word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
	word = (word ^ word >> 27) * 0x94d049bb133111ebu;
	return word ^ word >> 31;
}

/* A number below `limit`, which is not 0. */
static uint32_t below(struct chaos *c, uint32_t limit)
{
	return (uint32_t)((draw(c) >> 32) * limit >> 32);
}

/* What has no rate uses up no number either. */
static bool happens(struct chaos *c, int what)
{
	return c->rates[what] > 0 && below(c, ONE) < c->rates[what];
}

/* ---- Events ---- */

static bool is_current(struct chaos *c, int fd, uint32_t generation)
{
	const struct hark_slot *slot = hark_slot(c->up, fd);

	return slot != NULL && slot->armed != 0 && slot->generation == generation;
}

/* Holds events of a registration that is current. */
static void hold(struct chaos *c, int fd, uint32_t generation, unsigned events)
{
	struct place *p = &c->places[fd];

	if (events == 0)
		return;
	if (p->events == 0)
		c->held[c->count++] = fd;
	if (p->events == 0 || p->generation != generation) {
		p->events = 0;
		p->age = 0;
		p->generation = generation;
	}
	p->events |= (uint8_t)events;
}

static bool chaos_ready(void *state, int fd, uint32_t generation, unsigned events)
{
	struct chaos *c = state;

	c->happened = true;
	if (!is_current(c, fd, generation))
		return hark_ready(c->up, fd, generation, events);
	hold(c, fd, generation, events);
	return true;
}

static unsigned armed_of(struct chaos *c, int fd)
{
	const struct hark_slot *slot = hark_slot(c->up, fd);

	return slot != NULL ? slot->armed & DIRECTIONS : 0;
}

/* Some of the directions that are armed for some descriptor. Chance says the how-manieth, not which
 * number: the same run comes with other numbers. */
static void invent_readiness(struct chaos *c)
{
	uint32_t count = 0, chosen;

	for (int fd = 0; fd < c->room; fd++)
		count += armed_of(c, fd) != 0;
	if (count == 0)
		return;
	chosen = below(c, count);
	for (int fd = 0; fd < c->room; fd++) {
		unsigned armed = armed_of(c, fd), some;

		if (armed == 0 || chosen-- > 0)
			continue;
		some = armed & (unsigned)draw(c);
		hold(c, fd, hark_slot(c->up, fd)->generation, some != 0 ? some : armed);
		return;
	}
}

static void shuffle(struct chaos *c)
{
	for (int i = c->count - 1; i > 0; i--) {
		int j = (int)below(c, (uint32_t)i + 1);
		int fd = c->held[i];

		c->held[i] = c->held[j];
		c->held[j] = fd;
	}
}

/* Lets go of what has been held for fd. Directions that have been disarmed since are left out; with
 * edges urgent data comes unasked. */
static void release(struct chaos *c, int fd)
{
	struct place *p = &c->places[fd];
	unsigned events = p->events;
	unsigned armed;

	p->events = 0;
	if (!is_current(c, fd, p->generation))
		return;
	armed = hark_slot(c->up, fd)->armed;
	events &= ~DIRECTIONS | armed | (armed & HARK_EDGE ? HARK_URGENT : 0);
	if (events != 0)
		hark_ready(c->up, fd, p->generation, events);
}

static void release_some(struct chaos *c)
{
	int count = c->count;
	bool one = happens(c, SINGLE);
	bool released = false;

	if (count > 1 && happens(c, ORDER))
		shuffle(c);
	c->count = 0;
	for (int i = 0; i < count; i++) {
		int fd = c->held[i];
		struct place *p = &c->places[fd];

		if (p->age < LATE_MAX && ((one && released) || happens(c, LATE))) {
			p->age++;
			c->held[c->count++] = fd;
		} else {
			release(c, fd);
			released = true;
		}
	}
}

static int chaos_wait(void *state, const struct timespec *timeout)
{
	static const struct timespec at_once;
	struct chaos *c = state;
	bool invent;
	int rc;

	if (c->interruptions < INTERRUPTIONS_MAX && happens(c, INTERRUPT)) {
		c->interruptions++;
		return -EINTR;
	}
	c->interruptions = 0;
	invent = c->inventions < INVENTIONS_MAX && happens(c, SPURIOUS);
	c->happened = false;
	rc = hark_next_wait(c->up, c->count > 0 || invent ? &at_once : timeout);
	if (rc < 0)
		return rc;
	if (invent)
		invent_readiness(c);
	c->inventions = c->happened ? 0 : c->inventions + invent;
	release_some(c);
	return c->count > 0 ? rc | HARK_FULL : rc;
}

/* A registration that is used up without the reactor's knowing begins anew by this, and reports
 * what is ready: to call it used up now would be wrong. */
static int chaos_modify(void *state, int fd, struct hark_slot *slot, unsigned want)
{
	struct chaos *c = state;
	struct place *p = &c->places[fd];

	if (p->events & HARK_SPENT && p->generation == slot->generation)
		p->generation--; /* nobody's */
	return hark_next_modify(c->up, fd, slot, want);
}

static int chaos_submit(void *state)
{
	struct chaos *c = state;
	int rc = hark_next_submit(c->up);

	return rc == 0 && c->count > 0 ? 1 : rc;
}

/* ---- Verbs ---- */

static bool receives(const struct hark_io *io)
{
	return io->verb == HARK_VERB_RECV || io->verb == HARK_VERB_RECVFROM ||
	       io->verb == HARK_VERB_RECVMSG || io->verb == HARK_VERB_READ ||
	       io->verb == HARK_VERB_ACCEPT;
}

static bool is_of_sockets(const struct hark_io *io)
{
	return io->verb != HARK_VERB_READ && io->verb != HARK_VERB_WRITE;
}

/* A socket that carries bytes and not messages. */
static bool is_stream_socket(int fd)
{
	int type = 0;
	socklen_t len = sizeof type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
		return false;
#if defined(SO_PROTOCOL) && defined(IPPROTO_SCTP)
	len = sizeof type;
	return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &type, &len) < 0 || type != IPPROTO_SCTP;
#else
	return true;
#endif
}

static bool is_pipe(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return false;
#ifdef O_DIRECT
	return !(fcntl(fd, F_GETFL) & O_DIRECT); /* one of packets */
#else
	return true;
#endif
}

/* read(2) and write(2) of what blocks do not know -EAGAIN. */
static bool may_answer_again(const struct hark_io *io)
{
	return is_of_sockets(io) || fcntl(io->fd, F_GETFL) & O_NONBLOCK;
}

/* An -EAGAIN that the kernel knows nothing of, and will not follow by an edge. */
static int answer_again(struct chaos *c, const struct hark_io *io)
{
	const struct hark_slot *slot = hark_slot(c->up, io->fd);
	unsigned direction = receives(io) ? HARK_RECV : HARK_SEND;

	if (slot->armed & HARK_EDGE)
		hold(c, io->fd, slot->generation, slot->armed & direction);
	return -EAGAIN;
}

/* A connection that is reset is gone, for both sides. */
static int answer_reset(const struct hark_io *io)
{
	shutdown(io->fd, SHUT_RDWR);
	return -ECONNRESET;
}

/* Returns 0, or what the verb answers in place of the system call. */
static int lie(struct chaos *c, const struct hark_io *io)
{
	bool accepts = io->verb == HARK_VERB_ACCEPT;

	if (happens(c, INTERRUPT))
		return -EINTR;
	if (happens(c, AGAIN) && may_answer_again(io))
		return answer_again(c, io);
	if (!accepts && happens(c, RESET) && is_of_sockets(io) && is_stream_socket(io->fd))
		return answer_reset(io);
	if (accepts && happens(c, NO_DESCRIPTORS))
		return -EMFILE;
	if (!receives(io) && happens(c, NO_BUFFERS) && is_of_sockets(io))
		return -ENOBUFS;
	if (happens(c, NO_MEMORY) && is_of_sockets(io))
		return -ENOMEM;
	return 0;
}

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

static size_t length(const struct hark_io *io)
{
	size_t sum = 0;

	if (io->verb != HARK_VERB_RECVMSG && io->verb != HARK_VERB_SENDMSG)
		return io->len;
	for (size_t i = 0; i < (size_t)io->msg->msg_iovlen; i++)
		sum += io->msg->msg_iov[i].iov_len;
	return sum;
}

/* May it move less than asked for, and than it could? Messages stay whole, and so does what a pipe
 * takes in one piece or not at all. */
static bool may_be_short(const struct hark_io *io, size_t len)
{
	if (io->verb == HARK_VERB_ACCEPT || len < 2)
		return false;
	if (is_of_sockets(io))
		return !(io->flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL)) && is_stream_socket(io->fd);
	return (io->verb == HARK_VERB_READ || len > PIPE_BUF) && is_pipe(io->fd);
}

/* The caller's msghdr is not ours to change: a copy that has one part of its first part that is not
 * empty. */
static ssize_t short_message(struct chaos *c, struct hark_io *io, size_t len)
{
	struct msghdr *msg = io->msg;
	struct msghdr copy = *msg;
	struct iovec part = {.iov_len = 0};
	ssize_t n;

	for (size_t i = 0; part.iov_len == 0; i++)
		part = msg->msg_iov[i];
	if (part.iov_len > len)
		part.iov_len = len;
	copy.msg_iov = &part;
	copy.msg_iovlen = 1;
	io->msg = &copy;
	n = hark_next_io(c->up, io);
	io->msg = msg;
	if (io->verb == HARK_VERB_RECVMSG && n >= 0) {
		msg->msg_namelen = copy.msg_namelen;
		msg->msg_controllen = copy.msg_controllen;
		msg->msg_flags = copy.msg_flags;
	}
	return n;
}

static ssize_t perform(struct chaos *c, struct hark_io *io)
{
	size_t len = c->rates[SHORT] > 0 ? length(io) : 0;

	if (!may_be_short(io, len) || !happens(c, SHORT))
		return hark_next_io(c->up, io);
	if (len > UINT32_MAX)
		len = UINT32_MAX;
	len = below(c, 2) ? 1 : 1 + below(c, (uint32_t)len - 1);
	if (io->verb == HARK_VERB_RECVMSG || io->verb == HARK_VERB_SENDMSG)
		return short_message(c, io, len);
	io->len = len;
	return hark_next_io(c->up, io);
}

static ssize_t chaos_io(void *state, struct hark_io *io)
{
	struct chaos *c = state;
	struct place *p = &c->places[io->fd];
	int error = p->lies < LIES_MAX ? lie(c, io) : 0;

	if (error < 0) {
		p->lies++;
		return error;
	}
	p->lies = 0;
	return perform(c, io);
}

/* ---- Opening and closing ---- */

#define UNSET UINT64_MAX
#define RATE "a rate from 0 to 1"

/* What `text` says, over what has been said before. */
static int configure(struct chaos *c, uint64_t *seed, const char *from, const char *text)
{
	uint64_t all = UNSET, said[RATES];
	struct hark__setting settings[RATES + 2] = {
		{"seed", seed, 1, UNSET - 1, "a whole number"},
		{"all", &all, ONE, ONE, RATE},
	};
	int error;

	for (int i = 0; i < RATES; i++) {
		said[i] = UNSET;
		settings[i + 2] =
			(struct hark__setting){defaults[i].name, &said[i], ONE, ONE, RATE};
	}
	error = hark__settings(c->up, from, text, settings, RATES + 2);
	for (int i = 0; i < RATES && error == 0; i++) {
		if (said[i] != UNSET)
			c->rates[i] = said[i];
		else if (i < RESET && all != UNSET)
			c->rates[i] = all;
	}
	return error;
}

/* A short one, for whoever has to type it. */
static uint64_t some_seed(void)
{
	struct chaos c = {.random = (uint64_t)getpid() << 32};
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	c.random += (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	return below(&c, UINT32_MAX);
}

static int chaos_open(void *state, struct hark_port *up)
{
	struct chaos *c = state;
	uint64_t seed = UNSET;
	int error;

	c->up = up;
	for (int i = 0; i < RATES; i++)
		c->rates[i] = defaults[i].rate;
	error = configure(c, &seed, "HARK_CHAOS: ", hark__getenv("HARK_CHAOS"));
	if (error == 0)
		error = configure(c, &seed, "", hark_port_settings(up));
	if (error < 0)
		return error;
	if (seed == UNSET) {
		seed = some_seed();
		fprintf(stderr, "hark: chaos: seed=%llu\n", (unsigned long long)seed);
	}
	c->random = seed;
	draw(c); /* neighbours part ways */
	return 0;
}

static void chaos_close(void *state, bool forked)
{
	struct chaos *c = state;

	(void)forked;
	free(c->places);
	free(c->held);
}

/* The first is the reactor's own waker: to make a reactor does not fail. */
static int chaos_reserve(void *state, int fd)
{
	struct chaos *c = state;
	int room = fd / 32 < INT_MAX - 8 - fd ? fd + 8 + fd / 32 : INT_MAX;
	struct place *places;
	int *held;

	if (c->room > 0 && happens(c, NO_MEMORY))
		return -ENOMEM;
	if (fd < c->room)
		return 0;
	places = realloc(c->places, (size_t)room * sizeof *places);
	if (places == NULL)
		return -ENOMEM;
	c->places = places;
	held = realloc(c->held, (size_t)room * sizeof *held);
	if (held == NULL)
		return -ENOMEM;
	c->held = held;
	memset(places + c->room, 0, (size_t)(room - c->room) * sizeof *places);
	c->room = room;
	return 0;
}

const struct hark_backend hark__chaos = {
	.name = "chaos",
	.state_size = sizeof(struct chaos),
	.can = HARK_CAN_WRAP,
	.open = chaos_open,
	.close = chaos_close,
	.modify = chaos_modify,
	.wait = chaos_wait,
	.reserve = chaos_reserve,
	.submit = chaos_submit,
	.ready = chaos_ready,
	.io = chaos_io,
};
