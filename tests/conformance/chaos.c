/* chaos.c - what chaos promises to do to a program, each thing by itself; and that a seed says all
 * of it. That a handler bears it is what the whole suite shows under chaos. */
#include "actor.h"
#include "cases.h"
#include "traces.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACK 4 /* waits for which it holds an event back, at most */
#define LIES 3 /* verbs of one descriptor that lie running, at most */

static char why[512];

/* Under chaos with this seed, and no mischief but what is said. */
static int make(struct hark_reactor **r, unsigned seed, const char *settings)
{
	char chain[256];
	struct hark_options options = {.backend = chain, .why = why, .why_size = sizeof why};

	snprintf(chain, sizeof chain, "chaos=seed=%u,all=0%s%s:%s", seed, *settings ? "," : "",
	         settings, backend);
	return hark_reactor_new(r, &options);
}

static struct hark_reactor *chaos(const char *settings)
{
	struct hark_reactor *r = NULL;
	int error = make(&r, 1, settings);

	ck_assert_msg(error == 0, "%s", why);
	return r;
}

/* ---- Events ---- */

#define MANY 16

static struct actor *many[MANY];
static int called[4 * MANY], call_count;

static void note_call(struct actor *a)
{
	for (int i = 0; i < MANY; i++)
		if (many[i] == a)
			called[call_count++] = i;
}

static struct hark_reactor *with_many(const char *settings)
{
	struct hark_reactor *r = chaos(settings);

	for (int i = 0; i < MANY; i++) {
		many[i] = actor_new(r);
		many[i]->act = note_call;
	}
	hark_reactor_turn(r, 0);
	return r;
}

static void feed_many(void)
{
	call_count = 0;
	for (int i = 0; i < MANY; i++)
		actor_feed(many[i], 1);
}

static void free_many(struct hark_reactor *r)
{
	for (int i = 0; i < MANY; i++)
		actor_free(many[i]);
	hark_reactor_free(r);
}

/* In how many of 20 turns are they called in another order than they became ready in? Each is
 * called in each. */
static int disorders(const char *settings)
{
	struct hark_reactor *r = with_many(settings);
	int others = 0;

	for (int round = 0; round < 20; round++) {
		bool seen[MANY] = {false}, sorted = true;

		feed_many();
		ck_assert_int_eq(hark_reactor_turn(r, 0), MANY);
		ck_assert_int_eq(call_count, MANY);
		for (int i = 0; i < MANY; i++) {
			seen[called[i]] = true;
			sorted &= called[i] == i;
		}
		for (int i = 0; i < MANY; i++)
			ck_assert(seen[i]);
		others += !sorted;
	}
	free_many(r);
	return others;
}

/* Every backend reports these in the order of their descriptors, which is that of their data. */
START_TEST(events_come_in_another_order)
{
	int half = disorders("order=0.5");

	ck_assert_int_eq(disorders(""), 0);
	ck_assert_int_eq(disorders("order=1"), 20);
	ck_assert(half > 0 && half < 20);
}
END_TEST

