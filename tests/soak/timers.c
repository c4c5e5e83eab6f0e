/* timers.c - `timers BACKEND`: a hundred thousand random timers on one reactor, while bytes pass
 * through its descriptors.
 *
 * One-shot ones, after a delay or at a deadline, and periodic ones, at a rate and with a pause.
 * They are stopped and started anew at random, also in callbacks of timers and of descriptors. Most
 * come due in crowds, with some quiet before the next crowd, so that the reactor sleeps as well.
 *
 * What depends on hark alone is asked for exactly. No timer is called early. Each is called in the
 * first round that looks at it after its tick, or is stopped. In a round they are called in the
 * order of their deadlines. No wait is asked to last beyond the tick of a timer. What is left is a
 * wait that returns late by itself; lateness.c compares that with a control.
 *
 * HARK_SOAK_SECONDS says how long it takes: 3, if it is not set; HARK_SOAK_SEED repeats the choices
 * of another run, as far as time lets it. Exit status: 0, 1 when something was wrong, 2 for bad
 * arguments, 77 when the backend does not work here. */
#include "chance.h"
#include "control.h"
#include "lateness.h"
#include "pairs.h"
#include "record.h"

#include <errno.h>
#include <hark/hark.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMERS 100000
#define TICK ((int64_t)1 << 17)
#define PATIENCE HARK_S(120) /* for what must come in the end */

struct item {
	struct hark_timer timer; /* first */
	int64_t deadline;
	int64_t period; /* negative: a pause; 0: one-shot */
	bool pending;
	bool moved;     /* it was pending when it was started last */
	uint64_t place; /* of its start among all starts */
	uint64_t round; /* in which it was started */
	uint64_t first; /* that may call it */
};

static struct hark_reactor *reactor;
static struct item items[TIMERS];
static struct chance chance;
static bool in_descriptor; /* called by one: the timers of this round are still to come */
static bool closing;       /* nothing is started any more */

static uint64_t pending, starts, moves, stops, calls, faults;
static int64_t latest_call;

static uint64_t draw(uint64_t below)
{
	return chance.next(&chance) % below;
}

/* Any number of bits is as likely as any other. */
static int64_t draw_bits(unsigned bits)
{
	return (int64_t)(chance.next(&chance) >> (63 - draw(bits)));
}

/* ---- What must be so ------------------------------------------------------------------------- */

/* The first faults are told, all are counted. */
static void fault(const struct item *item, const char *what)
{
	if (faults++ >= 10)
		return;
	printf("FAILED: timer %td, due at %" PRId64 ", %s; round %" PRIu64 " looks at %" PRId64
	       ", the one before did at %" PRId64 ", the wait was to end at %" PRId64 "\n",
	       item - items, item->deadline, what, record.round, record.look, record.previous,
	       record.asked);
}

static int64_t tick_after(int64_t deadline)
{
	return (int64_t)(((uint64_t)deadline + TICK - 1) / TICK);
}

/* The round before this one should have called it. */
static bool was_missed(const struct item *item)
{
	return item->first < record.round && tick_after(item->deadline) <= record.previous / TICK;
}

static void check(const struct item *item)
{
	if (hark_timer_pending(&item->timer) != item->pending)
		fault(item, item->pending ? "is not pending" : "is pending");
	if (item->pending && hark_timer_deadline(&item->timer) != item->deadline)
		fault(item, "has another deadline");
	if (item->pending && was_missed(item))
		fault(item, "was not called");
}

/* Those of the same deadline in the order in which they were started, but for the moved ones. */
static void check_order(const struct item *item)
{
	static struct item before;

	if (before.round == record.round) {
		if (item->deadline < before.deadline)
			fault(item, "is called after a later one");
		if (item->deadline == before.deadline && !item->moved && !before.moved &&
		    item->place < before.place)
			fault(item, "is called after one that was started later");
	}
	before = *item;
	before.round = record.round;
}

