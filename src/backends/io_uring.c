/* io_uring.c - Linux's io_uring: polls that are requests of a ring.
 *
 * A registration is a request to poll. Level-triggered it is for one event: the reactor arms it
 * again while it is wanted, and the kernel then looks at once whether it is ready. With edges it
 * stays (multishot), and reports each wake-up of the descriptor. Requests to arm and to cancel wait
 * in the submission ring and travel in the system call that waits; a removal alone is handed in at
 * once, because a poll holds the open file, and until it is cancelled close(2) ends nothing.
 *
 * Each request has a number of its own, which the slot's word holds while it is the one armed. What
 * completes with another number is of a registration that is over, and dropped.
 *
 * What the kernel does oddly (m: measured on Linux 6.18; s: read in io_uring/poll.c, io_uring.c):
 *
 * - What a wake-up says of itself is reported, without a look at the descriptor (s). A socket that
 *   has received says that it may be urgent: EPOLLIN and EPOLLPRI are reported of ordinary data and
 *   of urgent data alone (m), and whoever then receives loses that. So where urgent data is wanted
 *   poll(2) is asked; with edges it is not waited for, and a short read proves nothing here (no
 *   HARK_CAN_SHORT).
 * - A wake-up with nothing but EPOLLPRI is not waited for at all; with EPOLLRDBAND it is (m).
 * - A poll is also ended by EPOLLRDHUP, asked for or not (s), and one that waits to send to a peer
 *   who has ended its side would be, again and again (found by the differential test).
 * - A multishot poll ends, without IORING_CQE_F_MORE, when its event finds no place in the
 *   completion ring. Events that find none are kept by the kernel (IORING_FEAT_NODROP) until the
 *   next call that asks for events (s).
 * - What cannot be polled, such as a regular file, is always ready, as for poll(2) (m). It is armed
 *   again in each turn, and completes at once.
 * - What the kernel has to do for requests of another thread, to cancel them too, only that thread
 *   does; it may have to be waited for. Where it has ended, a worker of the kernel does it, some
 *   milliseconds later: what wakes completes with ECANCELED under the number that is armed, and is
 *   armed anew; and IORING_SQ_TASKRUN can stay for ever (m).
 * - When something was handed in and then a signal or the timeout ended the wait, the call returns
 *   the number of requests, as if neither had come (s).
 * - A ring that is closed lets go of its polls some time later, and not at all while a child has
 *   it (s, m): so they are cancelled before, and children inherit neither a ring nor its memory.
 * - To cancel all at once takes the square of their number (m: half a second for 9,000): for each
 *   the kernel passes by all that it has cancelled and not yet removed (s).
 * - IORING_SETUP_DEFER_TASKRUN (Linux 6.1) makes an event 5 to 10 % cheaper (m). Such a ring is of
 *   the thread that enables it, the first to wait here; to others the kernel says EEXIST. What it
 *   has to do it does only in a call that asks for events, some twenty pieces in each, and tells of
 *   the rest by IORING_SQ_TASKRUN: a poll that was cancelled holds its file until then (s). A piece
 *   may bring nothing (m); and the flag may be set after its work was done, and stay (found by a
 *   soak, in which a loop until it is cleared spun): some calls in vain are enough. And poll(2) on
 *   the ring's own descriptor is not woken (m). So a reactor that another thread takes over, or
 *   another loop embeds, gets a ring without it. The polls of the ring that was another thread's
 *   are let go of some milliseconds after it is closed. */
#include "core/port.h"
#include "sys/close_on_fork.h"
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SUBMISSIONS 256
#define COMPLETIONS 4096

/* Small batches keep what a batch touches in the first-level cache. */
#define BATCH 64

/* Calls for what the kernel puts off that bring nothing, one after the other, before it is left. */
#define IN_VAIN 16

/* How the kernel is to do its work for the ring, the best first. */
static const unsigned manners[] = {
	IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED |
		IORING_SETUP_TASKRUN_FLAG,
	IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, /* Linux 5.19 */
	0,
};

/* The first that serves any thread, and whoever polls the ring. */
#define SHARED 1u

struct io_uring_state {
	struct hark_port *up;
	struct hark__close_on_fork inherited;
	struct io_uring ring;
	unsigned manner; /* in manners */
	bool disabled;   /* nothing was handed in yet: it is nobody's */
	bool full;       /* the last wait found a batch, and perhaps there was more */
	uint32_t serial; /* of the last request to poll; 0 is none */
	unsigned skip;   /* IOSQE_CQE_SKIP_SUCCESS, where there is one */

