/* kqueue.c - kqueue(2): FreeBSD, NetBSD, OpenBSD, macOS, and libkqueue on Linux.
 *
 * Each direction of a descriptor is a knote of its own, found by (filter, descriptor), with the
 * slot's generation as its user data. modify only notes changes down; they travel in the call
 * that waits, or go alone through submit.
 *
 * What the kernels do oddly. (m: measured on FreeBSD 12.3 and NetBSD 7.99; s: read in their
 * kern_event.c, OpenBSD's and macOS's, or where named.)
 *
 * - A change that fails takes a slot of the event list, and a call that returns such an error
 *   returns no event and does not wait (m, s). Without a slot to put it in the call fails and
 *   the later changes are lost (m): the event list always has as many slots as there are changes.
 * - FreeBSD, NetBSD and OpenBSD replace the flags of a failed change by EV_ERROR, macOS adds it (s):
 *   whether an addition failed or a deletion can only be told from its errno and its user data.
 * - All changes are made before the call sleeps (s); with EINTR they have been made, and must
 *   not be handed in again.
 * - EV_ADD of a knote that exists cannot turn EV_CLEAR on or off (m): it is deleted first. Nor
 *   does it enable the knote (m): EV_ENABLE always goes with it.
 * - close(2) deletes the knotes of its number, even if a dup stays open (m). EV_DELETE then
 *   answers EBADF, or ENOENT once the number is used again (m): both are fine.
 * - Once the reader of a pipe is gone, FreeBSD deletes the writer's knote with its last event,
 *   which is marked EV_ONESHOT, and refuses a new one with EPIPE; NetBSD keeps the old one and
 *   refuses a new one with EBADF (m, and sys_pipe.c). macOS refuses neither (s).
 * - What has no events to offer, like FreeBSD's /dev/null, is refused with ENODEV (m). A regular
 *   file at its end has no event (m), where select(2) says that it is always readable.
 * - A fork does not inherit a kqueue, and the child's next descriptor may get its number (m). So
 *   a forked child closes nothing, and close-on-exec need not be set atomically.
 *
 * What libkqueue 2.7.0 does otherwise (read in its source, and measured):
 *
 * - An error is lost if no event comes with it, and the call waits. A call without a free slot
 *   in the event list does neither, so that changes go alone there, with a receipt for each.
 * - Edges that find no room in the event list are lost: there is only level-triggering there.
 * - The kqueue cannot be polled. Its fork handler has closed it in a child already. */
#include "core/port.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/event.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#if defined(EVFILT_EXCEPT) && defined(NOTE_OOB)
#define HAVE_URGENT 1
#else
#define HAVE_URGENT 0
#endif

#ifdef LIBKQUEUE
#define IS_EMULATION 1
#else
#define IS_EMULATION 0
#endif

enum {
	ROOM = 64,         /* changes noted down at a time, and events taken */
	CHANGES_MAX = 6,   /* of one modify: each of three knotes deleted, and added */
};

struct kqueue_state {
	struct hark_port *up;
	int kq;
	uint16_t count;    /* of changes; this type passes for int and for NetBSD's size_t */
	bool refused;      /* a change of this wait was: there may be something to do at once */
	struct kevent changes[ROOM];
	struct kevent events[ROOM];
};

static const struct timespec at_once = {0, 0};

/* NetBSD's filter is a uint32_t, the others' a short; its user data used to be an intptr_t. */
typedef __typeof__(((struct kevent *)NULL)->filter) filter_type;
typedef __typeof__(((struct kevent *)NULL)->udata) udata_type;

static const struct {
	filter_type filter;
	unsigned direction;
} filters[] = {
	{EVFILT_READ, HARK_RECV},
	{EVFILT_WRITE, HARK_SEND},
#if HAVE_URGENT
	{EVFILT_EXCEPT, HARK_URGENT},
#endif
};

#define FILTERS (sizeof(filters) / sizeof(filters[0]))

static int kqueue_open(void *state, struct hark_port *up)
{
	struct kqueue_state *k = state;

	k->up = up;
	k->kq = kqueue();
	if (k->kq < 0)
		return -errno;
	(void)fcntl(k->kq, F_SETFD, FD_CLOEXEC);
	return 0;
}

static void kqueue_close(void *state, bool forked)
{
	const struct kqueue_state *k = state;

	if (!forked)
		close(k->kq);
}

/* Hands in the changes, and returns how many errors or events came back, or -errno. */
static int call(struct kqueue_state *k, uint16_t room, const struct timespec *timeout)
{
	uint16_t count = k->count;
	int n;

	k->count = 0;
	n = kevent(k->kq, k->changes, count, k->events, room, timeout);
	return n < 0 ? -errno : n;
}

/* Looks for errors among the first n events, passes on those that matter, and returns how many
 * there were. */
static int errors(struct kqueue_state *k, int n)
{
	int found = 0;

	for (int i = 0; i < n; i++) {
		const struct kevent *ev = &k->events[i];
		uint32_t generation = (uint32_t)(uintptr_t)ev->udata;
		int fd = (int)ev->ident;
		int error = (int)ev->data;

		if (!(ev->flags & EV_ERROR))
			continue;
		found++;
		/* A receipt, a knote that had gone already, or nobody left to be told. */
		if (error == 0 || error == ENOENT || generation == 0)
			continue;
		/* Always ready: a pipe without a reader answers each write at once, and what knows no
		 * events does not block. */
		if (error == EPIPE || error == ENODEV ||
		    (error == EBADF && fcntl(fd, F_GETFD) >= 0))
			error = EPERM;
		k->refused = true;
		hark_refuse(k->up, fd, generation, error);
	}
	return found;
}

static void note(struct kqueue_state *k, int fd, filter_type filter, uint16_t flags,
                 uint32_t generation)
{
	k->changes[k->count++] = (struct kevent){
		.ident = (uintptr_t)fd,
		.filter = filter,
		.flags = flags,
		.udata = (udata_type)(uintptr_t)generation,
	};
}

static int kqueue_submit(void *state)
{
	struct kqueue_state *k = state;
	int n;

	if (k->count == 0)
		return 0;
	/* An event that came back now could not be reported. None does if there is an error or a
	 * receipt to return: ask for receipts, or, where there are none, make an error. */
#ifdef EV_RECEIPT
	for (int i = 0; i < k->count; i++)
		k->changes[i].flags |= EV_RECEIPT;
#else
	note(k, -1, EVFILT_READ, EV_DELETE, 0);
#endif
	n = call(k, k->count, &at_once);
	return n < 0 ? n : (errors(k, n), 0);
}
