/* dispatch_libuv.c - `dispatch_libuv DESCRIPTORS`: hark-bench's dispatch, on libuv, as its guide
 * would have it, and on nothing of hark-bench's: all are ready all the time. Prints ns an event. */
#include "minimal.h"
#include <uv.h>

static void handle(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	if (count())
		uv_stop(poll->loop);
}

static int (*fds)[2];

int main(int argc, char **argv)
{
	const int n = number(argc, argv, 1, 1, 1000000, "DESCRIPTORS");
	uv_poll_t *polls = calloc((size_t)n, sizeof *polls);

	fds = make_pairs(n, pipe);
	need(polls != NULL, "a loop");
	for (int i = 0; i < n; i++) {
		need(write(fds[i][1], "", 1) == 1, "a byte");
		need(uv_poll_init(uv_default_loop(), &polls[i], fds[i][0]) == 0 &&
		             uv_poll_start(&polls[i], UV_READABLE, handle) == 0,
		     "a watcher");
	}
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	return print_median();
}
