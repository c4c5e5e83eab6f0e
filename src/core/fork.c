/* fork.c - new kernel objects for a reactor: in a forked child, and when the old one holds a
 * registration that nobody owns.
 *
 * Both are the same: open the new object, forget what is armed, and have the next flush register
 * everything that is wanted. The old object is closed only once the new one is complete.
 *
 * A counter of forks, which pthread_atfork(3) advances in each child, tells a reactor that it is
 * somebody else's copy without a system call. */
#include "core/core.h"
#include <string.h>

volatile unsigned hark__forks;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int watch_error;

static void forked_in_parent(void)
{
	hark__signals_after_fork(false);
}

static void forked_in_child(void)
{
	hark__forks++;
	hark__signals_after_fork(true);
}

static void watch(void)
{
	watch_error = pthread_atfork(hark__signals_before_fork, forked_in_parent, forked_in_child);
}

int hark__fork_watch(void)
{
	int error = pthread_once(&once, watch);

	return error != 0 ? -error : -watch_error;
}

static const struct hark_handler_ops waking_ops = {.wants_recv = hark_always, .name = "waker"};

/* Watches the waker; its events never reach a callback (dispatch.c). */
int hark__watch_waker(struct hark_reactor *r)
{
	hark_handler_init(&r->waking, &waking_ops, r->waker.fd);
	r->waking.hark_flags = HARK__INTERNAL;
	return hark__attach(r, &r->waking);
}

static void unwatch_waker(struct hark_reactor *r)
{
	if (r->waking.hark_reactor != NULL)
		hark__detach(r, &r->waking);
}

/* Opens a second kernel object, with room for every handler. */
static int open_spare(struct hark_reactor *r)
{
	const struct hark_backend *backend = r->backend;
	int error;

	memset(r->spare, 0, backend->state_size);
	error = backend->open(r->spare, &r->port);
	if (error < 0 || backend->reserve == NULL)
		return error;
	for (int fd = 0; fd < r->port.slot_count && error == 0; fd++)
		if (r->port.slots[fd].handler != NULL)
			error = backend->reserve(r->spare, fd);
	if (error < 0)
		backend->close(r->spare, false);
	return error;
}

/* Nothing is armed any more: has the next flush register all that is wanted. What is always ready
 * is so without the kernel. */
static void forget_armed(struct hark_reactor *r)
{
	for (int fd = 0; fd < r->port.slot_count; fd++) {
		struct hark_slot *slot = &r->port.slots[fd];
		struct hark_handler *h = slot->handler;

		if (h == NULL || (slot->flags & HARK__ALWAYS) || h->hark_flags >> HARK__ERROR_SHIFT)
			continue;
		slot->armed = slot->ready = 0;
		slot->flags = 0;
		slot->word = 0;
		hark__unlink(&h->hark_ready);
		hark__change(r, h);
	}
}

static void take_spare(struct hark_reactor *r, bool forked)
{
	void *old = r->state;

	r->backend->close(old, forked);
	r->state = r->spare;
	r->spare = old;
	forget_armed(r);
}

int hark__rebuild(struct hark_reactor *r)
{
	int error = open_spare(r);

	if (error == 0)
		take_spare(r, false);
	return error;
}

int hark_reactor_after_fork(struct hark_reactor *r)
{
	struct hark__waker old = r->waker;
	int error;

	if (hark__foreign(r))
		return -EPERM;
	if (!hark__forked(r))
		return 0;
	if (hark__inside(r))
		return -EBUSY;
	/* The parent's waker is shared: a wake here would wake there. Detaching only touches the
	 * table while the reactor is marked as forked. */
	error = hark__waker_open(&r->waker);
	if (error == 0) {
		unwatch_waker(r);
		error = hark__watch_waker(r);
		if (error == 0)
			error = open_spare(r);
		if (error == 0) {
			hark__waker_close(&old);
			/* These remain the parent's. */
			hark__detach_children(r);
			hark__detach_jobs(r);
			take_spare(r, true);
			r->forks = hark__forks;
			r->sleeping = 0;
			r->running = false;
			return 0;
		}
		unwatch_waker(r);
		hark__waker_close(&r->waker);
	}
	r->waker = old;
	return error;
}
