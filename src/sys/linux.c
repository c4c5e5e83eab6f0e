/* linux.c - Linux's spelling of sys.h. */
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
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
	return ppoll(fds, count, timeout, NULL);
}

const char *hark__getenv(const char *name)
{
	return secure_getenv(name);
}

static bool option_is(int fd, int option, int value)
{
	int got = 0;
	socklen_t len = sizeof got;

	return getsockopt(fd, SOL_SOCKET, option, &got, &len) == 0 && got == value;
}

/* An upper-layer protocol on the socket (kernel TLS, say) ends reads at its records; without one
 * TCP_ULP has the length 0. MPTCP and SMC have protocols or domains of their own. */
bool hark__plain_tcp(int fd)
{
	char ulp[16];
	socklen_t len = sizeof ulp;

	if (!option_is(fd, SO_DOMAIN, AF_INET) && !option_is(fd, SO_DOMAIN, AF_INET6))
		return false;
	if (!option_is(fd, SO_PROTOCOL, IPPROTO_TCP))
		return false;
	return getsockopt(fd, IPPROTO_TCP, TCP_ULP, ulp, &len) == 0 && len == 0;
}

void hark__name_thread(const char *name)
{
	pthread_setname_np(pthread_self(), name);
}

const bool hark__process_fd_inherited = true;

/* pidfd_open(2), of Linux 5.3; EPERM under some seccomp filters. A pidfd is close-on-exec. */
int hark__process_fd(pid_t pid)
{
#ifdef SYS_pidfd_open
	int fd = (int)syscall(SYS_pidfd_open, pid, 0u);

	if (fd >= 0)
		return fd;
	return errno == EPERM ? -ENOSYS : -errno;
#else
	(void)pid;
	return -ENOSYS;
#endif
}
