/* measure.c - how a cell is measured.
 *
 * In each round every row has its turn, in random order, so that what disturbs the machine
 * disturbs all alike; a ratio compares two turns of one round, and the medians are taken over the
 * rounds. Many short rounds do better than a few long ones: a machine whose speed changes from one
 * second to the next has still one speed within most of them. A turn makes the driver's loop anew,
 * watches all descriptors (set-up, timed, more than once where it is short), warms up, and runs a
 * slice: a number of hops that is the same in all rounds, in pieces of some milliseconds, the
 * median of which is the turn's time. So a process that takes the processor for a moment spoils a
 * piece, not the slice.
 *
 * Afterwards the bytes in the ring are counted: a driver that lost one is not to be trusted. One
 * that waits for a byte that it lost is stopped by a watchdog. */
#include "bench.h"
#include <errno.h>
#include <hark/base.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WATCHDOG_S 20
#define SETUPS 2000 /* descriptors set up in a turn, at the least */
#define PIECE HARK_MS(2)
#define PIECES_LEAST 3
#define PIECES_MOST 32

struct tally tally;

static struct ring ring; /* kept while the next cell wants the same */
static char stuck[256];  /* what the watchdog says */

int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return HARK_S(ts.tv_sec) + ts.tv_nsec;
}

static void handle_alarm(int signal_number)
{
	ssize_t ignored = write(STDERR_FILENO, stuck, strlen(stuck));

	(void)signal_number, (void)ignored;
	_exit(1);
}

static const char *describe(const struct cell *cell, const struct row *row)
{
	static char text[128];

	snprintf(text, sizeof text, "%s %s %u/%u %s %s", work_names[cell->work],
	         transport_names[cell->tcp], cell->descriptors, cell->active, row->driver->name,
	         row->backend);
	return text;
}

static void guard(const struct cell *cell, const struct row *row)
{
	snprintf(stuck, sizeof stuck, "\nhark-bench: %s: no end after %d s: an event was lost\n",
	         describe(cell, row), WATCHDOG_S);
	alarm(WATCHDOG_S);
}

