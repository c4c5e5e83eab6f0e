/* epoll.c - Linux's epoll.
 *
 * What the kernel does oddly here:
 * - A registration belongs to the open file, not to the descriptor: close(2) does not end it while
 *   a dup or a forked child holds the file, and afterwards nothing but closing the epoll
 *   descriptor can (epoll(7), question 6). Its events carry a dead generation; wait then answers
 *   HARK_DEAD.
 * - EPOLLERR and EPOLLHUP are always reported; what wants nothing must not be registered at all.
 * - EPOLL_CTL_MOD reports afresh whatever is ready, also with EPOLLET (fs/eventpoll.c,
 *   ep_modify); so a change loses no edge.
 * - Regular files and directories are refused with EPERM (epoll_ctl(2)).
 * - epoll_wait takes milliseconds in an int; epoll_pwait2 (Linux 5.11) takes nanoseconds, is
 *   ENOSYS before and EPERM under some seccomp filters. Its extra conversion makes it slower, so
 *   that it serves only timeouts that are no whole milliseconds. */
#include "core/port.h"
#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Small batches keep what a batch touches in the first-level cache; but where all that is ready
 * fits in a large one, that saves a wait. So a large one that was full is followed by small ones
 * until one of them is not. */
#define BATCH 128
#define SMALL_BATCH 64

struct epoll_state {
	struct hark_port *up;
	int fd;
	int batch; /* of the next wait */
	bool no_pwait2;
};

static int epoll_open(void *state, struct hark_port *up)
{
	struct epoll_state *s = state;

	s->up = up;
	s->batch = BATCH;
	s->fd = epoll_create1(EPOLL_CLOEXEC);
	return s->fd < 0 ? -errno : 0;
}

/* In a forked child this closes the child's descriptor only: the parent's set is untouched. */
static void epoll_close(void *state, bool forked)
{
	struct epoll_state *s = state;

	(void)forked;
	close(s->fd);
}

static int epoll_modify(void *state, int fd, struct hark_slot *slot, unsigned want)
{
	struct epoll_state *s = state;
	struct epoll_event event = {
		.events = (want & HARK_RECV ? (uint32_t)EPOLLIN : 0) |
	                  (want & HARK_SEND ? (uint32_t)EPOLLOUT : 0) |
	                  (want & HARK_URGENT ? (uint32_t)EPOLLPRI : 0),
		.data.u64 = (uint32_t)fd | (uint64_t)slot->generation << 32,
	};
	int op = slot->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (want == 0) {
		epoll_ctl(s->fd, EPOLL_CTL_DEL, fd, &event);
		return 0;
	}
	if (want & HARK_EDGE)
		event.events |= (uint32_t)EPOLLET | EPOLLRDHUP | EPOLLPRI;
	if (epoll_ctl(s->fd, op, fd, &event) == 0)
		return 0;
	/* A registration of the file under this number that hark has not made or has given up. */
	if (errno == EEXIST && epoll_ctl(s->fd, EPOLL_CTL_MOD, fd, &event) == 0)
		return 0;
	return -errno;
}

static unsigned events_of(uint32_t events)
{
	unsigned got = (events & EPOLLIN ? HARK_RECV : 0) | (events & EPOLLOUT ? HARK_SEND : 0);

	if (!(events & ~(uint32_t)(EPOLLIN | EPOLLOUT)))
		return got;
	return got | (events & EPOLLPRI ? HARK_URGENT : 0) |
	       (events & EPOLLRDHUP ? HARK_RECV | HARK_RDHUP : 0) |
	       (events & (EPOLLERR | EPOLLHUP) ? HARK_BROKEN : 0);
}

/* Whole milliseconds, rounded up. */
static int milliseconds(const struct timespec *timeout)
{
	if (timeout->tv_sec >= INT_MAX / 1000)
		return INT_MAX;
	return (int)(timeout->tv_sec * 1000 + (timeout->tv_nsec + 999999) / 1000000);
}

/* By its number: C libraries learnt of it late. The kernel's timespec has 64 bits everywhere. */
static int pwait2(int fd, struct epoll_event *events, int count, const struct timespec *timeout)
{
#ifdef SYS_epoll_pwait2
	const int64_t limit[2] = {timeout->tv_sec, timeout->tv_nsec};

	return (int)syscall(SYS_epoll_pwait2, fd, events, count, limit, NULL, (size_t)0);
#else
	(void)fd, (void)events, (void)count, (void)timeout;
	errno = ENOSYS;
	return -1;
#endif
}

static int wait_once(struct epoll_state *s, struct epoll_event *events,
                     const struct timespec *timeout)
{
	if (timeout == NULL)
		return epoll_wait(s->fd, events, s->batch, -1);
	if (timeout->tv_nsec % 1000000 != 0 && !s->no_pwait2) {
		int n = pwait2(s->fd, events, s->batch, timeout);

		if (n >= 0 || (errno != ENOSYS && errno != EPERM))
			return n;
		s->no_pwait2 = true;
	}
	return epoll_wait(s->fd, events, s->batch, milliseconds(timeout));
}

static int epoll_wait_events(void *state, const struct timespec *timeout)
{
	struct epoll_state *s = state;
	struct epoll_event events[BATCH];
	int n = wait_once(s, events, timeout);
	int result = n == s->batch ? HARK_FULL : 0;

	if (n < 0)
		return -errno;
	s->batch = result == HARK_FULL ? SMALL_BATCH : BATCH;
	for (int i = 0; i < n; i++) {
		int fd = (int)(uint32_t)events[i].data.u64;
		uint32_t generation = (uint32_t)(events[i].data.u64 >> 32);

		if (!hark__ready(s->up, fd, generation, events_of(events[i].events)))
			result |= HARK_DEAD;
	}
	return result;
}

static int epoll_fd(void *state)
{
	const struct epoll_state *s = state;

	return s->fd;
}

const struct hark_backend hark__epoll = {
	.name = "epoll",
	.state_size = sizeof(struct epoll_state),
	.can = HARK_CAN_EDGE | HARK_CAN_SHORT,
	.open = epoll_open,
	.close = epoll_close,
	.modify = epoll_modify,
	.wait = epoll_wait_events,
	.fd = epoll_fd,
};
