/* finish.c - everything that is owed arrives: no event was lost, whatever happened before. */
#include "world.h"

/* Has everything arrived that e writes, its end included? */
static bool arrived(struct world *w, const struct end *e)
{
	const struct channel *c = channel_out(w, e);
	const struct end *reader = end_peer(w, e);

	if (c->serial == 0 || reader->fd < 0 || !(reader->able & HARK_RECV))
		return true;
	if (!c->lossy && (c->owed > 0 || c->received != c->sent))
		return false;
	if (c->kind == UDP || c->kind == DATAGRAM || c->kind == LISTENER)
		return true;
	return !c->ended || c->over;
}

/* e gets a handler that wants all there is to do. */
static void engage(struct world *w, struct end *e)
{
	unsigned wants = 0;

	if (e->fd < 0 || e->able == 0)
		return;
	if (!e->actor)
		actor_make(w, e, (uint32_t)chance_mix(++w->actors));
	if (!channel_in(w, e)->over)
		wants |= HARK_RECV;
	if (channel_out(w, e)->owed > 0)
		wants |= HARK_SEND;
	actor_want(e->actor, wants);
	actor_add(e->actor);
}

/* What no callback starts again: connecting, sending datagrams that were held back, and sending
 * after a handler that always wants to receive was removed at the end of the stream. */
static void nudge(struct world *w, struct end *e)
{
	if (e->fd >= 0 && channel_out(w, e)->owed > 0 && !e->actor->added) {
		actor_free(e->actor);
		engage(w, e);
	}
	if (e->kind == LISTENER && e->fd >= 0)
		bytes_connect(w, e);
	if (e->kind == UDP && e->fd >= 0 && channel_out(w, e)->owed > 0)
		actor_want(e->actor, e->actor->wants | HARK_SEND);
}

static void explain(struct world *w, const struct end *e)
{
	static const char *const kinds[] = {"stream", "datagram", "packet",   "TCP",
	                                    "pipe",   "UDP",      "listening"};
	const struct channel *c = channel_out(w, e);

	fail(w,
	     "stuck: %s end %d owes %llu, has sent %llu, of which its peer has received %llu%s; "
	     "the writer wants %u, the reader %u; poll says %#x and %#x",
	     kinds[c->kind], (int)(e - w->ends), (unsigned long long)c->owed,
	     (unsigned long long)c->sent, (unsigned long long)c->received,
	     c->ended ? ", and has not met the end" : "", e->actor ? actor_wants(e->actor) : 0,
	     end_peer(w, e)->actor ? actor_wants(end_peer(w, e)->actor) : 0,
	     (unsigned)model_look(e), (unsigned)model_look(end_peer(w, e)));
}

/* Turns until everything has arrived at the ends from first up to last. TCP may need some time, of
 * which three seconds are enough. */
static void finish_range(struct world *w, struct end *first, struct end *last)
{
	int idle = 0;

	w->calm = true;
	for (int i = 0; i < DUPS; i++)
		world_dup(w, -1);
	for (struct end *e = first; e < last; e++)
		engage(w, e);
	for (struct end *e = first; e < last;) {
		if (arrived(w, e)) {
			e++;
			continue;
		}
		nudge(w, e);
		nudge(w, end_peer(w, e));
		idle = operations_turn(w, idle < 5 ? 0 : HARK_MS(1)) == 0 ? idle + 1 : 0;
		if (idle == 3000)
			explain(w, e);
	}
	w->calm = false;
}

void finish_pair(struct world *w, struct end *e)
{
	struct end *first = &w->ends[(e - w->ends) & ~1];

	finish_range(w, first, first + 2);
}

/* The end of a run: afterwards nothing keeps the reactor busy, and it says so. */
void finish_all(struct world *w)
{
	finish_range(w, w->ends, w->ends + ENDS);
	operations_calm(w);
	for (int i = 0; i < ENDS; i++) {
		if (w->ends[i].actor)
			actor_remove(w->ends[i].actor);
	}
	if (operations_turn(w, 0) != 0 || hark_reactor_run(w->reactor) != 0)
		fail(w, "a reactor without handlers has something to do");
}
