/* plan.c - what there is to measure, and what of it can be measured here. */
#include "bench.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All that hark has a backend for, on one system or another; the best come first. */
static const char *const known[] = {"epoll", "io_uring", "kqueue", "poll", "select"};
#define KNOWN (sizeof known / sizeof known[0])

bool backend_known(const char *name)
{
	for (unsigned i = 0; i < KNOWN; i++) {
		if (strcmp(known[i], name) == 0)
			return true;
	}
	return false;
}

/* What else there is to be compared with. */
bool driver_known(const char *name)
{
	for (unsigned i = 0; peers[i].name != NULL; i++) {
		if (strcmp(peers[i].name, name) == 0)
			return true;
	}
	return strcmp(name, "raw") == 0 || strcmp(name, "hark") == 0;
}

/* The index-th of all drivers, NULL past the last. */
static const struct driver *driver_at(unsigned index)
{
	unsigned i = 0;

	while (i < index && system_drivers[i] != NULL)
		i++;
	return i < index || system_drivers[i] == NULL ? drivers[index - i] : system_drivers[i];
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

static bool is_raw(const struct driver *driver)
{
	return strcmp(driver->name, "raw") == 0;
}

/* Does the driver's backend work here? If not, why says why. */
static bool works(const struct driver *driver, const char *backend, char *why, size_t size)
{
	return driver->works == NULL || driver->works(backend, why, size);
}

static void indent(const char *title, const char *lines)
{
	for (; *lines != '\0'; title = "") {
		size_t length = strcspn(lines, "\n");

		printf("  %-10s  %.*s\n", title, (int)length, lines);
		lines += length + (lines[length] == '\n');
	}
}

void list_workloads(void)
{
	for (unsigned i = 0; workloads[i] != NULL; i++)
		indent(workloads[i]->name, workloads[i]->about);
}

/* The drivers that have the backend, and what keeps hark from it. */
static void list_backend(const char *name)
{
	const struct driver *driver;
	const char *before = "";
	char why[256] = "";

	printf("  %-10s  ", name);
	for (unsigned i = 0; (driver = driver_at(i)) != NULL; i++) {
		if (driver->kind != SOCKETS || !has_backend(driver, name) ||
		    !works(driver, name, why, sizeof why))
			continue;
		printf(driver->variant ? "%s%s (%s)" : "%s%s", before, driver->name,
		       driver->variant);
		before = ", ";
	}
	if (!works(&hark_sockets, name, why, sizeof why))
		printf("%shark: %s", before, why);
	putchar('\n');
}

void list_all(void)
{
	printf("workloads:\n");
	list_workloads();
	printf("transports:\n  unix        Unix socket pairs\n  tcp         TCP on loopback\n"
	       "  pipe        pipes\n");
	printf("backends, and the drivers that have them:\n");
	for (unsigned i = 0; i < KNOWN; i++)
		list_backend(known[i]);
	printf("libraries to compare with:\n");
	for (unsigned i = 0; peers[i].name != NULL; i++)
		printf("  %-10s  %s\n", peers[i].name,
		       peers[i].version != NULL ? peers[i].version
		                                : "not built in: it was not installed");
}

static bool noted(const struct plan *plan, const char *text)
{
	for (unsigned i = 0; i < plan->note_count; i++) {
		if (strcmp(plan->notes[i], text) == 0)
			return true;
	}
	return false;
}

/* Says on standard error, once, and later in the JSON, what could not be run. */
void note(struct plan *plan, const char *format, ...)
{
	char *text = allocate(1, 256);
	va_list args;

	va_start(args, format);
	vsnprintf(text, 256, format, args);
	va_end(args);
	if (noted(plan, text)) {
		free(text);
		return;
	}
	plan->notes = realloc(plan->notes, (plan->note_count + 1) * sizeof *plan->notes);
	if (plan->notes == NULL)
		broken("out of memory");
	plan->notes[plan->note_count++] = text;
	fprintf(stderr, "%shark-bench: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", text);
}

static bool contains(const char *const *list, unsigned count, const char *name)
{
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(list[i], name) == 0)
			return true;
	}
	return false;
}

static bool wished(const struct wishes *wishes, const char *backend)
{
	return wishes->backend_count == 0 ||
	       contains(wishes->backends, wishes->backend_count, backend);
}

static bool wants_driver(const struct wishes *wishes, const char *driver)
{
	return wishes->driver_count == 0 || contains(wishes->drivers, wishes->driver_count, driver);
}

static void add_row(struct cell *cell, const struct driver *driver, const char *backend)
{
	cell->rows[cell->row_count++] = (struct row){.driver = driver, .backend = backend};
}

/* The backend that hark chooses unless told otherwise. */
static const char *best_backend(void)
{
	char why[256];

	for (unsigned i = 0; i < KNOWN; i++) {
		if (has_backend(&hark_sockets, known[i]) &&
		    works(&hark_sockets, known[i], why, sizeof why))
			return known[i];
	}
	broken("no backend works here");
}

