/* starve.c - a process that has run out of descriptors: making a reactor says so and leaks nothing,
 * and a reactor that there is already needs none to go on. */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LIMIT 64

static int taken[LIMIT], taken_count;

/* Takes every descriptor that may still be had. */
static void take_all(void)
{
	struct rlimit limit;
	int fd;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = LIMIT;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while ((fd = dup(STDERR_FILENO)) >= 0)
		taken[taken_count++] = fd;
	ck_assert_int_eq(errno, EMFILE);
}

static void give_back(int n)
{
	while (n-- > 0) {
		ck_assert_int_gt(taken_count, 0);
		close(taken[--taken_count]);
	}
}

/* Fails at each descriptor that it needs, in turn. */
START_TEST(new_without_descriptors_fails_and_leaks_none)
{
	struct hark_reactor *r = NULL;
	char why[200];
	struct hark_options options = {
		.backend = chained(backend), .why = why, .why_size = sizeof why};
	struct actor *a;
	unsigned open;
	int needed = 0, error;

	if (emulated("new_without_descriptors_fails_and_leaks_none", OWN_DESCRIPTORS))
		return;
	take_all();
	for (;;) {
		open = open_descriptors();
		strcpy(why, "untouched");
		error = hark_reactor_new(&r, &options);
		if (error == 0)
			break;
		ck_assert_int_eq(error, -EMFILE);
		ck_assert_ptr_null(r);
		ck_assert_uint_eq(open_descriptors(), open);
		ck_assert_ptr_nonnull(strstr(why, strerror(EMFILE)));
		give_back(1);
		needed++;
	}
	ck_assert_str_eq(why, "");

	/* A reactor without a waker would start, and sleep through every post. */
	ck_assert_int_ge(needed, 1);
	ck_assert_uint_eq(open_descriptors(), open + (unsigned)needed);
	give_back(2);
	a = actor_new(r);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	actor_free(a);
	open = open_descriptors();
	hark_reactor_free(r);
	ck_assert_uint_eq(open_descriptors(), open - (unsigned)needed);
}
END_TEST

/* Left to choose, hark does not take a lesser backend because descriptors have run out. */
START_TEST(best_backend_is_not_replaced_for_want_of_descriptors)
{
	struct hark_reactor *r = NULL;
	char why[200] = "";
	struct hark_options options = {.why = why, .why_size = sizeof why};

	unsetenv("HARK_BACKEND");
	take_all();
	ck_assert_int_eq(hark_reactor_new(&r, &options), -EMFILE);
	ck_assert_ptr_nonnull(strstr(why, strerror(EMFILE)));
	give_back(1);
	while (hark_reactor_new(&r, &options) == -EMFILE)
		give_back(1);
	ck_assert_ptr_nonnull(r);
	ck_assert_str_eq(hark_reactor_backend(r), hark_backend_at(0)->name);
	hark_reactor_free(r);
}
END_TEST

START_TEST(reactors_made_and_freed_leak_no_descriptor)
{
	unsigned open = open_descriptors();

	if (emulated("reactors_made_and_freed_leak_no_descriptor", OWN_DESCRIPTORS))
		return;
	for (int i = 0; i < 50; i++) {
		struct hark_reactor *r = new_reactor(NULL);
		struct actor *a = actor_new(r);

		settle(r, 4);
		hark_reactor_free(r);
		actor_free(a);
		ck_assert_uint_eq(open_descriptors(), open);
	}
}
END_TEST

/* The descriptors of a reactor are not for the programs that this one starts. */
START_TEST(descriptors_are_closed_on_exec)
{
	struct hark_reactor *r;
	bool was_open[LIMIT];
	unsigned own = 0;

	for (int fd = 0; fd < LIMIT; fd++)
		was_open[fd] = fcntl(fd, F_GETFD) >= 0;
	r = new_reactor(NULL);
	for (int fd = 0; fd < LIMIT; fd++)
		if (!was_open[fd] && fcntl(fd, F_GETFD) >= 0) {
			ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
			own++;
		}
	ck_assert_uint_ge(own, 1);
	hark_reactor_free(r);
}
END_TEST

