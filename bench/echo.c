/* echo.c - the workload echo: a server of TCP connections, and its clients in another process.
 *
 * The clients (load.c) are a closed loop: each sends a message when it has the last one back, so
 * that the server is never asked for more than it can do. What counts is what a request costs the
 * server in processor time, which unlike the time that passes is its own: requests a second and the
 * times that clients wait are those of both processes and of the kernel between them.
 *
 * The connections are there before, and the loop watches the server's ends. When it is closed, what
 * clients have sent must be what came back and what is still in between. */
#include "load.h"
#include <errno.h>
#include <hark/base.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 5 /* for what is in between */
#define LEAST 2000   /* messages of a run, where there are as many clients */

static const struct shape small[] = {
	{1, 1, 0},
	{50, 50, OVER_TCP},
	{1000, 1000, 0},
	{10000, 10000, 0},
};
static const struct shape large[] = {
	{1, 1, 0},
	{50, 50, 0},
	{1000, 1000, 0},
	{10000, 10000, 0},
};
#define ALL (sizeof small / sizeof small[0])

static struct {
	pid_t pid;
	int control;
} clients;

/* What a socket did not take; its client awaits it, and sends nothing more before. */
static struct rest {
	size_t size, begin;
	char *bytes;
} * rests;
static size_t rest_count;

static void plan_echo(struct plan *plan, const struct wishes *wishes)
{
	const struct cell like = {.workload = &work_echo, .job = ECHO_BACK, .message = 64};
	const struct cell like_large = {
		.workload = &work_echo, .job = ECHO_BACK, .message = ECHO_MOST};

	shapes_plan(&like, small, ALL, plan, wishes);
	shapes_plan(&like_large, large, ALL, plan, wishes);
}

static unsigned label_echo(const struct cell *cell, struct label labels[LABELS_MOST])
{
	const unsigned count = sockets_labels(cell, labels);

	labels[count] = (struct label){"size", 5, "message_bytes", NULL, cell->message};
	return count + 1;
}

static const struct measure *measure_echo(const struct cell *cell)
{
	static const struct measure measures[MEASURES] = {
		{"cpu ns", "cpu_ns_per_request", "ratio_to_raw"},
		{"req/s", "requests_per_second", "requests_ratio_to_raw"},
		{"p50", "p50_ns", "p50_ratio_to_raw"},
		{"p99", "p99_ns", "p99_ratio_to_raw"},
		{"p99.9", "p999_ns", "p999_ratio_to_raw"},
	};

	(void)cell;
	return measures;
}

void echo_keep(int to, const char *bytes, size_t size)
{
	struct rest *rest = &rests[to];

	if (rest->bytes == NULL)
		rest->bytes = allocate(ECHO_MOST, 1);
	if (rest->begin > 0) {
		memmove(rest->bytes, rest->bytes + rest->begin, rest->size);
		rest->begin = 0;
	}
	if (rest->size + size > ECHO_MOST)
		broken("a client has sent more than a message");
	memcpy(rest->bytes + rest->size, bytes, size);
	rest->size += size;
}

size_t echo_kept(int to, const char **bytes)
{
	*bytes = rests[to].bytes + rests[to].begin;
	return rests[to].size;
}

void echo_drop(int to, size_t size)
{
	rests[to].begin += size;
	rests[to].size -= size;
}

static void forget_rests(void)
{
	for (size_t i = 0; i < rest_count; i++) {
		free(rests[i].bytes);
		rests[i] = (struct rest){.size = 0};
	}
}

