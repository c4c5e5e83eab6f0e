/* child.c - watchers of child processes.
 *
 * Each test runs with what the system has to tell of the end of a process, and on Linux twice more
 * with that taken away, as old kernels and sandboxes do, so that SIGCHLD has to tell. */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
#include "deny.h"
#include <sys/syscall.h>

/* By descriptor; and by SIGCHLD, for either of the errnos that say that there are none. */
#define MODES 3
#define WAYS 2

static void set_mode(int mode)
{
	if (mode > 0)
		deny(SYS_pidfd_open, mode == 1 ? ENOSYS : EPERM);
}
#else
#define MODES 1
#define WAYS 1

static void set_mode(int mode)
{
	(void)mode;
}
#endif

/* True if this test cannot run in this mode. */
static bool skipped(int mode, const char *test)
{
	if (mode > 0 && signals_are_put_off(test))
		return true;
	set_mode(mode);
	return false;
}

struct watched {
	struct hark_child child; /* first */
	pid_t pid;
	unsigned exits;
	int status;
	void (*act)(struct watched *w); /* the last thing in handle_exit */
	struct watched *other;
	struct hark_reactor *r;
};

static unsigned total;

static void note_exit(struct hark_child *c, int status)
{
	struct watched *w = (struct watched *)(void *)c;

	total++;
	w->exits++;
	w->status = status;
	if (w->act)
		w->act(w);
}

static const struct hark_child_ops ops = {.handle_exit = note_exit, .name = "watched"};

/* A child that ends at once. */
static pid_t brief_child(int status)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(status);
	return pid;
}

/* Until the child has ended; it is not reaped. */
static void wait_for_end(pid_t pid)
{
	siginfo_t info;

	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0)
		ck_assert_int_eq(errno, EINTR);
}

static void reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		ck_assert_msg(errno == EINTR, "cannot reap: %s", strerror(errno));
}

static void kill_and_reap(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	reap(pid);
}

static void watch(struct hark_reactor *r, struct watched *w, pid_t pid)
{
	*w = (struct watched){.pid = pid, .r = r};
	hark_child_init(&w->child, &ops);
	ck_assert_int_eq(hark_child_start(r, &w->child, pid), 0);
	ck_assert_uint_eq(w->exits, 0);
}

START_TEST(exit_status_and_death_by_signal)
{
	struct hark_reactor *r;
	struct watched w[3];

	if (skipped(_i, "exit_status_and_death_by_signal"))
		return;
	r = new_reactor(NULL);
	for (int i = 0; i < 2; i++)
		watch(r, &w[i], lasting_child());
	watch(r, &w[2], brief_child(42));
	ck_assert_uint_eq(stats_of(r).children, 3);
	turns_until(r, &w[2].exits, 1);
	settle(r, 8);
	quiet(r, 20);
	ck_assert_uint_eq(total, 1);
	kill(w[0].pid, SIGKILL);
	kill(w[1].pid, SIGUSR1);
	turns_until(r, &total, 3);
	ck_assert(WIFSIGNALED(w[0].status) && WTERMSIG(w[0].status) == SIGKILL);
	ck_assert(WIFSIGNALED(w[1].status) && WTERMSIG(w[1].status) == SIGUSR1);
	ck_assert(WIFEXITED(w[2].status) && WEXITSTATUS(w[2].status) == 42);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(w[i].exits, 1);
		ck_assert_int_eq(waitpid(w[i].pid, NULL, WNOHANG), -1); /* reaped */
		ck_assert_int_eq(errno, ECHILD);
	}
	ck_assert_uint_eq(stats_of(r).children, 0);
	settle(r, 8);
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