static unsigned letters;

static void count_letter(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	(void)r;
	letters++;
}

static struct hark_reactor *reactor;

static void *post_later(void *with)
{
	nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	if (hark_post(reactor, with))
		return with;
	return NULL;
}

static void *stop_later(void *with)
{
	nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	hark_reactor_stop(reactor);
	return with;
}

START_TEST(running_reactor_needs_no_further_descriptor)
{
	struct actor *level, *edge;
	struct hark_message m;
	pthread_t thread;
	void *failed;

	reactor = new_reactor(NULL);
	level = actor_new(reactor);
	edge = actor_new(reactor);
	take_all();
	actor_make_edge(edge);
	actor_feed(level, 2);
	actor_feed(edge, 2);
	turns_until(reactor, &level->recvs, 2);
	turns_until(reactor, &edge->recvs, 2);
	settle(reactor, 8);
	quiet(reactor, 20);
	hark_message_init(&m, count_letter);
	ck_assert_int_eq(pthread_create(&thread, NULL, post_later, &m), 0);
	turns_until(reactor, &letters, 1);
	pthread_join(thread, &failed);
	ck_assert_ptr_null(failed);
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_later, NULL), 0);
	ck_assert_int_eq(hark_reactor_run(reactor), 0);
	pthread_join(thread, NULL);
	hark_handler_remove(&level->handler);
	ck_assert_int_eq(hark_handler_add(reactor, &level->handler), 0);
	actor_feed(level, 1);
	turns_until(reactor, &level->recvs, 3);
	actor_free(level);
	actor_free(edge);
	hark_reactor_free(reactor);
}
END_TEST

/* A thread that has had turns, and goes on living. */
static struct actor *handed[2];
static pthread_barrier_t stage;

static void *have_the_first_turns(void *with)
{
	struct hark_reactor *r = with;

	handed[0] = actor_new(r);
	handed[1] = actor_new(r);
	actor_make_edge(handed[1]);
	settle(r, 8);
	pthread_barrier_wait(&stage);
	pthread_barrier_wait(&stage);
	return NULL;
}

START_TEST(another_thread_takes_over_without_descriptors)
{
	struct hark_reactor *r = new_reactor(NULL);
	pthread_t first;

	ck_assert_int_eq(pthread_barrier_init(&stage, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&first, NULL, have_the_first_turns, r), 0);
	pthread_barrier_wait(&stage);
	take_all();
	for (unsigned i = 1; i <= 3; i++) {
		unsigned before = handed[1]->recvs;

		actor_feed(handed[0], 1);
		actor_feed(handed[1], 1);
		turns_until(r, &handed[0]->recvs, i);
		turns_until(r, &handed[1]->recvs, before + 1);
	}
	settle(r, 8);
	quiet(r, 20);
	give_back(taken_count);
	pthread_barrier_wait(&stage);
	pthread_join(first, NULL);
	actor_free(handed[0]);
	actor_free(handed[1]);
	hark_reactor_free(r);
}
END_TEST

/* To be embedded may need a descriptor; it can be had later, and nothing is lost meanwhile. */
START_TEST(embedding_without_descriptors_says_so)
{
	exact(EXACT_TURNS | EXACT_CALLS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);
	int fd;

	actor_feed(a, 1);
	turns_until(r, &a->recvs, 1);
	take_all();
	fd = hark_reactor_fd(r);
	ck_assert_msg(fd >= 0 || fd == -ENOTSUP || fd == -EMFILE, "it says %d", fd);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, 2);
	give_back(1);
	if (fd != -ENOTSUP) {
		struct pollfd outer = {.events = POLLIN};

		settle(r, 8);
		ck_assert_int_eq(hark_reactor_prepare(r), -1);
		outer.fd = hark_reactor_fd(r);
		ck_assert_int_ge(outer.fd, 0);
		actor_feed(a, 1);
		ck_assert_int_eq(poll(&outer, 1, 20000), 1);
		turns_until(r, &a->recvs, 3);
	}
	give_back(taken_count);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* A kernel object that has to be replaced, and cannot be for now: nothing of the others is lost,
 * and it is replaced when that has become possible. */
