/* task_cancel.c - tasks that are ended by others: cancelled, in any state and from anywhere, or let
 * go of by a reactor that is freed. */
#include "actor.h"
#include "cases.h"
#include "tasks.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static struct hark_reactor *reactor;

/* From where it happens. */

enum place { OUTSIDE, IN_HANDLER, IN_TIMER, IN_MESSAGE, IN_TASK, IN_HANDLE_DONE, PLACES };

static void (*deed)(void);

static void in_handler(struct actor *a)
{
	(void)a;
	deed();
}

static void in_timer(struct hark_timer *t, uint64_t missed)
{
	(void)t, (void)missed;
	deed();
}

static void in_message(struct hark_message *m, struct hark_reactor *r)
{
	(void)m, (void)r;
	deed();
}

static void in_task(struct subject *s)
{
	(void)s;
	deed();
}

/* Does it there, in turns of `reactor`. */
static void do_in(enum place place, void (*what)(void))
{
	static const struct hark_timer_ops timer_ops = {.handle_timer = in_timer};
	struct hark_timer timer = {.ops = &timer_ops};
	struct hark_message message = {.handle_message = in_message};
	struct subject *s = subject_make(FOR_TIME);
	struct actor *a = actor_make();

	deed = what;
	a->act = in_handler;
	s->deadline = 0;
	if (place == IN_TASK)
		s->behind = in_task;
	else
		s->done = in_task;
	switch (place) {
	case OUTSIDE:
		deed();
		break;
	case IN_HANDLER:
		ck_assert_int_eq(hark_handler_add(reactor, &a->handler), 0);
		actor_feed(a, 1);
		turns_until(reactor, &a->recvs, 1);
		break;
	case IN_TIMER:
		hark_timer_start(reactor, &timer, 0);
		ck_assert_int_eq(active_turn(reactor), 1);
		break;
	case IN_MESSAGE:
		ck_assert_int_eq(hark_post(reactor, &message), 0);
		ck_assert_int_ge(active_turn(reactor), 1);
		break;
	default:
		ck_assert_int_eq(hark_task_run(reactor, &s->task), 42);
	}
	actor_free(a);
	subject_free(s);
}

/* Cancelled while it awaits. */

static struct subject *victim;

static void cancel(void)
{
	ck_assert_uint_eq(victim->gone_on, 0);
	ck_assert_int_eq(hark_task_cancel(&victim->task), 0);
}

static void cancel_and_free(void)
{
	cancel();
	ck_assert_uint_eq(victim->gone_on, 1);
	ck_assert_int_eq(victim->outcome, -ECANCELED);
	ck_assert(victim->dones == 1 && victim->result == -ECANCELED);
	ck_assert_uint_eq(victim->persisted, 0);
	ck_assert_uint_eq(victim->job_dones, 0);
	ck_assert_int_eq(hark_job_cancel(&victim->job), -ENOENT);
	if (victim->await != FOR_TIME && victim->await != FOR_JOB)
		subject_satisfy(victim);
	subject_free(victim);
	victim = NULL;
}

/* Each await, from each place; a task that releases what it has and returns, and one that would
 * rather await something else. */
START_TEST(cancelled_at_its_await_ends_within_the_call)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	enum await await = (enum await)(_i % AWAITS);
	enum place place = (enum place)(_i / AWAITS % PLACES);

	reactor = new_reactor(NULL);
	pool_make();
	pool_occupy(reactor);
	victim = subject_at_await(reactor, await);
	victim->stubborn = _i / AWAITS / PLACES;
	do_in(place, cancel_and_free);
	ck_assert_ptr_null(victim);
	settle(reactor, 8);
	quiet(reactor, 10);
	ck_assert_uint_eq(stats_of(reactor).tasks, 0);
	ck_assert_uint_eq(stats_of(reactor).handlers, 0);
	job_let_go();
	ck_assert_int_eq(hark_reactor_run(reactor), 0);
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(reactor);
}
END_TEST

