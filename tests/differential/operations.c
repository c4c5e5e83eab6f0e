/* operations.c - what can be done to a world: one function an operation.
 *
 * Each takes the end it concerns and a word that decides the rest, and does nothing where it makes
 * no sense. The same functions serve between turns and inside callbacks. What changes the bytes
 * that are delivered matters: callbacks do that in wild runs only, and between turns whether it is
 * done must not depend on what callbacks did. */
#include "world.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAM_MOST 98304u /* bytes through a channel; messages; connections */
#define MESSAGES_MOST 200u
#define CONNECTIONS_MOST 6u

/* Perhaps a handler for e, perhaps added. */
static void equip(struct world *w, struct end *e, uint32_t x)
{
	if (e->fd < 0 || e->able == 0 || x % 8 == 0)
		return;
	if (!e->actor)
		actor_make(w, e, (uint32_t)chance_mix(x));
	if (x % 8 > 1)
		actor_add(e->actor);
}

static void open_ends(struct world *w, struct end *e, uint32_t x)
{
	if (!world_open(w, e, x))
		return;
	equip(w, e, x >> 16);
	equip(w, end_peer(w, e), x >> 19);
}

/* e is closed while its handler is added: if a dup keeps the file, the kernel may go on telling. */
static void abandon(struct world *w, struct end *e)
{
	if (e->actor && e->actor->added)
		w->abandoned = true;
}

/* Ends the registration and closes, in either order, with or without a dup that lives on. */
static void close_end(struct world *w, struct end *e, uint32_t x)
{
	if (e->fd < 0)
		return;
	if (w->quirks & QUIRK_CLOSE)
		x &= ~3u;
	if (x & 1)
		world_dup(w, e->fd);
	if (x & 2) {
		abandon(w, e);
		world_close(w, e, (x & 4) != 0);
	}
	if (e->actor)
		actor_free(e->actor);
	if (e->fd >= 0)
		world_close(w, e, (x & 4) != 0);
}

/* Closes both ends and opens another pair at once, in which the number of e is used again; the old
 * handler is removed before or after that. */
static void reuse(struct world *w, struct end *e, uint32_t x)
{
	struct actor *old = e->actor;
	int number = e->fd;

	if (number < 0)
		return;
	if (w->quirks & QUIRK_CLOSE)
		x = (x & ~1u) | 2;
	if (end_peer(w, e)->fd >= 0)
		close_end(w, end_peer(w, e), x >> 2);
	if (x & 1)
		world_dup(w, number);
	if (old && x & 2)
		actor_free(old);
	abandon(w, e);
	world_close(w, e, (x & 4) != 0);
	world_open(w, e, x >> 8);
	if (e->fd != number && (end_peer(w, e)->fd != number)) {
		dup2(e->fd, number);
		close(e->fd);
		e->fd = number;
	}
	if (old && !(x & 2))
		actor_free(old);
	equip(w, e, x >> 24);
	equip(w, end_peer(w, e), x >> 27);
}

/* The number is closed before the handler is removed, and then names the same file again, which
 * the kernel may still watch. */
static void leave_and_return(struct world *w, struct end *e, uint32_t x)
{
	int other;

	(void)x;
	if (e->fd < 0 || !e->actor || w->quirks & QUIRK_CLOSE)
		return;
	abandon(w, e);
	other = dup(e->fd);
	close(e->fd);
	actor_remove(e->actor);
	dup2(other, e->fd);
	close(other);
	actor_add(e->actor);
}

static void add(struct world *w, struct end *e, uint32_t x)
{
	if (e->fd < 0 || e->able == 0)
		return;
	if (!e->actor)
		actor_make(w, e, x);
	actor_add(e->actor);
}

static void remove_handler(struct world *w, struct end *e, uint32_t x)
{
	(void)w;
	if (e->actor)
		actor_remove(e->actor);
	if (e->actor && x % 4 == 0)
		actor_add(e->actor);
}

