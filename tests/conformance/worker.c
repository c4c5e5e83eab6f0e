/* worker.c - pools of threads and their jobs.
 *
 * A job that has to wait reads a byte from a pipe, so that a test decides when it ends. Where a
 * test looks at what one thread sees of another's writes, nothing but hark is between the two. */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(name) 0
#endif

struct task {
	struct hark_job job; /* first */
	unsigned worked, dones;
	int error;
	int data[64];
	void (*act)(struct task *t); /* the last thing in handle_done */
	struct hark_reactor *r;
	pthread_t owner;
};

static struct task *task_of(struct hark_job *j)
{
	return (struct task *)(void *)j;
}

static unsigned total, cancelled;
static struct hark_pool *pool;

static void note_done(struct hark_job *j, int error)
{
	struct task *t = task_of(j);

	total++;
	t->dones++;
	t->error = error;
	if (error == ECANCELED) {
		cancelled++;
		ck_assert_uint_eq(t->worked, 0);
	} else {
		ck_assert_int_eq(error, 0);
		ck_assert_uint_ge(t->worked, 1);
	}
	if (t->act)
		t->act(t);
}

static void work_quick(struct hark_job *j)
{
	task_of(j)->worked++;
}

/* Says that it has started, and waits to be let go. */
static int started[2], gate[2];

static void work_until_let_go(struct hark_job *j)
{
	char c = 's';

	if (write(started[1], &c, 1) != 1 || read(gate[0], &c, 1) != 1)
		abort();
	task_of(j)->worked++;
}

static const struct hark_job_ops quick = {
	.work = work_quick,
	.handle_done = note_done,
	.name = "quick",
};
static const struct hark_job_ops slow = {
	.work = work_until_let_go,
	.handle_done = note_done,
	.name = "slow",
};

static void make_gate(void)
{
	ck_assert_int_eq(pipe(started), 0);
	ck_assert_int_eq(pipe(gate), 0);
}

static void until_started(unsigned n)
{
	char c;

	while (n-- > 0)
		ck_assert_int_eq(read(started[0], &c, 1), 1);
}

static void let_go(unsigned n)
{
	while (n-- > 0)
		put(gate[1], "g", 1);
}

static struct hark_pool *new_pool(unsigned threads, unsigned queue)
{
	const struct hark_pool_options options = {.threads = threads, .queue = queue};
	struct hark_pool *p = NULL;

	ck_assert_int_eq(hark_pool_new(&p, &options), 0);
	ck_assert_ptr_nonnull(p);
	return p;
}

static void task_init(struct task *t, const struct hark_job_ops *ops, struct hark_reactor *r)
{
	memset(t, 0, sizeof *t);
	hark_job_init(&t->job, ops);
	t->r = r;
}

static void submit(struct hark_pool *p, struct task *t)
{
	ck_assert_int_eq(hark_job_submit(p, t->r, &t->job), 0);
}

/* What is seen of each other's writes. */

#define ROUNDS 20

static void work_on_data(struct hark_job *j)
{
	struct task *t = task_of(j);

	for (int i = 0; i < 64; i++)
		t->data[i] = 2 * t->data[i] + i;
	t->worked++;
}

static const struct hark_job_ops on_data = {.work = work_on_data, .handle_done = note_done};

static void check_data_and_go_on(struct task *t)
{
	for (int i = 0; i < 64; i++) {
		ck_assert_int_eq(t->data[i], 2 * ((int)t->dones + i) + i);
		t->data[i] = (int)t->dones + 1 + i;
	}
	if (t->dones < ROUNDS)
		submit(pool, t);
}

START_TEST(each_side_sees_what_the_other_wrote)
{
	struct hark_reactor *r = new_reactor(NULL);
	static struct task t[50];

	pool = new_pool(3, 0);
	for (int i = 0; i < 50; i++) {
		task_init(&t[i], &on_data, r);
		for (int k = 0; k < 64; k++)
			t[i].data[k] = 1 + k;
		t[i].act = check_data_and_go_on;
		submit(pool, &t[i]);
	}
	ck_assert_int_eq(hark_reactor_run(r), 0);
	for (int i = 0; i < 50; i++)
		ck_assert(t[i].dones == ROUNDS && t[i].worked == ROUNDS);
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(r);
}
END_TEST