static void cancel_not_begun(void)
{
	victim = subject_make(FOR_RECV);
	ck_assert_int_eq(hark_task_cancel(&victim->task), 0); /* nor started */
	ck_assert_uint_eq(victim->dones, 0);
	ck_assert_int_eq(hark_task_result(&victim->task), -EINPROGRESS);
	ck_assert_int_eq(hark_task_start(reactor, &victim->task), 0);
	ck_assert_int_eq(hark_task_cancel(&victim->task), 0);
	ck_assert(victim->dones == 1 && victim->result == -ECANCELED);
	ck_assert_int_eq(hark_task_cancel(&victim->task), 0); /* and ended */
	ck_assert(victim->dones == 1 && victim->begun == 0);
	subject_free(victim);
}

START_TEST(cancelled_before_it_begins_and_after_its_end)
{
	uint64_t tasks;

	reactor = new_reactor(NULL);
	tasks = stats_of(reactor).tasks;
	do_in((enum place)_i, cancel_not_begun);
	settle(reactor, 8);
	quiet(reactor, 10);
	ck_assert_uint_eq(stats_of(reactor).tasks, tasks);
	hark_reactor_free(reactor);
}
END_TEST

static void cancel_in_its_handle_done(struct subject *s)
{
	ck_assert_int_eq(hark_task_cancel(&s->task), 0);
	ck_assert_uint_eq(s->dones, 1);
	subject_free(s);
}

START_TEST(cancelled_in_its_own_handle_done)
{
	exact(EXACT_CALLS);
	reactor = new_reactor(NULL);
	for (int early = 0; early < 2; early++) {
		victim = subject_at_await(reactor, FOR_RECV);
		victim->done = cancel_in_its_handle_done;
		if (early) {
			cancel();
		} else {
			subject_satisfy(victim);
			ck_assert_int_eq(hark_task_run(reactor, &victim->task), 42);
		}
	}
	hark_reactor_free(reactor);
}
END_TEST

/* Ready, or due, in the turn in which another is called first and cancels it. */

static void cancel_in_handler(struct actor *a)
{
	(void)a;
	cancel_and_free();
}

static void cancel_in_timer(struct hark_timer *t, uint64_t missed)
{
	(void)t, (void)missed;
	cancel_and_free();
}

static struct hark_timer earlier;

/* Both are due in one turn, at the latest in the next, and the other goes first. */
static void set_deadlines(struct subject *s)
{
	s->deadline = clock_ns() + HARK_MS(10);
	hark_timer_start_at(reactor, &earlier, s->deadline - 1);
}

START_TEST(cancelled_when_it_was_about_to_go_on)
{
	exact(EXACT_CALLS | EXACT_TURNS | EXACT_ORDER | EXACT_VERBS);
	static const struct hark_timer_ops timer_ops = {.handle_timer = cancel_in_timer};
	struct actor *a;

	reactor = new_reactor(NULL);
	a = actor_new(reactor);
	a->act = cancel_in_handler;
	victim = subject_at_await(reactor, FOR_RECV);
	actor_feed(a, 1);
	subject_satisfy(victim);
	turns_until(reactor, &a->recvs, 1);
	ck_assert_ptr_null(victim);

	hark_timer_init(&earlier, &timer_ops);
	victim = subject_make(FOR_RECV);
	victim->before = set_deadlines;
	ck_assert_int_eq(hark_task_start(reactor, &victim->task), 0);
	while (victim != NULL && victim->begun == 0)
		ck_assert_int_ge(hark_reactor_turn(reactor, 0), 0);
	while (victim != NULL && clock_ns() <= victim->deadline + HARK_MS(1))
		;
	while (victim != NULL) /* whose own deadline must not come first */
		ck_assert_int_gt(hark_reactor_turn(reactor, HARK_S(20)), 0);

	/* What it awaited has ended, and it was to hear of that in the next turn. */
	victim = subject_at_await(reactor, FOR_TASK);
	ck_assert_int_eq(hark_task_cancel(&victim->other->task), 0);
	cancel_and_free();
	settle(reactor, 8);
	actor_free(a);
	hark_reactor_free(reactor);
}
END_TEST

