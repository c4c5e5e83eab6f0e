/* actor.c - the handlers: what they want, what their callbacks do, and how they die. */
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool wants(const struct hark_handler *h, unsigned direction)
{
	return (((const struct actor *)h)->wants & direction) != 0;
}

static bool wants_recv(const struct hark_handler *h)
{
	return wants(h, HARK_RECV);
}

static bool wants_send(const struct hark_handler *h)
{
	const struct actor *a = (const struct actor *)h;

	return wants(h, HARK_SEND) && (a->manner != DEVOTED || bytes_payable(a->world, a->end));
}

static bool wants_urgent(const struct hark_handler *h)
{
	return wants(h, HARK_URGENT);
}

/* There is nothing more to receive: most no longer want to. When calm all do so, or they would be
 * called for ever. */
static void stop_receiving(struct actor *a, uint32_t x)
{
	if (!a->world->calm && x % 4 == 0)
		return;
	a->wants &= ~HARK_RECV;
	if (a->world->calm && actor_wants(a) & HARK_RECV)
		actor_remove(a);
}

static void act_recv(struct actor *a, uint32_t x)
{
	struct world *w = a->world;
	struct end *e = a->end;
	size_t size = x >> 3 & 1 ? 65536 : 1 + (x >> 4) % 300;
	bool on = true;
	ssize_t n = 1;

	if (w->calm) {
		size = 65536;
		on = (x & 1) != 0;
	} else if (x % 8 == 0 && a->manner != DEVOTED) {
		return;
	} else if (x % 8 < 3) {
		size = 1;
		on = false;
	} else if (x % 8 < 6) {
		on = false;
	}
	do {
		n = bytes_receive(w, e, a->manner, (uint32_t)chance_mix(x++), size);
	} while (n > 0 && on);
	if (n <= 0 && n != -EAGAIN)
		stop_receiving(a, x);
}

/* Pays what is owed. Who has nothing to send mostly stops wanting to; some go on, and are called
 * each turn. */
static void act_send(struct actor *a, uint32_t x)
{
	struct world *w = a->world;
	struct end *e = a->end;
	size_t size = x >> 3 & 1 ? 65536 : 1 + (x >> 4) % 1000;
	bool on = x % 4 != 0;
	ssize_t n;

	if (!w->calm && x % 16 == 1 && a->manner != DEVOTED)
		return;
	do {
		n = bytes_send(w, e, a->manner, (uint32_t)chance_mix(x++), size);
	} while (n > 0 && on);
	if (n <= 0 && n != -EAGAIN && (w->calm || x % 4 != 0))
		a->wants &= ~HARK_SEND;
}

static void act_urgent(struct actor *a, uint32_t x)
{
	if (a->world->calm || x % 4 != 0)
		bytes_urgent_receive(a->world, a->end, a->manner);
	if (a->world->calm || x % 16 == 0)
		a->wants &= ~HARK_URGENT;
}

/* A callback. It ends with an operation now and then, after which a may be gone. */
static void act(struct actor *a, unsigned directions)
{
	struct world *w = a->world;
	struct end *e = a->end;
	uint64_t word = chance_mix(w->seed ^ (uint64_t)a->serial << 32 ^ a->calls++);

	trace(w,
	      directions == HARK_RECV   ? "recv"
	      : directions == HARK_SEND ? "send"
	                                : "ready",
	      e, directions);
	model_call(a, directions);
	if (directions & HARK_URGENT)
		act_urgent(a, (uint32_t)word & 0xff);
	if (directions & HARK_RECV)
		act_recv(a, (uint32_t)(word >> 8) & 0xffff);
	if (directions & HARK_SEND)
		act_send(a, (uint32_t)(word >> 24) & 0xffff);
	/* It is asked again after the callback: no refresh is needed. */
	if (!w->calm && (word >> 58 & 7) == 0) {
		a->wants = (unsigned)(word >> 54) & e->able;
		e->changed = true;
	}
	if (w->calm || word >> 62 != 0)
		return;
	w->after = e;
	w->after_word = chance_mix(word);
	if (!w->measured)
		actor_after(w);
}

/* After a callback that the reactor has measured. */
void actor_after(struct world *w)
{
	struct end *e = w->after;

	w->after = NULL;
	if (e && !w->calm)
		operations_inside(w, e, w->after_word);
}

static void handle_recv(struct hark_handler *h)
{
	act((struct actor *)h, HARK_RECV);
}

static void handle_send(struct hark_handler *h)
{
	act((struct actor *)h, HARK_SEND);
}

static void handle_urgent(struct hark_handler *h)
{
	act((struct actor *)h, HARK_URGENT);
}

static void handle_ready(struct hark_handler *h, unsigned ready)
{
	struct actor *a = (struct actor *)h;

	if (!(ready & DIRECTIONS) || ready & ~(DIRECTIONS | HARK_BROKEN))
		fail(a->world, "handle_ready gets %#x", ready);
	act(a, ready & DIRECTIONS);
}