static void check_call(const struct item *item, uint64_t missed)
{
	int64_t now = hark_reactor_now(reactor);
	int64_t late = now - item->deadline;

	check_order(item);
	if (!item->pending)
		fault(item, "is called though it is not pending");
	if (was_missed(item))
		fault(item, "is called a round too late");
	if (late < 0 || now != record.look || clock_ns() < item->deadline)
		fault(item, "is early");
	if (item->round < record.round && record.asked > record.began &&
	    record.asked > tick_after(item->deadline) * TICK)
		fault(item, "was slept through");
	if (missed != (item->period > 0 ? (uint64_t)(late / item->period) : 0))
		fault(item, "has missed another number of ticks");
	if (late > latest_call)
		latest_call = late;
}

/* ---- Starting and stopping ------------------------------------------------------------------- */

/* hark says that it is pending until `deadline`. */
static void note_start(struct item *item, int64_t deadline, bool again)
{
	pending += !item->pending;
	moves += item->pending && !again;
	item->moved = item->pending && !again;
	item->pending = true;
	item->deadline = deadline;
	item->place = ++starts;
	item->round = record.round;
	item->first = record.round + !in_descriptor;
	check(item);
}

/* Most in crowds, within some seconds; a few at any time, far off, and in the past. */
static int64_t draw_deadline(int64_t now)
{
	const int64_t between = HARK_MS(10);
	uint64_t kind = draw(128);
	int64_t crowd;

	if (kind == 0)
		return now + draw_bits(24);
	if (kind == 1)
		return now + draw_bits(60);
	if (kind == 2)
		return now / between * between;
	crowd = ((now + (int64_t)draw(HARK_S(4))) / between + 1) * between;
	return kind % 2 ? crowd : crowd + (int64_t)draw(HARK_US(300));
}

static void start(struct item *item)
{
	int64_t now = hark_reactor_now(reactor);
	int64_t deadline = draw_deadline(now);
	int64_t delay = deadline > now ? deadline - now : 0;
	uint64_t kind = draw(256);
	int64_t got;

	item->period = 0;
	if (kind == 0) {
		item->period = HARK_MS(50) + draw_bits(33);
		hark_timer_start_rate(reactor, &item->timer, delay, item->period);
	} else if (kind == 1) {
		item->period = -HARK_MS(50) - draw_bits(33);
		hark_timer_start_pause(reactor, &item->timer, delay, -item->period);
	} else if (kind < 128) {
		hark_timer_start(reactor, &item->timer, delay);
	} else {
		hark_timer_start_at(reactor, &item->timer, deadline);
		note_start(item, deadline, false);
		return;
	}
	/* Outside of callbacks hark has asked for the time after this did. */
	got = hark_timer_deadline(&item->timer);
	note_start(item, got, false);
	if (got < now + delay || got > hark_reactor_now(reactor) + delay)
		fault(item, "was not started for that");
}

static void stop(struct item *item)
{
	hark_timer_stop(&item->timer);
	pending -= item->pending;
	stops += item->pending;
	item->pending = false;
	check(item);
}

/* Stops or starts any one. */
static void operate(void)
{
	struct item *item = &items[draw(TIMERS)];

	check(item);
	if (closing || draw(4) == 0)
		stop(item);
	else
		start(item);
}

static void operate_in_descriptor(void)
{
	in_descriptor = true;
	operate();
	in_descriptor = false;
}

static void handle_timer(struct hark_timer *t, uint64_t missed)
{
	struct item *item = (struct item *)(void *)t;
	int64_t ticks = (int64_t)missed + 1;

	calls++;
	check_call(item, missed);
	if (item->period > 0) {
		note_start(item, item->deadline + ticks * item->period, true);
	} else if (item->period < 0) {
		note_start(item, record.look - item->period, true);
	} else {
		pending -= item->pending;
		item->pending = false;
		check(item);
	}
	if (closing && item->pending)
		stop(item);
	else if (!closing && !item->pending && draw(16) > 0)
		start(item);
	if (draw(4) == 0)
		operate();
}