	/* The submission ring was full, and the kernel took nothing. */
	bool unarmed;     /* some requests to poll found no place: they come after the next wait */
	bool uncancelled; /* a poll goes on that nobody owns, or was lost: the ring is replaced */
};

/* The number of requests whose completion tells nothing. */
#define NOBODY ((uint64_t)0)

/* Beside the number in a slot's word: a level-triggered registration that something unwanted would
 * end again and again stays armed until something wanted comes. */
#define PATIENT ((uintptr_t)1 << 31)

static uint32_t serial_of(const struct hark_slot *slot)
{
	return (uint32_t)(slot->word & ~PATIENT);
}

static uint64_t number_of(int fd, uint32_t serial)
{
	return (uint32_t)fd | (uint64_t)serial << 32;
}

/* The reason in words where the errno alone would mislead. */
static void explain(struct hark_port *up, int error)
{
	if (error == ENOSYS)
		hark_port_why(up, "the kernel has no io_uring, or a filter hides it (ENOSYS)");
	else if (error == EPERM)
		hark_port_why(up, "not permitted: by kernel.io_uring_disabled or a seccomp filter");
	else if (error == ENOMEM)
		hark_port_why(up, "no memory for its rings, or over the limit of locked memory");
}

/* Has the kernel something to do before all that has completed can be seen? It may have found no
 * place, or not yet have been looked for. */
static bool is_behind(const struct io_uring_state *s, unsigned reasons)
{
	return (__atomic_load_n(s->ring.sq.kflags, __ATOMIC_RELAXED) & reasons) != 0;
}

/* Opens a ring in this manner, or the best of those behind it that the kernel knows. */
static int ring_open(struct io_uring_state *s, unsigned manner)
{
	/* The last came with multishot polls, in Linux 5.13. */
	const unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_SINGLE_MMAP |
	                        IORING_FEAT_RSRC_TAGS;
	struct io_uring_params params;
	int error;

	do {
		params = (struct io_uring_params){
			.flags = IORING_SETUP_CQSIZE | manners[manner],
			.cq_entries = COMPLETIONS,
		};
		error = io_uring_queue_init_params(SUBMISSIONS, &s->ring, &params);
	} while (error == -EINVAL && manners[manner++] != 0);
	if (error < 0) {
		explain(s->up, -error);
		return error;
	}
	if ((params.features & needed) != needed) {
		io_uring_queue_exit(&s->ring);
		hark_port_why(s->up, "the kernel's io_uring has no polls that stay (before 5.13)");
		return -ENOTSUP;
	}
	error = io_uring_ring_dontfork(&s->ring);
	if (error < 0) {
		io_uring_queue_exit(&s->ring);
		return error;
	}
	s->manner = manner;
	s->disabled = params.flags & IORING_SETUP_R_DISABLED;
	s->skip = params.features & IORING_FEAT_CQE_SKIP ? IOSQE_CQE_SKIP_SUCCESS : 0;
	return 0;
}

static int io_uring_open(void *state, struct hark_port *up)
{
	struct io_uring_state *s = state;
	int error;

	s->up = up;
	error = ring_open(s, 0);
	if (error < 0)
		return error;
	error = hark__close_on_fork(&s->inherited, s->ring.ring_fd);
	if (error < 0)
		io_uring_queue_exit(&s->ring);
	return error;
}

/* From now on the ring is this thread's, where it is to be one's. Where a filter forbids that, the
 * ring is of no more use than another thread's. Returns 0 or -EEXIST. */
static int enable(struct io_uring_state *s)
{
	/* liburing 2.3 declares a function for it, and does not export that. */
	if (s->disabled &&
	    io_uring_register((unsigned)s->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
		return -EEXIST;
	s->disabled = false;
	return 0;
}

/* Looks for events, and has the kernel do some of what it puts off. Returns 0 or -errno. */
static int get_events(struct io_uring_state *s)
{
	int error = io_uring_get_events(&s->ring);

	if (error == -EBADR) /* it had no memory for a completion: nobody knows whose */
		s->uncancelled = true;
	return error < 0 ? error : 0;
}

/* Has the kernel do all that it puts off until it is asked for events. */
static int catch_up(struct io_uring_state *s)
{
	unsigned in_vain = 0;
	int error = 0;

	while (error == 0 && in_vain < IN_VAIN && s->manner < SHARED &&
	       is_behind(s, IORING_SQ_TASKRUN)) {
		unsigned ready = io_uring_cq_ready(&s->ring);

		error = get_events(s);
		in_vain = io_uring_cq_ready(&s->ring) == ready ? in_vain + 1 : 0;
	}
	return error;
}

/* Hands in what waits in the submission ring. Returns 0 or -errno. */
static int hand_in(struct io_uring_state *s)
{
	bool asked = false;

	while (io_uring_sq_ready(&s->ring) > 0) {
		int n = enable(s);

		if (n == 0)
			n = io_uring_submit(&s->ring);
		if (n == -EBUSY && !asked) {
			/* Kept events stand in the way; as many as find a place are taken. */
			get_events(s);
			asked = true;
		} else if (n <= 0) {
			return n < 0 ? n : -EAGAIN;
		}
	}
	return 0;
}

/* A place in the submission ring, or NULL if it is full and the kernel takes nothing. */
static struct io_uring_sqe *place(struct io_uring_state *s)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);

	if (sqe == NULL && hand_in(s) == 0)
		sqe = io_uring_get_sqe(&s->ring);
	return sqe;
}

