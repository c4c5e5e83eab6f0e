/* http-get.c - gets several URLs at once, with a timeout and a line that shows the progress.
 *
 * Each URL is a task: it finds the host, connects, asks and receives, as a program with blocking
 * calls would, and awaits what those would block on. */
#include "common.h"
#include "http.h"
#include "net.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char program[] = "http-get";

#define LOOKUPS_MAX 16 /* hosts that are looked up at once */

/* What the fetches share. */
struct getter {
	struct hark_reactor *reactor;
	struct hark_pool *pool;
	int64_t timeout, start;
	unsigned fetches, done, failed;
	uint64_t received;
	bool on_terminal; /* the progress line, which is then written over */
	struct hark_timer progress;
};

struct fetch {
	struct hark_task task;
	struct hark_job lookup;
	struct getter *getter;
	const char *text; /* of the URL */
	struct url url;
	struct addrinfo *addresses, *address;
	int lookup_error;
	size_t sent;
	struct response response;
	char why[640]; /* it failed, in words */
};

static double getter_seconds(const struct getter *g)
{
	return (double)(hark_reactor_now(g->reactor) - g->start) / 1e9;
}

/* ---- The progress line ---- */

static void handle_progress(struct hark_timer *t, uint64_t missed)
{
	struct getter *g = HARK_CONTAINER(t, struct getter, progress);

	(void)missed;
	(void)fprintf(stderr, "%s%u of %u done, %" PRIu64 " bytes, %.0f s%s",
	              g->on_terminal ? "\r" : "", g->done, g->fetches, g->received,
	              getter_seconds(g), g->on_terminal ? "\33[K" : "\n");
}

/* In the background: it keeps nothing going. */
static const struct hark_timer_ops progress_ops = {
	.handle_timer = handle_progress,
	.name = "progress",
	.background = true,
};

/* Makes way for another line on the terminal. */
static void erase_progress(const struct getter *g)
{
	if (g->on_terminal)
		(void)fputs("\r\33[K", stderr);
}

/* ---- Looking a host up ---- */

/* getaddrinfo(3) blocks, perhaps for many seconds, so a thread of the pool calls it. Nothing can
 * interrupt it: --timeout does not hold for it, and when the program is to end, it is waited for.
 */
static void lookup_work(struct hark_job *j)
{
	struct fetch *f = HARK_CONTAINER(j, struct fetch, lookup);
	struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};

	f->lookup_error = getaddrinfo(f->url.host, f->url.port, &hints, &f->addresses);
}

static const struct hark_job_ops lookup_ops = {.work = lookup_work, .name = "lookup"};

/* ---- Fetching ---- */

static void fetch_disconnect(struct fetch *f)
{
	hark_handler_remove(&f->task.handler);
	if (f->task.handler.fd >= 0)
		(void)close(f->task.handler.fd);
	f->task.handler.fd = -1;
}

static int64_t fetch_deadline(const struct fetch *f)
{
	return hark_reactor_now(f->getter->reactor) + f->getter->timeout;
}

/* Notes why f fails. Returns what it then ends with. */
static ssize_t __attribute__((format(printf, 2, 3)))
fetch_fail(struct fetch *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(f->why, sizeof(f->why), format, args);
	va_end(args);
	return -EPROTO;
}

/* Receives what is there. Returns 0 or -errno. */
static ssize_t fetch_receive(struct fetch *f)
{
	char data[65536];
	ssize_t n = hark_recv(&f->task.handler, data, sizeof(data));
	const char *problem;

	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n < 0)
		return n;
	f->getter->received += (size_t)n;
	problem = response_take(&f->response, data, (size_t)n);
	return problem ? fetch_fail(f, "bad answer: %s", problem) : 0;
}

/* The answer is there; is it what was asked for? */
static ssize_t fetch_judge(struct fetch *f)
{
	const struct response *p = &f->response;

	if (p->status < 300)
		return 0;
	if (p->location[0])
		return fetch_fail(f, "%d %s: redirected to %s", p->status, p->reason, p->location);
	return fetch_fail(f, "%d %s", p->status, p->reason);
}

static ssize_t fetch_run(struct hark_task *t)
{
	struct fetch *f = (struct fetch *)t;
	ssize_t n;

	HARK_TASK_BEGIN(t);
	HARK_AWAIT(t, n, hark_await_job(t, f->getter->pool, &f->lookup));
	if (n < 0)
		return n;
	if (f->lookup_error)
		return fetch_fail(f, "%s: %s", f->url.host, gai_strerror(f->lookup_error));

	/* One address after the other, until one can be connected to. */
	for (f->address = f->addresses; f->address; f->address = f->address->ai_next) {
		n = connect_to(f->address->ai_addr, f->address->ai_addrlen);
		if (n >= 0) {
			t->handler.fd = (int)n;
			do {
				HARK_AWAIT(t, n, hark_await_ready(t, HARK_SEND, fetch_deadline(f)));
				if (n >= 0)
					n = connect_result(t->handler.fd);
			} while (n == -EINPROGRESS);
		}
		if (n == 0 || n == -ECANCELED)
			break;
		fetch_disconnect(f);
	}
	if (n < 0)
		return n == -ECANCELED ? n : fetch_fail(f, "cannot connect: %s", strerror((int)-n));

	while (f->sent < f->url.request_size) {
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_SEND, fetch_deadline(f)));
		if (n >= 0)
			n = hark_send(&t->handler, f->url.request + f->sent,
			              f->url.request_size - f->sent);
		if (n >= 0)
			f->sent += (size_t)n;
		else if (n != -EAGAIN && n != -EINTR)
			return n;
	}
	while (!f->response.complete) {
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV, fetch_deadline(f)));
		if (n >= 0)
			n = fetch_receive(f);
		if (n < 0)
			return n;
	}
	HARK_TASK_END(t);
	return fetch_judge(f);
}

