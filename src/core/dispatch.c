/* dispatch.c - calling handlers.
 *
 * Each handler is unlinked from the list before it is called, so that a callback can remove any of
 * them, itself included: a removed handler is in no list, and current is NULL once the one being
 * called is gone. Nothing of a handler is touched after that.
 *
 * All this is compiled twice, with and without the measuring of callbacks (slow.c): who does not
 * measure has nothing to pay for it. */
#include "core/core.h"

#define TWICE static inline __attribute__((always_inline))

static inline void (*callback(const struct hark_handler_ops *ops,
                              unsigned direction))(struct hark_handler *h)
{
	return direction == HARK_RECV   ? ops->handle_recv
	       : direction == HARK_SEND ? ops->handle_send
	                                : ops->handle_urgent;
}

/* Calls h's callback for one direction. Returns false if h is gone, or was removed and added
 * again, which for a dispatch is the same. */
static inline bool call(struct hark_reactor *r, struct hark_handler *h, unsigned direction)
{
	r->current = h;
	h->hark_flags &= ~(HARK__USED_RECV | HARK__USED_SEND);
	callback(h->ops, direction)(h);
	return r->current == h;
}

/* Notes whether the callback of this direction did its I/O through the verbs. */
static void note_use(struct hark_handler *h, unsigned direction)
{
	unsigned used = direction == HARK_RECV ? HARK__USED_RECV : HARK__USED_SEND;
	unsigned own = direction == HARK_RECV ? HARK__OWN_RECV : HARK__OWN_SEND;

	if (direction == HARK_URGENT)
		return;
	if (h->hark_flags & used)
		h->hark_flags &= ~own;
	else
		h->hark_flags |= own | HARK__PARTIAL;
}

/* Calls h's callback for one direction and asks it. Returns false if h is gone. */
TWICE bool serve(struct hark_reactor *r, struct hark_handler *h, unsigned direction, bool level)
{
	struct hark_slot *slot;

	if (!call(r, h, direction))
		return false;
	note_use(h, direction);
	slot = hark__slot_of(r, h);
	if (level)
		slot->ready &= (uint8_t)~direction;
	hark__update(r, slot, h);
	return true;
}

/* The same, measured. Whoever is told of it may remove h, or change what it wants. */
static bool serve_measured(struct hark_reactor *r, struct hark_handler *h, unsigned direction,
                           bool level)
{
	const char *event = direction == HARK_RECV   ? "recv"
	                    : direction == HARK_SEND ? "send"
	                                             : "urgent";
	const char *name = h->ops->name;
	int fd = h->fd;

	serve(r, h, direction, level);
	hark__called(r, name, event, fd);
	if (r->current != h)
		return false;
	if (h->hark_flags & HARK__ASK)
		hark__update(r, hark__slot_of(r, h), h);
	return true;
}

TWICE int call_each(struct hark_reactor *r, struct hark_handler *h, bool level, bool broken,
                    bool measured)
{
	static const unsigned order[] = {HARK_URGENT, HARK_RECV, HARK_SEND};
	int callbacks = 0;

	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		unsigned direction = order[i];
		struct hark_slot *slot = hark__slot_of(r, h);

		if (!(slot->want & direction) || !(broken || (slot->ready & direction)))
			continue;
		callbacks++;
		if (measured ? !serve_measured(r, h, direction, level)
		             : !serve(r, h, direction, level))
			return callbacks;
	}
	return callbacks;
}

TWICE int call_ready(struct hark_reactor *r, struct hark_handler *h, bool broken, bool measured)
{
	struct hark_slot *slot = hark__slot_of(r, h);
	unsigned ready = (broken ? HARK__DIRECTIONS : slot->ready) & slot->want;
	const char *name = h->ops->name;
	int fd = h->fd;

	if (ready == 0)
		return 0;
	r->current = h;
	h->ops->handle_ready(h, ready | (broken ? HARK_BROKEN : 0));
	if (r->current == h)
		hark__update(r, hark__slot_of(r, h), h);
	if (measured)
		hark__called(r, name, "ready", fd);
	return 1;
}

/* Without its waker a reactor would sleep through every post: each turn tries to watch it again,
 * and ends with the error until that works. */
static int without_waker(struct hark_reactor *r, int error)
{
	r->waking.hark_flags &= ~HARK__ERROR_MASK;
	hark__slot_of(r, &r->waking)->armed = 0;
	hark__change(r, &r->waking);
	return -error;
}

