/* driver_hark.c - hark as its users write it: handlers inside the program's own struct, interest
 * that follows from that struct, and the I/O verbs. */
#include "bench.h"
#include <errno.h>
#include <hark/hark.h>
#include <stdlib.h>

struct node {
	struct hark_handler handler;
	int to;
	unsigned holding;
};

static struct {
	struct hark_reactor *reactor;
	unsigned count;
	struct node *nodes;
} loop;

static inline ssize_t node_recv(struct node *node, char *buf, size_t size)
{
	ssize_t got = hark_recv(&node->handler, buf, size);

	return got < 0 ? -1 : got;
}

static inline ssize_t node_send(struct node *node, const char *buf, size_t size)
{
	return hark_send(&node->handler, buf, size);
}

/* hark asks wants_send after each callback. */
static inline void node_want(struct node *node, bool want)
{
	(void)node, (void)want;
}

static inline void node_finish(struct node *node)
{
	(void)node;
	hark_reactor_stop(loop.reactor);
}

#include "work.h"

static void ring_handle_recv(struct hark_handler *h)
{
	ring_recv((struct node *)h);
}

static bool churn_wants_send(const struct hark_handler *h)
{
	return ((const struct node *)h)->holding > 0;
}

static void churn_handle_recv(struct hark_handler *h)
{
	churn_recv((struct node *)h);
}

static void churn_handle_send(struct hark_handler *h)
{
	churn_send((struct node *)h);
}

static const struct hark_handler_ops ops[WORK_COUNT] = {
	[WORK_RING] =
		{
			.wants_recv = hark_always,
			.handle_recv = ring_handle_recv,
			.name = "ring",
		},
	[WORK_CHURN] =
		{
			.wants_recv = hark_always,
			.wants_send = churn_wants_send,
			.handle_recv = churn_handle_recv,
			.handle_send = churn_handle_send,
			.name = "churn",
		},
};

static const char *hark_bench_backend(unsigned index)
{
	const struct hark_backend *backend = hark_backend_at(index);

	return backend == NULL ? NULL : backend->name;
}

static int hark_bench_open(const char *backend, enum work work, const struct ring *ring, char *why,
                           size_t size)
{
	struct hark_options options = {.backend = backend, .why = why, .why_size = size};
	int error = hark_reactor_new(&loop.reactor, &options);

	if (error < 0)
		return error;
	loop.count = ring->count;
	loop.nodes = allocate(ring->count, sizeof *loop.nodes);
	for (unsigned i = 0; i < ring->count; i++) {
		hark_handler_init(&loop.nodes[i].handler, &ops[work], ring->pairs[i].fd);
		loop.nodes[i].to = ring->pairs[i].to;
	}
	return 0;
}

static int hark_bench_watch(void)
{
	for (unsigned i = 0; i < loop.count; i++) {
		int error = hark_handler_add(loop.reactor, &loop.nodes[i].handler);

		if (error < 0)
			return error;
	}
	/* Else the kernel would be told no earlier than in the first turn. */
	hark_reactor_prepare(loop.reactor);
	return 0;
}

static int hark_bench_run(void)
{
	return hark_reactor_run(loop.reactor);
}

static uint64_t hark_bench_calls(void)
{
	struct hark_stats stats;

	hark_reactor_stats(loop.reactor, &stats);
	return stats.syscalls;
}

static void hark_bench_close(void)
{
	hark_reactor_free(loop.reactor);
	free(loop.nodes);
}

const struct driver driver_hark = {
	.name = "hark",
	.backend = hark_bench_backend,
	.open = hark_bench_open,
	.watch = hark_bench_watch,
	.run = hark_bench_run,
	.calls = hark_bench_calls,
	.close = hark_bench_close,
};
