/* bsd.c - the spelling of sys.h by FreeBSD 10, NetBSD 8, OpenBSD 5.7 and later. */
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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