START_TEST(child_that_stops_and_goes_on_has_not_ended)
{
	struct hark_reactor *r;
	struct watched w;

	if (skipped(_i, "child_that_stops_and_goes_on_has_not_ended"))
		return;
	r = new_reactor(NULL);
	watch(r, &w, lasting_child());
	kill(w.pid, SIGSTOP);
	hark_reactor_turn(r, HARK_MS(20));
	settle(r, 8);
	kill(w.pid, SIGCONT);
	hark_reactor_turn(r, HARK_MS(20));
	settle(r, 8);
	ck_assert_uint_eq(total, 0);
	kill(w.pid, SIGKILL);
	turns_until(r, &total, 1);
	ck_assert(WIFSIGNALED(w.status));
	hark_reactor_free(r);
}
END_TEST

START_TEST(gone_already_when_started)
{
	struct hark_reactor *r;
	struct watched w;
	pid_t pid;

	if (skipped(_i, "gone_already_when_started"))
		return;
	r = new_reactor(NULL);
	pid = brief_child(7);
	wait_for_end(pid);
	watch(r, &w, pid);
	turns_until(r, &w.exits, 1);
	ck_assert(WIFEXITED(w.status) && WEXITSTATUS(w.status) == 7);
	settle(r, 8);
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

#define MANY 1000

/* They wait for the end of a pipe, which comes to all of them in the same moment. */
START_TEST(thousand_children_at_once)
{
	static struct watched w[MANY];
	struct hark_reactor *r;
	unsigned open;
	int gate[2];

	if (skipped(_i, "thousand_children_at_once"))
		return;
	if (!need_descriptors(MANY + 100)) {
		except("thousand_children_at_once", "too few descriptors are allowed");
		return;
	}
	r = new_reactor(NULL);
	ck_assert_int_eq(pipe(gate), 0);
	open = open_descriptors();
	fflush(NULL);
	for (int i = 0; i < MANY; i++) {
		pid_t pid = fork();
		char c;

		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			close(gate[1]);
			while (read(gate[0], &c, 1) < 0 && errno == EINTR)
				;
			_exit(i % 251);
		}
		watch(r, &w[i], pid);
	}
	settle(r, 8);
	close(gate[1]);
	turns_until(r, &total, MANY);
	for (int i = 0; i < MANY; i++) {
		ck_assert_uint_eq(w[i].exits, 1);
		ck_assert(WIFEXITED(w[i].status) && WEXITSTATUS(w[i].status) == i % 251);
	}
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	if (!emulated("thousand_children_at_once", OWN_DESCRIPTORS))
		ck_assert_uint_eq(open_descriptors(), open - 1);
	hark_reactor_free(r);
}
END_TEST

START_TEST(reaps_only_what_it_was_given)
{
	struct hark_reactor *r;
	struct watched w;
	pid_t other;

	if (skipped(_i, "reaps_only_what_it_was_given"))
		return;
	r = new_reactor(NULL);
	other = brief_child(1);
	watch(r, &w, brief_child(2));
	wait_for_end(other);
	turns_until(r, &total, 1);
	settle(r, 8);
	ck_assert_int_eq(WEXITSTATUS(w.status), 2);
	reap(other);
	hark_reactor_free(r);
}
END_TEST

