/* message.c - posts from any thread, and the wake-up that most of them can do without.
 *
 * The inbox is a stack: a producer pushes with one compare-and-swap, the owner takes all of it
 * with one exchange and turns it round, so that each producer's order is kept and nobody pops
 * (which is what makes stacks of this kind go wrong).
 *
 * The owner sets `sleeping` before it waits and then looks at the inbox once more; a producer
 * pushes and then looks at `sleeping`. All four are sequentially consistent, so at least one of
 * the two sees the other: either the owner does not sleep, or the producer wakes it. Whoever
 * takes `sleeping` back to 0 writes the wake, so there is one write for each sleep.
 *
 * An owner that finds messages before it would sleep does not set it at all, so that a flood of
 * them is not slowed down by wakes.
 *
 * That store is a fence, which a reactor that nobody posts to need not pay at each wait: it begins
 * marked as sleeping and is left so, until the first post wakes it, perhaps needlessly.
 *
 * tests/model/wake.pml is the proof, and is to be changed with this. */
#include "core/core.h"

void hark_message_init(struct hark_message *m,
                       void (*handle_message)(struct hark_message *m, struct hark_reactor *r))
{
	*m = (struct hark_message){.handle_message = handle_message};
}

void hark__wake(struct hark_reactor *r)
{
	if (__atomic_load_n(&r->sleeping, __ATOMIC_SEQ_CST) &&
	    __atomic_exchange_n(&r->sleeping, 0, __ATOMIC_SEQ_CST))
		hark__waker_wake(&r->waker);
}

int hark_post(struct hark_reactor *r, struct hark_message *m)
{
	struct hark_message *top;

	if (r == NULL || m == NULL || m->handle_message == NULL)
		return -EINVAL;
	if (__atomic_exchange_n(&m->hark_queued, 1, __ATOMIC_ACQ_REL))
		return -EALREADY;
	__atomic_store_n(&m->hark_reactor, r, __ATOMIC_RELAXED);
	top = __atomic_load_n(&r->inbox, __ATOMIC_RELAXED);
	do
		m->hark_next = top;
	while (!__atomic_compare_exchange_n(&r->inbox, &top, m, true, __ATOMIC_SEQ_CST,
	                                    __ATOMIC_RELAXED));
	hark__wake(r);
	return 0;
}

static struct hark_message *of_link(struct hark_link *link)
{
	return hark__container(link, struct hark_message, hark_link);
}

/* Moves the inbox to the end of r->messages, oldest first. */
static void collect(struct hark_reactor *r)
{
	struct hark_message *m = __atomic_exchange_n(&r->inbox, NULL, __ATOMIC_SEQ_CST);
	struct hark_link *end = r->messages.prev;

	while (m != NULL) {
		struct hark_message *older = m->hark_next;
		struct hark_link *link = &m->hark_link;

		link->prev = end;
		link->next = end->next;
		end->next->prev = link;
		end->next = link;
		m = older;
	}
}

/* From here on the message is the caller's again, and may be posted by any thread at once. */
static void let_go(struct hark_message *m)
{
	hark__unlink(&m->hark_link);
	__atomic_store_n(&m->hark_queued, 0, __ATOMIC_RELEASE);
}

/* Handles what is queued now; what the callbacks post waits for the next turn. Returns the number
 * handled. */
int hark__handle_messages(struct hark_reactor *r)
{
	int count = 0;

	collect(r);
	hark__append_all(&r->handling, &r->messages);
	if (hark__measures(r))
		hark__worked(r);
	while (!hark__list_empty(&r->handling) && !hark__forked(r)) {
		struct hark_message *m = of_link(r->handling.next);
		void (*handle_message)(struct hark_message * m, struct hark_reactor * r) =
			m->handle_message;

		let_go(m);
		count++;
		r->stats.messages++;
		handle_message(m, r);
		if (hark__measures(r))
			hark__called(r, NULL, "message", -1);
	}
	/* In a child that a callback has forked, the rest waits for hark_reactor_after_fork. */
	hark__append_all(&r->handling, &r->messages);
	hark__append_all(&r->messages, &r->handling);
	return count;
}

bool hark_message_withdraw(struct hark_reactor *r, struct hark_message *m)
{
	if (hark__foreign(r) || !__atomic_load_n(&m->hark_queued, __ATOMIC_ACQUIRE) ||
	    __atomic_load_n(&m->hark_reactor, __ATOMIC_RELAXED) != r)
		return false;
	collect(r);
	if (!hark__linked(&m->hark_link))
		return false;
	let_go(m);
	return true;
}

void hark__detach_messages(struct hark_reactor *r)
{
	collect(r);
	hark__append_all(&r->handling, &r->messages);
	while (!hark__list_empty(&r->handling))
		let_go(of_link(r->handling.next));
}
