/* csv.c - the results as comma-separated values: one line for each number that was measured, so
 * that all lines have the same columns, whatever the workload varies and measures. Nothing in them
 * needs quotes. */
#include "bench.h"
#include <string.h>

/* What is varied, in all workloads of the plan together. */
#define KEYS_MOST 32
struct keys {
	unsigned count;
	const char *each[KEYS_MOST];
};

static void add_key(struct keys *keys, const char *key)
{
	for (unsigned i = 0; i < keys->count; i++) {
		if (strcmp(keys->each[i], key) == 0)
			return;
	}
	if (keys->count == KEYS_MOST)
		broken("workloads differ in more than %u ways", KEYS_MOST);
	keys->each[keys->count++] = key;
}

static void find_keys(const struct plan *plan, struct keys *keys)
{
	keys->count = 0;
	for (unsigned i = 0; i < plan->cell_count; i++) {
		const struct cell *cell = &plan->cells[i];
		struct label labels[LABELS_MOST];
		const unsigned count = cell->workload->labels(cell, labels);

		for (unsigned j = 0; j < count; j++)
			add_key(keys, labels[j].key);
	}
}

static void write_titles(const struct keys *keys, FILE *to)
{
	fputs("workload", to);
	for (unsigned i = 0; i < keys->count; i++)
		fprintf(to, ",%s", keys->each[i]);
	fputs(",driver,variant,backend,measure,median,min,q1,q3,max,ratio_to_raw,ratio_min,"
	      "ratio_q1,ratio_q3,ratio_max,noisy,syscalls_per_event,bytes_per_descriptor\n",
	      to);
}

static void write_shape(const struct cell *cell, const struct keys *keys, FILE *to)
{
	struct label labels[LABELS_MOST];
	const unsigned count = cell->workload->labels(cell, labels);

	for (unsigned i = 0; i < keys->count; i++) {
		unsigned j = 0;

		while (j < count && strcmp(labels[j].key, keys->each[i]) != 0)
			j++;
		if (j == count)
			putc(',', to);
		else if (labels[j].text != NULL)
			fprintf(to, ",%s", labels[j].text);
		else
			fprintf(to, ",%u", labels[j].number);
	}
}

static void write_spread(const struct spread *spread, bool known, FILE *to)
{
	if (known)
		fprintf(to, ",%.6g,%.6g,%.6g,%.6g,%.6g", spread->median, spread->min, spread->q1,
		        spread->q3, spread->max);
	else
		fputs(",,,,,", to);
}

/* A number below 0 is not known. */
static void write_known(double value, FILE *to)
{
	if (value < 0)
		putc(',', to);
	else
		fprintf(to, ",%.6g", value);
}

static void write_row(const struct cell *cell, const struct row *row, const struct keys *keys,
                      FILE *to)
{
	const struct measure *measures = cell->workload->measures(cell);
	const bool ratio = row->raw != NULL, sockets = cell->workload->kind == SOCKETS;

	for (unsigned i = 0; i < MEASURES && measures[i].title != NULL; i++) {
		fputs(cell->workload->name, to);
		write_shape(cell, keys, to);
		fprintf(to, ",%s,%s,%s,%s", row->driver->name,
		        row->driver->variant != NULL ? row->driver->variant : "", row->backend,
		        measures[i].key);
		write_spread(&row->spread[i], true, to);
		write_spread(&row->ratio[i], ratio, to);
		fprintf(to, ",%s", !ratio ? "" : is_noisy(&row->ratio[i]) ? "true" : "false");
		write_known(sockets ? row->calls : -1, to);
		write_known(sockets ? row->bytes : -1, to);
		putc('\n', to);
	}
}

/* Writes the results to the file. Returns false, and sets errno, if it cannot. */
bool report_csv(const struct plan *plan, FILE *to)
{
	struct keys keys;

	find_keys(plan, &keys);
	write_titles(&keys, to);
	for (unsigned i = 0; i < plan->cell_count; i++) {
		const struct cell *cell = &plan->cells[i];

		for (unsigned j = 0; j < cell->row_count; j++) {
			if (!cell->rows[j].failed)
				write_row(cell, &cell->rows[j], &keys, to);
		}
	}
	return !ferror(to);
}
