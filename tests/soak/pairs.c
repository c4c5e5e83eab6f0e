/* pairs.c - pairs.h. A byte's value is the number of times that it is still to be sent back. */
#include "pairs.h"

#include <errno.h>
#include <fcntl.h>
#include <hark/handler.h>
#include <hark/io.h>
#include <sys/socket.h>

#define PAIRS 8
#define LONGEST_WAY 64

static struct hark_handler ends[PAIRS][2];
static void (*call_work)(void);
static unsigned long long passed;

static void send_back(struct hark_handler *h)
{
	unsigned char bytes[16];
	ssize_t n = hark_recv(h, bytes, sizeof bytes);

	for (ssize_t i = 0; i < n; i++) {
		passed++;
		if (bytes[i]-- > 0)
			hark_send(h, &bytes[i], 1);
		if (passed % 16 == 0)
			call_work();
	}
}

static const struct hark_handler_ops ops = {
	.wants_recv = hark_always,
	.handle_recv = send_back,
	.name = "end of a pair",
};

int pairs_add(struct hark_reactor *r, void (*work)(void))
{
	call_work = work;
	for (int i = 0; i < PAIRS; i++) {
		int fds[2];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
			return -errno;
		for (int k = 0; k < 2; k++) {
			int error;

			if (fcntl(fds[k], F_SETFL, O_NONBLOCK) < 0)
				return -errno;
			hark_handler_init(&ends[i][k], &ops, fds[k]);
			error = hark_handler_add(r, &ends[i][k]);
			if (error < 0)
				return error;
		}
	}
	return 0;
}

void pairs_feed(void)
{
	static unsigned count;
	unsigned char byte = (unsigned char)(count * 37 % LONGEST_WAY);

	/* One that is full has enough to pass. */
	(void)!send(ends[count++ % PAIRS][0].fd, &byte, 1, 0);
}

unsigned long long pairs_passed(void)
{
	return passed;
}