START_TEST(start_errors_change_nothing)
{
	const struct hark_child_ops nothing = {.name = "nothing"};
	struct hark_reactor *r;
	struct watched w, again;
	struct hark_child none = {0};
	unsigned open;
	pid_t reaped;

	if (skipped(_i, "start_errors_change_nothing"))
		return;
	r = new_reactor(NULL);
	reaped = brief_child(0);
	reap(reaped);
	watch(r, &w, lasting_child());
	settle(r, 8);
	open = open_descriptors();
	hark_child_init(&again.child, &ops);
	ck_assert_int_eq(hark_child_start(NULL, &again.child, w.pid), -EINVAL);
	ck_assert_int_eq(hark_child_start(r, NULL, w.pid), -EINVAL);
	ck_assert_int_eq(hark_child_start(r, &none, w.pid), -EINVAL);
	none.ops = &nothing;
	ck_assert_int_eq(hark_child_start(r, &none, w.pid), -EINVAL);
	ck_assert_int_eq(hark_child_start(r, &again.child, 0), -EINVAL);
	ck_assert_int_eq(hark_child_start(r, &again.child, -w.pid), -EINVAL);
	ck_assert_int_eq(hark_child_start(r, &again.child, reaped), -ECHILD);
	ck_assert_int_eq(hark_child_start(r, &again.child, getpid()), -ECHILD);
	ck_assert_int_eq(hark_child_start(r, &again.child, getppid()), -ECHILD);
	ck_assert_int_eq(hark_child_start(r, &again.child, w.pid), -EEXIST);
	ck_assert_int_eq(hark_child_start(r, &w.child, w.pid), -EALREADY);
	hark_child_stop(&again.child);
	ck_assert_uint_eq(stats_of(r).children, 1);
	ck_assert_uint_eq(open_descriptors(), open);
	kill(w.pid, SIGKILL);
	turns_until(r, &w.exits, 1);
	ck_assert_uint_eq(total, 1);
	hark_reactor_free(r);
}
END_TEST

START_TEST(stop_leaves_the_child_to_waitpid)
{
	struct hark_reactor *r;
	struct watched w;
	unsigned open;

	if (skipped(_i, "stop_leaves_the_child_to_waitpid"))
		return;
	r = new_reactor(NULL);
	open = open_descriptors();
	for (int i = 0; i < 2; i++) {
		watch(r, &w, i ? brief_child(0) : lasting_child());
		if (i)
			wait_for_end(w.pid); /* and nobody has been told */
		else
			settle(r, 8);
		hark_child_stop(&w.child);
		hark_child_stop(&w.child);
		ck_assert_uint_eq(stats_of(r).children, 0);
		ck_assert_uint_eq(open_descriptors(), open);
		if (i == 0)
			kill(w.pid, SIGKILL);
		wait_for_end(w.pid);
		settle(r, 8);
		quiet(r, 20);
		reap(w.pid);
	}
	ck_assert_uint_eq(total, 0);
	hark_reactor_free(r);
}
END_TEST

/* Callbacks that end watchers. */

static void free_self(struct watched *w)
{
	memset(w, 0x5a, sizeof *w);
	free(w);
}

static void free_other(struct watched *w)
{
	if (w->other == NULL)
		return;
	w->other->other = NULL;
	hark_child_stop(&w->other->child);
	memset(w->other, 0x5a, sizeof *w->other);
	free(w->other);
}

static void start_again(struct watched *w)
{
	w->act = NULL;
	w->pid = brief_child(9);
	ck_assert_int_eq(hark_child_start(w->r, &w->child, w->pid), 0);
}

START_TEST(freed_and_started_again_in_its_own_callback)
{
	struct hark_reactor *r;
	struct watched *w, again;

	if (skipped(_i, "freed_and_started_again_in_its_own_callback"))
		return;
	r = new_reactor(NULL);
	w = malloc(sizeof *w);
	watch(r, w, brief_child(0));
	w->act = free_self;
	turns_until(r, &total, 1);
	watch(r, &again, brief_child(1));
	again.act = start_again;
	turns_until(r, &total, 3);
	ck_assert_int_eq(WEXITSTATUS(again.status), 9);
	ck_assert_uint_eq(stats_of(r).children, 0);
	settle(r, 8);
	quiet(r, 20);
	hark_reactor_free(r);
}
END_TEST

