/* report.c - the results, as a table for people and as JSON for programs. */
#include "bench.h"
#include <errno.h>
#include <hark/base.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* The libraries to compare with. */
static void head_peers(void)
{
	const char *before = "beside ";

	for (unsigned i = 0; peers[i].name != NULL; i++) {
		if (peers[i].version == NULL)
			continue;
		printf("%s%s %s", before, peers[i].name, peers[i].version);
		before = ", ";
	}
	if (strcmp(before, ", ") == 0)
		putchar('\n');
}

/* Those that the kernel mitigates, or those that it does not. */
static void head_flaws(const struct machine *machine, const char *title, bool mitigated)
{
	const char *before = title;

	for (unsigned i = 0; i < machine->flaw_count; i++) {
		const struct flaw *flaw = &machine->flaws[i];

		if (!flaw_concerns(flaw) || flaw_mitigated(flaw) != mitigated)
			continue;
		printf("%s%s", before, flaw->name);
		before = ", ";
	}
	if (before != title)
		putchar('\n');
}

static void head_limit(const char *title, unsigned long limit)
{
	if (limit == 0)
		printf("%sunlimited", title);
	else
		printf("%s%lu", title, limit);
}

void report_head(const struct machine *machine, const struct plan *plan)
{
	printf("hark %s, %s %s, %s\n", HARK_VERSION, machine->kernel, machine->architecture,
	       machine->cpu[0] != '\0' ? machine->cpu : "processor unknown");
	head_peers();
	printf("%d processors, ", machine->cpus);
	if (machine->pinned >= 0)
		printf("pinned to number %d", machine->pinned);
	else
		printf("not pinned");
	if (machine->load >= 0)
		printf(", load %.2f before", machine->load);
	head_limit(", open files limited to ", machine->files);
	head_limit(" of ", machine->files_most);
	putchar('\n');
	head_flaws(machine, "mitigated: ", true);
	head_flaws(machine, "not mitigated: ", false);
	printf("%s, %u rounds, seed %u\n", machine->date, plan->rounds, plan->seed);
	printf("ns: nanoseconds an event, its receive and send included, an operation or a "
	       "message; ratio: to raw,\nthe same by hand, round by round; calls: system calls an "
	       "event; set-up: ns to watch a descriptor;\nbytes: of user memory a descriptor, "
	       "without the program's own; p50, p99: percentiles of ns.\nMedians of the rounds, "
	       "and "
	       "in brackets their quartiles; noisy: these say neither that it is faster\nthan raw, "
	       "nor slower, nor the same. hark-bench(1) says what they mean.\n");
}

/* A number of nanoseconds; a few need a digit more. */
static const char *number(double value, char text[16])
{
	snprintf(text, 16, "%.*f", value < 100 ? 1 : 0, value);
	return text;
}

static void report_titles(const struct cell *cell)
{
	const struct measure *measures = cell->workload->measures(cell);
	struct label labels[LABELS_MOST];
	unsigned count = cell->workload->labels(cell, labels);

	printf("\n%-10s ", "work");
	for (unsigned i = 0; i < count; i++)
		printf("%*s ", labels[i].width, labels[i].title);
	printf(" %-19s %-8s %9s %-17s %6s %-14s", "how", "on", measures[0].title, "", "ratio", "");
	for (unsigned i = 1; i < MEASURES && measures[i].title != NULL; i++)
		printf(" %7s", measures[i].title);
	if (cell->workload->kind == SOCKETS)
		printf(" %6s %6s", "calls", "bytes");
	putchar('\n');
}

/* A number below 0 is not known. */
static void print_known(int width, int digits, double value)
{
	if (value < 0)
		printf(" %*s", width, "-");
	else
		printf(" %*.*f", width, digits, value);
}

/* What a driver is called in tables. */
static const char *row_name(const struct row *row, char text[32])
{
	if (row->driver->variant == NULL)
		return row->driver->name;
	snprintf(text, 32, "%s %s", row->driver->name, row->driver->variant);
	return text;
}

