/* injected.c - `injected BACKEND`: calls of the C library that fail once, each at each time that it
 * is made, by libfiu's preloaded faults (denied.c: what the kernel refuses for good).
 *
 * A little of everything that a reactor does goes on. Whatever fails must say so with the errno
 * that was injected, and must work when it is tried again; everything arrives once; in the end
 * nothing is left. */
#include "actor.h"
#include "unit.h"

#include <errno.h>
#include <fiu-control.h>
#include <fiu.h>
#include <hark/child.h>
#include <hark/signal.h>
#include <hark/timer.h>
#include <hark/worker.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not here: write(2) to the waker, which no kernel refuses (a wake-up that cannot be sent cannot be
 * told to anybody), and answers that say what is not so, such as EAGAIN of a socket with data. */
static const struct point {
	const char *name;
	int errors[3];
	const char *made_on; /* the backends that do make the call; NULL: all */
} points[] = {
	{"posix/io/net/recv", {EINTR, ENOMEM, ENOBUFS}, NULL},
	{"posix/io/net/send", {EINTR, ENOMEM, ENOBUFS}, NULL},
	{"posix/io/net/select", {EINTR, ENOMEM, EINVAL}, "select"},
	{"posix/io/rw/read", {EINTR, EIO, EINVAL}, "poll select"},
	{"posix/proc/waitid", {EINTR, EINVAL, ENOSYS}, NULL},
	{"posix/proc/waitpid", {EINTR, EINTR, EINTR}, NULL},
	{"posix/proc/sigaction", {EINVAL, EFAULT, ENOMEM}, NULL},
};

/* The call that fails, counted from 0; -1: none does. */
static int due = -1;
static int injected;
static unsigned failures, refusals;

static int decide(const char *name, int *number, void **info, unsigned *flags)
{
	const intptr_t error = injected; /* libfiu takes the pointer for it */

	(void)name;
	(void)number;
	(void)flags;
	if (due < 0 || due-- > 0)
		return 0;
	failures++;
	memcpy(info, &error, sizeof error);
	return 1;
}

/* Is it to be tried again? Only what was injected may fail, and only once. */
static bool refused(int rc)
{
	if (rc >= 0)
		return false;
	ck_assert_int_eq(rc, -injected);
	ck_assert_uint_eq(failures, 1);
	ck_assert_uint_eq(++refusals, 1);
	return true;
}

static struct {
	unsigned bytes, echoes, ticks, posts, signals, exits, jobs;
	int status;
} got;

static void take(struct hark_handler *h)
{
	char byte;

	if (!refused((int)hark_recv(h, &byte, 1)))
		got.bytes++;
	got.echoes = 0;
}

static bool wants_to_answer(const struct hark_handler *h)
{
	(void)h;
	return got.bytes > 0 && got.echoes == 0;
}

static void answer(struct hark_handler *h)
{
	if (!refused((int)hark_send(h, "!", 1)))
		got.echoes++;
}

static void tick(struct hark_timer *t, uint64_t missed)
{
	(void)t;
	(void)missed;
	got.ticks++;
}

static void heard(struct hark_signal *s, unsigned count)
{
	got.signals += count;
	hark_signal_stop(s);
}

static void ended(struct hark_child *c, int status)
{
	(void)c;
	got.exits++;
	got.status = status;
}

static void opened(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	(void)r;
	got.posts++;
}

static void no_work(struct hark_job *j)
{
	(void)j;
}

static void done(struct hark_job *j, int error)
{
	(void)j;
	ck_assert_int_eq(error, 0);
	got.jobs++;
}

static bool all_done(void)
{
	return got.bytes && got.echoes && got.ticks && got.posts && got.signals && got.exits &&
	       got.jobs;
}

static const struct hark_handler_ops handler_ops = {
	.wants_recv = hark_always,
	.handle_recv = take,
	.wants_send = wants_to_answer,
	.handle_send = answer,
};

static pid_t child_that_ends_with(int status)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(status);
	return pid;
}

/* Goes through it all, with the call number n of the point failing. Returns whether it came to
 * that. */
static bool failed_at(int n, int error)
{
	static const struct hark_timer_ops timer_ops = {.handle_timer = tick};
	static const struct hark_signal_ops signal_ops = {.handle_signal = heard};
	static const struct hark_child_ops child_ops = {.handle_exit = ended};
	static const struct hark_job_ops job_ops = {.work = no_work, .handle_done = done};
	const unsigned open = open_descriptors();
	const struct hark_options options = {.backend = backend};
	const struct hark_pool_options pool_options = {.threads = 1};
	pid_t pid = child_that_ends_with(7);
	struct hark_reactor *r = NULL;
	struct hark_pool *pool = NULL;
	struct hark_handler h;
	struct hark_timer t;
	struct hark_signal s;
	struct hark_child c;
	struct hark_job j;
	struct hark_message m;
	int fds[2], turns = 0;

	memset(&got, 0, sizeof got);
	socket_pair("unix", fds);
	ck_assert_int_eq(write(fds[1], "?", 1), 1);
	hark_handler_init(&h, &handler_ops, fds[0]);
	hark_timer_init(&t, &timer_ops);
	hark_signal_init(&s, &signal_ops);
	hark_child_init(&c, &child_ops);
	hark_job_init(&j, &job_ops);
	hark_message_init(&m, opened);

	failures = refusals = 0;
	injected = error;
	due = n;
	while (refused(hark_reactor_new(&r, &options)))
		;
	while (refused(hark_pool_new(&pool, &pool_options)))
		;
	while (refused(hark_handler_add(r, &h)))
		;
	while (refused(hark_signal_start(r, &s, SIGUSR1)))
		;
	while (refused(hark_child_start(r, &c, pid)))
		;
	while (refused(hark_job_submit(pool, r, &j)))
		;
	hark_timer_start(r, &t, HARK_US(10));
	ck_assert_int_eq(hark_post(r, &m), 0);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	while (!all_done()) {
		ck_assert_int_lt(turns++, 1000);
		refused(hark_reactor_turn(r, HARK_MS(10)));
	}
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_handler_remove(&h);
	hark_reactor_free(r);
	due = -1;

	ck_assert(WIFEXITED(got.status) && WEXITSTATUS(got.status) == 7);
	ck_assert_uint_eq(got.bytes + got.ticks + got.posts + got.signals + got.exits + got.jobs,
	                  6);
	close(fds[0]);
	close(fds[1]);
	ck_assert_int_eq(balance, 0);
	ck_assert_uint_eq(open_descriptors(), open);
	signal(SIGUSR1, SIG_DFL); /* where it could not be given back */
	return failures > 0;
}

/* Once for each errno of each point. */
START_TEST(call_that_fails_once_is_told_and_works_again)
{
	const struct point *point = &points[_i / 3];
	int n = 0;

	ck_assert_int_eq(fiu_init(0), 0);
	ck_assert_int_eq(fiu_enable_external(point->name, 1, NULL, 0, decide), 0);
	while (failed_at(n, point->errors[_i % 3]))
		ck_assert_int_lt(n++, 1000);
	if (point->made_on == NULL || strstr(point->made_on, backend) != NULL)
		ck_assert_int_gt(n, 0);
}
END_TEST

int main(int argc, char **argv)
{
	TCase *tc = tcase_create("injected");

	tcase_add_loop_test(tc, call_that_fails_once_is_told_and_works_again, 0,
	                    (int)(3 * sizeof points / sizeof points[0]));
	return unit_main(tc, argc, argv);
}
