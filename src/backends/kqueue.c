/* kqueue.c - kqueue(2): FreeBSD, NetBSD, OpenBSD, macOS, and libkqueue on Linux.
 *
 * Each direction of a descriptor is a knote of its own, found by filter and descriptor, with the
 * slot's generation as its user data. modify only notes changes down; they travel in the call
 * that waits, or alone when they must not wait for it.
 *
 * What kernels do oddly (m: measured on FreeBSD 12.3 and NetBSD 7.99; s: read in kern_event.c of
 * FreeBSD, NetBSD, OpenBSD and macOS, or in the file named):
 *
 * - A change that fails takes a place in the event list, and a call with such an error returns
 *   no event and does not sleep (m, s). Without a place for it the call itself fails and the later
 *   changes are lost (m): so there are always as many places as changes.
 * - In its error a change has lost its flags, except on macOS (s). Whether it was an addition or
 *   a deletion shows in the errno and the user data alone.
 * - Changes are made before the call sleeps: after EINTR they have been made (s).
 * - EV_ADD of a knote that exists cannot turn EV_CLEAR on (m): a change of mode deletes it first.
 *   Nor does it enable the knote (m): EV_ENABLE goes with it.
 * - close(2) deletes the knotes of its number, even while a dup is open (m). EV_DELETE then fails
 *   with EBADF, or with ENOENT once the number is in use again (m), and nothing is wrong.
 * - When the reader of a pipe goes, FreeBSD deletes the writer's knote with its last event, which
 *   it marks EV_ONESHOT, and refuses a new one with EPIPE; NetBSD goes on reporting the knote, but
 *   refuses a new one with EBADF (m). macOS refuses none (sys_pipe.c).
 * - What has no events to offer is refused with ENODEV, like /dev/null on FreeBSD (m). A regular
 *   file at its end has no event either (m), where select(2) says that it can always be read.
 * - A fork does not inherit the kqueue, and its number may be the child's next descriptor (m): a
 *   child closes nothing. For the same reason close-on-exec need not be set in one step.
 *
 * What libkqueue 2.7.0 does otherwise (read in its source, and measured):
 *
 * - It waits in spite of errors, and loses them if no event comes meanwhile; but not when the
 *   list is full of receipts. Changes never travel in a call that waits.
 * - It loses edges that find no place in the event list. Here it is level-triggered only.
 * - It asks a socket that failed for its error, which clears it: the handler finds none.
 * - Its descriptor cannot be polled. Its fork handler has already closed it in a child. */
#include "core/port.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/event.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef LIBKQUEUE
#define EMULATION true
#else
#define EMULATION false
#endif

#define ROOM 64 /* changes kept, and events taken, at a time */

/* A short and a pointer, but on NetBSD a uint32_t and, in old versions, an intptr_t. */
typedef __typeof__(((struct kevent *)NULL)->filter) filter_type;
typedef __typeof__(((struct kevent *)NULL)->udata) udata_type;

static const struct {
	filter_type filter;
	unsigned fflags;
	unsigned direction;
} filters[] = {
	{EVFILT_READ, 0, HARK_RECV},
	{EVFILT_WRITE, 0, HARK_SEND},
#if defined(EVFILT_EXCEPT) && defined(NOTE_OOB)
	{EVFILT_EXCEPT, NOTE_OOB, HARK_URGENT},
#define DIRECTIONS (HARK_RECV | HARK_SEND | HARK_URGENT)
#else
#define DIRECTIONS (HARK_RECV | HARK_SEND)
#endif
};

#define FILTERS (sizeof(filters) / sizeof(filters[0]))

struct kqueue_state {
	struct hark_port *up;
	int kq;
	uint16_t count; /* of changes; the type passes for an int and for NetBSD's size_t */
	bool refused;   /* errors() has reported something */
	struct kevent changes[ROOM + 1];
	struct kevent events[ROOM + 1];
};

static const struct timespec at_once;

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
		(void)close(k->kq);
}

static int kqueue_fd(void *state)
{
	const struct kqueue_state *k = state;

	return EMULATION ? -ENOTSUP : k->kq;
}

/* Hands in the changes. Returns how many errors or events came back, or -errno. */
static int call(struct kqueue_state *k, uint16_t room, const struct timespec *timeout)
{
	uint16_t count = k->count;
	int n;

	k->count = 0;
	n = kevent(k->kq, k->changes, count, k->events, room, timeout);
	return n < 0 ? -errno : n;
}

/* What the user data says: pointers are integers here, and nobody looks through them. */
static uint32_t generation_of(const struct kevent *ev)
{
	return (uint32_t)(uintptr_t)ev->udata;
}

static void note(struct kqueue_state *k, int fd, unsigned filter, uint16_t flags,
                 uint32_t generation)
{
	k->changes[k->count++] = (struct kevent){
		.ident = (uintptr_t)fd,
		.filter = filters[filter].filter,
		.flags = flags,
		.fflags = filters[filter].fflags,
		.udata = (udata_type)(uintptr_t)generation, /* NOLINT(performance-no-int-to-ptr) */
	};
}

