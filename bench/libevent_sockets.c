/* libevent_sockets.c - libevent as its documentation has it, at its fastest: events in the
 * program's own struct (event_assign), a persistent one for each direction, no locks, and a common
 * timeout, which is a list in place of its heap, for what all put off by the same time.
 *
 * Its other driver has epoll collect changes until it waits (EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST),
 * which its documentation advises against where descriptors are duplicated. */
#include "libevent_driver.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>

struct node {
	struct event in, out;
	int to;
	unsigned holding;
};

struct idler {
	struct node node;
	struct event timer;
};

static struct event_base *base;
static const struct timeval *idle_time;

static inline ssize_t node_recv(struct node *node, char *buf, size_t size)
{
	return recv(event_get_fd(&node->in), buf, size, 0);
}

static inline ssize_t node_send(struct node *node, const char *buf, size_t size)
{
	return send(event_get_fd(&node->in), buf, size, 0);
}

static inline void node_want(struct node *node, bool want)
{
	if (want)
		event_add(&node->out, NULL);
	else
		event_del(&node->out);
}

static inline void node_put_off(struct node *node)
{
	event_add(&((struct idler *)node)->timer, idle_time);
}

static inline void node_finish(struct node *node)
{
	(void)node;
	event_base_loopbreak(base);
}

#include "nodes.h"
#include "work_sockets.h"

#define CALLBACK(work)                                                          \
	static void handle_##work(evutil_socket_t fd, short events, void *node) \
	{                                                                       \
		(void)fd, (void)events;                                         \
		work(node);                                                     \
	}
WORK_OF_RECEIVERS(CALLBACK)
WORK_OF_SENDERS(CALLBACK)

static const struct {
	event_callback_fn in, out;
} callbacks[] = WORK_CALLBACKS;

static void handle_idle(evutil_socket_t fd, short events, void *node)
{
	(void)fd, (void)events, (void)node;
	node_is_idle();
}

const char *libevent_backend(unsigned index)
{
	const char **methods = event_get_supported_methods();

	for (unsigned i = 0; methods[i] != NULL; i++) {
		if (backend_known(methods[i]) && index-- == 0)
			return methods[i];
	}
	return NULL;
}

struct event_base *libevent_open(const char *backend, int flags)
{
	const char **methods = event_get_supported_methods();
	struct event_config *config = event_config_new();
	struct event_base *b;

	if (config == NULL)
		return NULL;
	for (unsigned i = 0; methods[i] != NULL; i++) {
		if (strcmp(methods[i], backend) != 0)
			event_config_avoid_method(config, methods[i]);
	}
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV | flags);
	b = event_base_new_with_config(config);
	event_config_free(config);
	return b;
}

bool libevent_works(const char *backend, char *why, size_t size)
{
	struct event_base *b = libevent_open(backend, 0);

	if (b == NULL)
		snprintf(why, size, "event_base_new_with_config gives none");
	else
		event_base_free(b);
	return b != NULL;
}

/* Its sets for select grow, but where it was compiled with _FORTIFY_SOURCE, as distributions do,
 * the C library ends the program at the first descriptor past the fixed size. */
bool libevent_is_beyond_select(const char *backend, const struct ring *ring)
{
	int last = ring->count > 0 ? ring->pairs[ring->count - 1].fd : 0;

	return strcmp(backend, "select") == 0 && last >= FD_SETSIZE;
}

static int open_with(const char *backend, const struct cell *cell, int flags)
{
	const event_callback_fn in = callbacks[cell->job].in, out = callbacks[cell->job].out;
	const struct timeval idle = {.tv_sec = IDLE_NS / HARK_S(1)};

	base = libevent_open(backend, EVENT_BASE_FLAG_NOLOCK | flags);
	if (base == NULL)
		return -ENOMEM;
	idle_time = event_base_init_common_timeout(base, &idle);
	nodes_open(cell);
	for (unsigned i = 0; i < nodes.count; i++) {
		const int fd = cell->ring->pairs[i].fd;
		struct node *node = node_at(i);

		event_assign(&node->in, base, fd, EV_READ | EV_PERSIST, in, node);
		event_assign(&node->out, base, fd, EV_WRITE | EV_PERSIST, out, node);
		if (nodes.job == IDLE_TIMER)
			event_assign(&nodes.idlers[i].timer, base, -1, 0, handle_idle, node);
	}
	return 0;
}

static int libevent_sockets_open(const char *backend, const struct cell *cell, char *why,
                                 size_t size)
{
	if (libevent_is_beyond_select(backend, cell->ring)) {
		snprintf(why, size, "a descriptor that its select may not bear");
		return -EBADF;
	}
	return open_with(backend, cell, 0);
}

/* With a list of changes it tells the kernel when it is about to wait: it has to turn once. */
static int libevent_sockets_watch(void)
{
	for (unsigned i = 0; i < nodes.count; i++) {
		if (event_add(&node_at(i)->in, NULL) < 0)
			return errno > 0 ? -errno : -EIO;
		if (nodes.job == IDLE_TIMER)
			node_put_off(node_at(i));
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	return 0;
}

/* As when it watches; a base without events would not turn. */
static int libevent_sockets_unwatch(unsigned count)
{
	for (unsigned i = nodes.count - count; i < nodes.count; i++)
		event_del(&node_at(i)->in);
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
	return 0;
}

static int libevent_sockets_run(void)
{
	event_base_dispatch(base);
	return 0;
}

/* To free the base with events in it takes a time that is the square of their number. */
static void libevent_sockets_close(void)
{
	for (unsigned i = 0; i < nodes.count; i++) {
		event_del(&node_at(i)->in);
		event_del(&node_at(i)->out);
		if (nodes.job == IDLE_TIMER)
			event_del(&nodes.idlers[i].timer);
	}
	event_base_free(base);
	nodes_close();
}

const struct driver libevent_sockets = {
	.name = "libevent",
	.kind = SOCKETS,
	.backend = libevent_backend,
	.works = libevent_works,
	.open = libevent_sockets_open,
	.watch = libevent_sockets_watch,
	.unwatch = libevent_sockets_unwatch,
	.run = libevent_sockets_run,
	.close = libevent_sockets_close,
};

static const char *changelist_backend(unsigned index)
{
	return index == 0 ? "epoll" : NULL;
}

static int changelist_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	(void)why, (void)size;
	return open_with(backend, cell, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
}

const struct driver libevent_changelist = {
	.name = "libevent",
	.variant = "changelist",
	.kind = SOCKETS,
	.backend = changelist_backend,
	.works = libevent_works,
	.open = changelist_open,
	.watch = libevent_sockets_watch,
	.unwatch = libevent_sockets_unwatch,
	.run = libevent_sockets_run,
	.close = libevent_sockets_close,
};