static const char *reason_of(const struct fetch *f, ssize_t result)
{
	if (f->why[0])
		return f->why;
	if (result == -ECANCELED)
		return "interrupted";
	if (result == -ETIMEDOUT)
		return "timed out";
	return strerror((int)-result);
}

static void fetch_handle_done(struct hark_task *t, ssize_t result)
{
	struct fetch *f = (struct fetch *)t;
	struct getter *g = f->getter;

	fetch_disconnect(f);
	if (f->addresses)
		freeaddrinfo(f->addresses);
	g->done++;
	erase_progress(g);
	if (result < 0) {
		g->failed++;
		report("%s: %s", f->text, reason_of(f, result));
	} else {
		printf("%s: %" PRIu64 " bytes in %.2f s\n", f->text, f->response.size,
		       getter_seconds(g));
	}
}

static const struct hark_task_ops fetch_ops = {
	.run = fetch_run,
	.handle_done = fetch_handle_done,
	.name = "fetch",
};

/* ---- The program ---- */

struct arguments {
	char **urls;
	unsigned count, timeout;
	const char *output, *backend;
};

static void print_help(void)
{
	puts("usage: http-get [--timeout SECONDS] [--output FILE] [--backend NAME] URL...\n"
	     "Gets http:// URLs, all at once, and reports each: the size of what came, or why it "
	     "did\n"
	     "not come. Only an answer 2xx is a success; redirections are reported, not followed.\n"
	     "Exit status: 0 if all came, 1 if one did not, 2 for bad arguments.\n"
	     "  --timeout SECONDS  how long to wait when nothing comes, 1 to 3600 (10)\n"
	     "  --output FILE      write the body there (of one URL)\n"
	     "  --backend NAME     hark backend (the environment's HARK_BACKEND, else the best)\n"
	     "  --help             this text");
	exit(0);
}

static struct arguments parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{"timeout", required_argument, NULL, 't'},
		{"output", required_argument, NULL, 'o'},
		{"backend", required_argument, NULL, 'b'},
		{"help", no_argument, NULL, 'H'},
		{NULL, 0, NULL, 0},
	};
	struct arguments a = {.timeout = 10};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't':
			a.timeout = parse_number("--timeout", optarg, 1, 3600);
			break;
		case 'o':
			a.output = optarg;
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
	a.urls = argv + optind;
	a.count = (unsigned)(argc - optind);
	if (a.count == 0)
		fail("no URL is given; --help shows how");
	if (a.output && a.count > 1)
		fail("--output is for one URL");
	return a;
}

static void fetch_init(struct fetch *f, struct getter *g, const char *text)
{
	const char *problem = url_parse(&f->url, text);

	if (problem)
		fail("'%s': %s", text, problem);
	f->getter = g;
	f->text = text;
	hark_task_init(&f->task, &fetch_ops);
	hark_job_init(&f->lookup, &lookup_ops);
}

/* Has everything been written? */
static bool close_output(FILE *output)
{
	bool failed = ferror(output);

	return fclose(output) == 0 && !failed;
}

int main(int argc, char **argv)
{
	struct arguments a = parse_arguments(argc, argv);
	struct getter g = {.timeout = HARK_S(a.timeout), .fetches = a.count};
	struct hark_pool_options pool_options = {
		.threads = a.count < LOOKUPS_MAX ? a.count : LOOKUPS_MAX,
		.queue = a.count,
		.name = "lookup",
	};
	struct fetch *fetches = calloc(a.count, sizeof(*fetches));
	FILE *output;
	int error;

	if (!fetches)
		fail("no memory for %u URLs", a.count);
	for (unsigned i = 0; i < a.count; i++)
		fetch_init(&fetches[i], &g, a.urls[i]);
	g.reactor = make_reactor(a.backend);
	error = hark_pool_new(&g.pool, &pool_options);
	if (error)
		fail("cannot start threads: %s", strerror(-error));
	output = a.output ? fopen(a.output, "wb") : NULL;
	if (a.output && !output)
		fail("--output: '%s': %s", a.output, strerror(errno));

	(void)setvbuf(stdout, NULL, _IOLBF, 0); /* each line at once, also into a pipe */
	g.on_terminal = isatty(STDERR_FILENO);
	g.start = hark_reactor_now(g.reactor);
	stop_on_signals(g.reactor, NULL);
	hark_timer_init(&g.progress, &progress_ops);
	hark_timer_start_rate(g.reactor, &g.progress, HARK_S(1), HARK_S(1));
	for (unsigned i = 0; i < a.count; i++) {
		response_init(&fetches[i].response, output);
		(void)hark_task_start(g.reactor, &fetches[i].task);
	}
	error = hark_reactor_run(g.reactor);
	if (error)
		report("%s", strerror(-error));

	/* When a signal has stopped it, lookups are waited for, and fetches that wait cancelled. */
	hark_reactor_free(g.reactor);
	for (unsigned i = 0; i < a.count; i++) {
		(void)hark_task_cancel(&fetches[i].task);
		url_free(&fetches[i].url);
	}
	hark_pool_free(g.pool, HARK_POOL_CANCEL);
	free(fetches);
	if (output && !close_output(output)) {
		report("--output: '%s': it cannot be written", a.output);
		return 1;
	}
	return error || g.failed ? 1 : 0;
}