/* None is slept upon, either. */
START_TEST(events_are_held_back_for_some_waits)
{
	struct hark_reactor *r = chaos("late=1");
	struct actor *a = actor_new(r);

	for (unsigned i = 1; i <= 5; i++) {
		settle(r, BACK + 1);
		actor_feed(a, 1);
		for (int wait = 0; wait < BACK; wait++)
			ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
		ck_assert_int_eq(hark_reactor_prepare(r), 0);
		ck_assert_int_eq(hark_reactor_turn(r, 0), 1);
		ck_assert_uint_eq(a->recvs, i);
	}
	actor_feed(a, 1);
	ck_assert_int_eq(hark_reactor_turn(r, -1), 1);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

START_TEST(events_come_one_in_a_wait)
{
	struct hark_reactor *r = with_many("one=1");

	for (int round = 0; round < 5; round++) {
		feed_many();
		for (int wait = 0; wait < BACK; wait++)
			ck_assert_int_eq(hark_reactor_turn(r, -1), 1);
		/* And those that have waited for long. */
		while (call_count < MANY)
			ck_assert_int_ge(hark_reactor_turn(r, -1), 1);
	}
	free_many(r);
}
END_TEST

/* For what they want, of which the probe takes care; and not for ever. */
START_TEST(handlers_are_called_for_nothing)
{
	struct hark_reactor *r = chaos("spurious=1");
	struct probe p[8];
	unsigned calls = 0, wanted = 0;
	int fds[2];

	for (int i = 0; i < 8; i++) {
		small_pair("unix", fds);
		fill(fds[0]);
		if (i < 6)
			probe_init(&p[i], fds[0]);
		else
			probe_init_ready(&p[i], fds[0]);
		p[i].recv = i % 3 != 0;
		p[i].send = i % 3 != 1;
		p[i].on_recv = verb_one;
		probe_add(r, &p[i]);
	}
	for (int round = 0; round < 100; round++) {
		settle(r, 8);
		put(fds[1], "x", 1); /* something happens */
		for (int i = 0; i < 3; i++)
			hark_reactor_turn(r, 0);
		ck_assert_int_eq(recv(fds[0], &(char){0}, 1, 0), 1);
	}
	for (int i = 0; i < 7; i++) {
		calls += p[i].recvs + p[i].sends + p[i].readies;
		ck_assert_uint_eq(p[i].received, 0);
		wanted += p[i].recvs + p[i].sends + p[i].readies > 0;
	}
	ck_assert_uint_gt(calls, 50);
	ck_assert_uint_eq(wanted, 7);
	for (int i = 0; i < 8; i++)
		hark_reactor_turn(r, 0);
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* Which ends a turn, and no more than two running. */
START_TEST(waits_are_interrupted)
{
	struct hark_reactor *r = chaos("eintr=1");
	struct actor *a = actor_new(r);

	for (int i = 0; i < 5; i++) {
		actor_feed(a, 1);
		ck_assert_int_eq(hark_reactor_turn(r, -1), 0);
		ck_assert_int_eq(hark_reactor_turn(r, -1), 0);
		ck_assert_int_eq(hark_reactor_turn(r, -1), 1);
	}
	ck_assert_uint_eq(a->calls, 5);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* ---- Verbs ---- */

static struct iovec parts[2];

/* Each of those that receive, or send, up to len bytes. */
static ssize_t receive(struct hark_handler *h, int how, char *buf, size_t len)
{
	struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};

	parts[0] = (struct iovec){buf, len / 3};
	parts[1] = (struct iovec){buf + len / 3, len - len / 3};
	if (how == 0)
		return hark_recv(h, buf, len);
	if (how == 1)
		return hark_recvfrom(h, buf, len, 0, NULL, NULL);
	if (how == 2)
		return hark_recvmsg(h, &msg, 0);
	return hark_read(h, buf, len);
}

static ssize_t send_some(struct hark_handler *h, int how, char *buf, size_t len)
{
	struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};

	parts[0] = (struct iovec){buf, len / 3};
	parts[1] = (struct iovec){buf + len / 3, len - len / 3};
	if (how == 0)
		return hark_send(h, buf, len);
	if (how == 1)
		return hark_sendto(h, buf, len, 0, NULL, 0);
	if (how == 2)
		return hark_sendmsg(h, &msg, 0);
	return hark_write(h, buf, len);
}

/* A probe that is added, for verbs; of a pair of sockets, or of the ends of two pipes. */
static void add(struct hark_reactor *r, struct probe *p, int fd)
{
	nonblocking(fd);
	probe_init(p, fd);
	probe_add(r, p);
}

static void pair_for(struct hark_reactor *r, int how, struct probe *from, struct probe *to)
{
	int fds[2];

	if (how < 3)
		socket_pair("unix", fds);
	else
		ck_assert_int_eq(pipe(fds), 0);
	add(r, to, fds[0]);
	add(r, from, fds[1]);
}

/* A thousand bytes, or for a pipe as many as it may take in parts. */
static size_t length_of(int how)
{
	return how < 3 ? 1000 : PIPE_BUF + 1000;
}

static char out[PIPE_BUF + 1000], in[PIPE_BUF + 1000];

/* Down to one byte; and nothing is lost. */
START_TEST(reads_and_writes_are_short)
{
	struct hark_reactor *r = chaos("short=1");
	size_t len = length_of(_i);
	struct probe from, to;
	unsigned ones = 0, more = 0;

	pair_for(r, _i, &from, &to);
	for (int round = 0; round < 100; round++) {
		ssize_t sent, got = 0;

		for (size_t i = 0; i < len; i++)
			out[i] = (char)rand();
		sent = send_some(&from.h, _i, out, len);
		ck_assert(sent > 0 && sent < (ssize_t)len);
		ones += sent == 1;
		more += sent > 1;
		while (got < sent) {
			ssize_t n = receive(&to.h, _i, in + got, len);

			ck_assert(n > 0 && n < (ssize_t)len);
			ones += n == 1;
			more += n > 1;
			got += n;
			len = length_of(_i) - (size_t)got;
		}
		ck_assert_int_eq(got, sent);
		ck_assert_mem_eq(in, out, (size_t)sent);
		len = length_of(_i);
	}
	ck_assert_uint_ge(ones, 30);
	ck_assert_uint_ge(more, 30);
	hark_reactor_free(r);
}
END_TEST

/* A part of a message's bytes comes with all that is said of the message. */
START_TEST(short_reads_keep_what_comes_with_them)
{
	struct hark_reactor *r = chaos("short=1");
	union {
		char room[256];
		struct cmsghdr align;
	} control;
	struct iovec iov = {out, 100};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct probe from, to;
	struct cmsghdr *c;
	int passed = STDERR_FILENO;
	ssize_t n;

	pair_for(r, 2, &from, &to);
	memset(&control, 0, sizeof control);
	msg.msg_control = control.room;
	msg.msg_controllen = CMSG_SPACE(sizeof passed);
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof passed);
	memcpy(CMSG_DATA(c), &passed, sizeof passed);
	ck_assert_int_eq(sendmsg(from.h.fd, &msg, 0), 100);

	memset(&control, 0, sizeof control);
	msg.msg_controllen = sizeof control.room;
	msg.msg_flags = MSG_CTRUNC;
	n = hark_recvmsg(&to.h, &msg, 0);
	ck_assert(n > 0 && n < 100);
	ck_assert_uint_le(msg.msg_controllen, CMSG_SPACE(sizeof passed));
	ck_assert(!(msg.msg_flags & MSG_CTRUNC));
	c = CMSG_FIRSTHDR(&msg);
	ck_assert_ptr_nonnull(c);
	memcpy(&passed, CMSG_DATA(c), sizeof passed);
	ck_assert_int_eq(close(passed), 0);
	hark_reactor_free(r);
}
END_TEST

