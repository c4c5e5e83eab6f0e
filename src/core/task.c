/* task.c - tasks: functions that are left at an await and go on behind it.
 *
 * What a task awaits is watched by what there is already: readiness by its handler, a time and
 * every deadline by its timer, a job by the job. A task that is to go on without any of those (it
 * has just been started; the task that it awaited has ended; what it awaits cannot be awaited) has
 * its timer started with 0, so that nobody's code runs inside a call of somebody else, what a
 * callback frees is in no list, and a task whose awaits never wait starves nobody. Only a cancelled
 * task goes on at once, within the call.
 *
 * A task's code may free the reactor. It runs on until it returns, which ends the task as ever, or
 * awaits, and is left there. So once it has run, hark_reactor may be NULL.
 *
 * A timer that a past await has left pending does no harm: each await sets it or stops it. So a
 * task that awaits the same descriptor again and again, each time with a later deadline, only
 * stores that (timer.c). */
#include "core/core.h"
#include <hark/task.h>

/* hark_state */
enum {
	IDLE,      /* not started */
	STARTED,   /* its code has not begun */
	RUNNING,   /* inside its code */
	READINESS, /* left at an await of that */
	TIME,
	JOB,
	TASK,
	WOKEN, /* left, with the outcome of its await: it goes on in the next turn */
	ENDED,
};

/* hark_cancel. Who awaits after it was told that it is cancelled is ended there. */
enum { NOT_CANCELLED, TO_BE_TOLD, TOLD, TOLD_IN_VAIN };

static struct hark_task *of_link(struct hark_link *link)
{
	return hark__container(link, struct hark_task, hark_link);
}

/* Has t go on in the next turn, with that outcome. */
static void wake(struct hark_task *t, ssize_t outcome)
{
	t->hark_outcome = outcome;
	t->hark_state = WOKEN;
	hark_timer_start(t->hark_reactor, &t->hark_timer, 0);
}

static void stop_waiting(struct hark_task *t)
{
	hark__unlink(&t->hark_waiting);
	t->hark_other = NULL;
}

static void wake_waiters(struct hark_task *t, ssize_t result)
{
	while (!hark__list_empty(&t->hark_waiters)) {
		struct hark_task *waiter =
			hark__container(t->hark_waiters.next, struct hark_task, hark_waiting);

		stop_waiting(waiter);
		wake(waiter, result);
	}
}

/* If hark_task_run waits for t, it has the result now. In a child that another thread has forked
 * nobody does, though its copy says so. */
static void tell_run(struct hark_reactor *r, const struct hark_task *t, ssize_t result)
{
	if (hark__inside(r) && r->until != NULL && r->until->task == t)
		*r->until = (struct hark__until){.over = true, .result = result};
}

static void end(struct hark_task *t, ssize_t result)
{
	struct hark_reactor *r = t->hark_reactor;

	hark_handler_remove(&t->handler);
	hark_timer_stop(&t->hark_timer);
	hark__unlink(&t->hark_link);
	t->hark_reactor = NULL;
	t->hark_outcome = result;
	t->hark_state = ENDED;
	if (r != NULL) {
		r->stats.tasks--;
		wake_waiters(t, result);
		tell_run(r, t, result);
	}
	if (t->ops->handle_done != NULL)
		t->ops->handle_done(t, result);
}

static unsigned wanted(const struct hark_task *t)
{
	return t->hark_state == READINESS ? t->hark_awaited : 0;
}

/* After t's own callback the reactor asks anyway. */
static void tell_interest(struct hark_task *t)
{
	struct hark_handler *h = &t->handler;
	struct hark_reactor *r = h->hark_reactor;

	if (r != NULL && r->current != h && hark__slot_of(r, h)->want != wanted(t))
		hark_handler_refresh(h);
}

/* Runs t until it is left at an await, or ends. */
static void go_on(struct hark_task *t, ssize_t outcome)
{
	ssize_t result;

	t->hark_outcome = outcome;
	t->hark_state = RUNNING;
	result = t->ops->run(t);
	if (t->hark_state != RUNNING)
		tell_interest(t);
	else
		end(t, t->hark_cancel == TOLD_IN_VAIN ? -ECANCELED : result);
}

/* The same, called by the reactor itself, which measures it. A task that is cancelled runs within
 * somebody's callback, and as part of that. */
static void resume(struct hark_task *t, ssize_t outcome)
{
	struct hark_reactor *r = t->hark_reactor;
	const char *name = t->ops->name;
	int fd = t->handler.fd;

	go_on(t, outcome);
	if (hark__measures(r))
		hark__called(r, name, "task", fd);
}

static bool wants_recv(const struct hark_handler *h)
{
	return wanted((const struct hark_task *)h) & HARK_RECV;
}

static bool wants_send(const struct hark_handler *h)
{
	return wanted((const struct hark_task *)h) & HARK_SEND;
}