#define JOBS 10000

START_TEST(ten_thousand_jobs_through_a_queue_of_ten)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct task *t = calloc(JOBS, sizeof *t);
	unsigned full = 0;

	pool = new_pool(2, 10);
	for (int i = 0; i < JOBS; i++) {
		int error;

		task_init(&t[i], &quick, r);
		while ((error = hark_job_submit(pool, r, &t[i].job)) == -EAGAIN) {
			full++;
			ck_assert_int_gt(active_turn(r), 0);
		}
		ck_assert_int_eq(error, 0);
	}
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(total, JOBS);
	for (int i = 0; i < JOBS; i++)
		ck_assert(t[i].worked == 1 && t[i].dones == 1 && t[i].error == 0);
	ck_assert_uint_gt(full, 0);
	ck_assert_uint_eq(stats_of(r).jobs, 0);
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(r);
	free(t);
}
END_TEST

/* One pool, two reactors in two threads: each job is done by the thread that runs its own. */

#define EACH 2000

static void check_thread(struct hark_job *j, int error)
{
	struct task *t = task_of(j);

	if (error || !pthread_equal(t->owner, pthread_self()) || t->worked != t->dones + 1)
		abort();
	t->dones++;
	if (t->dones < EACH / 20)
		while (hark_job_submit(pool, t->r, j) == -EAGAIN)
			sched_yield();
}

static const struct hark_job_ops of_thread = {.work = work_quick, .handle_done = check_thread};

static void *run_own_jobs(void *with)
{
	struct hark_reactor *r = with;
	struct task t[20];

	for (int i = 0; i < 20; i++) {
		task_init(&t[i], &of_thread, r);
		t[i].owner = pthread_self();
		while (hark_job_submit(pool, r, &t[i].job) == -EAGAIN)
			sched_yield();
	}
	if (hark_reactor_run(r))
		abort();
	for (int i = 0; i < 20; i++)
		if (t[i].dones != EACH / 20)
			abort();
	hark_reactor_free(r);
	return NULL;
}

START_TEST(one_pool_serves_two_reactors_in_two_threads)
{
	pthread_t threads[2];

	pool = new_pool(2, 5);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run_own_jobs, new_reactor(NULL)),
		                 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	hark_pool_free(pool, HARK_POOL_FINISH);
}
END_TEST

/* Submitting and cancelling. */

static void cancel_answers_enoent(struct task *t)
{
	ck_assert_int_eq(hark_job_cancel(&t->job), -ENOENT);
}

START_TEST(cancel_before_during_and_after)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct task running, *queued = malloc(sizeof *queued), after;

	make_gate();
	pool = new_pool(1, 2);
	task_init(&running, &slow, r);
	task_init(queued, &quick, r);
	task_init(&after, &quick, r);
	ck_assert_int_eq(hark_job_cancel(&running.job), -ENOENT);
	submit(pool, &running);
	until_started(1);
	ck_assert_int_eq(hark_job_cancel(&running.job), -EBUSY);
	submit(pool, queued);
	submit(pool, &after);
	ck_assert_uint_eq(stats_of(r).jobs, 3);
	ck_assert_int_eq(hark_job_cancel(&queued->job), 0);
	ck_assert_int_eq(hark_job_cancel(&queued->job), -ENOENT);
	ck_assert_uint_eq(stats_of(r).jobs, 2);
	ck_assert(queued->worked == 0 && queued->dones == 0);
	bury(queued, sizeof *queued);
	running.act = cancel_answers_enoent;
	let_go(1);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(total, 2);
	ck_assert(running.dones == 1 && after.dones == 1);
	ck_assert_int_eq(hark_job_cancel(&running.job), -ENOENT);

	/* Done, not yet handled, and its pool gone. */
	submit(pool, &after);
	hark_pool_free(pool, HARK_POOL_FINISH);
	ck_assert_int_eq(hark_job_cancel(&after.job), -EBUSY);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(after.dones, 2);
	hark_reactor_free(r);
}
END_TEST

