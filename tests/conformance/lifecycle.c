/* lifecycle.c - handlers that end, or end others, inside callbacks: their own, others', anybody's.
 *
 * The promise under test: when hark_handler_remove returns, hark holds no pointer to the handler.
 * Which of several ready handlers is called first is the backend's business, so where one ends
 * others the tests give all of them the same orders. */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CROWD 8

static struct actor *crowd[CROWD];
static const struct hark_handler_ops *crowd_ops = &actor_ops;
static unsigned crowd_calls;

/* A crowd of actors, each with something to receive and room to send, all ready in one batch. */
static void gather(struct hark_reactor *r, void (*act)(struct actor *a))
{
	crowd_calls = 0;
	for (int i = 0; i < CROWD; i++) {
		crowd[i] = actor_make();
		crowd[i]->handler.ops = crowd_ops;
		crowd[i]->act = act;
		ck_assert_int_eq(hark_handler_add(r, &crowd[i]->handler), 0);
		actor_feed(crowd[i], 1);
	}
}

static int rank(const struct actor *a)
{
	for (int i = 0; i < CROWD; i++)
		if (crowd[i] == a)
			return i;
	ck_abort_msg("a callback of an actor that is gone");
	return -1;
}

static void disperse(void)
{
	for (int i = 0; i < CROWD; i++)
		if (crowd[i]) {
			actor_free(crowd[i]);
			crowd[i] = NULL;
		}
}

/* A callback that ends its own handler. */

START_TEST(handler_freed_in_its_own_handle_recv)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	/* Both directions are ready: the second must find nobody. */
	a->send = true;
	hark_handler_refresh(&a->handler);
	actor_feed(a, 2);
	a->act = actor_free;
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_uint_eq(stats_of(r).handlers, 0);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	hark_reactor_free(r);
}
END_TEST

START_TEST(handler_freed_in_its_own_handle_send)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_make();

	a->recv = false;
	a->send = true;
	a->act = actor_free;
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(stats_of(r).callbacks, 1);
	hark_reactor_free(r);
}
END_TEST

START_TEST(handler_freed_in_its_own_handle_ready)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_make();

	a->handler.ops = &actor_ready_ops;
	a->send = true;
	a->act = actor_free;
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	actor_feed(a, 1);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(stats_of(r).callbacks, 1);
	hark_reactor_free(r);
}
END_TEST

START_TEST(handler_on_edges_freed_in_its_own_callback)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	actor_make_edge(a);
	a->send = true;
	hark_handler_refresh(&a->handler);
	actor_feed(a, 1);
	a->act = actor_free;
	ck_assert_int_eq(hark_reactor_run(r), 0);
	hark_reactor_free(r);
}
END_TEST

/* Callbacks that end others of the same batch. */

static void free_all_others(struct actor *a)
{
	crowd_calls++;
	for (int i = 0; i < CROWD; i++)
		if (crowd[i] && crowd[i] != a) {
			actor_free(crowd[i]);
			crowd[i] = NULL;
		}
}

START_TEST(others_ready_in_the_same_batch_are_freed)
{
	struct hark_reactor *r = new_reactor(NULL);

	if (_i)
		crowd_ops = &actor_ready_ops;
	gather(r, free_all_others);
	turns_until(r, &crowd_calls, 1);
	settle(r, 8);
	ck_assert_uint_le(crowd_calls, (unsigned)few(1));
	ck_assert_uint_eq(stats_of(r).handlers, 1);
	disperse();
	hark_reactor_free(r);
}
END_TEST

static void free_next(struct actor *a)
{
	int next = (rank(a) + 1) % CROWD;

	crowd_calls++;
	if (crowd[next]) {
		actor_free(crowd[next]);
		crowd[next] = NULL;
	}
}