/* Cancelled while it runs. */

static void cancel_itself(struct subject *s)
{
	ck_assert_int_eq(hark_task_cancel(&s->task), -EBUSY);
	ck_assert_int_eq(hark_task_cancel(&s->task), -EBUSY);
}

/* Its next await ends so, and one after that ends it. */
START_TEST(cancelled_by_its_own_code)
{
	reactor = new_reactor(NULL);
	pool_make();
	for (int stubborn = 0; stubborn < 2; stubborn++) {
		victim = subject_make((enum await)_i);
		victim->stubborn = stubborn;
		victim->before = cancel_itself;
		ck_assert_int_eq(hark_task_run(reactor, &victim->task), -ECANCELED);
		ck_assert(victim->gone_on == 1 && victim->outcome == -ECANCELED);
		ck_assert(victim->persisted == 0 && victim->dones == 1);
		ck_assert_uint_eq(victim->job_dones, 0);
		subject_free(victim);
	}

	/* The next one is its second; then none, and it ends as it likes. */
	for (int stubborn = 1; stubborn >= 0; stubborn--) {
		victim = subject_make(FOR_RECV);
		victim->stubborn = stubborn;
		victim->behind = cancel_itself;
		subject_satisfy(victim);
		ck_assert_int_eq(hark_task_run(reactor, &victim->task), 42);
		ck_assert_uint_eq(victim->persisted, (unsigned)stubborn);
		/* And that is over when it is started again. */
		victim->behind = NULL;
		victim->stubborn = false;
		ck_assert_int_eq(hark_task_run(reactor, &victim->task), 42);
		subject_free(victim);
	}
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(reactor);
}
END_TEST

static void cancel_other(struct subject *s)
{
	struct subject *other = s->with;
	int expected = other->gone_on ? -EBUSY : 0;

	ck_assert_int_eq(hark_task_cancel(&other->task), expected);
}

START_TEST(cancelled_by_each_other)
{
	exact(EXACT_CALLS);
	struct subject *a, *b;

	reactor = new_reactor(NULL);
	a = subject_at_await(reactor, FOR_RECV);
	b = subject_at_await(reactor, FOR_SEND);
	a->with = b;
	b->with = a;
	a->behind = b->behind = cancel_other;
	ck_assert_int_eq(hark_task_cancel(&a->task), 0);
	ck_assert(a->gone_on == 1 && b->gone_on == 1);
	ck_assert(a->result == -ECANCELED && b->result == -ECANCELED);
	ck_assert(a->dones == 1 && b->dones == 1);
	subject_free(a);
	subject_free(b);
	hark_reactor_free(reactor);
}
END_TEST

/* Cancelled while it awaits a job that nobody can take back. */

static void note_job_first(struct subject *s)
{
	ck_assert_uint_eq(s->gone_on, 0);
}

static void cancel_in_the_jobs_handle_done(struct subject *s)
{
	(void)s;
	cancel();
	ck_assert(victim->gone_on == 1 && victim->outcome == -ECANCELED);
	subject_free(victim); /* job and all */
	victim = NULL;
}

START_TEST(cancelled_while_its_job_runs)
{
	reactor = new_reactor(NULL);
	pool_make();
	victim = subject_at_await(reactor, FOR_JOB);
	job_started();
	if (_i == 1) {
		/* It is done, and nobody has heard of it yet. */
		job_let_go();
		hark_pool_free(pool, HARK_POOL_FINISH);
		pool_make();
	}
	if (_i == 2) {
		victim->job_done = cancel_in_the_jobs_handle_done;
		job_let_go();
		while (victim)
			ck_assert_int_ge(hark_reactor_turn(reactor, HARK_S(20)), 0);
	} else {
		for (int i = 0; i < 2; i++)
			ck_assert_int_eq(hark_task_cancel(&victim->task), -EBUSY);
		ck_assert(victim->gone_on == 0 && hark_task_pending(&victim->task));
		victim->job_done = note_job_first;
		victim->stubborn = true;
		if (_i == 0)
			job_let_go();
		ck_assert_int_eq(hark_task_run(reactor, &victim->task), -ECANCELED);
		ck_assert(victim->gone_on == 1 && victim->outcome == -ECANCELED);
		ck_assert(victim->job_dones == 1 && victim->job_error == 0);
		ck_assert(victim->persisted == 0 && victim->dones == 1);
		subject_free(victim);
	}
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(reactor);
}
END_TEST