START_TEST(submit_errors_change_nothing)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct task running, queued, more;
	struct hark_job none = {0};
	const struct hark_job_ops nothing = {.handle_done = note_done};

	make_gate();
	pool = new_pool(1, 1);
	task_init(&running, &slow, r);
	task_init(&queued, &quick, r);
	task_init(&more, &quick, r);
	submit(pool, &running);
	until_started(1);
	ck_assert_int_eq(hark_job_submit(pool, r, &running.job), -EALREADY);
	submit(pool, &queued);
	ck_assert_int_eq(hark_job_submit(pool, r, &queued.job), -EALREADY);
	ck_assert_int_eq(hark_job_submit(pool, r, &more.job), -EAGAIN);
	ck_assert_int_eq(hark_job_cancel(&more.job), -ENOENT);
	ck_assert_int_eq(hark_job_submit(NULL, r, &more.job), -EINVAL);
	ck_assert_int_eq(hark_job_submit(pool, NULL, &more.job), -EINVAL);
	ck_assert_int_eq(hark_job_submit(pool, r, NULL), -EINVAL);
	ck_assert_int_eq(hark_job_submit(pool, r, &none), -EINVAL);
	none.ops = &nothing;
	ck_assert_int_eq(hark_job_submit(pool, r, &none), -EINVAL);
	ck_assert_uint_eq(stats_of(r).jobs, 2);
	ck_assert_int_eq(hark_job_cancel(&queued.job), 0);
	submit(pool, &more); /* there is room again */
	let_go(1);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert(running.dones == 1 && more.dones == 1 && queued.dones == 0);
	ck_assert_uint_eq(total, 2);
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(r);
}
END_TEST

static void free_task(struct task *t)
{
	bury(t, sizeof *t);
}

START_TEST(freed_inside_its_handle_done)
{
	struct hark_reactor *r = new_reactor(NULL);

	pool = new_pool(2, 0);
	for (int i = 0; i < 100; i++) {
		struct task *t = malloc(sizeof *t);

		task_init(t, &quick, r);
		t->act = free_task;
		submit(pool, t);
	}
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(total, 100);
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(r);
}
END_TEST

/* Also: without a handle_done. */
START_TEST(job_keeps_the_run_going_until_it_is_done)
{
	const struct hark_job_ops silent = {.work = work_until_let_go};
	struct hark_reactor *r = new_reactor(NULL);
	struct task t;

	make_gate();
	pool = new_pool(1, 0);
	ck_assert_int_eq(hark_reactor_run(r), 0); /* a pool alone does not */
	task_init(&t, &silent, r);
	submit(pool, &t);
	until_started(1);
	ck_assert_uint_eq(stats_of(r).jobs, 1);
	quiet(r, 30);
	ck_assert_uint_eq(stats_of(r).jobs, 1);
	let_go(1);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(t.worked, 1);
	ck_assert_uint_eq(stats_of(r).jobs, 0);
	submit(pool, &t); /* it is free to go again */
	until_started(1);
	let_go(1);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(t.worked, 2);
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(r);
}
END_TEST

/* The end of a pool. */

#define QUEUED 20

static int how;

static void *free_pool(void *with)
{
	hark_pool_free(with, how);
	return NULL;
}

/* With two jobs running and others queued, by another thread than the reactor's. */
START_TEST(pool_freed_with_jobs_queued_and_running)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct task running[2], queued[QUEUED];
	pthread_t thread;

	how = _i ? HARK_POOL_CANCEL : HARK_POOL_FINISH;
	make_gate();
	pool = new_pool(2, 0);
	for (int i = 0; i < 2; i++) {
		task_init(&running[i], &slow, r);
		submit(pool, &running[i]);
	}
	until_started(2);
	for (int i = 0; i < QUEUED; i++) {
		task_init(&queued[i], &quick, r);
		submit(pool, &queued[i]);
	}
	ck_assert_int_eq(pthread_create(&thread, NULL, free_pool, pool), 0);
	if (how == HARK_POOL_CANCEL)
		turns_until(r, &cancelled, QUEUED); /* while the others still run */
	let_go(2);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(total, 2 + QUEUED);
	ck_assert_uint_eq(cancelled, how == HARK_POOL_CANCEL ? QUEUED : 0);
	for (int i = 0; i < 2; i++)
		ck_assert(running[i].dones == 1 && running[i].worked == 1);
	for (int i = 0; i < QUEUED; i++) {
		ck_assert_uint_eq(queued[i].dones, 1);
		ck_assert_uint_eq(queued[i].worked, how == HARK_POOL_CANCEL ? 0 : 1);
		ck_assert_int_eq(queued[i].error, how == HARK_POOL_CANCEL ? ECANCELED : 0);
	}
	quiet(r, 10);
	hark_reactor_free(r);
}
END_TEST

