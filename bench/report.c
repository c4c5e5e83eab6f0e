/* report.c - the results, as a table for people and as JSON for programs. */
#include "bench.h"
#include <errno.h>
#include <hark/base.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

void report_head(void)
{
	struct utsname system;
	char cpu[128];

	if (uname(&system) == 0)
		printf("hark %s, %s %s %s, %s\n", HARK_VERSION, system.sysname, system.release,
		       system.machine, system_cpu(cpu, sizeof cpu) ? cpu : "processor unknown");
	printf("ns: time of an event, its receive and send included; ratio: to raw, the same "
	       "system "
	       "call by hand,\nround by round; calls: system calls an event; set-up: ns to watch a "
	       "descriptor; bytes: of user\nmemory a descriptor, without the program's own. "
	       "Medians, "
	       "and in brackets the least and the greatest.\n");
}

void report_cell(const struct cell *cell)
{
	printf("\n%-5s %-4s %5s %5s  %-4s %-6s %9s %-17s %6s %-14s %6s %7s %6s\n", "work", "over",
	       "fds", "act.", "how", "on", "ns", "", "ratio", "", "calls", "set-up", "bytes");
	for (unsigned i = 0; i < cell->row_count; i++) {
		const struct row *row = &cell->rows[i];
		char range[32], ratio[16] = "-", ratio_range[32] = "", bytes[16] = "-";

		if (row->failed)
			continue;
		snprintf(range, sizeof range, "[%.0f-%.0f]", row->time.min, row->time.max);
		if (row->raw != NULL) {
			snprintf(ratio, sizeof ratio, "%.3f", row->ratio.median);
			snprintf(ratio_range, sizeof ratio_range, "[%.3f-%.3f]", row->ratio.min,
			         row->ratio.max);
		}
		if (row->bytes >= 0)
			snprintf(bytes, sizeof bytes, "%.1f", row->bytes);
		printf("%-5s %-4s %5u %5u  %-4s %-6s %9.0f %-17s %6s %-14s %6.2f %7.0f %6s\n",
		       work_names[cell->work], transport_names[cell->tcp], cell->descriptors,
		       cell->active, row->driver->name, row->backend, row->time.median, range,
		       ratio, ratio_range, (double)row->calls / (double)row->hops,
		       row->setup_time.median, bytes);
	}
	fflush(stdout);
}

static void set_real(json_t *object, const char *key, double value, bool known)
{
	json_object_set_new(object, key, known ? json_real(value) : json_null());
}

static json_t *json_row(const struct cell *cell, const struct row *row)
{
	bool ratio = row->raw != NULL;
	json_t *object = json_pack(
		"{s:s, s:s, s:s, s:s, s:i, s:i}", "workload", work_names[cell->work], "transport",
		transport_names[cell->tcp], "driver", row->driver->name, "backend", row->backend,
		"descriptors", (int)cell->descriptors, "active", (int)cell->active);

	set_real(object, "ns_per_event", row->time.median, true);
	set_real(object, "ns_min", row->time.min, true);
	set_real(object, "ns_max", row->time.max, true);
	set_real(object, "ratio_to_raw", row->ratio.median, ratio);
	set_real(object, "ratio_min", row->ratio.min, ratio);
	set_real(object, "ratio_max", row->ratio.max, ratio);
	set_real(object, "syscalls_per_event", (double)row->calls / (double)row->hops, true);
	set_real(object, "setup_ns_per_descriptor", row->setup_time.median, true);
	set_real(object, "setup_ratio_to_raw", row->setup_ratio.median, ratio);
	set_real(object, "bytes_per_descriptor", row->bytes, row->bytes >= 0);
	return object;
}

static json_t *json_report(const struct plan *plan)
{
	char cpu[128], date[32], kernel[256];
	time_t now = time(NULL);
	struct utsname system;
	struct tm utc;
	json_t *root, *notes = json_array(), *rows = json_array();

	if (uname(&system) < 0)
		memset(&system, 0, sizeof system);
	snprintf(kernel, sizeof kernel, "%s %s", system.sysname, system.release);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
	for (unsigned i = 0; i < plan->note_count; i++)
		json_array_append_new(notes, json_string(plan->notes[i]));
	for (unsigned i = 0; i < plan->cell_count; i++) {
		const struct cell *cell = &plan->cells[i];

		for (unsigned j = 0; j < cell->row_count; j++) {
			if (!cell->rows[j].failed)
				json_array_append_new(rows, json_row(cell, &cell->rows[j]));
		}
	}
	root = json_pack("{s:s, s:s, s:s?, s:i, s:s, s:s, s:i, s:b, s:o, s:o}", "machine",
	                 system.machine, "kernel", kernel, "cpu", system_cpu(cpu, sizeof cpu),
	                 "cpus", (int)sysconf(_SC_NPROCESSORS_ONLN), "date", date, "hark",
	                 HARK_VERSION, "rounds", (int)plan->rounds, "quick", (int)plan->quick,
	                 "notes", notes, "rows", rows);
	return root;
}

/* Writes the results to the file. Returns 0 or -errno. */
int report_json(const struct plan *plan, const char *path)
{
	json_t *root = json_report(plan);
	FILE *file;
	int error = 0;

	if (root == NULL)
		return -ENOMEM;
	errno = EIO;
	file = fopen(path, "w");
	if (file == NULL)
		error = errno;
	else if (json_dumpf(root, file, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) < 0 ||
	         putc('\n', file) == EOF || fflush(file) == EOF)
		error = errno;
	if (file != NULL && fclose(file) == EOF && error == 0)
		error = errno;
	json_decref(root);
	return -error;
}
