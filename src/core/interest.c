/* interest.c - from what handlers want to what the kernel is told.
 *
 * A slot holds what its handler wants, what is armed in the kernel, and what has been reported
 * ready. A handler whose want may no longer fit what is armed is put on the list of changes, and
 * the flush before each wait hands the backend the difference, once, whatever happened in
 * between.
 *
 * A registration is level-triggered at first: armed is then exactly what is wanted, each change
 * of interest costs a change in the kernel, and readiness is forgotten after each dispatch because
 * the kernel reports it again. When the interest of a socket first changes, and its callbacks
 * have used the verbs, it is registered with edges instead: armed only grows, readiness is kept
 * here until a verb says that the socket is drained or full, and a change of interest costs no
 * system call.
 *
 * Edges are right only as long as hark sees what the handler does. The slot goes back to level
 * after a callback that used no verb of its direction, or only ones that looked elsewhere and
 * failed, while urgent data is wanted, after an error or a hang-up (whose cause a verb may not
 * consume, as with an error queue), and for good after an EAGAIN that poll(2) would contradict
 * (io.c). A change between the two has the kernel report afresh, so nothing is lost by it. */
#include "core/core.h"

bool hark_always(const struct hark_handler *h)
{
	(void)h;
	return true;
}

static inline bool wants(bool (*question)(const struct hark_handler *h),
                         const struct hark_handler *h)
{
	return question != NULL && (question == hark_always || question(h));
}

unsigned hark__ask(const struct hark_handler *h)
{
	const struct hark_handler_ops *ops = h->ops;

	return (wants(ops->wants_recv, h) ? HARK_RECV : 0) |
	       (wants(ops->wants_send, h) ? HARK_SEND : 0) |
	       (wants(ops->wants_urgent, h) ? HARK_URGENT : 0);
}

static bool is_constant(bool (*question)(const struct hark_handler *h))
{
	return question == NULL || question == hark_always;
}

/* The flags that follow from a handler's ops. */
unsigned hark__nature(const struct hark_handler_ops *ops)
{
	bool constant = is_constant(ops->wants_recv) && is_constant(ops->wants_send) &&
	                is_constant(ops->wants_urgent);

	return (constant ? HARK__CONSTANT : 0) | (ops->handle_ready != NULL ? HARK__GLUE : 0);
}

static bool edges_allowed(const struct hark_reactor *r, const struct hark_slot *slot,
                          const struct hark_handler *h)
{
	const unsigned spoilt = HARK__OWN_RECV | HARK__OWN_SEND | HARK__BROKEN_LAST |
	                        HARK__NEVER_EDGES | HARK__GLUE | HARK__CONSTANT;

	return (r->backend->can & HARK_CAN_EDGE) && (h->hark_flags & HARK__SOCKET) &&
	       !(h->hark_flags & spoilt) && !(slot->want & HARK_URGENT);
}

/* Asks h what it wants and files the answer: for the next flush if the kernel must be told, for
 * the next dispatch if it wants what is known to be ready. */
void hark__update(struct hark_reactor *r, struct hark_slot *slot, struct hark_handler *h)
{
	unsigned want = hark__ask(h);

	h->hark_flags &= ~HARK__ASK;
	slot->want = (uint8_t)want;
	if (slot->armed == want)
		return;
	if (slot->flags & HARK__ALWAYS) {
		if (want != 0 && !hark__linked(&h->hark_ready))
			hark__append(&r->again, &h->hark_ready);
		return;
	}
	if (!(slot->armed & HARK_EDGE)) {
		hark__change(r, h);
		return;
	}
	slot->flags &= (uint8_t) ~((want & (HARK_RECV | HARK_SEND)) << HARK__IDLE_SHIFT);
	if ((want & ~(unsigned)slot->armed) || !edges_allowed(r, slot, h))
		hark__change(r, h);
	if ((slot->ready & want) && !hark__linked(&h->hark_ready))
		hark__append(&r->again, &h->hark_ready);
}

/* What to arm, given what is wanted; decides between level and edges. */
static unsigned plan(struct hark_reactor *r, struct hark_slot *slot, struct hark_handler *h)
{
	unsigned want = slot->want;
	unsigned kept = slot->armed & (HARK_RECV | HARK_SEND);
	unsigned turns = (h->hark_flags >> HARK__TURNS_SHIFT) & 7u;

	if (h->hark_flags & HARK__INTERNAL)
		return want |
		       (hark__waker_edges && (r->backend->can & HARK_CAN_EDGE) ? HARK_EDGE : 0);
	if (!(h->hark_flags & HARK__EDGES)) {
		if (want == slot->armed || !(h->hark_flags & HARK__WAS_ARMED) ||
		    turns == HARK__TURNS_MAX || !edges_allowed(r, slot, h))
			return want;
		h->hark_flags += 1u << HARK__TURNS_SHIFT;
		h->hark_flags |= HARK__EDGES;
	} else if (!edges_allowed(r, slot, h)) {
		h->hark_flags &= ~HARK__EDGES;
		return want;
	}
	if (!(slot->flags & HARK__DISARM))
		want |= kept;
	return want == 0 ? 0 : want | HARK_EDGE;
}

/* The kernel will not watch h: dispatch tells it, so that no callback runs during a flush. */
static void refuse(struct hark_reactor *r, struct hark_handler *h, int error)
{
	if (!(h->hark_flags & HARK__ERROR_MASK))
		h->hark_flags |= (unsigned)error << HARK__ERROR_SHIFT;
	if (!hark__linked(&h->hark_ready))
		hark__append(&r->port.ready, &h->hark_ready);
}

