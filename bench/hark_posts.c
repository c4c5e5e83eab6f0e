/* hark_posts.c - messages of hark, inside the program's own struct. */
#include "hark_driver.h"

struct parcel {
	_Alignas(CACHE_LINE) struct hark_message message;
	struct tag tag;
};

static struct hark_reactor *reactor;

static void handle_parcel(struct hark_message *m, struct hark_reactor *r);

static inline void parcel_init(struct parcel *parcel)
{
	hark_message_init(&parcel->message, handle_parcel);
}

static inline void parcel_post(struct parcel *parcel)
{
	hark_post(reactor, &parcel->message);
}

/* Nothing but messages keeps the reactor going, so that the loop around it looks at tally.hops. */
static inline void loop_finish(void)
{
}

#include "work_posts.h"

static void handle_parcel(struct hark_message *m, struct hark_reactor *r)
{
	(void)r;
	parcel_came(HARK_CONTAINER(m, struct parcel, message));
}

static int hark_posts_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	struct hark_options options = {
		.backend = backend,
		.spin_ns = cell->spin_ns,
		.why = why,
		.why_size = size,
	};
	int error = hark_reactor_new(&reactor, &options);

	if (error == 0)
		posts_open(cell);
	return error;
}

static int hark_posts_run(void)
{
	int callbacks = 0;

	while (tally.hops < tally.goal && callbacks >= 0)
		callbacks = hark_reactor_turn(reactor, -1);
	return callbacks < 0 ? callbacks : 0;
}

static void hark_posts_close(void)
{
	posts_end();
	hark_reactor_free(reactor);
	posts_close();
}

const struct driver hark_posts = {
	.name = "hark",
	.kind = POSTS,
	.backend = hark_bench_backend,
	.works = hark_bench_works,
	.open = hark_posts_open,
	.watch = posts_watch,
	.run = hark_posts_run,
	.close = hark_posts_close,
};
