/* libevent_posts.c - messages over libevent: a queue, and event_active when it was empty, which
 * needs its locks. */
#include "libevent_driver.h"
#include <errno.h>
#include <event2/thread.h>
#include <hark/base.h>

static struct event_base *base;
static struct event arrival;

static inline void loop_wake(void)
{
	event_active(&arrival, EV_READ, 0);
}

static inline void loop_finish(void)
{
	event_base_loopbreak(base);
}

#include "peer_posts.h"

static void handle_inbox(evutil_socket_t fd, short events, void *context)
{
	(void)fd, (void)events, (void)context;
	posts_handle();
}

static int libevent_posts_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	(void)why, (void)size;
	if (cell->spin_ns > 0)
		return -ENOTSUP;
	evthread_use_pthreads();
	base = libevent_open(backend, 0);
	if (base == NULL)
		return -ENOMEM;
	event_assign(&arrival, base, -1, EV_PERSIST, handle_inbox, NULL);
	peer_posts_open(cell);
	return 0;
}

/* Without the flag it would return when no event is added: it is others who make this one active.
 */
static int libevent_posts_run(void)
{
	event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
	return 0;
}

static void libevent_posts_close(void)
{
	posts_end();
	event_del(&arrival);
	event_base_free(base);
	posts_close();
}

const struct driver libevent_posts = {
	.name = "libevent",
	.kind = POSTS,
	.backend = libevent_backend,
	.works = libevent_works,
	.open = libevent_posts_open,
	.watch = posts_watch,
	.run = libevent_posts_run,
	.close = libevent_posts_close,
};
