/* libuv_posts.c - messages over libuv: a queue, and uv_async_send when it was empty. */
#include "libuv_driver.h"
#include <errno.h>
#include <hark/base.h>

static uv_loop_t loop;
static uv_async_t async;

static inline void loop_wake(void)
{
	uv_async_send(&async);
}

static inline void loop_finish(void)
{
	uv_stop(&loop);
}

#include "peer_posts.h"

static void handle_inbox(uv_async_t *a)
{
	(void)a;
	posts_handle();
}

static int libuv_posts_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	int error;

	(void)backend, (void)why, (void)size;
	if (cell->spin_ns > 0)
		return -ENOTSUP;
	error = uv_loop_init(&loop);
	if (error < 0)
		return error;
	error = uv_async_init(&loop, &async, handle_inbox);
	if (error < 0) {
		libuv_close(&loop);
		return error;
	}
	peer_posts_open(cell);
	return 0;
}

static int libuv_posts_run(void)
{
	uv_run(&loop, UV_RUN_DEFAULT);
	return 0;
}

static void libuv_posts_close(void)
{
	posts_end();
	libuv_close(&loop);
	posts_close();
}

const struct driver libuv_posts = {
	.name = "libuv",
	.kind = POSTS,
	.backend = libuv_backend,
	.open = libuv_posts_open,
	.watch = posts_watch,
	.run = libuv_posts_run,
	.close = libuv_posts_close,
};
