/* churn.c - the workload churn: what it costs that a handler changes what it wants.
 *
 * Both ends of each pair are watched. A byte that arrives makes its handler want to send, which it
 * then may at once; when it has, it no longer wants to. */
#include "bench.h"

static const struct shape shapes[] = {
	{100, 1, OVER_UNIX},
	{1000, 100, OVER_TCP},
	{5000, 100, 0},
	{10000, 100, 0},
};

static void plan_churn(struct plan *plan, const struct wishes *wishes)
{
	const struct cell like = {.workload = &work_churn, .job = CHURN};

	shapes_plan(&like, shapes, sizeof shapes / sizeof shapes[0], plan, wishes);
}

const struct workload work_churn = {
	.name = "churn",
	.about = "each that receives a byte wants to send, sends it back, and no longer wants\n"
		 "to: what a change of interest adds, at its most frequent\n",
	.kind = SOCKETS,
	.over = OVER_UNIX | OVER_TCP,
	.dialogue = true,
	.plan = plan_churn,
	.labels = sockets_labels,
	.measures = sockets_measures,
	.prepare = sockets_prepare,
	.start = sockets_start,
	.finish = sockets_finish,
};