/* A number for shuffling; the seed is the time. */
static uint32_t random_number(void)
{
	static uint32_t state;

	while (state == 0)
		state = (uint32_t)now();
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* A random order of the cell's rows, in which those on one backend stay neighbours: what is to be
 * compared is then measured within a fraction of a second. */
static void shuffle(const struct cell *cell, unsigned *order)
{
	uint64_t *keys = allocate(cell->row_count, sizeof *keys);
	uint32_t block = 0;

	for (unsigned i = 0; i < cell->row_count; i++) {
		unsigned at = i;

		if (i == 0 || strcmp(cell->rows[i].backend, cell->rows[i - 1].backend) != 0)
			block = random_number();
		keys[i] = (uint64_t)block << 32 | random_number();
		for (; at > 0 && keys[order[at - 1]] > keys[i]; at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
	free(keys);
}

/* The row cannot be measured in this cell; what is known of the others is worth having. */
static bool leave_out(struct plan *plan, const struct cell *cell, struct row *row, const char *why)
{
	row->failed = true;
	note(plan, "%s: left out: %s", describe(cell, row), why);
	return false;
}

/* Opens the loop and watches the ring; adds the nanoseconds that the latter takes to *took. */
static bool set_up(struct plan *plan, const struct cell *cell, struct row *row, double *took,
                   double *memory)
{
	char why[256] = "";
	int error = row->driver->open(row->backend, cell->work, &ring, why, sizeof why);
	int64_t before;

	if (error < 0)
		return leave_out(plan, cell, row, why[0] != '\0' ? why : strerror(-error));
	*memory = system_memory();
	before = now();
	error = row->driver->watch();
	*took += (double)(now() - before);
	if (error == 0)
		return true;
	row->driver->close();
	return leave_out(plan, cell, row, strerror(-error));
}

/* Nanoseconds for so many more hops. */
static double run_hops(const struct cell *cell, const struct row *row, uint64_t hops)
{
	int64_t before = now();
	int error;

	tally.goal = tally.hops + hops;
	error = row->driver->run();
	if (error < 0)
		broken("%s: %s", describe(cell, row), strerror(-error));
	if (tally.hops < tally.goal)
		broken("%s: ended before its time", describe(cell, row));
	return (double)(now() - before);
}

/* Divides slices of so many nanoseconds into pieces; also warms up. In each piece all bytes under
 * way move. */
static void calibrate(const struct cell *cell, struct row *row, double slice)
{
	uint64_t hops = cell->active;
	double took, hop, pieces;

	while ((took = run_hops(cell, row, hops)) < slice / 8)
		hops *= 2;
	hop = took / (double)hops;
	row->hops_a_piece = (uint64_t)((double)PIECE / hop) + 1;
	if (row->hops_a_piece < cell->active)
		row->hops_a_piece = cell->active;
	pieces = slice / hop / (double)row->hops_a_piece;
	row->pieces = pieces < PIECES_LEAST ? PIECES_LEAST : (unsigned)pieces;
	if (row->pieces > PIECES_MOST)
		row->pieces = PIECES_MOST;
}

/* Finds out how many hops a slice is, and what the loop has allocated: after the first events, so
 * that what was put off until then counts too. The second time tells: what the allocator keeps of
 * the first, it keeps once. */
static bool try_out(struct plan *plan, const struct cell *cell, struct row *row, double slice)
{
	for (unsigned i = 0; i < 2; i++) {
		double before, took = 0;

		if (!set_up(plan, cell, row, &took, &before))
			return false;
		ring_start(&ring, cell->active);
		if (i == 0)
			calibrate(cell, row, slice);
		else
			run_hops(cell, row, cell->active);
		row->bytes = before < 0 ? -1 : (system_memory() - before) / cell->descriptors;
		row->driver->close();
		ring_drain(&ring);
	}
	return true;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts the values. */
static struct spread spread_of(double *values, unsigned count)
{
	qsort(values, count, sizeof *values, compare);
	return (struct spread){
		.median = (values[(count - 1) / 2] + values[count / 2]) / 2,
		.min = values[0],
		.max = values[count - 1],
	};
}

/* Nanoseconds a hop. */
static double run_slice(const struct cell *cell, const struct row *row)
{
	double pieces[PIECES_MOST] = {0};

	for (unsigned i = 0; i < row->pieces; i++) {
		uint64_t before = tally.hops;

		pieces[i] = run_hops(cell, row, row->hops_a_piece);
		pieces[i] /= (double)(tally.hops - before);
	}
	return spread_of(pieces, row->pieces).median;
}

static void turn(struct plan *plan, const struct cell *cell, struct row *row, unsigned round,
                 double slice)
{
	const unsigned setups = 1 + SETUPS / cell->descriptors;
	double setup = 0, memory;
	uint64_t hops, empty, calls;

	memset(&tally, 0, sizeof tally);
	guard(cell, row);
	if (round == 0 && !try_out(plan, cell, row, slice))
		return;
	for (unsigned i = 0; i < setups; i++) {
		if (i > 0)
			row->driver->close();
		if (!set_up(plan, cell, row, &setup, &memory))
			return;
	}
	row->setup[round] = setup / setups / cell->descriptors;

	memset(&tally, 0, sizeof tally);
	ring_start(&ring, cell->active);
	run_hops(cell, row, row->hops_a_piece);
	hops = tally.hops;
	empty = tally.empty;
	calls = row->driver->calls();
	row->ns[round] = run_slice(cell, row);
	hops = tally.hops - hops;
	empty = tally.empty - empty;
	calls = row->driver->calls() - calls;
	row->driver->close();
	alarm(0);

	row->hops += hops;
	row->calls += calls + 2 * hops + empty; /* a hop is a receive and a send */
	if (ring_drain(&ring) + tally.held != cell->active)
		broken("%s: a byte was lost", describe(cell, row));
}

static struct spread ratios(const double *values, const double *to, unsigned count)
{
	double *each = allocate(count, sizeof *each);
	struct spread spread;

	for (unsigned i = 0; i < count; i++)
		each[i] = values[i] / to[i];
	spread = spread_of(each, count);
	free(each);
	return spread;
}

static void sum_up(struct cell *cell, unsigned rounds)
{
	for (unsigned i = 0; i < cell->row_count; i++) {
		struct row *row = &cell->rows[i];

		if (row->raw != NULL && row->raw->failed)
			row->raw = NULL;
		if (row->raw != NULL && !row->failed) {
			row->ratio = ratios(row->ns, row->raw->ns, rounds);
			row->setup_ratio = ratios(row->setup, row->raw->setup, rounds);
		}
	}
	for (unsigned i = 0; i < cell->row_count; i++) {
		struct row *row = &cell->rows[i];

		if (row->failed)
			continue;
		row->time = spread_of(row->ns, rounds);
		row->setup_time = spread_of(row->setup, rounds);
	}
}

static void progress(const struct plan *plan, const struct cell *cell, unsigned index,
                     unsigned round)
{
	if (!isatty(STDERR_FILENO))
		return;
	if (round < plan->rounds)
		fprintf(stderr, "\r\033[K%u/%u: %s, %s, %u descriptors, %u active: round %u/%u",
		        index + 1, plan->cell_count, work_names[cell->work],
		        transport_names[cell->tcp], cell->descriptors, cell->active, round + 1,
		        plan->rounds);
	else
		fprintf(stderr, "\r\033[K");
	fflush(stderr);
}

static void prepare_ring(const struct cell *cell)
{
	const bool dialogue = is_dialogue(cell->work);
	int error;

	if (ring.count == cell->descriptors && ring.tcp == cell->tcp && ring.dialogue == dialogue)
		return;
	if (ring.count > 0)
		ring_close(&ring);
	error = ring_open(&ring, cell->descriptors, cell->tcp, dialogue);
	if (error < 0)
		broken("cannot make %u %s socket pairs: %s", cell->descriptors,
		       transport_names[cell->tcp], strerror(-error));
}

/* Measures the plan's index-th cell. */
void measure(struct plan *plan, struct cell *cell, unsigned index)
{
	const double slice = (double)(plan->quick ? HARK_MS(15) : HARK_MS(40));
	unsigned *order = allocate(cell->row_count, sizeof *order);

	signal(SIGALRM, handle_alarm);
	progress(plan, cell, index, 0);
	prepare_ring(cell);
	for (unsigned round = 0; round < plan->rounds; round++) {
		progress(plan, cell, index, round);
		shuffle(cell, order);
		for (unsigned i = 0; i < cell->row_count; i++) {
			if (!cell->rows[order[i]].failed)
				turn(plan, cell, &cell->rows[order[i]], round, slice);
		}
	}
	progress(plan, cell, index, plan->rounds);
	free(order);
	sum_up(cell, plan->rounds);
}