static void report_row(const struct cell *cell, const struct row *row)
{
	const struct measure *measures = cell->workload->measures(cell);
	const struct spread *spread = &row->spread[0];
	struct label labels[LABELS_MOST];
	unsigned count = cell->workload->labels(cell, labels);
	char name[32], text[16], least[16], most[16], range[40], ratio[16] = "-",
								 ratio_range[32] = "";

	printf("%-10s ", cell->workload->name);
	for (unsigned i = 0; i < count; i++) {
		if (labels[i].text != NULL)
			printf("%*s ", labels[i].width, labels[i].text);
		else
			printf("%*u ", labels[i].width, labels[i].number);
	}
	snprintf(range, sizeof range, "[%s-%s]", number(spread->q1, least),
	         number(spread->q3, most));
	if (row->raw != NULL) {
		snprintf(ratio, sizeof ratio, "%.3f", row->ratio[0].median);
		snprintf(ratio_range, sizeof ratio_range, "[%.3f-%.3f]", row->ratio[0].q1,
		         row->ratio[0].q3);
	}
	printf(" %-19s %-8s %9s %-17s %6s %-14s", row_name(row, name), row->backend,
	       number(spread->median, text), range, ratio, ratio_range);
	for (unsigned i = 1; i < MEASURES && measures[i].title != NULL; i++)
		printf(" %7.0f", row->spread[i].median);
	if (cell->workload->kind == SOCKETS) {
		print_known(6, 2, row->calls);
		print_known(6, 1, row->bytes);
	}
	puts(is_noisy(&row->ratio[0]) ? "  noisy" : "");
}

void report_cell(const struct cell *cell)
{
	report_titles(cell);
	for (unsigned i = 0; i < cell->row_count; i++) {
		if (!cell->rows[i].failed)
			report_row(cell, &cell->rows[i]);
	}
	fflush(stdout);
}

static void set_real(json_t *object, const char *key, double value, bool known)
{
	json_object_set_new(object, key, known ? json_real(value) : json_null());
}

/* All but the median. */
static void set_spread(json_t *object, const char *what, const struct spread *spread, bool known)
{
	const struct {
		const char *name;
		double value;
	} each[] = {
		{"min", spread->min}, {"q1", spread->q1}, {"q3", spread->q3}, {"max", spread->max}};

	for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
		char key[32];

		snprintf(key, sizeof key, "%s_%s", what, each[i].name);
		set_real(object, key, each[i].value, known);
	}
}

static json_t *json_row(const struct cell *cell, const struct row *row)
{
	const struct measure *measures = cell->workload->measures(cell);
	const bool ratio = row->raw != NULL;
	struct label labels[LABELS_MOST];
	unsigned count = cell->workload->labels(cell, labels);
	json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "row", describe_row(cell, row),
	                           "workload", cell->workload->name, "driver", row->driver->name,
	                           "backend", row->backend);

	if (row->driver->variant != NULL)
		json_object_set_new(object, "variant", json_string(row->driver->variant));
	for (unsigned i = 0; i < count; i++)
		json_object_set_new(object, labels[i].key,
		                    labels[i].text != NULL ? json_string(labels[i].text)
		                                           : json_integer(labels[i].number));
	for (unsigned i = 0; i < MEASURES && measures[i].title != NULL; i++) {
		set_real(object, measures[i].key, row->spread[i].median, true);
		set_real(object, measures[i].ratio_key, row->ratio[i].median, ratio);
	}
	set_spread(object, "ns", &row->spread[0], true);
	set_spread(object, "ratio", &row->ratio[0], ratio);
	json_object_set_new(object, "noisy",
	                    ratio ? json_boolean(is_noisy(&row->ratio[0])) : json_null());
	if (cell->workload->kind == SOCKETS) {
		set_real(object, "syscalls_per_event", row->calls, row->calls >= 0);
		set_real(object, "bytes_per_descriptor", row->bytes, row->bytes >= 0);
	}
	return object;
}

static json_t *json_rows(const struct plan *plan)
{
	json_t *rows = json_array();

	for (unsigned i = 0; i < plan->cell_count; i++) {
		const struct cell *cell = &plan->cells[i];

		for (unsigned j = 0; j < cell->row_count; j++) {
			if (!cell->rows[j].failed)
				json_array_append_new(rows, json_row(cell, &cell->rows[j]));
		}
	}
	return rows;
}

/* Adds an item that is not there yet. */
static void add_once(json_t *array, json_t *item)
{
	const json_t *other;
	size_t i;

	json_array_foreach(array, i, other)
	{
		if (json_equal(item, other)) {
			json_decref(item);
			return;
		}
	}
	json_array_append_new(array, item);
}

