/* raw.h - what the hand-written loops share: their user's struct, and the workloads. */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include "bench.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct node {
	int fd, to;
	unsigned holding;
};

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

/* The loops look at tally.hops themselves. */
static inline void node_finish(struct node *node)
{
	(void)node;
}

#include "work.h"

static inline struct node *nodes_new(const struct ring *ring)
{
	struct node *nodes = allocate(ring->count, sizeof *nodes);

	for (unsigned i = 0; i < ring->count; i++)
		nodes[i] = (struct node){.fd = ring->pairs[i].fd, .to = ring->pairs[i].to};
	return nodes;
}

#endif
