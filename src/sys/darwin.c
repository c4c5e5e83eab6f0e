/* darwin.c - macOS' spelling of sys.h: it has neither accept4 nor pipe2, ppoll or MSG_NOSIGNAL.
 *
 * Between the call and the fcntl another thread may fork and exec: close-on-exec cannot be atomic
 * here. */
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

const int hark__send_flags = 0;

void hark__no_sigpipe(int fd)
{
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
}

static int prepare(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

int hark__accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	int client = accept(fd, addr, len);
	int error;

	if (client < 0)
		return -errno;
	error = prepare(client);
	if (error < 0) {
		close(client);
		return error;
	}
	return client;
}

int hark__pipe(int fds[2])
{
	int error;

	if (pipe(fds) < 0)
		return -errno;
	error = prepare(fds[0]);
	if (error == 0)
		error = prepare(fds[1]);
	if (error < 0) {
		close(fds[0]);
		close(fds[1]);
	}
	return error;
}

/* Whole milliseconds, rounded up. */
static int milliseconds(const struct timespec *timeout)
{
	if (timeout == NULL)
		return -1;
	if (timeout->tv_sec >= INT_MAX / 1000)
		return INT_MAX;
	return (int)(timeout->tv_sec * 1000 + (timeout->tv_nsec + 999999) / 1000000);
}

int hark__ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout)
{
	return poll(fds, count, milliseconds(timeout));
}

const char *hark__getenv(const char *name)
{
	return issetugid() ? NULL : getenv(name);
}

/* kqueue reports no urgent data unasked, so that no backend here trusts a short read. */
bool hark__plain_tcp(int fd)
{
	(void)fd;
	return false;
}

void hark__name_thread(const char *name)
{
	pthread_setname_np(name);
}

const bool hark__process_fd_inherited = false; /* no kqueue is */

/* A kqueue of its own, which any backend can watch, with one event in it. */
int hark__process_fd(pid_t pid)
{
	struct kevent change;
	int fd = kqueue();
	int error;

	if (fd < 0)
		return -errno;
	EV_SET(&change, (uintptr_t)pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && kevent(fd, &change, 1, NULL, 0, NULL) == 0)
		return fd;
	error = errno;
	close(fd);
	return -error;
}
