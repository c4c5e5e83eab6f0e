/* raw.h - what the hand-written loops over sockets share: their user's struct, the workloads, and
 * the timeouts of idle-timer. */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include "raw_heap.h"
#include <errno.h>
#include <hark/base.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct node {
	int fd, to;
	unsigned holding;
};

/* A node of idle-timer. */
struct idler {
	struct node node;
	struct heap_timer timer;
};

static struct {
	struct heap heap;
	int64_t now; /* read once a turn */
} timers = {.heap = HEAP_EMPTY};

static void node_want(struct node *node, bool want);

/* recv(2) and send(2) rather than read(2) and write(2), which are some per cent slower here. */
static inline ssize_t node_recv(struct node *node, char *buf, size_t size)
{
	return recv(node->fd, buf, size, 0);
}

static inline ssize_t node_send(struct node *node, const char *buf, size_t size)
{
	return send(node->fd, buf, size, 0);
}

static inline void node_put_off(struct node *node);

/* The loops look at tally.hops themselves. */
static inline void node_finish(struct node *node)
{
	(void)node;
}

#include "work_sockets.h"

/* The file's loop over its own system call: `in` is called for what can receive and `out`, unless
 * NULL, for what can send; if timed, idlers have their timeouts. It is compiled once for each job,
 * with the functions inside it, as a program that does only that would be. */
static inline __attribute__((always_inline)) int
raw_loop(void (*in)(struct node *node), void (*out)(struct node *node), bool timed);

static inline int raw_run(enum job job)
{
	switch (job) {
	case RING:
		return raw_loop(ring_recv, NULL, false);
	case CHURN:
		return raw_loop(churn_recv, churn_send, false);
	case IDLE_TIMER:
		return raw_loop(idle_timer_recv, NULL, true);
	case COALESCED:
		return raw_loop(coalesced_recv, coalesced_send, false);
	case DISPATCH:
		return raw_loop(dispatch_ready, NULL, false);
	case ECHO_BACK:
		return raw_loop(echo_recv, echo_send, false);
	case SETUP_ADD:
	case SETUP_REMOVE:
		return raw_loop(setup_recv, NULL, false);
	default:
		return -ENOTSUP;
	}
}

static inline void node_put_off(struct node *node)
{
	heap_move(&timers.heap, &HARK_CONTAINER(node, struct idler, node)->timer,
	          timers.now + IDLE_NS);
}

static inline void handle_idle(struct heap_timer *timer)
{
	(void)timer;
	node_is_idle();
}

static inline struct node node_of(const struct pair *pair)
{
	return (struct node){.fd = pair->fd, .to = pair->to};
}

static inline struct idler idler_of(const struct pair *pair)
{
	return (struct idler){.node = node_of(pair), .timer.handle = handle_idle};
}

static inline struct node *nodes_new(const struct ring *ring)
{
	struct node *nodes = allocate(ring->count, sizeof *nodes);

	for (unsigned i = 0; i < ring->count; i++)
		nodes[i] = node_of(&ring->pairs[i]);
	return nodes;
}

static inline struct idler *idlers_new(const struct ring *ring)
{
	struct idler *idlers = allocate(ring->count, sizeof *idlers);

	for (unsigned i = 0; i < ring->count; i++)
		idlers[i] = idler_of(&ring->pairs[i]);
	return idlers;
}

/* From here on the node is idle. */
static inline void idler_start(struct idler *idler)
{
	heap_insert(&timers.heap, &idler->timer, now() + IDLE_NS);
}

/* How long to wait, in nanoseconds. */
static inline int64_t idle_left(void)
{
	const int64_t left = heap_first(&timers.heap) - timers.now;

	return left > 0 ? left : 0;
}

/* In milliseconds, rounded up. */
static inline int idle_milliseconds(void)
{
	return (int)((idle_left() + HARK_MS(1) - 1) / HARK_MS(1));
}

/* Calls those that are idle, after the events of the turn. */
static inline void idle_expire(void)
{
	heap_expire(&timers.heap, timers.now);
}

static inline void idlers_free(struct idler *idlers)
{
	heap_close(&timers.heap);
	free(idlers);
}

#endif
