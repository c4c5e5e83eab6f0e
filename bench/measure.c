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
 * Afterwards the workload looks whether all is still there: a driver that lost something is not to
 * be trusted. One that waits for what it lost is stopped by a watchdog. */
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
#define FEW 100     /* descriptors; making the loop would take longer than the set-up of fewer */
#define PIECE HARK_MS(2)
#define PIECES_LEAST 3
#define PIECES_MOST 32
#define SAMPLE 2000       /* hops of which the system calls are counted ... */
#define SAMPLE_QUICK 400  /* ... and with --quick: to follow a process takes long */
#define LONG HARK_MS(100) /* a piece that needs no others */
#define NOISE 0.05        /* between the quartiles of a ratio: more does not mean "the same" */

struct tally tally;
struct latencies latencies;

static char stuck[256]; /* what the watchdog says */

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

/* Names the cell in words. */
static const char *describe(const struct cell *cell)
{
	static char text[128];
	struct label labels[LABELS_MOST];
	unsigned count = cell->workload->labels(cell, labels);
	int length = snprintf(text, sizeof text, "%s", cell->workload->name);

	for (unsigned i = 0; i < count && (size_t)length < sizeof text; i++) {
		char *end = text + length;
		size_t left = sizeof text - (size_t)length;

		if (labels[i].text != NULL)
			length += snprintf(end, left, " %s", labels[i].text);
		else
			length += snprintf(end, left, ", %u %s", labels[i].number, labels[i].key);
	}
	return text;
}

/* Names the row in words, in the next call others. */
const char *describe_row(const struct cell *cell, const struct row *row)
{
	static char text[192];

	snprintf(text, sizeof text, "%s, %s%s%s on %s", describe(cell), row->driver->name,
	         row->driver->variant != NULL ? " " : "",
	         row->driver->variant != NULL ? row->driver->variant : "", row->backend);
	return text;
}

static void guard(const struct cell *cell, const struct row *row)
{
	snprintf(stuck, sizeof stuck, "\nhark-bench: %s: no end after %d s: an event was lost\n",
	         describe_row(cell, row), WATCHDOG_S);
	alarm(WATCHDOG_S);
}

