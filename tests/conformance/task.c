/* task.c - tasks: what they await, what comes of it, and how they end. task_cancel.c is about how
 * they are ended by others. */
#include "actor.h"
#include "cases.h"
#include "faulty.h"
#include "tasks.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The code of a task. */

struct counter {
	struct hark_task task;
	int64_t pause, asked_at;
	unsigned steps, wanted, dones;
	ssize_t result;
};

static void note_end(struct hark_task *t, ssize_t result)
{
	struct counter *c = (struct counter *)(void *)t;

	c->dones++;
	c->result = result;
}

static ssize_t count_with_pauses(struct hark_task *t)
{
	struct counter *c = (struct counter *)(void *)t;
	ssize_t n = 7;

	HARK_TASK_BEGIN(t);
	for (c->steps = 0; c->steps < c->wanted; c->steps++) {
		c->asked_at = hark_reactor_now(hark_task_reactor(t));
		if (c->steps % 2)
			HARK_AWAIT(t, n, hark_await_delay(t, c->pause));
		else
			HARK_AWAIT(t, n, hark_await_until(t, c->asked_at + c->pause));
		ck_assert_int_eq(n, 0);
		ck_assert_int_ge(clock_ns() - c->asked_at, c->pause);
	}
	c->steps += 1000;
	HARK_TASK_END(t);
	return 10 + c->steps;
}

static const struct hark_task_ops pausing = {
	.run = count_with_pauses,
	.handle_done = note_end,
	.name = "pausing",
};

/* Also: never early, not before a turn, and what the others are told of it. */
START_TEST(code_goes_on_behind_each_await)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct counter c = {.task.ops = &pausing, .pause = HARK_MS(3), .wanted = 6, .steps = 99};

	ck_assert(!hark_task_pending(&c.task));
	ck_assert_int_eq(hark_task_result(&c.task), -EINPROGRESS);
	ck_assert_ptr_null(hark_task_reactor(&c.task));
	ck_assert_int_eq(hark_task_start(r, &c.task), 0);
	ck_assert_uint_eq(c.steps, 99);
	for (unsigned turns = 0; c.dones == 0; turns++) {
		ck_assert_uint_le(c.steps, turns ? 6 : 99);
		ck_assert(hark_task_pending(&c.task));
		ck_assert_int_eq(hark_task_result(&c.task), -EINPROGRESS);
		ck_assert_ptr_eq(hark_task_reactor(&c.task), r);
		ck_assert_uint_eq(stats_of(r).tasks, 1);
		ck_assert_int_gt(active_turn(r), 0);
	}
	ck_assert_uint_eq(c.steps, 1006);
	ck_assert(c.dones == 1 && c.result == 1016);
	ck_assert(!hark_task_pending(&c.task));
	ck_assert_int_eq(hark_task_result(&c.task), 1016);
	ck_assert_ptr_null(hark_task_reactor(&c.task));
	ck_assert_uint_eq(stats_of(r).tasks, 0);
	ck_assert_int_eq(hark_reactor_run(r), 0); /* nothing of it is left */
	c.steps = 0;
	ck_assert_int_eq(hark_task_start(r, &c.task), 0);
	ck_assert_int_eq(hark_reactor_run(r), 0); /* it keeps the run going */
	ck_assert(c.dones == 2 && c.steps == 1006);
	hark_reactor_free(r);
}
END_TEST

static char order[64];
static size_t ordered;

struct letter {
	struct hark_task task;
	char name;
	unsigned times;
};

static ssize_t write_name(struct hark_task *t)
{
	struct letter *l = (struct letter *)(void *)t;
	ssize_t n;

	HARK_TASK_BEGIN(t);
	while (l->times-- > 0) {
		order[ordered++] = l->name;
		HARK_AWAIT(t, n, hark_await_delay(t, 0));
		ck_assert_int_eq(n, 0);
	}
	HARK_TASK_END(t);
	return l->name;
}

static const struct hark_task_ops writing = {.run = write_name, .name = "writing"};

static struct letter letters[3];

static void start_letters(struct actor *a)
{
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(
			hark_task_start(hark_handler_reactor(&a->handler), &letters[i].task), 0);
	ck_assert_str_eq(order, "");
	a->act = NULL;
}

/* A delay of 0 lets everybody else have a turn: other tasks, and a handler that is always ready.
 * Tasks begin in the order in which they were started. There is no handle_done. */
START_TEST(delay_of_nothing_lets_the_others_go)
{
	exact(EXACT_CALLS | EXACT_TURNS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);
	unsigned turns = 0;

	for (int i = 0; i < 3; i++) {
		hark_task_init(&letters[i].task, &writing);
		letters[i].name = (char)('a' + i);
		letters[i].times = 3;
	}
	a->send = true;
	hark_handler_refresh(&a->handler);
	a->act = start_letters;
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	a->sends = 0;
	for (; hark_task_pending(&letters[2].task); turns++)
		ck_assert_int_gt(hark_reactor_turn(r, HARK_S(20)), 0);
	ck_assert_uint_ge(turns, 3);
	ck_assert_uint_eq(a->sends, turns);
	ck_assert_str_eq(order, "abcabcabc");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(hark_task_result(&letters[i].task), 'a' + i);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

#define IN_VAIN 20000

static struct hark_task *over;
static unsigned in_vain;
static struct actor *patient;

static ssize_t await_without_waiting(struct hark_task *t)
{
	ssize_t n;

	HARK_TASK_BEGIN(t);
	while (patient->recvs == 0 && in_vain < IN_VAIN) {
		if (in_vain++ == 0)
			actor_feed(patient, 1);
		HARK_AWAIT(t, n, hark_await_task(t, over, HARK_NEVER));
		ck_assert_int_eq(n, 'o');
		HARK_AWAIT(t, n, hark_await_task(t, t, HARK_NEVER));
		ck_assert_int_eq(n, -EDEADLK);
		HARK_AWAIT(t, n, hark_await_job(t, NULL, NULL));
		ck_assert_int_eq(n, -EINVAL);
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV, HARK_NEVER));
		ck_assert_int_eq(n, -EBADF);
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_URGENT, HARK_NEVER));
		ck_assert_int_eq(n, -EINVAL);
		HARK_AWAIT(t, n, hark_await_until(t, -1));
		ck_assert_int_eq(n, 0);
	}
	HARK_TASK_END(t);
	return 0;
}

START_TEST(awaits_that_do_not_wait_starve_nobody)
{
	static const struct hark_task_ops busy_ops = {.run = await_without_waiting};
	struct hark_reactor *r = new_reactor(NULL);
	struct letter o = {.name = 'o'};
	struct hark_task busy;

	hark_task_init(&o.task, &writing);
	ck_assert_int_eq(hark_task_run(r, &o.task), 'o');
	over = &o.task;
	patient = actor_new(r);
	hark_task_init(&busy, &busy_ops);
	ck_assert_int_eq(hark_task_run(r, &busy), 0);
	ck_assert_uint_ge(in_vain, 1);
	ck_assert_uint_lt(in_vain, IN_VAIN);
	actor_free(patient);
	hark_reactor_free(r);
}
END_TEST

static ssize_t do_nothing(struct hark_task *t)
{
	(void)t;
	return 0;
}

