/* waker_eventfd.c - the waker of Linux (and FreeBSD 13): one descriptor, a counter.
 *
 * A write to an eventfd is an edge for EPOLLET however high its counter is already, so that a
 * backend with edges never needs to read it: one system call less for each wake. The counter
 * holds 2^64 - 2 wakes. */
#include "core/waker.h"
#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

const bool hark__waker_edges = true;

int hark__waker_open(struct hark__waker *w)
{
	w->fd = w->write = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return w->fd < 0 ? -errno : 0;
}

void hark__waker_close(struct hark__waker *w)
{
	close(w->fd);
	w->fd = w->write = -1;
}

void hark__waker_wake(const struct hark__waker *w)
{
	const uint64_t one = 1;
	int error = errno;

	while (write(w->write, &one, sizeof one) < 0 && errno == EINTR)
		;
	errno = error;
}

void hark__waker_drain(const struct hark__waker *w)
{
	uint64_t count;

	while (read(w->fd, &count, sizeof count) < 0 && errno == EINTR)
		;
}
