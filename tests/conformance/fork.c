/* fork.c - fork(2): the child has a copy of the reactor whose kernel object is still the parent's.
 */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A reactor with two actors, the first on level, the second on edges, and a third that is there to
 * be ready at the time of the fork. */
struct scene {
	struct hark_reactor *r;
	struct actor *level, *edge, *ready;
};

static struct scene scene_make(void)
{
	struct scene s = {.r = new_reactor(NULL)};

	s.level = actor_new(s.r);
	s.edge = actor_new(s.r);
	s.ready = actor_new(s.r);
	actor_make_edge(s.edge);
	settle(s.r, 8);
	return s;
}

/* Whether each of the two still gets what comes, and nothing else does. */
static void scene_check(struct scene *s)
{
	struct actor *both[] = {s->level, s->edge};

	for (int i = 0; i < 2; i++) {
		unsigned recvs = both[i]->recvs, sends = both[i]->sends;

		actor_feed(both[i], 2);
		turns_until(s->r, &both[i]->recvs, recvs + 2);
		both[i]->send = true;
		hark_handler_refresh(&both[i]->handler);
		turns_until(s->r, &both[i]->sends, sends + 1);
		both[i]->send = false;
		hark_handler_refresh(&both[i]->handler);
		settle(s->r, 8);
	}
	quiet(s->r, 20);
}

static void scene_free(struct scene *s)
{
	actor_free(s->level);
	actor_free(s->edge);
	actor_free(s->ready);
	hark_reactor_free(s->r);
}

/* Gives an actor a pair that it does not share with the other process. */
static void own_pair(struct actor **a, struct hark_reactor *r)
{
	actor_free(*a);
	*a = actor_new(r);
}

static void child_goes_on(void *with)
{
	struct scene *s = with;
	char byte;

	ck_assert_int_eq(hark_reactor_after_fork(s->r), 0);

	/* All are registered anew: the parent has left these two to the child for now. */
	scene_check(s);
	actor_feed(s->ready, 1);
	turns_until(s->r, &s->ready->recvs, s->ready->recvs + 1);
	ck_assert_int_eq(hark_reactor_after_fork(s->r), 0); /* no harm */
	scene_check(s);

	/* Changes that the parent must not see. */
	hark_handler_remove(&s->level->handler);
	s->edge->recv = false;
	hark_handler_refresh(&s->edge->handler);
	quiet(s->r, 20);
	own_pair(&s->ready, s->r);
	actor_feed(s->ready, 1);
	turns_until(s->r, &s->ready->recvs, 1);
	while (read(s->level->peer, &byte, 1) == 1 || read(s->edge->peer, &byte, 1) == 1)
		;
	scene_free(s);
}

START_TEST(child_goes_on_independently)
{
	struct scene s = scene_make();

	in_child(child_goes_on, &s);
	scene_check(&s);
	in_child(child_goes_on, &s);
	scene_check(&s);
	ck_assert_uint_eq(s.ready->recvs, 0);
	scene_free(&s);
}
END_TEST

/* Both processes work at the same time, each on actors of its own. */
static void work(struct hark_reactor *r, struct actor *a)
{
	for (unsigned i = 1; i <= 200; i++) {
		actor_feed(a, 1);
		a->send = i % 2;
		hark_handler_refresh(&a->handler);
		while (a->recvs < i)
			ck_assert_int_ge(hark_reactor_turn(r, -1), 0);
		if (i % 50 == 0) {
			settle(r, 8);
			quiet(r, 10);
		}
	}
}

START_TEST(parent_and_child_work_at_the_same_time)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *mine = actor_new(r), *childs = actor_new(r);
	int status;

	settle(r, 8);
	fflush(NULL);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		ck_assert_int_eq(hark_reactor_after_fork(r), 0);
		hark_handler_remove(&mine->handler);
		work(r, childs);
		actor_free(mine);
		actor_free(childs);
		hark_reactor_free(r);
		exit(EXIT_SUCCESS);
	}
	hark_handler_remove(&childs->handler);
	work(r, mine);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	actor_free(mine);
	actor_free(childs);
	hark_reactor_free(r);
}
END_TEST

/* Calls in the child before hark_reactor_after_fork. */