START_TEST(neighbour_ready_in_the_same_batch_is_freed)
{
	exact(EXACT_CALLS | EXACT_TURNS | EXACT_ORDER | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	unsigned left = 0;

	gather(r, free_next);
	settle(r, 64);
	for (int i = 0; i < CROWD; i++)
		if (crowd[i]) {
			ck_assert_uint_eq(crowd[i]->recvs, 1);
			left++;
		}

	/* Each that was called ended another, and nobody who had ended was called. */
	ck_assert_uint_ge(left, 1);
	ck_assert_uint_eq(crowd_calls, left);
	ck_assert_uint_eq(stats_of(r).handlers, left);
	disperse();
	hark_reactor_free(r);
}
END_TEST

static void free_all(struct actor *a)
{
	(void)a;
	crowd_calls++;
	disperse();
}

START_TEST(all_freed_in_a_callback)
{
	struct hark_reactor *r = new_reactor(NULL);

	gather(r, free_all);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(crowd_calls, 1);
	ck_assert_uint_eq(stats_of(r).handlers, 0);
	hark_reactor_free(r);
}
END_TEST

static void remove_all_others(struct actor *a)
{
	crowd_calls++;
	for (int i = 0; i < CROWD; i++)
		if (crowd[i] != a)
			hark_handler_remove(&crowd[i]->handler);
}

START_TEST(removed_in_the_same_batch_and_added_later_is_called_then)
{
	struct hark_reactor *r = new_reactor(NULL);

	gather(r, remove_all_others);
	turns_until(r, &crowd_calls, 1);
	settle(r, 8);
	ck_assert_uint_le(crowd_calls, (unsigned)few(1));
	ck_assert_uint_eq(stats_of(r).handlers, 1);
	for (int i = 0; i < CROWD; i++) {
		crowd[i]->act = NULL;
		if (!hark_handler_reactor(&crowd[i]->handler))
			ck_assert_int_eq(hark_handler_add(r, &crowd[i]->handler), 0);
	}
	settle(r, 64);
	for (int i = 0; i < CROWD; i++)
		ck_assert_uint_eq(crowd[i]->recvs, 1);
	disperse();
	hark_reactor_free(r);
}
END_TEST

static void readd_all(struct actor *a)
{
	struct hark_reactor *r = hark_handler_reactor(&a->handler);

	crowd_calls++;
	for (int i = 0; i < CROWD; i++) {
		hark_handler_remove(&crowd[i]->handler);
		ck_assert_int_eq(hark_handler_add(r, &crowd[i]->handler), 0);
	}
}

START_TEST(all_removed_and_added_again_in_each_callback)
{
	struct hark_reactor *r = new_reactor(NULL);

	gather(r, readd_all);
	turns_until(r, &crowd_calls, CROWD);
	settle(r, 64);
	for (int i = 0; i < CROWD; i++)
		ck_assert_uint_eq(crowd[i]->recvs, 1);
	ck_assert_uint_eq(stats_of(r).handlers, CROWD);
	quiet(r, 20);
	disperse();
	hark_reactor_free(r);
}
END_TEST

/* The reactor freed in a callback. */

static void free_reactor(struct actor *a)
{
	crowd_calls++;
	hark_reactor_free(hark_handler_reactor(&a->handler));
	for (int i = 0; i < CROWD; i++)
		ck_assert_ptr_null(hark_handler_reactor(&crowd[i]->handler));
}

static void free_reactor_and_all(struct actor *a)
{
	crowd_calls++;
	hark_reactor_free(hark_handler_reactor(&a->handler));
	disperse();
}

static void free_all_and_reactor(struct actor *a)
{
	struct hark_reactor *r = hark_handler_reactor(&a->handler);

	crowd_calls++;
	disperse();
	hark_reactor_free(r);
}

START_TEST(reactor_freed_in_a_callback)
{
	exact(EXACT_TURNS);
	void (*const acts[])(struct actor *) = {free_reactor, free_reactor_and_all,
	                                        free_all_and_reactor};
	struct hark_reactor *r = new_reactor(NULL);

	gather(r, acts[_i % 3]);
	ck_assert_int_eq(_i < 3 ? hark_reactor_run(r) : hark_reactor_turn(r, -1), 0);
	ck_assert_uint_eq(crowd_calls, 1);
	disperse(); /* removes what is detached: nothing happens */
}
END_TEST

static unsigned messages;

static void message_frees_reactor(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	messages++;
	hark_reactor_free(r);
}

START_TEST(reactor_freed_in_a_message)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_message m[3];

	gather(r, NULL);
	for (int i = 0; i < 3; i++) {
		hark_message_init(&m[i], message_frees_reactor);
		ck_assert_int_eq(hark_post(r, &m[i]), 0);
	}
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(messages, 1);
	disperse();
}
END_TEST

