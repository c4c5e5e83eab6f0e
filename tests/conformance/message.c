/* message.c - hark_post and hark_message_withdraw.
 *
 * A wake-up that is lost shows as a reactor that sleeps on a message: a test that does not end,
 * which Check's time limit ends. */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static unsigned handled;

static void count_message(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	ck_assert_ptr_nonnull(r);
	handled++;
}

/* Four threads, and the order of each. */

#define PRODUCERS 4
#define EACH 100000

struct numbered {
	struct hark_message message; /* first */
	unsigned producer, number;
};

static struct numbered *flood[PRODUCERS];
static unsigned next_number[PRODUCERS];
static struct hark_reactor *target;

static void handle_numbered(struct hark_message *m, struct hark_reactor *r)
{
	struct numbered *n = (struct numbered *)(void *)m;

	ck_assert_ptr_eq(r, target);
	ck_assert_uint_eq(n->number, next_number[n->producer]);
	next_number[n->producer]++;
	handled++;
	if (handled == PRODUCERS * EACH)
		hark_reactor_stop(r);
}

static void *produce(void *with)
{
	struct numbered *own = with;

	for (unsigned i = 0; i < EACH; i++)
		if (hark_post(target, &own[i].message))
			abort();
	return NULL;
}

/* Beside an actor that has work of its own, and with and without a spin before sleeping. */
START_TEST(four_threads_post_and_none_is_lost_or_out_of_order)
{
	struct hark_options options = {.spin_ns = _i ? HARK_US(20) : 0};
	pthread_t threads[PRODUCERS];
	struct actor *a;

	target = new_reactor(&options);
	a = actor_new(target);
	actor_feed(a, 100);
	for (unsigned p = 0; p < PRODUCERS; p++) {
		flood[p] = calloc(EACH, sizeof **flood);
		ck_assert_ptr_nonnull(flood[p]);
		for (unsigned i = 0; i < EACH; i++) {
			hark_message_init(&flood[p][i].message, handle_numbered);
			flood[p][i].producer = p;
			flood[p][i].number = i;
		}
	}
	for (unsigned p = 0; p < PRODUCERS; p++)
		ck_assert_int_eq(pthread_create(&threads[p], NULL, produce, flood[p]), 0);
	ck_assert_int_eq(hark_reactor_run(target), 0);
	for (unsigned p = 0; p < PRODUCERS; p++) {
		pthread_join(threads[p], NULL);
		ck_assert_uint_eq(next_number[p], EACH);
		free(flood[p]);
	}
	ck_assert_uint_eq(handled, PRODUCERS * EACH);
	ck_assert_uint_eq(stats_of(target).messages, PRODUCERS * EACH);
	settle(target, 200);
	ck_assert_uint_eq(a->recvs, 100);
	actor_free(a);
	hark_reactor_free(target);
}
END_TEST

/* Wake-ups, at a rate at which the reactor falls asleep between any two messages. */

#define SLOW_PRODUCERS 3
#define SLOW_EACH 6000

static unsigned acknowledged[SLOW_PRODUCERS]; /* atomic */
static unsigned finished;

static void acknowledge(struct hark_message *m, struct hark_reactor *r)
{
	struct numbered *n = (struct numbered *)(void *)m;
	unsigned number = n->number; /* the producer changes it next */

	__atomic_store_n(&acknowledged[n->producer], number, __ATOMIC_RELEASE);
	if (number == SLOW_EACH && ++finished == SLOW_PRODUCERS)
		hark_reactor_stop(r);
}

/* Posts, waits until that was handled, lets the reactor go to sleep or nearly so, posts again. */
static void *produce_slowly(void *with)
{
	struct numbered *n = with;
	unsigned seed = n->producer + 1;

	hark_message_init(&n->message, acknowledge);
	for (n->number = 1; n->number <= SLOW_EACH;) {
		if (hark_post(target, &n->message))
			abort();
		while (__atomic_load_n(&acknowledged[n->producer], __ATOMIC_ACQUIRE) < n->number)
			sched_yield();
		if (n->number++ == SLOW_EACH)
			break;
		seed = seed * 1103515245 + 12345;
		for (volatile unsigned i = (seed >> 16) % 2000; i > 0; i--)
			;
		if ((seed >> 16) % 64 == 0)
			nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	}
	return NULL;
}

