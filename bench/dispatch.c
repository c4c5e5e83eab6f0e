/* dispatch.c - the workload dispatch: what it costs to wait and be called, and nothing else.
 *
 * Pipes hold a byte that nobody reads, so that they are ready in every turn, and the callback only
 * counts. A handler that never changes what it wants, has no timeout and does no I/O is the least
 * that a loop can be asked for. */
#include "bench.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct shape shapes[] = {
	{1, 1, OVER_PIPES},
	{100, 100, OVER_PIPES},
	{10000, 100, 0},
};
#define ALL (sizeof shapes / sizeof shapes[0])

static uint64_t *each;
static size_t room;

static void plan_dispatch(struct plan *plan, const struct wishes *wishes)
{
	const struct cell like = {.workload = &work_dispatch, .job = DISPATCH};

	shapes_plan(&like, shapes, ALL, plan, wishes);
}

static void prepare_dispatch(struct cell *cell)
{
	sockets_prepare(cell);
	free(each);
	room = sockets_room(cell);
	each = allocate(room, sizeof *each);
}

static void start_dispatch(const struct cell *cell)
{
	memset(each, 0, room * sizeof *each);
	tally.each = each;
	sockets_start(cell);
}

/* Those that were ready have all been called, about as often as each other, and nobody else. A run
 * may end in the middle of a turn, and the next begin anywhere. */
static const char *finish_dispatch(const struct cell *cell)
{
	uint64_t least = UINT64_MAX, most = 0;
	unsigned ready = 0;

	for (unsigned i = 0; i < cell->ring->count; i++) {
		const uint64_t calls = each[cell->ring->pairs[i].to];
		char byte;

		if (read(cell->ring->pairs[i].fd, &byte, 1) != 1) {
			if (calls > 0)
				return "one that was not ready was called";
			continue;
		}
		ready++;
		least = calls < least ? calls : least;
		most = calls > most ? calls : most;
	}
	if (ready != cell->active)
		return "a byte was lost";
	return least < most / 2 ? "of those that were ready some were called much more often"
	                        : NULL;
}

const struct workload work_dispatch = {
	.name = "dispatch",
	.about = "descriptors are ready all the time, and the callback only counts: waiting and\n"
		 "calling alone\n",
	.kind = SOCKETS,
	.over = OVER_PIPES,
	.all_active = true,
	.plan = plan_dispatch,
	.labels = sockets_labels,
	.measures = sockets_measures,
	.prepare = prepare_dispatch,
	.start = start_dispatch,
	.finish = finish_dispatch,
};