static const struct hark_task_ops nothing = {.run = do_nothing};

START_TEST(start_errors_change_nothing)
{
	exact(EXACT_CALLS);
	static const struct hark_task_ops none;
	struct hark_reactor *r = new_reactor(NULL), *other = new_reactor(NULL);
	struct hark_task t = {.ops = NULL};
	struct subject *s;

	ck_assert_int_eq(hark_task_start(r, NULL), -EINVAL);
	ck_assert_int_eq(hark_task_start(r, &t), -EINVAL);
	ck_assert_int_eq(hark_task_run(r, &t), -EINVAL);
	t.ops = &none;
	ck_assert_int_eq(hark_task_start(r, &t), -EINVAL);
	t.ops = &nothing;
	ck_assert_int_eq(hark_task_start(NULL, &t), -EINVAL);
	ck_assert_int_eq(hark_task_run(NULL, &t), -EINVAL);
	ck_assert_uint_eq(stats_of(r).tasks, 0);
	ck_assert(!hark_task_pending(&t));
	ck_assert_int_eq(hark_task_run(r, &t), 0); /* zeroed will do */

	s = subject_make(FOR_RECV);
	ck_assert_int_eq(hark_task_start(r, &s->task), 0);
	ck_assert_int_eq(hark_task_start(r, &s->task), -EALREADY);
	settle(r, 8);
	ck_assert_int_eq(hark_task_start(r, &s->task), -EALREADY);
	ck_assert_int_eq(hark_task_start(other, &s->task), -EALREADY);
	ck_assert_int_eq(hark_task_run(other, &s->task), -EINVAL);
	ck_assert_ptr_eq(hark_task_reactor(&s->task), r);
	ck_assert(stats_of(r).tasks == 1 && stats_of(other).tasks == 0);
	subject_satisfy(s);
	ck_assert_int_eq(hark_task_run(r, &s->task), 42);
	ck_assert(s->begun == 1 && s->dones == 1);
	subject_free(s);
	hark_reactor_free(other);
	hark_reactor_free(r);
}
END_TEST

/* What is awaited. */

START_TEST(goes_on_when_what_it_awaits_has_come)
{
	exact(EXACT_CALLS);
	static const ssize_t outcomes[] = {
		[FOR_RECV] = HARK_RECV, [FOR_SEND] = HARK_SEND, [FOR_BOTH] = HARK_RECV,
		[FOR_TASK] = 42,        [FOR_JOB] = 0,
	};
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *s;

	pool_make();
	s = subject_at_await(r, (enum await)_i);
	ck_assert_uint_eq(stats_of(r).tasks, _i == FOR_TASK ? 2 : 1);
	ck_assert_uint_eq(stats_of(r).handlers, _i == FOR_JOB ? 0 : 1);
	quiet(r, 20);
	ck_assert_uint_eq(s->gone_on, 0);
	subject_satisfy(s);
	ck_assert_uint_eq(s->gone_on, 0);
	turns_until(r, &s->gone_on, 1);
	ck_assert_int_eq(s->outcome, outcomes[_i]);
	ck_assert(s->dones == 1 && s->result == 42);
	ck_assert_uint_eq(s->job_dones, _i == FOR_JOB);
	ck_assert(stats_of(r).tasks == 0 && stats_of(r).handlers == 0);
	ck_assert_int_eq(hark_reactor_run(r), 0); /* nothing of it is left */
	subject_free(s);
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(r);
}
END_TEST

/* Not early, and what it has awaited until then no longer concerns it. */
START_TEST(deadline_ends_an_await)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *s = subject_make((enum await)_i);
	int64_t start = clock_ns();

	s->deadline = start + HARK_MS(30);
	s->stubborn = true;
	ck_assert_int_eq(hark_task_start(r, &s->task), 0);
	turns_until(r, &s->gone_on, 1);
	ck_assert_int_ge(clock_ns() - start, HARK_MS(30));
	ck_assert_int_eq(s->outcome, _i == FOR_TIME ? 0 : -ETIMEDOUT);
	ck_assert_uint_eq(stats_of(r).tasks, _i == FOR_TASK ? 2 : 1);
	if (_i != FOR_TIME)
		subject_satisfy(s);
	settle(r, 8);
	quiet(r, 20);
	ck_assert(s->gone_on == 1 && s->persisted == 0);
	if (_i == FOR_TASK)
		ck_assert_uint_eq(s->other->dones, 1); /* it has gone on by itself */
	ck_assert_int_eq(hark_task_cancel(&s->task), 0);
	subject_free(s);
	hark_reactor_free(r);
}
END_TEST

/* In the past; and one that comes in vain, because what is awaited was there before. */
START_TEST(deadline_over_and_deadline_outrun)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *s;

	for (int past = 0; past < 2; past++) {
		s = subject_make(FOR_RECV);
		s->deadline = past ? clock_ns() : -5;
		ck_assert_int_eq(hark_task_run(r, &s->task), -ETIMEDOUT);
		subject_free(s);
	}
	s = subject_make(FOR_RECV);
	s->stubborn = true;
	for (int64_t time = HARK_MS(40);; time *= 2) {
		s->deadline = clock_ns() + time;
		ck_assert_int_eq(hark_task_start(r, &s->task), 0);
		subject_satisfy(s);
		turns_until(r, &s->gone_on, 1);
		if (s->outcome != -ETIMEDOUT || clock_ns() < s->deadline)
			break;
		/* The machine is slow. */
		ck_assert_int_eq(hark_task_cancel(&s->task), 0);
		s->gone_on = s->persisted = 0;
	}
	while (clock_ns() < s->deadline)
		ck_assert_int_ge(hark_reactor_turn(r, HARK_MS(1)), 0);
	quiet(r, 5);
	ck_assert(s->outcome == HARK_RECV && s->persisted == 0);
	ck_assert_int_eq(hark_task_cancel(&s->task), 0);
	subject_free(s);

	/* With the task its deadline goes as well. */
	s = subject_make(FOR_RECV);
	s->deadline = clock_ns() + HARK_S(86400);
	subject_satisfy(s);
	ck_assert_int_eq(hark_task_run(r, &s->task), 42);
	subject_free(s);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	hark_reactor_free(r);
}
END_TEST

static ssize_t await_with_and_without(struct hark_task *t)
{
	struct counter *c = (struct counter *)(void *)t;
	ssize_t n;
	char byte;

	HARK_TASK_BEGIN(t);
	HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV, c->asked_at));
	c->steps++;
	if (n == -ETIMEDOUT)
		return n;
	ck_assert_int_eq(n, HARK_RECV);
	ck_assert_int_eq(hark_recv(&t->handler, &byte, 1), 1);
	HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV, HARK_NEVER));
	HARK_TASK_END(t);
	return n;
}