/* Has the poll that is armed for fd end. Returns false if there is no place for it. */
static bool cancel(struct io_uring_state *s, int fd, const struct hark_slot *slot)
{
	struct io_uring_sqe *sqe = place(s);

	if (sqe == NULL)
		return false;
	io_uring_prep_cancel64(sqe, number_of(fd, serial_of(slot)), 0);
	io_uring_sqe_set_data64(sqe, NOBODY);
	io_uring_sqe_set_flags(sqe, s->skip);
	return true;
}

/* Before a ring is closed: has its polls end, and drops what has completed. (Before Linux 6.0 there
 * is no such call for those that no slot knows.) */
static void cancel_all(struct io_uring_state *s)
{
	struct io_uring_sync_cancel_reg all = {
		.fd = -1,
		.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
	};
	const struct hark_slot *slot;
	bool taken = true;

	if (s->disabled)
		return;
	for (int fd = 0; taken && (slot = hark__slot(s->up, fd)) != NULL; fd++) {
		if (serial_of(slot) != 0)
			taken = cancel(s, fd, slot);
		if (taken && io_uring_sq_space_left(&s->ring) == 0) {
			taken = hand_in(s) == 0 && catch_up(s) == 0;
			io_uring_cq_advance(&s->ring, io_uring_cq_ready(&s->ring));
		}
	}
	hand_in(s);
	io_uring_register_sync_cancel(&s->ring, &all);
	catch_up(s);
}

/* A forked child has nothing of its parent's ring any more. */
static void io_uring_close(void *state, bool forked)
{
	struct io_uring_state *s = state;

	if (forked)
		return;
	cancel_all(s);
	hark__close_on_fork_no_more(&s->inherited);
	io_uring_queue_exit(&s->ring);
}

static unsigned mask_of(unsigned want)
{
	return (want & HARK_RECV ? (unsigned)POLLIN : 0) |
	       (want & HARK_SEND ? (unsigned)POLLOUT : 0) |
	       (want & HARK_URGENT ? (unsigned)POLLPRI | POLLRDBAND : 0) |
	       (want & HARK_EDGE ? (unsigned)POLLRDHUP : 0);
}

static int io_uring_modify(void *state, int fd, struct hark_slot *slot, unsigned want)
{
	struct io_uring_state *s = state;
	struct io_uring_sqe *sqe;
	bool patient;

	if (serial_of(slot) != 0 && !cancel(s, fd, slot))
		s->uncancelled = true;
	patient = slot->word & PATIENT && want == slot->armed;
	slot->word = 0;
	if (want == 0)
		return 0;
	sqe = place(s);
	if (sqe == NULL) {
		s->unarmed = true;
		return 0;
	}
	s->serial = s->serial % (PATIENT - 1) + 1;
	if (want & HARK_EDGE || patient)
		io_uring_prep_poll_multishot(sqe, fd, mask_of(want));
	else
		io_uring_prep_poll_add(sqe, fd, mask_of(want));
	io_uring_sqe_set_data64(sqe, number_of(fd, s->serial));
	slot->word = s->serial | (patient ? PATIENT : 0);
	return 0;
}

/* Goes on with a new ring, on which all is armed that was; the old one remains if there is none. */
static int replace(struct io_uring_state *s, unsigned manner)
{
	struct io_uring_state next = {.up = s->up};
	struct hark_slot *slot;
	int error = ring_open(&next, manner);

	if (error < 0)
		return error;
	cancel_all(s);
	hark__close_on_fork_instead(&s->inherited, next.ring.ring_fd);
	io_uring_queue_exit(&s->ring);
	s->ring = next.ring;
	s->manner = next.manner;
	s->disabled = next.disabled;
	s->full = s->unarmed = s->uncancelled = false;
	for (int fd = 0; (slot = hark__slot(s->up, fd)) != NULL; fd++) {
		slot->word &= PATIENT;
		if (slot->armed != 0)
			io_uring_modify(s, fd, slot, slot->armed);
	}
	return 0;
}