/* A job that it has awaited is no concern of its any more. */
START_TEST(cancelled_after_its_job_was_done)
{
	reactor = new_reactor(NULL);
	pool_make();
	victim = subject_at_await(reactor, FOR_JOB);
	victim->stubborn = true;
	job_started();
	job_let_go();
	turns_until(reactor, &victim->gone_on, 1);
	pool_occupy(reactor);
	ck_assert_int_eq(hark_job_submit(pool, reactor, &victim->job), 0);
	ck_assert_int_eq(hark_task_cancel(&victim->task), 0);
	ck_assert(victim->persisted == 1 && victim->dones == 1);
	ck_assert_int_eq(hark_job_cancel(&victim->job), 0);
	job_let_go();
	ck_assert_int_eq(hark_reactor_run(reactor), 0);
	subject_free(victim);
	hark_pool_free(pool, HARK_POOL_FINISH);
	hark_reactor_free(reactor);
}
END_TEST

static unsigned inner_turns;

static void run_turns(struct subject *s)
{
	for (int i = 0; i < 3; i++) {
		ck_assert_int_ge(hark_reactor_turn(reactor, 0), 0);
		inner_turns++;
	}
	ck_assert_uint_eq(s->gone_on, 1);
}

/* Outside of a turn its code may run one, in which what it no longer awaits has come. */
START_TEST(cancelled_and_runs_turns_in_its_code)
{
	exact(EXACT_CALLS);
	static const enum await awaits[] = {FOR_RECV, FOR_SEND, FOR_BOTH, FOR_TASK, FOR_TIME};
	enum await await = awaits[_i];

	reactor = new_reactor(NULL);
	victim = subject_make(await);
	do { /* again where the time has come while it began */
		victim->begun = victim->gone_on = victim->dones = 0;
		if (await == FOR_TIME)
			victim->deadline = clock_ns() + HARK_MS(5);
		ck_assert_int_eq(hark_task_start(reactor, &victim->task), 0);
		while (victim->begun == 0)
			ck_assert_int_ge(hark_reactor_turn(reactor, 0), 0);
		if (victim->gone_on > 0)
			turns_until(reactor, &victim->dones, 1);
	} while (victim->dones > 0);
	victim->behind = run_turns;
	if (await == FOR_TIME)
		while (clock_ns() <= victim->deadline + HARK_MS(1)) /* a tick and more */
			;
	else if (await == FOR_TASK)
		ck_assert_int_eq(hark_task_cancel(&victim->other->task), 0);
	else
		subject_satisfy(victim);
	cancel();
	ck_assert_uint_eq(inner_turns, 3);
	ck_assert(victim->gone_on == 1 && victim->dones == 1);
	subject_free(victim);
	hark_reactor_free(reactor);
}
END_TEST

/* Let go of by a reactor that is freed. */

static void free_reactor(void)
{
	hark_reactor_free(reactor);
}

static void *let_go_later(void *unused)
{
	usleep(20000);
	job_let_go();
	return unused;
}

static pthread_t letting_go;

/* The reactor waits for the job that it has running. */
static void free_reactor_and_let_go(void)
{
	ck_assert_int_eq(pthread_create(&letting_go, NULL, let_go_later, NULL), 0);
	free_reactor();
}

