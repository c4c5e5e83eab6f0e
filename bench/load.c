/* load.c - the clients of echo: a process of their own, on another processor where there is one.
 *
 * Each has a connection, and sends the next message when it has all of the last one back. They are
 * driven by hark, on the backend that the system is best at, whatever serves them: what they cost
 * is the same for all, and in none of the servers' numbers.
 *
 * A message is a window in one long text. Which one depends on the client and on how many it has
 * sent, so that bytes that went astray, or came twice, are not those that are awaited. */
#include "load.h"
#include <errno.h>
#include <hark/hark.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WINDOWS 251
#define MOST (1u << 20) /* messages of which it is kept how long they took */

struct client {
	struct hark_handler handler;
	unsigned window;
	size_t sent, got; /* of the present message */
	int64_t since;    /* it was begun */
};

static struct {
	struct hark_reactor *reactor;
	struct hark_handler control;
	struct client *clients;
	unsigned count, active;
	size_t message;
	char *text;

	bool running, settling;
	uint64_t sent, got, awaited; /* bytes in this turn */
	double *took;
	unsigned took_count;
	char problem[sizeof((struct load_answer *)NULL)->problem];
} load;

static void complain(const char *problem)
{
	if (load.problem[0] == '\0')
		snprintf(load.problem, sizeof load.problem, "%s", problem);
}

static const char *client_text(const struct client *c)
{
	return load.text + c->window;
}

static void client_push(struct client *c)
{
	ssize_t n = hark_send(&c->handler, client_text(c) + c->sent, load.message - c->sent);

	if (n > 0) {
		c->sent += (size_t)n;
		load.sent += (size_t)n;
	}
}

static void client_begin(struct client *c)
{
	c->window = (c->window + 1) % WINDOWS;
	c->sent = c->got = 0;
	c->since = now();
	client_push(c);
}

static void answer(const struct load_answer *a)
{
	if (write(load.control.fd, a, sizeof *a) != sizeof *a)
		_exit(1);
}

static void answer_report(void)
{
	struct load_answer a = {.bytes = 0};
	const unsigned n = load.took_count;

	sort_values(load.took, n);
	if (n > 0) {
		a.p50 = load.took[n / 2];
		a.p99 = load.took[(uint64_t)n * 99 / 100];
		a.p999 = load.took[(uint64_t)n * 999 / 1000];
	}
	answer(&a);
}

/* The server has ended its turn: all that it has sent is here when there is as much as that. */
static void settle(void)
{
	struct load_answer a = {.bytes = 0};

	if (!load.settling || load.got < load.awaited)
		return;
	if (load.got > load.awaited)
		complain("more came back than the server knows of");
	memcpy(a.problem, load.problem, sizeof a.problem);
	load.settling = false;
	answer(&a);
}

static bool client_wants_send(const struct hark_handler *h)
{
	return load.running && ((const struct client *)h)->sent < load.message;
}

static void client_recv(struct hark_handler *h)
{
	static char bytes[ECHO_MOST];
	struct client *c = (struct client *)h;
	const ssize_t got = hark_recv(h, bytes, sizeof bytes);

	if (got == 0) {
		hark_handler_remove(h);
		return;
	}
	if (got < 0)
		return;
	load.got += (size_t)got;
	if (c->got + (size_t)got > c->sent)
		complain("more came back to a client than it has sent");
	else if (memcmp(bytes, client_text(c) + c->got, (size_t)got) != 0)
		complain("what came back to a client is not what it has sent");
	c->got += (size_t)got;
	if (c->got >= load.message && load.running) {
		if (load.took_count < MOST)
			load.took[load.took_count++] = (double)(now() - c->since);
		client_begin(c);
	}
	settle();
}

static void client_send(struct hark_handler *h)
{
	client_push((struct client *)h);
}

static const struct hark_handler_ops client_ops = {
	.wants_recv = hark_always,
	.wants_send = client_wants_send,
	.handle_recv = client_recv,
	.handle_send = client_send,
	.name = "client",
};

/* Those that are idle are evenly apart among the others. They have no message in which they could
 * be. */
static void begin(void)
{
	load.running = true;
	load.sent = load.got = 0;
	load.problem[0] = '\0';
	for (unsigned i = 0; i < load.count; i++)
		load.clients[i].sent = load.clients[i].got = load.message;
	for (unsigned i = 0; i < load.active; i++) {
		struct client *c = &load.clients[(size_t)i * load.count / load.active];

		client_begin(c);
		hark_handler_refresh(&c->handler);
	}
}

static void end(void)
{
	struct load_answer a = {.bytes = load.sent};

	load.running = false;
	for (unsigned i = 0; i < load.count; i++)
		hark_handler_refresh(&load.clients[i].handler);
	answer(&a);
}

static void control_recv(struct hark_handler *h)
{
	struct load_order order;

	if (hark_recv(h, &order, sizeof order) != sizeof order) {
		hark_reactor_stop(load.reactor);
		return;
	}
	switch (order.verb) {
	case LOAD_BEGIN:
		begin();
		break;
	case LOAD_MARK:
		load.took_count = 0;
		break;
	case LOAD_REPORT:
		answer_report();
		break;
	case LOAD_END:
		end();
		break;
	case LOAD_SETTLE:
		load.awaited = order.bytes;
		load.settling = true;
		settle();
		break;
	}
}

static const struct hark_handler_ops control_ops = {
	.wants_recv = hark_always,
	.handle_recv = control_recv,
	.name = "control",
};

static void open_text(void)
{
	uint32_t random = 1;

	load.text = allocate(load.message + WINDOWS, 1);
	for (size_t i = 0; i < load.message + WINDOWS; i++) {
		random = random * 1664525 + 1013904223;
		load.text[i] = (char)(random >> 24);
	}
}

/* Returns 0 or -errno. */
static int open_clients(const struct ring *ring)
{
	for (unsigned i = 0; i < load.count; i++) {
		struct client *c = &load.clients[i];
		int error;

		c->window = i % WINDOWS;
		hark_handler_init(&c->handler, &client_ops, ring->pairs[i].to);
		error = hark_handler_add(load.reactor, &c->handler);
		if (error < 0)
			return error;
	}
	return 0;
}

void load_run(const struct cell *cell, int control)
{
	const struct hark_options options = {.backend = system_drivers[0]->backend(0)};
	int error;

	system_pin_others();
	load.count = cell->descriptors;
	load.active = cell->active;
	load.message = cell->message;
	load.clients = allocate(load.count, sizeof *load.clients);
	load.took = allocate(MOST, sizeof *load.took);
	open_text();
	error = hark_reactor_new(&load.reactor, &options);
	if (error == 0)
		error = open_clients(cell->ring);
	if (error == 0) {
		hark_handler_init(&load.control, &control_ops, control);
		error = hark_handler_add(load.reactor, &load.control);
	}
	if (error == 0)
		error = hark_reactor_run(load.reactor);
	if (error < 0)
		fprintf(stderr, "hark-bench: the clients of echo: %s\n", strerror(-error));
}