/* Of the errors of a call: the ring cannot be used, because it is another thread's. */
static bool is_lost(int error)
{
	return error == -EEXIST || error == -EBADF;
}

/* Goes on with a ring for any thread in place of one that is lost. That one's descriptor may be the
 * last that there is; what it maps stays until there is another. */
static int take_over(struct io_uring_state *s)
{
	hark__close_on_fork_instead(&s->inherited, -1);
	if (s->ring.ring_fd >= 0)
		close(s->ring.ring_fd);
	s->ring.ring_fd = s->ring.enter_ring_fd = -1;
	return replace(s, SHARED);
}

/* What the descriptor shows now of what is wanted. */
static unsigned look(int fd, unsigned want)
{
	struct pollfd p = {.fd = fd, .events = (short)mask_of(want)};

	return poll(&p, 1, 0) == 1 ? (unsigned)p.revents : 0;
}

static unsigned events_of(unsigned mask)
{
	unsigned got = (mask & POLLIN ? HARK_RECV : 0) | (mask & POLLOUT ? HARK_SEND : 0);

	if (!(mask & ~(unsigned)(POLLIN | POLLOUT)))
		return got;
	return got | (mask & POLLPRI ? HARK_URGENT : 0) |
	       (mask & POLLRDHUP ? HARK_RECV | HARK_RDHUP : 0) |
	       (mask & (POLLERR | POLLHUP) ? HARK_BROKEN : 0);
}

/* The events of an arming that has reported a mask. A level-triggered one is over then, and nobody
 * would know until the next wait of what came after the wake-up that ended it. */
static unsigned events_now(int fd, const struct hark_slot *slot, unsigned mask)
{
	const unsigned events = events_of(mask), armed = slot->armed;

	if (armed & HARK_URGENT || (!(armed & HARK_EDGE) && armed & ~events))
		return events_of(look(fd, armed));
	return events;
}

/* Returns whether it was news to anybody. */
static bool report(struct io_uring_state *s, const struct io_uring_cqe *cqe)
{
	const int fd = (int)(uint32_t)cqe->user_data;
	const uint32_t serial = (uint32_t)(cqe->user_data >> 32);
	struct hark_slot *slot;
	unsigned events;
	bool news;

	if (serial == 0)
		return false;
	slot = hark__slot(s->up, fd);
	if (slot == NULL || serial_of(slot) != serial)
		return false;
	if (cqe->res >= 0)
		events = events_now(fd, slot, (unsigned)cqe->res);
	else if (cqe->res == -ECANCELED)
		events = 0;
	else if (cqe->res == -EBADF)
		return false; /* closed without a word to hark: silent, as with other backends */
	else {
		slot->word = 0;
		hark_refuse(s->up, fd, slot->generation, -cqe->res);
		return true;
	}
	if (!(cqe->flags & IORING_CQE_F_MORE)) {
		slot->word = 0;
		events |= HARK_SPENT;
	}
	if (!(slot->armed & HARK_EDGE)) {
		if (events & (slot->armed | HARK_BROKEN)) {
			slot->word &= ~PATIENT; /* is cancelled if it goes on, and armed anew */
			events |= HARK_SPENT;
		} else if (events & HARK_SPENT) {
			slot->word = PATIENT;
			events = HARK_SPENT;
		} else {
			return false;
		}
	}
	news = events & ~(unsigned)slot->ready;
	hark__ready(s->up, fd, slot->generation, events);
	return news;
}

/* Reports what has completed, at most so much. Returns how many reports that were, not counting
 * those of a multishot poll that was woken again and again: a batch full of them would keep
 * others waiting. */
static unsigned reap(struct io_uring_state *s, unsigned most)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0, count = 0;

	io_uring_for_each_cqe(&s->ring, head, cqe)
	{
		seen++;
		count += report(s, cqe);
		if (count == most)
			break;
	}
	io_uring_cq_advance(&s->ring, seen);
	return count;
}

static int64_t monotonic(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return HARK_S(time.tv_sec) + time.tv_nsec;
}