/* Frees the handler, and sometimes puts another in its place. */
static void replace(struct world *w, struct end *e, uint32_t x)
{
	if (!e->actor)
		return;
	actor_free(e->actor);
	equip(w, e, x);
}

static void interest(struct world *w, struct end *e, uint32_t x)
{
	(void)w;
	if (e->actor)
		actor_want(e->actor, x);
}

/* Changes what is wanted again and again; an even number of changes cancels out. */
static void flicker(struct world *w, struct end *e, uint32_t x)
{
	(void)w;
	if (!e->actor)
		return;
	for (uint32_t i = 0; i < x % 8; i++)
		actor_want(e->actor, e->actor->wants ^ (x >> 8 & DIRECTIONS));
}

static void refresh(struct world *w, struct end *e, uint32_t x)
{
	(void)w;
	(void)x;
	if (e->actor)
		hark_handler_refresh(&e->actor->handler);
}

/* e owes so much more, in the unit of its channel; what has been asked for does not depend on what
 * has been sent yet. */
static bool owe(struct world *w, struct end *e, uint64_t bytes, uint64_t messages)
{
	struct channel *c = channel_out(w, e);
	uint64_t most = STREAM_MOST, more = bytes;

	if (c->serial == 0 || c->finish || c->ended || end_peer(w, e)->able == 0)
		return false;
	if (c->kind == LISTENER) {
		most = CONNECTIONS_MOST;
		more = 1;
	} else if (is_message(c->kind)) {
		most = MESSAGES_MOST;
		more = messages;
	}
	if (c->sent + c->owed + more > most)
		return false;
	bytes_owe(w, e, more);
	return true;
}

/* Writes some, by the test itself or through the handler's verbs; the rest is left to callbacks. */
static void write_some(struct world *w, struct end *e, uint32_t x)
{
	bool owes = owe(w, e, x % 8 == 0 ? 4096 : 1 + (x >> 8) % 300, 1 + x % 3);

	if (e->fd < 0) {
		if (owes)
			bytes_connect(w, end_peer(w, e));
		return;
	}
	bytes_send(w, e, x & 16 ? MIXED : PLAIN, x >> 4, 65536);
	if (owes && e->actor && x & 32)
		actor_want(e->actor, e->actor->wants | HARK_SEND);
}

/* Fills the buffers. */
static void fill(struct world *w, struct end *e, uint32_t x)
{
	bool owes = owe(w, e, 20000, 20);

	if (e->fd < 0)
		return;
	while (bytes_send(w, e, x & 16 ? MIXED : PLAIN, x >> 5, 65536) > 0)
		x += 32;
	if (owes && e->actor && x & 32)
		actor_want(e->actor, e->actor->wants | HARK_SEND);
}

/* Reads some from outside of the callbacks: other code, or another process, has it. */
static void read_some(struct world *w, struct end *e, uint32_t x)
{
	if (e->fd >= 0 && e->able & HARK_RECV)
		bytes_receive(w, e, x & 1 ? MIXED : PLAIN, x >> 4, x & 2 ? 1 : 1 + (x >> 8) % 500);
}

static void drain(struct world *w, struct end *e, uint32_t x)
{
	if (e->fd < 0 || !(e->able & HARK_RECV))
		return;
	while (bytes_receive(w, e, x & 1 ? MIXED : PLAIN, x >> 1, 65536) > 0)
		x += 2;
}

/* Shuts down in good order: what is owed is sent first. */
static void shutdown_last(struct world *w, struct end *e, uint32_t x)
{
	struct channel *c = channel_out(w, e);

	if (e->fd < 0 || (e->kind != STREAM && e->kind != SEQPACKET && e->kind != TCP))
		return;
	/* Often with the last bytes right before it. */
	if (owe(w, e, x & 15, x & 1))
		bytes_send(w, e, PLAIN, 0, 65536);
	c->finish = true;
	bytes_finish(w, e);
	if (e->actor && c->owed > 0)
		actor_want(e->actor, e->actor->wants | HARK_SEND);
}

