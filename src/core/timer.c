/* timer.c - timers, on a hierarchical timing wheel.
 *
 * A timer is filed under the tick after its deadline. Where depends on the highest digit, of six
 * bits, in which that tick differs from the wheel's time: its level is that digit's, its slot the
 * digit. So whatever is in a lower level is due before anything in a higher one, within a level
 * the slots are in order, and to advance the wheel is to empty what lies between the old time and
 * the new and to file again what is not due yet.
 *
 * Most timeouts are put off again and again and never come: a deadline that is moved to later is
 * only stored, and the timer is filed anew when its old slot comes up. */
#include "core/core.h"

static int64_t tick_after(int64_t deadline)
{
	const uint64_t last = ((uint64_t)1 << HARK__TICK_SHIFT) - 1;

	return (int64_t)(((uint64_t)deadline + last) >> HARK__TICK_SHIFT);
}

/* The tick at which a deadline is to be looked at; 0, the next turn, if it is known to be over. */
static int64_t tick_for(const struct hark_reactor *r, int64_t deadline)
{
	return deadline <= r->now ? 0 : tick_after(deadline);
}

static int64_t add(int64_t time, int64_t delay)
{
	return delay > INT64_MAX - time ? INT64_MAX : time + delay;
}

void hark__timers_init(struct hark__wheel *w)
{
	hark__list_init(&w->soon);
	hark__list_init(&w->due);
}

static struct hark_timer *of_link(struct hark_link *link)
{
	return hark__container(link, struct hark_timer, hark_link);
}

/* Puts t, which is in no list, where it will be looked at in time. */
static void file(struct hark_reactor *r, struct hark_timer *t)
{
	struct hark__wheel *w = &r->wheel;
	int64_t tick = tick_for(r, t->hark_deadline);
	struct hark_link *slot;
	unsigned level, digit;

	if (tick <= w->time) {
		t->hark_filed = 0;
		hark__append(&w->soon, &t->hark_link);
		return;
	}
	level = (63u - (unsigned)__builtin_clzll((uint64_t)(tick ^ w->time))) / HARK__WHEEL_BITS;
	digit = (unsigned)(tick >> (level * HARK__WHEEL_BITS)) % HARK__WHEEL_SLOTS;
	slot = &w->slots[level][digit];
	if (!(w->filled[level] >> digit & 1)) {
		w->filled[level] |= (uint64_t)1 << digit;
		hark__list_init(slot);
	}
	t->hark_filed = tick;
	hark__append(slot, &t->hark_link);
}

static void start(struct hark_reactor *r, struct hark_timer *t, int64_t deadline, int64_t period)
{
	struct hark__wheel *w = &r->wheel;

	if (hark__foreign(r))
		return;
	if (deadline < 0)
		deadline = 0;
	if (t->hark_reactor == r) {
		t->hark_deadline = deadline;
		t->hark_period = period;
		if (t->hark_filed <= tick_for(r, deadline))
			return;
		hark__unlink(&t->hark_link);
		file(r, t);
		return;
	}
	hark_timer_stop(t);
	if (t->hark_reactor != NULL)
		return; /* another thread's */
	/* An empty wheel need not be turned through the time that nobody waited for. */
	if (w->pending++ == 0)
		w->time = hark_reactor_now(r) >> HARK__TICK_SHIFT;
	if (!t->ops->background)
		w->alive++;
	t->hark_reactor = r;
	t->hark_deadline = deadline;
	t->hark_period = period;
	file(r, t);
}

void hark_timer_init(struct hark_timer *t, const struct hark_timer_ops *ops)
{
	*t = (struct hark_timer){.ops = ops};
}

void hark_timer_start_at(struct hark_reactor *r, struct hark_timer *t, int64_t deadline_ns)
{
	start(r, t, deadline_ns, 0);
}

void hark_timer_start(struct hark_reactor *r, struct hark_timer *t, int64_t delay_ns)
{
	start(r, t, add(hark_reactor_now(r), delay_ns > 0 ? delay_ns : 0), 0);
}