/* Both have ended: whichever is told first, the other is not told, and not reaped. */
START_TEST(stopped_and_freed_in_anothers_callback)
{
	struct hark_reactor *r;
	struct watched *w[2];
	pid_t pid[2];
	int left = 0;

	if (skipped(_i, "stopped_and_freed_in_anothers_callback"))
		return;
	r = new_reactor(NULL);
	for (int i = 0; i < 2; i++) {
		w[i] = malloc(sizeof *w[i]);
		pid[i] = brief_child(0);
		watch(r, w[i], pid[i]);
		w[i]->act = free_other;
	}
	w[0]->other = w[1];
	w[1]->other = w[0];
	for (int i = 0; i < 2; i++)
		wait_for_end(pid[i]);
	turns_until(r, &total, 1);
	settle(r, 8);
	quiet(r, 20);
	ck_assert_uint_eq(total, 1);
	for (int i = 0; i < 2; i++) {
		if (waitpid(pid[i], NULL, WNOHANG) == pid[i])
			left++;
		else
			free(w[i]);
	}
	ck_assert_int_eq(left, 1);
	hark_reactor_free(r);
}
END_TEST

/* Somebody else reaps. */

static struct sigaction ignore = {.sa_handler = SIG_IGN};

/* The kernel then reaps by itself; a watcher that has a handler of its own for SIGCHLD gets the
 * status nevertheless. */
START_TEST(sigchld_ignored_by_the_program_is_reported)
{
	struct hark_reactor *r;
	struct watched w;
	struct sigaction now;

	if (skipped(_i, "sigchld_ignored_by_the_program_is_reported"))
		return;
	r = new_reactor(NULL);
	ck_assert_int_eq(sigaction(SIGCHLD, &ignore, NULL), 0);
	watch(r, &w, lasting_child());
	settle(r, 8);
	kill(w.pid, SIGKILL);
	turns_until(r, &total, 1);
	if (_i == 0)
		ck_assert_int_eq(w.status, -ECHILD);
	else
		ck_assert(WIFSIGNALED(w.status) && WTERMSIG(w.status) == SIGKILL);
	ck_assert_int_eq(sigaction(SIGCHLD, NULL, &now), 0);
	ck_assert(now.sa_handler == SIG_IGN);
	hark_reactor_free(r);
}
END_TEST

START_TEST(reaped_by_the_program_is_reported)
{
	struct hark_reactor *r;
	struct watched w;

	if (skipped(_i, "reaped_by_the_program_is_reported"))
		return;
	r = new_reactor(NULL);
	watch(r, &w, lasting_child());
	settle(r, 8);
	kill_and_reap(w.pid);
	turns_until(r, &total, 1);
	ck_assert_int_eq(w.status, -ECHILD);
	hark_reactor_free(r);
}
END_TEST

START_TEST(two_reactors_watch_one_child)
{
	struct hark_reactor *r[2];
	struct watched w[2];
	pid_t pid;

	if (skipped(_i, "two_reactors_watch_one_child"))
		return;
	pid = lasting_child();
	for (int i = 0; i < 2; i++) {
		r[i] = new_reactor(NULL);
		watch(r[i], &w[i], pid);
	}
	kill(pid, SIGKILL);
	turns_until(r[0], &w[0].exits, 1);
	turns_until(r[1], &w[1].exits, 1);
	ck_assert(WIFSIGNALED(w[0].status));
	ck_assert_int_eq(w[1].status, -ECHILD);
	hark_reactor_free(r[0]);
	hark_reactor_free(r[1]);
}
END_TEST

/* The reactor. */

static void free_reactor(struct watched *w)
{
	hark_reactor_free(w->r);
}

/* Outside of callbacks, and in the callback of one of them. */
static void free_with_children(bool inside)
{
	struct hark_reactor *r = new_reactor(NULL), *other = new_reactor(NULL);
	unsigned open = open_descriptors();
	struct watched w[2];

	watch(r, &w[0], lasting_child());
	watch(r, &w[1], brief_child(5));
	if (inside) {
		w[1].act = free_reactor;
		ck_assert_int_eq(hark_reactor_run(r), 0);
		ck_assert_uint_eq(total, 1);
	} else {
		wait_for_end(w[1].pid);
		hark_reactor_free(r);
		ck_assert_uint_eq(total, 0);
		reap(w[1].pid);
	}
	for (int i = 0; i < 2; i++)
		hark_child_stop(&w[i].child);
	if (!emulated("reactor_freed_with_children_watched", OWN_DESCRIPTORS))
		ck_assert_uint_lt(open_descriptors(), open);
	/* Another reactor may have it now. */
	total = 0;
	watch(other, &w[0], w[0].pid);
	kill(w[0].pid, SIGKILL);
	turns_until(other, &total, 1);
	hark_reactor_free(other);
}