START_TEST(rebuild_without_descriptors_is_tried_again)
{
	exact(EXACT_CALLS | EXACT_TURNS);
	struct hark_reactor *r;
	struct actor *a, *other;
	struct hark_stats stats;
	int keep;

	if (emulated("rebuild_without_descriptors_is_tried_again", KNOTES_STAY))
		return;
	r = new_reactor(NULL);
	a = actor_new(r);
	other = actor_new(r);
	settle(r, 8);
	keep = dup(a->handler.fd);
	close(a->handler.fd);
	hark_handler_remove(&a->handler);
	take_all(); /* the number that a had is taken as well */
	actor_feed(a, 1);
	for (unsigned i = 1; i <= 10; i++) {
		actor_feed(other, 1);
		turns_until(r, &other->recvs, i);
	}
	stats = stats_of(r);
	ck_assert_uint_eq(stats.rebuilds, 0);
	if (backend_is("epoll"))
		ck_assert_uint_ge(stats.stale, 1);
	ck_assert_int_eq(hark_reactor_turn(r, HARK_MS(5)), 0); /* it may spin, but not end early */
	give_back(2);
	hark_reactor_turn(r, HARK_MS(5));
	ck_assert_uint_eq(stats_of(r).rebuilds, backend_is("epoll") ? 1 : 0);
	quiet(r, 30);
	actor_feed(other, 1);
	turns_until(r, &other->recvs, 11);
	close(keep);
	close(a->peer);
	actor_forget(a);
	actor_free(other);
	hark_reactor_free(r);
}
END_TEST

/* accept(2) under EMFILE: the connection waits. */

static unsigned refused, accepted;

static bool open_for_business(const struct hark_handler *h)
{
	(void)h;
	return true;
}

static void take_call(struct hark_handler *h)
{
	int fd = hark_accept(h, NULL, NULL);

	if (fd == -EMFILE) {
		refused++;
		return;
	}
	if (fd == -EAGAIN)
		return;
	ck_assert_int_ge(fd, 0);
	accepted++;
	close(fd);
}

START_TEST(accept_without_descriptors_keeps_the_connection)
{
	exact(EXACT_VERBS);
	static const struct hark_handler_ops ops = {.wants_recv = open_for_business,
	                                            .handle_recv = take_call};
	struct hark_reactor *r = new_reactor(NULL);
	struct sockaddr_in address;
	int listener = tcp_listener(&address), client;
	struct hark_handler h;
	struct actor *a = actor_new(r);

	hark_handler_init(&h, &ops, listener);
	ck_assert_int_eq(hark_handler_add(r, &h), 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	take_all();
	turns_until(r, &refused, 3);
	actor_feed(a, 2); /* the others are served meanwhile */
	turns_until(r, &a->recvs, 2);
	ck_assert_uint_eq(accepted, 0);
	give_back(1);
	turns_until(r, &accepted, 1);
	settle(r, 8);
	quiet(r, 20);
	ck_assert_uint_eq(accepted, 1);
	hark_handler_remove(&h);
	close(listener);
	close(client);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

TCase *case_starve(void)
{
	TCase *tc = tcase_create("starve");

	tcase_add_test(tc, new_without_descriptors_fails_and_leaks_none);
	tcase_add_test(tc, best_backend_is_not_replaced_for_want_of_descriptors);
	tcase_add_test(tc, reactors_made_and_freed_leak_no_descriptor);
	tcase_add_test(tc, descriptors_are_closed_on_exec);
	tcase_add_test(tc, running_reactor_needs_no_further_descriptor);
	tcase_add_test(tc, rebuild_without_descriptors_is_tried_again);
	tcase_add_test(tc, another_thread_takes_over_without_descriptors);
	tcase_add_test(tc, embedding_without_descriptors_says_so);
	tcase_add_test(tc, accept_without_descriptors_keeps_the_connection);
	return tc;
}