static void handle_error(struct hark_handler *h, int error)
{
	struct actor *a = (struct actor *)h;

	fail(a->world, "end %d: refused: %s", (int)(a->end - a->world->ends), strerror(error));
}

static const struct hark_handler_ops split_ops = {
	.wants_recv = wants_recv,
	.wants_send = wants_send,
	.wants_urgent = wants_urgent,
	.handle_recv = handle_recv,
	.handle_send = handle_send,
	.handle_urgent = handle_urgent,
	.handle_error = handle_error,
	.name = "split",
};

static const struct hark_handler_ops always_ops = {
	.wants_recv = hark_always,
	.wants_send = wants_send,
	.handle_recv = handle_recv,
	.handle_send = handle_send,
	.handle_error = handle_error,
	.name = "always",
};

static const struct hark_handler_ops ready_ops = {
	.wants_recv = wants_recv,
	.wants_send = wants_send,
	.wants_urgent = wants_urgent,
	.handle_ready = handle_ready,
	.handle_error = handle_error,
	.name = "ready",
};

/* What a asks for now. */
unsigned actor_wants(const struct actor *a)
{
	unsigned directions = a->wants;

	if (a->handler.ops == &always_ops)
		directions = (directions & HARK_SEND) | HARK_RECV;
	if (a->manner == DEVOTED && !bytes_payable(a->world, a->end))
		directions &= ~HARK_SEND;
	return directions;
}

/* Gives e a handler that is not added; x decides what it is like. */
void actor_make(struct world *w, struct end *e, uint32_t x)
{
	struct actor *a = calloc(1, sizeof *a);
	const struct hark_handler_ops *ops = &split_ops;

	if (!a)
		abort();
	if (x % 8 == 0)
		ops = &ready_ops;
	else if (x % 8 == 1 && e->able & HARK_RECV)
		ops = &always_ops;
	a->world = w;
	a->end = e;
	a->serial = ++w->actors;
	a->manner = (enum manner)((x >> 3) % (MANNERS + 1));
	if (a->manner == MANNERS)
		a->manner = DEVOTED;
	a->wants = x >> 8 & e->able;
	hark_handler_init(&a->handler, ops, e->fd);
	e->actor = a;
}

void actor_add(struct actor *a)
{
	struct world *w = a->world;
	int error;

	if (a->added || !w->reactor)
		return;
	error = hark_handler_add(w->reactor, &a->handler);
	if (error)
		fail(w, "hark_handler_add of end %d: %s", (int)(a->end - w->ends),
		     strerror(-error));
	a->added = true;
	a->added_turn = w->inside ? w->turn : 0;
	a->end->changed = true;
}

void actor_remove(struct actor *a)
{
	hark_handler_remove(&a->handler);
	a->added = false;
	a->end->changed = true;
}

/* Changes what a wants from outside of its callbacks. */
void actor_want(struct actor *a, unsigned directions)
{
	a->wants = directions & a->end->able;
	a->end->changed = true;
	hark_handler_refresh(&a->handler);
}

/* The dead: their memory is poisoned, and whoever calls them or writes to them is found out. */
static void trap(struct hark_handler *h)
{
	fail(((struct actor *)h)->world, "called after it was removed and freed");
}

static bool trap_wants(const struct hark_handler *h)
{
	fail(((const struct actor *)h)->world, "asked after it was removed and freed");
}

static const struct hark_handler_ops trap_ops = {
	.wants_recv = trap_wants,
	.wants_send = trap_wants,
	.handle_recv = trap,
	.handle_send = trap,
	.handle_urgent = trap,
	.name = "trap",
};

static void poison(struct actor *a, struct world *w)
{
	memset(a, 0xdb, sizeof *a);
	a->handler.ops = &trap_ops;
	a->world = w;
}

static void exhume(struct world *w, struct actor *a)
{
	struct actor poisoned;
	const void *found = a;
	const void *buried = &poisoned;

	poison(&poisoned, w);
	if (memcmp(found, buried, sizeof poisoned) != 0)
		fail(w, "a handler was written to after it was removed and freed");
	free(a);
}

/* Removes and frees a. Under AddressSanitizer, which sees more, the memory goes at once. */
void actor_free(struct actor *a)
{
	struct world *w = a->world;
	struct actor **grave = &w->graves[w->next_grave++ % GRAVES];

	hark_handler_remove(&a->handler);
	if (a->end->actor == a)
		a->end->actor = NULL;
	a->end->changed = true;
	if (*grave)
		exhume(w, *grave);
	poison(a, w);
	*grave = a;
#if defined(__SANITIZE_ADDRESS__)
	*grave = NULL;
	free(a);
#endif
}

void actor_graves(struct world *w)
{
	for (int i = 0; i < GRAVES; i++) {
		if (w->graves[i])
			exhume(w, w->graves[i]);
		w->graves[i] = NULL;
	}
}
