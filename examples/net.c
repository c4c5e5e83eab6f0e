/* net.c - the sockets of the examples; see net.h. */
#include "net.h"
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The BSDs let a datagram be no larger than the send buffer, by default a few kilobytes. */
static void allow_large_datagrams(int fd)
{
	int size = 0;
	socklen_t len = sizeof(size);

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) == 0 && size < 65536) {
		size = 65536;
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
}

/* A nonblocking socket that no program started from this one inherits, or -errno. */
static int open_socket(int family, int type)
{
	int fd = socket(family, type, 0);
	int error;

	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	error = -errno;
	(void)close(fd);
	return error;
}

static int prepare_server(int fd, const struct addrinfo *address, int type)
{
	int one = 1;

	if (type == SOCK_DGRAM)
		allow_large_datagrams(fd);
	/* A server that starts again must not wait for its old connections to be forgotten. */
	else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -errno;
	if (bind(fd, address->ai_addr, address->ai_addrlen) < 0)
		return -errno;
	if (type == SOCK_STREAM && listen(fd, SOMAXCONN) < 0)
		return -errno;
	return 0;
}

/* Returns the socket or -errno. */
static int open_server_at(const struct addrinfo *address, int type)
{
	int fd = open_socket(address->ai_family, type);
	int error;

	if (fd < 0)
		return fd;
	error = prepare_server(fd, address, type);
	if (error == 0)
		return fd;
	(void)close(fd);
	return error;
}

int open_server(const char *host, const char *port, int type)
{
	struct addrinfo hints = {
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = type,
	};
	struct addrinfo *addresses;
	int fd = -EADDRNOTAVAIL;
	int error = getaddrinfo(host, port, &hints, &addresses);

	if (error)
		fail("--host: '%s': %s", host, gai_strerror(error));
	for (struct addrinfo *a = addresses; a && fd < 0; a = a->ai_next)
		fd = open_server_at(a, type);
	freeaddrinfo(addresses);
	if (fd < 0)
		fail("cannot listen on %s, port %s: %s", host, port, strerror(-fd));
	return fd;
}

void print_listening(int fd)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(address);
	char host[128], port[8];
	bool v6;

	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0 ||
	    getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), port, sizeof(port),
	                NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		fail("cannot tell the address of the socket");
	v6 = address.ss_family == AF_INET6;
	if (printf("listening on %s%s%s:%s\n", v6 ? "[" : "", host, v6 ? "]" : "", port) < 0 ||
	    fflush(stdout) != 0)
		fail("cannot write to standard output: %s", strerror(errno));
}

int connect_to(const struct sockaddr *address, socklen_t len)
{
	int fd = open_socket(address->sa_family, SOCK_STREAM);
	int error;

	if (fd < 0 || connect(fd, address, len) == 0 || errno == EINPROGRESS)
		return fd;
	error = -errno;
	(void)close(fd);
	return error;
}

int connect_result(int fd)
{
	struct pollfd writable = {.fd = fd, .events = POLLOUT};
	struct sockaddr_storage peer;
	socklen_t len = sizeof(int);
	int error;

	/* Readiness may be spurious. */
	if (poll(&writable, 1, 0) == 0)
		return -EINPROGRESS;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	if (error)
		return -error;
	/* An error is told once; somebody else may have asked. */
	len = sizeof(peer);
	return getpeername(fd, (struct sockaddr *)&peer, &len) < 0 ? -errno : 0;
}
