/* raw_kqueue.c - kqueue by hand: level-triggered, a pointer in each event, and every change of
 * interest travels in the call that waits.
 *
 * An error of a change needs room in the event list, and comes without other events: there is
 * room for the batch, and no change here can fail. */
#include "raw.h"
#include "raw_posts.h"
#include <fcntl.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#define BATCH 64

static struct {
	int fd;
	enum job job;
	unsigned count, changed;
	struct node *nodes;
	struct idler *idlers; /* of idle-timer, in place of nodes */
	struct kevent changes[BATCH];
} loop;

static const char *raw_kqueue_backend(unsigned index)
{
	return index == 0 ? "kqueue" : NULL;
}

static int raw_kqueue_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	const bool idle = cell->job == IDLE_TIMER;

	(void)backend, (void)why, (void)size;
	loop.fd = kqueue();
	if (loop.fd < 0)
		return -errno;
	fcntl(loop.fd, F_SETFD, FD_CLOEXEC);
	loop.job = cell->job;
	loop.count = cell->ring->count;
	loop.changed = 0;
	loop.nodes = idle ? NULL : nodes_new(cell->ring);
	loop.idlers = idle ? idlers_new(cell->ring) : NULL;
	return 0;
}

static int submit(void)
{
	int n = 0;

	if (loop.changed > 0) {
		n = kevent(loop.fd, loop.changes, (int)loop.changed, NULL, 0, NULL);
	}
	loop.changed = 0;
	return n;
}

static int change(struct node *node, int filter, int flags)
{
	struct kevent *event = &loop.changes[loop.changed++];

	memset(event, 0, sizeof *event);
	event->ident = (uintptr_t)node->fd;
	event->filter = (__typeof__(event->filter))filter;
	event->flags = (__typeof__(event->flags))flags;
	event->udata = (__typeof__(event->udata))node;
	return loop.changed == BATCH ? submit() : 0;
}

static int raw_kqueue_watch(void)
{
	const bool idle = loop.job == IDLE_TIMER;

	for (unsigned i = 0; i < loop.count; i++) {
		struct node *node = idle ? &loop.idlers[i].node : &loop.nodes[i];

		if (change(node, EVFILT_READ, EV_ADD) < 0)
			return -errno;
		if (idle)
			idler_start(&loop.idlers[i]);
	}
	return submit() < 0 ? -errno : 0;
}

static int raw_kqueue_unwatch(unsigned count)
{
	for (unsigned i = loop.count - count; i < loop.count; i++) {
		if (change(&loop.nodes[i], EVFILT_READ, EV_DELETE) < 0)
			return -errno;
	}
	return submit() < 0 ? -errno : 0;
}

static void node_want(struct node *node, bool want)
{
	if (change(node, EVFILT_WRITE, want ? EV_ADD : EV_DELETE) < 0)
		broken("kevent: %s", strerror(errno));
}

/* In idle-timer the node that an event is about is an idler's first member. */
static inline int raw_loop(void (*in)(struct node *node), void (*out)(struct node *node),
                           bool timed)
{
	struct kevent events[BATCH];
	struct timespec left;

	while (tally.hops < tally.goal) {
		int n;

		if (timed) {
			left.tv_sec = (time_t)(idle_left() / HARK_S(1));
			left.tv_nsec = (long)(idle_left() % HARK_S(1));
		}
		n = kevent(loop.fd, loop.changes, (int)loop.changed, events, BATCH,
		           timed ? &left : NULL);
		loop.changed = 0;
		if (n < 0)
			return -errno;
		if (timed)
			timers.now = now();
		for (int i = 0; i < n; i++) {
			struct node *node = (struct node *)events[i].udata;

			if (events[i].flags & EV_ERROR)
				return -(int)events[i].data;
			if (out == NULL || events[i].filter == EVFILT_READ)
				in(node);
			else
				out(node);
		}
		if (timed)
			idle_expire();
	}
	return 0;
}

static int raw_kqueue_run(void)
{
	return raw_run(loop.job);
}

static void raw_kqueue_close(void)
{
	close(loop.fd);
	free(loop.nodes);
	idlers_free(loop.idlers);
}

const struct driver raw_kqueue = {
	.name = "raw",
	.kind = SOCKETS,
	.backend = raw_kqueue_backend,
	.open = raw_kqueue_open,
	.watch = raw_kqueue_watch,
	.unwatch = raw_kqueue_unwatch,
	.run = raw_kqueue_run,
	.close = raw_kqueue_close,
};

/* What is posted to instead watches one descriptor. */
static int sleep_kqueue_open(int fd)
{
	struct kevent event;

	memset(&event, 0, sizeof event);
	event.ident = (uintptr_t)fd;
	event.filter = EVFILT_READ;
	event.flags = EV_ADD;
	loop.fd = kqueue();
	if (loop.fd < 0 || kevent(loop.fd, &event, 1, NULL, 0, NULL) < 0)
		return -errno;
	return 0;
}

static int sleep_kqueue_wait(bool sleep)
{
	static const struct timespec at_once;
	struct kevent events[BATCH];
	int n = kevent(loop.fd, NULL, 0, events, BATCH, sleep ? NULL : &at_once);

	return n < 0 ? -errno : n;
}

static void sleep_kqueue_close(void)
{
	close(loop.fd);
}

const struct sleeper sleep_kqueue = {
	.name = "kqueue",
	.open = sleep_kqueue_open,
	.wait = sleep_kqueue_wait,
	.close = sleep_kqueue_close,
};