/* What is a message, or is only looked at, or goes into a pipe in one piece. */
START_TEST(what_has_to_stay_whole_stays_whole)
{
	static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
	struct hark_reactor *r = chaos("short=1");
	struct probe from, to;
	int fds[2];

	for (int type = 0; type < 2; type++) {
		ck_assert_int_eq(socketpair(AF_UNIX, types[type], 0, fds), 0);
		add(r, &to, fds[0]);
		add(r, &from, fds[1]);
		for (int i = 0; i < 60; i++) {
			ck_assert_int_eq(send_some(&from.h, i % 3, out, 1000), 1000);
			ck_assert_int_eq(receive(&to.h, i / 3 % 3, in, 1000), 1000);
		}
	}
	pair_for(r, 0, &from, &to);
	put(from.h.fd, out, 1000);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(hark_recvfrom(&to.h, in, 1000, MSG_PEEK, NULL, NULL), 1000);
	pair_for(r, 3, &from, &to);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(hark_write(&from.h, out, PIPE_BUF), PIPE_BUF);
		ck_assert_int_eq(read(to.h.fd, in, PIPE_BUF), PIPE_BUF);
	}
	hark_reactor_free(r);
}
END_TEST

/* The same answer as often as it lies at most, and then the truth. */
static void lies_with(int answer, ssize_t (*verb)(struct hark_handler *, int, char *, size_t),
                      struct probe *p, int how)
{
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < LIES; i++)
			ck_assert_int_eq(verb(&p->h, how, in, 1), answer);
		ck_assert_int_eq(verb(&p->h, how, in, 1), 1);
	}
}