/* All has ended when it returns, and is handled later. */
START_TEST(pool_freed_by_the_reactors_own_thread)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct task t[QUEUED];

	how = _i ? HARK_POOL_CANCEL : HARK_POOL_FINISH;
	pool = new_pool(2, 0);
	for (int i = 0; i < QUEUED; i++) {
		task_init(&t[i], &quick, r);
		submit(pool, &t[i]);
	}
	hark_pool_free(pool, how);
	ck_assert_uint_eq(total, 0);
	for (int i = 0; i < QUEUED; i++)
		ck_assert(t[i].worked == 1 || how == HARK_POOL_CANCEL);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(total, QUEUED);
	for (int i = 0; i < QUEUED; i++) {
		ck_assert_uint_eq(t[i].dones, 1);
		ck_assert_int_eq(t[i].error, t[i].worked ? 0 : ECANCELED);
	}
	hark_pool_free(NULL, how);
	hark_reactor_free(r);
}
END_TEST

static void free_the_pool(struct task *t)
{
	t->act = NULL;
	hark_pool_free(pool, HARK_POOL_CANCEL);
}

START_TEST(pool_freed_inside_handle_done)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct task t[QUEUED];

	pool = new_pool(1, 0);
	for (int i = 0; i < QUEUED; i++) {
		task_init(&t[i], &quick, r);
		submit(pool, &t[i]);
	}
	t[0].act = free_the_pool;
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(total, QUEUED);
	hark_reactor_free(r);
}
END_TEST

/* Each job is cancelled, or done once, whichever comes first; then the reactor goes, or went. */
START_TEST(pool_freed_while_jobs_are_cancelled_and_their_reactor_is_freed)
{
	for (int round = 0; round < 200; round++) {
		struct hark_reactor *r = new_reactor(NULL);
		struct task *t = malloc(8 * sizeof *t);
		unsigned taken_back = 0;
		pthread_t thread;

		how = round % 2 ? HARK_POOL_CANCEL : HARK_POOL_FINISH;
		total = 0;
		pool = new_pool(2, 0);
		for (int i = 0; i < 8; i++) {
			task_init(&t[i], &quick, r);
			submit(pool, &t[i]);
		}
		ck_assert_int_eq(pthread_create(&thread, NULL, free_pool, pool), 0);
		for (int i = 7; i >= 4; i--) {
			int error = hark_job_cancel(&t[i].job);

			ck_assert(error == 0 || error == -EBUSY);
			taken_back += error == 0;
		}
		if (_i) {
			ck_assert_int_eq(hark_reactor_run(r), 0);
			ck_assert_uint_eq(total + taken_back, 8);
		}
		hark_reactor_free(r);
		bury(t, 8 * sizeof *t);
		pthread_join(thread, NULL);
	}
}
END_TEST

/* The end of a reactor. */

/* Lets go when all that was queued before has been taken back: then there is room for as many. */
static void *let_go_when_there_is_room(void *with)
{
	struct task *own = with;
	int error;

	for (int i = 0; i < QUEUED; i++) {
		while ((error = hark_job_submit(pool, own[i].r, &own[i].job)) == -EAGAIN)
			sched_yield();
		if (error)
			abort();
	}
	let_go(1);
	return NULL;
}

static void free_reactor(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	hark_reactor_free(r);
}

/* With a job that is done and not handled, one that runs, which is waited for, and others that are
 * queued behind it and must not start. Outside of callbacks, and in one. */
