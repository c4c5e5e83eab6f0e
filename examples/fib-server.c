/* fib-server.c - computes Fibonacci numbers for whoever asks by UDP, and goes on serving meanwhile.
 *
 * The slow recursive way may take a minute, and while a callback computes, its reactor serves
 * nobody. So each number is a job for a pool of threads; when it is done, the reactor is told, and
 * sends the answer.
 *
 * Nothing here can grow. There are so many requests and no more, and each is either idle, or a job
 * of the pool, or answered and not yet sent. Who asks when the pool's queue is full is told that
 * the server is busy; while no request is idle, because answers cannot be sent, nothing is
 * received. */
#include "common.h"
#include "net.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char program[] = "fib-server";

#define FIB_MAX 50 /* computed in about a minute; each further one takes 1.6 times as long */
#define THREADS_MAX 64
#define QUEUE_MAX 128 /* numbers that wait for a thread */
#define REQUESTS (THREADS_MAX + QUEUE_MAX + 64)

struct request {
	struct hark_job job;
	struct server *server;
	struct request *next;
	struct sockaddr_storage peer;
	socklen_t peer_len;
	unsigned number;
	char answer[64];
};

struct server {
	struct hark_handler handler;
	struct hark_pool *pool;
	struct request *idle;
	struct request *answered, **answered_end; /* first in, first out */
	struct request requests[REQUESTS];
};

/* Jobs cannot be interrupted; this has those that run return soon. */
static atomic_bool stopping;

static uint64_t fib(unsigned n) /* NOLINT(misc-no-recursion): slow on purpose */
{
	if (n < 2 || atomic_load_explicit(&stopping, memory_order_relaxed))
		return 1;
	return fib(n - 1) + fib(n - 2);
}

/* On a thread of the pool. */
static void request_work(struct hark_job *j)
{
	struct request *q = (struct request *)j;

	(void)snprintf(q->answer, sizeof(q->answer), "%" PRIu64 "\n", fib(q->number));
}

static void server_handle_send(struct hark_handler *h)
{
	struct server *s = (struct server *)h;
	struct request *q;

	while ((q = s->answered)) {
		ssize_t n = hark_sendto(h, q->answer, strlen(q->answer), 0,
		                        (struct sockaddr *)&q->peer, q->peer_len);

		if (n == -EAGAIN || n == -EINTR)
			return;
		/* Any other error is this peer's misfortune: datagrams may be lost. */
		s->answered = q->next;
		if (!s->answered)
			s->answered_end = &s->answered;
		q->next = s->idle;
		s->idle = q;
	}
}

/* Sends q's answer, now or when that is possible. */
static void request_answer(struct request *q)
{
	struct server *s = q->server;

	q->next = NULL;
	*s->answered_end = q;
	s->answered_end = &q->next;
	server_handle_send(&s->handler);
	/* A job's end is no call into the handler, and may have changed what that wants. */
	hark_handler_refresh(&s->handler);
}

/* On the reactor again. */
static void request_handle_done(struct hark_job *j, int error)
{
	(void)error; /* no pool is freed while the reactor runs */
	request_answer((struct request *)j);
}

static const struct hark_job_ops request_ops = {
	.work = request_work,
	.handle_done = request_handle_done,
	.name = "fib",
};

static bool server_wants_recv(const struct hark_handler *h)
{
	return ((const struct server *)h)->idle;
}

static bool server_wants_send(const struct hark_handler *h)
{
	return ((const struct server *)h)->answered;
}

/* Puts the number that the text of that size is into *number. It may end in a newline, as what
 * `echo` sends does. */
static bool parse_request(const char *text, size_t size, unsigned *number)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 9 || digits + (text[digits] == '\n') != size)
		return false;
	*number = (unsigned)strtoul(text, NULL, 10);
	return *number <= FIB_MAX;
}

