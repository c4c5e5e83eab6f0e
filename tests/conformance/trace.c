/* trace.c - the trace of a reactor on the backend under test: where its lines go, and that nothing
 * that becomes of them disturbs the program. What they say is compared in tests/trace. */
#include "actor.h"
#include "bender.h"
#include "cases.h"
#include "faulty.h"
#include "traces.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* A reactor on "trace=FILE:BEHIND", or on "trace:BEHIND" if file is NULL. */
static struct hark_reactor *traced(const char *file, const char *behind)
{
	struct hark_reactor *r = NULL;
	char chain[256], why[256];
	struct hark_options options = {.backend = chain, .why = why, .why_size = sizeof why};
	int error;

	snprintf(chain, sizeof chain, "trace%s%s:%s", file ? "=" : "", file ? file : "", behind);
	error = hark_reactor_new(&r, &options);
	ck_assert_msg(error == 0, "%s", why);
	return r;
}

/* Some of everything; n bytes come and go. */
static void work(struct hark_reactor *r, unsigned n)
{
	struct actor *a = actor_new(r);

	for (unsigned i = 1; i <= n; i++) {
		actor_feed(a, 1);
		a->send = true;
		hark_handler_refresh(&a->handler);
		turns_until(r, &a->recvs, i);
		turns_until(r, &a->sends, 1);
		a->send = false;
		hark_handler_refresh(&a->handler);
	}
	actor_free(a);
}

static void parse(const char *line, int *pid, unsigned *reactor, char what[16])
{
	int seconds, rest, end = 0;

	ck_assert_msg(sscanf(line, "%d.%6d %d.%u %15[a-z]%n", &seconds, &rest, pid, reactor, what,
	                     &end) == 5 &&
	                      (line[end] == ' ' || line[end] == '\0'),
	              "no line of a trace: '%s'", line);
}

static unsigned count(const char *text, const char *words)
{
	unsigned n = 0;

	for (text = strstr(text, words); text; text = strstr(text + 1, words))
		n++;
	return n;
}

/* ---- What it says, where it takes a reactor of one's own to know ---- */

START_TEST(each_wait_says_how_many_were_ready)
{
	struct hark_reactor *r;
	struct actor *a[5];
	unsigned reports = 0, all = 0, told = 0, reactor;
	char *text, *line, what[16];
	int pid;

	trace_new_file();
	r = traced(trace_path, backend);
	for (int i = 0; i < 5; i++)
		a[i] = actor_new(r);
	for (unsigned n = 1; n <= 5; n++) {
		for (unsigned i = 0; i < n; i++)
			actor_feed(a[i], 1);
		settle(r, 8);
	}
	for (int i = 0; i < 5; i++)
		actor_free(a[i]);
	all = (unsigned)stats_of(r).events;
	hark_reactor_free(r);
	text = trace_text(trace_path);
	while ((line = trace_next_line(&text))) {
		parse(line, &pid, &reactor, what);
		ck_assert_int_eq(pid, getpid());
		reports += !strcmp(what, "ready");
		if (strcmp(what, "woke") != 0)
			continue;
		told = (unsigned)strtoul(strstr(line, "woke") + 4, NULL, 10);
		ck_assert_msg(told == reports, "%u reports before '%s'", reports, line);
		all -= reports;
		reports = 0;
	}
	ck_assert_uint_eq(all, 0);
	unlink(trace_path);
}
END_TEST

START_TEST(stale_reports_have_no_name)
{
	struct hark_reactor *r;
	struct hark_port *up;
	struct actor *a;
	uint32_t generation;
	char words[64];

	trace_new_file();
	bender_register();
	snprintf(words, sizeof words, "bender:%s", backend);
	r = traced(trace_path, words);
	a = actor_new(r);
	settle(r, 4);
	up = bender_at("")->up;
	generation = hark_slot(up, a->handler.fd)->generation;
	ck_assert(!hark_ready(up, a->handler.fd, generation + 1, HARK_RECV | HARK_RDHUP));
	hark_refuse(up, a->handler.fd, generation + 1, ENODEV);
	ck_assert_uint_eq(stats_of(r).stale, 2);
	ck_assert(hark_ready(up, a->handler.fd, generation, HARK_RECV | HARK_BROKEN));
	snprintf(words, sizeof words, " ready    fd %d: r-- rdhup stale\n", a->handler.fd);
	ck_assert_ptr_nonnull(strstr(trace_text(trace_path), words));
	snprintf(words, sizeof words, " refuse   fd %d stale = ENODEV (", a->handler.fd);
	ck_assert_ptr_nonnull(strstr(trace_text(trace_path), words));
	snprintf(words, sizeof words, " ready    fd %d actor: r-- broken\n", a->handler.fd);
	ck_assert_ptr_nonnull(strstr(trace_text(trace_path), words));
	actor_free(a);
	hark_reactor_free(r);
	unlink(trace_path);
}
END_TEST

