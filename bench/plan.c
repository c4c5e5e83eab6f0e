/* plan.c - what there is to measure, and what of it can be measured here. */
#include "bench.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const work_names[WORK_COUNT] = {"ring", "churn"};
const char *const work_about[WORK_COUNT] = {
	"each descriptor that receives a byte sends one to the next",
	"each that receives a byte wants to send, sends it back, and no longer wants to",
};
const char *const transport_names[2] = {"unix", "tcp"};

/* Does each watched descriptor answer on itself? */
bool is_dialogue(enum work work)
{
	return work == WORK_CHURN;
}

/* All that hark has a backend for, on one system or another. */
static const char *const known[] = {"epoll", "kqueue", "poll", "select"};
#define LENGTH(array) (sizeof(array) / sizeof(array)[0])
#define KNOWN LENGTH(known)

struct shape {
	unsigned descriptors, active;
};
static const struct shape ring_shapes[] = {
	{100, 1}, {1000, 100}, {5000, 100}, {10000, 1}, {10000, 100}, {10000, 2000},
};
static const struct shape short_shapes[] = {
	/* for churn, and where time is short */
	{100, 1},
	{1000, 100},
	{5000, 100},
	{10000, 100},
};
static const unsigned sizes[] = {100, 1000, 5000, 10000};

bool backend_known(const char *name)
{
	for (unsigned i = 0; i < KNOWN; i++) {
		if (strcmp(known[i], name) == 0)
			return true;
	}
	return false;
}

static bool has_backend(const struct driver *driver, const char *name)
{
	const char *other;

	for (unsigned i = 0; (other = driver->backend(i)) != NULL; i++) {
		if (strcmp(other, name) == 0)
			return true;
	}
	return false;
}

static const struct driver *raw_driver(const char *backend)
{
	for (unsigned i = 0; raw_drivers[i] != NULL; i++) {
		if (has_backend(raw_drivers[i], backend))
			return raw_drivers[i];
	}
	return NULL;
}

/* Does hark's backend work here? If not, why says why. */
static bool hark_works(const char *backend, char *why, size_t size)
{
	const struct ring none = {.count = 0};
	int error;

	if (!has_backend(&driver_hark, backend)) {
		snprintf(why, size, "not built into this library");
		return false;
	}
	error = driver_hark.open(backend, WORK_RING, &none, why, size);
	if (error < 0) {
		if (why[0] == '\0')
			snprintf(why, size, "%s", strerror(-error));
		return false;
	}
	driver_hark.close();
	return true;
}

static void list_backend(const char *name)
{
	char why[256] = "";
	bool works = hark_works(name, why, sizeof why);
	bool raw = raw_driver(name) != NULL;

	printf("  %-8s ", name);
	if (works)
		printf("%s\n", raw ? "hark, raw" : "hark; raw: not a system call of this system");
	else
		printf("%shark: %s\n", raw ? "raw; " : "", why);
}

void list_all(void)
{
	printf("workloads:\n");
	for (unsigned i = 0; i < WORK_COUNT; i++)
		printf("  %-8s %s\n", work_names[i], work_about[i]);
	printf("transports:\n  unix     Unix socket pairs\n  tcp      TCP on loopback\n");
	printf("backends, and the drivers that have them:\n");
	for (unsigned i = 0; i < KNOWN; i++)
		list_backend(known[i]);
}

/* Says on standard error, and later in the JSON, what could not be run. */
void note(struct plan *plan, const char *format, ...)
{
	char *text = allocate(1, 256);
	va_list args;

	va_start(args, format);
	vsnprintf(text, 256, format, args);
	va_end(args);
	plan->notes = realloc(plan->notes, (plan->note_count + 1) * sizeof *plan->notes);
	if (plan->notes == NULL)
		broken("out of memory");
	plan->notes[plan->note_count++] = text;
	fprintf(stderr, "%shark-bench: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", text);
}

static bool wished(const struct wishes *wishes, const char *backend)
{
	for (unsigned i = 0; i < wishes->backend_count; i++) {
		if (strcmp(wishes->backends[i], backend) == 0)
			return true;
	}
	return wishes->backend_count == 0;
}

/* The rows of each cell: each backend by hand, then in hark. Returns how many. */
static unsigned choose_rows(struct plan *plan, const struct wishes *wishes, struct row *rows)
{
	unsigned count = 0;

	for (unsigned i = 0; i < KNOWN; i++) {
		const struct driver *raw = raw_driver(known[i]);
		char why[256] = "";
		bool works;

		if (!wished(wishes, known[i]))
			continue;
		works = hark_works(known[i], why, sizeof why);
		if (!works && wishes->backend_count > 0)
			usage_error("backend %s: %s", known[i], why);
		if (!works && (raw != NULL || has_backend(&driver_hark, known[i])))
			note(plan, "left out hark on %s: %s", known[i], why);
		if (raw != NULL) {
			rows[count] = (struct row){.driver = raw, .backend = known[i]};
			count++;
		}
		if (works) {
			rows[count] = (struct row){.driver = &driver_hark, .backend = known[i]};
			count++;
		}
	}
	return count;
}

