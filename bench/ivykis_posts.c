/* ivykis_posts.c - messages over ivykis: a queue, and iv_event_post when it was empty. */
#include "ivykis_driver.h"
#include <errno.h>
#include <iv_event.h>

static struct iv_event arrival;

static inline void loop_wake(void)
{
	iv_event_post(&arrival);
}

static inline void loop_finish(void)
{
	iv_quit();
}

#include "peer_posts.h"

static void handle_inbox(void *context)
{
	(void)context;
	posts_handle();
}

static int ivykis_posts_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	(void)backend, (void)why, (void)size;
	if (cell->spin_ns > 0)
		return -ENOTSUP;
	iv_init();
	IV_EVENT_INIT(&arrival);
	arrival.handler = handle_inbox;
	iv_event_register(&arrival);
	peer_posts_open(cell);
	return 0;
}

static int ivykis_posts_run(void)
{
	iv_main();
	return 0;
}

static void ivykis_posts_close(void)
{
	posts_end();
	iv_event_unregister(&arrival);
	iv_deinit();
	posts_close();
}

const struct driver ivykis_posts = {
	.name = "ivykis",
	.kind = POSTS,
	.backend = ivykis_backend,
	.open = ivykis_posts_open,
	.watch = posts_watch,
	.run = ivykis_posts_run,
	.close = ivykis_posts_close,
};
