/* ring_libev.c - `ring_libev DESCRIPTORS ACTIVE`: hark-bench's ring over Unix sockets, on libev,
 * as its manual would have it, and on nothing of hark-bench's. Prints ns an event. */
#include "minimal.h"
#include <ev.h>

struct member {
	ev_io io;
	int to;
};

static void handle(EV_P_ ev_io *io, int events)
{
	char byte;

	(void)events;
	if (recv(io->fd, &byte, 1, 0) == 1) {
		send(((struct member *)io)->to, &byte, 1, 0);
		if (count())
			ev_break(EV_A_ EVBREAK_ALL);
	}
}

static int (*fds)[2];

int main(int argc, char **argv)
{
	const char *usage = "DESCRIPTORS ACTIVE, which are no more than those";
	const int n = number(argc, argv, 1, 2, 1000000, usage);
	const int active = number(argc, argv, 2, 2, n, usage);
	struct ev_loop *loop = ev_default_loop(EVBACKEND_EPOLL);
	struct member *members = calloc((size_t)n, sizeof *members);

	fds = make_pairs(n, socket_pair);
	need(loop != NULL && members != NULL, "a loop");
	for (int i = 0; i < n; i++) {
		members[i].to = fds[(i + 1) % n][1];
		ev_io_init(&members[i].io, handle, fds[i][0], EV_READ);
		ev_io_start(loop, &members[i].io);
	}
	for (int i = 0; i < active; i++)
		need(send(fds[(int)((int64_t)i * n / active)][1], "", 1, 0) == 1, "a byte");
	ev_run(loop, 0);
	return print_median();
}