/* Adds the rows of each driver that has this backend. */
static void add_rows(struct plan *plan, const struct wishes *wishes, struct cell *cell,
                     const char *backend)
{
	const struct driver *driver;

	for (unsigned i = 0; (driver = driver_at(i)) != NULL; i++) {
		char why[256] = "";

		if (driver->kind != cell->workload->kind || !has_backend(driver, backend) ||
		    !wants_driver(wishes, driver->name))
			continue;
		if (works(driver, backend, why, sizeof why))
			add_row(cell, driver, backend);
		else
			note(plan, "left out %s on %s: %s", driver->name, backend, why);
	}
}

static void choose_rows(struct plan *plan, const struct wishes *wishes, struct cell *cell)
{
	const struct driver *driver;

	/* What never waits is beside the choice of a backend. */
	for (unsigned i = 0; (driver = driver_at(i)) != NULL; i++) {
		if (driver->kind == cell->workload->kind && !backend_known(driver->backend(0)) &&
		    wants_driver(wishes, driver->name))
			add_row(cell, driver, driver->backend(0));
	}
	/* Timers and posts differ little from backend to backend: one tells. */
	if (cell->workload->kind != SOCKETS && wishes->backend_count == 0) {
		add_rows(plan, wishes, cell, best_backend());
		return;
	}
	for (unsigned i = 0; i < KNOWN; i++) {
		if (wished(wishes, known[i]))
			add_rows(plan, wishes, cell, known[i]);
	}
}

/* What the row is compared with. By hand nobody does what a backend does that has no raw: that is
 * compared with the system's best. */
static struct row *raw_row(const struct cell *cell, const struct row *row)
{
	struct row *best = NULL;

	for (unsigned i = 0; i < cell->row_count; i++) {
		struct row *other = &cell->rows[i];

		if (!is_raw(other->driver) || other->driver->variant != NULL)
			continue;
		if (strcmp(other->backend, row->backend) == 0 || !backend_known(other->backend))
			return other;
		if (strcmp(other->backend, system_drivers[0]->backend(0)) == 0)
			best = other;
	}
	return best;
}

/* Adds a cell like this one, with a row for each driver on each backend. */
void plan_cell(struct plan *plan, const struct wishes *wishes, const struct cell *like)
{
	struct cell *cell;
	unsigned count = 0;

	while (driver_at(count) != NULL)
		count++;
	plan->cells = realloc(plan->cells, (plan->cell_count + 1) * sizeof *plan->cells);
	if (plan->cells == NULL)
		broken("out of memory");
	cell = &plan->cells[plan->cell_count++];
	*cell = *like;
	cell->rows = allocate((size_t)count * KNOWN, sizeof *cell->rows);
	choose_rows(plan, wishes, cell);
	for (unsigned i = 0; i < cell->row_count; i++) {
		struct row *row = &cell->rows[i];

		row->raw = raw_row(cell, row);
		for (unsigned j = 0; j < MEASURES; j++)
			row->values[j] = allocate(plan->rounds, sizeof *row->values[j]);
	}
}

/* It is an error to ask for a library that this program was built without, and worth a word that
 * one is missing. */
static void check_peers(struct plan *plan, const struct wishes *wishes)
{
	for (unsigned i = 0; peers[i].name != NULL; i++) {
		const char *name = peers[i].name;

		if (peers[i].version != NULL || !wants_driver(wishes, name))
			continue;
		if (wishes->driver_count > 0)
			usage_error("driver %s: not built in: it was not installed", name);
		note(plan, "left out %s: not built in: it was not installed", name);
	}
}

/* It is an error to ask for a backend that does not work here, and worth a word that hark lacks one
 * which the system has. */
static void check_backends(struct plan *plan, const struct wishes *wishes)
{
	for (unsigned i = 0; i < wishes->backend_count; i++) {
		char why[256] = "";

		if (!works(&hark_sockets, wishes->backends[i], why, sizeof why))
			usage_error("backend %s: %s", wishes->backends[i], why);
	}
	for (unsigned i = 0; system_drivers[i] != NULL; i++) {
		const char *backend = system_drivers[i]->backend(0);

		if (wished(wishes, backend) && !has_backend(&hark_sockets, backend))
			note(plan, "left out hark on %s: not built into this library", backend);
	}
}

void plan_make(struct plan *plan, const struct wishes *wishes)
{
	check_backends(plan, wishes);
	check_peers(plan, wishes);
	for (unsigned i = 0; workloads[i] != NULL; i++) {
		if (wishes->works[i])
			workloads[i]->plan(plan, wishes);
	}
	if (plan->cell_count == 0)
		usage_error("nothing to run: the options leave no shape of a workload");
}

/* Forgets all cells but the first ones. */
void plan_cut(struct plan *plan, unsigned count)
{
	while (plan->cell_count > count) {
		struct cell *cell = &plan->cells[--plan->cell_count];

		for (unsigned i = 0; i < cell->row_count; i++) {
			for (unsigned j = 0; j < MEASURES; j++)
				free(cell->rows[i].values[j]);
		}
		free(cell->rows);
	}
}

void plan_free(struct plan *plan)
{
	plan_cut(plan, 0);
	for (unsigned i = 0; i < plan->note_count; i++)
		free(plan->notes[i]);
	for (unsigned i = 0; plan->arguments[i] != NULL; i++)
		free(plan->arguments[i]);
	free(plan->arguments);
	free(plan->cells);
	free(plan->notes);
}
