/* timers.c - the workload timers: what it costs to start, stop, move and call one of many.
 *
 * mix      starts, stops and moves at random, to random deadlines
 * refresh  moves each time to a minute from now: timeouts that are put off and never come
 * expire   starts all, to random deadlines, and has all called
 *
 * Nothing waits: the backend matters in nothing but one wait for many operations. Which timer is
 * next is random too, so that with many of them most of the time is the memory's. */
#include "bench.h"

static unsigned counts[] = {10000, 100000, 1000000};
#define QUICK 2 /* the first ones */
#define ALL (sizeof counts / sizeof counts[0])

static void plan_timers(struct plan *plan, const struct wishes *wishes)
{
	const struct list usual = {counts, plan->quick ? QUICK : ALL};
	const struct list *list = wishes->outstanding.count > 0 ? &wishes->outstanding : &usual;

	for (enum job job = TIMERS_MIX; job <= TIMERS_EXPIRE; job++) {
		for (unsigned i = 0; i < list->count && wishes->jobs[job]; i++) {
			struct cell cell = {.workload = &work_timers, .job = job};

			cell.outstanding = list->numbers[i];
			cell.least = job == TIMERS_EXPIRE ? cell.outstanding : 1;
			plan_cell(plan, wishes, &cell);
		}
	}
}

static unsigned label_timers(const struct cell *cell, struct label labels[LABELS_MOST])
{
	labels[0] = (struct label){"operation", -9, "operation", job_names[cell->job], 0};
	labels[1] = (struct label){"pending", 7, "outstanding", NULL, cell->outstanding};
	return 2;
}

static const struct measure *measure_timers(const struct cell *cell)
{
	static const struct measure measures[MEASURES] = {
		{"ns", "ns_per_operation", "ratio_to_raw"},
	};

	(void)cell;
	return measures;
}

const struct workload work_timers = {
	.name = "timers",
	.about = "timers are started, stopped and moved at random (mix), put off by a minute\n"
		 "(refresh), or started and called (expire), among many that are pending: the\n"
		 "timers alone, without a wait\n",
	.kind = TIMERS,
	.plan = plan_timers,
	.labels = label_timers,
	.measures = measure_timers,
};
