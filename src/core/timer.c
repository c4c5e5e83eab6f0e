/* timer.c - timers, on a hierarchical timing wheel.
 *
 * A timer is filed under the tick after its deadline. Where depends on the highest digit in which
 * that tick differs from the wheel's time: its level is that digit's, its slot the digit. So
 * whatever is in a lower level is due before anything in a higher one, within a level the slots are
 * in order, and to turn the wheel is to go from one filled slot to the next: those of a single tick
 * are due, those of many ticks are filed again, further down.
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

/* A time and a delay after it, of which a negative one is none. */
static int64_t add(int64_t time, int64_t delay)
{
	int64_t sum;

	return __builtin_add_overflow(time, delay > 0 ? delay : 0, &sum) ? INT64_MAX : sum;
}

void hark__timers_init(struct hark__wheel *w)
{
	hark__list_init(&w->soon);
	hark__list_init(&w->last);
}

static struct hark_timer *of_link(struct hark_link *link)
{
	return hark__container(link, struct hark_timer, hark_link);
}

/* The list of a bit, made if it has not been. */
static struct hark_link *fill(struct hark_link *lists, uint64_t *filled, unsigned bit)
{
	if (!(*filled >> bit & 1)) {
		*filled |= (uint64_t)1 << bit;
		hark__list_init(&lists[bit]);
	}
	return &lists[bit];
}

/* The slot of a tick that lies ahead. */
static struct hark_link *slot_for(struct hark__wheel *w, int64_t tick)
{
	unsigned highest = 63u - (unsigned)__builtin_clzll((uint64_t)(tick ^ w->time));
	unsigned level, shift;

	if (highest < HARK__TICKS_SHIFT) {
		unsigned group = (unsigned)tick % HARK__TICKS / 64;

		w->tick_groups_filled |= (uint64_t)1 << group;
		return fill(&w->ticks[64 * group], &w->ticks_filled[group], (unsigned)tick % 64);
	}
	level = (highest - HARK__TICKS_SHIFT) / HARK__WHEEL_BITS;
	shift = HARK__TICKS_SHIFT + level * HARK__WHEEL_BITS;
	return fill(w->slots[level], &w->filled[level],
	            (unsigned)(tick >> shift) % HARK__WHEEL_SLOTS);
}

/* Puts t, which is in no list, there. */
static void put(struct hark__wheel *w, struct hark_timer *t, int64_t tick)
{
	t->hark_filed = tick;
	hark__append(slot_for(w, tick), &t->hark_link);
}

/* Puts t, which is in no list, where it will be looked at in time. */
static void file(struct hark_reactor *r, struct hark_timer *t)
{
	int64_t tick = tick_for(r, t->hark_deadline);

	if (tick > r->wheel.time) {
		put(&r->wheel, t, tick);
		return;
	}
	t->hark_filed = 0;
	hark__append(&r->wheel.soon, &t->hark_link);
}

/* Stores a deadline that is no earlier than when t is looked at anyway. Returns false if this one
 * is, or t is not pending. */
static inline bool put_off(struct hark_reactor *r, struct hark_timer *t, int64_t deadline,
                           int64_t period)
{
	if (t->hark_reactor != r || t->hark_filed > tick_for(r, deadline))
		return false;
	t->hark_deadline = deadline;
	t->hark_period = period;
	return true;
}

