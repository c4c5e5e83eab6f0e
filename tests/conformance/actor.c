/* actor.c - actor.h. */
#include "actor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct actor *actor_of(struct hark_handler *h)
{
	return (struct actor *)(void *)h;
}

static bool actor_wants_recv(const struct hark_handler *h)
{
	return ((const struct actor *)(const void *)h)->recv;
}

static bool actor_wants_send(const struct hark_handler *h)
{
	return ((const struct actor *)(const void *)h)->send;
}

static void actor_receive(struct actor *a)
{
	char byte;

	if (hark_recv(&a->handler, &byte, 1) == 1)
		a->recvs++;
}

static void actor_send(struct actor *a)
{
	if (hark_send(&a->handler, "x", 1) == 1)
		a->sends++;
}

static void actor_end(struct actor *a)
{
	if (a->act)
		a->act(a);
}

static void actor_handle_recv(struct hark_handler *h)
{
	struct actor *a = actor_of(h);

	a->calls++;
	actor_receive(a);
	actor_end(a);
}

static void actor_handle_send(struct hark_handler *h)
{
	struct actor *a = actor_of(h);

	a->calls++;
	actor_send(a);
	actor_end(a);
}

static void actor_handle_ready(struct hark_handler *h, unsigned ready)
{
	struct actor *a = actor_of(h);

	a->calls++;
	a->ready = ready;
	if (ready & HARK_RECV)
		actor_receive(a);
	if (ready & HARK_SEND)
		actor_send(a);
	actor_end(a);
}

static void actor_handle_error(struct hark_handler *h, int error)
{
	struct actor *a = actor_of(h);

	a->calls++;
	a->errors++;
	a->error = error;
	actor_end(a);
}

const struct hark_handler_ops actor_ops = {
	.wants_recv = actor_wants_recv,
	.wants_send = actor_wants_send,
	.handle_recv = actor_handle_recv,
	.handle_send = actor_handle_send,
	.handle_error = actor_handle_error,
	.name = "actor",
};

const struct hark_handler_ops actor_ready_ops = {
	.wants_recv = actor_wants_recv,
	.wants_send = actor_wants_send,
	.handle_ready = actor_handle_ready,
	.handle_error = actor_handle_error,
	.name = "ready actor",
};

const struct hark_handler_ops actor_frail_ops = {
	.wants_recv = actor_wants_recv,
	.wants_send = actor_wants_send,
	.handle_recv = actor_handle_recv,
	.handle_send = actor_handle_send,
	.name = "frail actor",
};

struct actor *actor_make_on(int fd, int peer)
{
	struct actor *a = calloc(1, sizeof *a);

	ck_assert_ptr_nonnull(a);
	hark_handler_init(&a->handler, &actor_ops, fd);
	a->peer = peer;
	a->recv = true;
	return a;
}

struct actor *actor_make(void)
{
	int fds[2];

	socket_pair("unix", fds);
	return actor_make_on(fds[0], fds[1]);
}

struct actor *actor_new(struct hark_reactor *r)
{
	struct actor *a = actor_make();

	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	return a;
}

/* Called through this, or a compiler leaves out what nobody reads before it is freed. */
static void *(*volatile spoil)(void *, int, size_t) = memset;

void bury(void *object, size_t size)
{
	spoil(object, 0x5a, size);
	free(object);
}

void actor_forget(struct actor *a)
{
	bury(a, sizeof *a);
}

void actor_free(struct actor *a)
{
	hark_handler_remove(&a->handler);
	close(a->handler.fd);
	close(a->peer);
	actor_forget(a);
}

void actor_feed(struct actor *a, unsigned n)
{
	while (n--)
		ck_assert_int_eq(write(a->peer, "y", 1), 1);
}

void actor_make_edge(struct actor *a)
{
	struct hark_reactor *r = hark_handler_reactor(&a->handler);
	void (*act)(struct actor *) = a->act;
	bool recv = a->recv, send = a->send;
	char byte;

	a->act = NULL;
	a->recv = true;
	a->send = false;
	hark_handler_refresh(&a->handler);
	actor_feed(a, 1);
	turns_until(r, &a->recvs, a->recvs + 1);
	a->send = true;
	hark_handler_refresh(&a->handler);
	turns_until(r, &a->sends, a->sends + 1);
	a->send = false;
	hark_handler_refresh(&a->handler);
	settle(r, 8);
	while (read(a->peer, &byte, 1) == 1)
		;
	a->act = act;
	a->recv = recv;
	a->send = send;
	hark_handler_refresh(&a->handler);
	a->calls = a->recvs = a->sends = 0;
}

unsigned open_descriptors(void)
{
	struct rlimit limit;
	unsigned n = 0;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	int end = limit.rlim_cur < 65536 ? (int)limit.rlim_cur : 65536;
	for (int fd = 0; fd < end; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			n++;
	return n;
}

bool emulated(const char *test, const char *difference)
{
#ifdef __linux__
	if (backend_is("kqueue")) {
		except(test, difference);
		return true;
	}
#endif
	(void)test, (void)difference;
	return false;
}

#ifndef __has_feature
#define __has_feature(name) 0
#endif

bool signals_are_put_off(const char *test)
{
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
	if (backend_is("select") || backend_is("kqueue") || backend_is("io_uring")) {
		except(test, "ThreadSanitizer puts signals off while it waits");
		return true;
	}
#endif
	(void)test;
	return false;
}

void in_child(void (*body)(void *with), void *with)
{
	int status;

	fflush(NULL);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		body(with);
		exit(EXIT_SUCCESS);
	}
	while (waitpid(pid, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child failed: status %#x",
	              (unsigned)status);
}
