/* model.c - what poll(2) says about every descriptor, and whether the library did what follows.
 *
 * Readiness is level-triggered whatever the backend does inside: who wants a direction for which
 * poll(2) is ready before a turn is called in that turn, unless somebody did I/O on it meanwhile
 * or changed the handler. Who has never used a verb is called for nothing else. Under chaos both
 * are so in the end. */
#include "world.h"

#include <errno.h>
#include <string.h>

#define IDLE_MOST 5u

/* Under chaos whoever is ready is called in the end, and whoever is not is not called for ever:
 * what it holds back it lets go after a few waits, it interrupts a few, and a full wait puts off
 * what is remembered. */
#define CHAOS_MOST 40u

/* The directions for which a handler has to be called, and those for which it may be: select(2)
 * does not tell a hang-up to a writer. */
static unsigned directions_due(short events)
{
	unsigned due = 0;

	if (events & (POLLIN | POLLHUP | POLLERR))
		due |= HARK_RECV;
	if (events & (POLLOUT | POLLERR))
		due |= HARK_SEND;
	if (events & POLLPRI)
		due |= HARK_URGENT;
	return due;
}

static unsigned directions_allowed(short events)
{
	return events & (POLLHUP | POLLERR) ? DIRECTIONS : directions_due(events);
}

static short events_of(const struct end *e)
{
	return (short)((e->able & HARK_RECV ? POLLIN : 0) | (e->able & HARK_SEND ? POLLOUT : 0) |
	               (e->able & HARK_URGENT ? POLLPRI : 0));
}

/* Asks about one end. */
short model_look(const struct end *e)
{
	struct pollfd now = {.fd = e->fd, .events = events_of(e)};

	while (poll(&now, 1, 0) < 0)
		;
	return now.revents;
}

/* Asks about every open end. */
static void look(const struct world *w, short now[ENDS])
{
	struct pollfd fds[ENDS];

	for (int i = 0; i < ENDS; i++)
		fds[i] = (struct pollfd){.fd = w->ends[i].fd, .events = events_of(&w->ends[i])};
	while (poll(fds, ENDS, 0) < 0)
		;
	for (int i = 0; i < ENDS; i++)
		now[i] = fds[i].revents;
}

/* A turn begins. */
void model_before(struct world *w)
{
	short now[ENDS] = {0};

	if (w->watched)
		look(w, now);
	for (int i = 0; i < ENDS; i++) {
		struct end *e = &w->ends[i];

		e->before = now[i];
		e->stirred_before |= e->stirred;
		e->called = e->stirred = e->useful = 0;
		e->changed = false;
	}
}

/* The directions for which e's handler has to be called in the next turn. */
unsigned model_due(const struct end *e)
{
	if (!e->actor || !e->actor->added)
		return 0;
	return actor_wants(e->actor) & directions_due(e->before);
}

/* Where wake-ups are reported, who wants to receive is woken by urgent data, too. */
static unsigned directions_told(const struct world *w, short events)
{
	if (w->quirks & QUIRK_WAKE_UPS && events & POLLPRI)
		events |= POLLIN;
	return directions_allowed(events);
}

/* Is there no reason at all why a handler that never used a verb is called for these? */
static bool is_spurious(const struct world *w, const struct end *e, unsigned directions)
{
	directions &= ~e->stirred;
	if (w->quirks & QUIRK_WAKE_UPS)
		directions &= ~e->stirred_before;
	if (!(directions & ~directions_told(w, e->before)))
		return false;
	/* Something may have made it ready since: another callback, or TCP by itself. */
	return (directions & ~directions_told(w, model_look(e))) != 0;
}

static const char *names(unsigned directions)
{
	static const char *const sets[] = {"nothing", "recv", "send", "recv and send"};

	return directions & HARK_URGENT ? "urgent" : sets[directions & 3];
}

/* a is called for directions: is that right? */
void model_call(struct actor *a, unsigned directions)
{
	struct world *w = a->world;
	struct end *e = a->end;
	int i = (int)(e - w->ends);

	if (!w->inside || w->freed)
		fail(w, "end %d: called for %s outside of a turn", i, names(directions));
	if (e->actor != a || !a->added || e->fd != a->handler.fd)
		fail(w, "end %d: called for %s though it is not added", i, names(directions));
	if (directions & ~actor_wants(a))
		fail(w, "end %d: called for %s, but wants %s", i, names(directions),
		     names(actor_wants(a)));
	if (a->added_turn == w->turn)
		fail(w, "end %d: called for %s in the turn in which it was added", i,
		     names(directions));
	if (e->called & directions)
		fail(w, "end %d: called twice for %s in one turn", i, names(directions));
	if ((directions == HARK_RECV && e->called & HARK_SEND) ||
	    (directions == HARK_URGENT && e->called))
		fail(w, "end %d: called for %s after %s", i, names(directions), names(e->called));
	if (w->watched && !w->chaotic && !a->verbs && is_spurious(w, e, directions))
		fail(w, "end %d: called for %s, but poll said %#x before the turn", i,
		     names(directions), (unsigned)e->before);
	e->called |= directions;
	w->callbacks++;
}

/* Who uses verbs may be called for nothing, but not again and again: the verb has said that there
 * is nothing. */
static void count_idle(struct world *w, struct end *e, short now)
{
	unsigned ready = directions_allowed(e->before) | directions_allowed(now);
	unsigned idle = e->called & e->stirred & ~e->useful & ~ready;
	unsigned most = w->chaotic ? CHAOS_MOST : IDLE_MOST;

	for (int i = 0; i < 3; i++) {
		e->idle[i] = idle >> i & 1 ? e->idle[i] + 1 : 0;
		if (e->idle[i] == most)
			fail(w, "end %d: called for %s in %u turns running for nothing",
			     (int)(e - w->ends), names(1u << i), most);
	}
}

/* TCP's own work may come between poll(2) and the wake-up of another set: there a call has to be
 * missed twice running. */
static void count_missed(struct world *w, struct end *e, short now)
{
	unsigned missed = model_due(e) & directions_due(now) & ~e->called & ~e->stirred;
	unsigned most = w->chaotic ? CHAOS_MOST : e->kind == TCP ? 2 : 1;

	for (int i = 0; i < 3; i++) {
		e->missed[i] = missed >> i & 1 && !e->changed ? e->missed[i] + 1 : 0;
		if (e->missed[i] == most)
			fail(w,
			     "end %d: not called for %s; poll says %#x before and %#x after the "
			     "turn",
			     (int)(e - w->ends), names(1u << i), (unsigned)e->before,
			     (unsigned)now);
	}
}

/* The turn is over and has answered result. */
void model_after(struct world *w, int result)
{
	short now[ENDS];
	struct hark_stats stats;

	if (result < 0)
		fail(w, "hark_reactor_turn: %s", strerror(-result));
	if (w->freed) {
		if (result != 0)
			fail(w, "hark_reactor_turn answers %d though the reactor was freed",
			     result);
		return;
	}
	if (!w->stopped && result != w->callbacks)
		fail(w, "hark_reactor_turn answers %d after %d callbacks", result, w->callbacks);
	for (int i = 0; i < ENDS && !w->stopped; i++)
		w->ends[i].stirred_before = 0;
	hark_reactor_stats(w->reactor, &stats);
	if (!w->abandoned && stats.stale > 0)
		fail(w, "the kernel still watches a descriptor whose handler was removed");
	if (!w->watched || w->stopped)
		return;
	look(w, now);
	for (int i = 0; i < ENDS; i++) {
		count_idle(w, &w->ends[i], now[i]);
		count_missed(w, &w->ends[i], now[i]);
	}
}