START_TEST(reactor_freed_with_jobs_done_running_and_queued)
{
	struct hark_reactor *r = new_reactor(NULL), *other = new_reactor(NULL);
	struct task *t = malloc((2 + QUEUED) * sizeof *t), own[QUEUED];
	struct hark_message end;
	pthread_t thread;

	make_gate();
	pool = new_pool(1, QUEUED);
	if (_i) {
		/* The message comes before the job's. */
		hark_message_init(&end, free_reactor);
		ck_assert_int_eq(hark_post(r, &end), 0);
	}
	for (int i = 0; i < 2 + QUEUED; i++) {
		task_init(&t[i], i == 1 ? &slow : &quick, r);
		submit(pool, &t[i]);
		if (i == 1)
			until_started(1); /* so t[0] has been done before */
	}
	for (int i = 0; i < QUEUED; i++)
		task_init(&own[i], &quick, other);
	ck_assert_int_eq(hark_job_submit(pool, other, &own[0].job), -EAGAIN);
	ck_assert_int_eq(pthread_create(&thread, NULL, let_go_when_there_is_room, own), 0);
	if (_i)
		ck_assert_int_eq(hark_reactor_run(r), 0);
	else
		hark_reactor_free(r);
	ck_assert_uint_eq(total, 0);
	ck_assert_uint_eq(t[0].worked, 1);
	ck_assert_uint_eq(t[1].worked, 1);
	for (int i = 2; i < 2 + QUEUED; i++)
		ck_assert_uint_eq(t[i].worked, 0);
	for (int i = 0; i < 2 + QUEUED; i++)
		ck_assert_int_eq(hark_job_cancel(&t[i].job), -ENOENT);
	pthread_join(thread, NULL);
	ck_assert_int_eq(hark_reactor_run(other), 0);
	ck_assert_uint_eq(total, QUEUED);
	t[0].r = other;
	submit(pool, &t[0]);
	ck_assert_int_eq(hark_reactor_run(other), 0);
	ck_assert_uint_eq(t[0].dones, 1);
	bury(t, (2 + QUEUED) * sizeof *t);
	submit(pool, &own[0]);
	ck_assert_int_eq(hark_reactor_run(other), 0);
	ck_assert_uint_eq(total, QUEUED + 2);
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(other);
}
END_TEST

/* The thread that posted the end of the last job must be through with the reactor by the time that
 * handle_done is called. */
START_TEST(reactor_freed_at_once_after_its_last_job)
{
	pool = new_pool(1, 0);
	for (unsigned i = 1; i <= 500; i++) {
		struct hark_reactor *r = new_reactor(NULL);
		struct task *t = malloc(sizeof *t);

		task_init(t, &quick, r);
		submit(pool, t);
		while (total < i)
			ck_assert_int_ge(hark_reactor_turn(r, 0), 0);
		hark_reactor_free(r);
		bury(t, sizeof *t);
	}
	hark_pool_free(pool, HARK_POOL_FINISH);
}
END_TEST

/* Pools as such. */

START_TEST(pool_new_errors)
{
	struct hark_pool_options options = {.threads = 10000000};
	struct hark_pool *p = NULL;

	ck_assert_int_eq(hark_pool_new(NULL, NULL), -EINVAL);
	ck_assert_int_eq(hark_pool_new(&p, &options), -EAGAIN);
	ck_assert_ptr_null(p);
	options.threads = ~0u;
	ck_assert_int_eq(hark_pool_new(&p, &options), -EAGAIN);
	ck_assert_ptr_null(p);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(hark_pool_new(&p, NULL), 0);
		hark_pool_free(p, i);
	}
}
END_TEST

static sigset_t blocked;
static char thread_name[32];

static void work_looks_at_its_thread(struct hark_job *j)
{
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
#ifdef __linux__
	pthread_getname_np(pthread_self(), thread_name, sizeof thread_name);
#endif
	task_of(j)->worked++;
}

START_TEST(threads_block_all_signals_and_have_names)
{
	static const int signals[] = {SIGINT,  SIGTERM, SIGCHLD, SIGUSR1, SIGUSR2,
	                              SIGALRM, SIGHUP,  SIGPIPE, SIGIO};
	const struct hark_job_ops looks = {.work = work_looks_at_its_thread};
	char name[] = "a name of some length";
	const struct hark_pool_options options = {.threads = 1, .name = name};
	struct hark_reactor *r = new_reactor(NULL);
	sigset_t before, after;
	struct task t;

	sigemptyset(&before);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	ck_assert_int_eq(hark_pool_new(&pool, &options), 0);
	strcpy(name, "gone");
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	task_init(&t, &looks, r);
	submit(pool, &t);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		ck_assert_int_eq(sigismember(&blocked, signals[i]), 1);
		ck_assert_int_eq(sigismember(&before, signals[i]), sigismember(&after, signals[i]));
	}