/* An await without a deadline has none, whatever the one before it had. */
START_TEST(deadline_of_the_await_before)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	static const struct hark_task_ops ops = {.run = await_with_and_without};
	struct hark_reactor *r = new_reactor(NULL);
	struct counter c = {.steps = 0};
	int fds[2];

	socket_pair("unix", fds);
	hark_task_init(&c.task, &ops);
	c.task.handler.fd = fds[0];
	put(fds[1], "x", 1);
	for (int64_t time = HARK_MS(100); c.steps == 0; time *= 2) {
		c.asked_at = clock_ns() + time;
		ck_assert_int_eq(hark_task_start(r, &c.task), 0);
		turns_until(r, &c.steps, 1);
		if (!hark_task_pending(&c.task) && clock_ns() >= c.asked_at)
			c.steps = 0; /* the machine is slow */
	}
	while (clock_ns() <= c.asked_at)
		ck_assert_int_ge(hark_reactor_turn(r, HARK_MS(1)), 0);
	quiet(r, 5);
	ck_assert(hark_task_pending(&c.task));
	put(fds[1], "x", 1);
	ck_assert_int_eq(hark_task_run(r, &c.task), HARK_RECV);
	hark_reactor_free(r);
}
END_TEST

/* Readiness. */

/* Two tasks: one sends a long pattern through small buffers, one checks it. Every other time each
 * pauses before it awaits. */
#define LONG 100000

struct pipe_end {
	struct hark_task task;
	bool verbs;
	size_t at;
	unsigned calls;
};

static unsigned char pattern(size_t at)
{
	return (unsigned char)(at * 7 + at / 251);
}

static ssize_t send_pattern(struct hark_task *t)
{
	struct pipe_end *p = (struct pipe_end *)(void *)t;
	unsigned char data[1000];
	ssize_t n;

	HARK_TASK_BEGIN(t);
	while (p->at < LONG) {
		if (p->calls++ % 2)
			HARK_AWAIT(t, n, hark_await_delay(t, 0));
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_SEND, HARK_NEVER));
		ck_assert_int_eq(n, HARK_SEND);
		for (size_t i = 0; i < sizeof data; i++)
			data[i] = pattern(p->at + i);
		n = p->verbs ? hark_send(&t->handler, data, sizeof data)
		             : send(t->handler.fd, data, sizeof data, MSG_NOSIGNAL);
		if (n > 0)
			p->at += (size_t)n;
	}
	HARK_TASK_END(t);
	close(t->handler.fd); /* closed and not removed, which the end makes up for */
	return 0;
}

static ssize_t check_pattern(struct hark_task *t)
{
	struct pipe_end *p = (struct pipe_end *)(void *)t;
	unsigned char data[700];
	ssize_t n;

	HARK_TASK_BEGIN(t);
	for (;;) {
		if (p->calls++ % 2)
			HARK_AWAIT(t, n, hark_await_delay(t, 0));
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV, clock_ns() + HARK_S(60)));
		ck_assert_int_eq(n, HARK_RECV);
		n = p->verbs ? hark_recv(&t->handler, data, sizeof data)
		             : recv(t->handler.fd, data, sizeof data, 0);
		if (n == 0)
			break;
		for (ssize_t i = 0; i < n; i++, p->at++)
			require(data[i] == pattern(p->at), "another byte at %zu", p->at);
	}
	HARK_TASK_END(t);
	return (ssize_t)p->at;
}

static unsigned audited;

static void count_audit(struct hark_reactor *r, struct hark_handler *h, unsigned known,
                        unsigned wanted)
{
	(void)r, (void)h, (void)known, (void)wanted;
	audited++;
}

/* With the verbs and without, on each kind of socket, audited and not. */
START_TEST(long_pattern_from_task_to_task)
{
	static const struct hark_task_ops sending = {.run = send_pattern, .name = "sending"};
	static const struct hark_task_ops checking = {.run = check_pattern, .name = "checking"};
	struct hark_options options = {.audit = _i & 4, .handle_audit = count_audit};
	struct hark_reactor *r = new_reactor(&options);
	struct pipe_end from = {.verbs = _i & 1}, to = {.verbs = _i & 1};
	int fds[2];

	small_pair(_i & 2 ? "tcp" : "unix", fds);
	hark_task_init(&from.task, &sending);
	hark_task_init(&to.task, &checking);
	from.task.handler.fd = fds[0];
	to.task.handler.fd = fds[1];
	ck_assert_int_eq(hark_task_start(r, &to.task), 0);
	ck_assert_int_eq(hark_task_start(r, &from.task), 0);
	ck_assert_int_ge(hark_task_run(r, &to.task), LONG);
	ck_assert_int_eq(hark_task_result(&from.task), 0);
	ck_assert_uint_eq(audited, 0);
	close(fds[1]);
	hark_reactor_free(r);
}
END_TEST

static ssize_t echo(struct hark_task *t)
{
	ssize_t n;
	char c;

	HARK_TASK_BEGIN(t);
	for (;;) {
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV, HARK_NEVER));
		n = hark_recv(&t->handler, &c, 1);
		if (n == -EAGAIN)
			continue;
		if (n <= 0)
			break;
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_SEND, HARK_NEVER));
		ck_assert_int_eq(hark_send(&t->handler, "e", 1), 1);
	}
	HARK_TASK_END(t);
	return n;
}

/* A task that uses the verbs is watched with edges where there are any: then awaiting now this, now
 * that, costs nothing. */
START_TEST(change_of_what_is_awaited_is_free_with_the_verbs)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	static const struct hark_task_ops echoing = {.run = echo};
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_task t;
	uint64_t changes = 0;
	int fds[2];
	char c;

	socket_pair("tcp", fds);
	hark_task_init(&t, &echoing);
	t.handler.fd = fds[0];
	ck_assert_int_eq(hark_task_start(r, &t), 0);
	for (int i = 0; i < 100; i++) {
		if (i == 10)
			changes = stats_of(r).changes;
		put(fds[1], "x", 1);
		while (recv(fds[1], &c, 1, 0) < 0)
			ck_assert_int_ge(hark_reactor_turn(r, HARK_S(20)), 0);
	}
	changes = stats_of(r).changes - changes;
	if (backend_can() & HARK_CAN_EDGE)
		ck_assert_uint_eq(changes, 0);
	else
		ck_assert_uint_ge(changes, 100);
	close(fds[1]); /* a hang-up is readiness, and the verb says what it is */
	ck_assert_int_eq(hark_task_run(r, &t), 0);
	close(fds[0]);
	hark_reactor_free(r);
}
END_TEST

/* Both directions are ready: the task hears of each, in turn. */
static ssize_t await_both(struct hark_task *t)
{
	ssize_t n;
	char c;

	HARK_TASK_BEGIN(t);
	HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV | HARK_SEND, HARK_NEVER));
	ck_assert_int_eq(n, HARK_RECV);
	HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV | HARK_SEND, HARK_NEVER));
	ck_assert_int_eq(n, HARK_SEND); /* though there still is something to receive */
	ck_assert_int_eq(hark_recv(&t->handler, &c, 1), 1);
	HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV | HARK_SEND, HARK_NEVER));
	ck_assert_int_eq(n, HARK_SEND);
	HARK_TASK_END(t);
	return 1;
}

START_TEST(both_directions_in_turn)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	static const struct hark_task_ops both = {.run = await_both};
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_task t;
	int fds[2];

	socket_pair("unix", fds);
	hark_task_init(&t, &both);
	t.handler.fd = fds[0];
	put(fds[1], "x", 1);
	ck_assert_int_eq(hark_task_run(r, &t), 1);
	hark_reactor_free(r);
}
END_TEST

