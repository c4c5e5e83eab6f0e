/* raw_epoll.c - epoll by hand: level-triggered, a pointer in each event, epoll_ctl at each change
 * of interest. */
#include "raw.h"
#include <sys/epoll.h>
#include <unistd.h>

/* 256 and 1024 are no faster on any shape, and 1024 is a little slower on most. */
#define BATCH 64

static struct {
	int fd;
	enum work work;
	unsigned count;
	uint64_t calls;
	struct node *nodes;
} loop;

static const char *raw_epoll_backend(unsigned index)
{
	return index == 0 ? "epoll" : NULL;
}

static int raw_epoll_open(const char *backend, enum work work, const struct ring *ring, char *why,
                          size_t size)
{
	(void)backend, (void)why, (void)size;
	loop.fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop.fd < 0)
		return -errno;
	loop.work = work;
	loop.count = ring->count;
	loop.calls = 0;
	loop.nodes = nodes_new(ring);
	return 0;
}

static int control(int op, struct node *node, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = node};

	loop.calls++;
	return epoll_ctl(loop.fd, op, node->fd, &event);
}

static int raw_epoll_watch(void)
{
	for (unsigned i = 0; i < loop.count; i++) {
		if (control(EPOLL_CTL_ADD, &loop.nodes[i], EPOLLIN) < 0)
			return -errno;
	}
	return 0;
}

static void node_want(struct node *node, bool want)
{
	if (control(EPOLL_CTL_MOD, node, want ? EPOLLIN | EPOLLOUT : EPOLLIN) < 0)
		broken("epoll_ctl: %s", strerror(errno));
}

static int run_ring(void)
{
	struct epoll_event events[BATCH];

	while (tally.hops < tally.goal) {
		int n = epoll_wait(loop.fd, events, BATCH, -1);

		loop.calls++;
		if (n < 0)
			return -errno;
		for (int i = 0; i < n; i++)
			ring_recv(events[i].data.ptr);
	}
	return 0;
}

static int run_churn(void)
{
	struct epoll_event events[BATCH];

	while (tally.hops < tally.goal) {
		int n = epoll_wait(loop.fd, events, BATCH, -1);

		loop.calls++;
		if (n < 0)
			return -errno;
		for (int i = 0; i < n; i++) {
			if (events[i].events & EPOLLIN)
				churn_recv(events[i].data.ptr);
			if (events[i].events & EPOLLOUT)
				churn_send(events[i].data.ptr);
		}
	}
	return 0;
}

static int raw_epoll_run(void)
{
	return loop.work == WORK_RING ? run_ring() : run_churn();
}

static uint64_t raw_epoll_calls(void)
{
	return loop.calls;
}

static void raw_epoll_close(void)
{
	close(loop.fd);
	free(loop.nodes);
}

const struct driver raw_epoll = {
	.name = "raw",
	.backend = raw_epoll_backend,
	.open = raw_epoll_open,
	.watch = raw_epoll_watch,
	.run = raw_epoll_run,
	.calls = raw_epoll_calls,
	.close = raw_epoll_close,
};