#ifdef __linux__
	ck_assert_str_eq(thread_name, "a name of some ");
#endif
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(r);
}
END_TEST

/* A forked child has no part of the threads: the jobs are done in the parent. */

static struct task family[4]; /* done, running, queued, new */

static void child_frees(void *with)
{
	struct hark_reactor *r = with;

	ck_assert_int_eq(hark_job_submit(pool, r, &family[3].job), -ECHILD);
	ck_assert_int_eq(hark_job_cancel(&family[2].job), 0);
	hark_reactor_free(r);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(hark_job_cancel(&family[i].job), -ENOENT);
	hark_pool_free(pool, HARK_POOL_FINISH);
}

static void child_frees_its_pool_first(void *with)
{
	struct hark_reactor *r = with;

	hark_pool_free(pool, HARK_POOL_CANCEL);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(hark_job_cancel(&family[i].job), 0);
	hark_reactor_free(r);
}

static void child_goes_on(void *with)
{
	struct hark_reactor *r = with;

	ck_assert_int_eq(hark_reactor_after_fork(r), 0);
	ck_assert_uint_eq(stats_of(r).jobs, 0);
	ck_assert_int_eq(hark_reactor_run(r), 0); /* nothing keeps it */
	ck_assert_int_eq(hark_job_submit(pool, r, &family[3].job), -ECHILD);
	hark_pool_free(pool, HARK_POOL_FINISH);
#if !defined(__SANITIZE_THREAD__) && !__has_feature(thread_sanitizer)
	/* ThreadSanitizer allows no thread here. */
	pool = new_pool(1, 0);
	for (int i = 0; i < 4; i++) {
		hark_job_init(&family[i].job, &quick);
		submit(pool, &family[i]);
	}
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(total, 4);
	hark_pool_free(pool, HARK_POOL_FINISH);
#endif
	hark_reactor_free(r);
	ck_assert(family[1].dones == total / 4);
}

START_TEST(forked_child_gets_echild_and_can_free)
{
	void (*const bodies[])(void *) = {child_frees, child_frees_its_pool_first, child_goes_on};
	struct hark_reactor *r = new_reactor(NULL);

	make_gate();
	pool = new_pool(1, 0);
	for (int i = 0; i < 4; i++)
		task_init(&family[i], i == 1 ? &slow : &quick, r);
	for (int i = 0; i < 3; i++)
		submit(pool, &family[i]);
	until_started(1);
	in_child(bodies[_i], r);
	let_go(1);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(total, 3);
	submit(pool, &family[3]);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	for (int i = 0; i < 4; i++)
		ck_assert(family[i].worked == 1 && family[i].dones == 1);
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(r);
}
END_TEST

TCase *case_worker(void)
{
	TCase *tc = tcase_create("worker");

	tcase_add_test(tc, each_side_sees_what_the_other_wrote);
	if (long_tests)
		tcase_add_test(tc, ten_thousand_jobs_through_a_queue_of_ten);
	tcase_add_test(tc, one_pool_serves_two_reactors_in_two_threads);
	tcase_add_test(tc, cancel_before_during_and_after);
	tcase_add_test(tc, submit_errors_change_nothing);
	tcase_add_test(tc, freed_inside_its_handle_done);
	tcase_add_test(tc, job_keeps_the_run_going_until_it_is_done);
	tcase_add_loop_test(tc, pool_freed_with_jobs_queued_and_running, 0, 2);
	tcase_add_loop_test(tc, pool_freed_by_the_reactors_own_thread, 0, 2);
	tcase_add_test(tc, pool_freed_inside_handle_done);
	tcase_add_loop_test(tc, pool_freed_while_jobs_are_cancelled_and_their_reactor_is_freed, 0,
	                    2);
	tcase_add_loop_test(tc, reactor_freed_with_jobs_done_running_and_queued, 0, 2);
	tcase_add_test(tc, reactor_freed_at_once_after_its_last_job);
	tcase_add_test(tc, pool_new_errors);
	tcase_add_test(tc, threads_block_all_signals_and_have_names);
	tcase_add_loop_test(tc, forked_child_gets_echild_and_can_free, 0, 3);
	return tc;
}