/* The kernel refused h: it is removed and told. Returns 1 for the callback, or -errno if it has
 * none. */
TWICE int fail(struct hark_reactor *r, struct hark_handler *h, bool measured)
{
	int error = (int)(h->hark_flags >> HARK__ERROR_SHIFT);
	void (*handle_error)(struct hark_handler * h, int error) = h->ops->handle_error;
	const char *name = h->ops->name;
	int fd = h->fd;

	if (h->hark_flags & HARK__INTERNAL)
		return without_waker(r, error);
	hark_handler_remove(h);
	if (handle_error == NULL)
		return -error;
	handle_error(h, error);
	if (measured)
		hark__called(r, name, "error", fd);
	return 1;
}

/* Anything but a plain level-triggered handler with one direction ready. */
TWICE int dispatch_any(struct hark_reactor *r, struct hark_handler *h, bool measured)
{
	struct hark_slot *slot = hark__slot_of(r, h);
	bool always = slot->flags & HARK__ALWAYS;
	bool level = !always && !(slot->armed & HARK_EDGE);
	bool broken = slot->ready & HARK_BROKEN;
	int callbacks;

	if (h->hark_flags & HARK__ERROR_MASK)
		return fail(r, h, measured);
	if (h->hark_flags & HARK__INTERNAL) {
		slot->ready = 0;
		r->stats.wakes++;
		if (level || !hark__waker_edges)
			hark__waker_drain(&r->waker);
		return 0;
	}
	if (h->hark_flags & HARK__ASK)
		hark__update(r, slot, h);
	if (always)
		slot->ready = HARK_RECV | HARK_SEND;
	slot->ready &= (uint8_t)~HARK_BROKEN;
	if (broken)
		h->hark_flags |= HARK__BROKEN_LAST;
	else
		h->hark_flags &= ~HARK__BROKEN_LAST;

	if (h->hark_flags & HARK__GLUE)
		callbacks = call_ready(r, h, broken, measured);
	else
		callbacks = call_each(r, h, level, broken, measured);
	if (level && (callbacks == 0 || r->current == h))
		hark__slot_of(r, h)->ready = 0; /* the kernel will say it again */
	return callbacks;
}

/* Most handlers, most of the time: nothing to be looked at but the callback's interest. */
static inline int dispatch_one(struct hark_reactor *r, struct hark_handler *h)
{
	const unsigned special =
		HARK__ERROR_MASK | HARK__INTERNAL | HARK__ASK | HARK__GLUE | HARK__BROKEN_LAST;
	struct hark_slot *slot = hark__slot_of(r, h);
	unsigned ready = slot->ready;

	if ((h->hark_flags & special) || (slot->armed & HARK_EDGE) ||
	    (slot->flags & ~HARK__SPENT) || (ready & (ready - 1)) || !(ready & slot->want))
		return dispatch_any(r, h, false);
	slot->ready = 0;
	if (h->hark_flags & HARK__CONSTANT) {
		r->current = NULL;
		callback(h->ops, ready)(h);
	} else if (call(r, h, ready)) {
		note_use(h, ready);
		hark__update(r, hark__slot_of(r, h), h);
	}
	return 1;
}

TWICE int dispatch_all(struct hark_reactor *r, bool measured)
{
	struct hark_link *ready = &r->port.ready;
	int callbacks = 0;
	int rc = 0;

	while (!hark__list_empty(ready) && rc >= 0 && !hark__forked(r)) {
		struct hark_handler *h = hark__of_ready(hark__take_first(ready));

		rc = measured ? dispatch_any(r, h, true) : dispatch_one(r, h);
		if (rc > 0)
			callbacks += rc;
	}
	r->current = NULL;
	r->stats.callbacks += (uint64_t)callbacks;
	return rc < 0 ? rc : callbacks;
}

static __attribute__((noinline)) int dispatch_measured(struct hark_reactor *r)
{
	return dispatch_all(r, true);
}

/* Calls the handlers reported ready, in order: nobody joins them meanwhile. Returns the number of
 * callbacks, or -errno of a handler that was refused and has no handle_error; the rest is then
 * kept for the next turn. */
int hark__dispatch(struct hark_reactor *r)
{
	return hark__measures(r) ? dispatch_measured(r) : dispatch_all(r, false);
}
