/* peer_posts.h - messages over libraries that bring no queue of their own: the one of inbox.h, and
 * a wake when it was empty.
 *
 * A driver includes this file after it has defined
 *
 *   void loop_wake(void)     from any thread: has the loop call posts_handle
 *   void loop_finish(void)   as in work_posts.h
 */
#ifndef BENCH_PEER_POSTS_H
#define BENCH_PEER_POSTS_H

#include "inbox.h"
#include <hark/base.h>

struct parcel {
	_Alignas(CACHE_LINE) struct message message;
	struct tag tag;
};

static struct inbox inbox;

static inline void parcel_init(struct parcel *parcel)
{
	(void)parcel;
}

static inline void parcel_post(struct parcel *parcel)
{
	if (inbox_push(&inbox, &parcel->message))
		loop_wake();
}

#include "work_posts.h"

/* In the loop: handles all that is there. */
static inline void posts_handle(void)
{
	struct message *m = inbox_take(&inbox);

	while (m != NULL) {
		struct message *next = m->next;

		parcel_came(HARK_CONTAINER(m, struct parcel, message));
		m = next;
	}
}

/* The parcels that an earlier loop has left are gone. */
static inline void peer_posts_open(const struct cell *cell)
{
	inbox.top = NULL;
	posts_open(cell);
}

#endif
