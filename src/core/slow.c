/* slow.c - which callback took long, how long turns are, and how much of the time is spent waiting.
 *
 * A mark is set when a run or a turn begins. Each reading of the clock accounts for the time since
 * the mark and moves it: the clock is read after the wait, after each callback, and after those
 * steps of a turn which are long if there is much to do, so that no callback is blamed for them.
 *
 * A callback inside a callback (a job's in that of its message, a child's or a task's in that of
 * its descriptor) is over first. It takes the blame and leaves next to nothing to the outer. */
#include "core/core.h"

void hark__mark(struct hark_reactor *r)
{
	r->mark = hark__clock(r);
}

/* The time since the mark, which moves to now. */
static int64_t lap(struct hark_reactor *r)
{
	int64_t before = r->mark;

	hark__mark(r);
	return r->mark - before;
}

/* What came since the mark was work, but no callback. */
void hark__worked(struct hark_reactor *r)
{
	r->stats.working_ns += lap(r);
}

/* It was the wait. Whoever asks for the time in this turn gets that of the end of the wait. */
void hark__waited(struct hark_reactor *r)
{
	r->stats.waiting_ns += lap(r);
	r->now = r->mark;
	r->now_read = true;
}

/* It was this callback. Its object may be gone, but not the reactor: a turn is left first. */
void hark__called(struct hark_reactor *r, const char *name, const char *event, int fd)
{
	struct hark_slow slow = {.name = name, .event = event, .fd = fd, .ns = lap(r)};

	r->stats.working_ns += slow.ns;
	if (slow.ns < r->slow_ns || r->freed || hark__forked(r))
		return;
	r->stats.slow++;
	if (r->handle_slow == NULL)
		return;
	r->handle_slow(r, &slow);
	hark__worked(r);
}

/* A turn has ended, and all but its wait took length_ns. */
void hark__turned(struct hark_reactor *r, int64_t length_ns)
{
	uint64_t us = length_ns > 0 ? (uint64_t)length_ns / 1000 : 0;
	unsigned digits = us > 0 ? 64u - (unsigned)__builtin_clzll(us) : 0;

	if (digits >= HARK_TURN_LENGTHS)
		digits = HARK_TURN_LENGTHS - 1;
	r->stats.turn_lengths[digits]++;
}

static void dump_length(unsigned digits, uint64_t turns, FILE *to)
{
	unsigned long long least = digits > 0 ? 1ull << (digits - 1) : 0;

	if (digits == HARK_TURN_LENGTHS - 1)
		fprintf(to, "  turns of %llu us and more: %llu\n", least,
		        (unsigned long long)turns);
	else
		fprintf(to, "  turns of %llu to %llu us: %llu\n", least, 1ull << digits,
		        (unsigned long long)turns);
}

void hark__dump_turns(const struct hark_reactor *r, FILE *to)
{
	const struct hark_stats *s = &r->stats;
	double all = (double)s->waiting_ns + (double)s->working_ns;

	fprintf(to, "  waiting: %.1f %% of the time; slow callbacks: %llu\n",
	        all > 0 ? 100 * (double)s->waiting_ns / all : 0, (unsigned long long)s->slow);
	for (unsigned digits = 0; digits < HARK_TURN_LENGTHS; digits++)
		if (s->turn_lengths[digits] > 0)
			dump_length(digits, s->turn_lengths[digits], to);
}