START_TEST(verbs_are_interrupted_and_find_nothing)
{
	static const char *const settings[] = {"eintr=1", "eagain=1"};
	int answer = _i % 2 ? -EAGAIN : -EINTR, how = _i / 2;
	struct hark_reactor *r = chaos(settings[_i % 2]);
	struct probe from, to;

	pair_for(r, how, &from, &to);
	put(from.h.fd, "abcd", 4);
	lies_with(answer, receive, &to, how);
	lies_with(answer, send_some, &from, how);

	/* What blocks does not find nothing. */
	if (how == 3 && answer == -EAGAIN) {
		ck_assert_int_eq(fcntl(from.h.fd, F_SETFL, 0), 0);
		for (int i = 0; i < 20; i++)
			ck_assert_int_eq(hark_write(&from.h, "x", 1), 1);
	}
	hark_reactor_free(r);
}
END_TEST

/* An EAGAIN of its own making is followed by a report, also where the kernel makes none. */
START_TEST(empty_reads_are_followed_by_a_report)
{
	struct hark_reactor *r = chaos("eagain=0.7");
	struct probe p;
	int fds[2];

	socket_pair(_i ? "tcp" : "unix", fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	to_edges(r, &p, fds[1]);
	p.on_recv = verb_all;
	for (size_t round = 1; round <= 200; round++) {
		put(fds[1], "abc", 3);
		while (p.received < 3 * round)
			ck_assert_int_gt(active_turn(r), 0);
	}
	hark_reactor_free(r);
}
END_TEST

static int listener_at(struct hark_reactor *r, struct probe *p, struct sockaddr_in *address)
{
	int fd = tcp_listener(address), client;

	add(r, p, fd);
	client = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(client, (struct sockaddr *)address, sizeof *address), 0);
	return client;
}

static void accept_after(const char *settings, int answer)
{
	struct hark_reactor *r = chaos(settings);
	struct sockaddr_in address;
	struct probe p;
	int client = listener_at(r, &p, &address), fd;

	for (int i = 0; i < LIES; i++)
		ck_assert_int_eq(hark_accept(&p.h, NULL, NULL), answer);
	fd = hark_accept(&p.h, NULL, NULL); /* the connection is there yet */
	ck_assert_int_ge(fd, 0);
	put(client, "x", 1);
	while (recv(fd, in, 1, 0) < 0)
		ck_assert_int_eq(errno, EAGAIN);
	close(fd);
	close(client);
	hark_reactor_free(r);
}

START_TEST(accept_lies_as_well)
{
	accept_after("eintr=1", -EINTR);
	accept_after("eagain=1", -EAGAIN);
	accept_after("emfile=1", -EMFILE);
}
END_TEST

