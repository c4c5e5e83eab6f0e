/* tcp-echo-server.c - sends back what it gets, to ten thousand clients and more.
 *
 * The server is a handler that accepts and adds a handler for each client. A client receives only
 * while it owes nothing: what could not be sent at once is kept, and until it is gone the client
 * wants to send and nothing else. So a slow reader holds one buffer, an idle client none, and at
 * the end of the stream everything has been sent. */
#include "common.h"
#include "net.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

const char program[] = "tcp-echo-server";

#define RECV_MAX 65536            /* bytes received in one go, and kept at most */
#define ACCEPT_MAX 64             /* connections accepted in one go, for fairness */
#define ACCEPT_RETRY HARK_MS(100) /* how long to leave a failing accept(2) alone */

struct server {
	struct hark_handler handler;
	struct hark_timer retry; /* ends a pause */
	struct client *clients;
	size_t client_count;
	bool paused;  /* it does not accept for now */
	bool starved; /* it had to pause, and has not caught up since */
};

struct client {
	struct hark_handler handler;
	struct server *server;
	struct client *next, **link; /* link points to what points to this client */
	char *unsent;                /* what could not be sent, or NULL */
	size_t unsent_at, unsent_end;
};

/* Accepts again, if it was paused. */
static void server_resume(struct server *s)
{
	s->paused = false;
	hark_timer_stop(&s->retry);
	hark_handler_refresh(&s->handler);
}

static void server_handle_retry(struct hark_timer *t, uint64_t missed)
{
	(void)missed;
	server_resume(HARK_CONTAINER(t, struct server, retry));
}

static const struct hark_timer_ops retry_ops = {
	.handle_timer = server_handle_retry,
	.name = "retry",
};

/* An accept(2) that fails, for want of descriptors say, leaves the connection queued and the
 * listener ready: called at once, it would fail again. Clients wait instead until a descriptor is
 * free, because one of ours has left or because trying again now and then shows it. */
static void server_pause(struct server *s, int error)
{
	if (!s->starved)
		report("accepting pauses with %zu clients: %s", s->client_count, strerror(error));
	s->starved = true;
	s->paused = true;
	hark_timer_start(hark_handler_reactor(&s->handler), &s->retry, ACCEPT_RETRY);
}

static void client_close(struct client *c)
{
	struct server *s = c->server;

	hark_handler_remove(&c->handler);
	(void)close(c->handler.fd);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	free(c->unsent);
	free(c);
	s->client_count--;
	if (s->paused)
		server_resume(s);
}

static bool client_wants_recv(const struct hark_handler *h)
{
	return !((const struct client *)h)->unsent;
}

static bool client_wants_send(const struct hark_handler *h)
{
	return ((const struct client *)h)->unsent;
}

static void client_handle_recv(struct hark_handler *h)
{
	struct client *c = (struct client *)h;
	char data[RECV_MAX];
	ssize_t got = hark_recv(h, data, sizeof(data));
	ssize_t sent;

	if (got == -EAGAIN || got == -EINTR)
		return;
	if (got <= 0) { /* the end of the stream, or of the connection */
		client_close(c);
		return;
	}
	sent = hark_send(h, data, (size_t)got);
	if (sent == -EAGAIN || sent == -EINTR)
		sent = 0;
	if (sent == got)
		return;
	if (sent >= 0)
		c->unsent = malloc((size_t)(got - sent));
	if (!c->unsent) {
		client_close(c);
		return;
	}
	c->unsent_at = 0;
	c->unsent_end = (size_t)(got - sent);
	memcpy(c->unsent, data + sent, c->unsent_end);
}

static void client_handle_send(struct hark_handler *h)
{
	struct client *c = (struct client *)h;
	ssize_t sent = hark_send(h, c->unsent + c->unsent_at, c->unsent_end - c->unsent_at);

	if (sent == -EAGAIN || sent == -EINTR)
		return;
	if (sent < 0) {
		client_close(c);
		return;
	}
	c->unsent_at += (size_t)sent;
	if (c->unsent_at == c->unsent_end) {
		free(c->unsent);
		c->unsent = NULL;
	}
}