static void start(struct hark_reactor *r, struct hark_timer *t, int64_t deadline, int64_t period)
{
	struct hark__wheel *w = &r->wheel;

	if (hark__foreign(r))
		return;
	if (deadline < 0)
		deadline = 0;
	if (put_off(r, t, deadline, period))
		return;
	if (t->hark_reactor == r) {
		t->hark_deadline = deadline;
		t->hark_period = period;
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

static __attribute__((noinline)) void start_after(struct hark_reactor *r, struct hark_timer *t,
                                                  int64_t delay_ns)
{
	start(r, t, add(hark_reactor_now(r), delay_ns), 0);
}

/* A busy server's timeouts are put off at each event, and the processor waits for the memory of
 * each: it looks further ahead, and waits for more of them at once, the fewer the instructions. */
void hark_timer_start(struct hark_reactor *r, struct hark_timer *t, int64_t delay_ns)
{
	if (hark__foreign(r))
		return;
	if (!hark__time_is_known(r) || !put_off(r, t, add(r->now, delay_ns), 0))
		start_after(r, t, delay_ns);
}

/* The period's sign tells a rate from a pause. */
void hark_timer_start_rate(struct hark_reactor *r, struct hark_timer *t, int64_t first_ns,
                           int64_t period_ns)
{
	start(r, t, add(hark_reactor_now(r), first_ns), period_ns > 0 ? period_ns : 1);
}

void hark_timer_start_pause(struct hark_reactor *r, struct hark_timer *t, int64_t first_ns,
                            int64_t pause_ns)
{
	start(r, t, add(hark_reactor_now(r), first_ns), pause_ns > 0 ? -pause_ns : -1);
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

/* The first list that has timers, or NULL; its bit then is the lowest. */
static struct hark_link *first_filled(struct hark_link *lists, uint64_t *filled)
{
	for (; *filled != 0; *filled &= *filled - 1) {
		struct hark_link *list = &lists[__builtin_ctzll(*filled)];

		if (!hark__list_empty(list))
			return list;
	}
	return NULL;
}

/* Where the wheel is to be turned to next: the first filled slot of the lowest level that has one.
 * Returns its tick, or INT64_MAX if there is none. */
static int64_t next_slot(struct hark__wheel *w, struct hark_link **slot)
{
	for (; w->tick_groups_filled != 0; w->tick_groups_filled &= w->tick_groups_filled - 1) {
		unsigned group = (unsigned)__builtin_ctzll(w->tick_groups_filled);

		*slot = first_filled(&w->ticks[64 * group], &w->ticks_filled[group]);
		if (*slot != NULL)
			return (w->time & ~(int64_t)(HARK__TICKS - 1)) + (*slot - w->ticks);
	}
	for (unsigned level = 0; level < HARK__WHEEL_LEVELS; level++) {
		unsigned shift = HARK__TICKS_SHIFT + level * HARK__WHEEL_BITS;
		int64_t turn = (int64_t)HARK__WHEEL_SLOTS << shift;

		*slot = first_filled(w->slots[level], &w->filled[level]);
		if (*slot != NULL)
			return (w->time & ~(turn - 1)) +
			       ((int64_t)(*slot - w->slots[level]) << shift);
	}
	return INT64_MAX;
}

/* When the wheel has to be turned; INT64_MAX if it is empty. */
static int64_t next(struct hark__wheel *w)
{
	struct hark_link *slot;
	int64_t tick;

	/* In a child that a timer's callback forked, some are due still. */
	if (!hark__list_empty(&w->soon) || !hark__list_empty(&w->last) || w->due_filled != 0)
		return 0;
	tick = next_slot(w, &slot);
	return tick > INT64_MAX >> HARK__TICK_SHIFT ? INT64_MAX : tick << HARK__TICK_SHIFT;
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

static void add_due(struct hark_link *list, struct hark_timer *t)
{
	/* From here on a start has to take it out again: no tick is this late. */
	t->hark_filed = INT64_MAX;
	hark__append(list, &t->hark_link);
}

/* The part of its tick in which a deadline is. */
static unsigned part_of(int64_t deadline)
{
	return (unsigned)((uint64_t)(deadline - 1) >> (HARK__TICK_SHIFT - 6)) % 64;
}

/* Puts those that were due already where their deadlines belong, which may have been moved. */
static void gather(struct hark__wheel *w, int64_t now)
{
	struct hark_link *due, all;

	hark__list_init(&all);
	/* Of the same deadline, those for which it was over already were started last. */
	while ((due = first_filled(w->due, &w->due_filled)) != NULL)
		hark__append_all(&all, due);
	hark__append_all(&all, &w->last);
	hark__append_all(&all, &w->soon);
	while (!hark__list_empty(&all)) {
		struct hark_timer *t = of_link(hark__take_first(&all));
		int64_t tick = tick_after(t->hark_deadline);

		if (tick <= w->time)
			add_due(fill(w->due, &w->due_filled, 0), t);
		else if (t->hark_deadline > now || tick <= now >> HARK__TICK_SHIFT)
			put(w, t, tick);
		else
			add_due(&w->last, t);
	}
}

/* Turns the wheel to the next slot up to tick `end` that has timers: those whose tick it is are
 * due, the others are filed again. Returns false if there is no such slot. */
static bool advance(struct hark__wheel *w, int64_t end)
{
	struct hark_link all, *slot, *far;
	int64_t tick = next_slot(w, &slot);

	if (tick > end) {
		if (end > w->time)
			w->time = end;
		return false;
	}
	w->time = tick;
	hark__list_init(&all);
	hark__append_all(&all, slot);
	far = all.prev;
	while (!hark__list_empty(&all)) {
		struct hark_timer *t;

		/* To walk along objects that lie anywhere is to wait for the memory at each: the
		 * list is fetched from its other end at the same time. */
		__builtin_prefetch(far, 1);
		far = far->prev;
		t = of_link(hark__take_first(&all));
		tick = tick_after(t->hark_deadline);
		if (tick > w->time)
			put(w, t, tick);
		else
			add_due(fill(w->due, &w->due_filled, part_of(t->hark_deadline)), t);
	}
	return true;
}

/* A clock of the backend's own may stand still until somebody moves it on: what is due by then, in
 * the midst of a tick, is not to wait for the end of that. Of the same deadline, those for which it
 * was over when they were started were started last. */
static void take_from_next_tick(struct hark__wheel *w, int64_t now)
{
	struct hark_link *slot = slot_for(w, w->time + 1);
	struct hark_link over;

	hark__list_init(&over);
	hark__append_all(&over, &w->last);
	for (struct hark_link *link = slot->next, *next; link != slot; link = next) {
		struct hark_timer *t = of_link(link);

		next = link->next;
		if (t->hark_deadline <= now) {
			hark__unlink(link);
			add_due(&w->last, t);
		}
	}
	hark__append_all(&w->last, &over);
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

/* Calls the timers of a list of those that are due. Returns how many. */
static int call_list(struct hark_reactor *r, struct hark_link *due, int64_t now)
{
	int callbacks = 0;

	if (hark__list_empty(due))
		return 0;
	if (due->next != due->prev)
		sort(due);
	if (hark__measures(r))
		hark__worked(r);
	while (!hark__list_empty(due) && !hark__forked(r)) {
		struct hark_timer *t = of_link(due->next);
		const char *name = t->ops->name;
		uint64_t missed = 0;

		hark__unlink(&t->hark_link);
		if (t->hark_period != 0)
			missed = start_again(r, t, now);
		else
			forget(r, t);
		callbacks++;
		t->ops->handle_timer(t, missed);
		if (hark__measures(r))
			hark__called(r, name, "timer", -1);
	}
	return callbacks;
}

/* Calls all that are due. Returns how many. */
static int call_due(struct hark_reactor *r, int64_t now)
{
	struct hark__wheel *w = &r->wheel;
	struct hark_link *due;
	int callbacks = 0;

	while (!hark__forked(r) && (due = first_filled(w->due, &w->due_filled)) != NULL)
		callbacks += call_list(r, due, now);
	return callbacks;
}

/* Calls the timers that are due now, slot by slot. Those that are started meanwhile are filed after
 * now, or `soon`. Returns how many. */
int hark__call_timers(struct hark_reactor *r)
{
	struct hark__wheel *w = &r->wheel;
	int64_t now = hark_reactor_now(r);
	int64_t end = now >> HARK__TICK_SHIFT;
	int callbacks;

	gather(w, now);
	callbacks = call_due(r, now);
	while (advance(w, end))
		callbacks += call_due(r, now);
	if (r->backend->now != NULL)
		take_from_next_tick(w, now);
	callbacks += call_list(r, &w->last, now);
	r->stats.timers += (uint64_t)callbacks;
	return callbacks;
}

static void detach_lists(struct hark_reactor *r, struct hark_link *lists, uint64_t *filled)
{
	struct hark_link *list;

	while ((list = first_filled(lists, filled)) != NULL)
		forget(r, of_link(list->next));
}

void hark__detach_timers(struct hark_reactor *r)
{
	struct hark__wheel *w = &r->wheel;

	while (!hark__list_empty(&w->soon))
		forget(r, of_link(w->soon.next));
	while (!hark__list_empty(&w->last))
		forget(r, of_link(w->last.next));
	detach_lists(r, w->due, &w->due_filled);
	for (unsigned group = 0; group < HARK__TICKS / 64; group++)
		detach_lists(r, &w->ticks[64 * group], &w->ticks_filled[group]);
	for (unsigned level = 0; level < HARK__WHEEL_LEVELS; level++)
		detach_lists(r, w->slots[level], &w->filled[level]);
}