/* A task is done with one descriptor and takes another, which may have the number of the first; and
 * the first one was ready to send as well. */
struct mover {
	struct hark_task task;
	int second;
	bool same_number;
};

static ssize_t move(struct hark_task *t)
{
	struct mover *m = (struct mover *)(void *)t;
	ssize_t n;
	char c;

	HARK_TASK_BEGIN(t);
	HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV | HARK_SEND, HARK_NEVER));
	ck_assert_int_eq(n, HARK_RECV);
	hark_handler_remove(&t->handler);
	if (m->same_number) {
		ck_assert_int_eq(dup2(m->second, t->handler.fd), t->handler.fd);
		close(m->second);
	} else {
		close(t->handler.fd);
		t->handler.fd = m->second;
	}
	HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV | HARK_SEND, HARK_NEVER));
	ck_assert_int_eq(n, HARK_RECV);
	ck_assert_int_eq(hark_recv(&t->handler, &c, 1), 1);
	ck_assert_int_eq(c, '2');
	HARK_TASK_END(t);
	return 2;
}

START_TEST(another_descriptor_in_place_of_the_first)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	static const struct hark_task_ops moving = {.run = move};
	struct hark_reactor *r = new_reactor(NULL);
	int first[2], second[2];
	struct mover m = {.same_number = _i};

	socket_pair("unix", first);
	small_pair("unix", second);
	fill(second[0]);
	hark_task_init(&m.task, &moving);
	m.task.handler.fd = first[0];
	m.second = second[0];
	put(first[1], "1", 1);
	ck_assert_int_eq(hark_task_start(r, &m.task), 0);
	settle(r, 8);
	ck_assert(hark_task_pending(&m.task));
	quiet(r, 20);
	put(second[1], "2", 1);
	ck_assert_int_eq(hark_task_run(r, &m.task), 2);
	hark_reactor_free(r);
}
END_TEST

START_TEST(descriptor_that_cannot_be_watched)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = faulty_reactor();
	struct subject *s = subject_make(FOR_RECV), *second = subject_make(FOR_RECV);
	int fd = s->task.handler.fd;

	/* None, none that is open, one that has a handler. */
	s->task.handler.fd = -1;
	ck_assert_int_eq(hark_task_run(r, &s->task), -EBADF);
	s->task.handler.fd = dup(fd);
	close(s->task.handler.fd);
	ck_assert_int_eq(hark_task_run(r, &s->task), -EBADF);
	s->task.handler.fd = fd;
	close(second->task.handler.fd);
	second->task.handler.fd = fd;
	ck_assert_int_eq(hark_task_start(r, &second->task), 0);
	ck_assert_int_eq(hark_task_run(r, &s->task), -EEXIST);
	subject_satisfy(s);
	ck_assert_int_eq(hark_task_run(r, &second->task), 42);
	second->task.handler.fd = -1;
	subject_free(second);

	/* No memory for it; and one that the kernel refuses, when it is told or when it waits. */
	ck_assert_int_eq(recv(fd, &(char){0}, 1, 0), 1);
	faulty.reserve = ENOMEM;
	ck_assert_int_eq(hark_task_run(r, &s->task), -ENOMEM);
	faulty.reserve = 0;
	faulty.fd = fd;
	faulty.refuse = ENODEV;
	ck_assert_int_eq(hark_task_run(r, &s->task), -ENODEV);
	faulty.refuse = 0;
	faulty.late = EIO;
	ck_assert_int_eq(hark_task_run(r, &s->task), -EIO);
	subject_satisfy(s);
	ck_assert_int_eq(hark_task_run(r, &s->task), 42);
	ck_assert_uint_eq(s->dones, 7);
	subject_free(s);
	hark_reactor_free(r);
}
END_TEST

static int refused_fd;

static void have_it_refused_late(struct subject *s)
{
	(void)s;
	faulty.fd = refused_fd;
	faulty.late = EIO;
}

/* What the kernel refuses while the task awaits something else: the next await tries again. */
START_TEST(refusal_after_the_await)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = faulty_reactor();
	struct subject *s = subject_make(FOR_RECV);

	refused_fd = s->task.handler.fd;
	s->deadline = 0;
	s->stubborn = true;
	s->behind = have_it_refused_late;
	ck_assert_int_eq(hark_task_start(r, &s->task), 0);
	turns_until(r, &s->gone_on, 1);
	ck_assert_int_eq(s->outcome, -ETIMEDOUT);
	/* The change to wanting nothing is none, but the one that is on its way is refused. */
	faulty.refuse = EIO;
	settle(r, 8);
	quiet(r, 20);
	ck_assert(s->persisted == 0 && s->dones == 0);
	ck_assert_int_eq(hark_task_cancel(&s->task), 0);
	faulty.refuse = faulty.late = 0;
	s->deadline = HARK_NEVER;
	s->stubborn = false;
	s->behind = NULL;
	subject_satisfy(s);
	ck_assert_int_eq(hark_task_run(r, &s->task), 42);
	subject_free(s);
	hark_reactor_free(r);
}
END_TEST

/* Always ready, in user space where the kernel refuses it: called when it is awaited, and only
 * then. */
START_TEST(regular_file_is_ready_when_it_is_awaited)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *s = subject_make(FOR_RECV);
	FILE *file = tmpfile();

	ck_assert_ptr_nonnull(file);
	close(s->task.handler.fd);
	s->task.handler.fd = dup(fileno(file));
	s->stubborn = true;
	ck_assert_int_eq(hark_task_start(r, &s->task), 0);
	turns_until(r, &s->gone_on, 1);
	ck_assert_int_eq(s->outcome, HARK_RECV);
	settle(r, 8);
	quiet(r, 20);
	ck_assert_int_eq(hark_task_cancel(&s->task), 0);
	fclose(file);
	subject_free(s);
	hark_reactor_free(r);
}
END_TEST

/* On a task whose code does not run an await does nothing, whatever state that is in. */
START_TEST(await_of_a_task_that_does_not_run)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *s = subject_make(FOR_RECV), *other = subject_make(FOR_RECV);

	pool_make();
	for (int state = 0; state < 4; state++) {
		if (state == 1)
			ck_assert_int_eq(hark_task_start(r, &s->task), 0);
		else if (state == 2)
			settle(r, 8);
		else if (state == 3)
			ck_assert_int_eq(hark_task_run(r, &s->task), 42);
		hark_await_ready(&s->task, HARK_SEND, 0);
		hark_await_until(&s->task, 0);
		hark_await_delay(&s->task, 0);
		hark_await_task(&s->task, &other->task, HARK_NEVER);
		hark_await_job(&s->task, pool, &s->job);
		ck_assert_uint_eq(stats_of(r).tasks, state % 3 != 0);
		ck_assert_uint_eq(stats_of(r).jobs, 0);
		if (state == 2) {
			quiet(r, 20);
			subject_satisfy(s);
		}
	}
	ck_assert(s->begun == 1 && s->dones == 1 && !hark_task_pending(&other->task));
	hark_pool_free(pool, HARK_POOL_FINISH);
	subject_free(other);
	subject_free(s);
	hark_reactor_free(r);
}
END_TEST

/* Jobs. */

