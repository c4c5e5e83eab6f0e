/* post.c - the workload post: what it costs other threads to reach a loop.
 *
 * flood  threads post as fast as they can; the loop seldom sleeps, and wakes cost little if most
 *        posts do without one
 * wake   a thread posts to a loop that sleeps: how long until the message is handled
 *
 * Each without and with a while of looking for messages before the loop sleeps. Threads that post
 * have the other processors, where there are any; the numbers are as much the machine's as the
 * library's. */
#include "bench.h"
#include <hark/base.h>

/* Long enough that in wake a loop that looks never sleeps. */
#define SPIN HARK_MS(1)

static unsigned counts[] = {1, 2, 4};
#define QUICK 1 /* the first one */
#define ALL (sizeof counts / sizeof counts[0])

static void plan_operation(struct plan *plan, const struct wishes *wishes, enum job job,
                           unsigned threads)
{
	struct cell cell = {.workload = &work_post, .job = job, .threads = threads, .least = 1};

	if (!wishes->jobs[job])
		return;
	plan_cell(plan, wishes, &cell);
	cell.spin_ns = SPIN;
	plan_cell(plan, wishes, &cell);
}

static void plan_post(struct plan *plan, const struct wishes *wishes)
{
	const struct list usual = {counts, plan->quick ? QUICK : ALL};
	const struct list *list = wishes->threads.count > 0 ? &wishes->threads : &usual;

	for (unsigned i = 0; i < list->count; i++)
		plan_operation(plan, wishes, POST_FLOOD, list->numbers[i]);
	plan_operation(plan, wishes, POST_WAKE, 1);
}

static unsigned label_post(const struct cell *cell, struct label labels[LABELS_MOST])
{
	labels[0] = (struct label){"operation", -9, "operation", job_names[cell->job], 0};
	labels[1] = (struct label){"threads", 7, "threads", NULL, cell->threads};
	labels[2] = (struct label){"spin", 7, "spin_ns", NULL, (unsigned)cell->spin_ns};
	return 3;
}

static const struct measure *measure_post(const struct cell *cell)
{
	static const struct measure flood[MEASURES] = {
		{"ns", "ns_per_message", "ratio_to_raw"},
	};
	static const struct measure wake[MEASURES] = {
		{"p50", "p50_ns", "ratio_to_raw"},
		{"p99", "p99_ns", "p99_ratio_to_raw"},
	};

	return cell->job == POST_FLOOD ? flood : wake;
}

static void slice_post(const struct cell *cell, const struct row *row, double values[MEASURES])
{
	if (cell->job == POST_FLOOD) {
		values[0] = run_slice(cell, row);
		return;
	}
	latencies.count = 0;
	run_hops(cell, row, row->hops_a_piece * row->pieces);
	sort_values(latencies.ns, latencies.count);
	values[0] = latencies.ns[latencies.count / 2];
	values[1] = latencies.ns[latencies.count * 99 / 100];
}

const struct workload work_post = {
	.name = "post",
	.about = "threads post messages to one loop as fast as it takes them (flood: ns a\n"
		 "message), or one posts to it while it sleeps (wake: ns until it is handled);\n"
		 "without and with a while of looking for messages before it sleeps\n",
	.kind = POSTS,
	.plan = plan_post,
	.labels = label_post,
	.measures = measure_post,
	.slice = slice_post,
};