/* Left by its reactor, at its await or before it began. */
static void check_left(struct subject *s, unsigned gone_on)
{
	struct hark_reactor *another = new_reactor(NULL);

	ck_assert(s->gone_on == gone_on && s->dones == 0);
	ck_assert(hark_task_pending(&s->task));
	ck_assert_ptr_null(hark_task_reactor(&s->task));
	ck_assert_ptr_null(hark_handler_reactor(&s->task.handler));
	ck_assert_int_eq(hark_task_result(&s->task), -EINPROGRESS);
	ck_assert_int_eq(hark_task_start(another, &s->task), -EALREADY);
	ck_assert_int_eq(hark_task_run(another, &s->task), -EINVAL);
	hark_reactor_free(another);
}

/* It has ended, and is as good as new. */
static void check_ended(struct subject *s, ssize_t result)
{
	struct hark_reactor *another = new_reactor(NULL);

	ck_assert(s->dones == 1 && s->result == result);
	ck_assert(!hark_task_pending(&s->task));
	ck_assert_int_eq(hark_task_cancel(&s->task), 0);
	s->await = FOR_TIME;
	s->deadline = 0;
	s->before = s->behind = s->done = NULL;
	s->stubborn = false;
	ck_assert_int_eq(hark_task_run(another, &s->task), 42);
	hark_reactor_free(another);
}

/* Whatever it awaits, freed from wherever, and cancelled afterwards. */
START_TEST(left_at_its_await_by_a_freed_reactor)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	enum await await = (enum await)(_i % AWAITS);
	enum place place = (enum place)(_i / AWAITS % 2);

	reactor = new_reactor(NULL);
	pool_make();
	victim = subject_at_await(reactor, await);
	victim->stubborn = _i / AWAITS / 2;
	if (await == FOR_JOB)
		job_started();
	if (place == OUTSIDE) {
		free_reactor_and_let_go();
	} else {
		struct actor *a = actor_new(reactor);

		deed = free_reactor_and_let_go;
		a->act = in_handler;
		actor_feed(a, 1);
		ck_assert_int_eq(hark_task_run(reactor, &victim->task), -ECANCELED);
		ck_assert_uint_eq(a->recvs, 1);
		actor_free(a);
	}
	check_left(victim, 0);
	ck_assert_uint_eq(victim->job_dones, 0);
	cancel();
	ck_assert(victim->gone_on == 1 && victim->outcome == -ECANCELED);
	ck_assert_uint_eq(victim->persisted, 0);
	check_ended(victim, -ECANCELED);
	subject_free(victim);
	pthread_join(letting_go, NULL);
	hark_pool_free(pool, HARK_POOL_FINISH);
}
END_TEST

/* And forgotten: nothing knows it any more, its job's thread neither. */
START_TEST(left_by_a_freed_reactor_and_freed)
{
	exact(EXACT_CALLS);
	reactor = new_reactor(NULL);
	pool_make();
	pool_occupy(reactor);
	victim = subject_at_await(reactor, (enum await)_i);
	job_let_go();
	if (_i == FOR_JOB)
		job_let_go();
	free_reactor();
	subject_free(victim);
	hark_pool_free(pool, HARK_POOL_FINISH);
}
END_TEST

/* What it awaited goes first, and no longer knows it. */
START_TEST(left_by_a_freed_reactor_awaiting_what_is_freed)
{
	exact(EXACT_CALLS);
	reactor = new_reactor(NULL);
	victim = subject_at_await(reactor, FOR_TASK);
	free_reactor();
	ck_assert_int_eq(hark_task_cancel(&victim->other->task), 0);
	ck_assert_int_eq(victim->other->result, -ECANCELED);
	subject_free(victim->other);
	victim->other = NULL;
	check_left(victim, 0);
	cancel();
	check_ended(victim, -ECANCELED);
	subject_free(victim);
}
END_TEST

