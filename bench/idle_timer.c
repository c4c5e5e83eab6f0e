/* idle_timer.c - the workload idle-timer: the ring of a server that gives up idle clients.
 *
 * Each watched descriptor has a timer, which is put off by a minute whenever a byte arrives, and
 * never comes. Beside the timer itself that costs what waiting costs when it has an end: the clock,
 * and the kernel's own timer. */
#include "bench.h"

static const struct shape shapes[] = {
	{100, 1, 0},
	{1000, 100, OVER_TCP},
	{10000, 100, 0},
	{10000, 2000, 0},
};
#define ALL (sizeof shapes / sizeof shapes[0])

static void plan_idle_timer(struct plan *plan, const struct wishes *wishes)
{
	const struct cell like = {.workload = &work_idle_timer, .job = IDLE_TIMER};

	shapes_plan(&like, shapes, ALL, plan, wishes);
}

const struct workload work_idle_timer = {
	.name = "idle-timer",
	.about = "a ring in which each descriptor has a timeout that every event puts off and\n"
		 "that never comes: less the ring, what timeouts cost a busy server\n",
	.kind = SOCKETS,
	.over = OVER_UNIX | OVER_TCP,
	.plan = plan_idle_timer,
	.labels = sockets_labels,
	.measures = sockets_measures,
	.prepare = sockets_prepare,
	.start = sockets_start,
	.finish = sockets_finish,
};
