/* embed.c - a reactor inside another event loop. */
#include "core/core.h"

int hark_reactor_fd(const struct hark_reactor *r)
{
	return r->backend->fd != NULL ? r->backend->fd(r->state) : -ENOTSUP;
}

int64_t hark_reactor_prepare(struct hark_reactor *r)
{
	if (hark__foreign(r) || r->running || hark__forked(r))
		return 0; /* the turn that follows says what is wrong */
	hark__flush(r);
	if (r->backend->submit != NULL)
		r->backend->submit(r->state);
	if (!hark__list_empty(&r->again) || !hark__list_empty(&r->port.ready))
		return 0;
	/* As before a wait of our own: posts must write the wake from here on (message.c). */
	__atomic_store_n(&r->sleeping, 1, __ATOMIC_SEQ_CST);
	if (hark__messages_waiting(r) || __atomic_load_n(&r->stopped, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&r->sleeping, 0, __ATOMIC_RELAXED);
		return 0;
	}
	return -1;
}
