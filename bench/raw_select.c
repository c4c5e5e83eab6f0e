/* raw_select.c - select(2) by hand: the nodes indexed by descriptor, and bit sets as long as the
 * highest descriptor needs, beyond FD_SETSIZE too, scanned by word.
 *
 * A word here may be wider than the system's own: on a little-endian machine it holds the same
 * bits. */
#include "raw.h"
#include <string.h>
#include <sys/select.h>

#define BITS (8 * sizeof(unsigned long))

static struct {
	enum work work;
	const struct ring *ring;
	int top; /* the highest descriptor */
	unsigned words, senders;
	uint64_t calls;
	struct node *nodes;
	unsigned long *readers, *writers; /* what is wanted */
	unsigned long *in, *out;          /* what select(2) overwrites */
} loop;

static const char *raw_select_backend(unsigned index)
{
	return index == 0 ? "select" : NULL;
}

static int raw_select_open(const char *backend, enum work work, const struct ring *ring, char *why,
                           size_t size)
{
	(void)backend, (void)why, (void)size;
	memset(&loop, 0, sizeof loop);
	loop.work = work;
	loop.ring = ring;
	for (unsigned i = 0; i < ring->count; i++) {
		if (ring->pairs[i].fd > loop.top)
			loop.top = ring->pairs[i].fd;
	}
	loop.nodes = allocate((size_t)loop.top + 1, sizeof *loop.nodes);
	for (unsigned i = 0; i < ring->count; i++) {
		const struct pair *pair = &ring->pairs[i];

		loop.nodes[pair->fd] = (struct node){.fd = pair->fd, .to = pair->to};
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
	for (unsigned i = 0; i < loop.ring->count; i++)
		turn_bit(loop.readers, loop.ring->pairs[i].fd, true);
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

static int wait_ready(bool writers)
{
	size_t size = loop.words * sizeof *loop.in;

	memcpy(loop.in, loop.readers, size);
	if (writers)
		memcpy(loop.out, loop.writers, size);
	loop.calls++;
	return select(loop.top + 1, (fd_set *)(void *)loop.in,
	              writers ? (fd_set *)(void *)loop.out : NULL, NULL, NULL);
}

static int run_ring(void)
{
	while (tally.hops < tally.goal) {
		int n = wait_ready(false);

		if (n < 0)
			return -errno;
		for (unsigned w = 0; n > 0; w++) {
			for (unsigned long word = loop.in[w]; word != 0; word &= word - 1) {
				n--;
				ring_recv(&loop.nodes[w * BITS + (unsigned)__builtin_ctzl(word)]);
			}
		}
	}
	return 0;
}

static int run_churn(void)
{
	while (tally.hops < tally.goal) {
		bool writers = loop.senders > 0;
		int n = wait_ready(writers);

		if (n < 0)
			return -errno;
		for (unsigned w = 0; n > 0; w++) {
			unsigned long in = loop.in[w], out = writers ? loop.out[w] : 0;

			for (unsigned long word = in | out; word != 0; word &= word - 1) {
				unsigned long bit = word & -word;
				struct node *node =
					&loop.nodes[w * BITS + (unsigned)__builtin_ctzl(word)];

				if (in & bit) {
					n--;
					churn_recv(node);
				}
				if (out & bit) {
					n--;
					churn_send(node);
				}
			}
		}
	}
	return 0;
}

static int raw_select_run(void)
{
	return loop.work == WORK_RING ? run_ring() : run_churn();
}

static uint64_t raw_select_calls(void)
{
	return loop.calls;
}

static void raw_select_close(void)
{
	free(loop.readers);
	free(loop.nodes);
}

const struct driver raw_select = {
	.name = "raw",
	.backend = raw_select_backend,
	.open = raw_select_open,
	.watch = raw_select_watch,
	.run = raw_select_run,
	.calls = raw_select_calls,
	.close = raw_select_close,
};
