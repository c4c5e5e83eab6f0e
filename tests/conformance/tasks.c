/* tasks.c - tasks.h. */
#include "tasks.h"
#include "actor.h"

#include <stdlib.h>
#include <unistd.h>

struct hark_pool *pool;

static int started[2], gate[2];

static struct subject *subject_of(struct hark_task *t)
{
	return (struct subject *)(void *)t;
}

static void act(void (*what)(struct subject *s), struct subject *s)
{
	if (what)
		what(s);
}

static ssize_t run(struct hark_task *t)
{
	struct subject *s = subject_of(t);
	ssize_t n = 0;

	HARK_TASK_BEGIN(t);
	s->begun++;
	act(s->before, s);
	if (s->await == FOR_RECV)
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV, s->deadline));
	else if (s->await == FOR_SEND)
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_SEND, s->deadline));
	else if (s->await == FOR_BOTH)
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV | HARK_SEND, s->deadline));
	else if (s->await == FOR_TIME)
		HARK_AWAIT(t, n, hark_await_until(t, s->deadline));
	else if (s->await == FOR_TASK)
		HARK_AWAIT(t, n,
		           hark_await_task(t, s->other ? &s->other->task : NULL, s->deadline));
	else
		HARK_AWAIT(t, n, hark_await_job(t, pool, &s->job));
	s->gone_on++;
	s->outcome = n;
	act(s->behind, s);
	if (s->stubborn) {
		HARK_AWAIT(t, n, hark_await_delay(t, HARK_S(86400)));
		s->persisted++;
	}
	HARK_TASK_END(t);
	return s->outcome < 0 ? s->outcome : 42;
}

static void handle_done(struct hark_task *t, ssize_t result)
{
	struct subject *s = subject_of(t);

	s->dones++;
	s->result = result;
	ck_assert(!hark_task_pending(t));
	ck_assert_ptr_null(hark_task_reactor(t));
	ck_assert_ptr_null(hark_handler_reactor(&t->handler));
	ck_assert_int_eq(hark_task_result(t), result);
	act(s->done, s);
}

static const struct hark_task_ops ops = {
	.run = run,
	.handle_done = handle_done,
	.name = "subject",
};

static void work(struct hark_job *j)
{
	char c = 's';

	(void)j;
	if (write(started[1], &c, 1) != 1 || read(gate[0], &c, 1) != 1)
		abort();
}

static void handle_job_done(struct hark_job *j, int error)
{
	struct subject *s = (struct subject *)(void *)((char *)j - offsetof(struct subject, job));

	s->job_dones++;
	s->job_error = error;
	act(s->job_done, s);
}

static const struct hark_job_ops job_ops = {
	.work = work,
	.handle_done = handle_job_done,
	.name = "labour",
};

static struct subject *make(enum await await)
{
	struct subject *s = calloc(1, sizeof *s);
	int fds[2];

	ck_assert_ptr_nonnull(s);
	small_pair("unix", fds);
	fill(fds[0]);
	hark_task_init(&s->task, &ops);
	ck_assert_int_eq(s->task.handler.fd, -1);
	s->task.handler.fd = fds[0];
	s->peer = fds[1];
	hark_job_init(&s->job, &job_ops);
	s->await = await;
	s->deadline = await == FOR_TIME ? clock_ns() + HARK_S(86400) : HARK_NEVER;
	return s;
}

struct subject *subject_make(enum await await)
{
	struct subject *s = make(await);

	if (await == FOR_TASK)
		s->other = make(FOR_RECV);
	return s;
}

struct subject *subject_at_await(struct hark_reactor *r, enum await await)
{
	struct subject *s = subject_make(await);

	ck_assert_int_eq(hark_task_start(r, &s->task), 0);
	ck_assert_uint_eq(s->begun, 0);
	settle(r, 8);
	ck_assert(s->begun == 1 && s->gone_on == 0);
	ck_assert(hark_task_pending(&s->task));
	return s;
}

void subject_satisfy(struct subject *s)
{
	if (s->await == FOR_RECV || s->await == FOR_BOTH)
		put(s->peer, "b", 1);
	else if (s->await == FOR_SEND)
		drain(s->peer);
	else if (s->await == FOR_TASK)
		put(s->other->peer, "b", 1);
	else if (s->await == FOR_JOB)
		job_let_go();
	else
		ck_abort_msg("time cannot be given");
}

static void forget(struct subject *s)
{
	close(s->task.handler.fd);
	close(s->peer);
	bury(s, sizeof *s);
}

void subject_free(struct subject *s)
{
	if (s->other != NULL) {
		ck_assert_int_eq(hark_task_cancel(&s->other->task), 0);
		forget(s->other);
	}
	forget(s);
}

void pool_make(void)
{
	const struct hark_pool_options options = {.threads = 1, .queue = 4};

	ck_assert_int_eq(hark_pool_new(&pool, &options), 0);
	ck_assert_int_eq(pipe(started), 0);
	ck_assert_int_eq(pipe(gate), 0);
}

void job_started(void)
{
	char c;

	ck_assert_int_eq(read(started[0], &c, 1), 1);
}

void job_let_go(void)
{
	put(gate[1], "g", 1);
}

void pool_occupy(struct hark_reactor *r)
{
	static const struct hark_job_ops occupation = {.work = work};
	static struct hark_job job;

	hark_job_init(&job, &occupation);
	ck_assert_int_eq(hark_job_submit(pool, r, &job), 0);
	job_started();
}
