/* report.c - what happened last, and what is said when it went wrong. */
#include "world.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define REMEMBERED 64

static struct {
	uint32_t step;
	bool inside;
	const char *what;
	long end;
	int64_t x;
} memory[REMEMBERED];

static uint64_t remembered;
static struct world *current;
static const char *program; /* NULL: a fuzzer, which knows of crashes and hangs itself */
static bool verbose;

static void show(uint64_t i)
{
	fprintf(stderr, "%8" PRIu32 " %s%s", memory[i].step, memory[i].inside ? "    " : "",
	        memory[i].what);
	if (memory[i].end >= 0)
		fprintf(stderr, " end %ld", memory[i].end);
	fprintf(stderr, " (%" PRId64 ")\n", memory[i].x);
}

/* Remembers that `what` was done to e (or NULL) with x. */
void trace(struct world *w, const char *what, const struct end *e, uint64_t x)
{
	uint64_t i = remembered % REMEMBERED;
	uint64_t last = (remembered + REMEMBERED - 1) % REMEMBERED;

	/* Of turns without a callback one says as much as many. */
	if (remembered && x == 0 && !e && memory[last].what == what && memory[last].step == w->step)
		return;
	remembered++;
	memory[i].step = w->step;
	memory[i].inside = w->inside;
	memory[i].what = what;
	memory[i].end = e ? e - w->ends : -1;
	memory[i].x = (int64_t)x;
	if (verbose)
		show(i);
}

static void show_all(void)
{
	fprintf(stderr, "the last operations (step, what, end, argument or result):\n");
	for (uint64_t i = remembered < REMEMBERED ? 0 : remembered - REMEMBERED; i < remembered;
	     i++)
		show(i % REMEMBERED);
	if (program)
		fprintf(stderr,
		        "replay: %s %s --seed %" PRIu64 " --steps %" PRIu32 " --runs 1 --verbose\n",
		        program, current->backend, current->seed, current->steps);
}

/* The run has shown a fault of the library (or of this test): says so and exits. Also from a signal
 * handler: the process ends here anyhow, so what is not async-signal-safe is tried too. */
/* NOLINTBEGIN(bugprone-signal-handler) */
_Noreturn void fail(struct world *w, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "differential: %s, seed %" PRIu64 ", step %" PRIu32 ": ", w->backend,
	        w->seed, w->step);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	show_all();
	if (!program)
		abort();
	_exit(1);
}
/* NOLINTEND(bugprone-signal-handler) */

/* A crash or an endless loop inside the library loses no evidence. */
static void crashed(int number)
{
	signal(number, SIG_DFL);
	if (current)
		fail(current, number == SIGALRM ? "hangs" : "crashed with signal %d", number);
	raise(number);
}

#if defined(__SANITIZE_ADDRESS__)
static void died(void)
{
	if (current)
		show_all();
}
#endif

void report_init(const char *name, bool loud)
{
	program = name;
	verbose = loud;
	if (!program)
		return;
	signal(SIGALRM, crashed);
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_set_death_callback(died);
#else
	signal(SIGSEGV, crashed);
	signal(SIGBUS, crashed);
	signal(SIGABRT, crashed);
#endif
}

/* What follows belongs to w. */
void report_world(struct world *w)
{
	current = w;
	remembered = 0;
	report_progress();
}

/* From here on something else must have happened within a minute. */
void report_progress(void)
{
	if (program)
		alarm(60);
}