/* It may come for an await that is over: a refusal; or the task was cancelled outside of a turn,
 * and its code runs one. */
static void come(struct hark_handler *h, ssize_t outcome)
{
	struct hark_task *t = (struct hark_task *)h;

	if (t->hark_state == READINESS)
		resume(t, outcome);
}

static void handle_recv(struct hark_handler *h)
{
	come(h, HARK_RECV);
}

static void handle_send(struct hark_handler *h)
{
	come(h, HARK_SEND);
}

static void handle_error(struct hark_handler *h, int error)
{
	come(h, -error);
}

static const struct hark_handler_ops handler_ops = {
	.wants_recv = wants_recv,
	.wants_send = wants_send,
	.handle_recv = handle_recv,
	.handle_send = handle_send,
	.handle_error = handle_error,
	.name = "task",
};

static void handle_timer(struct hark_timer *timer, uint64_t missed)
{
	struct hark_task *t = hark__container(timer, struct hark_task, hark_timer);
	ssize_t outcome = t->hark_outcome;

	(void)missed;
	if (t->hark_state == TIME)
		outcome = 0;
	else if (t->hark_state == READINESS || t->hark_state == TASK)
		outcome = -ETIMEDOUT;
	stop_waiting(t);
	resume(t, outcome);
}

static const struct hark_timer_ops timer_ops = {.handle_timer = handle_timer, .name = "task"};

void hark_task_init(struct hark_task *t, const struct hark_task_ops *ops)
{
	*t = (struct hark_task){.handler.fd = -1, .ops = ops};
}

static bool startable(const struct hark_task *t)
{
	return t->hark_state == IDLE || t->hark_state == ENDED;
}

int hark_task_start(struct hark_reactor *r, struct hark_task *t)
{
	if (r == NULL || t == NULL || t->ops == NULL || t->ops->run == NULL)
		return -EINVAL;
	if (hark__foreign(r))
		return -EPERM;
	if (hark__forked(r))
		return -ECHILD;
	if (!startable(t))
		return -EALREADY;
	hark_handler_init(&t->handler, &handler_ops, t->handler.fd);
	hark_timer_init(&t->hark_timer, &timer_ops);
	hark__list_init(&t->hark_waiters);
	hark__append(&r->tasks, &t->hark_link);
	r->stats.tasks++;
	t->hark_reactor = r;
	t->hark_line = 0;
	t->hark_cancel = NOT_CANCELLED;
	wake(t, 0);
	t->hark_state = STARTED;
	return 0;
}

ssize_t hark_task_run(struct hark_reactor *r, struct hark_task *t)
{
	struct hark__until until = {.task = t};
	int rc;

	if (r != NULL && hark__inside(r))
		return hark__foreign(r) ? -EPERM : -EBUSY;
	rc = hark_task_start(r, t);
	if (rc == -EALREADY)
		rc = t->hark_reactor == r ? 0 : -EINVAL;
	if (rc == 0)
		rc = hark__run(r, &until);
	if (until.over)
		return until.result;
	switch (rc) {
	case HARK__STOPPED:
		return -EINTR;
	case HARK__FREED:
		return -ECANCELED;
	default:
		return rc < 0 ? rc : -EDEADLK;
	}
}

int hark_task_cancel(struct hark_task *t)
{
	struct hark_job *job = t->hark_job;

	if (t->hark_reactor != NULL && hark__foreign(t->hark_reactor))
		return -EPERM;
	if (startable(t))
		return 0;
	if (t->hark_state == STARTED) {
		end(t, -ECANCELED);
		return 0;
	}
	if (t->hark_cancel == NOT_CANCELLED)
		t->hark_cancel = TO_BE_TOLD;
	if (t->hark_state == RUNNING)
		return -EBUSY;
	if (job != NULL) {
		if (hark_job_cancel(job) == -EBUSY)
			return -EBUSY;
		t->hark_job = NULL;
	}
	hark_timer_stop(&t->hark_timer);
	stop_waiting(t);
	t->hark_cancel = TOLD;
	go_on(t, -ECANCELED);
	return 0;
}

bool hark_task_pending(const struct hark_task *t)
{
	return !startable(t);
}

ssize_t hark_task_result(const struct hark_task *t)
{
	return t->hark_state == ENDED ? t->hark_outcome : -EINPROGRESS;
}

struct hark_reactor *hark_task_reactor(const struct hark_task *t)
{
	return t->hark_reactor;
}

ssize_t hark_task_outcome(const struct hark_task *t)
{
	return t->hark_outcome;
}

