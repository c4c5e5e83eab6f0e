/* ring.c - the sockets that all drivers of a cell work on.
 *
 * N pairs; a byte written to the far end of one arrives at its near end, which alone is watched.
 * The numbers are those of a server, which makes its loop first and watches nearly all that it
 * opens later: a few low ones are kept free for the loop, the near ends follow, and the far ends
 * are moved above them. It matters because select and the tables of libraries go by number. It is
 * the same for all drivers. */
#include "bench.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Beside the ring: the standard streams, what the parent left open, and a loop's own. */
#define SPARE 64
#define LOOPS_OWN 16

/* The files that `count` watched descriptors need: each end of a dialogue is watched. */
unsigned ring_need(unsigned count, bool dialogue)
{
	return (dialogue ? count : 2 * count) + SPARE;
}

/* The most descriptors that the limit of files allows to watch. */
unsigned ring_most(unsigned limit, bool dialogue)
{
	unsigned left = limit > SPARE ? limit - SPARE : 0;

	return dialogue ? left & ~1u : left / 2;
}

/* Raises the limit of open files so that it is `need`, or as near as is allowed. Returns it. */
unsigned raise_limit(unsigned need)
{
	struct rlimit limit, wish;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		broken("getrlimit: %s", strerror(errno));
	if (limit.rlim_cur < need) {
		/* Only the superuser may raise the hard limit, and not everywhere. */
		wish.rlim_cur = need;
		wish.rlim_max = limit.rlim_max > need ? limit.rlim_max : need;
		if (setrlimit(RLIMIT_NOFILE, &wish) < 0) {
			wish.rlim_cur = wish.rlim_max = limit.rlim_max;
			setrlimit(RLIMIT_NOFILE, &wish);
		}
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur > need ? need : (unsigned)limit.rlim_cur;
}

static int listener_open(struct sockaddr_in *addr)
{
	socklen_t len = sizeof *addr;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(addr, 0, sizeof *addr);
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)addr, len) < 0 || listen(fd, 16) < 0 ||
	    getsockname(fd, (struct sockaddr *)addr, &len) < 0)
		return -1;
	return fd;
}

/* As socketpair(2). Closed with a reset: ten thousand ports in TIME_WAIT would use up those of
 * the next rings. */
static int tcp_pair(int listener, const struct sockaddr_in *addr, int fds[2])
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	const int on = 1;

	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (fds[0] < 0 || connect(fds[0], (const struct sockaddr *)addr, sizeof *addr) < 0)
		return -1;
	fds[1] = accept(listener, NULL, NULL);
	if (fds[1] < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	}
	return 0;
}

/* Moves fd to the lowest free number from `least` on. */
static int move_above(int fd, int least)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, least);
	int error = errno;

	close(fd);
	errno = error;
	return moved;
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -1;
	return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Takes the lowest free numbers. */
static void take_low(int fds[LOOPS_OWN])
{
	for (int i = 0; i < LOOPS_OWN; i++)
		fds[i] = dup(STDERR_FILENO);
}

static void give_low(const int fds[LOOPS_OWN])
{
	for (int i = 0; i < LOOPS_OWN; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

/* Makes a pair, its far end not below `least`. Returns 0 or an errno. */
static int open_pair(int listener, const struct sockaddr_in *addr, int least, int fds[2])
{
	if (listener >= 0 ? tcp_pair(listener, addr, fds)
	                  : socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return errno;
	if (least > 0)
		fds[1] = move_above(fds[1], least);
	if (fds[1] < 0 || set_nonblocking(fds[0]) < 0 || set_nonblocking(fds[1]) < 0)
		return errno;
	return 0;
}

/* Returns 0, or -errno when the sockets cannot be had; the program then ends. The count of a
 * dialogue must be even. */
int ring_open(struct ring *ring, unsigned count, bool tcp, bool dialogue)
{
	const int above = (int)count + SPARE / 2;
	int low[LOOPS_OWN], listener = -1, error = 0;
	struct pair *pairs = allocate(count, sizeof *pairs);
	struct sockaddr_in addr;

	*ring = (struct ring){.tcp = tcp, .dialogue = dialogue, .pairs = pairs};
	take_low(low);
	if (tcp) {
		listener = listener_open(&addr);
		if (listener >= 0)
			listener = move_above(listener, above);
		if (listener < 0)
			error = errno;
	}
	while (ring->count < count && error == 0) {
		int fds[2] = {-1, -1};

		error = open_pair(listener, &addr, dialogue ? 0 : above, fds);
		if (error != 0)
			break;
		if (dialogue) {
			pairs[ring->count++] = (struct pair){fds[0], fds[0]};
			pairs[ring->count++] = (struct pair){fds[1], fds[1]};
		} else {
			/* The far end of this pair is what the pair before writes to. */
			pairs[ring->count].fd = fds[0];
			pairs[ring->count > 0 ? ring->count - 1 : count - 1].to = fds[1];
			ring->count++;
		}
	}
	if (listener >= 0)
		close(listener);
	give_low(low);
	return -error;
}

void ring_close(struct ring *ring)
{
	for (unsigned i = 0; i < ring->count; i++) {
		close(ring->pairs[i].fd);
		if (!ring->dialogue)
			close(ring->pairs[i].to);
	}
	free(ring->pairs);
	ring->pairs = NULL;
	ring->count = 0;
}

/* Puts `active` bytes into the ring, evenly apart. */
void ring_start(const struct ring *ring, unsigned active)
{
	for (unsigned i = 0; i < active; i++) {
		size_t at = (size_t)i * ring->count / active;

		if (send(ring->pairs[at].to, "", 1, 0) != 1)
			broken("cannot start a ring: %s", strerror(errno));
	}
}

/* Takes all bytes out of the ring and returns how many there were. */
unsigned ring_drain(const struct ring *ring)
{
	unsigned bytes = 0;
	char byte;

	for (unsigned i = 0; i < ring->count; i++) {
		while (recv(ring->pairs[i].fd, &byte, 1, 0) == 1)
			bytes++;
	}
	return bytes;
}
