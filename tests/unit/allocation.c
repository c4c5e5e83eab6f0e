/* allocation.c - `allocation [WRAPPER:]BACKEND`: each allocation of the library fails, in turn.
 *
 * The library is compiled for this program with faulty_memory.h, so that it, and nothing else, gets
 * its memory here. What fails must leave nothing behind, nothing half done, and the next try must
 * work. */
#include "actor.h"
#include "faulty.h"
#include "unit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* When a reactor cannot be made, hark tries which backends would work, libkqueue too. */
static bool opens_libkqueue(void)
{
#ifdef __linux__
	for (unsigned i = 0; hark_backend_at(i); i++)
		if (!strcmp(hark_backend_at(i)->name, "kqueue")) {
			except("new_fails_at_each_allocation", OWN_DESCRIPTORS);
			return true;
		}
#endif
	return false;
}

START_TEST(new_fails_at_each_allocation)
{
	struct hark_reactor *r = NULL;
	char why[200];
	struct hark_options options = {
		.backend = chained(backend), .why = why, .why_size = sizeof why};
	bool emulation = opens_libkqueue();
	unsigned open = open_descriptors();
	int error = -1;

	for (int n = 0; error; n++) {
		strcpy(why, "untouched");
		failing = n;
		error = hark_reactor_new(&r, &options);
		failing = -1;
		if (error == 0)
			break;
		ck_assert_int_eq(error, -ENOMEM);
		ck_assert_ptr_null(r);
		ck_assert_int_eq(balance, 0);
		ck_assert(emulation || open_descriptors() == open);
		ck_assert_str_ne(why, "");
		ck_assert_str_ne(why, "untouched");
	}
	ck_assert_uint_ge(failed, 2); /* the reactor and its table, at the least */
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
	ck_assert(emulation || open_descriptors() == open);
}
END_TEST

/* Descriptors far apart, so that every table has to grow. */
START_TEST(add_fails_at_each_allocation)
{
	const int numbers[] = {200, 700, 3000, 9000};
	struct hark_reactor *r;
	struct actor *a, *high[4];
	unsigned received = 0;

	if (!need_descriptors(10000)) {
		except("add_fails_at_each_allocation", "the limit on descriptors is too low");
		return;
	}
	r = new_reactor(NULL);
	a = actor_new(r);
	for (int i = 0; i < 4; i++) {
		int fds[2], error = -1, before;

		socket_pair("unix", fds);
		ck_assert_int_eq(dup2(fds[0], numbers[i]), numbers[i]);
		close(fds[0]);
		high[i] = actor_make_on(numbers[i], fds[1]);
		actor_feed(high[i], 1);
		for (int n = 0; error; n++) {
			before = balance;
			failing = n;
			error = hark_handler_add(r, &high[i]->handler);
			failing = -1;
			if (error == 0)
				break;
			ck_assert_int_eq(error, -ENOMEM);
			ck_assert_ptr_null(hark_handler_reactor(&high[i]->handler));
			ck_assert_uint_eq(stats_of(r).handlers, (unsigned)i + 1);
			ck_assert_int_le(balance, before + 1); /* room, which stays the reactor's */

			/* The others are served as before. */
			actor_feed(a, 1);
			turns_until(r, &a->recvs, ++received);
			for (int j = 0; j < i; j++) {
				actor_feed(high[j], 1);
				turns_until(r, &high[j]->recvs, high[j]->recvs + 1);
			}
			ck_assert_uint_eq(high[i]->calls, 0);
		}
		turns_until(r, &high[i]->recvs, 1);
	}
	ck_assert_uint_ge(failed, 4);
	settle(r, 8);
	quiet(r, 10);
	for (int i = 0; i < 4; i++)
		actor_free(high[i]);
	actor_free(a);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}
END_TEST

static unsigned letters;

static void count_letter(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	(void)r;
	letters++;
}

#define MANY 40