/* Hands in what there is and sleeps. Returns 0 or -errno, -EINTR if a signal came first. */
static int sleep_for(struct io_uring_state *s, const struct timespec *timeout)
{
	const bool hands_in = io_uring_sq_ready(&s->ring) > 0;
	struct __kernel_timespec limit;
	struct io_uring_cqe *cqe;
	int64_t end = INT64_MAX;
	int n;

	if (timeout == NULL) {
		n = io_uring_submit_and_wait(&s->ring, 1);
	} else {
		limit = (struct __kernel_timespec){timeout->tv_sec, timeout->tv_nsec};
		if (hands_in)
			end = monotonic() + HARK_S(timeout->tv_sec) + (int64_t)timeout->tv_nsec;
		n = io_uring_submit_and_wait_timeout(&s->ring, &cqe, 1, &limit, NULL);
	}
	if (n < 0 && n != -ETIME)
		return n;
	/* What ended the wait, when requests were handed in and nothing has completed? */
	if (hands_in && io_uring_cq_ready(&s->ring) == 0 && (end == INT64_MAX || monotonic() < end))
		return -EINTR;
	return 0;
}

/* Has what found no place in the submission ring armed again. */
static void report_unarmed(struct io_uring_state *s)
{
	struct hark_slot *slot;

	s->unarmed = false;
	for (int fd = 0; (slot = hark__slot(s->up, fd)) != NULL; fd++)
		if (slot->armed != 0 && serial_of(slot) == 0)
			hark__ready(s->up, fd, slot->generation, HARK_SPENT);
}

/* The next wait has more to do than the kernel knows of where something found no place. */
static int io_uring_submit_changes(void *state)
{
	struct io_uring_state *s = state;
	int error = hand_in(s);

	if (error == 0)
		error = catch_up(s);
	if (is_lost(error)) {
		error = take_over(s);
		if (error == 0)
			error = hand_in(s);
	}
	return error == 0 && (s->unarmed || s->uncancelled) ? 1 : error;
}

static int io_uring_fd(void *state)
{
	struct io_uring_state *s = state;
	int error = s->manner < SHARED ? replace(s, SHARED) : 0;

	if (error == 0)
		error = hand_in(s);
	if (error == 0 && s->unarmed)
		error = -EAGAIN;
	return error < 0 ? error : s->ring.ring_fd;
}

static int wait_once(struct io_uring_state *s, const struct timespec *timeout)
{
	const bool at_once = s->unarmed || s->uncancelled ||
	                     (timeout != NULL && timeout->tv_sec == 0 && timeout->tv_nsec == 0);
	unsigned behind = IORING_SQ_CQ_OVERFLOW, in_vain = 0, count;
	int error = enable(s);

	/* What is ready all the time completes as it is armed again, and would always be before
	 * what has become ready since and was put off. */
	if (error == 0 && s->full && io_uring_sq_ready(&s->ring) > 0)
		error = catch_up(s);
	if (error < 0)
		return error;
	/* What has completed is seen without a system call. */
	if (!at_once && io_uring_cq_ready(&s->ring) == 0)
		error = sleep_for(s, timeout);
	else if (io_uring_sq_ready(&s->ring) > 0 ||
	         is_behind(s, IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN))
		error = io_uring_submit_and_get_events(&s->ring);
	if (error == -EBADR)
		s->uncancelled = true;
	if (error < 0 && io_uring_cq_ready(&s->ring) == 0 && !s->uncancelled)
		return error;
	count = reap(s, BATCH);
	/* What had no place until now, or was put off; and if all was nobody's business, what there
	 * is more. */
	if (count == 0 || s->manner < SHARED)
		behind |= IORING_SQ_TASKRUN;
	while (count < BATCH && in_vain < IN_VAIN && is_behind(s, behind)) {
		error = get_events(s);
		if (error < 0)
			break;
		if (io_uring_cq_ready(&s->ring) == 0)
			in_vain += s->manner < SHARED ? 1 : IN_VAIN;
		count += reap(s, BATCH - count);
	}
	if (s->unarmed)
		report_unarmed(s);
	if (count == 0 && is_lost(error))
		return error;
	s->full = count == BATCH;
	return s->full ? HARK_FULL : 0;
}

static int io_uring_wait(void *state, const struct timespec *timeout)
{
	struct io_uring_state *s = state;
	int rc;

	if (s->uncancelled)
		replace(s, s->manner); /* or tries again in the next wait */
	rc = wait_once(s, timeout);
	if (is_lost(rc)) {
		rc = take_over(s);
		if (rc == 0)
			rc = wait_once(s, timeout);
	}
	return rc;
}

const struct hark_backend hark__io_uring = {
	.name = "io_uring",
	.state_size = sizeof(struct io_uring_state),
	.can = HARK_CAN_EDGE | HARK_CAN_BATCH,
	.open = io_uring_open,
	.close = io_uring_close,
	.modify = io_uring_modify,
	.wait = io_uring_wait,
	.submit = io_uring_submit_changes,
	.fd = io_uring_fd,
};