START_TEST(no_wake_up_is_lost)
{
	struct hark_options options = {.spin_ns = _i ? HARK_US(2) : 0};
	struct numbered messages[SLOW_PRODUCERS];
	pthread_t threads[SLOW_PRODUCERS];
	struct actor *a;

	target = new_reactor(&options);
	a = actor_new(target);
	memset(messages, 0, sizeof messages);
	for (unsigned p = 0; p < SLOW_PRODUCERS; p++) {
		messages[p].producer = p;
		ck_assert_int_eq(pthread_create(&threads[p], NULL, produce_slowly, &messages[p]),
		                 0);
	}
	ck_assert_int_eq(hark_reactor_run(target), 0);
	for (unsigned p = 0; p < SLOW_PRODUCERS; p++) {
		pthread_join(threads[p], NULL);
		ck_assert_uint_eq(acknowledged[p], SLOW_EACH);
	}
	ck_assert_uint_eq(stats_of(target).messages, SLOW_PRODUCERS * SLOW_EACH);
	actor_free(a);
	hark_reactor_free(target);
}
END_TEST

static void *post_later(void *with)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	if (hark_post(target, with))
		abort();
	return NULL;
}

START_TEST(post_wakes_a_turn_that_sleeps)
{
	struct hark_message m;
	pthread_t thread;

	target = new_reactor(NULL);
	hark_message_init(&m, count_message);
	for (unsigned i = 1; i <= 3; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, post_later, &m), 0);
		ck_assert_int_eq(active_turn(target), 1);
		ck_assert_uint_eq(handled, i);
		pthread_join(thread, NULL);
	}
	quiet(target, 20);
	hark_reactor_free(target);
}
END_TEST

static void *post_many(void *with)
{
	struct hark_message *m = with;

	for (int i = 0; i < 1000; i++)
		if (hark_post(target, &m[i]))
			abort();
	return NULL;
}

/* A reactor that does not sleep needs no wake. */
START_TEST(wakes_are_elided_while_the_reactor_is_awake)
{
	struct hark_message *m = calloc(1000, sizeof *m);
	pthread_t thread;

	ck_assert_ptr_nonnull(m);
	target = new_reactor(NULL);
	for (int i = 0; i < 1000; i++)
		hark_message_init(&m[i], count_message);
	ck_assert_int_eq(pthread_create(&thread, NULL, post_many, m), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(hark_reactor_run(target), 0);
	ck_assert_uint_eq(handled, 1000);
	ck_assert_uint_le(stats_of(target).wakes, (unsigned)few(1));
	post_many(m);
	ck_assert_int_eq(hark_reactor_run(target), 0);
	ck_assert_uint_eq(handled, 2000);
	ck_assert_uint_le(stats_of(target).wakes, (unsigned)few(1));
	free(m);
	hark_reactor_free(target);
}
END_TEST

/* Errors, and a message's life. */

START_TEST(post_of_what_is_queued_answers_ealready)
{
	struct hark_reactor *r = new_reactor(NULL), *other = new_reactor(NULL);
	struct hark_message m;

	memset(&m, 0xff, sizeof m); /* init needs no zeroes */
	hark_message_init(&m, count_message);
	ck_assert_int_eq(hark_post(r, &m), 0);
	ck_assert_int_eq(hark_post(r, &m), -EALREADY);
	ck_assert_int_eq(hark_post(other, &m), -EALREADY);
	ck_assert_int_eq(hark_reactor_turn(other, 0), 0);
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_uint_eq(handled, 1);
	ck_assert_int_eq(hark_post(other, &m), 0);
	ck_assert_int_eq(hark_post(r, &m), -EALREADY);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	ck_assert_int_eq(active_turn(other), 1);
	ck_assert_uint_eq(handled, 2);
	hark_reactor_free(r);
	hark_reactor_free(other);
}
END_TEST

START_TEST(post_of_nothing_answers_einval)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_message m;

	hark_message_init(&m, NULL);
	ck_assert_int_eq(hark_post(r, &m), -EINVAL);
	ck_assert_int_eq(hark_post(r, NULL), -EINVAL);
	hark_message_init(&m, count_message);
	ck_assert_int_eq(hark_post(NULL, &m), -EINVAL);

	/* None of these left it queued. */
	ck_assert_int_eq(hark_post(r, &m), 0);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(handled, 1);
	hark_reactor_free(r);
}
END_TEST