static void add_cell(struct plan *plan, const struct cell *like, const struct row *rows)
{
	struct cell *cell;

	plan->cells = realloc(plan->cells, (plan->cell_count + 1) * sizeof *plan->cells);
	if (plan->cells == NULL)
		broken("out of memory");
	cell = &plan->cells[plan->cell_count++];
	*cell = *like;
	cell->rows = allocate(cell->row_count, sizeof *cell->rows);
	for (unsigned i = 0; i < cell->row_count; i++) {
		struct row *row = &cell->rows[i];

		*row = rows[i];
		row->ns = allocate(plan->rounds, sizeof *row->ns);
		row->setup = allocate(plan->rounds, sizeof *row->setup);
		for (unsigned j = 0; j <= i; j++) {
			if (cell->rows[j].driver == raw_driver(row->backend))
				row->raw = &cell->rows[j];
		}
	}
}

/* What the command line or the default asks for, into counts; returns how many. */
static unsigned counts_wanted(const struct wishes *wishes, const unsigned **counts)
{
	*counts = wishes->descriptor_count > 0 ? wishes->descriptors : sizes;
	return wishes->descriptor_count > 0 ? wishes->descriptor_count : LENGTH(sizes);
}

/* The shapes to measure, into shapes, which has room for them. Returns how many. */
static unsigned choose_shapes(const struct wishes *wishes, enum work work, bool quick,
                              struct shape *shapes)
{
	const unsigned *counts;
	unsigned count = counts_wanted(wishes, &counts), chosen = 0;

	if (wishes->descriptor_count == 0 && wishes->active_count == 0) {
		const bool many = work == WORK_RING && !quick;

		chosen = many ? LENGTH(ring_shapes) : LENGTH(short_shapes);
		memcpy(shapes, many ? ring_shapes : short_shapes, chosen * sizeof *shapes);
		return chosen;
	}
	for (unsigned i = 0; i < count; i++) {
		if (wishes->active_count == 0)
			shapes[chosen++] = (struct shape){counts[i], counts[i] < 1000 ? 1 : 100};
		for (unsigned j = 0; j < wishes->active_count; j++) {
			if (wishes->active[j] <= counts[i])
				shapes[chosen++] = (struct shape){counts[i], wishes->active[j]};
		}
	}
	return chosen;
}

static unsigned raise_for(const struct wishes *wishes)
{
	const unsigned *counts;
	unsigned count = counts_wanted(wishes, &counts), most = 0;

	for (unsigned i = 0; i < count; i++) {
		if (counts[i] > most)
			most = counts[i];
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
static unsigned fit(struct plan *plan, enum work work, struct shape *shapes, unsigned count,
                    unsigned limit)
{
	const unsigned most = ring_most(limit, is_dialogue(work));
	const unsigned first = first_too_many(shapes, count, most);
	unsigned noted = 0, fitting = 0;

	for (unsigned i = 0; i < count; i++) {
		struct shape shape = shapes[i];
		const unsigned wanted = shape.descriptors;
		const unsigned need = ring_need(wanted, is_dialogue(work));

		if (wanted > most) {
			if (most < sizes[0])
				usage_error(
					"too few descriptors: %s with %u needs %u open files and "
					"the limit is %u; ulimit -n raises it",
					work_names[work], wanted, need, limit);
			if (wanted != noted && wanted == first)
				note(plan,
				     "%s: %u descriptors need %u open files and the limit is %u: "
				     "reduced to %u",
				     work_names[work], wanted, need, limit, most);
			else if (wanted != noted)
				note(plan,
				     "%s: %u descriptors need %u open files and the limit is %u: "
				     "left out",
				     work_names[work], wanted, need, limit);
			noted = wanted;
			if (wanted != first)
				continue;
			shape.descriptors = most;
		}
		if (is_dialogue(work)) /* which is between two */
			shape.descriptors += shape.descriptors & 1;
		if (shape.active <= shape.descriptors)
			shapes[fitting++] = shape;
	}
	return fitting;
}

void plan_make(struct plan *plan, const struct wishes *wishes)
{
	struct row rows[2 * KNOWN];
	unsigned row_count = choose_rows(plan, wishes, rows);
	unsigned limit = raise_for(wishes);
	struct shape *shapes =
		allocate((wishes->descriptor_count + LENGTH(sizes) + LENGTH(ring_shapes)) *
	                         (wishes->active_count + 1),
	                 sizeof *shapes);

	for (unsigned work = 0; work < WORK_COUNT; work++) {
		unsigned count;

		if (!wishes->works[work])
			continue;
		count = choose_shapes(wishes, work, plan->quick, shapes);
		count = fit(plan, work, shapes, count, limit);
		for (unsigned i = 0; i < 2 * count; i++) {
			const struct cell cell = {
				.work = work,
				.tcp = i >= count,
				.descriptors = shapes[i % count].descriptors,
				.active = shapes[i % count].active,
				.row_count = row_count,
			};

			if (wishes->transports[cell.tcp])
				add_cell(plan, &cell, rows);
		}
	}
	free(shapes);
	if (plan->cell_count == 0)
		usage_error("nothing to run: more active than descriptors");
}

/* Forgets all cells but the first ones. */
void plan_cut(struct plan *plan, unsigned count)
{
	while (plan->cell_count > count) {
		struct cell *cell = &plan->cells[--plan->cell_count];

		for (unsigned i = 0; i < cell->row_count; i++) {
			free(cell->rows[i].ns);
			free(cell->rows[i].setup);
		}
		free(cell->rows);
	}
}

void plan_free(struct plan *plan)
{
	plan_cut(plan, 0);
	for (unsigned i = 0; i < plan->note_count; i++)
		free(plan->notes[i]);
	free(plan->cells);
	free(plan->notes);
}