/* The kernel will not watch h because it is always ready: a regular file, say. From now on it is so
 * in user space, and takes no part in waiting. */
static void always_ready(struct hark_reactor *r, struct hark_slot *slot, struct hark_handler *h)
{
	if (slot->armed != 0)
		r->backend->modify(r->state, h->fd, slot, 0);
	slot->armed = 0;
	slot->flags |= HARK__ALWAYS;
	hark__update(r, slot, h);
}

static int arm(struct hark_reactor *r, struct hark_slot *slot, struct hark_handler *h,
               unsigned want)
{
	if (slot->armed == 0) {
		slot->generation++;
		slot->word = 0;
	}
	/* To arm again what was used up is no change. */
	if (slot->armed != want)
		r->stats.changes++;
	return r->backend->modify(r->state, h->fd, slot, want);
}

static void change(struct hark_reactor *r, struct hark_slot *slot, struct hark_handler *h)
{
	unsigned want = plan(r, slot, h);
	unsigned changed = want ^ slot->armed;
	int error;

	slot->flags &= (uint8_t)~HARK__DISARM;
	if (changed == 0 && !(slot->flags & HARK__SPENT))
		return;
	error = arm(r, slot, h, want);
	if (error == -ENOENT && slot->armed != 0) {
		/* The descriptor was closed and its number reused without a word to hark. What
		 * the kernel may still hold of the old one must not pass for the new. */
		slot->armed = 0;
		error = want == 0 ? 0 : arm(r, slot, h, want);
	}
	if (error == -EPERM) {
		always_ready(r, slot, h);
		return;
	}
	if (error < 0) {
		refuse(r, h, -error);
		return;
	}
	if (changed & HARK_EDGE)
		changed = HARK__DIRECTIONS | HARK_BROKEN;
	slot->ready &= (uint8_t)~changed;
	slot->armed = (uint8_t)want;
	slot->flags = 0;
	h->hark_flags |= HARK__WAS_ARMED;
}

void hark__flush(struct hark_reactor *r)
{
	struct hark_link *list = &r->port.changes;

	while (!hark__list_empty(list)) {
		struct hark_handler *h = hark__of_change(list->next);
		struct hark_slot *slot = hark__slot_of(r, h);

		if (h->hark_flags & HARK__ASK)
			hark__update(r, slot, h);
		hark__unlink(&h->hark_change);
		if (!(slot->flags & HARK__ALWAYS))
			change(r, slot, h);
		else if (slot->armed != 0)
			always_ready(r, slot, h);
	}
}

bool hark__ready_elsewhere(struct hark_port *up, int fd, uint32_t generation, unsigned events)
{
	if (up->layer != NULL)
		return hark__layer_ready(up->layer, fd, generation, events);
	up->stale++;
	return false;
}

void hark__ready_rare(struct hark_port *up, struct hark_slot *slot, unsigned events)
{
	struct hark_reactor *r = hark__container(up, struct hark_reactor, port);
	struct hark_handler *h = slot->handler;

	if (events & (HARK_RDHUP | HARK_URGENT | HARK_BROKEN))
		h->hark_flags |= HARK__PARTIAL;
	if (events & HARK_SPENT)
		slot->flags |= HARK__SPENT;
	if (events & (HARK_BROKEN | HARK_SPENT))
		hark__change(r, h);
}

/* A direction is disarmed at its second unwanted edge in a row: the first may just have come
 * between two uses. (A Unix socket is reported writable each time its peer has read, so in a
 * dialogue of requests and answers to disarm at once would cost two changes an exchange.) Urgent
 * data comes unasked with edges, and cannot be disarmed. */
void hark__ready_unwanted(struct hark_port *up, struct hark_slot *slot, unsigned events)
{
	struct hark_reactor *r = hark__container(up, struct hark_reactor, port);
	unsigned idle = (events & (HARK_RECV | HARK_SEND)) << HARK__IDLE_SHIFT;

	if (!(slot->armed & HARK_EDGE)) {
		/* Level-triggered, and spent or not asked for: dispatch and flush will see. */
		if (!hark__linked(&slot->handler->hark_ready))
			hark__append(&up->ready, &slot->handler->hark_ready);
		return;
	}
	if (slot->flags & idle) {
		slot->flags |= HARK__DISARM;
		hark__change(r, slot->handler);
	}
	slot->flags |= (uint8_t)idle;
}

void hark_refuse(struct hark_port *up, int fd, uint32_t generation, int error)
{
	struct hark_reactor *r = hark__container(up, struct hark_reactor, port);
	struct hark_slot *slot;

	if (up->layer != NULL) {
		hark__layer_refuse(up->layer, fd, generation, error);
		return;
	}
	slot = hark__slot(up, fd);
	if (slot == NULL || slot->generation != generation || slot->armed == 0) {
		up->stale++;
		return;
	}
	if (error == EPERM) {
		/* Called in this turn, and out of the kernel by the next flush. */
		slot->flags |= HARK__ALWAYS;
		hark__change(r, slot->handler);
		if (!hark__linked(&slot->handler->hark_ready))
			hark__append(&up->ready, &slot->handler->hark_ready);
	} else {
		refuse(r, slot->handler, error);
	}
}