/* Begins an await of that kind. Returns false if t may not, or is not running. */
static bool await(struct hark_task *t, unsigned char state, int64_t deadline)
{
	if (t->hark_state != RUNNING)
		return false;
	if (t->hark_cancel >= TOLD) {
		t->hark_cancel = TOLD_IN_VAIN;
		return false;
	}
	if (t->hark_reactor == NULL) {
		t->hark_state = WOKEN; /* in no turn, but hark_task_cancel will do */
		return false;
	}
	if (t->hark_cancel == TO_BE_TOLD) {
		t->hark_cancel = TOLD;
		wake(t, -ECANCELED);
		return false;
	}
	if (deadline != HARK_NEVER)
		hark_timer_start_at(t->hark_reactor, &t->hark_timer, deadline);
	else
		hark_timer_stop(&t->hark_timer);
	t->hark_state = state;
	return true;
}

void hark_await_ready(struct hark_task *t, unsigned directions, int64_t deadline_ns)
{
	int error;

	if (!await(t, READINESS, deadline_ns))
		return;
	t->hark_awaited = (unsigned char)(directions & (HARK_RECV | HARK_SEND));
	error = t->hark_awaited == 0 ? -EINVAL : 0;
	if (error == 0 && t->handler.hark_reactor == NULL)
		error = hark_handler_add(t->hark_reactor, &t->handler);
	if (error < 0)
		wake(t, error);
}

void hark_await_until(struct hark_task *t, int64_t deadline_ns)
{
	await(t, TIME, deadline_ns);
}

void hark_await_delay(struct hark_task *t, int64_t delay_ns)
{
	if (await(t, TIME, HARK_NEVER))
		hark_timer_start(t->hark_reactor, &t->hark_timer, delay_ns);
}

void hark_await_job(struct hark_task *t, struct hark_pool *p, struct hark_job *j)
{
	int error;

	if (!await(t, JOB, HARK_NEVER))
		return;
	error = hark_job_submit(p, t->hark_reactor, j);
	if (error < 0) {
		wake(t, error);
		return;
	}
	j->hark_waiter = t;
	t->hark_job = j;
}

/* The job that t awaits is its caller's again (worker.c). */
void hark__job_ended(struct hark_task *t, int error)
{
	t->hark_job = NULL;
	if (t->hark_cancel == TO_BE_TOLD) {
		t->hark_cancel = TOLD;
		error = ECANCELED;
	}
	wake(t, -error);
}

/* Does a await b, or wait for it by way of others? */
static bool awaits(const struct hark_task *a, const struct hark_task *b)
{
	while (a != NULL && a != b)
		a = a->hark_other;
	return a == b;
}

void hark_await_task(struct hark_task *t, struct hark_task *other, int64_t deadline_ns)
{
	int error = 0;

	if (!await(t, TASK, deadline_ns))
		return;
	if (other != NULL && other->hark_state == ENDED) {
		wake(t, other->hark_outcome);
		return;
	}
	if (other == NULL || startable(other))
		error = hark_task_start(t->hark_reactor, other);
	if (error == 0 && other->hark_reactor != t->hark_reactor)
		error = -EINVAL;
	if (error == 0 && awaits(other, t))
		error = -EDEADLK;
	if (error < 0) {
		wake(t, error);
		return;
	}
	t->hark_other = other;
	hark__append(&other->hark_waiters, &t->hark_waiting);
}

/* What h is called: the handlers of tasks share their ops. */
const char *hark__handler_name(const struct hark_handler *h)
{
	return h->ops == &handler_ops ? ((const struct hark_task *)h)->ops->name : h->ops->name;
}

static const char *name_of(const struct hark_task *t)
{
	return t->ops->name != NULL ? t->ops->name : "(no name)";
}

static void dump(const struct hark_task *t, FILE *to)
{
	fprintf(to, "  task %s: ", name_of(t));
	switch (t->hark_state) {
	case READINESS:
		fprintf(to, "awaits fd %d", t->handler.fd);
		break;
	case TIME:
		fprintf(to, "awaits a time");
		break;
	case JOB:
		fprintf(to, "awaits job %s",
		        t->hark_job->ops->name != NULL ? t->hark_job->ops->name : "(no name)");
		break;
	case TASK:
		fprintf(to, "awaits task %s", name_of(t->hark_other));
		break;
	default:
		fprintf(to, t->hark_state == RUNNING ? "runs\n" : "is to run\n");
		return;
	}
	if (hark_timer_pending(&t->hark_timer))
		fprintf(to, ", until %lld ns", (long long)hark_timer_deadline(&t->hark_timer));
	fprintf(to, "\n");
}

void hark__dump_tasks(const struct hark_reactor *r, FILE *to)
{
	for (struct hark_link *link = r->tasks.next; link != &r->tasks; link = link->next)
		dump(of_link(link), to);
}

/* r is being freed: its tasks stay where they are, until they are cancelled. Each is in this list,
 * and so is whoever awaits it. */
void hark__detach_tasks(struct hark_reactor *r)
{
	while (!hark__list_empty(&r->tasks)) {
		struct hark_task *t = of_link(hark__take_first(&r->tasks));

		stop_waiting(t);
		if (t->hark_job != NULL)
			t->hark_job->hark_waiter = NULL;
		t->hark_job = NULL;
		t->hark_reactor = NULL;
	}
}