/* The clients' ends, and one end of the control, go to a process of their own. */
static void prepare_echo(struct cell *cell)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	int control[2];

	if (cell->least > LEAST)
		cell->least = LEAST;
	sockets_prepare(cell);
	rest_count = sockets_room(cell);
	rests = allocate(rest_count, sizeof *rests);
	signal(SIGPIPE, SIG_IGN);
	fflush(NULL);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, control) < 0 || (clients.pid = fork()) < 0)
		broken("cannot start the clients of echo: %s", strerror(errno));
	if (clients.pid == 0) {
		close(control[0]);
		sockets_halve(true);
		load_run(cell, control[1]);
		_exit(0);
	}
	close(control[1]);
	sockets_halve(false);
	clients.control = control[0];
	setsockopt(clients.control, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

static void clean_echo(struct cell *cell)
{
	(void)cell;
	close(clients.control);
	waitpid(clients.pid, NULL, 0);
	sockets_close();
	forget_rests();
	free(rests);
}

static void order(enum load_verb verb, uint64_t bytes)
{
	const struct load_order order = {.verb = verb, .bytes = bytes};

	if (write(clients.control, &order, sizeof order) != sizeof order)
		broken("the clients of echo are gone");
}

/* Returns false if there is none. io_uring may interrupt a call of this thread without a signal,
 * and one with a time limit is not taken up again. */
static bool ask(enum load_verb verb, uint64_t bytes, struct load_answer *answer)
{
	ssize_t got;

	order(verb, bytes);
	do
		got = recv(clients.control, answer, sizeof *answer, MSG_WAITALL);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		broken("the clients of echo are gone");
	return got == sizeof *answer;
}

static void start_echo(const struct cell *cell)
{
	tally.echoed = tally.held = 0;
	tally.part = 0;
	tally.message = cell->message;
	forget_rests();
	order(LOAD_BEGIN, 0);
}

static double cpu_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)(HARK_S(ts.tv_sec) + ts.tv_nsec);
}

static void slice_echo(const struct cell *cell, const struct row *row, double values[MEASURES])
{
	const uint64_t hops = row->hops_a_piece * row->pieces, done = tally.hops;
	struct load_answer answer = {.bytes = 0};
	double cpu, wall;

	order(LOAD_MARK, 0);
	cpu = cpu_time();
	wall = run_hops(cell, row, hops);
	values[0] = (cpu_time() - cpu) / (double)(tally.hops - done);
	values[1] = 1e9 / wall;
	if (!ask(LOAD_REPORT, 0, &answer))
		broken("the clients of echo do not answer");
	values[2] = answer.p50;
	values[3] = answer.p99;
	values[4] = answer.p999;
}

/* Takes what the server has not, `most` bytes, for which it waits a while if need be. Returns how
 * many there were. */
static uint64_t drain(const struct cell *cell, uint64_t most)
{
	const int64_t end = now() + HARK_S(PATIENCE_S);
	static char bytes[ECHO_MOST];
	uint64_t sum = 0;

	do {
		for (unsigned i = 0; i < cell->ring->count; i++) {
			ssize_t got;

			while ((got = recv(cell->ring->pairs[i].fd, bytes, sizeof bytes, 0)) > 0)
				sum += (uint64_t)got;
		}
	} while (sum < most && now() < end);
	return sum;
}

static const char *finish_echo(const struct cell *cell)
{
	static struct load_answer answer;
	uint64_t taken = tally.echoed + tally.held;

	if (!ask(LOAD_END, 0, &answer))
		broken("the clients of echo do not answer");
	if (taken > answer.bytes || taken + drain(cell, answer.bytes - taken) != answer.bytes)
		return "what the server has received is not what its clients have sent";
	if (!ask(LOAD_SETTLE, tally.echoed, &answer))
		return "what the server has sent back did not arrive";
	return answer.problem[0] != '\0' ? answer.problem : NULL;
}

const struct workload work_echo = {
	.name = "echo",
	.about = "a TCP server sends back what its clients, in another process, send: what a\n"
		 "request costs the server in processor time; requests a second, and how long\n"
		 "they take\n",
	.kind = SOCKETS,
	.over = OVER_TCP,
	.all_active = true,
	.plan = plan_echo,
	.labels = label_echo,
	.measures = measure_echo,
	.prepare = prepare_echo,
	.clean = clean_echo,
	.start = start_echo,
	.finish = finish_echo,
	.slice = slice_echo,
};
