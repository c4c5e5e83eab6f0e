/* libevent_streams.c - libevent's own streams, for echo: a bufferevent for each connection, which
 * reads into one buffer and writes from another, and the bytes move from buffer to buffer without
 * being copied, as in the example of an echo server in its documentation. */
#include "libevent_driver.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>

struct node {
	struct bufferevent *stream;
	size_t holding; /* bytes in its output */
};

static struct event_base *base;
static struct node *nodes;
static unsigned count;

static inline void node_finish(struct node *node)
{
	(void)node;
	event_base_loopbreak(base);
}

#include "work_echo.h"

static void handle_read(struct bufferevent *stream, void *context)
{
	struct evbuffer *input = bufferevent_get_input(stream);
	struct node *node = context;
	const size_t size = evbuffer_get_length(input);

	node->holding += size;
	tally.held += size;
	evbuffer_add_buffer(bufferevent_get_output(stream), input);
}

/* The output is empty. */
static void handle_write(struct bufferevent *stream, void *context)
{
	struct node *node = context;
	const size_t sent = node->holding;

	(void)stream;
	node->holding = 0;
	tally.held -= sent;
	echo_passed(node, sent);
}

static void handle_event(struct bufferevent *stream, short events, void *node)
{
	(void)stream, (void)events, (void)node;
	broken("a client was closed");
}

static int libevent_streams_open(const char *backend, const struct cell *cell, char *why,
                                 size_t size)
{
	if (cell->job != ECHO_BACK)
		return -ENOTSUP;
	if (libevent_is_beyond_select(backend, cell->ring)) {
		snprintf(why, size, "a descriptor that its select may not bear");
		return -EBADF;
	}
	base = libevent_open(backend, EVENT_BASE_FLAG_NOLOCK);
	if (base == NULL)
		return -ENOMEM;
	count = cell->ring->count;
	nodes = allocate(count, sizeof *nodes);
	for (unsigned i = 0; i < count; i++) {
		nodes[i].stream = bufferevent_socket_new(base, cell->ring->pairs[i].fd, 0);
		if (nodes[i].stream == NULL)
			broken("out of memory");
		bufferevent_setcb(nodes[i].stream, handle_read, handle_write, handle_event,
		                  &nodes[i]);
	}
	return 0;
}

static int libevent_streams_watch(void)
{
	for (unsigned i = 0; i < count; i++) {
		if (bufferevent_enable(nodes[i].stream, EV_READ) < 0)
			return -EIO;
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	return 0;
}

static int libevent_streams_run(void)
{
	event_base_dispatch(base);
	return 0;
}

/* What of its output a stream has written is known only now. */
static void libevent_streams_close(void)
{
	for (unsigned i = 0; i < count; i++) {
		struct evbuffer *output = bufferevent_get_output(nodes[i].stream);
		const size_t sent = nodes[i].holding - evbuffer_get_length(output);

		tally.held -= sent;
		tally.echoed += sent;
		bufferevent_free(nodes[i].stream);
	}
	event_base_free(base);
	free(nodes);
}

const struct driver libevent_streams = {
	.name = "libevent",
	.variant = "bufferevent",
	.kind = SOCKETS,
	.backend = libevent_backend,
	.works = libevent_works,
	.open = libevent_streams_open,
	.watch = libevent_streams_watch,
	.run = libevent_streams_run,
	.close = libevent_streams_close,
};