static void child_is_refused(void *with)
{
	struct scene *s = with;
	struct actor *a = actor_make();
	unsigned calls = s->ready->calls;

	ck_assert_int_eq(hark_handler_add(s->r, &a->handler), -ECHILD);
	ck_assert_ptr_null(hark_handler_reactor(&a->handler));
	ck_assert_int_eq(hark_reactor_turn(s->r, 0), -ECHILD);
	ck_assert_int_eq(hark_reactor_turn(s->r, -1), -ECHILD);
	ck_assert_int_eq(hark_reactor_run(s->r), -ECHILD);
	ck_assert_uint_eq(s->ready->calls, calls);

	/* Then all of them work. */
	ck_assert_int_eq(hark_reactor_after_fork(s->r), 0);
	ck_assert_int_eq(hark_handler_add(s->r, &a->handler), 0);
	actor_feed(a, 1);
	turns_until(s->r, &a->recvs, 1);
	scene_check(s);
	actor_free(a);
	scene_free(s);
}

START_TEST(calls_before_after_fork_answer_echild)
{
	struct scene s = scene_make();

	in_child(child_is_refused, &s);
	scene_check(&s);
	scene_free(&s);
}
END_TEST

static void child_removes(void *with)
{
	struct scene *s = with;

	s->ready->send = true;
	hark_handler_refresh(&s->ready->handler);
	hark_handler_remove(&s->level->handler);
	ck_assert_ptr_null(hark_handler_reactor(&s->level->handler));
	scene_free(s); /* the others are removed, then the reactor is freed */
}

static void child_frees(void *with)
{
	struct scene *s = with;

	hark_reactor_free(s->r);
	ck_assert_ptr_null(hark_handler_reactor(&s->level->handler));
	actor_free(s->level);
	actor_free(s->edge);
	actor_free(s->ready);
}

static void child_only_ends(void *with)
{
	(void)with;
}

static void child_removes_then_goes_on(void *with)
{
	struct scene *s = with;
	struct actor *a;

	hark_handler_remove(&s->level->handler);
	hark_handler_remove(&s->edge->handler);
	ck_assert_int_eq(hark_reactor_after_fork(s->r), 0);
	a = actor_new(s->r);
	actor_feed(a, 1);
	turns_until(s->r, &a->recvs, 1);
	settle(s->r, 8);
	quiet(s->r, 20);
	actor_free(a);
	scene_free(s);
}

START_TEST(child_leaves_the_parents_registrations_alone)
{
	void (*const bodies[])(void *) = {child_removes, child_frees, child_only_ends,
	                                  child_removes_then_goes_on};
	struct scene s = scene_make();

	for (int round = 0; round < 2; round++) {
		in_child(bodies[_i], &s);
		scene_check(&s);
		actor_feed(s.ready, 1);
		turns_until(s.r, &s.ready->recvs, (unsigned)round + 1);
	}
	scene_free(&s);
}
END_TEST

/* Its stop and its messages are its own, and the parent's wait is not cut short by them. */

static unsigned handled;

static void count_message(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	(void)r;
	handled++;
}

static void child_stops_and_posts(void *with)
{
	struct scene *s = with;
	struct hark_message m[2];

	for (int i = 0; i < 2; i++) {
		hark_message_init(&m[i], count_message);
		hark_reactor_stop(s->r);
		ck_assert_int_eq(hark_post(s->r, &m[i]), 0);
		if (i == 0)
			ck_assert_int_eq(hark_reactor_after_fork(s->r), 0);
	}
	ck_assert_int_eq(hark_reactor_turn(s->r, -1), 0); /* several stops, one turn */
	turns_until(s->r, &handled, 2);
	ck_assert_uint_eq(handled, 2);
	hark_reactor_stop(s->r);
	scene_free(s);
}

START_TEST(stop_in_the_child_is_not_the_parents)
{
	struct scene s = scene_make();

	in_child(child_stops_and_posts, &s);
	quiet(s.r, 50);
	quiet(s.r, 20);
	ck_assert_uint_eq(handled, 0);
	scene_check(&s);
	scene_free(&s);
}
END_TEST

/* What is there at the time of the fork is there in both. */

static struct hark_message inherited;

static void child_has_it_too(void *with)
{
	struct scene *s = with;

	ck_assert_int_eq(hark_reactor_after_fork(s->r), 0);
	turns_until(s->r, &handled, 1);
	turns_until(s->r, &s->ready->recvs, 1);
	settle(s->r, 8);
	ck_assert_uint_eq(handled, 1);

	/* Its waker is its own as well. */
	ck_assert_int_eq(hark_post(s->r, &inherited), 0);
	turns_until(s->r, &handled, 2);
	hark_reactor_stop(s->r);
	ck_assert_int_eq(hark_reactor_run(s->r), 0);
	settle(s->r, 8);
	quiet(s->r, 20);
	scene_free(s);
}

