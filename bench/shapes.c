/* shapes.c - in which shapes workloads over sockets are measured: how many descriptors are watched
 * and how many of them are active, and what the limit of open files leaves of that. */
#include "bench.h"
#include <stdlib.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static unsigned sizes[] = {100, 1000, 5000, 10000};
static const struct list usual_sizes = {sizes, LENGTH(sizes)};

/* The numbers of descriptors that the command line or the default asks for. */
static const struct list *counts_wanted(const struct wishes *wishes)
{
	return wishes->descriptors.count > 0 ? &wishes->descriptors : &usual_sizes;
}

/* The shapes that the command line asks for, into shapes, which has room for them. Returns how
 * many. */
static unsigned choose(const struct workload *work, const struct wishes *wishes,
                       struct shape *shapes)
{
	const struct list *counts = counts_wanted(wishes);
	unsigned chosen = 0;

	for (unsigned i = 0; i < counts->count; i++) {
		const unsigned count = counts->numbers[i];
		const unsigned some = count < 1000 ? 1 : 100;

		if (wishes->active.count == 0)
			shapes[chosen++] =
				(struct shape){count, work->all_active ? count : some, 0};
		for (unsigned j = 0; j < wishes->active.count; j++) {
			if (wishes->active.numbers[j] <= count)
				shapes[chosen++] =
					(struct shape){count, wishes->active.numbers[j], 0};
		}
	}
	return chosen;
}

static unsigned raise_for(const struct wishes *wishes)
{
	const struct list *counts = counts_wanted(wishes);
	unsigned most = 0;

	for (unsigned i = 0; i < counts->count; i++) {
		if (counts->numbers[i] > most)
			most = counts->numbers[i];
	}
	return raise_limit(ring_need(most, false));
}

/* The smallest of the wanted counts that do not fit under the limit of open files; 0 if all do. */
static unsigned first_too_many(const struct shape *shapes, unsigned count, unsigned most)
{
	unsigned first = 0;

	for (unsigned i = 0; i < count; i++) {
		if (shapes[i].descriptors > most && (first == 0 || shapes[i].descriptors < first))
			first = shapes[i].descriptors;
	}
	return first;
}

/* Reduces the first shapes that do not fit under the limit of open files to what does, leaves out
 * the larger ones, and says so. Returns how many are left. */
static unsigned fit(struct plan *plan, const struct workload *work, struct shape *shapes,
                    unsigned count, unsigned limit)
{
	const unsigned most = ring_most(limit, work->dialogue);
	const unsigned first = first_too_many(shapes, count, most);
	unsigned noted = 0, fitting = 0;

	for (unsigned i = 0; i < count; i++) {
		struct shape shape = shapes[i];
		const unsigned wanted = shape.descriptors;
		const unsigned need = ring_need(wanted, work->dialogue);

		if (wanted > most) {
			if (most < sizes[0])
				usage_error(
					"too few descriptors: %s with %u needs %u open files and "
					"the limit is %u; ulimit -n raises it",
					work->name, wanted, need, limit);
			if (wanted != noted && wanted == first)
				note(plan,
				     "%s: %u descriptors need %u open files and the limit is %u: "
				     "reduced to %u",
				     work->name, wanted, need, limit, most);
			else if (wanted != noted)
				note(plan,
				     "%s: %u descriptors need %u open files and the limit is %u: "
				     "left out",
				     work->name, wanted, need, limit);
			noted = wanted;
			if (wanted != first)
				continue;
			shape.descriptors = most;
			if (shape.active == wanted) /* all */
				shape.active = most;
		}
		if (work->dialogue) /* which is between two */
			shape.descriptors += shape.descriptors & 1;
		if (shape.active <= shape.descriptors)
			shapes[fitting++] = shape;
	}
	return fitting;
}

/* Plans cells like this one in all shapes that the user wants, or in the usual ones, over all that
 * the workload is for. */
void shapes_plan(const struct cell *like, const struct shape *usual, unsigned usual_count,
                 struct plan *plan, const struct wishes *wishes)
{
	const bool free_choice = wishes->descriptors.count == 0 && wishes->active.count == 0;
	const unsigned room =
		(wishes->descriptors.count + (unsigned)LENGTH(sizes)) * (wishes->active.count + 1) +
		usual_count;
	struct shape *shapes = allocate(room, sizeof *shapes);
	unsigned count = usual_count;

	if (free_choice)
		memcpy(shapes, usual, usual_count * sizeof *shapes);
	else
		count = choose(like->workload, wishes, shapes);
	count = fit(plan, like->workload, shapes, count, raise_for(wishes));
	for (unsigned over = 0; over < OVER_COUNT; over++) {
		if (!(like->workload->over & 1u << over))
			continue;
		for (unsigned i = 0; i < count && wishes->transports[over]; i++) {
			struct cell cell = *like;

			if (plan->quick && free_choice && !(shapes[i].quick & 1u << over))
				continue;
			cell.over = over;
			cell.descriptors = shapes[i].descriptors;
			cell.active = cell.least = shapes[i].active;
			plan_cell(plan, wishes, &cell);
		}
	}
	free(shapes);
}
