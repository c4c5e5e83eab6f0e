/* work_sockets.h - ring, churn, coalesced, idle-timer, dispatch, setup and echo, once for all
 * drivers.
 *
 * A driver includes this file after it has defined what the workloads need of it:
 *
 *   struct node                          what its user keeps for one watched descriptor, with the
 *                                        members int to, of struct pair, and unsigned holding
 *   ssize_t node_recv(node, buf, size)   receives from the node's descriptor; -1: nothing there
 *   ssize_t node_send(node, buf, size)   sends on the node's own descriptor
 *   void node_want(node, bool)           from now on calls, or no longer calls, churn_send (or
 *                                        the like) when the node's descriptor can send; so does
 *                                        the member holding, which is not 0 as long as it is to
 *   void node_put_off(node)              idle-timer: the node's timer is due IDLE_NS from now, by
 *                                        the loop's idea of now; it calls node_is_idle then
 *   void node_finish(node)               the goal is reached: run shall return
 *
 * and calls the functions below from its callbacks, as they are named. In idle-timer a node begins
 * to be idle when it is watched. */
#ifndef BENCH_WORK_SOCKETS_H
#define BENCH_WORK_SOCKETS_H

#include "bench.h"
#include "work_echo.h"
#include <hark/base.h>
#include <sys/socket.h>

#define IDLE_NS HARK_S(60)

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

/* Idle-timer: a ring in which a byte that arrives also puts off the node's timeout. It comes after
 * a minute without a byte, and there is none. */
static inline void idle_timer_recv(struct node *node)
{
	if (node_take(node, 1) == 0)
		return;
	node_put_off(node);
	node_passed(node, send(node->to, "", 1, 0));
}

static inline void node_is_idle(void)
{
	broken("a timeout came that every event has put off");
}

/* Dispatch: the callback of a descriptor that is always ready, and of which nothing is read. */
static inline void dispatch_ready(struct node *node)
{
	tally.each[node->to]++;
	if (++tally.hops == tally.goal)
		node_finish(node);
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

/* Echo: what arrives is sent back at once. What the socket does not take is kept, and sent when it
 * may be. */
static inline void echo_recv(struct node *node)
{
	static char bytes[ECHO_MOST];
	const ssize_t got = node_recv(node, bytes, sizeof bytes);
	ssize_t sent = 0;

	if (got == 0)
		broken("a client was closed");
	if (got < 0) {
		tally.empty++;
		return;
	}
	if (node->holding == 0)
		sent = node_send(node, bytes, (size_t)got);
	if (sent < 0)
		sent = 0;
	if (sent < got) {
		const unsigned left = (unsigned)(got - sent);
		const bool wanted = node->holding > 0;

		echo_keep(node->to, bytes + sent, left);
		node->holding += left;
		tally.held += left;
		if (!wanted)
			node_want(node, true);
	}
	echo_passed(node, (size_t)sent);
}

static inline void echo_send(struct node *node)
{
	const char *bytes;
	const size_t size = echo_kept(node->to, &bytes);
	const ssize_t sent = size > 0 ? node_send(node, bytes, size) : 0;

	if (sent <= 0)
		return;
	echo_drop(node->to, (size_t)sent);
	node->holding -= (unsigned)sent;
	tally.held -= (uint64_t)sent;
	if (node->holding == 0)
		node_want(node, false);
	echo_passed(node, (size_t)sent);
}

/* Setup: a byte that arrives shows that its descriptor is watched, and goes no further. */
static inline void setup_recv(struct node *node)
{
	if (node_take(node, 1) > 0 && ++tally.hops == tally.goal)
		node_finish(node);
}

/* Coalesced: a ring in which each event also makes the node want to send, and no longer want to,
 * eight times. */
static inline void coalesced_recv(struct node *node)
{
	if (node_take(node, 1) == 0)
		return;
	for (int i = 0; i < 8; i++) {
		node->holding = 1;
		node_want(node, true);
		node->holding = 0;
		node_want(node, false);
	}
	node_passed(node, send(node->to, "", 1, 0));
}

static inline void coalesced_send(struct node *node)
{
	(void)node;
	broken("one that no longer wants to send was called for it");
}

/* All of them, for a driver to make its callbacks of: handle_ring_recv and so on. */
#define WORK_OF_RECEIVERS(MAKE) \
	MAKE(ring_recv)         \
	MAKE(churn_recv)        \
	MAKE(coalesced_recv)    \
	MAKE(idle_timer_recv)   \
	MAKE(dispatch_ready)    \
	MAKE(setup_recv)        \
	MAKE(echo_recv)
#define WORK_OF_SENDERS(MAKE) \
	MAKE(churn_send)      \
	MAKE(coalesced_send)  \
	MAKE(echo_send)

/* The initializer of an array of those two callbacks for each job. */
#define WORK_CALLBACKS                                                        \
	{                                                                     \
		[RING] = {handle_ring_recv, NULL},                            \
		[CHURN] = {handle_churn_recv, handle_churn_send},             \
		[COALESCED] = {handle_coalesced_recv, handle_coalesced_send}, \
		[IDLE_TIMER] = {handle_idle_timer_recv, NULL},                \
		[DISPATCH] = {handle_dispatch_ready, NULL},                   \
		[SETUP_ADD] = {handle_setup_recv, NULL},                      \
		[SETUP_REMOVE] = {handle_setup_recv, NULL},                   \
		[ECHO_BACK] = {handle_echo_recv, handle_echo_send},           \
	}

#endif