/* The period's sign tells a rate from a pause. */
void hark_timer_start_rate(struct hark_reactor *r, struct hark_timer *t, int64_t first_ns,
                           int64_t period_ns)
{
	start(r, t, add(hark_reactor_now(r), first_ns > 0 ? first_ns : 0),
	      period_ns > 0 ? period_ns : 1);
}

void hark_timer_start_pause(struct hark_reactor *r, struct hark_timer *t, int64_t first_ns,
                            int64_t pause_ns)
{
	start(r, t, add(hark_reactor_now(r), first_ns > 0 ? first_ns : 0),
	      pause_ns > 0 ? -pause_ns : -1);
}

static void forget(struct hark_reactor *r, struct hark_timer *t)
{
	hark__unlink(&t->hark_link);
	t->hark_reactor = NULL;
	r->wheel.pending--;
	if (!t->ops->background)
		r->wheel.alive--;
}

void hark_timer_stop(struct hark_timer *t)
{
	struct hark_reactor *r = t->hark_reactor;

	if (r != NULL && !hark__foreign(r))
		forget(r, t);
}

bool hark_timer_pending(const struct hark_timer *t)
{
	return t->hark_reactor != NULL;
}

int64_t hark_timer_deadline(const struct hark_timer *t)
{
	return t->hark_reactor != NULL ? t->hark_deadline : INT64_MAX;
}

/* When the wheel has to be turned next: the first filled slot of the lowest level that has one.
 * INT64_MAX if it is empty. */
static int64_t next(struct hark__wheel *w)
{
	/* In a child that a timer's callback forked, some are due still. */
	if (!hark__list_empty(&w->soon) || !hark__list_empty(&w->due))
		return 0;
	for (unsigned level = 0; level < HARK__WHEEL_LEVELS; level++) {
		while (w->filled[level] != 0) {
			unsigned digit = (unsigned)__builtin_ctzll(w->filled[level]);
			unsigned shift = level * HARK__WHEEL_BITS;
			uint64_t tick;

			if (hark__list_empty(&w->slots[level][digit])) {
				w->filled[level] &= w->filled[level] - 1; /* all were stopped */
				continue;
			}
			tick = ((uint64_t)w->time >> shift >> HARK__WHEEL_BITS << HARK__WHEEL_BITS |
			        digit)
			       << shift;
			if (tick > (uint64_t)INT64_MAX >> HARK__TICK_SHIFT)
				return INT64_MAX;
			return (int64_t)(tick << HARK__TICK_SHIFT);
		}
	}
	return INT64_MAX;
}

/* The lesser of a timeout and the time until a timer is due. */
int64_t hark__until_timer(struct hark_reactor *r, int64_t timeout_ns)
{
	int64_t due = next(&r->wheel);
	int64_t left = due - hark_reactor_update(r);

	if (due == INT64_MAX)
		return timeout_ns;
	if (left < 0)
		left = 0;
	return timeout_ns < 0 || left < timeout_ns ? left : timeout_ns;
}

/* Empties the slots of one level up to and including digit `last` into `all`. */
static void take(struct hark__wheel *w, unsigned level, unsigned last, struct hark_link *all)
{
	uint64_t taken = w->filled[level] & (~(uint64_t)0 >> (HARK__WHEEL_SLOTS - 1 - last));

	w->filled[level] &= ~taken;
	for (; taken != 0; taken &= taken - 1)
		hark__append_all(all, &w->slots[level][__builtin_ctzll(taken)]);
}