static void check_not_gone_on(struct subject *s)
{
	ck_assert_uint_eq(s->gone_on, 0);
}

static void *free_pool(void *with)
{
	hark_pool_free(with, HARK_POOL_CANCEL);
	return NULL;
}

/* Its handle_done comes first. Cancelled by others, by itself or with the pool, it is not done. */
START_TEST(job_done_or_cancelled_by_others)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *s;
	pthread_t thread;

	pool_make();
	if (_i)
		pool_occupy(r);
	s = subject_at_await(r, FOR_JOB);
	s->job_done = check_not_gone_on;
	if (_i == 0)
		job_let_go();
	else if (_i == 1)
		ck_assert_int_eq(hark_job_cancel(&s->job), 0);
	else
		ck_assert_int_eq(pthread_create(&thread, NULL, free_pool, pool), 0);
	turns_until(r, &s->dones, 1);
	ck_assert_int_eq(s->result, _i ? -ECANCELED : 42);
	ck_assert_uint_eq(s->job_dones, _i == 1 ? 0 : 1);
	ck_assert_int_eq(s->job_error, _i == 2 ? ECANCELED : 0);
	if (_i)
		job_let_go();
	if (_i == 2) {
		pthread_join(thread, NULL);
		pool_make();
	}

	/* And once more. */
	s->job_done = NULL;
	job_let_go();
	ck_assert_int_eq(hark_task_run(r, &s->task), 42);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	hark_pool_free(pool, HARK_POOL_FINISH);
	subject_free(s);
	hark_reactor_free(r);
}
END_TEST

static ssize_t insist(struct hark_task *t)
{
	struct subject *s = (struct subject *)(void *)t;
	ssize_t n;

	HARK_TASK_BEGIN(t);
	for (;;) {
		HARK_AWAIT(t, n, hark_await_job(t, pool, &s->job));
		if (n != -EAGAIN)
			break;
		s->gone_on++;
	}
	HARK_TASK_END(t);
	return n;
}

START_TEST(job_that_is_refused)
{
	static const struct hark_task_ops insisting = {.run = insist};
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *s[6];

	pool_make();
	pool_occupy(r);
	for (int i = 0; i < 6; i++)
		s[i] = subject_make(FOR_JOB);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(hark_task_start(r, &s[i]->task), 0);
	settle(r, 8);
	ck_assert_int_eq(hark_task_run(r, &s[4]->task), -EAGAIN);
	ck_assert_int_eq(hark_job_submit(pool, r, &s[0]->job), -EALREADY);

	/* A task that insists is not in the way of the job's end, which makes room. */
	s[5]->task.ops = &insisting;
	ck_assert_int_eq(hark_task_start(r, &s[5]->task), 0);
	turns_until(r, &s[5]->gone_on, 2);
	for (int i = 0; i < 6; i++)
		job_let_go();
	ck_assert_int_eq(hark_task_run(r, &s[5]->task), 0);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(s[i]->result, 42);

	/* Submitted by somebody else, and no pool. */
	ck_assert_int_eq(hark_job_submit(pool, r, &s[0]->job), 0);
	ck_assert_int_eq(hark_task_run(r, &s[0]->task), -EALREADY);
	job_let_go();
	hark_pool_free(pool, HARK_POOL_FINISH);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	pool = NULL;
	ck_assert_int_eq(hark_task_run(r, &s[0]->task), -EINVAL);
	for (int i = 0; i < 6; i++)
		subject_free(s[i]);
	hark_reactor_free(r);
}
END_TEST

/* Tasks that await tasks. */

static void check_others_have_not_gone_on(struct subject *s)
{
	struct subject **waiters = s->with;

	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(waiters[i]->gone_on, 0);
}

static void start_again(struct subject *s)
{
	check_others_have_not_gone_on(s);
	s->done = NULL;
	s->await = FOR_TIME;
	s->deadline = 0;
	ck_assert_int_eq(hark_task_start(hark_task_reactor(&((struct subject **)s->with)[0]->task),
	                                 &s->task),
	                 0);
}

static void go(struct subject *s)
{
	check_others_have_not_gone_on(s);
	subject_free(s);
}

/* Several await one, which is none of their own. Its handle_done comes first, and may free it or
 * start it again, and that is no concern of theirs. */
START_TEST(several_await_one)
{
	exact(EXACT_CALLS);
	void (*const ends[])(struct subject * s) = {check_others_have_not_gone_on, start_again, go};
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *one = subject_make(FOR_RECV), *waiters[3];

	one->with = waiters;
	one->done = ends[_i];
	for (int i = 0; i < 3; i++) {
		struct subject *own;

		waiters[i] = subject_make(FOR_TASK);
		own = waiters[i]->other;
		waiters[i]->other = one;
		subject_free(own);
		ck_assert_int_eq(hark_task_start(r, &waiters[i]->task), 0);
	}
	settle(r, 8);
	ck_assert_uint_eq(one->begun, 1); /* the first one started it */
	ck_assert_uint_eq(stats_of(r).tasks, 4);
	ck_assert_int_eq(hark_task_cancel(&waiters[1]->task), 0);
	ck_assert_int_eq(hark_task_start(r, &waiters[1]->task), 0);
	settle(r, 8);
	ck_assert_uint_eq(one->gone_on, 0);
	waiters[1]->gone_on = 0;
	subject_satisfy(one);
	for (int i = 0; i < 3; i++) {
		turns_until(r, &waiters[i]->gone_on, 1);
		ck_assert_int_eq(waiters[i]->outcome, 42);
	}
	if (_i == 1) {
		turns_until(r, &one->dones, 2);
		ck_assert_uint_eq(one->begun, 2);
	}
	ck_assert_uint_eq(stats_of(r).tasks, 0);
	if (_i != 2)
		subject_free(one);
	for (int i = 0; i < 3; i++) {
		waiters[i]->other = NULL;
		subject_free(waiters[i]);
	}
	hark_reactor_free(r);
}
END_TEST

START_TEST(task_that_has_ended_or_is_cancelled)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *s = subject_make(FOR_TASK);

	subject_satisfy(s);
	ck_assert_int_eq(hark_task_run(r, &s->other->task), 42);
	ck_assert_int_eq(hark_task_run(r, &s->task), 42);
	ck_assert_uint_eq(s->other->begun, 1); /* and is not started again */
	hark_task_init(&s->other->task, s->other->task.ops);
	ck_assert_int_eq(hark_task_run(r, &s->task), -EBADF); /* unless it is made anew */
	ck_assert_uint_eq(s->other->begun, 2);

	hark_task_init(&s->other->task, s->other->task.ops);
	s->other->await = FOR_TIME;
	s->other->deadline = HARK_NEVER;
	ck_assert_int_eq(hark_task_start(r, &s->task), 0);
	settle(r, 8);
	ck_assert_int_eq(hark_task_cancel(&s->other->task), 0);
	ck_assert_uint_eq(s->gone_on, 2);
	turns_until(r, &s->gone_on, 3);
	ck_assert_int_eq(s->result, -ECANCELED);
	subject_free(s);
	hark_reactor_free(r);
}
END_TEST