/* A number for shuffling. The state is not 0. */
static uint32_t random_number(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* A random order of the cell's rows, in which those on one backend stay neighbours: what is to be
 * compared is then measured within a fraction of a second. */
static void shuffle(const struct cell *cell, uint32_t *state, unsigned *order)
{
	uint64_t *keys = allocate(cell->row_count, sizeof *keys);
	uint32_t block = 0;

	for (unsigned i = 0; i < cell->row_count; i++) {
		unsigned at = i;

		if (i == 0 || strcmp(cell->rows[i].backend, cell->rows[i - 1].backend) != 0)
			block = random_number(state);
		keys[i] = (uint64_t)block << 32 | random_number(state);
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
	note(plan, "%s: left out: %s", describe_row(cell, row), why);
	return false;
}

/* Opens the loop and watches; adds the nanoseconds that the latter takes to *took. */
static bool set_up(struct plan *plan, const struct cell *cell, struct row *row, double *took,
                   double *memory)
{
	char why[256] = "";
	int64_t before;
	int error;

	alarm(WATCHDOG_S);
	error = row->driver->open(row->backend, cell, why, sizeof why);
	if (error == -ENOTSUP) {
		row->failed = true;
		return false;
	}
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

/* Runs so many hops, or a few more. Returns the nanoseconds of one. */
double run_hops(const struct cell *cell, const struct row *row, uint64_t hops)
{
	const uint64_t done = tally.hops;
	const int64_t idle = tally.idle;
	int64_t before, took;
	int error;

	tally.goal = done + hops;
	before = now();
	error = row->driver->run();
	took = now() - before - (tally.idle - idle);
	if (error < 0)
		broken("%s: %s", describe_row(cell, row), strerror(-error));
	if (tally.hops < tally.goal)
		broken("%s: ended before its time", describe_row(cell, row));
	return (double)took / (double)(tally.hops - done);
}

/* Divides slices of so many nanoseconds into pieces; also warms up. */
static void calibrate(const struct cell *cell, struct row *row, double slice)
{
	uint64_t hops = cell->least;
	double hop, piece, pieces;

	if (cell->workload->once) {
		run_hops(cell, row, hops);
		row->hops_a_piece = hops;
		row->pieces = 1;
		return;
	}
	while ((hop = run_hops(cell, row, hops)) * (double)hops < slice / 8)
		hops *= 2;
	row->hops_a_piece = (uint64_t)((double)PIECE / hop) + 1;
	if (row->hops_a_piece < cell->least)
		row->hops_a_piece = cell->least;
	piece = hop * (double)row->hops_a_piece;
	pieces = slice / piece;
	if (pieces < PIECES_LEAST)
		pieces = piece < (double)LONG ? PIECES_LEAST : 1;
	row->pieces = pieces < PIECES_MOST ? (unsigned)pieces : PIECES_MOST;
}

struct sample {
	const struct cell *cell;
	const struct row *row;
	unsigned hops;
	int report; /* a pipe to write to how many there were: it may be more than asked for */
};

/* In the child: the same as in a turn, of fewer hops. */
static void run_sample(void *context)
{
	const struct sample *sample = context;
	const struct cell *cell = sample->cell;
	const struct row *row = sample->row;
	uint64_t before, hops;
	char why[256];

	if (row->driver->open(row->backend, cell, why, sizeof why) < 0 || row->driver->watch() < 0)
		return;
	memset(&tally, 0, sizeof tally);
	cell->workload->start(cell);
	run_hops(cell, row, cell->least + sample->hops);
	before = tally.hops;
	system_mark();
	run_hops(cell, row, sample->hops);
	system_mark();
	hops = tally.hops - before;
	if (write(sample->report, &hops, sizeof hops) < 0)
		return;
	row->driver->close();
	cell->workload->finish(cell);
}

/* System calls a hop; a few of the last are of hops that are not complete. */
static double count_calls(const struct cell *cell, const struct row *row, unsigned hops)
{
	uint64_t done = 0;
	int report[2];
	double calls;

	if (pipe(report) < 0)
		return -1;
	alarm(WATCHDOG_S);
	calls = (double)system_calls(run_sample, &(struct sample){cell, row, hops, report[1]});
	close(report[1]);
	if (read(report[0], &done, sizeof done) == sizeof done && calls >= 0 && done > 0)
		calls /= (double)done;
	close(report[0]);
	return calls;
}

/* Finds out how many hops a slice is, and what the loop has allocated a descriptor: after the first
 * events, so that what was put off until then counts too. The second time tells: what the allocator
 * keeps of the first, it keeps once. */
static bool try_out(struct plan *plan, const struct cell *cell, struct row *row, double slice)
{
	const unsigned times = cell->descriptors > 0 ? 2 : 1;

	for (unsigned i = 0; i < times; i++) {
		double before, took = 0;

		if (!set_up(plan, cell, row, &took, &before))
			return false;
		if (cell->workload->start != NULL)
			cell->workload->start(cell);
		if (i == 0)
			calibrate(cell, row, slice);
		else
			run_hops(cell, row, cell->least);
		row->bytes = -1;
		if (before >= 0 && cell->descriptors > 0)
			row->bytes = (system_memory() - before) / cell->descriptors;
		row->driver->close();
		if (cell->workload->finish != NULL)
			cell->workload->finish(cell);
	}
	row->calls = -1;
	if (cell->workload->kind == SOCKETS && !cell->workload->once)
		row->calls = count_calls(cell, row, plan->quick ? SAMPLE_QUICK : SAMPLE);
	return true;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void sort_values(double *values, unsigned count)
{
	qsort(values, count, sizeof *values, compare);
}

/* What so many quarters of the sorted values are not above; between two of them, in proportion. */
static double quartile(const double *values, unsigned count, unsigned quarters)
{
	const unsigned steps = quarters * (count - 1);
	const unsigned below = steps / 4;
	const double rest = steps % 4 / 4.0;

	return rest > 0 ? values[below] + rest * (values[below + 1] - values[below])
	                : values[below];
}

/* Sorts the values. */
static struct spread spread_of(double *values, unsigned count)
{
	sort_values(values, count);
	return (struct spread){
		.min = values[0],
		.q1 = quartile(values, count, 1),
		.median = quartile(values, count, 2),
		.q3 = quartile(values, count, 3),
		.max = values[count - 1],
	};
}

/* Runs a slice. Returns the nanoseconds of a hop. */
double run_slice(const struct cell *cell, const struct row *row)
{
	double pieces[PIECES_MOST] = {0};

	for (unsigned i = 0; i < row->pieces; i++)
		pieces[i] = run_hops(cell, row, row->hops_a_piece);
	return spread_of(pieces, row->pieces).median;
}

static void turn(struct plan *plan, const struct cell *cell, struct row *row, unsigned round,
                 double slice)
{
	const struct workload *work = cell->workload;
	const unsigned setups =
		cell->descriptors > 0
			? 1 + SETUPS / (cell->descriptors > FEW ? cell->descriptors : FEW)
			: 1;
	double values[MEASURES] = {0}, setup = 0, memory;
	const char *problem = NULL;

	guard(cell, row);
	if (round == 0 && !try_out(plan, cell, row, slice))
		return;
	for (unsigned i = 0; i < setups; i++) {
		if (i > 0)
			row->driver->close();
		if (!set_up(plan, cell, row, &setup, &memory))
			return;
	}
	if (cell->descriptors > 0)
		values[1] = setup / setups / cell->descriptors;

	memset(&tally, 0, sizeof tally);
	if (work->start != NULL)
		work->start(cell);
	run_hops(cell, row, row->hops_a_piece);
	if (work->slice != NULL)
		work->slice(cell, row, values);
	else
		values[0] = run_slice(cell, row);
	row->driver->close();
	alarm(0);

	for (unsigned i = 0; i < MEASURES; i++)
		row->values[i][round] = values[i];
	if (work->finish != NULL)
		problem = work->finish(cell);
	if (problem != NULL)
		broken("%s: %s", describe_row(cell, row), problem);
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

/* Of such a ratio nobody can say which of the two is faster, nor that they are as fast. One that is
 * not known is all 0, and not noisy. */
bool is_noisy(const struct spread *ratio)
{
	return ratio->q1 < 1 && ratio->q3 > 1 && ratio->q3 - ratio->q1 > NOISE;
}

static void sum_up(struct cell *cell, unsigned rounds)
{
	for (unsigned i = 0; i < cell->row_count; i++) {
		struct row *row = &cell->rows[i];

		if (row->raw != NULL && row->raw->failed)
			row->raw = NULL;
		for (unsigned j = 0; j < MEASURES && row->raw != NULL && !row->failed; j++)
			row->ratio[j] = ratios(row->values[j], row->raw->values[j], rounds);
	}
	for (unsigned i = 0; i < cell->row_count; i++) {
		struct row *row = &cell->rows[i];

		for (unsigned j = 0; j < MEASURES && !row->failed; j++)
			row->spread[j] = spread_of(row->values[j], rounds);
	}
}

static void progress(const struct plan *plan, const struct cell *cell, unsigned index,
                     unsigned round)
{
	if (!isatty(STDERR_FILENO))
		return;
	if (round < plan->rounds)
		fprintf(stderr, "\r\033[K%u/%u: %s: round %u/%u", index + 1, plan->cell_count,
		        describe(cell), round + 1, plan->rounds);
	else
		fprintf(stderr, "\r\033[K");
	fflush(stderr);
}

/* Measures the plan's index-th cell. */
void measure(struct plan *plan, struct cell *cell, unsigned index)
{
	static uint32_t state;
	const double slice = (double)(plan->quick ? HARK_MS(15) : HARK_MS(40));
	unsigned *order = allocate(cell->row_count, sizeof *order);

	signal(SIGALRM, handle_alarm);
	progress(plan, cell, index, 0);
	if (index == 0)
		state = plan->seed;
	if (cell->workload->prepare != NULL)
		cell->workload->prepare(cell);
	for (unsigned round = 0; round < plan->rounds; round++) {
		progress(plan, cell, index, round);
		shuffle(cell, &state, order);
		for (unsigned i = 0; i < cell->row_count; i++) {
			if (!cell->rows[order[i]].failed)
				turn(plan, cell, &cell->rows[order[i]], round, slice);
		}
	}
	progress(plan, cell, index, plan->rounds);
	if (cell->workload->clean != NULL)
		cell->workload->clean(cell);
	free(order);
	sum_up(cell, plan->rounds);
}