/* Turns the wheel to now and moves what is due to w->due. */
static void turn(struct hark_reactor *r, int64_t now)
{
	struct hark__wheel *w = &r->wheel;
	int64_t tick = now >> HARK__TICK_SHIFT;
	struct hark_link all;

	hark__list_init(&all);
	hark__append_all(&all, &w->soon);
	if (tick > w->time) {
		unsigned top = (63u - (unsigned)__builtin_clzll((uint64_t)(tick ^ w->time))) /
		               HARK__WHEEL_BITS;

		for (unsigned level = 0; level < top; level++)
			take(w, level, HARK__WHEEL_SLOTS - 1, &all);
		take(w, top, (unsigned)(tick >> (top * HARK__WHEEL_BITS)) % HARK__WHEEL_SLOTS,
		     &all);
		w->time = tick;
	}
	while (!hark__list_empty(&all)) {
		struct hark_timer *t = of_link(all.next);

		hark__unlink(&t->hark_link);
		if (t->hark_deadline > now) {
			file(r, t);
			continue;
		}
		/* From here on a start has to take it out again: no tick is this late. */
		t->hark_filed = INT64_MAX;
		hark__append(&w->due, &t->hark_link);
	}
}

static struct hark_link *merge(struct hark_link *a, struct hark_link *b)
{
	struct hark_link *merged;
	struct hark_link **end = &merged;

	while (a != NULL && b != NULL) {
		struct hark_link **least =
			of_link(b)->hark_deadline < of_link(a)->hark_deadline ? &b : &a;

		*end = *least;
		end = &(*least)->next;
		*least = *end;
	}
	*end = a != NULL ? a : b;
	return merged;
}

/* Sorts by deadline; those of the same stay in the order in which they were filed. A merge sort
 * from the bottom: run[i] is a sorted chain of 2^i links, or NULL. */
static void sort(struct hark_link *list)
{
	struct hark_link *run[64] = {NULL};
	struct hark_link *link = list->next;
	struct hark_link *sorted = NULL;

	list->prev->next = NULL;
	while (link != NULL) {
		struct hark_link *rest = link->next;
		unsigned i = 0;

		link->next = NULL;
		for (; run[i] != NULL; i++) {
			link = merge(run[i], link);
			run[i] = NULL;
		}
		run[i] = link;
		link = rest;
	}
	for (unsigned i = 0; i < 64; i++)
		sorted = merge(run[i], sorted);
	hark__list_init(list);
	while (sorted != NULL) {
		struct hark_link *rest = sorted->next;

		hark__append(list, sorted);
		sorted = rest;
	}
}

/* Starts a periodic timer again, before it is called. Returns the ticks that it has missed. */
static uint64_t start_again(struct hark_reactor *r, struct hark_timer *t, int64_t now)
{
	int64_t period = t->hark_period;
	int64_t missed = 0;

	if (period > 0) {
		missed = (now - t->hark_deadline) / period;
		t->hark_deadline = add(t->hark_deadline + missed * period, period);
	} else {
		t->hark_deadline = add(now, -period);
	}
	file(r, t);
	return (uint64_t)missed;
}

/* Calls the timers that are due now. Returns how many. */
int hark__call_timers(struct hark_reactor *r)
{
	struct hark__wheel *w = &r->wheel;
	int64_t now = hark_reactor_now(r);
	int callbacks = 0;

	turn(r, now);
	if (w->due.next != w->due.prev)
		sort(&w->due);
	while (!hark__list_empty(&w->due) && !hark__forked(r)) {
		struct hark_timer *t = of_link(w->due.next);
		uint64_t missed = 0;

		hark__unlink(&t->hark_link);
		if (t->hark_period != 0)
			missed = start_again(r, t, now);
		else
			forget(r, t);
		callbacks++;
		t->ops->handle_timer(t, missed);
	}
	r->stats.timers += (uint64_t)callbacks;
	return callbacks;
}

static void detach_list(struct hark_reactor *r, struct hark_link *list)
{
	while (!hark__list_empty(list))
		forget(r, of_link(list->next));
}

void hark__detach_timers(struct hark_reactor *r)
{
	struct hark__wheel *w = &r->wheel;

	detach_list(r, &w->soon);
	detach_list(r, &w->due);
	for (unsigned level = 0; level < HARK__WHEEL_LEVELS; level++)
		for (uint64_t left = w->filled[level]; left != 0; left &= left - 1)
			detach_list(r, &w->slots[level][__builtin_ctzll(left)]);
}