/* Once a handler is added, nothing that is done with it needs memory. */
START_TEST(no_memory_is_needed_to_run_change_and_remove)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a[MANY];
	struct hark_message m;

	hark_message_init(&m, count_letter);
	for (int i = 0; i < MANY; i++)
		a[i] = actor_new(r);
	failing_all = true;
	for (int i = 0; i < MANY; i++)
		actor_feed(a[i], 2);
	for (int i = 0; i < MANY; i++)
		turns_until(r, &a[i]->recvs, 2);
	for (int i = 0; i < MANY; i++) {
		a[i]->send = true;
		hark_handler_refresh(&a[i]->handler);
	}
	for (int i = 0; i < MANY; i++)
		while (!a[i]->sends)
			ck_assert_int_ge(hark_reactor_turn(r, -1), 1);
	for (int i = 0; i < MANY; i++) {
		a[i]->send = false;
		hark_handler_refresh(&a[i]->handler);
	}
	settle(r, 16);
	ck_assert_int_eq(hark_post(r, &m), 0);
	turns_until(r, &letters, 1);
	hark_reactor_stop(r);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	hark_reactor_prepare(r);
	ck_assert_int_eq(hark_reactor_turn(r, HARK_MS(2)), 0);
	for (int i = 0; i < MANY; i++)
		hark_handler_remove(&a[i]->handler);
	ck_assert_int_eq(hark_reactor_turn(r, HARK_MS(2)), 0);
	hark_reactor_free(r);
	failing_all = false;
	ck_assert_uint_eq(failed, 0);
	for (int i = 0; i < MANY; i++)
		actor_free(a[i]);
}
END_TEST

static void child_fails_at_each(void *with)
{
	struct actor *a = with;
	struct hark_reactor *r = hark_handler_reactor(&a->handler);
	bool emulation = emulated("after_fork_fails_at_each_allocation", OWN_DESCRIPTORS);
	unsigned open = open_descriptors();
	int error = -1;

	for (int n = 0; error; n++) {
		int before = balance;

		failing = n;
		error = hark_reactor_after_fork(r);
		failing = -1;
		if (error == 0)
			break;
		ck_assert_int_eq(error, -ENOMEM);
		ck_assert_int_le(balance, before + 1);
		ck_assert(emulation || open_descriptors() == open);
		ck_assert_int_eq(hark_reactor_turn(r, 0), -ECHILD);
	}
	if (!failed)
		except("after_fork_fails_at_each_allocation", "it needs no memory");
	actor_feed(a, 2);
	turns_until(r, &a->recvs, 3);
	actor_free(a);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}

START_TEST(after_fork_fails_at_each_allocation)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	in_child(child_fails_at_each, a);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 2);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* The kernel object is to be replaced and there is no memory for that: the old one serves on. */
START_TEST(rebuild_without_memory_is_tried_again)
{
	struct hark_reactor *r = faulty_reactor();
	struct actor *a = actor_new(r);
	unsigned needed;

	settle(r, 8);
	failing_all = true;
	for (unsigned i = 1; i <= 5; i++) {
		faulty.dead = true;
		actor_feed(a, 1);
		turns_until(r, &a->recvs, i);
	}
	failing_all = false;
	needed = failed;
	ck_assert_uint_eq(stats_of(r).rebuilds, needed ? 0 : 5);
	faulty.dead = true;
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 6);
	settle(r, 8);
	ck_assert_uint_eq(stats_of(r).rebuilds, needed ? 1 : 6);
	quiet(r, 10);
	actor_free(a);
	hark_reactor_free(r);
	ck_assert_int_eq(balance, 0);
}
END_TEST

int main(int argc, char **argv)
{
	TCase *tc = tcase_create("allocation");

	tcase_add_test(tc, new_fails_at_each_allocation);
	tcase_add_test(tc, add_fails_at_each_allocation);
	tcase_add_test(tc, no_memory_is_needed_to_run_change_and_remove);
	tcase_add_test(tc, after_fork_fails_at_each_allocation);
	tcase_add_test(tc, rebuild_without_memory_is_tried_again);
	return unit_main(tc, argc, argv);
}
