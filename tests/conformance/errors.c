/* errors.c - every error that a public function documents, what it leaves behind, and a kernel that
 * refuses. */
#include "actor.h"
#include "cases.h"
#include "faulty.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* hark_handler_add. */

START_TEST(add_of_what_is_added_answers_eexist)
{
	struct hark_reactor *r = new_reactor(NULL), *other = new_reactor(NULL);
	struct actor *a = actor_new(r);
	struct actor *same_fd = actor_make_on(a->handler.fd, a->peer);

	ck_assert_int_eq(hark_handler_add(r, &a->handler), -EEXIST);
	ck_assert_int_eq(hark_handler_add(other, &a->handler), -EEXIST);
	ck_assert_int_eq(hark_handler_add(r, &same_fd->handler), -EEXIST);
	ck_assert_ptr_null(hark_handler_reactor(&same_fd->handler));
	ck_assert_ptr_eq(hark_handler_reactor(&a->handler), r);
	ck_assert_uint_eq(stats_of(r).handlers, 1);
	ck_assert_uint_eq(stats_of(other).handlers, 0);
	hark_handler_remove(&same_fd->handler); /* not added: leaves a alone */
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	ck_assert_uint_eq(same_fd->calls, 0);

	/* One descriptor may have a handler in each of two reactors. */
	ck_assert_int_eq(hark_handler_add(other, &same_fd->handler), 0);
	actor_feed(a, 1);
	turns_until(other, &same_fd->recvs, 1);
	hark_handler_remove(&same_fd->handler);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 2);
	actor_forget(same_fd);
	actor_free(a);
	hark_reactor_free(r);
	hark_reactor_free(other);
}
END_TEST

START_TEST(add_of_no_descriptor_answers_ebadf)
{
	struct hark_reactor *r = new_reactor(NULL);
	const int bad[] = {-1, INT_MIN, INT_MAX, INT_MAX - 1, 1 << 30, 1 << 20, 65535};
	struct actor *a = actor_new(r);
	struct hark_handler h;
	int closed = dup(a->peer);

	close(closed);
	hark_handler_init(&h, &actor_ops, closed);
	ck_assert_int_eq(hark_handler_add(r, &h), -EBADF);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		hark_handler_init(&h, &actor_ops, bad[i]);
		ck_assert_int_eq(hark_handler_add(r, &h), -EBADF);
		ck_assert_ptr_null(hark_handler_reactor(&h));
	}
	ck_assert_uint_eq(stats_of(r).handlers, 1);
	quiet(r, 10);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

START_TEST(add_of_what_makes_no_sense_answers_einval)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_make();
	struct hark_handler_ops ops = {0};

	ck_assert_int_eq(hark_handler_add(r, NULL), -EINVAL);
	ck_assert_int_eq(hark_handler_add(NULL, &a->handler), -EINVAL);
	a->handler.ops = NULL;
	ck_assert_int_eq(hark_handler_add(r, &a->handler), -EINVAL);

	/* Each question needs its deed. */
	for (int i = 0; i < 3; i++) {
		ops = actor_ops;
		ops.wants_urgent = i == 2 ? ops.wants_recv : NULL;
		if (i == 0)
			ops.handle_recv = NULL;
		if (i == 1)
			ops.handle_send = NULL;
		hark_handler_init(&a->handler, &ops, a->handler.fd);
		ck_assert_int_eq(hark_handler_add(r, &a->handler), -EINVAL);
		ck_assert_ptr_null(hark_handler_reactor(&a->handler));
	}

	/* With handle_ready none of them is needed; nor where nothing is asked. */
	ops.handle_ready = actor_ready_ops.handle_ready;
	hark_handler_init(&a->handler, &ops, a->handler.fd);
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	hark_handler_remove(&a->handler);
	memset(&ops, 0, sizeof ops);
	hark_handler_init(&a->handler, &ops, a->handler.fd);
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	actor_feed(a, 1);
	quiet(r, 10);
	ck_assert_uint_eq(stats_of(r).handlers, 1);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* What is refused is as it was: it can be mended and added. */