START_TEST(left_before_it_began_by_a_freed_reactor)
{
	reactor = new_reactor(NULL);
	victim = subject_make(FOR_RECV);
	ck_assert_int_eq(hark_task_start(reactor, &victim->task), 0);
	free_reactor();
	check_left(victim, 0);
	ck_assert_int_eq(hark_task_cancel(&victim->task), 0);
	ck_assert_uint_eq(victim->begun, 0);
	check_ended(victim, -ECANCELED);
	subject_free(victim);
}
END_TEST

/* Cancelled before, when its job was not to be taken back. */
START_TEST(left_by_a_freed_reactor_when_it_was_to_be_told)
{
	reactor = new_reactor(NULL);
	pool_make();
	victim = subject_at_await(reactor, FOR_JOB);
	job_started();
	ck_assert_int_eq(hark_task_cancel(&victim->task), -EBUSY);
	free_reactor_and_let_go();
	check_left(victim, 0);
	cancel();
	ck_assert_int_eq(victim->outcome, -ECANCELED);
	check_ended(victim, -ECANCELED);
	subject_free(victim);
	pthread_join(letting_go, NULL);
	hark_pool_free(pool, HARK_POOL_FINISH);
}
END_TEST

static void free_its_reactor(struct subject *s)
{
	ck_assert_ptr_eq(hark_task_reactor(&s->task), reactor);
	hark_reactor_free(reactor);
	ck_assert_ptr_null(hark_task_reactor(&s->task));
	ck_assert_int_eq(hark_task_cancel(&s->task), -EBUSY);
	s->before = s->behind = NULL;
}

/* Its own code frees the reactor, before its await or behind it, and goes on to its end or its next
 * await, whatever made it go on; another one awaits its end. */
START_TEST(reactor_freed_by_its_own_code)
{
	enum await await = (enum await)(_i % AWAITS);
	bool before = _i / AWAITS % 2, stubborn = _i / AWAITS / 2;
	struct subject *another;
	int rc;

	reactor = new_reactor(NULL);
	pool_make();
	another = subject_make(FOR_TASK);
	subject_free(another->other);
	another->other = victim = subject_make(await);
	victim->stubborn = stubborn;
	if (before)
		victim->before = free_its_reactor;
	else
		victim->behind = free_its_reactor;
	if (await == FOR_TIME)
		victim->deadline = 0;
	else
		subject_satisfy(victim);
	ck_assert_int_eq(hark_task_start(reactor, &another->task), 0);
	rc = hark_reactor_run(reactor);
	ck_assert_int_eq(rc, 0);
	ck_assert(another->begun == 1 && another->gone_on == 0);
	another->other = NULL;
	ck_assert_int_eq(hark_task_cancel(&another->task), 0);
	ck_assert_int_eq(another->outcome, -ECANCELED);

	if (before) {
		check_left(victim, 0);
		ck_assert_int_eq(hark_task_cancel(&victim->task), 0);
		ck_assert(victim->gone_on == 1 && victim->outcome == -ECANCELED);
		check_ended(victim, -ECANCELED);
	} else if (stubborn) {
		check_left(victim, 1);
		ck_assert_int_eq(hark_task_cancel(&victim->task), 0);
		ck_assert_uint_eq(victim->persisted, 1);
		check_ended(victim, 42);
	} else {
		ck_assert_uint_eq(victim->gone_on, 1);
		check_ended(victim, 42);
	}
	subject_free(victim);
	subject_free(another);
	if (before && await == FOR_JOB)
		job_let_go();
	hark_pool_free(pool, HARK_POOL_FINISH);
}
END_TEST

/* The same, its code being run by hark_task_cancel, outside of a turn, by which the reactor is
 * gone at once, and inside; it is the only one, or its end is awaited by the one that frees it. */