/* Rings of one, two and three; the one that would close it is told, and the others go on. */
START_TEST(tasks_that_await_each_other)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *ring[3];
	int count = 0;

	do {
		ring[count] = subject_make(FOR_TASK);
		subject_free(ring[count]->other);
		if (count > 0)
			ring[count - 1]->other = ring[count];
		ring[count]->other = ring[0];
	} while (++count <= _i);
	ck_assert_int_eq(hark_task_run(r, &ring[0]->task), -EDEADLK);
	for (int i = 0; i < count; i++) {
		ck_assert_int_eq(hark_task_result(&ring[i]->task), -EDEADLK);
		ring[i]->other = NULL;
		subject_free(ring[i]);
	}
	ck_assert_uint_eq(stats_of(r).tasks, 0);
	hark_reactor_free(r);
}
END_TEST

/* Who no longer awaits another may be awaited by it. */
START_TEST(ring_that_a_deadline_has_opened)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *a = subject_make(FOR_TASK), *b = a->other;

	a->deadline = 0;
	a->stubborn = true;
	ck_assert_int_eq(hark_task_start(r, &a->task), 0);
	turns_until(r, &a->gone_on, 1);
	settle(r, 8);
	ck_assert_int_eq(a->outcome, -ETIMEDOUT);
	ck_assert_int_eq(hark_task_cancel(&b->task), 0);
	b->await = FOR_TASK;
	b->other = a;
	ck_assert_int_eq(hark_task_start(r, &b->task), 0);
	settle(r, 8);
	ck_assert_uint_eq(stats_of(r).tasks, 2);
	ck_assert_int_eq(hark_task_cancel(&a->task), 0);
	ck_assert_int_eq(hark_task_run(r, &b->task), -ETIMEDOUT); /* which is a's result */
	b->other = NULL;
	subject_free(a);
	hark_reactor_free(r);
}
END_TEST

START_TEST(task_of_another_reactor_or_none)
{
	struct hark_reactor *r = new_reactor(NULL), *elsewhere = new_reactor(NULL);
	struct subject *s = subject_make(FOR_TASK), *other = s->other;
	static const struct hark_task_ops none;

	ck_assert_int_eq(hark_task_start(elsewhere, &other->task), 0);
	ck_assert_int_eq(hark_task_run(r, &s->task), -EINVAL);
	ck_assert_ptr_eq(hark_task_reactor(&other->task), elsewhere);
	hark_reactor_free(elsewhere);
	ck_assert_int_eq(hark_task_run(r, &s->task), -EINVAL);
	ck_assert_int_eq(hark_task_cancel(&other->task), 0);
	hark_task_init(&other->task, &none);
	ck_assert_int_eq(hark_task_run(r, &s->task), -EINVAL);
	s->other = NULL;
	ck_assert_int_eq(hark_task_run(r, &s->task), -EINVAL);
	subject_free(other);
	subject_free(s);
	hark_reactor_free(r);
}
END_TEST

#define CHAIN 1000

struct link {
	struct hark_task task;
	struct link *next;
};

static ssize_t await_next(struct hark_task *t)
{
	struct link *l = (struct link *)(void *)t;
	ssize_t n = 0;

	HARK_TASK_BEGIN(t);
	if (l->next)
		HARK_AWAIT(t, n, hark_await_task(t, &l->next->task, clock_ns() + HARK_S(60)));
	HARK_TASK_END(t);
	return n < 0 ? n : n + 1;
}

START_TEST(thousand_tasks_each_awaiting_the_next)
{
	static const struct hark_task_ops linked = {.run = await_next};
	struct hark_reactor *r = new_reactor(NULL);
	struct link *chain = calloc(CHAIN, sizeof *chain);

	for (int i = 0; i < CHAIN; i++) {
		hark_task_init(&chain[i].task, &linked);
		chain[i].next = i + 1 < CHAIN ? &chain[i + 1] : NULL;
	}
	ck_assert_int_eq(hark_task_run(r, &chain[0].task), CHAIN);
	free(chain);
	hark_reactor_free(r);
}
END_TEST

/* hark_task_run. */

static void stop(struct actor *a)
{
	hark_reactor_stop(hark_handler_reactor(&a->handler));
}

START_TEST(run_until_it_has_ended)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *s = subject_make(FOR_RECV), *other = subject_at_await(r, FOR_RECV);
	struct actor *a = actor_new(r), *b = actor_new(r);

	/* Stopped; it has been started, and goes on when it is run again, as the others do. */
	a->act = stop;
	actor_feed(a, 1);
	ck_assert_int_eq(hark_task_run(r, &s->task), -EINTR);
	ck_assert_uint_eq(a->recvs, 1);
	ck_assert(s->begun == 1 && hark_task_pending(&s->task));
	hark_reactor_stop(r);
	ck_assert_int_eq(hark_task_run(r, &s->task), -EINTR);
	a->act = NULL;
	actor_feed(a, 3);
	subject_satisfy(other);
	for (int i = 0; i < 2; i++)
		turns_until(r, &a->recvs, 2);
	subject_satisfy(s);
	ck_assert_int_eq(hark_task_run(r, &s->task), 42);
	ck_assert_uint_eq(s->dones, 1);
	ck_assert_uint_eq(stats_of(r).handlers, other->dones ? 2 : 3);

	/* From its beginning. */
	put(s->peer, "b", 1);
	actor_feed(b, 1);
	ck_assert_int_eq(hark_task_run(r, &s->task), 42);
	ck_assert(s->begun == 2 && s->dones == 2);
	turns_until(r, &other->dones, 1);
	turns_until(r, &b->recvs, 1);
	actor_free(a);
	actor_free(b);

	/* There is nothing that it could be waiting for. */
	other->await = FOR_TIME;
	other->deadline = HARK_NEVER;
	ck_assert_int_eq(hark_task_run(r, &other->task), -EDEADLK);
	ck_assert_int_eq(hark_task_run(r, &other->task), -EDEADLK);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(other->begun, 2);
	ck_assert_int_eq(hark_task_cancel(&other->task), 0);
	subject_free(other);
	subject_free(s);
	hark_reactor_free(r);
}
END_TEST

START_TEST(run_that_fails)
{
	struct hark_reactor *r = faulty_reactor();
	struct subject *s = subject_make(FOR_RECV);

	faulty.wait = EIO;
	ck_assert_int_eq(hark_task_run(r, &s->task), -EIO);
	ck_assert(hark_task_pending(&s->task));
	subject_satisfy(s);
	turns_until(r, &s->dones, 1); /* nobody waits for its result any more */
	ck_assert(s->begun == 1 && s->result == 42);
	subject_free(s);
	hark_reactor_free(r);
}
END_TEST

static struct subject *inner;
static ssize_t answer;

static void run_inner(struct hark_reactor *r)
{
	answer = hark_task_run(r, &inner->task);
}

static void run_inner_in_handler(struct actor *a)
{
	run_inner(hark_handler_reactor(&a->handler));
}

static void run_inner_in_task(struct subject *s)
{
	run_inner(s->with);
}

static void run_itself(struct subject *s)
{
	answer = hark_task_run(hark_task_reactor(&s->task), &s->task);
}

