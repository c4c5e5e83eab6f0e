/* hark_sockets.c - hark as its users write it: handlers inside the program's own struct, interest
 * that follows from that struct, and the I/O verbs. */
#include "hark_driver.h"
#include <errno.h>
#include <string.h>

struct node {
	struct hark_handler handler;
	int to;
	unsigned holding;
};

/* A node of idle-timer. */
struct idler {
	struct node node;
	struct hark_timer timer;
};

static struct hark_reactor *reactor;

static inline ssize_t node_recv(struct node *node, char *buf, size_t size)
{
	ssize_t got = hark_recv(&node->handler, buf, size);

	return got < 0 ? -1 : got;
}

static inline ssize_t node_send(struct node *node, const char *buf, size_t size)
{
	return hark_send(&node->handler, buf, size);
}

static inline void node_want(struct node *node, bool want);

static inline void node_put_off(struct node *node);

static inline void node_finish(struct node *node)
{
	(void)node;
	hark_reactor_stop(reactor);
}

#include "nodes.h"
#include "work_sockets.h"

/* hark asks wants_send after each callback: in its own callback a handler need not say a thing. In
 * coalesced it does, as all others do, or there would be nothing to measure. */
static inline void node_want(struct node *node, bool want)
{
	(void)want;
	if (nodes.job == COALESCED)
		hark_handler_refresh(&node->handler);
}

static inline void node_put_off(struct node *node)
{
	hark_timer_start(reactor, &HARK_CONTAINER(node, struct idler, node)->timer, IDLE_NS);
}

static bool wants_send(const struct hark_handler *h)
{
	return ((const struct node *)h)->holding > 0;
}

#define CALLBACK(work)                                    \
	static void handle_##work(struct hark_handler *h) \
	{                                                 \
		work((struct node *)h);                   \
	}
WORK_OF_RECEIVERS(CALLBACK)
WORK_OF_SENDERS(CALLBACK)

static void handle_idle(struct hark_timer *t, uint64_t missed)
{
	(void)t, (void)missed;
	node_is_idle();
}

static const struct hark_handler_ops ops[] = {
	[RING] =
		{
			.wants_recv = hark_always,
			.handle_recv = handle_ring_recv,
			.name = "ring",
		},
	[CHURN] =
		{
			.wants_recv = hark_always,
			.wants_send = wants_send,
			.handle_recv = handle_churn_recv,
			.handle_send = handle_churn_send,
			.name = "churn",
		},
	[IDLE_TIMER] =
		{
			.wants_recv = hark_always,
			.handle_recv = handle_idle_timer_recv,
			.name = "idle-timer",
		},
	[COALESCED] =
		{
			.wants_recv = hark_always,
			.wants_send = wants_send,
			.handle_recv = handle_coalesced_recv,
			.handle_send = handle_coalesced_send,
			.name = "coalesced",
		},
	[DISPATCH] =
		{
			.wants_recv = hark_always,
			.handle_recv = handle_dispatch_ready,
			.name = "dispatch",
		},
	[ECHO_BACK] =
		{
			.wants_recv = hark_always,
			.wants_send = wants_send,
			.handle_recv = handle_echo_recv,
			.handle_send = handle_echo_send,
			.name = "echo",
		},
	[SETUP_ADD] =
		{
			.wants_recv = hark_always,
			.handle_recv = handle_setup_recv,
			.name = "setup",
		},
	[SETUP_REMOVE] =
		{
			.wants_recv = hark_always,
			.handle_recv = handle_setup_recv,
			.name = "setup",
		},
};

static const struct hark_timer_ops idle_ops = {.handle_timer = handle_idle, .name = "idle"};

const char *hark_bench_backend(unsigned index)
{
	const struct hark_backend *backend = hark_backend_at(index);

	return backend == NULL ? NULL : backend->name;
}

static bool is_built_in(const char *backend)
{
	const char *name;

	for (unsigned i = 0; (name = hark_bench_backend(i)) != NULL; i++) {
		if (strcmp(name, backend) == 0)
			return true;
	}
	return false;
}

bool hark_bench_works(const char *backend, char *why, size_t size)
{
	struct hark_options options = {.backend = backend, .why = why, .why_size = size};
	struct hark_reactor *r;
	int error;

	if (!is_built_in(backend)) {
		snprintf(why, size, "not built into this library");
		return false;
	}
	error = hark_reactor_new(&r, &options);
	if (error == 0)
		hark_reactor_free(r);
	else if (why[0] == '\0')
		snprintf(why, size, "%s", strerror(-error));
	return error == 0;
}

static int hark_sockets_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	struct hark_options options = {.backend = backend, .why = why, .why_size = size};
	int error = hark_reactor_new(&reactor, &options);

	if (error < 0)
		return error;
	nodes_open(cell);
	for (unsigned i = 0; i < nodes.count; i++) {
		hark_handler_init(&node_at(i)->handler, &ops[nodes.job], cell->ring->pairs[i].fd);
		if (nodes.job == IDLE_TIMER)
			hark_timer_init(&nodes.idlers[i].timer, &idle_ops);
	}
	return 0;
}

static int hark_sockets_watch(void)
{
	for (unsigned i = 0; i < nodes.count; i++) {
		int error = hark_handler_add(reactor, &node_at(i)->handler);

		if (error < 0)
			return error;
		if (nodes.job == IDLE_TIMER)
			node_put_off(node_at(i));
	}
	/* Else the kernel would be told no earlier than in the first turn. */
	hark_reactor_prepare(reactor);
	return 0;
}

static int hark_sockets_unwatch(unsigned count)
{
	for (unsigned i = nodes.count - count; i < nodes.count; i++)
		hark_handler_remove(&node_at(i)->handler);
	return 0;
}

static int hark_sockets_run(void)
{
	return hark_reactor_run(reactor);
}

static void hark_sockets_close(void)
{
	hark_reactor_free(reactor);
	nodes_close();
}

const struct driver hark_sockets = {
	.name = "hark",
	.kind = SOCKETS,
	.backend = hark_bench_backend,
	.works = hark_bench_works,
	.open = hark_sockets_open,
	.watch = hark_sockets_watch,
	.unwatch = hark_sockets_unwatch,
	.run = hark_sockets_run,
	.close = hark_sockets_close,
};