START_TEST(refusals_and_replaced_kernel_objects_are_told_of)
{
	struct hark_reactor *r;
	struct actor *a = actor_make();
	char words[64];

	trace_new_file();
	faulty_register();
	r = traced(trace_path, FAULTY_NAME);
	faulty = (struct faulty){.fd = a->handler.fd, .late = ENODEV};
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	turns_until(r, &a->errors, 1);
	ck_assert_int_eq(a->error, ENODEV);
	snprintf(words, sizeof words, " refuse   fd %d actor = ENODEV (", a->handler.fd);
	ck_assert_ptr_nonnull(strstr(trace_text(trace_path), words));
	faulty.refuse = EPERM;
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	settle(r, 1);
	snprintf(words, sizeof words, " change   fd %d actor: --- -> r-- = EPERM (always ready)\n",
	         a->handler.fd);
	ck_assert_ptr_nonnull(strstr(trace_text(trace_path), words));
	faulty.dead = true;
	settle(r, 1);
	ck_assert_uint_eq(stats_of(r).rebuilds, 1);
	ck_assert_ptr_nonnull(strstr(trace_text(trace_path), " s dead\n"));
	faulty.wait = EINTR;
	settle(r, 1);
	ck_assert_ptr_nonnull(strstr(trace_text(trace_path), " s = EINTR ("));
	actor_free(a);
	hark_reactor_free(r);
	unlink(trace_path);
}
END_TEST

/* ---- Whose lines they are ---- */

#define THREADS 4

static void *trace_in_a_thread(void *with)
{
	struct hark_reactor *r = with;
	struct actor *a = actor_new(r);

	for (unsigned i = 1; i <= 100; i++) {
		actor_feed(a, 1);
		turns_until(r, &a->recvs, i);
	}
	actor_free(a);
	hark_reactor_free(r);
	return NULL;
}

START_TEST(reactors_and_threads_share_a_file)
{
	struct hark_reactor *r[THREADS];
	pthread_t threads[THREADS];
	unsigned lines[THREADS + 1] = {0}, reactor;
	char *text, *line, what[16];
	int pid;

	trace_new_file();
	for (int i = 0; i < THREADS; i++)
		r[i] = traced(trace_path, backend);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, trace_in_a_thread, r[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	text = trace_text(trace_path);
	while ((line = trace_next_line(&text))) {
		parse(line, &pid, &reactor, what);
		ck_assert(reactor >= 1 && reactor <= THREADS);
		lines[reactor] += !strcmp(what, "recv");
	}
	for (int i = 1; i <= THREADS; i++)
		ck_assert_uint_ge(lines[i], 100);
	unlink(trace_path);
}
END_TEST

static void child_goes_on(void *with)
{
	struct actor *a = with;
	struct hark_reactor *r = hark_handler_reactor(&a->handler);

	ck_assert_int_eq(hark_reactor_after_fork(r), 0);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, a->recvs + 1);
	actor_free(a);
	hark_reactor_free(r);
}

START_TEST(child_has_lines_of_its_own)
{
	struct hark_reactor *r;
	struct actor *a;
	unsigned mine = 0, childs = 0, reactor;
	char *text, *line, what[16];
	int pid;

	trace_new_file();
	r = traced(trace_path, backend);
	a = actor_new(r);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	in_child(child_goes_on, a);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 2);
	actor_free(a);
	hark_reactor_free(r);
	text = trace_text(trace_path);
	while ((line = trace_next_line(&text))) {
		parse(line, &pid, &reactor, what);
		if (!strcmp(what, "recv"))
			*(pid == getpid() ? &mine : &childs) += strstr(line, " = 1") != NULL;
	}
	ck_assert_uint_eq(mine, 2);
	ck_assert_uint_eq(childs, 1);
	ck_assert_uint_eq(count(trace_text(trace_path), " end\n"), 2);
	unlink(trace_path);
}
END_TEST

/* ---- Whatever becomes of them ---- */

START_TEST(standard_error_has_a_descriptor_of_its_own)
{
	char other[] = "/tmp/hark-trace-other-XXXXXX";
	struct hark_reactor *r;
	unsigned opened;
	bool was_open[64];
	int fd;

	trace_new_file();
	ck_assert_int_eq(unsetenv("HARK_TRACE"), 0);
	fd = open(trace_path, O_WRONLY | O_APPEND);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
	opened = open_descriptors();
	for (int i = 0; i < 64; i++)
		was_open[i] = fcntl(i, F_GETFD) >= 0;
	r = traced(NULL, backend);
	for (int i = 0; i < 64; i++)
		ck_assert(was_open[i] || fcntl(i, F_GETFD) < 0 || fcntl(i, F_GETFD) & FD_CLOEXEC ||
		          emulated("standard_error_has_a_descriptor_of_its_own", OWN_DESCRIPTORS));

	/* The program closes it, and its number gets another file's. */
	close(STDERR_FILENO);
	ck_assert_int_eq(mkstemp(other), STDERR_FILENO);
	work(r, 3);
	hark_reactor_free(r);
	ck_assert_str_eq(trace_text(other), "");
	ck_assert_uint_ge(count(trace_text(trace_path), " recv     "), 3);
	ck_assert(emulated("standard_error_has_a_descriptor_of_its_own", OWN_DESCRIPTORS) ||
	          open_descriptors() == opened);

	/* Nor can there be a trace where there is no standard error. */
	char chain[64], why[256];
	struct hark_options options = {.backend = chain, .why = why, .why_size = sizeof why};
	close(STDERR_FILENO);
	opened = open_descriptors();
	snprintf(chain, sizeof chain, "trace:%s", backend);
	int error = hark_reactor_new(&r, &options);
	ck_assert(error == -EBADF || error == -EINVAL); /* or the backend has the number */
	ck_assert_ptr_nonnull(strstr(why, "trace: cannot write to standard error: "));
	ck_assert(emulated("standard_error_has_a_descriptor_of_its_own", OWN_DESCRIPTORS) ||
	          open_descriptors() == opened);
	unlink(trace_path);
	unlink(other);
}
END_TEST