START_TEST(reactor_freed_with_changes_and_readiness_pending)
{
	struct hark_reactor *r = new_reactor(NULL), *other;

	gather(r, NULL);
	hark_reactor_turn(r, 0);
	for (int i = 0; i < CROWD; i++) {
		actor_feed(crowd[i], 1);
		crowd[i]->send = true;
		hark_handler_refresh(&crowd[i]->handler);
	}
	hark_reactor_free(r);

	/* The handlers outlive it, and are as new. */
	other = new_reactor(NULL);
	for (int i = 0; i < CROWD; i++) {
		ck_assert_ptr_null(hark_handler_reactor(&crowd[i]->handler));
		hark_handler_refresh(&crowd[i]->handler);
		hark_handler_remove(&crowd[i]->handler);
		crowd[i]->send = false;
		ck_assert_int_eq(hark_handler_add(other, &crowd[i]->handler), 0);
	}
	settle(other, 64);
	for (int i = 0; i < CROWD; i++)
		ck_assert_uint_eq(crowd[i]->recvs, 2);
	disperse();
	hark_reactor_free(other);
}
END_TEST

START_TEST(remove_after_the_reactor_was_freed)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r), *b = actor_new(r);

	actor_feed(a, 1);
	settle(r, 8);
	ck_assert_ptr_eq(hark_handler_reactor(&a->handler), r);
	hark_reactor_free(r);
	ck_assert_ptr_null(hark_handler_reactor(&a->handler));
	hark_handler_remove(&a->handler);
	hark_handler_remove(&b->handler);
	actor_free(b);
	actor_free(a);
}
END_TEST

/* Added inside callbacks. */

static struct actor *added;

static void add_one(struct actor *a)
{
	if (!added) {
		added = actor_new(hark_handler_reactor(&a->handler));
		actor_feed(added, 1);
	}
}

START_TEST(handler_added_in_a_callback_is_called)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	added = NULL;
	a->act = add_one;
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	ck_assert_ptr_nonnull(added);
	turns_until(r, &added->recvs, 1);
	quiet(r, 20);
	actor_free(added);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

#define MANY 500

static struct actor *many[MANY];

static void add_many(struct actor *a)
{
	struct hark_reactor *r = hark_handler_reactor(&a->handler);

	a->act = NULL;
	for (int i = 0; i < MANY; i++) {
		many[i] = actor_new(r);
		actor_feed(many[i], 1);
	}
}

/* The tables of the reactor and of the backend move under the callback's feet. */
START_TEST(many_handlers_added_in_a_callback)
{
	struct hark_reactor *r;

	if (!need_descriptors(2 * MANY + 64)) {
		except("many_handlers_added_in_a_callback", "the limit on descriptors is too low");
		return;
	}
	r = new_reactor(NULL);
	gather(r, NULL);
	crowd[CROWD / 2]->act = add_many;
	settle(r, 256);
	for (int i = 0; i < CROWD; i++)
		ck_assert_uint_eq(crowd[i]->recvs, 1);
	for (int i = 0; i < MANY; i++) {
		ck_assert_uint_eq(many[i]->recvs, 1);
		actor_free(many[i]);
	}
	disperse();
	hark_reactor_free(r);
}
END_TEST

/* The same descriptor again, inside its own callback. */

static void readd(struct actor *a)
{
	struct hark_reactor *r = hark_handler_reactor(&a->handler);

	hark_handler_remove(&a->handler);
	ck_assert_ptr_null(hark_handler_reactor(&a->handler));
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
}

START_TEST(handler_removed_and_added_again_in_its_own_callback)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	if (_i)
		actor_make_edge(a);
	a->act = readd;
	actor_feed(a, 3); /* it reads one at a time */
	turns_until(r, &a->recvs, 3);
	ck_assert_uint_eq(stats_of(r).handlers, 1);
	settle(r, 8);
	quiet(r, 20);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 4);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

START_TEST(handler_added_again_meets_both_directions)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	if (_i)
		actor_make_edge(a);
	a->send = true;
	hark_handler_refresh(&a->handler);
	a->act = readd;
	actor_feed(a, 4);
	while (a->recvs < 4 || a->sends < 4)
		ck_assert_int_ge(hark_reactor_turn(r, -1), 0);
	ck_assert_uint_eq(a->recvs, 4);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

