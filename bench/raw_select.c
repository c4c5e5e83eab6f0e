/* raw_select.c - select(2) by hand: the nodes indexed by descriptor, and bit sets as long as the
 * highest descriptor needs, beyond FD_SETSIZE too, scanned by word.
 *
 * A word here may be wider than the system's own: on a little-endian machine it holds the same
 * bits. */
#include "raw.h"
#include "raw_posts.h"
#include <string.h>
#include <sys/select.h>

#define BITS (8 * sizeof(unsigned long))

static struct {
	enum job job;
	const struct ring *ring;
	int top; /* the highest descriptor */
	unsigned words, senders;
	struct node *nodes;
	struct idler *idlers;             /* of idle-timer, in place of nodes */
	unsigned long *readers, *writers; /* what is wanted */
	unsigned long *in, *out;          /* what select(2) overwrites */
} loop;

static const char *raw_select_backend(unsigned index)
{
	return index == 0 ? "select" : NULL;
}

static int raw_select_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	const struct ring *ring = cell->ring;

	(void)backend, (void)why, (void)size;
	memset(&loop, 0, sizeof loop);
	loop.job = cell->job;
	loop.ring = ring;
	for (unsigned i = 0; i < ring->count; i++) {
		if (ring->pairs[i].fd > loop.top)
			loop.top = ring->pairs[i].fd;
	}
	if (loop.job == IDLE_TIMER)
		loop.idlers = allocate((size_t)loop.top + 1, sizeof *loop.idlers);
	else
		loop.nodes = allocate((size_t)loop.top + 1, sizeof *loop.nodes);
	for (unsigned i = 0; i < ring->count; i++) {
		const struct pair *pair = &ring->pairs[i];

		if (loop.job == IDLE_TIMER)
			loop.idlers[pair->fd] = idler_of(pair);
		else
			loop.nodes[pair->fd] = node_of(pair);
	}
	return 0;
}

static void turn_bit(unsigned long *set, int fd, bool on)
{
	unsigned long bit = 1ul << ((unsigned)fd % BITS);

	if (on)
		set[(unsigned)fd / BITS] |= bit;
	else
		set[(unsigned)fd / BITS] &= ~bit;
}

static int raw_select_watch(void)
{
	loop.words = (unsigned)loop.top / (unsigned)BITS + 1;
	loop.readers = calloc((size_t)loop.words * 4, sizeof *loop.readers);
	if (loop.readers == NULL)
		return -ENOMEM;
	loop.writers = loop.readers + loop.words;
	loop.in = loop.writers + loop.words;
	loop.out = loop.in + loop.words;
	for (unsigned i = 0; i < loop.ring->count; i++) {
		const int fd = loop.ring->pairs[i].fd;

		turn_bit(loop.readers, fd, true);
		if (loop.job == IDLE_TIMER)
			idler_start(&loop.idlers[fd]);
	}
	return 0;
}

static int raw_select_unwatch(unsigned count)
{
	for (unsigned i = loop.ring->count - count; i < loop.ring->count; i++)
		turn_bit(loop.readers, loop.ring->pairs[i].fd, false);
	return 0;
}

static void node_want(struct node *node, bool want)
{
	turn_bit(loop.writers, node->fd, want);
	if (want)
		loop.senders++;
	else
		loop.senders--;
}

static int wait_ready(bool writers, struct timeval *limit)
{
	size_t size = loop.words * sizeof *loop.in;

	memcpy(loop.in, loop.readers, size);
	if (writers)
		memcpy(loop.out, loop.writers, size);
	return select(loop.top + 1, (fd_set *)(void *)loop.in,
	              writers ? (fd_set *)(void *)loop.out : NULL, NULL, limit);
}

/* Until the first timeout. */
static struct timeval time_left(void)
{
	const int64_t left = (idle_left() + HARK_US(1) - 1) / HARK_US(1);

	return (struct timeval){
		.tv_sec = (time_t)(left / 1000000),
		.tv_usec = (suseconds_t)(left % 1000000),
	};
}

static inline int raw_loop(void (*in)(struct node *node), void (*out)(struct node *node),
                           bool timed)
{
	while (tally.hops < tally.goal) {
		const bool writers = out != NULL && loop.senders > 0;
		struct timeval limit = timed ? time_left() : (struct timeval){0, 0};
		int n = wait_ready(writers, timed ? &limit : NULL);

		if (n < 0)
			return -errno;
		if (timed)
			timers.now = now();
		for (unsigned w = 0; n > 0; w++) {
			const unsigned long ins = loop.in[w], outs = writers ? loop.out[w] : 0;

			for (unsigned long word = ins | outs; word != 0; word &= word - 1) {
				const unsigned long bit = word & -word;
				const size_t fd = w * BITS + (unsigned)__builtin_ctzl(word);

				if (ins & bit) {
					n--;
					in(timed ? &loop.idlers[fd].node : &loop.nodes[fd]);
				}
				if (out != NULL && outs & bit) {
					n--;
					out(&loop.nodes[fd]);
				}
			}
		}
		if (timed)
			idle_expire();
	}
	return 0;
}

static int raw_select_run(void)
{
	return raw_run(loop.job);
}

static void raw_select_close(void)
{
	free(loop.readers);
	free(loop.nodes);
	idlers_free(loop.idlers);
}

const struct driver raw_select = {
	.name = "raw",
	.kind = SOCKETS,
	.backend = raw_select_backend,
	.open = raw_select_open,
	.watch = raw_select_watch,
	.unwatch = raw_select_unwatch,
	.run = raw_select_run,
	.close = raw_select_close,
};

/* What is posted to instead watches one low descriptor. */
static int sleeper;

static int sleep_select_open(int fd)
{
	sleeper = fd;
	return fd < FD_SETSIZE ? 0 : -EMFILE;
}

static int sleep_select_wait(bool sleep)
{
	struct timeval at_once = {0, 0};
	fd_set in;
	int n;

	FD_ZERO(&in);
	FD_SET(sleeper, &in);
	n = select(sleeper + 1, &in, NULL, NULL, sleep ? NULL : &at_once);
	return n < 0 ? -errno : n;
}

static void sleep_select_close(void)
{
}

const struct sleeper sleep_select = {
	.name = "select",
	.open = sleep_select_open,
	.wait = sleep_select_wait,
	.close = sleep_select_close,
};