/* Only when asked, and where it can be. */
START_TEST(resources_run_out)
{
	struct hark_reactor *r = chaos("enobufs=1");
	struct probe from, to;

	for (int how = 0; how < 3; how++) {
		pair_for(r, how, &from, &to);
		lies_with(-ENOBUFS, send_some, &from, how);
		for (int i = 0; i < 4; i++)
			ck_assert_int_eq(receive(&to.h, how, in, 1), 1);
	}
	pair_for(r, 3, &from, &to);
	ck_assert_int_eq(hark_write(&from.h, "x", 1), 1);
	hark_reactor_free(r);

	/* To make a reactor does not fail; to add a handler may, and changes nothing. */
	r = chaos("enomem=1");
	hark_reactor_free(r);
	r = chaos("enomem=0.5");
	unsigned refused = 0;
	for (int i = 0; i < 100; i++) {
		struct actor *a = actor_make();
		int rc = hark_handler_add(r, &a->handler);

		ck_assert(rc == 0 || rc == -ENOMEM);
		refused += rc != 0;
		ck_assert_uint_eq(stats_of(r).handlers, rc == 0);
		actor_free(a);
	}
	ck_assert(refused > 20 && refused < 80);
	hark_reactor_free(r);
}
END_TEST

/* A connection that is reset is gone for both sides. */
START_TEST(connections_are_reset)
{
	struct hark_reactor *r = chaos("econnreset=1");
	struct probe from, to;
	int fds[2];

	for (int sends = 0; sends < 2; sends++) {
		pair_for(r, 0, &from, &to);
		put(from.h.fd, "x", 1);
		if (sends)
			ck_assert_int_eq(hark_send(&to.h, "x", 1), -ECONNRESET);
		else
			ck_assert_int_eq(hark_recv(&to.h, in, 1), -ECONNRESET);
		ck_assert_int_eq(recv(from.h.fd, in, 1, 0), 0);
		ck_assert_int_lt(send(from.h.fd, "x", 1, MSG_NOSIGNAL), 0);
	}
	/* Where there is no connection nothing is reset. */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	add(r, &from, fds[0]);
	ck_assert_int_eq(hark_send(&from.h, "x", 1), 1);
	hark_reactor_free(r);
}
END_TEST

/* There is no connection yet, and the listener is not to be shut down. */
START_TEST(accept_is_not_reset)
{
	struct hark_reactor *r = chaos("econnreset=1");
	struct sockaddr_in address;
	struct probe p;
	int client = socket(AF_INET, SOCK_STREAM, 0), fd;

	add(r, &p, tcp_listener(&address));
	ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	fd = hark_accept(&p.h, NULL, NULL);
	ck_assert_int_ge(fd, 0);
	close(fd);
	close(client);
	hark_reactor_free(r);
}
END_TEST

/* Of 1,000 that are not lies already. */
static unsigned resets_with(const char *settings)
{
	struct hark_reactor *r = chaos(settings);
	unsigned resets = 0;

	for (int i = 0; i < 1000; i++) {
		struct probe from, to;

		pair_for(r, 0, &from, &to);
		resets += hark_send(&from.h, "x", 1) == -ECONNRESET;
		hark_handler_remove(&from.h);
		hark_handler_remove(&to.h);
		close(from.h.fd);
		close(to.h.fd);
	}
	hark_reactor_free(r);
	return resets;
}

START_TEST(rates_are_kept)
{
	unsigned some = resets_with("econnreset=0.05"), half = resets_with("econnreset=0.5");

	ck_assert_msg(some > 20 && some < 80, "%u of 1000 at 0.05", some);
	ck_assert_msg(half > 400 && half < 600, "%u of 1000 at 0.5", half);
	ck_assert_uint_eq(resets_with("econnreset=0"), 0);
	ck_assert_uint_eq(resets_with(""), 0);
	ck_assert_uint_eq(resets_with("all=1,eagain=0,eintr=0"), 0); /* all but those */
}
END_TEST

/* ---- The seed ---- */

/* Some of everything that is the same each time, on `trace=FILE:CHAIN`. Returns what the trace
 * says, but for times and processes, and the name of the chain; it is for free(3). */