START_TEST(reactor_freed_with_children_watched)
{
	if (!skipped(_i, "reactor_freed_with_children_watched"))
		free_with_children(false);
}
END_TEST

START_TEST(reactor_freed_in_a_childs_callback)
{
	if (!skipped(_i, "reactor_freed_in_a_childs_callback"))
		free_with_children(true);
}
END_TEST

START_TEST(watched_child_keeps_the_run_going)
{
	struct hark_reactor *r;
	struct watched w;

	if (skipped(_i, "watched_child_keeps_the_run_going"))
		return;
	r = new_reactor(NULL);
	fflush(NULL);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		usleep(50000);
		_exit(3);
	}
	watch(r, &w, pid);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(total, 1);
	ck_assert_int_eq(WEXITSTATUS(w.status), 3);
	watch(r, &w, lasting_child());
	hark_child_stop(&w.child);
	ck_assert_int_eq(hark_reactor_run(r), 0); /* nothing keeps it */
	kill_and_reap(w.pid);
	hark_reactor_free(r);
}
END_TEST

/* Descriptors. */

#define LIMIT 64

START_TEST(without_descriptors_start_says_so_and_changes_nothing)
{
	struct hark_reactor *r;
	struct rlimit limit;
	struct watched w, gone;
	int filler[LIMIT] = {0}, n = 0, error;

	if (skipped(_i, "without_descriptors_start_says_so_and_changes_nothing"))
		return;
	r = new_reactor(NULL);
	w = (struct watched){.pid = lasting_child(), .r = r};
	hark_child_init(&w.child, &ops);
	gone.pid = brief_child(1);
	wait_for_end(gone.pid);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = LIMIT;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while ((filler[n] = dup(STDERR_FILENO)) >= 0)
		n++;
	ck_assert_int_gt(n, 0);
	error = hark_child_start(r, &w.child, w.pid);
	if (_i == 0) {
		ck_assert_int_eq(error, -EMFILE);
		ck_assert_uint_eq(stats_of(r).children, 0);
		hark_child_stop(&w.child);
		ck_assert_int_eq(hark_reactor_run(r), 0); /* nothing keeps it */
		close(filler[--n]);
		error = hark_child_start(r, &w.child, w.pid);
	}
	ck_assert_int_eq(error, 0);
	watch(r, &gone, gone.pid); /* needs none */
	turns_until(r, &total, 1);
	kill(w.pid, SIGKILL);
	turns_until(r, &total, 2);
	while (n > 0)
		close(filler[--n]);
	hark_reactor_free(r);
}
END_TEST

#ifdef __linux__
/* As when the user's share of epoll watches is used up. */
START_TEST(descriptor_that_the_kernel_refuses_gives_way_to_sigchld)
{
	struct hark_reactor *r;
	struct watched w[2];

	if (!backend_is("epoll"))
		return;
	r = new_reactor(NULL);
	settle(r, 8);
	for (int i = 0; i < 2; i++)
		watch(r, &w[i], lasting_child());
	deny(SYS_epoll_ctl, ENOSPC);
	kill(w[0].pid, SIGKILL); /* before the kernel is asked */
	wait_for_end(w[0].pid);
	turns_until(r, &total, 1);
	settle(r, 8);
	kill(w[1].pid, SIGKILL);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(total, 2);
	ck_assert(WIFSIGNALED(w[0].status) && WIFSIGNALED(w[1].status));
	hark_reactor_free(r);
}
END_TEST
#endif

