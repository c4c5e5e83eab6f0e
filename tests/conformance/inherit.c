/* inherit.c - fork(2) while something of every kind is pending: what the child has, what stays its
 * parent's, and that the parent gets all of its own, once.
 *
 * At the time of the fork there are a timer that is due and others that are not, a delivered
 * signal, a posted message, a child that has ended and one that has not, jobs that are done,
 * running and queued, and a descriptor that is ready; and nothing of it has been told. */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(name) 0
#endif

enum { DUE, LATER, PERIODIC, TIMERS };
enum { ENDED, LASTING, CHILDREN };
enum { DONE, RUNNING, QUEUED, JOBS };

static struct hark_reactor *r;
static struct hark_timer timers[TIMERS];
static struct hark_signal ear;
static struct hark_message letter;
static struct hark_child children[CHILDREN];
static struct hark_pool *pool;
static struct hark_job jobs[JOBS];
static struct actor *ready;
static pid_t pids[CHILDREN];
static int started[2], gate[2];

/* What was told. */
static unsigned rung[TIMERS], heard, letters, exits[CHILDREN], dones[JOBS];

static void ring(struct hark_timer *t, uint64_t missed)
{
	(void)missed;
	rung[t - timers]++;
}

static void hear(struct hark_signal *s, unsigned count)
{
	(void)s;
	heard += count;
}

static void read_letter(struct hark_message *m, struct hark_reactor *of)
{
	(void)m;
	ck_assert_ptr_eq(of, r);
	letters++;
}

static void count_exit(struct hark_child *c, int status)
{
	(void)status;
	exits[c - children]++;
}

static void note_done(struct hark_job *j, int error)
{
	ck_assert_int_eq(error, 0);
	dones[j - jobs]++;
}

static void work(struct hark_job *j)
{
	char c = 's';

	if (j == &jobs[RUNNING] && (write(started[1], &c, 1) != 1 || read(gate[0], &c, 1) != 1))
		abort();
}

static const struct hark_timer_ops timer_ops = {.handle_timer = ring};
static const struct hark_signal_ops signal_ops = {.handle_signal = hear};
static const struct hark_child_ops child_ops = {.handle_exit = count_exit};
static const struct hark_job_ops job_ops = {.work = work, .handle_done = note_done};

static void make_pool(void)
{
	const struct hark_pool_options options = {.threads = 1};

	ck_assert_int_eq(hark_pool_new(&pool, &options), 0);
}

static void watch(int which)
{
	pids[which] = lasting_child();
	hark_child_init(&children[which], &child_ops);
	ck_assert_int_eq(hark_child_start(r, &children[which], pids[which]), 0);
}

static void end(int which)
{
	siginfo_t info;

	ck_assert_int_eq(kill(pids[which], SIGKILL), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pids[which], &info, WEXITED | WNOWAIT), 0);
}

static void burden(void)
{
	char c;

	r = new_reactor(NULL);
	ready = actor_new(r);
	hark_signal_init(&ear, &signal_ops);
	ck_assert_int_eq(hark_signal_start(r, &ear, SIGUSR1), 0);
	for (int i = 0; i < CHILDREN; i++)
		watch(i);
	settle(r, 1); /* registered */
	for (int i = 0; i < TIMERS; i++)
		hark_timer_init(&timers[i], &timer_ops);
	hark_message_init(&letter, read_letter);
	ck_assert_int_eq(pipe(started), 0);
	ck_assert_int_eq(pipe(gate), 0);
	make_pool();
	for (int i = 0; i < JOBS; i++) {
		hark_job_init(&jobs[i], &job_ops);
		ck_assert_int_eq(hark_job_submit(pool, r, &jobs[i]), 0);
	}
	ck_assert_int_eq(read(started[0], &c, 1), 1); /* and so the first is done */
	end(ENDED);
	ck_assert_int_eq(hark_post(r, &letter), 0);
	actor_feed(ready, 1);
	raise(SIGUSR1);
	hark_timer_start(r, &timers[DUE], 0);
	hark_timer_start(r, &timers[LATER], HARK_MS(20));
	hark_timer_start_rate(r, &timers[PERIODIC], HARK_S(1000), HARK_S(1000));
}

static void child_only_ends(void *unused)
{
	(void)unused;
}

static void nothing_is_told(void)
{
	ck_assert_uint_eq(rung[DUE] + rung[LATER] + rung[PERIODIC] + heard + letters, 0);
	ck_assert_uint_eq(exits[ENDED] + exits[LASTING], 0);
	ck_assert_uint_eq(dones[DONE] + dones[RUNNING] + dones[QUEUED], 0);
}