static char *run_of(const char *chain)
{
	struct hark_options options = {.why = why, .why_size = sizeof why};
	struct actor *a[8];
	struct hark_reactor *r;
	char *text, *line, *kept, *end, name[300];

	trace_new_file();
	snprintf(name, sizeof name, "trace=%s:%s:%s", trace_path, chain, backend);
	options.backend = name;
	ck_assert_msg(hark_reactor_new(&r, &options) == 0, "%s", why);
	for (int i = 0; i < 8; i++)
		a[i] = actor_new(r);
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 8; i++) {
			actor_feed(a[i], 2);
			a[i]->send = round % 8 == i;
			hark_handler_refresh(&a[i]->handler);
		}
		ck_assert_int_ge(hark_reactor_turn(r, 0), 0);
	}
	for (int turn = 0; turn < 1000; turn++)
		ck_assert_int_ge(hark_reactor_turn(r, 0), 0);
	for (int i = 0; i < 8; i++) {
		ck_assert_uint_eq(a[i]->recvs, 200);
		actor_free(a[i]);
	}
	hark_reactor_free(r);

	text = trace_text(trace_path);
	kept = end = calloc(1, strlen(text) + 1);
	while ((line = trace_next_line(&text))) {
		char *what = strchr(strchr(line, ' ') + 1, ' '), *after = strstr(what, " after ");

		if (after)
			*after = '\0';
		if (strncmp(what, " begin", 6) != 0)
			end += sprintf(end, "%s\n", what);
	}
	unlink(trace_path);
	return kept;
}

START_TEST(same_seed_makes_the_same_run)
{
	char *first = run_of("chaos=seed=42"), *second = run_of("chaos=seed=42");
	char *another = run_of("chaos=seed=43");

	ck_assert_uint_gt(strlen(first), 10000);
	ck_assert_str_eq(first, second);
	ck_assert_str_ne(first, another);
	free(second);

	/* Wherever it is told; what is nearer counts. */
	ck_assert_int_eq(setenv("HARK_CHAOS", "seed=42", 1), 0);
	second = run_of("chaos");
	ck_assert_str_eq(first, second);
	free(second);
	ck_assert_int_eq(setenv("HARK_CHAOS", "all=0,seed=7", 1), 0);
	second = run_of("chaos=seed=42");
	ck_assert_str_ne(first, second);
	free(second);
	second = run_of("chaos=seed=1,seed=42,order=0.5,late=0.2,one=0.1,spurious=0.1,eintr=0.05,"
	                "eagain=0.1,short=0.3");
	ck_assert_str_eq(first, second); /* these are the rates that it has untold */
	free(second);
	ck_assert_int_eq(unsetenv("HARK_CHAOS"), 0);
	free(first);
	free(another);
}
END_TEST

/* Standard error is told a seed that nobody gave, and only then; it makes the same run again. */
START_TEST(seed_that_is_not_given_is_told)
{
	int file, kept_error = dup(STDERR_FILENO);
	char path[] = "/tmp/hark-chaos-XXXXXX", chain[64], *first, *second;
	unsigned long long seed, other;

	file = mkstemp(path);
	ck_assert_int_ge(file, 0);
	dup2(file, STDERR_FILENO);
	first = run_of("chaos");
	second = run_of("chaos=seed=5");
	free(second);
	second = run_of("chaos");
	free(second);
	dup2(kept_error, STDERR_FILENO);
	ck_assert_int_eq(sscanf(trace_text(path), "hark: chaos: seed=%llu\nhark: chaos: seed=%llu",
	                        &seed, &other),
	                 2);
	snprintf(chain, sizeof chain, "hark: chaos: seed=%llu\nhark: chaos: seed=%llu\n", seed,
	         other);
	ck_assert_str_eq(trace_text(path), chain);
	ck_assert(seed != other);
	snprintf(chain, sizeof chain, "chaos=seed=%llu", seed);
	second = run_of(chain);
	ck_assert_str_eq(first, second);
	free(first);
	free(second);
	unlink(path);
}
END_TEST

/* ---- Settings ---- */