START_TEST(add_that_failed_can_be_repeated)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_make();
	int fd = a->handler.fd;

	a->handler.fd = -1;
	ck_assert_int_eq(hark_handler_add(r, &a->handler), -EBADF);
	hark_handler_remove(&a->handler);
	hark_handler_refresh(&a->handler);
	a->handler.fd = fd;
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* A reactor entered from its own callbacks, or by two threads. */

static int answers[4];
static unsigned letters;

static void enter_again(struct actor *a)
{
	struct hark_reactor *r = hark_handler_reactor(&a->handler);

	answers[0] = hark_reactor_run(r);
	answers[1] = hark_reactor_turn(r, 0);
	answers[2] = hark_reactor_turn(r, -1);
	hark_reactor_stop(r);
}

static void enter_in_message(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	answers[0] = hark_reactor_run(r);
	answers[1] = hark_reactor_turn(r, 0);
	answers[2] = hark_reactor_turn(r, -1);
	letters++;
}

START_TEST(run_and_turn_in_a_callback_answer_ebusy)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r), *b = actor_new(r);
	struct hark_message m;

	a->act = b->act = enter_again;
	actor_feed(a, 1);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert(answers[0] == -EBUSY && answers[1] == -EBUSY && answers[2] == -EBUSY);
	memset(answers, 0, sizeof answers);
	actor_feed(b, 1);
	turns_until(r, &b->recvs, 1);
	ck_assert(answers[0] == -EBUSY && answers[1] == -EBUSY && answers[2] == -EBUSY);
	memset(answers, 0, sizeof answers);
	a->act = b->act = NULL;
	hark_message_init(&m, enter_in_message);
	ck_assert_int_eq(hark_post(r, &m), 0);
	turns_until(r, &letters, 1);
	ck_assert(answers[0] == -EBUSY && answers[1] == -EBUSY && answers[2] == -EBUSY);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 2);
	actor_free(a);
	actor_free(b);
	hark_reactor_free(r);
}
END_TEST

/* A turn of another reactor inside a callback is nobody's business. */
static struct hark_reactor *inner;
static int inner_callbacks;

static void turn_inner(struct actor *a)
{
	(void)a;
	inner_callbacks += hark_reactor_turn(inner, 0);
}

START_TEST(turn_of_another_reactor_in_a_callback)
{
	exact(EXACT_CALLS | EXACT_TURNS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r), *b;

	inner = new_reactor(NULL);
	b = actor_new(inner);
	actor_feed(b, 1);
	a->act = turn_inner;
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	ck_assert_int_eq(inner_callbacks, 1);
	ck_assert_uint_eq(b->recvs, 1);
	actor_free(a);
	actor_free(b);
	hark_reactor_free(r);
	hark_reactor_free(inner);
}
END_TEST

/* Another thread, while this one is inside a callback and waits for it: in a debug build it is told
 * that it does not own the reactor, and else at least that the reactor is busy. */

static struct actor *stranger, *native;
static struct hark_message letter;
static bool checked;

static void *trespass(void *with)
{
	struct hark_reactor *r = with;

	answers[0] = hark_handler_add(r, &stranger->handler);
	answers[1] = hark_reactor_run(r);
	answers[2] = hark_reactor_turn(r, 0);
	checked = answers[0] == -EPERM;
	if (!checked) {
		hark_handler_remove(&stranger->handler);
		return NULL;
	}

	/* None of these does anything. */
	hark_handler_remove(&native->handler);
	hark_handler_refresh(&native->handler);
	hark_reactor_free(r);
	answers[3] = hark_message_withdraw(r, &letter);
	return NULL;
}

static void let_trespass(struct actor *a)
{
	struct hark_reactor *r = hark_handler_reactor(&a->handler);
	pthread_t thread;

	ck_assert_int_eq(hark_post(r, &letter), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, trespass, r), 0);
	pthread_join(thread, NULL);
	a->act = NULL;
}

static void count_letter(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	(void)r;
	letters++;
}

