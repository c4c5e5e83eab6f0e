/* handler.c - adding handlers to a reactor and removing them. */
#include "core/core.h"
#include <fcntl.h>

void hark_handler_init(struct hark_handler *h, const struct hark_handler_ops *ops, int fd)
{
	*h = (struct hark_handler){.ops = ops, .fd = fd};
}

/* A question without a deed would have the handler called for nothing, for ever. */
static bool complete(const struct hark_handler_ops *ops)
{
	if (ops == NULL)
		return false;
	return ops->handle_ready != NULL ||
	       ((!ops->wants_recv || ops->handle_recv) && (!ops->wants_send || ops->handle_send) &&
	        (!ops->wants_urgent || ops->handle_urgent));
}

/* Takes fd's slot for h, with all the memory that watching it will need. */
int hark__attach(struct hark_reactor *r, struct hark_handler *h)
{
	struct hark_slot *slot;
	int error;

	error = hark__table_reserve(&r->port, h->fd);
	if (error < 0)
		return error;
	slot = hark__slot_of(r, h);
	if (slot->handler != NULL)
		return -EEXIST;
	if (r->backend->reserve != NULL) {
		error = r->backend->reserve(r->state, h->fd);
		if (error < 0)
			return error;
	}
	slot->handler = h;
	h->hark_reactor = r;
	h->hark_flags = (h->hark_flags & HARK__INTERNAL) | hark__nature(h->ops) |
	                (hark__chain_has_io(r) ? HARK__WRAPPED : 0);
	hark__update(r, slot, h);
	return 0;
}

int hark_handler_add(struct hark_reactor *r, struct hark_handler *h)
{
	int error;

	if (r == NULL || h == NULL || !complete(h->ops))
		return -EINVAL;
	if (hark__foreign(r))
		return -EPERM;
	if (hark__forked(r))
		return -ECHILD;
	if (h->hark_reactor != NULL)
		return -EEXIST;
	/* Some backends would find a closed descriptor at the next wait, select(2) never. */
	if (h->fd < 0 || fcntl(h->fd, F_GETFD) < 0)
		return -EBADF;
	error = hark__attach(r, h);
	if (error == 0)
		r->stats.handlers++;
	return error;
}

/* Forgets h; what the kernel has is the caller's affair, and what the backend has noted of it stays
 * for that: it may be about to close. */
void hark__detach(struct hark_reactor *r, struct hark_handler *h)
{
	struct hark_slot *slot = hark__slot_of(r, h);

	hark__unlink(&h->hark_ready);
	hark__unlink(&h->hark_change);
	*slot = (struct hark_slot){.generation = slot->generation, .word = slot->word};
	h->hark_reactor = NULL;
	if (r->current == h)
		r->current = NULL;
}

/* Has the kernel forget h at once: the caller may close the descriptor next, and a change that is
 * put off would meet whatever gets its number then. A forked child leaves its parent's kernel
 * object alone. */
static void disarm(struct hark_reactor *r, struct hark_handler *h)
{
	struct hark_slot *slot = hark__slot_of(r, h);

	if (slot->armed == 0 || hark__forked(r))
		return;
	r->stats.changes++;
	r->backend->modify(r->state, h->fd, slot, 0);
	slot->armed = 0;
	if (r->backend->submit != NULL)
		r->backend->submit(r->state);
}

void hark_handler_remove(struct hark_handler *h)
{
	struct hark_reactor *r = h->hark_reactor;

	if (r == NULL || hark__foreign(r))
		return;
	disarm(r, h);
	hark__detach(r, h);
	r->stats.handlers--;
}

void hark_handler_refresh(struct hark_handler *h)
{
	struct hark_reactor *r = h->hark_reactor;

	if (r == NULL || hark__foreign(r))
		return;
	h->hark_flags |= HARK__ASK;
	hark__change(r, h);
}

struct hark_reactor *hark_handler_reactor(const struct hark_handler *h)
{
	return h->hark_reactor;
}