static void shutdown_now(struct world *w, struct end *e, uint32_t x)
{
	static const int how[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
	struct channel *out = channel_out(w, e);

	/* A datagram socket so treated is readable for ever, and a recv says EAGAIN. */
	if (e->fd < 0 || (e->kind != STREAM && e->kind != SEQPACKET && e->kind != TCP))
		return;
	out->lossy = channel_in(w, e)->lossy = true;
	e->stirred = DIRECTIONS;
	end_peer(w, e)->stirred = DIRECTIONS;
	if (shutdown(e->fd, how[x % 3]) == 0 && x % 3 != 0) {
		out->ended = true;
		out->owed = 0;
		bytes_changed(e);
	}
}

static void urgent(struct world *w, struct end *e, uint32_t x)
{
	struct end *peer = end_peer(w, e);

	if (e->fd < 0 || e->kind != TCP)
		return;
	/* With bytes behind it, at whose mark a read stops. */
	if (owe(w, e, x >> 8 & 7, 0))
		bytes_send(w, e, PLAIN, 0, 8);
	if (!peer->inlined || owe(w, e, 1, 0))
		bytes_urgent_send(w, e);
	if (owe(w, e, x >> 12 & 7, 0))
		bytes_send(w, e, PLAIN, 0, 8);
	if (peer->actor && x % 2 == 0)
		actor_want(peer->actor, peer->actor->wants | HARK_URGENT);
}

static void dup_end(struct world *w, struct end *e, uint32_t x)
{
	if (!(w->quirks & QUIRK_CLOSE))
		world_dup(w, x % 4 == 0 ? -1 : e->fd);
}

static void handle_message(struct hark_message *m, struct hark_reactor *r)
{
	struct note *n = (struct note *)m;
	struct world *w = n->world;

	trace(w, "message", NULL, (uint64_t)(n - w->notes));
	if (!w->inside || r != w->reactor || !n->queued)
		fail(w, "message %d: handled though it is not queued", (int)(n - w->notes));
	n->queued = false;
	w->callbacks++;
	if (!w->calm && n->posted_turn % 2 == 0)
		operations_inside(w, &w->ends[n->posted_turn % ENDS],
		                  chance_mix(w->seed ^ n->posted_turn));
}

static void post(struct world *w, struct end *e, uint32_t x)
{
	struct note *n = &w->notes[x % MESSAGES];
	int expected = n->queued ? -EALREADY : 0, result;

	(void)e;
	if (!w->reactor)
		return;
	if (!n->queued) {
		n->world = w;
		hark_message_init(&n->message, handle_message);
	}
	result = hark_post(w->reactor, &n->message);
	if (result != expected)
		fail(w, "hark_post answers %d, not %d", result, expected);
	if (!n->queued)
		n->posted_turn = w->turn;
	n->queued = true;
}

static void withdraw(struct world *w, struct end *e, uint32_t x)
{
	struct note *n = &w->notes[x % MESSAGES];

	(void)e;
	if (!w->reactor || !n->world)
		return;
	if (hark_message_withdraw(w->reactor, &n->message) != n->queued)
		fail(w, "hark_message_withdraw: message %d was %squeued", (int)(n - w->notes),
		     n->queued ? "" : "not ");
	n->queued = false;
}

static void stop(struct world *w, struct end *e, uint32_t x)
{
	(void)e;
	(void)x;
	if (!w->reactor)
		return;
	hark_reactor_stop(w->reactor);
	w->stopped = true;
}

/* Frees the reactor with all that is added and queued; there is another before the next turn. */
static void free_reactor(struct world *w, struct end *e, uint32_t x)
{
	(void)e;
	if (!w->reactor || x % 8 != 0)
		return;
	hark_reactor_free(w->reactor);
	w->reactor = NULL;
	for (int i = 0; i < ENDS; i++) {
		if (w->ends[i].actor)
			w->ends[i].actor->added = false;
		w->ends[i].changed = true;
	}
	for (int i = 0; i < MESSAGES; i++)
		w->notes[i].queued = false;
	if (w->inside)
		w->freed = true;
	else
		world_reactor(w);
}

static void expect(struct world *w, const char *what, int result, int expected)
{
	if (result != expected)
		fail(w, "%s answers %d, not %d", what, result, expected);
}

/* What has to be refused, and must change nothing. */
static void misuse(struct world *w, struct end *e, uint32_t x)
{
	struct actor *a = e->actor;
	struct actor other;

	if (!w->reactor || !a)
		return;
	if (hark_handler_reactor(&a->handler) != (a->added ? w->reactor : NULL))
		fail(w, "hark_handler_reactor is wrong");
	other = *a;
	hark_handler_init(&other.handler, a->handler.ops, x % 2 ? e->fd : 1000000);
	if (x % 2 == 0)
		expect(w, "adding a descriptor that is not open",
		       hark_handler_add(w->reactor, &other.handler), -EBADF);
	else if (a->added) {
		expect(w, "adding twice", hark_handler_add(w->reactor, &a->handler), -EEXIST);
		expect(w, "adding a second handler", hark_handler_add(w->reactor, &other.handler),
		       -EEXIST);
	}
	hark_handler_remove(&other.handler);
	if (w->inside) {
		expect(w, "a turn in a callback", hark_reactor_turn(w->reactor, 0), -EBUSY);
		expect(w, "a run in a callback", hark_reactor_run(w->reactor), -EBUSY);
	}
}

/* An outer loop would watch the reactor's descriptor: it has to be ready if a call is due. */
static void embed(struct world *w)
{
	int64_t pause = hark_reactor_prepare(w->reactor);
	struct pollfd fd = {.fd = hark_reactor_fd(w->reactor), .events = POLLIN};

	if (fd.fd < 0 || pause == 0 || !w->watched)
		return;
	while (poll(&fd, 1, 0) < 0)
		;
	for (int i = 0; i < ENDS && !fd.revents; i++) {
		if (model_due(&w->ends[i]) && w->ends[i].kind != TCP)
			fail(w,
			     "end %d: a call is due, but hark_reactor_prepare answers %lld and the "
			     "descriptor of the reactor is not ready",
			     i, (long long)pause);
	}
}

/* A turn, and the comparison with the model. Returns what hark_reactor_turn did. */
int operations_turn(struct world *w, int64_t timeout_ns)
{
	uint32_t x = (uint32_t)chance_mix(w->seed + w->turn);
	int result;

	model_before(w);
	w->turn++;
	w->callbacks = 0;
	if (x % 4 == 0)
		embed(w);
	w->inside = true;
	result = hark_reactor_turn(w->reactor, timeout_ns);
	w->inside = false;
	trace(w, "turn", NULL, (uint64_t)result);
	model_after(w, result);
	for (int i = 0; i < MESSAGES && !w->stopped; i++) {
		if (w->notes[i].queued && w->notes[i].posted_turn < w->turn)
			fail(w, "message %d was not handled", i);
	}
	if (w->freed)
		world_reactor(w);
	w->stopped = w->freed = false;
	return result;
}

static void turn(struct world *w, struct end *e, uint32_t x)
{
	(void)e;
	operations_turn(w, x % 256 == 0 ? 1 : 0);
}

/* Lets callbacks do nothing but input and output until none comes any more: then the kernel must
 * have nothing more to tell either, or the reactor would spin. */
void operations_calm(struct world *w)
{
	struct hark_stats before, after;
	int turns = 0, quiet = 0, tries = 0;
	int enough = w->chaotic ? 40 : 4; /* what is held back comes in some turns */

	w->calm = true;
	while (quiet < enough) {
		quiet = operations_turn(w, 0) == 0 ? quiet + 1 : 0;
		if (turns++ == 2000)
			fail(w, "spins: callbacks come for 2000 turns");
	}
	/* TCP may still say something by itself, but not for ever. */
	do {
		hark_reactor_stats(w->reactor, &before);
		operations_turn(w, 0);
		operations_turn(w, 0);
		hark_reactor_stats(w->reactor, &after);
		if (tries++ == 20 * enough / 4)
			fail(w, "spins: events come that nobody wants");
	} while (after.events != before.events || after.stale != before.stale ||
	         after.rebuilds != before.rebuilds || after.changes != before.changes);
	w->calm = false;
}

static void calm(struct world *w, struct end *e, uint32_t x)
{
	(void)e;
	(void)x;
	operations_calm(w);
}

static void retire(struct world *w, struct end *e, uint32_t x)
{
	(void)x;
	finish_pair(w, e);
	world_retire(w, e);
}

#define MATTERS 1u /* for the bytes delivered */
#define OUTSIDE 2u /* never in a callback */

static const struct operation {
	void (*run)(struct world *w, struct end *e, uint32_t x);
	const char *name;
	unsigned weight;
	unsigned flags;
} operations[] = {
	{turn, "turn", 64, OUTSIDE},
	{open_ends, "open", 20, MATTERS},
	{write_some, "write", 26, MATTERS},
	{read_some, "read", 10, 0},
	{interest, "interest", 14, 0},
	{add, "add", 10, 0},
	{remove_handler, "remove", 5, 0},
	{replace, "replace", 5, 0},
	{flicker, "flicker", 5, 0},
	{fill, "fill", 4, MATTERS},
	{drain, "drain", 4, 0},
	{urgent, "urgent", 6, MATTERS},
	{reuse, "reuse", 4, MATTERS},
	{close_end, "close", 4, MATTERS},
	{post, "post", 4, 0},
	{leave_and_return, "leave and return", 2, 0},
	{refresh, "refresh", 2, 0},
	{withdraw, "withdraw", 2, 0},
	{dup_end, "dup", 2, 0},
	{stop, "stop", 2, 0},
	{misuse, "misuse", 2, 0},
	{shutdown_last, "shut down last", 4, MATTERS},
	{shutdown_now, "shut down now", 2, MATTERS},
	{retire, "retire", 2, MATTERS | OUTSIDE},
	{calm, "calm", 1, OUTSIDE},
	{free_reactor, "free the reactor", 1, 0},
};

#define OPERATIONS (sizeof operations / sizeof operations[0])

/* Each operation as often as its weight says. */
static unsigned char choices[256];
static unsigned choices_used;

void operations_init(void)
{
	for (unsigned i = 0; i < OPERATIONS; i++)
		for (unsigned j = 0; j < operations[i].weight; j++)
			choices[choices_used++] = (unsigned char)i;
}

static void run(struct world *w, const struct operation *o, struct end *e, uint32_t x)
{
	trace(w, o->name, e, x);
	o->run(w, e, x);
}

/* One step, decided by word: which operation, on which end, and how. */
void operations_do(struct world *w, uint64_t word)
{
	if (++w->step % 4096 == 0)
		report_progress();
	run(w, &operations[choices[(word & 0xffff) % choices_used]],
	    &w->ends[(word >> 16 & 0xffff) % ENDS], (uint32_t)(word >> 32));
}

/* An operation inside a callback of own, as often on itself as on another. */
void operations_inside(struct world *w, struct end *own, uint64_t word)
{
	const struct operation *o = &operations[choices[(word & 0xffff) % choices_used]];
	struct end *e = word >> 31 & 1 ? own : &w->ends[(word >> 16 & 0x7fff) % ENDS];

	if (o->flags & OUTSIDE || (o->flags & MATTERS && !w->wild))
		return;
	run(w, o, e, (uint32_t)(word >> 32));
}