static void client_handle_error(struct hark_handler *h, int error)
{
	report("a client cannot be watched: %s", strerror(error));
	client_close((struct client *)h);
}

static const struct hark_handler_ops client_ops = {
	.wants_recv = client_wants_recv,
	.wants_send = client_wants_send,
	.handle_recv = client_handle_recv,
	.handle_send = client_handle_send,
	.handle_error = client_handle_error,
	.name = "client",
};

/* Serves the connection fd, which is the server's from now on. Returns 0 or -errno. */
static int server_add_client(struct server *s, int fd)
{
	struct client *c = calloc(1, sizeof(*c));
	int one = 1;
	int error;

	if (!c) {
		(void)close(fd);
		return -ENOMEM;
	}
	/* An echo is due at once, however short. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	hark_handler_init(&c->handler, &client_ops, fd);
	error = hark_handler_add(hark_handler_reactor(&s->handler), &c->handler);
	if (error) {
		(void)close(fd);
		free(c);
		return error;
	}
	c->server = s;
	c->next = s->clients;
	c->link = &s->clients;
	if (c->next)
		c->next->link = &c->next;
	s->clients = c;
	s->client_count++;
	return 0;
}

static bool server_wants_recv(const struct hark_handler *h)
{
	return !((const struct server *)h)->paused;
}

static void server_handle_recv(struct hark_handler *h)
{
	struct server *s = (struct server *)h;

	for (int i = 0; i < ACCEPT_MAX; i++) {
		int result = hark_accept(h, NULL, NULL);

		if (result == -EAGAIN) {
			s->starved = false;
			return;
		}
		if (result == -EINTR || result == -ECONNABORTED)
			continue;
		if (result >= 0)
			result = server_add_client(s, result);
		if (result < 0) {
			server_pause(s, -result);
			return;
		}
	}
}

static const struct hark_handler_ops server_ops = {
	.wants_recv = server_wants_recv,
	.handle_recv = server_handle_recv,
	.name = "server",
};

/* A client is a descriptor. The soft limit is often 1024, and may be raised by anyone. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	rlim_t soft;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	soft = limit.rlim_cur;
	/* Some systems refuse part of what their hard limit says. */
	for (rlim_t wish = limit.rlim_max; wish > soft; wish /= 2) {
		limit.rlim_cur = wish;
		if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
			return;
	}
}

struct arguments {
	const char *host, *port, *backend;
};

static void print_help(void)
{
	puts("usage: tcp-echo-server [--host HOST] [--port PORT] [--backend NAME]\n"
	     "Sends back what each TCP client sends. Prints `listening on ADDRESS:PORT`.\n"
	     "  --host HOST     name or address to bind (127.0.0.1)\n"
	     "  --port PORT     port (15001); 0 picks one\n"
	     "  --backend NAME  hark backend (the environment's HARK_BACKEND, else the best)\n"
	     "  --help          this text");
	exit(0);
}

static struct arguments parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{"host", required_argument, NULL, 'h'},
		{"port", required_argument, NULL, 'p'},
		{"backend", required_argument, NULL, 'b'},
		{"help", no_argument, NULL, 'H'},
		{NULL, 0, NULL, 0},
	};
	struct arguments a = {.host = "127.0.0.1", .port = "15001"};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			a.host = optarg;
			break;
		case 'p':
			a.port = parse_port("--port", optarg);
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
	struct arguments a = parse_arguments(argc, argv);
	struct server server = {.clients = NULL};
	struct hark_reactor *r;
	int error;

	raise_descriptor_limit();
	hark_handler_init(&server.handler, &server_ops, open_server(a.host, a.port, SOCK_STREAM));
	hark_timer_init(&server.retry, &retry_ops);
	r = make_reactor(a.backend);
	stop_on_signals(r, NULL);
	error = hark_handler_add(r, &server.handler);
	if (!error) {
		print_listening(server.handler.fd);
		error = hark_reactor_run(r);
	}
	if (error)
		report("%s", strerror(-error));

	for (struct client *c = server.clients, *next; c; c = next) {
		next = c->next;
		client_close(c);
	}
	hark_reactor_free(r);
	(void)close(server.handler.fd);
	return error ? 1 : 0;
}