START_TEST(messages_and_readiness_at_the_time_of_the_fork)
{
	struct scene s = scene_make();

	hark_message_init(&inherited, count_message);
	ck_assert_int_eq(hark_post(s.r, &inherited), 0);
	actor_feed(s.ready, 1);
	in_child(child_has_it_too, &s);
	actor_feed(s.ready, 1); /* the child has received the first */
	turns_until(s.r, &handled, 1);
	turns_until(s.r, &s.ready->recvs, 1);
	settle(s.r, 8);
	quiet(s.r, 20);
	scene_free(&s);
}
END_TEST

/* An edge that has been reported and not yet used up must be reported to the child again. */
static void child_sees_old_edges(void *with)
{
	struct scene *s = with;

	ck_assert_int_eq(hark_reactor_after_fork(s->r), 0);
	s->edge->recv = true;
	hark_handler_refresh(&s->edge->handler);
	turns_until(s->r, &s->edge->recvs, 3);
	scene_free(s);
}

START_TEST(edges_of_before_the_fork_are_seen_after_it)
{
	struct scene s = scene_make();

	actor_feed(s.edge, 1);
	turns_until(s.r, &s.edge->recvs, 1);
	s.edge->recv = false;
	hark_handler_refresh(&s.edge->handler);
	actor_feed(s.edge, 2);
	settle(s.r, 8);
	in_child(child_sees_old_edges, &s);
	s.edge->recv = true;
	hark_handler_refresh(&s.edge->handler);
	actor_feed(s.edge, 2);
	turns_until(s.r, &s.edge->recvs, 3);
	scene_free(&s);
}
END_TEST

/* More generations. */

static void grandchild(void *with)
{
	child_goes_on(with);
}

static void child_with_a_child(void *with)
{
	struct scene *s = with;

	ck_assert_int_eq(hark_reactor_after_fork(s->r), 0);
	scene_check(s);
	in_child(grandchild, s);
	scene_check(s);
	in_child(child_removes, s);
	scene_check(s);
	scene_free(s);
}

static void child_that_only_forks(void *with)
{
	struct scene *s = with;

	in_child(grandchild, s); /* without after_fork in between */
	in_child(child_is_refused, s);
	ck_assert_int_eq(hark_reactor_turn(s->r, 0), -ECHILD);
	scene_free(s);
}

START_TEST(grandchildren_go_on_independently)
{
	struct scene s = scene_make();

	in_child(_i ? child_that_only_forks : child_with_a_child, &s);
	scene_check(&s);
	actor_feed(s.ready, 1);
	turns_until(s.r, &s.ready->recvs, 1);
	scene_free(&s);
}
END_TEST

START_TEST(after_fork_in_the_parent_does_no_harm)
{
	struct scene s = scene_make();
	unsigned open = open_descriptors();

	ck_assert_int_eq(hark_reactor_after_fork(s.r), 0);
	scene_check(&s);
	in_child(child_only_ends, NULL);
	ck_assert_int_eq(hark_reactor_after_fork(s.r), 0);
	ck_assert_int_eq(hark_reactor_after_fork(s.r), 0);
	scene_check(&s);
	ck_assert_uint_eq(open_descriptors(), open);
	scene_free(&s);
}
END_TEST

/* The parent's kernel object is nothing that the child could poll. */
static void child_asks_for_the_fd(void *with)
{
	struct scene *s = with;
	int fd;

	ck_assert_int_eq(hark_reactor_fd(s->r), -ECHILD);
	ck_assert_int_eq(hark_reactor_after_fork(s->r), 0);
	fd = hark_reactor_fd(s->r);
	ck_assert(fd >= 0 || fd == -ENOTSUP);
	scene_free(s);
}

START_TEST(fd_of_a_parents_reactor_is_an_error)
{
	struct scene s = scene_make();

	if (_i)
		hark_reactor_fd(s.r);
	in_child(child_asks_for_the_fd, &s);
	scene_check(&s);
	scene_free(&s);
}
END_TEST

/* Descriptors: none leaks, and none to be had is an error that can be got over. */

