/* raw_poll.c - poll(2) by hand: a dense array beside the nodes, scanned until all that poll
 * counted are found. */
#include "raw.h"
#include "raw_posts.h"
#include <poll.h>

static struct {
	enum job job;
	unsigned count;
	struct node *nodes;
	struct idler *idlers; /* of idle-timer, in place of nodes */
	struct pollfd *polls;
} loop;

static const char *raw_poll_backend(unsigned index)
{
	return index == 0 ? "poll" : NULL;
}

static int raw_poll_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	const bool idle = cell->job == IDLE_TIMER;

	(void)backend, (void)why, (void)size;
	loop.job = cell->job;
	loop.count = cell->ring->count;
	loop.nodes = idle ? NULL : nodes_new(cell->ring);
	loop.idlers = idle ? idlers_new(cell->ring) : NULL;
	loop.polls = NULL;
	return 0;
}

static int raw_poll_watch(void)
{
	const bool idle = loop.job == IDLE_TIMER;

	loop.polls = malloc(loop.count * sizeof *loop.polls);
	if (loop.polls == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < loop.count; i++) {
		const struct node *node = idle ? &loop.idlers[i].node : &loop.nodes[i];

		loop.polls[i] = (struct pollfd){.fd = node->fd, .events = POLLIN};
		if (idle)
			idler_start(&loop.idlers[i]);
	}
	return 0;
}

/* One by one, as a program does: the last takes the place of what is taken out. */
static int raw_poll_unwatch(unsigned count)
{
	const unsigned left = loop.count - count;

	for (unsigned i = left; loop.count > left; i++) {
		loop.polls[i < loop.count ? i : left] = loop.polls[loop.count - 1];
		loop.count--;
	}
	return 0;
}

static void node_want(struct node *node, bool want)
{
	loop.polls[node - loop.nodes].events = want ? POLLIN | POLLOUT : POLLIN;
}

static inline int raw_loop(void (*in)(struct node *node), void (*out)(struct node *node),
                           bool timed)
{
	while (tally.hops < tally.goal) {
		int n = poll(loop.polls, loop.count, timed ? idle_milliseconds() : -1);

		if (n < 0)
			return -errno;
		if (timed)
			timers.now = now();
		for (unsigned i = 0; n > 0; i++) {
			const short ready = loop.polls[i].revents;

			if (ready == 0)
				continue;
			n--;
			if (out == NULL || ready & POLLIN)
				in(timed ? &loop.idlers[i].node : &loop.nodes[i]);
			if (out != NULL && ready & POLLOUT)
				out(&loop.nodes[i]);
		}
		if (timed)
			idle_expire();
	}
	return 0;
}

static int raw_poll_run(void)
{
	return raw_run(loop.job);
}

static void raw_poll_close(void)
{
	free(loop.polls);
	free(loop.nodes);
	idlers_free(loop.idlers);
}

const struct driver raw_poll = {
	.name = "raw",
	.kind = SOCKETS,
	.backend = raw_poll_backend,
	.open = raw_poll_open,
	.watch = raw_poll_watch,
	.unwatch = raw_poll_unwatch,
	.run = raw_poll_run,
	.close = raw_poll_close,
};

/* What is posted to instead watches one descriptor. */
static struct pollfd sleeper;

static int sleep_poll_open(int fd)
{
	sleeper = (struct pollfd){.fd = fd, .events = POLLIN};
	return 0;
}

static int sleep_poll_wait(bool sleep)
{
	int n = poll(&sleeper, 1, sleep ? -1 : 0);

	return n < 0 ? -errno : n;
}

static void sleep_poll_close(void)
{
}

const struct sleeper sleep_poll = {
	.name = "poll",
	.open = sleep_poll_open,
	.wait = sleep_poll_wait,
	.close = sleep_poll_close,
};