static bool is_pending(int number)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, number);
}

/* Nobody reads any more; the signal that would end the program is left as it was. */
START_TEST(reader_that_is_gone_raises_no_signal)
{
	struct hark_reactor *r;
	sigset_t set;
	int fds[2];

	signal(SIGPIPE, SIG_DFL);
	ck_assert_int_eq(unsetenv("HARK_TRACE"), 0);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	close(fds[1]);
	r = traced(NULL, backend);
	close(fds[0]);
	work(r, 3);

	/* One that is pending stays so, and none joins it. */
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	work(r, 3);
	ck_assert(!is_pending(SIGPIPE));
	pthread_kill(pthread_self(), SIGPIPE);
	work(r, 3);
	ck_assert(is_pending(SIGPIPE));
	signal(SIGPIPE, SIG_IGN); /* takes it away */
	hark_reactor_free(r);
}
END_TEST

/* A file that may grow no more, in the middle of a line; then it may again. */
START_TEST(file_that_may_not_grow_loses_lines_and_says_so)
{
	struct rlimit limit, before;
	struct hark_reactor *r;
	size_t end;
	unsigned torn = 0, reactor, lost = 0;
	char *start, *text, *line, what[16];
	int pid;

	signal(SIGXFSZ, SIG_DFL);
	trace_new_file();
	r = traced(trace_path, backend);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = end = strlen(trace_text(trace_path)) + 20;
	setrlimit(RLIMIT_FSIZE, &limit); /* Check has files of its own: it is not to write now */
	for (int i = 0; i < 40; i++)
		hark_reactor_turn(r, 0);
	setrlimit(RLIMIT_FSIZE, &before);
	ck_assert_uint_eq(strlen(trace_text(trace_path)), end);
	ck_assert(!is_pending(SIGXFSZ));
	work(r, 1);
	hark_reactor_free(r);
	text = start = trace_text(trace_path);
	while ((line = trace_next_line(&text))) {
		if (line + strlen(line) == start + end) {
			torn++; /* as far as it came */
			continue;
		}
		parse(line, &pid, &reactor, what);
		if (!strcmp(what, "lost"))
			lost += (unsigned)strtoul(strstr(line, "lost") + 4, NULL, 10);
	}
	ck_assert_uint_eq(torn, 1);
	ck_assert_uint_gt(lost, 20);
	unlink(trace_path);
}
END_TEST

/* errno means nothing after a call into hark, but a program may look at it all the same. */
START_TEST(full_disk_leaves_no_trace_in_errno)
{
	struct hark_reactor *r;
	struct actor *a;
	char byte;

	if (access("/dev/full", W_OK) != 0) {
		except("full_disk_leaves_no_trace_in_errno", "there is no /dev/full");
		return;
	}
	r = traced("/dev/full", backend);
	a = actor_new(r);
	errno = 0;
	ck_assert_int_eq(hark_send(&a->handler, "x", 1), 1);
	ck_assert_int_eq(errno, 0);
	ck_assert_int_eq(hark_recv(&a->handler, &byte, 1), -EAGAIN);
	ck_assert_int_ne(errno, ENOSPC);
	actor_free(a);
	work(r, 3);
	hark_reactor_free(r);
}
END_TEST

TCase *case_trace(void)
{
	TCase *tc = tcase_create("trace");

	tcase_add_test(tc, each_wait_says_how_many_were_ready);
	tcase_add_test(tc, stale_reports_have_no_name);
	tcase_add_test(tc, refusals_and_replaced_kernel_objects_are_told_of);
	tcase_add_test(tc, reactors_and_threads_share_a_file);
	tcase_add_test(tc, child_has_lines_of_its_own);
	tcase_add_test(tc, standard_error_has_a_descriptor_of_its_own);
	tcase_add_test(tc, reader_that_is_gone_raises_no_signal);
	tcase_add_test(tc, file_that_may_not_grow_loses_lines_and_says_so);
	tcase_add_test(tc, full_disk_leaves_no_trace_in_errno);
	return tc;
}
