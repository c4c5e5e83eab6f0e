/* libev_sockets.c - libev as its documentation has it: a watcher for each direction in the
 * program's own struct, which is started and stopped, and ev_timer_again to put a timeout off. */
#include "libev_driver.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct node {
	ev_io in, out;
	int to;
	unsigned holding;
};

struct idler {
	struct node node;
	ev_timer timer;
};

static struct ev_loop *loop;

static inline ssize_t node_recv(struct node *node, char *buf, size_t size)
{
	return recv(node->in.fd, buf, size, 0);
}

static inline ssize_t node_send(struct node *node, const char *buf, size_t size)
{
	return send(node->in.fd, buf, size, 0);
}

static inline void node_want(struct node *node, bool want)
{
	if (want)
		ev_io_start(loop, &node->out);
	else
		ev_io_stop(loop, &node->out);
}

static inline void node_put_off(struct node *node)
{
	ev_timer_again(loop, &((struct idler *)node)->timer);
}

static inline void node_finish(struct node *node)
{
	(void)node;
	ev_break(loop, EVBREAK_ALL);
}

#include "nodes.h"
#include "work_sockets.h"

#define CALLBACK(work, direction)                                           \
	static void handle_##work(struct ev_loop *l, ev_io *io, int events) \
	{                                                                   \
		(void)l, (void)events;                                      \
		work(HARK_CONTAINER(io, struct node, direction));           \
	}
#define RECEIVER(work) CALLBACK(work, in)
#define SENDER(work) CALLBACK(work, out)
WORK_OF_RECEIVERS(RECEIVER)
WORK_OF_SENDERS(SENDER)

static void (*const callbacks[][2])(struct ev_loop *l, ev_io *io, int events) = WORK_CALLBACKS;

static void handle_idle(struct ev_loop *l, ev_timer *timer, int events)
{
	(void)l, (void)timer, (void)events;
	node_is_idle();
}

static const struct {
	const char *name;
	unsigned flag;
} backends[] = {
	{"epoll", EVBACKEND_EPOLL},
	{"kqueue", EVBACKEND_KQUEUE},
	{"poll", EVBACKEND_POLL},
	{"select", EVBACKEND_SELECT},
};
#define BACKENDS (sizeof backends / sizeof backends[0])

/* The index-th of those that are built into the library. */
const char *libev_backend(unsigned index)
{
	for (unsigned i = 0; i < BACKENDS; i++) {
		if ((ev_supported_backends() & backends[i].flag) != 0 && index-- == 0)
			return backends[i].name;
	}
	return NULL;
}

struct ev_loop *libev_open(const char *backend)
{
	unsigned i = 0;

	while (strcmp(backends[i].name, backend) != 0)
		i++;
	return ev_loop_new(backends[i].flag | EVFLAG_NOENV);
}

bool libev_works(const char *backend, char *why, size_t size)
{
	struct ev_loop *l = libev_open(backend);

	if (l == NULL)
		snprintf(why, size, "ev_loop_new gives none");
	else
		ev_loop_destroy(l);
	return l != NULL;
}

static int libev_sockets_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	(void)why, (void)size;
	loop = libev_open(backend);
	if (loop == NULL)
		return -errno;
	nodes_open(cell);
	for (unsigned i = 0; i < nodes.count; i++) {
		const int fd = cell->ring->pairs[i].fd;

		ev_io_init(&node_at(i)->in, callbacks[nodes.job][0], fd, EV_READ);
		ev_io_init(&node_at(i)->out, callbacks[nodes.job][1], fd, EV_WRITE);
		if (nodes.job == IDLE_TIMER)
			ev_timer_init(&nodes.idlers[i].timer, handle_idle, 0.,
			              (double)IDLE_NS / (double)HARK_S(1));
	}
	return 0;
}

/* libev tells the kernel when it is about to wait: it has to turn once, without waiting. */
static int libev_sockets_watch(void)
{
	for (unsigned i = 0; i < nodes.count; i++) {
		ev_io_start(loop, &node_at(i)->in);
		if (nodes.job == IDLE_TIMER)
			node_put_off(node_at(i));
	}
	ev_run(loop, EVRUN_NOWAIT);
	return 0;
}

/* On epoll it leaves it to close(2) to tell the kernel. */
static int libev_sockets_unwatch(unsigned count)
{
	for (unsigned i = nodes.count - count; i < nodes.count; i++)
		ev_io_stop(loop, &node_at(i)->in);
	ev_run(loop, EVRUN_NOWAIT);
	return 0;
}

static int libev_sockets_run(void)
{
	ev_run(loop, 0);
	return 0;
}

static void libev_sockets_close(void)
{
	ev_loop_destroy(loop);
	nodes_close();
}

const struct driver libev_sockets = {
	.name = "libev",
	.kind = SOCKETS,
	.backend = libev_backend,
	.works = libev_works,
	.open = libev_sockets_open,
	.watch = libev_sockets_watch,
	.unwatch = libev_sockets_unwatch,
	.run = libev_sockets_run,
	.close = libev_sockets_close,
};