/* What there is to know of a workload in order to read its rows: which members are its shape, and
 * which were measured. NULL if none of its cells is in the plan. */
static json_t *json_workload(const struct plan *plan, const struct workload *workload)
{
	json_t *shape = json_array(), *numbers = json_array();

	for (unsigned i = 0; i < plan->cell_count; i++) {
		const struct cell *cell = &plan->cells[i];
		const struct measure *measures;
		struct label labels[LABELS_MOST];
		unsigned count;

		if (cell->workload != workload)
			continue;
		measures = workload->measures(cell);
		count = workload->labels(cell, labels);
		for (unsigned j = 0; j < count; j++)
			add_once(shape, json_string(labels[j].key));
		for (unsigned j = 0; j < MEASURES && measures[j].title != NULL; j++)
			add_once(numbers, json_pack("{s:s, s:s}", "key", measures[j].key,
			                            "ratio_key", measures[j].ratio_key));
	}
	if (json_array_size(shape) == 0) {
		json_decref(shape);
		json_decref(numbers);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:o, s:o}", "name", workload->name, "about", workload->about,
	                 "shape", shape, "measures", numbers);
}

static json_t *json_workloads(const struct plan *plan)
{
	json_t *array = json_array();

	for (unsigned i = 0; workloads[i] != NULL; i++) {
		json_t *workload = json_workload(plan, workloads[i]);

		if (workload != NULL)
			json_array_append_new(array, workload);
	}
	return array;
}

static json_t *json_versions(void)
{
	json_t *versions = json_object();

	for (unsigned i = 0; peers[i].name != NULL; i++) {
		if (peers[i].version != NULL)
			json_object_set_new(versions, peers[i].name, json_string(peers[i].version));
	}
	return versions;
}

static json_t *json_flaws(const struct machine *machine)
{
	json_t *flaws = json_object();

	for (unsigned i = 0; i < machine->flaw_count; i++)
		json_object_set_new(flaws, machine->flaws[i].name,
		                    json_string(machine->flaws[i].state));
	return flaws;
}

static json_t *json_notes(const struct plan *plan)
{
	json_t *notes = json_array();

	for (unsigned i = 0; i < plan->note_count; i++)
		json_array_append_new(notes, json_string(plan->notes[i]));
	return notes;
}

static json_t *json_arguments(const struct plan *plan)
{
	json_t *arguments = json_array();

	for (unsigned i = 0; plan->arguments[i] != NULL; i++)
		json_array_append_new(arguments, json_string(plan->arguments[i]));
	return arguments;
}

/* 0 is no limit. */
static json_t *json_limit(unsigned long limit)
{
	return limit == 0 ? json_null() : json_integer((json_int_t)limit);
}

static json_t *json_report(const struct machine *machine, const struct plan *plan)
{
	return json_pack(
		"{s:s, s:s, s:s, s:s?, s:i, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:i, s:I, s:b, s:o, "
		"s:o, s:o, s:o}",
		"date", machine->date, "kernel", machine->kernel, "machine", machine->architecture,
		"cpu", machine->cpu[0] != '\0' ? machine->cpu : NULL, "cpus", machine->cpus,
		"pinned_to", machine->pinned < 0 ? json_null() : json_integer(machine->pinned),
		"load", machine->load < 0 ? json_null() : json_real(machine->load), "open_files",
		json_limit(machine->files), "open_files_most", json_limit(machine->files_most),
		"vulnerabilities", json_flaws(machine), "hark", HARK_VERSION, "peers",
		json_versions(), "rounds", (int)plan->rounds, "seed", (json_int_t)plan->seed,
		"quick", (int)plan->quick, "arguments", json_arguments(plan), "notes",
		json_notes(plan), "workloads", json_workloads(plan), "rows", json_rows(plan));
}

/* Writes the results to the file. Returns false, and sets errno, if it cannot. */
bool report_json(const struct machine *machine, const struct plan *plan, FILE *to)
{
	json_t *root = json_report(machine, plan);
	bool written;

	errno = root == NULL ? ENOMEM : EIO;
	written = root != NULL &&
	          json_dumpf(root, to, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0 &&
	          putc('\n', to) != EOF;
	json_decref(root);
	return written;
}
