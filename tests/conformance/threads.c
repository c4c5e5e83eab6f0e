/* threads.c - a reactor that passes from thread to thread: who waits is told what another thread
 * has registered, whatever that one does meanwhile. */
#include "actor.h"
#include "cases.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the first thread does when it has had its turns. */
enum { ENDS, SLEEPS, SPINS, KINDS };

static struct hark_reactor *r;
static struct actor *level, *edge, *gone;
static int kind, done, gate[2];

static bool is_done(void)
{
	return __atomic_load_n(&done, __ATOMIC_ACQUIRE) != 0;
}

static void *have_turns(void *with)
{
	char byte;

	(void)with;
	level = actor_new(r);
	edge = actor_new(r);
	gone = actor_new(r);
	actor_make_edge(edge);
	settle(r, 8);
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	if (kind == SLEEPS)
		ck_assert_int_eq(read(gate[0], &byte, 1), 1);
	while (kind == SPINS && is_done())
		;
	return NULL;
}

static void both_are_told(void)
{
	struct actor *both[] = {level, edge};

	for (int i = 0; i < 2; i++) {
		unsigned recvs = both[i]->recvs;

		/* Also by turns that do not wait. */
		actor_feed(both[i], 2);
		settle(r, 8);
		turns_until(r, &both[i]->recvs, recvs + 2);
	}
	settle(r, 8);
	quiet(r, 20);
}

/* A child that was forked before the sockets were there, and has what the reactor had, changes
 * nothing. */
START_TEST(what_one_thread_registers_another_is_told)
{
	pthread_t first;
	pid_t child = 0;
	char byte;

	kind = _i % KINDS;
	r = new_reactor(NULL);
	if (_i >= KINDS)
		child = lasting_child();
	ck_assert_int_eq(pipe(gate), 0);
	ck_assert_int_eq(pthread_create(&first, NULL, have_turns, NULL), 0);
	while (!is_done())
		sched_yield();
	if (kind == ENDS)
		pthread_join(first, NULL);
	both_are_told();

	/* A handler that this thread removes lets go of its socket. */
	hark_handler_remove(&gone->handler);
	close(gone->handler.fd);
	struct pollfd end = {.fd = gone->peer, .events = POLLIN};
	ck_assert_int_eq(poll(&end, 1, 20000), 1);
	ck_assert_int_eq(read(gone->peer, &byte, 1), 0);
	close(gone->peer);
	actor_forget(gone);

	__atomic_store_n(&done, 0, __ATOMIC_RELEASE);
	put(gate[1], "x", 1);
	if (kind != ENDS)
		pthread_join(first, NULL);
	both_are_told();
	actor_free(level);
	actor_free(edge);
	hark_reactor_free(r);
	if (child > 0) {
		kill(child, SIGKILL);
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
	}
}
END_TEST

/* Many take part, more than fit in a queue of changes, and the threads have it by turns. */
enum { MANY = 700, SHARES = 6 };

static struct actor *many[MANY];
static pthread_barrier_t change;

static void *have_every_other_turn(void *with)
{
	const int first = with != NULL;

	for (int share = 0; share < SHARES; share++) {
		pthread_barrier_wait(&change);
		if (share % 2 == first)
			continue;
		if (share == 1)
			for (int i = 0; i < MANY; i++)
				many[i] = actor_new(r);
		for (int i = 0; share > 1 && i < MANY; i++)
			actor_feed(many[i], 1);
		settle(r, 100);
		for (int i = 0; share > 1 && i < MANY; i++)
			turns_until(r, &many[i]->recvs, (unsigned)share - 1);
	}
	pthread_barrier_wait(&change);
	return NULL;
}

START_TEST(threads_have_it_by_turns)
{
	pthread_t other;
	char byte;

	if (!need_descriptors(2 * MANY + 100)) {
		except("threads_have_it_by_turns", "the hard limit on descriptors is too low");
		return;
	}
	r = new_reactor(NULL);
	ck_assert_int_eq(pthread_barrier_init(&change, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&other, NULL, have_every_other_turn, NULL), 0);
	have_every_other_turn(&change);

	for (int i = 0; i < MANY; i++) {
		hark_handler_remove(&many[i]->handler);
		close(many[i]->handler.fd);
	}
	for (int i = 0; i < MANY; i++) {
		struct pollfd end = {.fd = many[i]->peer, .events = POLLIN};

		ck_assert_int_eq(poll(&end, 1, 20000), 1);
		ck_assert_int_eq(read(many[i]->peer, &byte, 1), 0);
		close(many[i]->peer);
		actor_forget(many[i]);
	}
	pthread_join(other, NULL);
	hark_reactor_free(r);
}
END_TEST

TCase *case_threads(void)
{
	TCase *tc = tcase_create("threads");

	tcase_add_loop_test(tc, what_one_thread_registers_another_is_told, 0, 2 * KINDS);
	tcase_add_test(tc, threads_have_it_by_turns);
	return tc;
}
