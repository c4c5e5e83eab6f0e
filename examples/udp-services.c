/* udp-services.c - two UDP services in one reactor: the time, and an echo.
 *
 * A service is one handler. It holds at most one answer: while that could not be sent, the
 * service wants to send and nothing else, otherwise it wants to receive. The reactor asks it
 * after each call, so there is nothing to start and nothing to stop. */
#include "common.h"
#include "net.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

const char program[] = "udp-services";

/* No datagram is larger. */
#define DATAGRAM_MAX 65536

struct service {
	struct hark_handler handler;

	/* Turns the datagram of that size in data into the answer, and returns the answer's size.
	 */
	size_t (*answer)(char *data, size_t size);

	bool unsent; /* data holds an answer for peer */
	struct sockaddr_storage peer;
	socklen_t peer_len;
	size_t size;
	char data[DATAGRAM_MAX];
};

static size_t answer_time(char *data, size_t size)
{
	time_t now = time(NULL);

	(void)size;
	return (size_t)snprintf(data, DATAGRAM_MAX, "%s", ctime(&now));
}

static size_t answer_echo(char *data, size_t size)
{
	(void)data;
	return size;
}

static bool service_wants_recv(const struct hark_handler *h)
{
	return !((const struct service *)h)->unsent;
}

static bool service_wants_send(const struct hark_handler *h)
{
	return ((const struct service *)h)->unsent;
}

static void service_handle_send(struct hark_handler *h)
{
	struct service *s = (struct service *)h;
	ssize_t n = hark_sendto(h, s->data, s->size, 0, (struct sockaddr *)&s->peer, s->peer_len);

	/* Any other error is this peer's misfortune: datagrams may be lost. */
	s->unsent = n == -EAGAIN || n == -EINTR;
}

/* One datagram a call: the reactor calls again while there are more, and the other service gets
 * its turn in between. */
static void service_handle_recv(struct hark_handler *h)
{
	struct service *s = (struct service *)h;
	ssize_t n;

	s->peer_len = sizeof(s->peer);
	n = hark_recvfrom(h, s->data, sizeof(s->data), 0, (struct sockaddr *)&s->peer,
	                  &s->peer_len);
	if (n < 0)
		return;
	s->size = s->answer(s->data, (size_t)n);
	service_handle_send(h);
}

static const struct hark_handler_ops service_ops = {
	.wants_recv = service_wants_recv,
	.wants_send = service_wants_send,
	.handle_recv = service_handle_recv,
	.handle_send = service_handle_send,
	.name = "udp service",
};

struct arguments {
	const char *host, *time_port, *echo_port, *backend;
};

static void print_help(void)
{
	puts("usage: udp-services [--host HOST] [--time-port PORT] [--echo-port PORT]"
	     " [--backend NAME]\n"
	     "Answers UDP datagrams: the time service with the date, the echo service with what\n"
	     "it got. Prints `listening on ADDRESS:PORT` for each, first time, then echo.\n"
	     "  --host HOST       name or address to bind (127.0.0.1)\n"
	     "  --time-port PORT  port of the time service (14000); 0 picks one\n"
	     "  --echo-port PORT  port of the echo service (15000); 0 picks one\n"
	     "  --backend NAME    hark backend (the environment's HARK_BACKEND, else the best)\n"
	     "  --help            this text");
	exit(0);
}

static struct arguments parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{"host", required_argument, NULL, 'h'},
		{"time-port", required_argument, NULL, 't'},
		{"echo-port", required_argument, NULL, 'e'},
		{"backend", required_argument, NULL, 'b'},
		{"help", no_argument, NULL, 'H'},
		{NULL, 0, NULL, 0},
	};
	struct arguments a = {.host = "127.0.0.1", .time_port = "14000", .echo_port = "15000"};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			a.host = optarg;
			break;
		case 't':
			a.time_port = parse_port("--time-port", optarg);
			break;
		case 'e':
			a.echo_port = parse_port("--echo-port", optarg);
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
	static struct service services[] = {
		{.answer = answer_time},
		{.answer = answer_echo},
	};
	struct arguments a = parse_arguments(argc, argv);
	const char *ports[] = {a.time_port, a.echo_port};
	struct hark_reactor *r;
	int error = 0;

	for (int i = 0; i < 2; i++)
		hark_handler_init(&services[i].handler, &service_ops,
		                  open_server(a.host, ports[i], SOCK_DGRAM));
	r = make_reactor(a.backend);
	stop_on_signals(r, NULL);
	for (int i = 0; i < 2 && !error; i++)
		error = hark_handler_add(r, &services[i].handler);
	for (int i = 0; i < 2 && !error; i++)
		print_listening(services[i].handler.fd);

	if (!error)
		error = hark_reactor_run(r);
	if (error)
		report("%s", strerror(-error));

	hark_reactor_free(r);
	for (int i = 0; i < 2; i++)
		(void)close(services[i].handler.fd);
	return error ? 1 : 0;
}