START_TEST(reactor_freed_by_code_that_is_being_cancelled)
{
	exact(EXACT_CALLS);
	reactor = new_reactor(NULL);
	victim = subject_at_await(reactor, FOR_RECV);
	victim->stubborn = _i & 1;
	victim->behind = free_its_reactor;
	if (_i & 2) {
		struct subject *s = subject_make(FOR_TIME);

		s->deadline = 0;
		s->behind = in_task;
		deed = cancel;
		ck_assert_int_eq(hark_task_run(reactor, &s->task), -ECANCELED);
		ck_assert_int_eq(hark_task_result(&s->task), 42); /* it has ended all the same */
		ck_assert_uint_eq(s->dones, 1);
		subject_free(s);
	} else {
		cancel();
	}
	ck_assert(victim->gone_on == 1 && victim->persisted == 0);
	check_ended(victim, -ECANCELED);
	subject_free(victim);
}
END_TEST

static void free_reactor_and_itself(struct subject *s)
{
	hark_reactor_free(reactor);
	ck_assert_uint_eq(s->dones, 1);
	subject_free(s);
}

/* In handle_done: of one that is run, cancelled, cancelled before it began, and cancelled when its
 * reactor was gone; another one awaits its end, and is woken in vain. */
START_TEST(reactor_freed_in_handle_done)
{
	exact(EXACT_CALLS);
	struct subject *another;

	reactor = new_reactor(NULL);
	another = subject_make(FOR_TASK);
	subject_free(another->other);
	another->other = victim = subject_make(FOR_RECV);
	ck_assert_int_eq(hark_task_start(reactor, &another->task), 0);
	if (_i != 2)
		settle(reactor, 8);
	else
		ck_assert_int_eq(hark_task_start(reactor, &victim->task), 0);
	victim->done = free_reactor_and_itself;
	if (_i == 0) {
		subject_satisfy(victim);
		ck_assert_int_eq(hark_task_run(reactor, &victim->task), 42);
	} else if (_i == 1) {
		cancel();
	} else {
		ck_assert_int_eq(hark_task_cancel(&victim->task), 0);
	}
	another->other = NULL;
	if (_i == 2) {
		ck_assert_int_eq(hark_task_cancel(&another->task), 0);
		ck_assert_uint_eq(another->begun, 0);
	} else {
		check_left(another, 0);
		ck_assert_int_eq(hark_task_cancel(&another->task), 0);
		ck_assert_int_eq(another->outcome, -ECANCELED);
	}
	check_ended(another, -ECANCELED);
	subject_free(another);
}
END_TEST

TCase *case_task_cancel(void)
{
	TCase *tc = tcase_create("task_cancel");

	tcase_add_loop_test(tc, cancelled_at_its_await_ends_within_the_call, 0,
	                    AWAITS * PLACES * 2);
	tcase_add_loop_test(tc, cancelled_before_it_begins_and_after_its_end, 0, PLACES);
	tcase_add_test(tc, cancelled_in_its_own_handle_done);
	tcase_add_test(tc, cancelled_when_it_was_about_to_go_on);
	tcase_add_loop_test(tc, cancelled_by_its_own_code, 0, AWAITS);
	tcase_add_test(tc, cancelled_by_each_other);
	tcase_add_loop_test(tc, cancelled_while_its_job_runs, 0, 3);
	tcase_add_test(tc, cancelled_after_its_job_was_done);
	tcase_add_loop_test(tc, cancelled_and_runs_turns_in_its_code, 0, 5);
	tcase_add_loop_test(tc, left_at_its_await_by_a_freed_reactor, 0, AWAITS * 2 * 2);
	tcase_add_loop_test(tc, left_by_a_freed_reactor_and_freed, 0, AWAITS);
	tcase_add_test(tc, left_by_a_freed_reactor_awaiting_what_is_freed);
	tcase_add_test(tc, left_before_it_began_by_a_freed_reactor);
	tcase_add_test(tc, left_by_a_freed_reactor_when_it_was_to_be_told);
	tcase_add_loop_test(tc, reactor_freed_by_its_own_code, 0, AWAITS * 2 * 2);
	tcase_add_loop_test(tc, reactor_freed_by_code_that_is_being_cancelled, 0, 4);
	tcase_add_loop_test(tc, reactor_freed_in_handle_done, 0, 3);
	return tc;
}
