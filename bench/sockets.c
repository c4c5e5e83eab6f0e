/* sockets.c - the sockets, or pipes, that all drivers of a cell work on, if they work on such.
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
static int open_pair(enum over over, int listener, const struct sockaddr_in *addr, int least,
                     int fds[2])
{
	int error = over == TCP    ? tcp_pair(listener, addr, fds)
	            : over == UNIX ? socketpair(AF_UNIX, SOCK_STREAM, 0, fds)
	                           : pipe(fds);

	if (error < 0)
		return errno;
	if (least > 0)
		fds[1] = move_above(fds[1], least);
	if (fds[1] < 0 || set_nonblocking(fds[0]) < 0 || set_nonblocking(fds[1]) < 0)
		return errno;
	return 0;
}

/* Returns 0, or -errno when the sockets cannot be had; the program then ends. The count of a
 * dialogue must be even. */
static int ring_open(struct ring *ring, unsigned count, enum over over, bool dialogue)
{
	const int above = (int)count + SPARE / 2;
	int low[LOOPS_OWN], listener = -1, error = 0;
	struct pair *pairs = allocate(count, sizeof *pairs);
	struct sockaddr_in addr;

	*ring = (struct ring){.over = over, .dialogue = dialogue, .pairs = pairs};
	take_low(low);
	if (over == TCP) {
		listener = listener_open(&addr);
		if (listener >= 0)
			listener = move_above(listener, above);
		if (listener < 0)
			error = errno;
	}
	while (ring->count < count && error == 0) {
		int fds[2] = {-1, -1};

		error = open_pair(over, listener, &addr, dialogue ? 0 : above, fds);
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

/* Closes the near or the far ends. */
static void ring_close_ends(struct ring *ring, bool near)
{
	for (unsigned i = 0; i < ring->count; i++)
		close(near ? ring->pairs[i].fd : ring->pairs[i].to);
}

static void ring_close(struct ring *ring)
{
	ring_close_ends(ring, true);
	if (!ring->dialogue && !ring->halved)
		ring_close_ends(ring, false);
	free(ring->pairs);
	ring->pairs = NULL;
	ring->count = 0;
}

/* Puts `active` bytes into the ring, evenly apart. */
static void ring_start(const struct ring *ring, unsigned active)
{
	for (unsigned i = 0; i < active; i++) {
		size_t at = (size_t)i * ring->count / active;

		if (write(ring->pairs[at].to, "", 1) != 1)
			broken("cannot start a ring: %s", strerror(errno));
	}
}

/* Takes all bytes out of the ring and returns how many there were. */
unsigned sockets_drain(const struct cell *cell)
{
	const struct ring *ring = cell->ring;
	unsigned bytes = 0;
	char byte;

	for (unsigned i = 0; i < ring->count; i++) {
		while (read(ring->pairs[i].fd, &byte, 1) == 1)
			bytes++;
	}
	return bytes;
}

static struct ring ring; /* kept while the next cell wants the same */

void sockets_prepare(struct cell *cell)
{
	const bool dialogue = cell->workload->dialogue;
	int error;

	cell->ring = &ring;
	if (ring.count == cell->descriptors && ring.over == cell->over && ring.dialogue == dialogue)
		return;
	sockets_close();
	error = ring_open(&ring, cell->descriptors, cell->over, dialogue);
	if (error < 0)
		broken("cannot make %u pairs of %s: %s", cell->descriptors,
		       transport_names[cell->over], strerror(-error));
}

size_t sockets_room(const struct cell *cell)
{
	size_t room = 0;

	for (unsigned i = 0; i < cell->ring->count; i++) {
		const size_t to = (size_t)cell->ring->pairs[i].to;

		room = to >= room ? to + 1 : room;
	}
	return room;
}

/* After a fork: another process has the near, or else the far, ends. */
void sockets_halve(bool near)
{
	ring_close_ends(&ring, near);
	ring.halved = true;
}

void sockets_close(void)
{
	if (ring.count > 0)
		ring_close(&ring);
}

void sockets_start(const struct cell *cell)
{
	ring_start(&ring, cell->active);
}

const char *sockets_finish(const struct cell *cell)
{
	return sockets_drain(cell) + tally.held == cell->active ? NULL : "a byte was lost";
}

unsigned sockets_labels(const struct cell *cell, struct label labels[LABELS_MOST])
{
	labels[0] = (struct label){"over", -4, "transport", transport_names[cell->over], 0};
	labels[1] = (struct label){"fds", 5, "descriptors", NULL, cell->descriptors};
	labels[2] = (struct label){"act.", 5, "active", NULL, cell->active};
	return 3;
}

const struct measure *sockets_measures(const struct cell *cell)
{
	static const struct measure measures[MEASURES] = {
		{"ns", "ns_per_event", "ratio_to_raw"},
		{"set-up", "setup_ns_per_descriptor", "setup_ratio_to_raw"},
	};

	(void)cell;
	return measures;
}
