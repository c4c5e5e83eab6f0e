/* bulk-sender.c - sends 70 MiB to a slow reader, while another task goes on counting.
 *
 * A send takes what there is room for and never blocks; the task awaits room before the next. While
 * the reader stalls, the sender waits and the counter counts on, all in one thread. */
#include "common.h"
#include "net.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char program[] = "bulk-sender";

#define MIB 1048576
#define STALL HARK_S(1)
#define TICK HARK_MS(10)

/* The sender and the reader have sockets of their own, in handler.fd. */
static void close_socket(struct hark_task *t, ssize_t result)
{
	(void)result;
	(void)close(t->handler.fd);
}

/* ---- The sender ---- */

struct sender {
	struct hark_task task;
	unsigned char *data;
	size_t size, sent;
	unsigned sends;
};

static void sender_make_data(struct sender *s, size_t size)
{
	s->size = size;
	s->data = malloc(size);
	if (!s->data)
		fail("no memory for %zu bytes", size);
	for (size_t i = 0; i < size; i++)
		s->data[i] = (unsigned char)(i % 251);
}

static ssize_t sender_run(struct hark_task *t)
{
	struct sender *s = (struct sender *)t;
	ssize_t n;

	HARK_TASK_BEGIN(t);
	do {
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_SEND, HARK_NEVER));
		if (n < 0)
			return n;
		n = connect_result(t->handler.fd);
	} while (n == -EINPROGRESS);
	if (n < 0)
		return n;
	while (s->sent < s->size) {
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_SEND, HARK_NEVER));
		if (n < 0)
			return n;
		n = hark_send(&t->handler, s->data + s->sent, s->size - s->sent);
		if (n >= 0) {
			s->sent += (size_t)n;
			s->sends++;
		} else if (n != -EAGAIN && n != -EINTR) {
			return n;
		}
	}
	HARK_TASK_END(t);
	return 0;
}

static const struct hark_task_ops sender_ops = {
	.run = sender_run,
	.handle_done = close_socket,
	.name = "sender",
};

/* ---- The counter ---- */

struct counter {
	struct hark_task task;
	unsigned ticks;
};

static ssize_t counter_run(struct hark_task *t)
{
	struct counter *c = (struct counter *)t;
	ssize_t n;

	HARK_TASK_BEGIN(t);
	for (;;) {
		HARK_AWAIT(t, n, hark_await_delay(t, TICK));
		if (n < 0)
			return n;
		c->ticks++;
	}
	HARK_TASK_END(t);
	return 0;
}

static const struct hark_task_ops counter_ops = {.run = counter_run, .name = "counter"};

/* ---- The reader of --demo, which is slow, and stalls once ---- */

struct reader {
	struct hark_task task;
	size_t stall_at, got;
	bool stalled;
};

/* Returns the bytes received, 0 at the end, or -errno. */
static ssize_t reader_recv(struct reader *r)
{
	char data[262144];
	ssize_t n = hark_recv(&r->task.handler, data, sizeof(data));

	if (n > 0)
		r->got += (size_t)n;
	return n;
}

static int64_t reader_pause(struct reader *r)
{
	if (r->stalled || r->got < r->stall_at)
		return HARK_MS(1);
	r->stalled = true;
	return STALL;
}

static ssize_t reader_run(struct hark_task *t)
{
	struct reader *r = (struct reader *)t;
	ssize_t n;

	HARK_TASK_BEGIN(t);
	do {
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV, HARK_NEVER));
		if (n < 0)
			return n;
		n = hark_accept(&t->handler, NULL, NULL);
	} while (n == -EAGAIN || n == -EINTR || n == -ECONNABORTED);
	if (n < 0)
		return n;
	/* From the socket that listens to the one that is connected. */
	hark_handler_remove(&t->handler);
	(void)close(t->handler.fd);
	t->handler.fd = (int)n;
	for (;;) {
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV, HARK_NEVER));
		if (n < 0)
			return n;
		n = reader_recv(r);
		if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR))
			return n;
		HARK_AWAIT(t, n, hark_await_delay(t, reader_pause(r)));
		if (n < 0)
			return n;
	}
	HARK_TASK_END(t);
	return 0;
}

static const struct hark_task_ops reader_ops = {
	.run = reader_run,
	.handle_done = close_socket,
	.name = "reader",
};

/* ---- The program ---- */

struct arguments {
	const char *host, *port, *backend;
	bool demo;
	unsigned mib;
};

