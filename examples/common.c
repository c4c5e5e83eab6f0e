/* common.c - what the example servers share; see common.h. */
#include "common.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct hark_reactor *volatile stop_target;
static volatile sig_atomic_t stopped;

static void print_error(const char *format, va_list args)
{
	char line[1024];

	(void)vsnprintf(line, sizeof(line), format, args);
	/* What came from outside, a file's name or a variable, may contain anything. */
	for (char *c = line; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	(void)fprintf(stderr, "%s: %s\n", program, line);
}

void report(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_error(format, args);
	va_end(args);
}

void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_error(format, args);
	va_end(args);
	exit(2);
}

const char *parse_port(const char *option, const char *text)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 5 || text[digits] || strtol(text, NULL, 10) > 65535)
		fail("%s: '%s' is not a port (0 to 65535)", option, text);
	return text;
}

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

/* Returns the socket, or -1 with errno set. */
static int open_at(const struct addrinfo *address, int type)
{
	int fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
	int one = 1;
	int error;

	if (fd < 0)
		return -1;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		goto close_it;
	if (type == SOCK_DGRAM)
		allow_large_datagrams(fd);
	/* A server that starts again must not wait for its old connections to be forgotten. */
	else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		goto close_it;
	if (bind(fd, address->ai_addr, address->ai_addrlen) < 0)
		goto close_it;
	if (type == SOCK_STREAM && listen(fd, SOMAXCONN) < 0)
		goto close_it;
	return fd;

close_it:
	error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

int open_server(const char *host, const char *port, int type)
{
	struct addrinfo hints = {
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = type,
	};
	struct addrinfo *addresses;
	int fd = -1;
	int error = getaddrinfo(host, port, &hints, &addresses);

	if (error)
		fail("--host: '%s': %s", host, gai_strerror(error));
	for (struct addrinfo *a = addresses; a && fd < 0; a = a->ai_next)
		fd = open_at(a, type);
	error = errno;
	freeaddrinfo(addresses);
	if (fd < 0)
		fail("cannot listen on %s, port %s: %s", host, port, strerror(error));
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

struct hark_reactor *make_reactor(const char *backend)
{
	char why[512];
	struct hark_options options = {
		.backend = backend,
		.why = why,
		.why_size = sizeof(why),
	};
	struct hark_reactor *r;
	int error = hark_reactor_new(&r, &options);

	if (error < 0)
		fail("%s", why[0] ? why : strerror(-error));
	return r;
}

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
	if (stop_target)
		hark_reactor_stop(stop_target);
}

void stop_on_signals(struct hark_reactor *r)
{
	struct sigaction action = {.sa_handler = on_signal};

	stop_target = r;
	if (!r)
		return;
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	/* hark_send raises none; this is for a standard output that nobody reads. */
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
}

bool stop_asked(void)
{
	return stopped;
}