START_TEST(queued_message_keeps_the_run_going)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_message m[10];

	for (int i = 0; i < 10; i++) {
		hark_message_init(&m[i], count_message);
		ck_assert_int_eq(hark_post(r, &m[i]), 0);
	}
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(handled, 10);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(handled, 10);
	hark_reactor_free(r);
}
END_TEST

static void free_message(struct hark_message *m, struct hark_reactor *r)
{
	(void)r;
	handled++;
	bury(m, sizeof *m);
}

START_TEST(message_freed_in_its_own_callback)
{
	struct hark_reactor *r = new_reactor(NULL);

	for (int i = 0; i < 100; i++) {
		struct hark_message *m = malloc(sizeof *m);

		ck_assert_ptr_nonnull(m);
		hark_message_init(m, free_message);
		ck_assert_int_eq(hark_post(r, m), 0);
	}
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(handled, 100);
	hark_reactor_free(r);
}
END_TEST

static void post_again(struct hark_message *m, struct hark_reactor *r)
{
	handled++;
	ck_assert_int_eq(hark_post(r, m), 0);
	ck_assert_int_eq(hark_post(r, m), -EALREADY);
}

/* It waits for the next turn, does not hold up a turn that may wait, and starves no handler. */
START_TEST(posted_again_in_its_own_callback_it_runs_in_the_next_turn)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);
	struct hark_message m;

	hark_message_init(&m, post_again);
	ck_assert_int_eq(hark_post(r, &m), 0);
	for (unsigned i = 1; i <= 10; i++) {
		ck_assert_int_eq(hark_reactor_turn(r, i % 2 ? -1 : 0), 1);
		ck_assert_uint_eq(handled, i);
	}
	actor_feed(a, 5);
	for (unsigned turns = 0; a->recvs < 5; turns++) {
		ck_assert_uint_lt(turns, patience(20));
		ck_assert_int_ge(hark_reactor_turn(r, -1), 1);
	}
	ck_assert(hark_message_withdraw(r, &m));
	settle(r, 8);
	quiet(r, 20);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

static struct hark_message *latecomer;

static void post_latecomer(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	ck_assert_int_eq(hark_post(r, latecomer), 0);
}

START_TEST(what_messages_post_runs_in_the_next_turn)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_message first, second;

	hark_message_init(&first, post_latecomer);
	hark_message_init(&second, count_message);
	latecomer = &second;
	ck_assert_int_eq(hark_post(r, &first), 0);
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_uint_eq(handled, 0);
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_uint_eq(handled, 1);
	hark_reactor_free(r);
}
END_TEST

static void post_from_handler(struct actor *a)
{
	if (latecomer)
		ck_assert_int_eq(hark_post(hark_handler_reactor(&a->handler), latecomer), 0);
	latecomer = NULL;
}

