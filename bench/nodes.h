/* nodes.h - what the users of a library keep for the descriptors of a cell.
 *
 * A driver includes this file after it has defined struct node (work_sockets.h) and struct idler,
 * a node of idle-timer: its first member is struct node node, its other the library's timer. */
#ifndef BENCH_NODES_H
#define BENCH_NODES_H

#include "bench.h"
#include <stdlib.h>

static struct {
	enum job job;
	unsigned count;
	struct node *nodes;
	struct idler *idlers; /* of idle-timer, in place of nodes */
} nodes;

static inline struct node *node_at(unsigned i)
{
	return nodes.idlers != NULL ? &nodes.idlers[i].node : &nodes.nodes[i];
}

/* The members besides `to` are the driver's to initialize. */
static inline void nodes_open(const struct cell *cell)
{
	nodes.job = cell->job;
	nodes.count = cell->ring->count;
	nodes.nodes = NULL;
	nodes.idlers = NULL;
	if (nodes.job == IDLE_TIMER)
		nodes.idlers = allocate(nodes.count, sizeof *nodes.idlers);
	else
		nodes.nodes = allocate(nodes.count, sizeof *nodes.nodes);
	for (unsigned i = 0; i < nodes.count; i++)
		node_at(i)->to = cell->ring->pairs[i].to;
}

static inline void nodes_close(void)
{
	free(nodes.nodes);
	free(nodes.idlers);
}

#endif