static void child_counts(void *with)
{
	struct scene *s = with;
	unsigned open = open_descriptors();

	/* Neither a kqueue nor a ring is inherited: the child gains what it had lost. */
	if (backend_is("kqueue") || backend_is("io_uring")) {
		ck_assert_int_eq(hark_reactor_after_fork(s->r), 0);
		open = open_descriptors();
	}
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(hark_reactor_after_fork(s->r), 0);
		ck_assert_uint_eq(open_descriptors(), open);
	}
	scene_free(s);
}

START_TEST(after_fork_leaks_no_descriptor)
{
	struct scene s;

	if (emulated("after_fork_leaks_no_descriptor", OWN_DESCRIPTORS))
		return;
	s = scene_make();
	in_child(child_counts, &s);
	scene_free(&s);
}
END_TEST

static void child_starves(void *with)
{
	struct scene *s = with;
	struct rlimit limit;
	int filler[64], n = 0;
	unsigned open;

	/* Every number below the limit is taken. */
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 64;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while ((filler[n] = dup(STDERR_FILENO)) >= 0)
		n++;
	ck_assert_int_eq(errno, EMFILE);
	open = open_descriptors();

	int refused = 0, error;
	while ((error = hark_reactor_after_fork(s->r))) {
		ck_assert_int_eq(error, -EMFILE);
		ck_assert_uint_eq(open_descriptors(), open);
		ck_assert_int_eq(hark_reactor_turn(s->r, 0), -ECHILD);
		ck_assert_int_gt(n, 0);
		close(filler[--n]);
		open--;
		refused++;
	}
	if (!refused)
		except("after_fork_without_descriptors_can_be_tried_again",
		       "the child needs none that it has not inherited");
	while (n > 0)
		close(filler[--n]);
	scene_check(s);
	hark_reactor_stop(s->r);
	ck_assert_int_eq(hark_reactor_run(s->r), 0);
	scene_free(s);
}

START_TEST(after_fork_without_descriptors_can_be_tried_again)
{
	struct scene s;

	if (emulated("after_fork_without_descriptors_can_be_tried_again", OWN_DESCRIPTORS))
		return;
	s = scene_make();
	in_child(child_starves, &s);
	scene_check(&s);
	scene_free(&s);
}
END_TEST

/* Forked inside a callback of a run: the parent goes on; the run of the child learns it before it
 * waits. */

static bool is_child;

static void fork_here(struct actor *a)
{
	int status;

	a->act = NULL;
	fflush(NULL);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		is_child = true;
		ck_assert_int_eq(hark_reactor_after_fork(hark_handler_reactor(&a->handler)),
		                 -EBUSY);
		return;
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	hark_reactor_stop(hark_handler_reactor(&a->handler));
}

START_TEST(run_whose_callback_forks)
{
	struct scene s = scene_make();

	s.level->act = fork_here;
	actor_feed(s.level, 1);
	int error = hark_reactor_run(s.r);
	if (is_child) {
		ck_assert_int_eq(error, -ECHILD);
		ck_assert_int_eq(hark_reactor_run(s.r), -ECHILD);
		ck_assert_int_eq(hark_reactor_after_fork(s.r), 0);
	} else {
		ck_assert_int_eq(error, 0);
	}
	scene_check(&s);
	scene_free(&s);
	if (is_child)
		exit(EXIT_SUCCESS);
}
END_TEST

TCase *case_fork(void)
{
	TCase *tc = tcase_create("fork");

	tcase_add_test(tc, child_goes_on_independently);
	tcase_add_test(tc, parent_and_child_work_at_the_same_time);
	tcase_add_test(tc, calls_before_after_fork_answer_echild);
	tcase_add_loop_test(tc, child_leaves_the_parents_registrations_alone, 0, 4);
	tcase_add_test(tc, stop_in_the_child_is_not_the_parents);
	tcase_add_test(tc, messages_and_readiness_at_the_time_of_the_fork);
	tcase_add_test(tc, edges_of_before_the_fork_are_seen_after_it);
	tcase_add_loop_test(tc, grandchildren_go_on_independently, 0, 2);
	tcase_add_test(tc, after_fork_in_the_parent_does_no_harm);
	tcase_add_loop_test(tc, fd_of_a_parents_reactor_is_an_error, 0, 2);
	tcase_add_test(tc, after_fork_leaks_no_descriptor);
	tcase_add_test(tc, after_fork_without_descriptors_can_be_tried_again);
	tcase_add_test(tc, run_whose_callback_forks);
	return tc;
}
