/* raw_kqueue.c - kqueue by hand: level-triggered, a pointer in each event, and every change of
 * interest travels in the call that waits.
 *
 * An error of a change needs room in the event list, and comes without other events: there is
 * room for the batch, and no change here can fail. */
#include "raw.h"
#include <fcntl.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#define BATCH 64

static struct {
	int fd;
	enum work work;
	unsigned count, changed;
	uint64_t calls;
	struct node *nodes;
	struct kevent changes[BATCH];
} loop;

static const char *raw_kqueue_backend(unsigned index)
{
	return index == 0 ? "kqueue" : NULL;
}

static int raw_kqueue_open(const char *backend, enum work work, const struct ring *ring, char *why,
                           size_t size)
{
	(void)backend, (void)why, (void)size;
	loop.fd = kqueue();
	if (loop.fd < 0)
		return -errno;
	fcntl(loop.fd, F_SETFD, FD_CLOEXEC);
	loop.work = work;
	loop.count = ring->count;
	loop.changed = 0;
	loop.calls = 0;
	loop.nodes = nodes_new(ring);
	return 0;
}

static int submit(void)
{
	int n = 0;

	if (loop.changed > 0) {
		loop.calls++;
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
	for (unsigned i = 0; i < loop.count; i++) {
		if (change(&loop.nodes[i], EVFILT_READ, EV_ADD) < 0)
			return -errno;
	}
	return submit() < 0 ? -errno : 0;
}

static void node_want(struct node *node, bool want)
{
	if (change(node, EVFILT_WRITE, want ? EV_ADD : EV_DELETE) < 0)
		broken("kevent: %s", strerror(errno));
}

static int raw_kqueue_run(void)
{
	struct kevent events[BATCH];
	const bool ring = loop.work == WORK_RING;

	while (tally.hops < tally.goal) {
		int n = kevent(loop.fd, loop.changes, (int)loop.changed, events, BATCH, NULL);

		loop.calls++;
		loop.changed = 0;
		if (n < 0)
			return -errno;
		for (int i = 0; i < n; i++) {
			struct node *node = (struct node *)events[i].udata;

			if (events[i].flags & EV_ERROR)
				return -(int)events[i].data;
			if (ring)
				ring_recv(node);
			else if (events[i].filter == EVFILT_READ)
				churn_recv(node);
			else
				churn_send(node);
		}
	}
	return 0;
}

static uint64_t raw_kqueue_calls(void)
{
	return loop.calls;
}

static void raw_kqueue_close(void)
{
	close(loop.fd);
	free(loop.nodes);
}

const struct driver raw_kqueue = {
	.name = "raw",
	.backend = raw_kqueue_backend,
	.open = raw_kqueue_open,
	.watch = raw_kqueue_watch,
	.run = raw_kqueue_run,
	.calls = raw_kqueue_calls,
	.close = raw_kqueue_close,
};
