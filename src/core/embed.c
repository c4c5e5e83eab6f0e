/* embed.c - a reactor inside another event loop. */
#include "core/core.h"

int hark_reactor_fd(const struct hark_reactor *r)
{
	if (hark__forked(r))
		return -ECHILD;
	return r->backend->fd != NULL ? r->backend->fd(r->state) : -ENOTSUP;
}

int64_t hark_reactor_prepare(struct hark_reactor *r)
{
	if (hark__foreign(r) || r->running || hark__forked(r))
		return 0; /* the turn that follows says what is wrong */
	hark__flush(r);
	if (r->backend->submit != NULL && r->backend->submit(r->state) != 0)
		return 0; /* what was refused, the turn tells */
	if (!hark__list_empty(&r->again) || !hark__list_empty(&r->port.ready))
		return 0;
	/* As before a wait of our own: posts must write the wake from here on (message.c). */
	if (!hark__fall_asleep(r)) {
		hark__be_awake(r);
		return 0;
	}
	return r->wheel.pending > 0 ? hark__until_timer(r, -1) : -1;
}