static void swap_interest(struct actor *a)
{
	bool recv = a->recv;

	a->recv = a->send;
	a->send = recv;
	readd(a);
}

START_TEST(handler_added_again_with_another_interest)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	a->act = swap_interest;
	actor_feed(a, 30);
	while (a->recvs < 30)
		ck_assert_int_ge(hark_reactor_turn(r, -1), 0);

	/* Each callback was of the direction that it wanted then: they alternate. */
	ck_assert_uint_ge(a->sends, 29);
	ck_assert_uint_le(a->sends, 30);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

static struct actor *successor;
static unsigned taken; /* bytes that its predecessor has read */

static void hand_over(struct actor *a)
{
	struct hark_reactor *r = hark_handler_reactor(&a->handler);

	taken = a->recvs;
	hark_handler_remove(&a->handler);
	successor = actor_make_on(a->handler.fd, a->peer);
	ck_assert_int_eq(hark_handler_add(r, &successor->handler), 0);
	actor_forget(a);
}

START_TEST(another_handler_on_the_same_descriptor_in_a_callback)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	if (_i)
		actor_make_edge(a);
	a->send = true;
	hark_handler_refresh(&a->handler);
	a->act = hand_over;
	actor_feed(a, 3);
	successor = NULL;
	while (!successor)
		ck_assert_int_ge(hark_reactor_turn(r, -1), 0);
	turns_until(r, &successor->recvs, 3 - taken);
	ck_assert_uint_eq(successor->sends, 0);
	ck_assert_uint_eq(stats_of(r).handlers, 1);
	settle(r, 8);
	quiet(r, 20);
	actor_free(successor);
	hark_reactor_free(r);
}
END_TEST

/* The first of the crowd replaces all others, ready in the same batch, on their descriptors. */
static void replace_others(struct actor *a)
{
	struct hark_reactor *r = hark_handler_reactor(&a->handler);

	if (crowd_calls++)
		return;
	for (int i = 0; i < CROWD; i++) {
		struct actor *old = crowd[i];

		if (old == a)
			continue;
		hark_handler_remove(&old->handler);
		crowd[i] = actor_make_on(old->handler.fd, old->peer);
		ck_assert_int_eq(hark_handler_add(r, &crowd[i]->handler), 0);
		actor_forget(old);
	}
}

START_TEST(another_handler_on_the_descriptor_of_one_ready_in_the_same_batch)
{
	struct hark_reactor *r = new_reactor(NULL);

	gather(r, replace_others);
	turns_until(r, &crowd_calls, 1);
	settle(r, 64);
	ck_assert_uint_le(crowd_calls, (unsigned)few(1));
	for (int i = 0; i < CROWD; i++)
		ck_assert_uint_eq(crowd[i]->recvs, 1);
	disperse();
	hark_reactor_free(r);
}
END_TEST

static struct hark_reactor *elsewhere;

static void move(struct actor *a)
{
	hark_handler_remove(&a->handler);
	ck_assert_int_eq(hark_handler_add(elsewhere, &a->handler), 0);
}

START_TEST(handler_moves_to_another_reactor_in_its_callback)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	elsewhere = new_reactor(NULL);
	if (_i)
		actor_make_edge(a);
	a->send = true;
	hark_handler_refresh(&a->handler);
	a->act = move;
	actor_feed(a, 2);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_ptr_eq(hark_handler_reactor(&a->handler), elsewhere);
	a->act = NULL;
	a->send = false;
	hark_handler_refresh(&a->handler);
	turns_until(elsewhere, &a->recvs, 2);
	settle(elsewhere, 8);
	quiet(r, 20);
	quiet(elsewhere, 20);
	actor_free(a);
	hark_reactor_free(r);
	hark_reactor_free(elsewhere);
}
END_TEST

/* Outside callbacks. */