START_TEST(calls_by_a_thread_that_is_not_the_owner)
{
	struct hark_reactor *r = new_reactor(NULL);

	native = actor_new(r);
	stranger = actor_make();
	hark_message_init(&letter, count_letter);
	native->act = let_trespass;
	actor_feed(native, 1);
	turns_until(r, &native->recvs, 1);
	if (checked) {
		ck_assert(answers[1] == -EPERM || answers[1] == -EBUSY);
		ck_assert(answers[2] == -EPERM || answers[2] == -EBUSY);
		ck_assert_int_eq(answers[3], 0);
		ck_assert_uint_ge(stats_of(r).misuses, 5);
	} else {
		ck_assert_int_eq(answers[1], -EBUSY);
		ck_assert_int_eq(answers[2], -EBUSY);
		ck_assert_uint_eq(stats_of(r).misuses, 0);
		except("calls_by_a_thread_that_is_not_the_owner",
		       "this build does not check the thread");
	}
	ck_assert_ptr_null(hark_handler_reactor(&stranger->handler));
	ck_assert_ptr_eq(hark_handler_reactor(&native->handler), r);
	turns_until(r, &letters, 1);
	actor_feed(native, 1);
	turns_until(r, &native->recvs, 2);
	actor_free(native);
	actor_free(stranger);
	hark_reactor_free(r);
}
END_TEST

/* Between turns any one thread may own it. */

static void *use_and_free(void *with)
{
	struct actor *a = with;
	struct hark_reactor *r = hark_handler_reactor(&a->handler);
	int callbacks;

	while (a->recvs == 1)
		if (hark_reactor_turn(r, -1) < 0)
			return with;
	hark_handler_remove(&a->handler);
	if (hark_handler_add(r, &a->handler) != 0)
		return with;
	callbacks = hark_reactor_turn(r, 0);
	if (callbacks < 0 || callbacks > few(0))
		return with;
	if (stats_of(r).misuses != 0)
		return with;
	actor_free(a);
	hark_reactor_free(r);
	return NULL;
}

START_TEST(ownership_passes_between_turns)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);
	pthread_t thread;
	void *failed;

	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	actor_feed(a, 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, use_and_free, a), 0);
	pthread_join(thread, &failed);
	ck_assert_ptr_null(failed);
}
END_TEST

/* A kernel that refuses to watch a descriptor, when it is told or when it waits. */

static void refuse(int fd, bool late, int error)
{
	faulty.fd = fd;
	faulty.late = late ? error : 0;
	faulty.refuse = late ? 0 : error;
}

START_TEST(refusal_goes_to_handle_error)
{
	struct hark_reactor *r = faulty_reactor();
	struct actor *a = actor_make(), *other = actor_new(r);

	refuse(a->handler.fd, _i, ENODEV);
	actor_feed(a, 1);
	actor_feed(other, 2);
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	turns_until(r, &a->errors, 1);
	ck_assert_int_eq(a->error, ENODEV);
	ck_assert_uint_eq(a->calls, 1);
	ck_assert_ptr_null(hark_handler_reactor(&a->handler));
	ck_assert_uint_eq(stats_of(r).handlers, 1);
	turns_until(r, &other->recvs, 2);
	quiet(r, 20);
	ck_assert_uint_eq(a->calls, 1);

	/* Once the kernel has changed its mind, it is as any other. */
	refuse(-1, false, 0);
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	turns_until(r, &a->recvs, 1);
	actor_free(a);
	actor_free(other);
	hark_reactor_free(r);
}
END_TEST

static void readd(struct actor *a)
{
	refuse(-1, false, 0);
	a->act = NULL;
	ck_assert_ptr_null(hark_handler_reactor(&a->handler));
	ck_assert_int_eq(hark_handler_add(inner, &a->handler), 0);
}

START_TEST(handler_freed_or_added_again_in_handle_error)
{
	exact(EXACT_CALLS);
	struct actor *a = actor_make(), *b = actor_make();

	inner = faulty_reactor();
	a->act = actor_free;
	refuse(a->handler.fd, _i, ENODEV);
	ck_assert_int_eq(hark_handler_add(inner, &a->handler), 0);
	ck_assert_int_eq(hark_reactor_run(inner), 0);
	ck_assert_uint_eq(stats_of(inner).handlers, 0);

	b->act = readd;
	refuse(b->handler.fd, _i, ENODEV);
	ck_assert_int_eq(hark_handler_add(inner, &b->handler), 0);
	actor_feed(b, 1);
	turns_until(inner, &b->recvs, 1);
	ck_assert_uint_eq(b->errors, 1);
	quiet(inner, 20);
	actor_free(b);
	hark_reactor_free(inner);
}
END_TEST