START_TEST(posted_in_a_handlers_callback)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);
	struct hark_message m;
	uint64_t wakes;

	/* The first post of all may wake it needlessly. */
	hark_message_init(&m, count_message);
	ck_assert_int_eq(hark_post(r, &m), 0);
	turns_until(r, &handled, 1);
	settle(r, 10);
	wakes = stats_of(r).wakes;

	latecomer = &m;
	a->act = post_from_handler;
	actor_feed(a, 1);
	turns_until(r, &handled, 2);
	ck_assert_uint_eq(a->recvs, 1);
	ck_assert_uint_eq(stats_of(r).wakes, wakes); /* it was awake */
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* Withdrawing. */

START_TEST(withdraw_of_what_is_queued)
{
	struct hark_reactor *r = new_reactor(NULL), *other = new_reactor(NULL);
	struct hark_message *m = malloc(sizeof *m), never;

	ck_assert_ptr_nonnull(m);
	hark_message_init(&never, count_message);
	ck_assert(!hark_message_withdraw(r, &never));
	hark_message_init(m, count_message);
	ck_assert_int_eq(hark_post(r, m), 0);
	ck_assert(!hark_message_withdraw(other, m)); /* it stays where it is */
	ck_assert_int_eq(hark_post(r, m), -EALREADY);
	ck_assert(hark_message_withdraw(r, m));
	ck_assert(!hark_message_withdraw(r, m));
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	ck_assert_int_eq(hark_post(other, m), 0);
	ck_assert(hark_message_withdraw(other, m));
	ck_assert_int_eq(hark_post(r, m), 0);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(handled, 1);
	ck_assert(!hark_message_withdraw(r, m));

	/* Hark holds no pointer to what was withdrawn. */
	ck_assert_int_eq(hark_post(r, m), 0);
	ck_assert(hark_message_withdraw(r, m));
	bury(m, sizeof *m);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	hark_reactor_free(r);
	hark_reactor_free(other);
}
END_TEST

/* Those that a reactor has taken out of its inbox are as much its own. */
START_TEST(withdraw_by_another_reactor_does_nothing)
{
	struct hark_reactor *r = new_reactor(NULL), *other = new_reactor(NULL);
	struct hark_message m[3];

	for (int i = 0; i < 3; i++) {
		hark_message_init(&m[i], count_message);
		ck_assert_int_eq(hark_post(r, &m[i]), 0);
	}
	ck_assert(hark_message_withdraw(r, &m[0])); /* looks through the inbox */
	ck_assert(!hark_message_withdraw(other, &m[1]));
	ck_assert_int_eq(hark_post(other, &m[1]), -EALREADY);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(handled, 2);
	hark_reactor_free(r);
	hark_reactor_free(other);
}
END_TEST

static unsigned order[8], order_count;

static void note_order(struct hark_message *m, struct hark_reactor *r)
{
	(void)r;
	order[order_count++] = ((struct numbered *)(void *)m)->number;
}

START_TEST(withdraw_keeps_the_order_of_the_rest)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct numbered n[6];

	for (unsigned i = 0; i < 6; i++) {
		hark_message_init(&n[i].message, note_order);
		n[i].number = i;
		ck_assert_int_eq(hark_post(r, &n[i].message), 0);
		if (i == 3)
			ck_assert(hark_message_withdraw(r, &n[1].message));
	}
	ck_assert(hark_message_withdraw(r, &n[0].message));
	ck_assert(hark_message_withdraw(r, &n[5].message));
	ck_assert_int_eq(hark_post(r, &n[0].message), 0);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(order_count, 4);
	ck_assert(order[0] == 2 && order[1] == 3 && order[2] == 4 && order[3] == 0);
	hark_reactor_free(r);
}
END_TEST

static struct numbered pair[2];
static bool answers[4];

static void withdraw_the_other(struct hark_message *m, struct hark_reactor *r)
{
	struct hark_message *other = &pair[m == &pair[0].message].message;

	handled++;
	answers[0] = hark_message_withdraw(r, m); /* itself: no longer queued */
	answers[1] = hark_message_withdraw(r, other);
	ck_assert_int_eq(hark_post(r, m), 0);
	answers[2] = hark_message_withdraw(r, m);
	memset(other, 0x5a, sizeof *other); /* nobody looks at it again */
}

