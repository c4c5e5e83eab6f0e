/* setup.c - the workload setup: what it costs to watch a descriptor, and to end that.
 *
 * add     a new loop is told of all descriptors, and the kernel too
 * remove  the loop is told to forget them, one by one
 *
 * A loop that forgets a descriptor, or that does not, is found out: before it is measured each
 * descriptor receives a byte, and afterwards one is watched again alone. */
#include "bench.h"
#include <errno.h>
#include <string.h>

#define LEAST 2000 /* descriptors that are removed in a turn */

static const struct shape shapes[] = {
	{1000, 1000, OVER_UNIX},
	{10000, 10000, 0},
};
#define ALL (sizeof shapes / sizeof shapes[0])

static unsigned placed; /* bytes, in this turn */
static const char *problem;

static void plan_setup(struct plan *plan, const struct wishes *wishes)
{
	struct cell like = {.workload = &work_setup};
	struct wishes all_active = *wishes; /* whatever the user wants */

	all_active.active.count = 0;
	for (like.job = SETUP_ADD; like.job <= SETUP_REMOVE; like.job++) {
		if (wishes->jobs[like.job])
			shapes_plan(&like, shapes, ALL, plan, &all_active);
	}
}

static unsigned label_setup(const struct cell *cell, struct label labels[LABELS_MOST])
{
	const unsigned last = sockets_labels(cell, labels) - 1;

	/* In place of how many are active, which are all. */
	labels[last] = (struct label){"operation", -9, "operation", job_names[cell->job], 0};
	return last + 1;
}

static const struct measure *measure_setup(const struct cell *cell)
{
	static const struct measure measures[MEASURES] = {
		{"ns", "ns_per_descriptor", "ratio_to_raw"},
	};

	(void)cell;
	return measures;
}

static void start_setup(const struct cell *cell)
{
	problem = NULL;
	placed = cell->descriptors;
	sockets_start(cell);
}

static int64_t timed_unwatch(const struct row *row, unsigned count)
{
	const int64_t before = now();
	const int error = row->driver->unwatch(count);

	if (error < 0)
		broken("%s: cannot remove: %s", row->driver->name, strerror(-error));
	return now() - before;
}

/* That all are watched has been seen when it was open once. */
static void open_anew(const struct cell *cell, const struct row *row)
{
	char why[256] = "";
	int error;

	row->driver->close();
	error = row->driver->open(row->backend, cell, why, sizeof why);
	if (error == 0)
		error = row->driver->watch();
	if (error < 0)
		broken("%s: %s", row->driver->name, why[0] != '\0' ? why : strerror(-error));
}

/* What bytes there are for those that are no longer watched must stay where they are. */
static void look_for_removed(const struct cell *cell, const struct row *row)
{
	const uint64_t before = tally.hops;

	timed_unwatch(row, cell->descriptors - 1);
	placed += cell->descriptors;
	sockets_start(cell);
	run_hops(cell, row, 1);
	if (tally.hops != before + 1)
		problem = "one was called that is no longer watched";
}

/* The turn has measured how long it takes to watch. */
static void slice_setup(const struct cell *cell, const struct row *row, double values[MEASURES])
{
	const unsigned times = 1 + LEAST / cell->descriptors;
	int64_t took = 0;

	values[0] = values[1];
	for (unsigned i = 0; i < times && cell->job == SETUP_REMOVE; i++) {
		took += timed_unwatch(row, cell->descriptors);
		open_anew(cell, row);
	}
	if (cell->job == SETUP_REMOVE)
		values[0] = (double)took / times / cell->descriptors;
	look_for_removed(cell, row);
}

static const char *finish_setup(const struct cell *cell)
{
	const unsigned left = sockets_drain(cell);

	if (problem == NULL && tally.hops + left != placed)
		problem = "a byte was lost";
	return problem;
}

const struct workload work_setup = {
	.name = "setup",
	.about = "a new loop watches descriptors (add: until the kernel knows of them), or no\n"
		 "longer watches them (remove): ns a descriptor, without a single event\n",
	.kind = SOCKETS,
	.over = OVER_UNIX,
	.all_active = true,
	.once = true,
	.plan = plan_setup,
	.labels = label_setup,
	.measures = measure_setup,
	.prepare = sockets_prepare,
	.start = start_setup,
	.finish = finish_setup,
	.slice = slice_setup,
};