START_TEST(refused_and_removed_before_it_is_told)
{
	struct hark_reactor *r = faulty_reactor();
	struct actor *a = actor_make(), *other = actor_new(r);

	refuse(a->handler.fd, _i, ENODEV);
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	hark_reactor_prepare(r); /* the kernel is told, and refuses */
	actor_free(a);
	quiet(r, 20);
	actor_feed(other, 1);
	turns_until(r, &other->recvs, 1);
	actor_free(other);
	hark_reactor_free(r);
}
END_TEST

static void stop_after_two(struct actor *a)
{
	if (a->recvs == 2)
		hark_reactor_stop(hark_handler_reactor(&a->handler));
}

/* Without handle_error the refusal ends the run; the handler is gone, all else remains. */
START_TEST(refusal_without_handle_error_ends_the_run)
{
	struct hark_reactor *r = faulty_reactor();
	struct actor *a = actor_make(), *others[4];
	bool late = _i & 1, run = _i & 2;

	for (int i = 0; i < 4; i++) {
		others[i] = actor_new(r);
		if (i % 2)
			actor_make_edge(others[i]);
		others[i]->act = stop_after_two;
		actor_feed(others[i], 2);
	}
	a->handler.ops = &actor_frail_ops;
	refuse(a->handler.fd, late, ENODEV);
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);

	int error;
	do
		error = run ? hark_reactor_run(r) : hark_reactor_turn(r, -1);
	while (error >= 0);
	ck_assert_int_eq(error, -ENODEV);
	ck_assert_ptr_null(hark_handler_reactor(&a->handler));
	ck_assert_uint_eq(a->calls, 0);
	ck_assert_uint_eq(stats_of(r).handlers, 4);

	/* No event of the others is lost by it. */
	for (int i = 0; i < 4; i++) {
		others[i]->act = NULL;
		turns_until(r, &others[i]->recvs, 2);
	}
	settle(r, 8);
	quiet(r, 20);
	for (int i = 0; i < 4; i++)
		actor_free(others[i]);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

static struct hark_reactor *to_be_freed;

static void free_it(struct hark_timer *t, uint64_t missed)
{
	(void)t, (void)missed;
	hark_reactor_free(to_be_freed);
}

/* The reactor is freed in the turn that fails: there is nobody left who could have failed. */
START_TEST(reactor_freed_in_the_turn_that_fails)
{
	static const struct hark_timer_ops ops = {.handle_timer = free_it};
	struct hark_timer timer = {.ops = &ops};
	struct actor *a = actor_make();

	to_be_freed = faulty_reactor();
	a->handler.ops = &actor_frail_ops;
	refuse(a->handler.fd, false, ENODEV);
	ck_assert_int_eq(hark_handler_add(to_be_freed, &a->handler), 0);
	hark_timer_start(to_be_freed, &timer, 0);
	ck_assert_int_eq(_i ? hark_reactor_run(to_be_freed) : hark_reactor_turn(to_be_freed, -1),
	                 0);
	ck_assert(!hark_timer_pending(&timer));
	actor_free(a);
}
END_TEST

/* Refused not at first but when its interest changes. */
START_TEST(change_of_interest_that_is_refused)
{
	struct hark_reactor *r = faulty_reactor();
	struct actor *a = actor_new(r), *other = actor_new(r);

	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	settle(r, 8);
	refuse(a->handler.fd, _i, ENOSPC);
	a->send = true;
	hark_handler_refresh(&a->handler);
	turns_until(r, &a->errors, 1);
	ck_assert_int_eq(a->error, ENOSPC);
	ck_assert_ptr_null(hark_handler_reactor(&a->handler));

	/* The kernel no longer watches it either. */
	actor_feed(a, 1);
	quiet(r, 20);
	refuse(-1, false, 0);
	actor_feed(other, 1);
	turns_until(r, &other->recvs, 1);
	ck_assert_uint_eq(a->errors, 1);
	actor_free(a);
	actor_free(other);
	hark_reactor_free(r);
}
END_TEST