START_TEST(withdraw_inside_callbacks)
{
	struct hark_reactor *r = new_reactor(NULL);

	for (int i = 0; i < 2; i++) {
		hark_message_init(&pair[i].message, withdraw_the_other);
		ck_assert_int_eq(hark_post(r, &pair[i].message), 0);
	}
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(handled, 1);
	ck_assert(!answers[0] && answers[1] && answers[2]);
	hark_reactor_free(r);
}
END_TEST

static void withdraw_latecomer(struct actor *a)
{
	if (latecomer)
		answers[3] = hark_message_withdraw(hark_handler_reactor(&a->handler), latecomer);
	latecomer = NULL;
}

static struct hark_message *prey;

static void feed_and_post(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	latecomer = prey;
	ck_assert_int_eq(hark_post(r, prey), 0);
}

/* Posted in a message, withdrawn by a handler, in one turn or two. */
START_TEST(withdraw_in_a_handlers_callback)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);
	struct hark_message poster, m;

	hark_message_init(&poster, feed_and_post);
	hark_message_init(&m, count_message);
	prey = &m;
	a->act = withdraw_latecomer;
	actor_feed(a, 1);
	settle(r, 8); /* registered */
	actor_feed(a, 1);
	ck_assert_int_eq(hark_post(r, &poster), 0);
	settle(r, 8);
	ck_assert_uint_eq(handled + (answers[3] ? 1 : 0), 1);
	quiet(r, 20);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* The reactor's end. */

START_TEST(reactor_free_detaches_queued_messages)
{
	struct hark_reactor *r = new_reactor(NULL), *other = new_reactor(NULL);
	struct hark_message m[3];

	for (int i = 0; i < 3; i++) {
		hark_message_init(&m[i], count_message);
		ck_assert_int_eq(hark_post(r, &m[i]), 0);
	}
	ck_assert(hark_message_withdraw(r, &m[1])); /* takes the others out of the inbox */
	ck_assert_int_eq(hark_post(r, &m[1]), 0);
	hark_reactor_free(r);
	for (int i = 0; i < 3; i++) {
		ck_assert(!hark_message_withdraw(other, &m[i]));
		ck_assert_int_eq(hark_post(other, &m[i]), 0);
	}
	ck_assert_int_eq(hark_reactor_run(other), 0);
	ck_assert_uint_eq(handled, 3);
	hark_reactor_free(other);
}
END_TEST

static void free_reactor(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	handled++;
	hark_reactor_free(r);
}

START_TEST(reactor_freed_in_a_message_detaches_those_behind_it)
{
	struct hark_reactor *r = new_reactor(NULL), *other = new_reactor(NULL);
	struct hark_message m[3];

	for (int i = 0; i < 3; i++) {
		hark_message_init(&m[i], free_reactor);
		ck_assert_int_eq(hark_post(r, &m[i]), 0);
	}
	ck_assert_int_eq(_i ? hark_reactor_run(r) : hark_reactor_turn(r, -1), 0);
	ck_assert_uint_eq(handled, 1);
	for (int i = 0; i < 3; i++) {
		hark_message_init(&m[i], count_message);
		ck_assert_int_eq(hark_post(other, &m[i]), 0);
	}
	ck_assert_int_eq(hark_reactor_run(other), 0);
	ck_assert_uint_eq(handled, 4);
	hark_reactor_free(other);
}
END_TEST

/* Two reactors, each in its thread, send each other messages. */

#define VOLLEYS 20000

struct player {
	struct hark_reactor *r;
	struct actor *a;
	unsigned hits;
};

static struct player players[2];
static struct hark_message ball;

static void hit(struct hark_message *m, struct hark_reactor *r)
{
	struct player *own = &players[r == players[1].r];
	struct player *other = &players[r == players[0].r];

	own->hits++;
	if (own->hits % 100 == 0)
		actor_feed(own->a, 1);
	if (own->hits >= VOLLEYS) {
		hark_reactor_stop(r);
		if (other->hits >= VOLLEYS)
			return;
	}
	if (hark_post(other->r, m))
		abort();
}