START_TEST(remove_twice_and_never_added)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_handler zeroed = {0};
	struct actor *a = actor_new(r), *b = actor_make();

	hark_handler_remove(&zeroed);
	hark_handler_refresh(&zeroed);
	ck_assert_ptr_null(hark_handler_reactor(&zeroed));
	hark_handler_remove(&b->handler);
	hark_handler_refresh(&b->handler);
	hark_handler_remove(&a->handler);
	hark_handler_remove(&a->handler);
	hark_handler_refresh(&a->handler);
	ck_assert_ptr_null(hark_handler_reactor(&a->handler));
	ck_assert_uint_eq(stats_of(r).handlers, 0);
	actor_feed(a, 1);
	quiet(r, 20);
	ck_assert_uint_eq(a->calls, 0);
	actor_free(a);
	actor_free(b);
	hark_reactor_free(r);
}
END_TEST

START_TEST(handler_without_init_can_be_added)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_make();
	int fd = a->handler.fd;

	a->handler = (struct hark_handler){.ops = &actor_ops, .fd = fd};
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* Each freed in another state: never flushed, registered, refreshed, with events unread. */
START_TEST(freed_between_turns_in_any_state)
{
	struct hark_reactor *r = new_reactor(NULL);

	for (int round = 0; round < 8; round++) {
		gather(r, NULL);
		actor_free(crowd[0]);
		hark_reactor_turn(r, 0);
		actor_free(crowd[1]);
		crowd[2]->send = true;
		hark_handler_refresh(&crowd[2]->handler);
		actor_free(crowd[2]);
		crowd[3]->recv = false;
		hark_handler_refresh(&crowd[3]->handler);
		hark_reactor_turn(r, 0);
		actor_free(crowd[3]);
		actor_feed(crowd[4], 3);
		actor_free(crowd[4]);
		actor_make_edge(crowd[5]);
		actor_feed(crowd[5], 3);
		actor_free(crowd[5]);
		actor_make_edge(crowd[6]);
		crowd[6]->recv = false;
		hark_handler_refresh(&crowd[6]->handler);
		actor_feed(crowd[6], 1);
		hark_reactor_turn(r, 0);
		crowd[6]->recv = true;
		hark_handler_refresh(&crowd[6]->handler);
		actor_free(crowd[6]);
		for (int i = 0; i < 7; i++)
			crowd[i] = NULL;
		settle(r, 16);
		ck_assert_uint_eq(crowd[7]->recvs, 1);
		disperse();
		ck_assert_uint_eq(stats_of(r).handlers, 0);
	}
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* A tenth of a large crowd is called, and each time frees a random one of the rest. */
static void free_random(struct actor *a)
{
	int i = rand() % MANY;

	if (many[i] && many[i] != a) {
		actor_free(many[i]);
		many[i] = NULL;
	}
}

START_TEST(random_ones_of_many_ready_are_freed)
{
	struct hark_reactor *r;
	unsigned left;

	if (!need_descriptors(2 * MANY + 64)) {
		except("random_ones_of_many_ready_are_freed",
		       "the limit on descriptors is too low");
		return;
	}
	r = new_reactor(NULL);
	srand((unsigned)_i);
	for (int i = 0; i < MANY; i++) {
		many[i] = actor_new(r);
		many[i]->act = free_random;
		actor_feed(many[i], 1 + (unsigned)(i % 3));
	}
	settle(r, 4096);
	left = 0;
	for (int i = 0; i < MANY; i++)
		if (many[i]) {
			ck_assert_uint_eq(many[i]->recvs, 1 + (unsigned)(i % 3));
			left++;
			actor_free(many[i]);
		}
	ck_assert_uint_gt(left, 0);
	ck_assert_uint_lt(left, MANY);
	ck_assert_uint_eq(stats_of(r).handlers, 0);
	hark_reactor_free(r);
}
END_TEST

/* What ends a run. */

START_TEST(run_returns_when_the_last_handler_is_gone)
{
	struct hark_reactor *r = new_reactor(NULL);

	ck_assert_int_eq(hark_reactor_run(r), 0); /* at once: nothing is there */
	gather(r, actor_free);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(stats_of(r).callbacks, CROWD);
	memset(crowd, 0, sizeof crowd);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	hark_reactor_free(r);
}
END_TEST

static void free_after_ten(struct actor *a)
{
	if (a->recvs == 10)
		actor_free(a);
}

/* It keeps the run going though it wants nothing; a message changes its mind. */
static void wake_up(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	(void)r;
	crowd[0]->recv = true;
	hark_handler_refresh(&crowd[0]->handler);
}

START_TEST(handler_that_wants_nothing_keeps_the_run_going)
{
	exact(EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_make();
	struct hark_message m;

	a->recv = false;
	a->act = free_after_ten;
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	actor_feed(a, 10);
	quiet(r, 20);
	crowd[0] = a;
	hark_message_init(&m, wake_up);
	ck_assert_int_eq(hark_post(r, &m), 0);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(stats_of(r).callbacks, 11);
	crowd[0] = NULL;
	hark_reactor_free(r);
}
END_TEST

START_TEST(reactor_free_of_null_and_of_an_unused_one)
{
	hark_reactor_free(NULL);
	hark_reactor_free(new_reactor(NULL));
}
END_TEST

/* Also while a child, which was forked before the socket was there, has what the reactor had. */
START_TEST(freed_reactor_holds_no_socket_open)
{
	for (int i = 0; i < 50; i++) {
		struct hark_reactor *r = new_reactor(NULL);
		pid_t child = _i == 0 ? 0 : lasting_child();
		struct probe p;
		int fds[2];
		char byte;

		socket_pair("unix", fds);
		probe_init(&p, fds[0]);
		p.recv = true;
		probe_add(r, &p);
		int callbacks = hark_reactor_turn(r, 0);
		ck_assert(callbacks >= 0 && callbacks <= few(0));
		hark_reactor_free(r);
		close(fds[0]);
		ck_assert_int_eq(recv(fds[1], &byte, 1, MSG_DONTWAIT), 0);
		close(fds[1]);
		if (child > 0) {
			kill(child, SIGKILL);
			ck_assert_int_eq(waitpid(child, NULL, 0), child);
		}
	}
}
END_TEST

TCase *case_lifecycle(void)
{
	TCase *tc = tcase_create("lifecycle");

	tcase_add_test(tc, handler_freed_in_its_own_handle_recv);
	tcase_add_test(tc, handler_freed_in_its_own_handle_send);
	tcase_add_test(tc, handler_freed_in_its_own_handle_ready);
	tcase_add_test(tc, handler_on_edges_freed_in_its_own_callback);
	tcase_add_loop_test(tc, others_ready_in_the_same_batch_are_freed, 0, 2);
	tcase_add_test(tc, neighbour_ready_in_the_same_batch_is_freed);
	tcase_add_test(tc, all_freed_in_a_callback);
	tcase_add_test(tc, removed_in_the_same_batch_and_added_later_is_called_then);
	tcase_add_test(tc, all_removed_and_added_again_in_each_callback);
	tcase_add_loop_test(tc, reactor_freed_in_a_callback, 0, 6);
	tcase_add_test(tc, reactor_freed_in_a_message);
	tcase_add_test(tc, reactor_freed_with_changes_and_readiness_pending);
	tcase_add_test(tc, remove_after_the_reactor_was_freed);
	tcase_add_test(tc, handler_added_in_a_callback_is_called);
	tcase_add_test(tc, many_handlers_added_in_a_callback);
	tcase_add_loop_test(tc, handler_removed_and_added_again_in_its_own_callback, 0, 2);
	tcase_add_loop_test(tc, handler_added_again_meets_both_directions, 0, 2);
	tcase_add_test(tc, handler_added_again_with_another_interest);
	tcase_add_loop_test(tc, another_handler_on_the_same_descriptor_in_a_callback, 0, 2);
	tcase_add_test(tc, another_handler_on_the_descriptor_of_one_ready_in_the_same_batch);
	tcase_add_loop_test(tc, handler_moves_to_another_reactor_in_its_callback, 0, 2);
	tcase_add_test(tc, remove_twice_and_never_added);
	tcase_add_test(tc, handler_without_init_can_be_added);
	tcase_add_test(tc, freed_between_turns_in_any_state);
	tcase_add_loop_test(tc, random_ones_of_many_ready_are_freed, 0, 5);
	tcase_add_test(tc, run_returns_when_the_last_handler_is_gone);
	tcase_add_test(tc, handler_that_wants_nothing_keeps_the_run_going);
	tcase_add_test(tc, reactor_free_of_null_and_of_an_unused_one);
	tcase_add_loop_test(tc, freed_reactor_holds_no_socket_open, 0, 2);
	return tc;
}