/* Passes on the errors that came back that are somebody's business. Returns how many there were
 * of either kind. */
static int errors(struct kqueue_state *k, int n)
{
	int found = 0;

	for (const struct kevent *ev = k->events; ev < k->events + n; ev++) {
		int fd = (int)ev->ident;
		int error = (int)ev->data;

		if (!(ev->flags & EV_ERROR))
			continue;
		found++;
		/* A receipt; a knote that had gone already; nobody left to be told. */
		if (error == 0 || error == ENOENT || generation_of(ev) == 0)
			continue;
		/* These never block: a device without events, a pipe without a reader. */
		if (error == ENODEV || error == EPIPE ||
		    (error == EBADF && fcntl(fd, F_GETFD) >= 0))
			error = EPERM;
		hark_refuse(k->up, fd, generation_of(ev), error);
		k->refused = true;
	}
	return found;
}

/* An event that came back here could not be reported. None does when there is a receipt or an
 * error to return; so there always is. */
static int kqueue_submit(void *state)
{
	struct kqueue_state *k = state;
	int n;

	if (k->count == 0)
		return 0;
#ifdef EV_RECEIPT
	for (unsigned i = 0; i < k->count; i++)
		k->changes[i].flags |= EV_RECEIPT;
#else
	note(k, -1, 0, EV_DELETE, 0);
#endif
	n = call(k, k->count, &at_once);
	if (n > 0)
		errors(k, n);
	return n < 0 ? n : 0;
}

static int kqueue_modify(void *state, int fd, struct hark_slot *slot, unsigned want)
{
	struct kqueue_state *k = state;
	unsigned armed = slot->armed;
	unsigned kept = (armed ^ want) & HARK_EDGE ? 0 : armed & want;
	uint16_t add = want & HARK_EDGE ? EV_ADD | EV_ENABLE | EV_CLEAR : EV_ADD | EV_ENABLE;
	struct stat st;

	if (want & HARK__DIRECTIONS & ~DIRECTIONS)
		return -ENOTSUP;
	if (armed == 0) {
		if (fstat(fd, &st) < 0)
			return -errno;
		if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
			return -EPERM;
	}
	/* If this fails, so will the wait. */
	if (k->count + 2 * FILTERS > ROOM)
		(void)kqueue_submit(k);
	for (unsigned i = 0; i < FILTERS; i++)
		if (armed & ~kept & filters[i].direction)
			note(k, fd, i, EV_DELETE, slot->generation);
	for (unsigned i = 0; i < FILTERS; i++)
		if (want & ~kept & filters[i].direction)
			note(k, fd, i, add, slot->generation);
	if (want != 0)
		return 0;
	/* Nobody wants to hear of it any more. No registration has the generation 0. */
	for (unsigned i = 0; i < k->count; i++)
		if (k->changes[i].ident == (uintptr_t)fd)
			k->changes[i].udata = (udata_type)0;
	return 0;
}

static bool report(struct kqueue_state *k, const struct kevent *ev)
{
	int fd = (int)ev->ident;
	unsigned events;

	if (ev->filter == EVFILT_READ)
		events = ev->flags & EV_EOF ? HARK_RECV | HARK_RDHUP : HARK_RECV;
	else if (ev->filter == EVFILT_WRITE)
		events = ev->flags & EV_EOF ? HARK_SEND | HARK_BROKEN : HARK_SEND;
	else
		events = HARK_URGENT;
	/* Beside the end, the other flags hold the error of the socket. */
	if (ev->flags & EV_EOF && ev->fflags != 0)
		events |= HARK_BROKEN;

	if (!hark__ready(k->up, fd, generation_of(ev), events))
		return false;
	/* Its knote has gone, and whatever it was, it does not block any more. */
	if (ev->flags & EV_ONESHOT)
		hark_refuse(k->up, fd, generation_of(ev), EPERM);
	return true;
}

static int kqueue_wait(void *state, const struct timespec *timeout)
{
	struct kqueue_state *k = state;
	int status;
	int n;

	k->refused = false;
	if (EMULATION) {
		n = kqueue_submit(k);
		if (n < 0)
			return n;
	}
	do
		n = call(k, ROOM, k->refused ? &at_once : timeout);
	while (n > 0 && errors(k, n) > 0);
	if (n < 0)
		return n;

	status = n == ROOM ? HARK_FULL : 0;
	for (int i = 0; i < n; i++)
		if (!report(k, &k->events[i]))
			status |= HARK_DEAD;
	return status;
}

const struct hark_backend hark__kqueue = {
	.name = "kqueue",
	.state_size = sizeof(struct kqueue_state),
	.can = HARK_CAN_BATCH | (EMULATION ? 0 : HARK_CAN_EDGE),
	.open = kqueue_open,
	.close = kqueue_close,
	.modify = kqueue_modify,
	.wait = kqueue_wait,
	.submit = kqueue_submit,
	.fd = kqueue_fd,
};
