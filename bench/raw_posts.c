/* raw_posts.c - posts by hand: a stack that many push to with one compare-and-swap and that one
 * takes as a whole and turns round, and a descriptor that is written only if the loop sleeps.
 *
 * The loop says that it sleeps, and looks at the stack once more; who posts pushes, and then looks
 * whether it sleeps: one of the two sees the other. Like any loop it looks at its descriptors in
 * each turn. */
#include "raw_posts.h"
#include "inbox.h"
#include <errno.h>
#include <hark/base.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As in any library a message has a callback. */
struct parcel {
	_Alignas(CACHE_LINE) struct message message;
	void (*handle)(struct message *m);
	struct tag tag;
};

static struct {
	struct inbox inbox;
	int sleeping; /* atomic */
	_Alignas(CACHE_LINE) const struct sleeper *sleeper;
	int64_t spin_ns;
	int fds[2];
} loop;

static void handle_parcel(struct message *m);

static void wake(void)
{
	const uint64_t one = 1;

	while (write(loop.fds[1], &one, sizeof one) < 0 && errno == EINTR)
		;
}

static inline void parcel_init(struct parcel *parcel)
{
	parcel->handle = handle_parcel;
}

static inline void parcel_post(struct parcel *parcel)
{
	inbox_push(&loop.inbox, &parcel->message);
	if (__atomic_load_n(&loop.sleeping, __ATOMIC_SEQ_CST) &&
	    __atomic_exchange_n(&loop.sleeping, 0, __ATOMIC_SEQ_CST))
		wake();
}

/* The loop looks at tally.hops itself. */
static inline void loop_finish(void)
{
}

#include "work_posts.h"

static void handle_parcel(struct message *m)
{
	parcel_came(HARK_CONTAINER(m, struct parcel, message));
}

static void handle_inbox(void)
{
	struct message *m = inbox_take(&loop.inbox);

	while (m != NULL) {
		struct message *next = m->next;

		HARK_CONTAINER(m, struct parcel, message)->handle(m);
		m = next;
	}
}

/* One wait, or only a look if there are messages. 1 if it was woken, 0, or -errno. */
static int wait_once(bool sleep)
{
	uint64_t counter[8];
	int woken;

	if (sleep) {
		__atomic_store_n(&loop.sleeping, 1, __ATOMIC_SEQ_CST);
		sleep = inbox_is_empty(&loop.inbox);
	}
	woken = loop.sleeper->wait(sleep);
	__atomic_store_n(&loop.sleeping, 0, __ATOMIC_RELAXED);
	if (woken > 0 && !loop.sleeper->edges) {
		ssize_t ignored = read(loop.fds[0], counter, sizeof counter);

		(void)ignored;
	}
	return woken;
}

/* Looks for messages for a while, seldom enough to leave their cache line to those who post, and at
 * the descriptors now and then. */
static int spin(void)
{
	const int64_t end = now() + loop.spin_ns;
	int error = 0;

	while (error == 0 && now() < end) {
		for (int look = 0; look < 16; look++) {
			posts_pause();
			if (!inbox_is_empty(&loop.inbox))
				return 0;
		}
		error = wait_once(false);
	}
	return error;
}

static int raw_posts_run(void)
{
	while (tally.hops < tally.goal) {
		int error = 0;

		if (loop.spin_ns > 0 && inbox_is_empty(&loop.inbox))
			error = spin();
		if (error >= 0)
			error = wait_once(inbox_is_empty(&loop.inbox));
		if (error < 0)
			return error;
		handle_inbox();
	}
	return 0;
}

static const char *raw_posts_backend(unsigned index)
{
	const struct sleeper *sleeper = system_sleepers[index];

	return sleeper == NULL ? NULL : sleeper->name;
}

static int raw_posts_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	unsigned i = 0;
	int error;

	(void)why, (void)size;
	while (strcmp(system_sleepers[i]->name, backend) != 0)
		i++;
	loop.sleeper = system_sleepers[i];
	loop.spin_ns = cell->spin_ns;
	loop.inbox.top = NULL;
	loop.sleeping = 0;
	error = system_waker(loop.fds);
	if (error == 0) {
		error = loop.sleeper->open(loop.fds[0]);
		if (error == 0) {
			posts_open(cell);
			return 0;
		}
		close(loop.fds[0]);
		if (loop.fds[1] != loop.fds[0])
			close(loop.fds[1]);
	}
	return error;
}

static void raw_posts_close(void)
{
	posts_end();
	loop.sleeper->close();
	close(loop.fds[0]);
	if (loop.fds[1] != loop.fds[0])
		close(loop.fds[1]);
	posts_close();
}

const struct driver raw_posts = {
	.name = "raw",
	.kind = POSTS,
	.backend = raw_posts_backend,
	.open = raw_posts_open,
	.watch = posts_watch,
	.run = raw_posts_run,
	.close = raw_posts_close,
};