/* It is refused before anything has changed: the task that was to run may be on the stack. */
START_TEST(run_inside_a_callback)
{
	struct hark_reactor *r = new_reactor(NULL), *elsewhere = new_reactor(NULL);
	struct subject *s = subject_make(FOR_RECV);
	struct actor *a = actor_new(r);

	inner = subject_make(FOR_RECV);
	a->act = run_inner_in_handler;
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	ck_assert_int_eq(answer, -EBUSY);
	actor_free(a);
	answer = 0;
	s->before = run_inner_in_task;
	s->with = r;
	subject_satisfy(s);
	ck_assert_int_eq(hark_task_run(r, &s->task), 42);
	ck_assert_int_eq(answer, -EBUSY);
	ck_assert(!hark_task_pending(&inner->task));
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(inner->begun, 0);
	s->before = run_itself;
	subject_satisfy(s);
	ck_assert_int_eq(hark_task_run(r, &s->task), 42);
	ck_assert_int_eq(answer, -EBUSY);

	/* On another reactor there is no harm in it. */
	s->before = NULL;
	s->behind = run_inner_in_task;
	s->with = elsewhere;
	subject_satisfy(inner);
	subject_satisfy(s);
	ck_assert_int_eq(hark_task_run(r, &s->task), 42);
	ck_assert_int_eq(answer, 42);
	subject_free(inner);
	subject_free(s);
	hark_reactor_free(elsewhere);
	hark_reactor_free(r);
}
END_TEST

/* The end. */

static void start_until_there_are_ten(struct subject *s)
{
	if (s->dones < 10)
		ck_assert_int_eq(hark_task_start(s->with, &s->task), 0);
}

START_TEST(freed_and_started_again_in_handle_done)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *s;

	for (int i = 0; i < 2; i++) {
		s = subject_make(FOR_RECV);
		s->done = subject_free;
		subject_satisfy(s);
		if (i) {
			ck_assert_int_eq(hark_task_start(r, &s->task), 0);
			ck_assert_int_eq(hark_reactor_run(r), 0);
		} else {
			ck_assert_int_eq(hark_task_run(r, &s->task), 42);
		}
		ck_assert_uint_eq(stats_of(r).tasks, 0);
	}

	/* What has come is there again and again. */
	s = subject_make(FOR_RECV);
	s->with = r;
	s->done = start_until_there_are_ten;
	subject_satisfy(s);
	ck_assert_int_eq(hark_task_run(r, &s->task), 42);
	ck_assert(s->dones == 1 && hark_task_pending(&s->task));
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert(s->dones == 10 && s->begun == 10 && s->gone_on == 10);
	subject_free(s);
	hark_reactor_free(r);
}
END_TEST

static void free_and_reuse_the_number(struct subject *s)
{
	int fd = s->task.handler.fd;
	struct actor *a = s->with;

	subject_free(s);
	a->handler.fd = dup2(a->handler.fd, fd);
	ck_assert_int_eq(a->handler.fd, fd);
}

/* The handler of a task that has ended is not called, however ready: here, to send as well. */
START_TEST(descriptor_reused_in_handle_done)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *s = subject_make(FOR_BOTH);
	struct actor *a = actor_make();

	drain(s->peer);
	put(s->peer, "b", 1);
	s->with = a;
	s->done = free_and_reuse_the_number;
	ck_assert_int_eq(hark_task_run(r, &s->task), 42);
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	settle(r, 8);
	quiet(r, 20);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	ck_assert_uint_eq(a->calls, 1);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* What is told of tasks. */

START_TEST(dump_tells_what_tasks_await)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *s[AWAITS], *not_begun = subject_make(FOR_RECV);
	char line[128];
	const char *text;

	pool_make();
	ck_assert_ptr_null(strstr(dump_of(r), "task"));
	for (int i = 0; i < AWAITS; i++)
		s[i] = subject_at_await(r, (enum await)i);
	ck_assert_int_eq(hark_task_start(r, &not_begun->task), 0);
	text = dump_of(r);
	snprintf(line, sizeof line, "fd %d subject: wants r--", s[FOR_RECV]->task.handler.fd);
	ck_assert_ptr_nonnull(strstr(text, line));
	snprintf(line, sizeof line, "task subject: awaits fd %d\n", s[FOR_RECV]->task.handler.fd);
	ck_assert_ptr_nonnull(strstr(text, line));
	snprintf(line, sizeof line, "task subject: awaits a time, until %lld ns\n",
	         (long long)s[FOR_TIME]->deadline);
	ck_assert_ptr_nonnull(strstr(text, line));
	ck_assert_ptr_nonnull(strstr(text, "task subject: awaits task subject\n"));
	ck_assert_ptr_nonnull(strstr(text, "task subject: awaits job labour\n"));
	ck_assert_ptr_nonnull(strstr(text, "task subject: is to run\n"));
	job_let_go();
	hark_pool_free(pool, HARK_POOL_FINISH);
	ck_assert_int_eq(hark_task_cancel(&not_begun->task), 0);
	subject_free(not_begun);
	turns_until(r, &s[FOR_JOB]->dones, 1);
	for (int i = 0; i < AWAITS; i++) {
		ck_assert_int_eq(hark_task_cancel(&s[i]->task), 0);
		subject_free(s[i]);
	}
	ck_assert_ptr_null(strstr(dump_of(r), "task"));
	hark_reactor_free(r);
}
END_TEST

/* Threads and processes. */

static int answers[3];
static struct subject *idle, *busy;

/* A build that does not look lets it: the owner waits meanwhile. */
static void *trespass(void *with)
{
	answers[0] = hark_task_start(with, &idle->task);
	answers[1] = (int)hark_task_run(with, &idle->task);
	if (answers[0] == -EPERM)
		answers[2] = hark_task_cancel(&busy->task);
	else
		ck_assert_int_eq(hark_task_cancel(&idle->task), 0);
	return NULL;
}

static void let_trespass(struct actor *a)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, trespass, hark_handler_reactor(&a->handler)),
	                 0);
	pthread_join(thread, NULL);
}

START_TEST(tasks_in_the_hands_of_another_thread)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	idle = subject_make(FOR_RECV);
	busy = subject_at_await(r, FOR_RECV);
	a->act = let_trespass;
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	if (answers[0] == -EPERM) {
		ck_assert_int_eq(answers[1], -EPERM);
		ck_assert_int_eq(answers[2], -EPERM);
		ck_assert_uint_ge(stats_of(r).misuses, 3);
	} else {
		ck_assert_int_eq(answers[0], 0);
		ck_assert_int_eq(answers[1], -EBUSY);
		except("tasks_in_the_hands_of_another_thread",
		       "this build does not check the thread");
	}
	ck_assert(!hark_task_pending(&idle->task) && idle->begun == 0);
	subject_satisfy(busy);
	ck_assert_int_eq(hark_task_run(r, &busy->task), 42);
	subject_free(idle);
	subject_free(busy);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

static struct subject *family[AWAITS];