/* Always ready, says the kernel: then it is. */
START_TEST(refusal_with_eperm_is_always_ready)
{
	struct hark_reactor *r = faulty_reactor();
	struct actor *a = actor_make(), *other = actor_new(r);

	refuse(a->handler.fd, _i, EPERM);
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	actor_feed(a, 5);
	actor_feed(other, 5);
	for (unsigned turns = 0; turns < 50 || other->recvs < 5; turns++) {
		ck_assert_uint_lt(turns, patience(51));
		ck_assert_int_ge(active_turn(r), 1);
	}
	ck_assert_uint_eq(a->recvs, 5);
	ck_assert_uint_eq(a->errors, 0);
	ck_assert_uint_ge(a->calls, 40); /* most of them found nothing: that is what it said */
	a->recv = false;
	hark_handler_refresh(&a->handler);
	settle(r, 8);
	quiet(r, 20);
	a->send = true;
	hark_handler_refresh(&a->handler);
	turns_until(r, &a->sends, 3);
	actor_free(a);
	settle(r, 8);
	quiet(r, 20);
	actor_free(other);
	hark_reactor_free(r);
}
END_TEST

/* Other failures of a backend. */

START_TEST(wait_that_fails_ends_the_run)
{
	exact(EXACT_TURNS);
	struct hark_reactor *r = faulty_reactor();
	struct actor *a = actor_new(r);
	struct hark_message m;

	actor_feed(a, 2);
	faulty.wait = EIO;
	ck_assert_int_eq(_i ? hark_reactor_run(r) : hark_reactor_turn(r, -1), -EIO);
	ck_assert_uint_eq(a->calls, 0);
	turns_until(r, &a->recvs, 2);

	/* A message that waited meanwhile is still there. */
	hark_message_init(&m, count_letter);
	ck_assert_int_eq(hark_post(r, &m), 0);
	faulty.wait = ENOMEM;
	ck_assert_int_eq(hark_reactor_turn(r, -1), -ENOMEM);
	turns_until(r, &letters, 1);

	/* EINTR is no failure. */
	faulty.wait = EINTR;
	ck_assert_int_eq(hark_reactor_turn(r, -1), 0);
	hark_reactor_stop(r);
	faulty.wait = EINTR;
	ck_assert_int_eq(hark_reactor_run(r), 0);
	faulty.wait = 0;
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

START_TEST(reserve_that_fails_fails_the_add)
{
	struct hark_reactor *r = faulty_reactor();
	struct actor *a = actor_make();

	faulty.reserve = ENOMEM;
	ck_assert_int_eq(hark_handler_add(r, &a->handler), -ENOMEM);
	ck_assert_ptr_null(hark_handler_reactor(&a->handler));
	ck_assert_uint_eq(stats_of(r).handlers, 0);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	faulty.reserve = 0;
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

static unsigned wakes;

static void be_woken(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	(void)r;
	wakes++;
}

static void *post_to(void *with)
{
	static struct hark_message m;

	hark_message_init(&m, be_woken);
	hark_post(with, &m);
	return NULL;
}

/* Without a waker the reactor would sleep through every post, so that it must not sleep; and it is
 * no handler of the program's, that would be counted. */
START_TEST(waker_that_is_refused_is_tried_again)
{
	struct hark_reactor *r = faulty_reactor();
	pthread_t thread;

	faulty.refuse = ENOSPC;
	faulty.fd = FAULTY_ANY;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(hark_reactor_turn(r, HARK_S(60)), -ENOSPC);
		ck_assert_uint_eq(stats_of(r).handlers, 0);
	}
	ck_assert_int_eq(hark_reactor_run(r), 0); /* nothing is left */
	faulty.refuse = 0;
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	quiet(r, 10);
	ck_assert_int_eq(pthread_create(&thread, NULL, post_to, r), 0);
	turns_until(r, &wakes, 1);
	pthread_join(thread, NULL);
	hark_reactor_free(r);
}
END_TEST

/* As a one-shot is with its event, or a multishot that the kernel has ended by itself. */
START_TEST(registration_that_is_used_up_is_armed_again)
{
	struct hark_reactor *r = faulty_reactor();
	struct actor *a = actor_new(r);

	settle(r, 8);
	faulty.fd = a->handler.fd;
	for (unsigned i = 1; i <= 5; i++) {
		faulty.spent = true;
		settle(r, 8);
		ck_assert(!faulty.spent);
		actor_feed(a, 1);
		turns_until(r, &a->recvs, i);
	}
	actor_make_edge(a);
	faulty.spent = true;
	settle(r, 8);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, a->recvs + 1);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

static void never(struct hark_timer *t, uint64_t missed)
{
	(void)t, (void)missed;
	ck_abort_msg("a timer came that was not due");
}

static void *feed_later(void *actor)
{
	usleep(100000);
	actor_feed(actor, 1);
	return NULL;
}

/* Found by a look that precedes a sleep: while a timer is pending, or (_i) while it spins. */
START_TEST(what_is_used_up_is_armed_again_before_the_sleep)
{
	const struct hark_options options = {.backend = chained(FAULTY_NAME),
	                                     .spin_ns = HARK_MS(1)};
	static const struct hark_timer_ops ops = {.handle_timer = never};
	struct hark_reactor *r;
	struct hark_timer timer;
	pthread_t feeder;
	struct actor *a;

	if (_i == 0) {
		r = faulty_reactor();
		hark_timer_init(&timer, &ops);
		hark_timer_start(r, &timer, HARK_S(60));
	} else {
		faulty_register();
		faulty = (struct faulty){.fd = -1};
		ck_assert_int_eq(hark_reactor_new(&r, &options), 0);
	}
	a = actor_new(r);
	actor_make_edge(a);
	settle(r, 8);
	faulty.fd = a->handler.fd;
	faulty.spent = true;
	ck_assert_int_eq(pthread_create(&feeder, NULL, feed_later, a), 0);
	turns_until(r, &a->recvs, a->recvs + 1);
	ck_assert(!faulty.spent);
	pthread_join(feeder, NULL);
	if (_i == 0)
		hark_timer_stop(&timer);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* HARK_DEAD: the kernel object is replaced, when it can be. */
START_TEST(dead_object_is_replaced_as_soon_as_it_can_be)
{
	struct hark_reactor *r = faulty_reactor();
	struct actor *a = actor_new(r);

	settle(r, 8);
	faulty.dead = true;
	faulty.open = EMFILE;
	actor_feed(a, 3);
	turns_until(r, &a->recvs, 1); /* the old one serves on */
	ck_assert(!faulty.dead);
	ck_assert_uint_eq(stats_of(r).rebuilds, 0);
	ck_assert_uint_eq(faulty.opened, 1);
	faulty.open = 0;
	turns_until(r, &a->recvs, 2);
	faulty.dead = true;
	turns_until(r, &a->recvs, 3);
	ck_assert_uint_eq(stats_of(r).rebuilds, 1);
	ck_assert_uint_eq(faulty.opened, 2);
	ck_assert_uint_eq(faulty.closed, 1);
	ck_assert_uint_eq(faulty.forked, 0);
	settle(r, 8);
	quiet(r, 20);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 4);
	actor_free(a);
	hark_reactor_free(r);
	ck_assert_uint_eq(faulty.closed, 2);
}
END_TEST

/* A child is told to let go of its parent's object without touching it. */
static void child_closes(void *with)
{
	struct actor *a = with;
	struct hark_reactor *r = hark_handler_reactor(&a->handler);

	ck_assert_int_eq(hark_reactor_after_fork(r), 0);
	ck_assert_uint_eq(faulty.opened, 2);
	ck_assert_uint_eq(faulty.closed, 1);
	ck_assert_uint_eq(faulty.forked, 1);
	actor_free(a);
	hark_reactor_free(r);
	ck_assert_uint_eq(faulty.closed, 2);
	ck_assert_uint_eq(faulty.forked, 1); /* the second was its own */
}

static void child_only_frees(void *with)
{
	struct actor *a = with;

	hark_reactor_free(hark_handler_reactor(&a->handler));
	ck_assert_uint_eq(faulty.closed, 1);
	ck_assert_uint_eq(faulty.forked, 1);
	actor_free(a);
}

START_TEST(close_in_a_child_is_told_so)
{
	struct hark_reactor *r = faulty_reactor();
	struct actor *a = actor_new(r);

	settle(r, 8);
	in_child(child_closes, a);
	in_child(child_only_frees, a);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	actor_free(a);
	hark_reactor_free(r);
	ck_assert_uint_eq(faulty.closed, 1);
	ck_assert_uint_eq(faulty.forked, 0);
}
END_TEST

/* hark_reactor_new. */

START_TEST(new_with_bad_arguments_answers_einval)
{
	struct hark_reactor *r = (struct hark_reactor *)(void *)&letters, *mark = r;
	struct hark_options options = {.backend = backend, .spin_ns = -1};

	ck_assert_int_eq(hark_reactor_new(NULL, NULL), -EINVAL);
	ck_assert_int_eq(hark_reactor_new(&r, &options), -EINVAL);
	ck_assert_ptr_eq(r, mark);
	options = (struct hark_options){.backend = "no/such name"};
	ck_assert_int_eq(hark_reactor_new(&r, &options), -EINVAL);
	ck_assert_ptr_eq(r, mark);
	options.backend = "nonesuch";
	ck_assert_int_eq(hark_reactor_new(&r, &options), -ENOENT);
	ck_assert_ptr_eq(r, mark);
}
END_TEST

START_TEST(new_on_a_backend_that_does_not_open)
{
	struct hark_reactor *r = NULL;
	char why[200] = "x";
	struct hark_options options = {
		.backend = chained(FAULTY_NAME), .why = why, .why_size = sizeof why};

	hark_reactor_free(faulty_reactor());
	faulty.open = ENOSYS;
	ck_assert_int_eq(hark_reactor_new(&r, &options), -ENOSYS);
	ck_assert_ptr_null(r);
	ck_assert_ptr_nonnull(strstr(why, FAULTY_NAME));
	ck_assert_ptr_nonnull(strstr(why, backend)); /* that one would work */
	ck_assert_ptr_nonnull(strstr(why, strerror(ENOSYS)));
	faulty.open = 0;
	ck_assert_int_eq(hark_reactor_new(&r, &options), 0);
	ck_assert_str_eq(why, "");
	ck_assert_str_eq(hark_reactor_backend(r), chained(FAULTY_NAME));
	hark_reactor_free(r);
}
END_TEST

/* hark_backend_register and hark_backend_at. */

static struct hark_backend copies[16];
static char names[16][24];

START_TEST(register_errors)
{
	struct hark_backend b;
	unsigned built_in = 0;

	while (hark_backend_at(built_in))
		built_in++;
	ck_assert_uint_ge(built_in, 1);
	ck_assert_ptr_null(hark_backend_at(built_in));
	ck_assert_ptr_null(hark_backend_at(UINT_MAX));

	ck_assert_int_eq(hark_backend_register(NULL), -EINVAL);
	b = *hark_backend_at(0);
	ck_assert_int_eq(hark_backend_register(&b), -EEXIST);
	const char *const bad[] = {NULL, "", "a b", "a/b", "a,b", "\xc3\xa4", "a\n"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		b.name = bad[i];
		ck_assert_int_eq(hark_backend_register(&b), -EINVAL);
	}
	for (int i = 0; i < 4; i++) {
		b = *hark_backend_at(0);
		b.name = "lame";
		if (i == 0)
			b.open = NULL;
		if (i == 1)
			b.close = NULL;
		if (i == 2)
			b.modify = NULL;
		if (i == 3)
			b.wait = NULL;
		ck_assert_int_eq(hark_backend_register(&b), -EINVAL);
	}
	ck_assert_ptr_null(hark_backend_at(built_in));

	for (int i = 0; i < 16; i++) {
		snprintf(names[i], sizeof names[i], "Copy_%d-x", i);
		copies[i] = *hark_backend_at(0);
		copies[i].name = names[i];
		ck_assert_int_eq(hark_backend_register(&copies[i]), 0);
		ck_assert_int_eq(hark_backend_register(&copies[i]), -EEXIST);
		ck_assert_ptr_eq(hark_backend_at(built_in + (unsigned)i), &copies[i]);
	}
	b = *hark_backend_at(0);
	b.name = "one-too-many";
	ck_assert_int_eq(hark_backend_register(&b), -ENOSPC);
	ck_assert_ptr_null(hark_backend_at(built_in + 16));
	b.name = names[3];
	ck_assert_int_eq(hark_backend_register(&b), -EEXIST);
}
END_TEST

/* A backend from outside passes for any other: work, edges, messages, stop and fork. */
START_TEST(registered_backend_works)
{
	struct hark_reactor *r = faulty_reactor();
	struct actor *a = actor_new(r);
	struct hark_message m;

	ck_assert_str_eq(hark_reactor_backend(r), chained(FAULTY_NAME));
	actor_make_edge(a);
	actor_feed(a, 3);
	turns_until(r, &a->recvs, 3);
	hark_message_init(&m, count_letter);
	ck_assert_int_eq(hark_post(r, &m), 0);
	turns_until(r, &letters, 1);
	ck_assert_int_eq(hark_reactor_fd(r), -ENOTSUP); /* it has no fd */
	settle(r, 8);
	quiet(r, 20);
	hark_reactor_stop(r);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	actor_free(a);
	hark_reactor_free(r);
	ck_assert_uint_eq(faulty.opened, 1);
	ck_assert_uint_eq(faulty.closed, 1);
}
END_TEST

/* The verbs, on what is not a descriptor. */
START_TEST(verbs_answer_errno)
{
	struct hark_handler h;
	struct msghdr msg = {0};
	char byte = 0;
	socklen_t len = 0;

	hark_handler_init(&h, &actor_ops, -1);
	ck_assert_int_eq(hark_recv(&h, &byte, 1), -EBADF);
	ck_assert_int_eq(hark_send(&h, &byte, 1), -EBADF);
	ck_assert_int_eq(hark_read(&h, &byte, 1), -EBADF);
	ck_assert_int_eq(hark_write(&h, &byte, 1), -EBADF);
	ck_assert_int_eq(hark_recvmsg(&h, &msg, 0), -EBADF);
	ck_assert_int_eq(hark_sendmsg(&h, &msg, 0), -EBADF);
	ck_assert_int_eq(hark_recvfrom(&h, &byte, 1, 0, NULL, NULL), -EBADF);
	ck_assert_int_eq(hark_sendto(&h, &byte, 1, 0, NULL, len), -EBADF);
	ck_assert_int_eq(hark_accept(&h, NULL, NULL), -EBADF);
}
END_TEST

TCase *case_errors(void)
{
	TCase *tc = tcase_create("errors");

	tcase_add_test(tc, add_of_what_is_added_answers_eexist);
	tcase_add_test(tc, add_of_no_descriptor_answers_ebadf);
	tcase_add_test(tc, add_of_what_makes_no_sense_answers_einval);
	tcase_add_test(tc, add_that_failed_can_be_repeated);
	tcase_add_test(tc, run_and_turn_in_a_callback_answer_ebusy);
	tcase_add_test(tc, turn_of_another_reactor_in_a_callback);
	tcase_add_test(tc, calls_by_a_thread_that_is_not_the_owner);
	tcase_add_test(tc, ownership_passes_between_turns);
	tcase_add_loop_test(tc, refusal_goes_to_handle_error, 0, 2);
	tcase_add_loop_test(tc, handler_freed_or_added_again_in_handle_error, 0, 2);
	tcase_add_loop_test(tc, refused_and_removed_before_it_is_told, 0, 2);
	tcase_add_loop_test(tc, refusal_without_handle_error_ends_the_run, 0, 4);
	tcase_add_loop_test(tc, reactor_freed_in_the_turn_that_fails, 0, 2);
	tcase_add_loop_test(tc, change_of_interest_that_is_refused, 0, 2);
	tcase_add_loop_test(tc, refusal_with_eperm_is_always_ready, 0, 2);
	tcase_add_loop_test(tc, wait_that_fails_ends_the_run, 0, 2);
	tcase_add_test(tc, reserve_that_fails_fails_the_add);
	tcase_add_test(tc, waker_that_is_refused_is_tried_again);
	tcase_add_test(tc, registration_that_is_used_up_is_armed_again);
	tcase_add_loop_test(tc, what_is_used_up_is_armed_again_before_the_sleep, 0, 2);
	tcase_add_test(tc, dead_object_is_replaced_as_soon_as_it_can_be);
	tcase_add_test(tc, close_in_a_child_is_told_so);
	tcase_add_test(tc, new_with_bad_arguments_answers_einval);
	tcase_add_test(tc, new_on_a_backend_that_does_not_open);
	tcase_add_test(tc, register_errors);
	tcase_add_test(tc, registered_backend_works);
	tcase_add_test(tc, verbs_answer_errno);
	return tc;
}