static const struct hark_timer_ops ops = {.handle_timer = handle_timer, .name = "soaked"};

/* ---------------------------------------------------------------------------------------------- */

static void turn(void)
{
	int rc = hark_reactor_turn(reactor, HARK_S(1));

	if (rc < 0) {
		printf("FAILED: a turn answers %s\n", strerror(-rc));
		exit(1);
	}
}

static void soak(int64_t duration_ns)
{
	int64_t end = clock_ns() + duration_ns;

	for (int i = 0; i < TIMERS; i++) {
		hark_timer_init(&items[i].timer, &ops);
		start(&items[i]);
	}
	while (clock_ns() < end) {
		turn();
		if (draw(8) == 0)
			operate();
	}
}

/* Those that are far off are stopped, and the others have to come. */
static void finish(void)
{
	int64_t end = clock_ns() + PATIENCE;

	closing = true;
	for (int i = 0; i < TIMERS; i++) {
		check(&items[i]);
		if (items[i].period != 0 || items[i].deadline > clock_ns() + HARK_S(1))
			stop(&items[i]);
	}
	while (pending > 0 && clock_ns() < end)
		turn();
	for (int i = 0; i < TIMERS; i++) {
		check(&items[i]);
		if (items[i].pending)
			fault(&items[i], "was never called");
		stop(&items[i]);
	}
}

/* A number from the environment, from 1 on. Returns false if it is none. */
static bool number(const char *name, uint64_t *value, uint64_t most)
{
	const char *text = getenv(name);
	char *end;

	if (text == NULL)
		return true;
	errno = 0;
	*value = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *value >= 1 &&
	    *value <= most)
		return true;
	fprintf(stderr, "timers: %s is '%s', not a number from 1 to %" PRIu64 "\n", name, text,
	        most);
	return false;
}

int main(int argc, char **argv)
{
	char why[200];
	struct hark_options options = {.why = why, .why_size = sizeof why};
	uint64_t seconds = 3, seed = (uint64_t)clock_ns() % 1000000 + 1;
	int error;

	if (argc != 2) {
		fprintf(stderr, "usage: timers BACKEND\n");
		return 2;
	}
	if (!number("HARK_SOAK_SECONDS", &seconds, 86400) ||
	    !number("HARK_SOAK_SEED", &seed, UINT64_MAX))
		return 2;
	options.backend = record_backend(argv[1], lateness_before_wait, lateness_after_wait);
	if (options.backend == NULL) {
		fprintf(stderr, "timers: this library has no backend '%s'\n", argv[1]);
		return 2;
	}
	if (hark_reactor_new(&reactor, &options) < 0) {
		printf("skipped: %s does not work here: %s\n", argv[1], why);
		return 77;
	}
	chance_seed(&chance, seed);
	error = pairs_add(reactor, operate_in_descriptor);
	if (error == 0)
		error = -control_start(HARK_S((int64_t)seconds) + PATIENCE, pairs_feed);
	if (error < 0) {
		printf("FAILED: cannot begin: %s\n", strerror(-error));
		return 1;
	}
	soak(HARK_S((int64_t)seconds));
	finish();
	control_end();
	printf("%s, seed %" PRIu64 ": %d timers, %" PRIu64 " starts, %" PRIu64
	       " of them of pending ones, %" PRIu64 " calls, the latest %" PRId64
	       " us late, %" PRIu64 " stops, %llu bytes passed, %" PRIu64 " faults\n",
	       argv[1], seed, TIMERS, starts, moves, calls, latest_call / 1000, stops,
	       pairs_passed(), faults);
	if (!lateness_is_explained(argv[1]))
		faults++;
	hark_reactor_free(reactor);
	return faults > 0;
}