static void child_frees(void *unused)
{
	(void)unused;
	hark_reactor_free(r);
	for (int i = 0; i < TIMERS; i++)
		ck_assert(!hark_timer_pending(&timers[i]));
	for (int i = 0; i < JOBS; i++)
		ck_assert_int_eq(hark_job_cancel(&jobs[i]), -ENOENT);
	for (int i = 0; i < CHILDREN; i++)
		hark_child_stop(&children[i]);
	hark_signal_stop(&ear);
	hark_pool_free(pool, HARK_POOL_FINISH);
	actor_free(ready);
	nothing_is_told();
}

/* One by one, before the reactor has got over the fork. */
static void child_stops_all(void *unused)
{
	(void)unused;
	hark_pool_free(pool, HARK_POOL_CANCEL);
	for (int i = 0; i < TIMERS; i++)
		hark_timer_stop(&timers[i]);
	for (int i = 0; i < JOBS; i++)
		ck_assert_int_eq(hark_job_cancel(&jobs[i]), 0);
	for (int i = 0; i < CHILDREN; i++)
		hark_child_stop(&children[i]);
	hark_signal_stop(&ear);
	ck_assert(hark_message_withdraw(r, &letter));
	actor_free(ready);
	ck_assert_int_eq(hark_reactor_after_fork(r), 0);
	ck_assert_int_eq(hark_reactor_run(r), 0); /* nothing is left */
	nothing_is_told();
	hark_reactor_free(r);
}

/* Timers and messages are the child's as well; signals, children and jobs are not. */
static void child_goes_on(void *unused)
{
	(void)unused;
	ck_assert_int_eq(hark_reactor_after_fork(r), 0);
	ck_assert_uint_eq(stats_of(r).children, 0);
	ck_assert_uint_eq(stats_of(r).jobs, 0);
	turns_until(r, &rung[LATER], 1);
	settle(r, 8);
	ck_assert_uint_eq(rung[DUE], 1);
	ck_assert_uint_eq(letters, 1);
	ck_assert_uint_eq(ready->recvs, 1);
	ck_assert_uint_eq(heard + exits[ENDED] + exits[LASTING], 0);
	ck_assert_uint_eq(dones[DONE] + dones[RUNNING] + dones[QUEUED], 0);

	/* It may have its own. */
	raise(SIGUSR1);
	turns_until(r, &heard, 1);
	watch(ENDED);
	end(ENDED);
	turns_until(r, &exits[ENDED], 1);
	hark_pool_free(pool, HARK_POOL_FINISH);
#if !defined(__SANITIZE_THREAD__) && !__has_feature(thread_sanitizer)
	/* ThreadSanitizer allows no thread here. */
	make_pool();
	ck_assert_int_eq(hark_job_submit(pool, r, &jobs[QUEUED]), 0);
	turns_until(r, &dones[QUEUED], 1);
	hark_pool_free(pool, HARK_POOL_FINISH);
#endif
	ck_assert(hark_timer_pending(&timers[PERIODIC]));
	hark_timer_stop(&timers[PERIODIC]);
	actor_free(ready);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	hark_reactor_free(r);
}

static void (*const bodies[])(void *) = {
	child_only_ends,
	child_frees,
	child_stops_all,
	child_goes_on,
};

START_TEST(everything_pending_is_the_parents_once)
{
	burden();
	in_child(bodies[_i], NULL);
	if (bodies[_i] == child_goes_on)
		actor_feed(ready, 1); /* it has received the other */
	nothing_is_told();
	put(gate[1], "g", 1);
	turns_until(r, &dones[QUEUED], 1);
	turns_until(r, &rung[LATER], 1);
	turns_until(r, &exits[ENDED], 1);
	end(LASTING);
	turns_until(r, &exits[LASTING], 1);
	settle(r, 8);
	quiet(r, 10);
	for (int i = 0; i < JOBS; i++)
		ck_assert_uint_eq(dones[i], 1);
	for (int i = 0; i < CHILDREN; i++)
		ck_assert_uint_eq(exits[i], 1);
	ck_assert_uint_eq(rung[DUE], 1);
	ck_assert_uint_eq(rung[LATER], 1);
	ck_assert_uint_eq(rung[PERIODIC], 0);
	ck_assert_uint_eq(heard, 1);
	ck_assert_uint_eq(letters, 1);
	ck_assert_uint_eq(ready->recvs, 1);
	hark_pool_free(pool, HARK_POOL_FINISH);
	actor_free(ready);
	hark_reactor_free(r);
}
END_TEST

TCase *case_inherit(void)
{
	TCase *tc = tcase_create("inherit");

	tcase_add_loop_test(tc, everything_pending_is_the_parents_once, 0,
	                    sizeof bodies / sizeof *bodies);
	return tc;
}
