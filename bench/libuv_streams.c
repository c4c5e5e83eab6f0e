/* libuv_streams.c - libuv's own streams, for echo: a uv_tcp_t for each connection. What it has read
 * is written at once with uv_try_write, which is the quickest that there is; only what is left of
 * that is copied, and goes the way of uv_write.
 *
 * A uv_tcp_t closes its descriptor when it is closed itself: it gets another one of the same
 * socket. */
#include "libuv_driver.h"
#include <errno.h>
#include <fcntl.h>
#include <hark/base.h>
#include <stdlib.h>
#include <string.h>

struct node {
	uv_tcp_t stream;
	size_t holding; /* bytes in its requests to write */
};

struct writing {
	uv_write_t request;
	size_t size;
	char bytes[];
};

static uv_loop_t loop;
static struct node *nodes;
static const struct ring *ring;
static bool closing;

static inline void node_finish(struct node *node)
{
	(void)node;
	uv_stop(&loop);
}

#include "work_echo.h"

static void handle_allocate(uv_handle_t *stream, size_t wish, uv_buf_t *buf)
{
	static char bytes[ECHO_MOST];

	(void)stream, (void)wish;
	*buf = uv_buf_init(bytes, sizeof bytes);
}

static void handle_written(uv_write_t *request, int status)
{
	struct writing *writing = HARK_CONTAINER(request, struct writing, request);
	struct node *node = (struct node *)request->handle;

	if (!closing) {
		if (status < 0)
			broken("libuv cannot write: %s", uv_strerror(status));
		node->holding -= writing->size;
		tally.held -= writing->size;
		echo_passed(node, writing->size);
	}
	free(writing);
}

static void write_later(struct node *node, const char *bytes, size_t size)
{
	struct writing *writing = allocate(1, sizeof *writing + size);
	uv_buf_t buf = uv_buf_init(writing->bytes, (unsigned)size);

	memcpy(writing->bytes, bytes, size);
	writing->size = size;
	node->holding += size;
	tally.held += size;
	uv_write(&writing->request, (uv_stream_t *)&node->stream, &buf, 1, handle_written);
}

static void handle_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
	struct node *node = (struct node *)stream;
	uv_buf_t out = uv_buf_init(buf->base, got > 0 ? (unsigned)got : 0);
	int sent;

	if (got < 0)
		broken("a client was closed");
	if (got == 0)
		return;
	sent = uv_try_write(stream, &out, 1);
	if (sent < 0)
		sent = 0;
	if (sent < got)
		write_later(node, buf->base + sent, (size_t)(got - sent));
	echo_passed(node, (size_t)sent);
}

static int libuv_streams_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	int error;

	(void)backend, (void)why, (void)size;
	if (cell->job != ECHO_BACK)
		return -ENOTSUP;
	error = uv_loop_init(&loop);
	if (error < 0)
		return error;
	closing = false;
	ring = cell->ring;
	nodes = allocate(ring->count, sizeof *nodes);
	return 0;
}

static int watch_one(struct node *node, int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int error = own < 0 ? -errno : uv_tcp_init(&loop, &node->stream);

	if (error < 0)
		return error;
	error = uv_tcp_open(&node->stream, own);
	if (error < 0)
		return error;
	return uv_read_start((uv_stream_t *)&node->stream, handle_allocate, handle_read);
}

static int libuv_streams_watch(void)
{
	for (unsigned i = 0; i < ring->count; i++) {
		int error = watch_one(&nodes[i], ring->pairs[i].fd);

		if (error < 0)
			return error;
	}
	uv_run(&loop, UV_RUN_NOWAIT);
	return 0;
}

static int libuv_streams_run(void)
{
	uv_run(&loop, UV_RUN_DEFAULT);
	return 0;
}

/* What of its requests a stream has written is known only now. */
static void libuv_streams_close(void)
{
	closing = true;
	for (unsigned i = 0; i < ring->count; i++) {
		const uv_stream_t *stream = (const uv_stream_t *)&nodes[i].stream;
		size_t sent;

		if (nodes[i].holding == 0)
			continue;
		sent = nodes[i].holding - uv_stream_get_write_queue_size(stream);
		tally.held -= sent;
		tally.echoed += sent;
	}
	libuv_close(&loop);
	free(nodes);
}

const struct driver libuv_streams = {
	.name = "libuv",
	.variant = "streams",
	.kind = SOCKETS,
	.backend = libuv_backend,
	.open = libuv_streams_open,
	.watch = libuv_streams_watch,
	.run = libuv_streams_run,
	.close = libuv_streams_close,
};
