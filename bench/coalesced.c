/* coalesced.c - the workload coalesced: what it costs that changes of interest cancel out.
 *
 * A ring in which each callback makes its handler want to send, and no longer want to, eight times.
 * It ends as it began: a loop that tells the kernel no earlier than it has to has nothing to
 * tell. */
#include "bench.h"

static const struct shape shapes[] = {
	{100, 1, 0},
	{1000, 100, OVER_UNIX},
};
#define ALL (sizeof shapes / sizeof shapes[0])

static void plan_coalesced(struct plan *plan, const struct wishes *wishes)
{
	const struct cell like = {.workload = &work_coalesced, .job = COALESCED};

	shapes_plan(&like, shapes, ALL, plan, wishes);
}

const struct workload work_coalesced = {
	.name = "coalesced",
	.about = "a ring in which each callback starts and stops wanting to send, eight times:\n"
		 "whether changes that cancel out reach the kernel\n",
	.kind = SOCKETS,
	.over = OVER_UNIX,
	.plan = plan_coalesced,
	.labels = sockets_labels,
	.measures = sockets_measures,
	.prepare = sockets_prepare,
	.start = sockets_start,
	.finish = sockets_finish,
};
