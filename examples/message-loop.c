/* message-loop.c - several threads send messages to one loop, until a final message ends it.
 *
 * A message brings the function that the loop is to call for it, and what that needs to know. It is
 * the sender's until it is posted and the loop's from then on, so nothing is shared and nothing
 * locked. */
#include "common.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char program[] = "message-loop";

#define PRODUCERS_MAX 16
#define NUMBERS_MAX 100000

struct loop {
	struct hark_reactor *reactor;
	struct hark_message final;
	unsigned producing; /* producers that have not said goodbye */
	uint64_t numbers, sum;
	bool ended;
};

struct letter {
	struct hark_message message;
	struct producer *from;
	unsigned number;
};

struct producer {
	pthread_t thread;
	struct loop *loop;
	unsigned id, numbers, pause_ms;
	struct letter *letters; /* all that it is going to send */
	unsigned sent;
};

/* Tells the producers that the loop has ended. */
static atomic_bool stopping;

/* ---- On the loop's thread ---- */

static void handle_hello(struct hark_message *m, struct hark_reactor *r)
{
	const struct letter *letter = (struct letter *)m;

	(void)r;
	printf("producer %u begins\n", letter->from->id);
}

static void handle_number(struct hark_message *m, struct hark_reactor *r)
{
	const struct letter *letter = (struct letter *)m;
	struct loop *loop = letter->from->loop;

	(void)r;
	loop->numbers++;
	loop->sum += letter->number;
}

/* The messages of a thread come in the order in which it posted them, so this is its last. After
 * the last of all, the loop sends itself the final one. */
static void handle_goodbye(struct hark_message *m, struct hark_reactor *r)
{
	const struct letter *letter = (struct letter *)m;
	struct loop *loop = letter->from->loop;

	printf("producer %u has ended\n", letter->from->id);
	if (--loop->producing == 0)
		(void)hark_post(r, &loop->final);
}

static void handle_final(struct hark_message *m, struct hark_reactor *r)
{
	struct loop *loop = HARK_CONTAINER(m, struct loop, final);

	(void)r;
	loop->ended = true;
}

/* ---- On the threads of the producers ---- */

static void post(struct producer *p, void (*handle)(struct hark_message *, struct hark_reactor *),
                 unsigned number)
{
	struct letter *letter = &p->letters[p->sent++];

	hark_message_init(&letter->message, handle);
	letter->from = p;
	letter->number = number;
	/* It would fail for a message that is queued already. */
	(void)hark_post(p->loop->reactor, &letter->message);
}

static void *produce(void *producer)
{
	struct producer *p = producer;
	const struct timespec pause = {
		.tv_sec = p->pause_ms / 1000,
		.tv_nsec = (long)(p->pause_ms % 1000) * 1000000,
	};

	post(p, handle_hello, 0);
	for (unsigned i = 1; i <= p->numbers && !atomic_load(&stopping); i++) {
		post(p, handle_number, i);
		if (p->pause_ms)
			(void)nanosleep(&pause, NULL);
	}
	post(p, handle_goodbye, 0);
	return NULL;
}

/* ---- The program ---- */

struct arguments {
	unsigned producers, numbers, pause_ms;
	const char *backend;
};

static void print_help(void)
{
	puts("usage: message-loop [--producers N] [--numbers N] [--pause MS] [--backend NAME]\n"
	     "Starts threads that each send the numbers 1, 2, 3 ... to one loop, which adds them "
	     "up.\n"
	     "  --producers N   threads, 1 to 16 (4)\n"
	     "  --numbers N     numbers that each sends, 0 to 100000 (100)\n"
	     "  --pause MS      milliseconds that it pauses after each, 0 to 1000 (10)\n"
	     "  --backend NAME  hark backend (the environment's HARK_BACKEND, else the best)\n"
	     "  --help          this text");
	exit(0);
}

static struct arguments parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{"producers", required_argument, NULL, 'p'},
		{"numbers", required_argument, NULL, 'n'},
		{"pause", required_argument, NULL, 't'},
		{"backend", required_argument, NULL, 'b'},
		{"help", no_argument, NULL, 'H'},
		{NULL, 0, NULL, 0},
	};
	struct arguments a = {.producers = 4, .numbers = 100, .pause_ms = 10};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			a.producers = parse_number("--producers", optarg, 1, PRODUCERS_MAX);
			break;
		case 'n':
			a.numbers = parse_number("--numbers", optarg, 0, NUMBERS_MAX);
			break;
		case 't':
			a.pause_ms = parse_number("--pause", optarg, 0, 1000);
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

/* Returns 0 or -errno. */
static int loop_start_producer(struct loop *loop, struct producer *p, const struct arguments *a)
{
	int error;

	*p = (struct producer){
		.loop = loop,
		.id = loop->producing,
		.numbers = a->numbers,
		.pause_ms = a->pause_ms,
		.letters = calloc(a->numbers + 2, sizeof(*p->letters)), /* also hello and goodbye */
	};
	if (!p->letters)
		return -ENOMEM;
	error = pthread_create(&p->thread, NULL, produce, p);
	if (error) {
		free(p->letters);
		return -error;
	}
	loop->producing++;
	return 0;
}

int main(int argc, char **argv)
{
	static struct producer producers[PRODUCERS_MAX];
	struct arguments a = parse_arguments(argc, argv);
	struct loop loop = {.reactor = make_reactor(a.backend)};
	unsigned started;
	int result = 0;

	(void)setvbuf(stdout, NULL, _IOLBF, 0); /* each line at once, also into a pipe */
	hark_message_init(&loop.final, handle_final);
	stop_on_signals(loop.reactor, &loop.ended);
	while (loop.producing < a.producers && result == 0)
		result = loop_start_producer(&loop, &producers[loop.producing], &a);
	started = loop.producing;

	/* Not hark_reactor_run: that ends when nothing is left to wait for, and a message that
	 * nobody has posted yet is nothing. */
	while (!loop.ended && result >= 0)
		result = hark_reactor_turn(loop.reactor, -1);
	if (result < 0)
		report("%s", strerror(-result));

	atomic_store(&stopping, true);
	for (unsigned i = 0; i < started; i++)
		(void)pthread_join(producers[i].thread, NULL);
	hark_reactor_free(loop.reactor); /* lets go of what is still queued */
	for (unsigned i = 0; i < started; i++)
		free(producers[i].letters);
	printf("%" PRIu64 " numbers, sum %" PRIu64 "\n", loop.numbers, loop.sum);
	return result < 0 ? 1 : 0;
}
