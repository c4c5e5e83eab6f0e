/* ring.c - the workload ring: what it costs to wait for a descriptor and be called.
 *
 * Handlers always want to receive and never to send, as most do most of the time, so that nothing
 * that is watched ever changes. */
#include "bench.h"

static const struct shape shapes[] = {
	{100, 1, OVER_UNIX},   {1000, 100, OVER_UNIX | OVER_TCP},
	{5000, 100, OVER_TCP}, {10000, 100, 0},
	{1000, 1, 0},          {10000, 1, 0},
	{10000, 2000, 0},
};
#define ALL (sizeof shapes / sizeof shapes[0])

static void plan_ring(struct plan *plan, const struct wishes *wishes)
{
	const struct cell like = {.workload = &work_ring, .job = RING};

	shapes_plan(&like, shapes, ALL, plan, wishes);
}

const struct workload work_ring = {
	.name = "ring",
	.about = "each descriptor that receives a byte sends one to the next: the cost of\n"
		 "waiting and calling, with the receive and the send, which are most of it\n",
	.kind = SOCKETS,
	.over = OVER_UNIX | OVER_TCP,
	.plan = plan_ring,
	.labels = sockets_labels,
	.measures = sockets_measures,
	.prepare = sockets_prepare,
	.start = sockets_start,
	.finish = sockets_finish,
};
