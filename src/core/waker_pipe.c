/* waker_pipe.c - the waker of any POSIX system: a nonblocking pipe.
 *
 * A full pipe takes no further byte and is readable all the same, so a wake is never lost; but
 * then it is no edge either, so the pipe has to be drained. */
#include "core/waker.h"
#include "sys/sys.h"
#include <errno.h>
#include <unistd.h>

const bool hark__waker_edges = false;

int hark__waker_open(struct hark__waker *w)
{
	int fds[2];
	int error = hark__pipe(fds);

	if (error < 0)
		return error;
	w->fd = fds[0];
	w->write = fds[1];
	return 0;
}

void hark__waker_close(struct hark__waker *w)
{
	close(w->fd);
	close(w->write);
	w->fd = w->write = -1;
}

void hark__waker_wake(const struct hark__waker *w)
{
	int error = errno;

	while (write(w->write, "", 1) < 0 && errno == EINTR)
		;
	errno = error;
}

void hark__waker_drain(const struct hark__waker *w)
{
	char bytes[64];
	ssize_t n;

	do
		n = read(w->fd, bytes, sizeof bytes);
	while (n == (ssize_t)sizeof bytes || (n < 0 && errno == EINTR));
}
