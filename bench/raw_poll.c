/* raw_poll.c - poll(2) by hand: a dense array beside the nodes, scanned until all that poll
 * counted are found. */
#include "raw.h"
#include <poll.h>

static struct {
	enum work work;
	unsigned count;
	uint64_t calls;
	struct node *nodes;
	struct pollfd *polls;
} loop;

static const char *raw_poll_backend(unsigned index)
{
	return index == 0 ? "poll" : NULL;
}

static int raw_poll_open(const char *backend, enum work work, const struct ring *ring, char *why,
                         size_t size)
{
	(void)backend, (void)why, (void)size;
	loop.work = work;
	loop.count = ring->count;
	loop.calls = 0;
	loop.nodes = nodes_new(ring);
	loop.polls = NULL;
	return 0;
}

static int raw_poll_watch(void)
{
	loop.polls = malloc(loop.count * sizeof *loop.polls);
	if (loop.polls == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < loop.count; i++)
		loop.polls[i] = (struct pollfd){.fd = loop.nodes[i].fd, .events = POLLIN};
	return 0;
}

static void node_want(struct node *node, bool want)
{
	loop.polls[node - loop.nodes].events = want ? POLLIN | POLLOUT : POLLIN;
}

static int run_ring(void)
{
	while (tally.hops < tally.goal) {
		int n = poll(loop.polls, loop.count, -1);

		loop.calls++;
		if (n < 0)
			return -errno;
		for (unsigned i = 0; n > 0; i++) {
			if (loop.polls[i].revents != 0) {
				n--;
				ring_recv(&loop.nodes[i]);
			}
		}
	}
	return 0;
}

static int run_churn(void)
{
	while (tally.hops < tally.goal) {
		int n = poll(loop.polls, loop.count, -1);

		loop.calls++;
		if (n < 0)
			return -errno;
		for (unsigned i = 0; n > 0; i++) {
			short ready = loop.polls[i].revents;

			if (ready == 0)
				continue;
			n--;
			if (ready & POLLIN)
				churn_recv(&loop.nodes[i]);
			if (ready & POLLOUT)
				churn_send(&loop.nodes[i]);
		}
	}
	return 0;
}

static int raw_poll_run(void)
{
	return loop.work == WORK_RING ? run_ring() : run_churn();
}

static uint64_t raw_poll_calls(void)
{
	return loop.calls;
}

static void raw_poll_close(void)
{
	free(loop.polls);
	free(loop.nodes);
}

const struct driver raw_poll = {
	.name = "raw",
	.backend = raw_poll_backend,
	.open = raw_poll_open,
	.watch = raw_poll_watch,
	.run = raw_poll_run,
	.calls = raw_poll_calls,
	.close = raw_poll_close,
};
