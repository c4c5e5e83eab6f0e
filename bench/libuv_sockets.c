/* libuv_sockets.c - libuv as its documentation has it: a uv_poll_t in the program's own struct,
 * uv_poll_start again when its events change, and uv_timer_again to put a timeout off. */
#include "libuv_driver.h"
#include <sys/socket.h>

struct node {
	uv_poll_t poll;
	int fd, to;
	unsigned holding;
};

struct idler {
	struct node node;
	uv_timer_t timer;
};

static uv_loop_t loop;

static inline ssize_t node_recv(struct node *node, char *buf, size_t size)
{
	return recv(node->fd, buf, size, 0);
}

static inline ssize_t node_send(struct node *node, const char *buf, size_t size)
{
	return send(node->fd, buf, size, 0);
}

static inline void node_want(struct node *node, bool want);

static inline void node_put_off(struct node *node)
{
	uv_timer_again(&((struct idler *)node)->timer);
}

static inline void node_finish(struct node *node)
{
	(void)node;
	uv_stop(&loop);
}

#include "nodes.h"
#include "work_sockets.h"

/* What is called when it can receive, and when it can receive or send. */
#define RECEIVER(name, in)                                                 \
	static void handle_##name(uv_poll_t *poll, int status, int events) \
	{                                                                  \
		(void)status;                                              \
		(void)events;                                              \
		in((struct node *)poll);                                   \
	}
#define CALLBACK(name, in, out)                                            \
	static void handle_##name(uv_poll_t *poll, int status, int events) \
	{                                                                  \
		(void)status;                                              \
		if (events & UV_READABLE)                                  \
			in((struct node *)poll);                           \
		if (events & UV_WRITABLE)                                  \
			out((struct node *)poll);                          \
	}
RECEIVER(ring, ring_recv)
CALLBACK(churn, churn_recv, churn_send)
RECEIVER(idle_timer, idle_timer_recv)
RECEIVER(dispatch, dispatch_ready)
RECEIVER(setup, setup_recv)
CALLBACK(echo, echo_recv, echo_send)
CALLBACK(coalesced, coalesced_recv, coalesced_send)

static const uv_poll_cb callbacks[] = {
	[RING] = handle_ring,
	[CHURN] = handle_churn,
	[IDLE_TIMER] = handle_idle_timer,
	[COALESCED] = handle_coalesced,
	[DISPATCH] = handle_dispatch,
	[ECHO_BACK] = handle_echo,
	[SETUP_ADD] = handle_setup,
	[SETUP_REMOVE] = handle_setup,
};

static inline void node_want(struct node *node, bool want)
{
	uv_poll_start(&node->poll, want ? UV_READABLE | UV_WRITABLE : UV_READABLE,
	              callbacks[nodes.job]);
}

static void handle_idle(uv_timer_t *timer)
{
	(void)timer;
	node_is_idle();
}

/* It has the best of the system's and no other. */
const char *libuv_backend(unsigned index)
{
	return index == 0 ? system_drivers[0]->backend(0) : NULL;
}

static void close_handle(uv_handle_t *handle, void *context)
{
	(void)context;
	uv_close(handle, NULL);
}

void libuv_close(uv_loop_t *l)
{
	uv_walk(l, close_handle, NULL);
	uv_run(l, UV_RUN_DEFAULT);
	uv_loop_close(l);
}

static int libuv_sockets_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	int error = uv_loop_init(&loop);

	(void)backend, (void)why, (void)size;
	if (error < 0)
		return error;
	nodes_open(cell);
	for (unsigned i = 0; i < nodes.count; i++)
		node_at(i)->fd = cell->ring->pairs[i].fd;
	return 0;
}

/* libuv tells the kernel when it is about to wait: it has to turn once, without waiting. */
static int libuv_sockets_watch(void)
{
	const uint64_t idle_ms = IDLE_NS / HARK_MS(1);

	for (unsigned i = 0; i < nodes.count; i++) {
		struct node *node = node_at(i);
		int error = uv_poll_init_socket(&loop, &node->poll, node->fd);

		if (error == 0)
			error = uv_poll_start(&node->poll, UV_READABLE, callbacks[nodes.job]);
		if (error < 0)
			return error;
		if (nodes.job == IDLE_TIMER) {
			uv_timer_init(&loop, &nodes.idlers[i].timer);
			uv_timer_start(&nodes.idlers[i].timer, handle_idle, idle_ms, idle_ms);
		}
	}
	uv_run(&loop, UV_RUN_NOWAIT);
	return 0;
}

/* A handle is closed, and free to be reused, when the loop has turned once. */
static int libuv_sockets_unwatch(unsigned count)
{
	for (unsigned i = nodes.count - count; i < nodes.count; i++)
		uv_close((uv_handle_t *)&node_at(i)->poll, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
	return 0;
}

static int libuv_sockets_run(void)
{
	uv_run(&loop, UV_RUN_DEFAULT);
	return 0;
}

static void libuv_sockets_close(void)
{
	libuv_close(&loop);
	nodes_close();
}

const struct driver libuv_sockets = {
	.name = "libuv",
	.kind = SOCKETS,
	.backend = libuv_backend,
	.open = libuv_sockets_open,
	.watch = libuv_sockets_watch,
	.unwatch = libuv_sockets_unwatch,
	.run = libuv_sockets_run,
	.close = libuv_sockets_close,
};
