/* work.h - the workloads, once for all drivers.
 *
 * A driver includes this file after it has defined what the workloads need of it:
 *
 *   struct node                          what its user keeps for one watched descriptor, with the
 *                                        members int to, of struct pair, and unsigned holding
 *   ssize_t node_recv(node, buf, size)   receives from the node's descriptor; -1: nothing there
 *   ssize_t node_send(node, buf, size)   sends on the node's own descriptor
 *   void node_want(node, bool)           from now on calls, or no longer calls, churn_send
 *                                        when the node's descriptor can send
 *   void node_finish(node)               the goal is reached: run shall return
 *
 * and calls the functions below from its callbacks, as they are named. */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include "bench.h"
#include <sys/socket.h>

/* Returns the bytes that were received. */
static inline unsigned node_take(struct node *node, size_t most)
{
	char bytes[64];
	ssize_t got = node_recv(node, bytes, most < sizeof bytes ? most : sizeof bytes);

	if (got > 0)
		return (unsigned)got;
	if (got == 0)
		broken("a socket of the ring was closed");
	tally.empty++;
	return 0;
}

static inline void node_passed(struct node *node, ssize_t sent)
{
	if (sent != 1)
		broken("a socket that holds a few bytes does not take another");
	if (++tally.hops == tally.goal)
		node_finish(node);
}

/* Ring: a byte that arrives goes on to the next descriptor, by a far end that is nobody's to
 * watch: every driver writes to it in the same way. Bytes that meet are not to go on as one. */
static inline void ring_recv(struct node *node)
{
	if (node_take(node, 1) > 0)
		node_passed(node, send(node->to, "", 1, 0));
}

/* Churn: a byte that arrives makes the node want to send; when it may, it sends the byte back and
 * no longer wants to. Like any program it receives as much as there is, which is one byte unless
 * there are more of them than pairs. */
static inline void churn_recv(struct node *node)
{
	unsigned got = node_take(node, SIZE_MAX);
	bool wanted = node->holding > 0;

	node->holding += got;
	tally.held += got;
	if (got > 0 && !wanted)
		node_want(node, true);
}

static inline void churn_send(struct node *node)
{
	if (node->holding == 0)
		return;
	tally.held--;
	node_passed(node, node_send(node, "", 1));
	if (--node->holding == 0)
		node_want(node, false);
}

#endif