static void child_goes_on(void *with)
{
	struct hark_reactor *r = with;
	struct subject *fresh = subject_make(FOR_TIME);

	fresh->deadline = 0;
	ck_assert_int_eq(hark_task_start(r, &fresh->task), -ECHILD);
	ck_assert_int_eq(hark_task_run(r, &fresh->task), -ECHILD);
	ck_assert_int_eq(hark_reactor_after_fork(r), 0);
	ck_assert_int_eq(hark_task_run(r, &family[FOR_JOB]->task), -ECHILD);
	ck_assert_uint_eq(family[FOR_JOB]->job_dones, 0);
	ck_assert_uint_eq(family[FOR_RECV]->gone_on, 0);
	subject_satisfy(family[FOR_RECV]);
	ck_assert_int_eq(hark_task_run(r, &family[FOR_RECV]->task), 42);
	ck_assert_int_eq(hark_task_cancel(&family[FOR_TASK]->other->task), 0);
	ck_assert_int_eq(hark_task_run(r, &family[FOR_TASK]->task), -ECANCELED);
	ck_assert_int_eq(hark_task_cancel(&family[FOR_TIME]->task), 0);
	ck_assert_int_eq(hark_task_run(r, &fresh->task), 42);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	subject_free(fresh);
}

/* In the child before it has its own reactor: the parent's registration must stay. */
static void child_cancels_all(void *with)
{
	struct hark_reactor *r = with;

	for (int i = 0; i < AWAITS; i++) {
		if (!family[i])
			continue;
		ck_assert_int_eq(hark_task_cancel(&family[i]->task), 0);
		ck_assert_int_eq(family[i]->result, -ECANCELED);
		subject_free(family[i]);
	}
	ck_assert_uint_eq(stats_of(r).tasks, 0);
	hark_reactor_free(r);
	hark_pool_free(pool, HARK_POOL_FINISH);
}

START_TEST(forked_child_goes_on_or_cancels)
{
	exact(EXACT_CALLS);
	void (*const bodies[])(void *) = {child_goes_on, child_cancels_all};
	static const enum await awaits[] = {FOR_RECV, FOR_TASK, FOR_JOB, FOR_TIME};
	struct hark_reactor *r = new_reactor(NULL);

	pool_make();
	for (int i = 0; i < 4; i++)
		family[awaits[i]] = subject_at_await(r, awaits[i]);
	job_started();
	in_child(bodies[_i], r);
	drain(family[FOR_RECV]->task.handler.fd); /* what the child sent is there for both */
	if (backend_is("io_uring"))
		ck_assert_int_le(settle(r, 5),
		                 few(1)); /* it has noted the wake-up, and looks no more */
	quiet(r, 20);
	job_let_go();
	ck_assert_int_eq(hark_task_run(r, &family[FOR_JOB]->task), 42);
	for (int i = 0; i < 2; i++) {
		subject_satisfy(family[awaits[i]]);
		ck_assert_int_eq(hark_task_run(r, &family[awaits[i]]->task), 42);
	}
	ck_assert_int_eq(hark_task_cancel(&family[FOR_TIME]->task), 0);
	for (int i = 0; i < 4; i++)
		subject_free(family[awaits[i]]);
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(r);
}
END_TEST

static pid_t forked = -1;

static void fork_in_its_code(struct subject *s)
{
	(void)s;
	fflush(NULL);
	forked = fork();
	ck_assert_int_ge(forked, 0);
}

/* Its code goes on in both. In the child its await cannot be had, and tells so once the reactor is
 * the child's own. */
START_TEST(fork_in_the_code_of_a_task)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct subject *s = subject_make((enum await)_i);
	int status, rc;

	if (_i == FOR_JOB) {
		/* Once for practice: a thread that is only just beginning is none to fork beside.
		 */
		pool_make();
		job_let_go();
		ck_assert_int_eq(hark_task_run(r, &s->task), 42);
		s->begun = s->gone_on = s->dones = 0;
	}
	s->before = fork_in_its_code;
	if (_i == FOR_TIME)
		s->deadline = 0;
	else
		subject_satisfy(s);
	ck_assert_int_eq(hark_task_start(r, &s->task), 0);
	rc = hark_reactor_run(r);
	if (forked == 0) {
		ck_assert_int_eq(rc, -ECHILD);
		ck_assert(s->begun == 1 && s->gone_on == 0);
		ck_assert_int_eq(hark_reactor_after_fork(r), 0);
		ck_assert_int_eq(hark_reactor_run(r), 0);
	} else {
		ck_assert_int_eq(rc, 0);
	}
	ck_assert(s->begun == 1 && s->gone_on == 1 && s->dones == 1);
	ck_assert_int_eq(s->result, forked == 0 && _i != FOR_TIME ? -ECHILD : 42);
	subject_free(s);
	hark_reactor_free(r);
	hark_pool_free(pool, HARK_POOL_FINISH);
	if (forked == 0)
		exit(EXIT_SUCCESS);
	ck_assert_int_eq(waitpid(forked, &status, 0), forked);
	ck_assert_int_eq(status, 0);
}
END_TEST

TCase *case_task(void)
{
	TCase *tc = tcase_create("task");

	tcase_add_test(tc, code_goes_on_behind_each_await);
	tcase_add_test(tc, delay_of_nothing_lets_the_others_go);
	tcase_add_test(tc, awaits_that_do_not_wait_starve_nobody);
	tcase_add_test(tc, start_errors_change_nothing);
	tcase_add_loop_test(tc, goes_on_when_what_it_awaits_has_come, 0, FOR_TIME);
	tcase_add_loop_test(tc, deadline_ends_an_await, 0, FOR_JOB);
	tcase_add_test(tc, deadline_over_and_deadline_outrun);
	tcase_add_test(tc, deadline_of_the_await_before);
	tcase_add_loop_test(tc, long_pattern_from_task_to_task, 0, 8);
	tcase_add_test(tc, change_of_what_is_awaited_is_free_with_the_verbs);
	tcase_add_test(tc, both_directions_in_turn);
	tcase_add_loop_test(tc, another_descriptor_in_place_of_the_first, 0, 2);
	tcase_add_test(tc, descriptor_that_cannot_be_watched);
	tcase_add_test(tc, refusal_after_the_await);
	tcase_add_test(tc, regular_file_is_ready_when_it_is_awaited);
	tcase_add_test(tc, await_of_a_task_that_does_not_run);
	tcase_add_loop_test(tc, job_done_or_cancelled_by_others, 0, 3);
	tcase_add_test(tc, job_that_is_refused);
	tcase_add_loop_test(tc, several_await_one, 0, 3);
	tcase_add_test(tc, task_that_has_ended_or_is_cancelled);
	tcase_add_loop_test(tc, tasks_that_await_each_other, 0, 3);
	tcase_add_test(tc, ring_that_a_deadline_has_opened);
	tcase_add_test(tc, task_of_another_reactor_or_none);
	tcase_add_test(tc, thousand_tasks_each_awaiting_the_next);
	tcase_add_test(tc, run_until_it_has_ended);
	tcase_add_test(tc, run_that_fails);
	tcase_add_test(tc, run_inside_a_callback);
	tcase_add_test(tc, freed_and_started_again_in_handle_done);
	tcase_add_test(tc, descriptor_reused_in_handle_done);
	tcase_add_test(tc, dump_tells_what_tasks_await);
	tcase_add_test(tc, tasks_in_the_hands_of_another_thread);
	tcase_add_loop_test(tc, forked_child_goes_on_or_cancels, 0, 2);
	tcase_add_loop_test(tc, fork_in_the_code_of_a_task, 0, AWAITS);
	return tc;
}