static void refused(const char *settings, const char *words)
{
	struct hark_reactor *r;
	char text[256];

	/* In the name of the chain, and in the environment, which says where it stands. */
	ck_assert_int_eq(make(&r, 1, settings), -EINVAL);
	ck_assert_msg(strstr(why, words) && strstr(why, "chaos: "), "'%s': '%s' does not say '%s'",
	              settings, why, words);
	ck_assert_int_eq(setenv("HARK_CHAOS", settings, 1), 0);
	ck_assert_int_eq(make(&r, 1, ""), -EINVAL);
	snprintf(text, sizeof text, "chaos: HARK_CHAOS: %s", words);
	ck_assert_msg(strstr(why, text), "'%s': '%s' does not say '%s'", settings, why, text);
	ck_assert_ptr_null(strchr(why, '\n'));
	ck_assert_int_eq(unsetenv("HARK_CHAOS"), 0);
}

START_TEST(nonsense_is_refused_with_a_reason)
{
	refused("nonsense", "'nonsense' is none of seed all order late one spurious eintr eagain");
	refused("nonsense=1", "'nonsense' is none of");
	refused("Order=1", "'Order' is none of");
	refused(" order=1", "' order' is none of");
	refused("order", "'order': order is a rate from 0 to 1");
	refused("order=", "'order=': order is a rate from 0 to 1");
	refused("order=1.1", "'order=1.1': order is a rate from 0 to 1");
	refused("order=-1", "'order=-1': order is a rate");
	refused("order=.5", "'order=.5': order is a rate");
	refused("order=0,5", "'5' is none of");
	refused("order=1e-3", "'order=1e-3': order is a rate");
	refused("order=50%", "'order=50%': order is a rate");
	refused("order=99999999999999999999999",
	        "'order=99999999999999999999999': order is a rate");
	refused("all=2", "'all=2': all is a rate from 0 to 1");
	refused("seed=-1", "'seed=-1': seed is a whole number");
	refused("seed=1.5", "'seed=1.5': seed is a whole number");
	refused("seed=99999999999999999999999",
	        "'seed=99999999999999999999999': seed is a whole number");
	refused("seed=x", "'seed=x': seed is a whole number");
	refused("order=1,", "nothing follows the last comma");
	refused("late=1,,one=1", "'' is none of");
}
END_TEST

START_TEST(settings_at_their_limits_are_taken)
{
	static const char *const settings[] = {
		"order=0",          "order=1", "order=1.0",
		"late=0.000000001", "seed=0",  "seed=18446744073709551614",
		"all=0.5,late=1",
	};
	struct hark_reactor *r;

	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
		ck_assert_msg(make(&r, 1, settings[i]) == 0, "%s", why);
		hark_reactor_free(r);
	}
}
END_TEST

TCase *case_chaos(void)
{
	TCase *tc = tcase_create("chaos");

	tcase_add_test(tc, events_come_in_another_order);
	tcase_add_test(tc, events_are_held_back_for_some_waits);
	tcase_add_test(tc, events_come_one_in_a_wait);
	tcase_add_test(tc, handlers_are_called_for_nothing);
	tcase_add_test(tc, waits_are_interrupted);
	tcase_add_loop_test(tc, reads_and_writes_are_short, 0, 4);
	tcase_add_test(tc, short_reads_keep_what_comes_with_them);
	tcase_add_test(tc, what_has_to_stay_whole_stays_whole);
	tcase_add_loop_test(tc, verbs_are_interrupted_and_find_nothing, 0, 8);
	tcase_add_loop_test(tc, empty_reads_are_followed_by_a_report, 0, 2);
	tcase_add_test(tc, accept_lies_as_well);
	tcase_add_test(tc, resources_run_out);
	tcase_add_test(tc, connections_are_reset);
	tcase_add_test(tc, accept_is_not_reset);
	tcase_add_test(tc, rates_are_kept);
	tcase_add_test(tc, same_seed_makes_the_same_run);
	tcase_add_test(tc, seed_that_is_not_given_is_told);
	tcase_add_test(tc, nonsense_is_refused_with_a_reason);
	tcase_add_test(tc, settings_at_their_limits_are_taken);
	return tc;
}
