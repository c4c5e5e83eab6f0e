/* libev_posts.c - messages over libev: a queue, and ev_async_send when it was empty. */
#include "libev_driver.h"
#include <errno.h>

static struct ev_loop *loop;
static ev_async async;

static inline void loop_wake(void)
{
	ev_async_send(loop, &async);
}

static inline void loop_finish(void)
{
	ev_break(loop, EVBREAK_ALL);
}

#include "peer_posts.h"

static void handle_inbox(struct ev_loop *l, ev_async *a, int events)
{
	(void)l, (void)a, (void)events;
	posts_handle();
}

static int libev_posts_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	(void)why, (void)size;
	if (cell->spin_ns > 0)
		return -ENOTSUP;
	loop = libev_open(backend);
	if (loop == NULL)
		return -errno;
	ev_async_init(&async, handle_inbox);
	ev_async_start(loop, &async);
	peer_posts_open(cell);
	return 0;
}

static int libev_posts_run(void)
{
	ev_run(loop, 0);
	return 0;
}

static void libev_posts_close(void)
{
	posts_end();
	ev_loop_destroy(loop);
	posts_close();
}

const struct driver libev_posts = {
	.name = "libev",
	.kind = POSTS,
	.backend = libev_backend,
	.works = libev_works,
	.open = libev_posts_open,
	.watch = posts_watch,
	.run = libev_posts_run,
	.close = libev_posts_close,
};
