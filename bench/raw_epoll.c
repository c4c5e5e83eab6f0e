/* raw_epoll.c - epoll by hand: level-triggered, a pointer in each event, epoll_ctl at each change
 * of interest.
 *
 * For ring there are two more to compare with. One has edges in place of levels. The other, the
 * floor, is no loop at all: it makes the system calls of a ring, one wait for as many receives and
 * sends as the others, but it knows without looking at an event where the bytes are. */
#include "raw.h"
#include "raw_posts.h"
#include <sys/epoll.h>
#include <unistd.h>

/* 256 and 1024 are no faster on any shape, and 1024 is a little slower on most. */
#define BATCH 64

static struct {
	int fd;
	enum job job;
	unsigned count;
	struct node *nodes;
	struct idler *idlers; /* of idle-timer, in place of nodes */
	uint32_t in;          /* EPOLLIN, perhaps with edges */
} loop;

/* Where the bytes of a ring are, which all move on by one node before one moves again. */
static struct {
	unsigned active;
	unsigned *starts; /* the node at which a byte was first */
	unsigned moved;   /* how far on from there it is */
	unsigned next;    /* of the bytes, the one to move */
} floor_at;

static const char *raw_epoll_backend(unsigned index)
{
	return index == 0 ? "epoll" : NULL;
}

static int raw_epoll_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	const bool idle = cell->job == IDLE_TIMER;

	(void)backend, (void)why, (void)size;
	loop.fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop.fd < 0)
		return -errno;
	loop.job = cell->job;
	loop.in = EPOLLIN;
	loop.count = cell->ring->count;
	loop.nodes = idle ? NULL : nodes_new(cell->ring);
	loop.idlers = idle ? idlers_new(cell->ring) : NULL;
	return 0;
}

static int control(int op, struct node *node, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = node};

	return epoll_ctl(loop.fd, op, node->fd, &event);
}

static int raw_epoll_watch(void)
{
	const bool idle = loop.job == IDLE_TIMER;

	for (unsigned i = 0; i < loop.count; i++) {
		struct node *node = idle ? &loop.idlers[i].node : &loop.nodes[i];

		if (control(EPOLL_CTL_ADD, node, loop.in) < 0)
			return -errno;
		if (idle)
			idler_start(&loop.idlers[i]);
	}
	return 0;
}

static int raw_epoll_unwatch(unsigned count)
{
	for (unsigned i = loop.count - count; i < loop.count; i++) {
		if (control(EPOLL_CTL_DEL, &loop.nodes[i], 0) < 0)
			return -errno;
	}
	return 0;
}

static void node_want(struct node *node, bool want)
{
	if (control(EPOLL_CTL_MOD, node, want ? EPOLLIN | EPOLLOUT : EPOLLIN) < 0)
		broken("epoll_ctl: %s", strerror(errno));
}

static inline int raw_loop(void (*in)(struct node *node), void (*out)(struct node *node),
                           bool timed)
{
	struct epoll_event events[BATCH];

	while (tally.hops < tally.goal) {
		int n = epoll_wait(loop.fd, events, BATCH, timed ? idle_milliseconds() : -1);

		if (n < 0)
			return -errno;
		if (timed)
			timers.now = now();
		for (int i = 0; i < n; i++) {
			if (out == NULL || events[i].events & EPOLLIN)
				in(events[i].data.ptr);
			if (out != NULL && events[i].events & EPOLLOUT)
				out(events[i].data.ptr);
		}
		if (timed)
			idle_expire();
	}
	return 0;
}

static int raw_epoll_run(void)
{
	return raw_run(loop.job);
}

static void raw_epoll_close(void)
{
	close(loop.fd);
	free(loop.nodes);
	idlers_free(loop.idlers);
}

const struct driver raw_epoll = {
	.name = "raw",
	.kind = SOCKETS,
	.backend = raw_epoll_backend,
	.open = raw_epoll_open,
	.watch = raw_epoll_watch,
	.unwatch = raw_epoll_unwatch,
	.run = raw_epoll_run,
	.close = raw_epoll_close,
};

static int raw_edge_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	int error = cell->job == RING ? raw_epoll_open(backend, cell, why, size) : -ENOTSUP;

	loop.in |= EPOLLET;
	return error;
}

/* An edge is not told again: there may be more until there is nothing. */
static void ring_recv_all(struct node *node)
{
	const uint64_t empty = tally.empty;

	while (tally.empty == empty)
		ring_recv(node);
}

static int raw_edge_run(void)
{
	return raw_loop(ring_recv_all, NULL, false);
}

const struct driver raw_epoll_edge = {
	.name = "raw",
	.variant = "edge",
	.kind = SOCKETS,
	.backend = raw_epoll_backend,
	.open = raw_edge_open,
	.watch = raw_epoll_watch,
	.run = raw_edge_run,
	.close = raw_epoll_close,
};

static int raw_floor_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	const unsigned active = cell->active;
	int error = cell->job == RING ? raw_epoll_open(backend, cell, why, size) : -ENOTSUP;

	if (error < 0)
		return error;
	floor_at.active = active;
	floor_at.moved = floor_at.next = 0;
	floor_at.starts = allocate(active, sizeof *floor_at.starts);
	for (unsigned i = 0; i < active; i++) {
		const size_t sent_by = (size_t)i * loop.count / active;

		floor_at.starts[i] = (unsigned)((sent_by + 1) % loop.count);
	}
	return 0;
}

/* The node that the next byte to move is at. */
static struct node *floor_next(void)
{
	unsigned at = floor_at.starts[floor_at.next] + floor_at.moved;

	if (at >= loop.count)
		at -= loop.count;
	if (++floor_at.next == floor_at.active) {
		floor_at.next = 0;
		floor_at.moved = (floor_at.moved + 1) % loop.count;
	}
	return &loop.nodes[at];
}

static int raw_floor_run(void)
{
	const unsigned batch = floor_at.active < BATCH ? floor_at.active : BATCH;
	struct epoll_event events[BATCH];

	while (tally.hops < tally.goal) {
		if (epoll_wait(loop.fd, events, BATCH, -1) < 0)
			return -errno;
		for (unsigned i = 0; i < batch; i++) {
			struct node *node = floor_next();
			const uint64_t hops = tally.hops;

			while (tally.hops == hops)
				ring_recv(node);
		}
	}
	return 0;
}

static void raw_floor_close(void)
{
	free(floor_at.starts);
	raw_epoll_close();
}

const struct driver raw_epoll_floor = {
	.name = "raw",
	.variant = "floor",
	.kind = SOCKETS,
	.backend = raw_epoll_backend,
	.open = raw_floor_open,
	.watch = raw_epoll_watch,
	.run = raw_floor_run,
	.close = raw_floor_close,
};

/* What is posted to instead watches one descriptor, with edges: it need not be read. */
static int sleep_epoll_open(int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	loop.fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop.fd < 0 || epoll_ctl(loop.fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	return 0;
}

static int sleep_epoll_wait(bool sleep)
{
	struct epoll_event events[BATCH];
	int n = epoll_wait(loop.fd, events, BATCH, sleep ? -1 : 0);

	return n < 0 ? -errno : n;
}

static void sleep_epoll_close(void)
{
	close(loop.fd);
}

const struct sleeper sleep_epoll = {
	.name = "epoll",
	.edges = true,
	.open = sleep_epoll_open,
	.wait = sleep_epoll_wait,
	.close = sleep_epoll_close,
};
