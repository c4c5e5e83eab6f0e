/* baseline.c - the results beside those of an earlier run, which --json wrote.
 *
 * Ratios to raw are compared, not nanoseconds: the machine's speed is in both parts of a ratio. A
 * row is slower than it was if its median is greater by more than the spreads of then and of now
 * together, from quartile to quartile, and by more than SLIGHTLY. That the quartiles do not meet is
 * not enough: on a busy machine the same program, run twice, had rows in which they did not. And
 * a program's place in memory, which is another in each run, alone makes a difference of a few
 * percent. */
#include "bench.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#define SLIGHTLY 0.03

struct baseline {
	const char *path;
	json_t *root;
	json_t *rows; /* by their names */
};

enum change { SAME, FASTER, SLOWER };

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "unknown";
}

/* Of the ratio to raw. Returns false if there is none. */
static bool spread_of_row(const json_t *row, struct spread *spread)
{
	const json_t *median = json_object_get(row, "ratio_to_raw");
	const json_t *q1 = json_object_get(row, "ratio_q1");
	const json_t *q3 = json_object_get(row, "ratio_q3");

	*spread = (struct spread){.q1 = json_number_value(q1),
	                          .median = json_number_value(median),
	                          .q3 = json_number_value(q3)};
	return json_is_number(median) && json_is_number(q1) && json_is_number(q3);
}

/* Does it hold what the comparison needs, or say that there is none? */
static bool is_row(const json_t *row)
{
	struct spread spread;

	return json_is_string(json_object_get(row, "row")) &&
	       (json_is_null(json_object_get(row, "ratio_to_raw")) || spread_of_row(row, &spread));
}

/* Ends the program if the file is not one that --json wrote. */
struct baseline *baseline_load(const char *path)
{
	struct baseline *baseline = allocate(1, sizeof *baseline);
	json_error_t error;
	const json_t *rows;
	json_t *row;
	size_t i;

	*baseline = (struct baseline){
		.path = path, .root = json_load_file(path, 0, &error), .rows = json_object()};
	if (baseline->root == NULL && error.line < 0)
		usage_error("--baseline: %s", error.text);
	if (baseline->root == NULL)
		usage_error("--baseline: '%s' is no JSON: line %d: %s", path, error.line,
		            error.text);
	rows = json_object_get(baseline->root, "rows");
	json_array_foreach(rows, i, row)
	{
		if (!is_row(row))
			break;
		json_object_set(baseline->rows, text_of(row, "row"), row);
	}
	if (i == 0 || i < json_array_size(rows))
		usage_error("--baseline: '%s' does not hold the results of such a run", path);
	return baseline;
}

void baseline_free(struct baseline *baseline)
{
	if (baseline == NULL)
		return;
	json_decref(baseline->rows);
	json_decref(baseline->root);
	free(baseline);
}

/* Calls do_row for each row of the plan that has not failed. */
static void each_row(const struct plan *plan,
                     void (*do_row)(void *context, const char *name, const struct row *row),
                     void *context)
{
	for (unsigned i = 0; i < plan->cell_count; i++) {
		const struct cell *cell = &plan->cells[i];

		for (unsigned j = 0; j < cell->row_count; j++) {
			if (!cell->rows[j].failed)
				do_row(context, describe_row(cell, &cell->rows[j]), &cell->rows[j]);
		}
	}
}

struct count {
	const struct baseline *baseline;
	unsigned in_both;
};

static void count_row(void *context, const char *name, const struct row *row)
{
	struct count *count = context;
	struct spread then;

	count->in_both += row->raw != NULL && row->raw != row &&
	                  spread_of_row(json_object_get(count->baseline->rows, name), &then);
}

/* Ends the program if nothing can be compared, before it is measured. */
void baseline_check(const struct baseline *baseline, const struct plan *plan)
{
	struct count count = {.baseline = baseline};

	each_row(plan, count_row, &count);
	if (count.in_both == 0)
		usage_error("--baseline: '%s' has a ratio for nothing that is to be measured",
		            baseline->path);
}

static enum change change_of(const struct spread *then, const struct spread *now)
{
	const double spreads = then->q3 - then->q1 + now->q3 - now->q1;
	const double change = now->median - then->median;

	if (fabs(change) <= spreads || fabs(change) <= then->median * SLIGHTLY)
		return SAME;
	return change > 0 ? SLOWER : FASTER;
}

static const char *words(const struct spread *spread, char text[48])
{
	snprintf(text, 48, "%.3f [%.3f-%.3f]", spread->median, spread->q1, spread->q3);
	return text;
}

struct comparison {
	const json_t *then;
	json_t *left;   /* rows of then that were not met yet */
	json_t *missed; /* names of what is not in both */
	unsigned changes[3];
};

static void compare_row(void *context, const char *name, const struct row *row)
{
	static const char *const titles[] = {"same", "faster", "slower"};
	struct comparison *comparison = context;
	const struct spread *now = &row->ratio[0];
	struct spread then;
	char then_text[48], now_text[48];
	enum change change;

	if (json_object_del(comparison->left, name) < 0)
		json_array_append_new(comparison->missed, json_string(name));
	if (row->raw == NULL || row->raw == row ||
	    !spread_of_row(json_object_get(comparison->then, name), &then))
		return;
	change = change_of(&then, now);
	comparison->changes[change]++;
	words(&then, then_text);
	words(now, now_text);
	printf("%-6s  %-21s  %-21s  %s\n", titles[change], then_text, now_text, name);
	if (change == SLOWER)
		say("regression: %s: ratio %s, and was %s", name, now_text, then_text);
}

static void report_missed(const json_t *missed)
{
	const json_t *name;
	size_t i;

	json_array_foreach(missed, i, name)
	{
		printf("%s%s", i == 0 ? "not in both runs: " : "; ", json_string_value(name));
	}
	if (i > 0)
		putchar('\n');
}

/* Compares ratio with ratio, and tells each. Returns how many are slower than they were. */
unsigned baseline_compare(const struct baseline *baseline, const struct plan *plan)
{
	struct comparison comparison = {
		.then = baseline->rows, .left = json_copy(baseline->rows), .missed = json_array()};
	const unsigned *changes = comparison.changes;
	const char *name;
	const json_t *row;

	printf("\nRatios beside those of %s, of %s: hark %s, %s, %s\n%-6s  %-21s  %-21s\n",
	       baseline->path, text_of(baseline->root, "date"), text_of(baseline->root, "hark"),
	       text_of(baseline->root, "kernel"), text_of(baseline->root, "cpu"), "", "then",
	       "now");
	each_row(plan, compare_row, &comparison);
	json_object_foreach(comparison.left, name, row)
	{
		json_array_append_new(comparison.missed, json_string(name));
	}
	report_missed(comparison.missed);
	printf("%u compared: %u slower, %u faster, %u the same\n",
	       changes[SLOWER] + changes[FASTER] + changes[SAME], changes[SLOWER], changes[FASTER],
	       changes[SAME]);
	json_decref(comparison.left);
	json_decref(comparison.missed);
	return changes[SLOWER];
}