/* A forked child: the watched are its siblings. */

static void sibling_is_refused(void *with)
{
	struct watched *w = with, own;

	own.pid = brief_child(0);
	hark_child_init(&own.child, &ops);
	ck_assert_int_eq(hark_child_start(w->r, &own.child, own.pid), -ECHILD);
	hark_child_stop(&w[0].child);
	hark_reactor_free(w->r);
	ck_assert_uint_eq(total, 0);
}

static void sibling_goes_on(void *with)
{
	struct watched *w = with, own;
	struct hark_reactor *r = w->r;

	ck_assert_int_eq(hark_reactor_after_fork(r), 0);
	ck_assert_uint_eq(stats_of(r).children, 0);
	ck_assert_int_eq(hark_reactor_run(r), 0); /* nothing keeps it */
	ck_assert_int_eq(hark_child_start(r, &w[0].child, w[0].pid), -ECHILD);
	watch(r, &own, brief_child(6));
	turns_until(r, &total, 1);
	ck_assert_int_eq(WEXITSTATUS(own.status), 6);
	hark_reactor_free(r);
}

START_TEST(forked_child_has_no_part_in_its_siblings)
{
	struct hark_reactor *r;
	struct watched w[2];

	if (skipped(_i, "forked_child_has_no_part_in_its_siblings"))
		return;
	r = new_reactor(NULL);
	for (int i = 0; i < 2; i++)
		watch(r, &w[i], lasting_child());
	settle(r, 8);
	in_child(sibling_is_refused, w);
	in_child(sibling_goes_on, w);
	for (int i = 0; i < 2; i++)
		kill(w[i].pid, SIGKILL);
	turns_until(r, &total, 2);
	ck_assert(WIFSIGNALED(w[0].status) && WIFSIGNALED(w[1].status));
	hark_reactor_free(r);
}
END_TEST

TCase *case_child(void)
{
	TCase *tc = tcase_create("child");

	tcase_add_loop_test(tc, exit_status_and_death_by_signal, 0, MODES);
	tcase_add_loop_test(tc, child_that_stops_and_goes_on_has_not_ended, 0, MODES);
	tcase_add_loop_test(tc, gone_already_when_started, 0, MODES);
	if (long_tests)
		tcase_add_loop_test(tc, thousand_children_at_once, 0, WAYS);
	tcase_add_loop_test(tc, reaps_only_what_it_was_given, 0, MODES);
	tcase_add_loop_test(tc, start_errors_change_nothing, 0, MODES);
	tcase_add_loop_test(tc, stop_leaves_the_child_to_waitpid, 0, MODES);
	tcase_add_loop_test(tc, freed_and_started_again_in_its_own_callback, 0, MODES);
	tcase_add_loop_test(tc, stopped_and_freed_in_anothers_callback, 0, MODES);
	tcase_add_loop_test(tc, sigchld_ignored_by_the_program_is_reported, 0, MODES);
	tcase_add_loop_test(tc, reaped_by_the_program_is_reported, 0, MODES);
	tcase_add_loop_test(tc, two_reactors_watch_one_child, 0, MODES);
	tcase_add_loop_test(tc, reactor_freed_with_children_watched, 0, MODES);
	tcase_add_loop_test(tc, reactor_freed_in_a_childs_callback, 0, MODES);
	tcase_add_loop_test(tc, watched_child_keeps_the_run_going, 0, MODES);
	tcase_add_loop_test(tc, without_descriptors_start_says_so_and_changes_nothing, 0, MODES);
#ifdef __linux__
	tcase_add_test(tc, descriptor_that_the_kernel_refuses_gives_way_to_sigchld);
#endif
	tcase_add_loop_test(tc, forked_child_has_no_part_in_its_siblings, 0, MODES);
	return tc;
}