static void print_help(void)
{
	puts("usage: bulk-sender [--host ADDRESS] --port PORT [--mib N] [--backend NAME]\n"
	     "       bulk-sender --demo [--mib N] [--backend NAME]\n"
	     "Sends 70 MiB over one TCP connection, counting every 10 ms meanwhile.\n"
	     "  --host ADDRESS  numeric address to connect to (127.0.0.1)\n"
	     "  --port PORT     port to connect to\n"
	     "  --demo          bring a reader along, which is slow and stalls for a second\n"
	     "  --mib N         MiB to send, 1 to 1024 (70)\n"
	     "  --backend NAME  hark backend (the environment's HARK_BACKEND, else the best)\n"
	     "  --help          this text");
	exit(0);
}

static struct arguments parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{"host", required_argument, NULL, 'h'},
		{"port", required_argument, NULL, 'p'},
		{"demo", no_argument, NULL, 'd'},
		{"mib", required_argument, NULL, 'm'},
		{"backend", required_argument, NULL, 'b'},
		{"help", no_argument, NULL, 'H'},
		{NULL, 0, NULL, 0},
	};
	struct arguments a = {.mib = 70};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			a.host = optarg;
			break;
		case 'p':
			a.port = parse_port("--port", optarg);
			break;
		case 'd':
			a.demo = true;
			break;
		case 'm':
			a.mib = parse_number("--mib", optarg, 1, 1024);
			break;
		case 'b':
			a.backend = optarg;
			break;
		case 'H':
			print_help();
			break;
		default: /* getopt_long has said why */
			exit(2);
		}
	}
	if (optind < argc)
		fail("'%s' is not an option; --help lists them", argv[optind]);
	if (a.demo ? a.host || a.port : !a.port)
		fail("either --port or --demo says where to send to");
	return a;
}

/* Puts the numeric address that the arguments name into *address; returns its length. */
static socklen_t find_reader(const struct arguments *a, struct sockaddr_storage *address)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	const char *host = a->host ? a->host : "127.0.0.1";
	struct addrinfo *found;
	socklen_t len;

	if (getaddrinfo(host, a->port, &hints, &found) != 0)
		fail("--host: '%s' is not a numeric address", host);
	len = found->ai_addrlen;
	memcpy(address, found->ai_addr, len);
	freeaddrinfo(found);
	return len;
}

/* Has r, which is not started, listen; puts where into *address and returns its length. */
static socklen_t reader_listen(struct reader *r, struct sockaddr_storage *address)
{
	socklen_t len = sizeof(*address);

	r->task.handler.fd = open_server("127.0.0.1", "0", SOCK_STREAM);
	if (getsockname(r->task.handler.fd, (struct sockaddr *)address, &len) < 0)
		fail("cannot tell the address of the socket");
	return len;
}

int main(int argc, char **argv)
{
	static struct sender sender;
	static struct reader reader;
	static struct counter counter;
	struct arguments a = parse_arguments(argc, argv);
	struct hark_reactor *r = make_reactor(a.backend);
	struct sockaddr_storage address;
	socklen_t len;
	ssize_t result;
	int64_t start, elapsed;

	stop_on_signals(r, NULL);
	hark_task_init(&sender.task, &sender_ops);
	hark_task_init(&counter.task, &counter_ops);
	hark_task_init(&reader.task, &reader_ops);
	sender_make_data(&sender, (size_t)a.mib * MIB);
	reader.stall_at = sender.size / 2;

	len = a.demo ? reader_listen(&reader, &address) : find_reader(&a, &address);
	start = hark_reactor_now(r);
	(void)hark_task_start(r, &counter.task);
	if (a.demo)
		(void)hark_task_start(r, &reader.task);
	result = connect_to((struct sockaddr *)&address, len);
	if (result >= 0) {
		sender.task.handler.fd = (int)result;
		result = hark_task_run(r, &sender.task);
	}
	if (result >= 0 && a.demo)
		result = hark_task_run(r, &reader.task); /* the rest is in the socket */
	elapsed = hark_reactor_now(r) - start;

	if (result < 0)
		report("%s", result == -EINTR ? "interrupted" : strerror((int)-result));
	printf("sent %zu bytes in %u sends\n", sender.sent, sender.sends);
	if (a.demo)
		printf("received %zu bytes\n", reader.got);
	printf("counted %u ticks in %.2f s, of %" PRId64 " possible\n", counter.ticks,
	       (double)elapsed / 1e9, elapsed / TICK);

	(void)hark_task_cancel(&sender.task);
	(void)hark_task_cancel(&reader.task);
	(void)hark_task_cancel(&counter.task);
	hark_reactor_free(r);
	free(sender.data);
	return result < 0 ? 1 : 0;
}