static void *play(void *with)
{
	struct player *p = with;

	if (hark_reactor_run(p->r))
		abort();
	return NULL;
}

START_TEST(two_reactors_in_two_threads)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++) {
		players[i].r = new_reactor(NULL);
		players[i].a = actor_new(players[i].r);
	}
	hark_message_init(&ball, hit);
	ck_assert_int_eq(hark_post(players[0].r, &ball), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, play, &players[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(players[i].hits, VOLLEYS);
		settle(players[i].r, VOLLEYS);
		ck_assert_uint_eq(players[i].a->recvs, VOLLEYS / 100);
		actor_free(players[i].a);
		hark_reactor_free(players[i].r);
	}
}
END_TEST

/* One message, two threads that would post it: it is queued once at a time and runs as often as
 * a post was accepted. */

static unsigned accepted; /* atomic */

static void *post_the_same(void *with)
{
	for (int i = 0; i < 50000; i++) {
		int error = hark_post(target, with);

		if (error == 0)
			__atomic_fetch_add(&accepted, 1, __ATOMIC_RELAXED);
		else if (error != -EALREADY)
			abort();
	}
	return NULL;
}

static unsigned joined; /* atomic */

static void *post_until_done(void *with)
{
	post_the_same(with);
	if (__atomic_add_fetch(&joined, 1, __ATOMIC_ACQ_REL) == 2)
		hark_reactor_stop(target);
	return NULL;
}

START_TEST(one_message_posted_by_two_threads)
{
	struct hark_message m;
	pthread_t threads[2];
	struct actor *a;

	target = new_reactor(NULL);
	a = actor_new(target); /* keeps the run going */
	hark_message_init(&m, count_message);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, post_until_done, &m), 0);
	ck_assert_int_eq(hark_reactor_run(target), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	settle(target, 8);
	ck_assert_uint_eq(handled, accepted);
	ck_assert_uint_ge(handled, 1);
	actor_free(a);
	hark_reactor_free(target);
}
END_TEST

TCase *case_message(void)
{
	TCase *tc = tcase_create("message");

	if (long_tests)
		tcase_add_loop_test(tc, four_threads_post_and_none_is_lost_or_out_of_order, 0, 2);
	if (long_tests)
		tcase_add_loop_test(tc, no_wake_up_is_lost, 0, 2);
	tcase_add_test(tc, post_wakes_a_turn_that_sleeps);
	tcase_add_test(tc, wakes_are_elided_while_the_reactor_is_awake);
	tcase_add_test(tc, post_of_what_is_queued_answers_ealready);
	tcase_add_test(tc, post_of_nothing_answers_einval);
	tcase_add_test(tc, queued_message_keeps_the_run_going);
	tcase_add_test(tc, message_freed_in_its_own_callback);
	tcase_add_test(tc, posted_again_in_its_own_callback_it_runs_in_the_next_turn);
	tcase_add_test(tc, what_messages_post_runs_in_the_next_turn);
	tcase_add_test(tc, posted_in_a_handlers_callback);
	tcase_add_test(tc, withdraw_of_what_is_queued);
	tcase_add_test(tc, withdraw_by_another_reactor_does_nothing);
	tcase_add_test(tc, withdraw_keeps_the_order_of_the_rest);
	tcase_add_test(tc, withdraw_inside_callbacks);
	tcase_add_test(tc, withdraw_in_a_handlers_callback);
	tcase_add_test(tc, reactor_free_detaches_queued_messages);
	tcase_add_loop_test(tc, reactor_freed_in_a_message_detaches_those_behind_it, 0, 2);
	tcase_add_test(tc, two_reactors_in_two_threads);
	tcase_add_test(tc, one_message_posted_by_two_threads);
	return tc;
}