/* One datagram a call: the reactor calls again while there are more. */
static void server_handle_recv(struct hark_handler *h)
{
	struct server *s = (struct server *)h;
	struct request *q = s->idle;
	char text[32]; /* a longer datagram is cut, and is no number either way */
	ssize_t n;

	q->peer_len = sizeof(q->peer);
	n = hark_recvfrom(h, text, sizeof(text) - 1, 0, (struct sockaddr *)&q->peer, &q->peer_len);
	if (n < 0)
		return;
	text[n] = '\0';
	s->idle = q->next;
	if (!parse_request(text, (size_t)n, &q->number))
		(void)snprintf(q->answer, sizeof(q->answer), "error: not a number from 0 to %d\n",
		               FIB_MAX);
	else if (hark_job_submit(s->pool, hark_handler_reactor(h), &q->job) < 0)
		(void)snprintf(q->answer, sizeof(q->answer), "error: busy, ask again later\n");
	else
		return;
	request_answer(q);
}

static const struct hark_handler_ops server_ops = {
	.wants_recv = server_wants_recv,
	.wants_send = server_wants_send,
	.handle_recv = server_handle_recv,
	.handle_send = server_handle_send,
	.name = "fib server",
};

static void server_init(struct server *s, int fd, struct hark_pool *pool)
{
	hark_handler_init(&s->handler, &server_ops, fd);
	s->pool = pool;
	s->answered_end = &s->answered;
	for (struct request *q = s->requests; q < s->requests + REQUESTS; q++) {
		hark_job_init(&q->job, &request_ops);
		q->server = s;
		q->next = s->idle;
		s->idle = q;
	}
}

struct arguments {
	const char *host, *port, *backend;
	unsigned threads;
};

static void print_help(void)
{
	puts("usage: fib-server [--host HOST] [--port PORT] [--threads N] [--backend NAME]\n"
	     "Answers UDP datagrams that hold a decimal number with that Fibonacci number (0 and "
	     "1\n"
	     "give 1). Prints `listening on ADDRESS:PORT`.\n"
	     "  --host HOST     name or address to bind (127.0.0.1)\n"
	     "  --port PORT     port (16000); 0 picks one\n"
	     "  --threads N     numbers that are computed at once, 1 to 64 (4)\n"
	     "  --backend NAME  hark backend (the environment's HARK_BACKEND, else the best)\n"
	     "  --help          this text");
	exit(0);
}

static struct arguments parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{"host", required_argument, NULL, 'h'},
		{"port", required_argument, NULL, 'p'},
		{"threads", required_argument, NULL, 't'},
		{"backend", required_argument, NULL, 'b'},
		{"help", no_argument, NULL, 'H'},
		{NULL, 0, NULL, 0},
	};
	struct arguments a = {.host = "127.0.0.1", .port = "16000", .threads = 4};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			a.host = optarg;
			break;
		case 'p':
			a.port = parse_port("--port", optarg);
			break;
		case 't':
			a.threads = parse_number("--threads", optarg, 1, THREADS_MAX);
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
	return a;
}

int main(int argc, char **argv)
{
	static struct server server;
	struct arguments a = parse_arguments(argc, argv);
	struct hark_pool_options pool_options = {
		.threads = a.threads,
		.queue = QUEUE_MAX,
		.name = "fib",
	};
	struct hark_pool *pool;
	struct hark_reactor *r;
	int error, fd = open_server(a.host, a.port, SOCK_DGRAM);

	r = make_reactor(a.backend);
	error = hark_pool_new(&pool, &pool_options);
	if (error)
		fail("cannot start %u threads: %s", a.threads, strerror(-error));
	server_init(&server, fd, pool);
	stop_on_signals(r, NULL);
	error = hark_handler_add(r, &server.handler);
	if (!error) {
		print_listening(fd);
		error = hark_reactor_run(r);
	}
	if (error)
		report("%s", strerror(-error));

	atomic_store(&stopping, true);
	hark_reactor_free(r); /* waits for the jobs that run and drops the others */
	hark_pool_free(pool, HARK_POOL_CANCEL);
	(void)close(fd);
	return error ? 1 : 0;
}
