/* bsd.c - the spelling of sys.h by FreeBSD 10.2, NetBSD 8, OpenBSD 5.7 and later. */
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

const int hark__send_flags = MSG_NOSIGNAL;

void hark__no_sigpipe(int fd)
{
	(void)fd;
}

int hark__accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	int client = accept4(fd, addr, len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return client < 0 ? -errno : client;
}

int hark__pipe(int fds[2])
{
	return pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0 ? -errno : 0;
}

int hark__ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout)
{
#ifdef __NetBSD__ /* ppoll came with NetBSD 10 */
	return pollts(fds, count, timeout, NULL);
#else
	return ppoll(fds, count, timeout, NULL);
#endif
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

/* The three systems have three signatures for it: not worth a file each. */
void hark__name_thread(const char *name)
{
	(void)name;
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
