/* child.c - the exit of a child process as an event.
 *
 * Where the system has a descriptor that becomes readable when a process ends (sys.h), that is
 * watched. Elsewhere, in older kernels, and where the backend's kernel object has no room for the
 * descriptor, each SIGCHLD has every watcher look. A child that has ended already is looked at in
 * the next turn, by a timer. In each case the looking is the same: waitpid(2) for this one pid. */
#include "core/core.h"
#include "sys/sys.h"
#include <hark/child.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct hark_child *of_link(struct hark_link *link)
{
	return hark__container(link, struct hark_child, hark_link);
}

/* What has been removed here may have been removed before (cannot_watch). */
static void drop_descriptor(struct hark_reactor *r, struct hark_child *c)
{
	if (c->hark_handler.fd < 0)
		return;
	hark_handler_remove(&c->hark_handler);
	if (hark__process_fd_inherited || !hark__forked(r))
		close(c->hark_handler.fd);
	c->hark_handler.fd = -1;
}

static void detach(struct hark_child *c)
{
	hark_timer_stop(&c->hark_timer);
	hark_signal_stop(&c->hark_signal);
	drop_descriptor(c->hark_reactor, c);
	hark__unlink(&c->hark_link);
	c->hark_reactor->stats.children--;
	c->hark_reactor = NULL;
}

/* Tells c if its child has ended. Returns false if it runs. */
static bool look(struct hark_child *c)
{
	struct hark_reactor *r = c->hark_reactor;
	const char *name = c->ops->name;
	int status = 0;
	pid_t pid;

	do
		pid = waitpid(c->hark_pid, &status, WNOHANG);
	while (pid < 0 && errno == EINTR);
	if (pid == 0)
		return false;
	if (pid < 0)
		status = -errno;
	detach(c);
	c->ops->handle_exit(c, status);
	if (hark__measures(r))
		hark__called(r, name, "child", -1);
	return true;
}

static void process_ended(struct hark_handler *h)
{
	look(hark__container(h, struct hark_child, hark_handler));
}

static void some_child_ended(struct hark_signal *s, unsigned count)
{
	(void)count;
	look(hark__container(s, struct hark_child, hark_signal));
}

/* The system may call it ended a moment before it lets anybody reap it: then nothing else will
 * tell. */
static void had_ended_before(struct hark_timer *t, uint64_t missed)
{
	struct hark_child *c = hark__container(t, struct hark_child, hark_timer);
	bool watched = c->hark_handler.fd >= 0 || c->hark_signal.hark_reactor != NULL;
	struct hark_reactor *r = c->hark_reactor;

	(void)missed;
	if (!look(c) && !watched)
		hark_timer_start(r, t, HARK_MS(1));
}

/* The backend has taken the descriptor and its kernel object refuses it: SIGCHLD needs no room. It
 * may have come already. */
static void cannot_watch(struct hark_handler *h, int error)
{
	struct hark_child *c = hark__container(h, struct hark_child, hark_handler);
	struct hark_reactor *r = c->hark_reactor;

	(void)error;
	drop_descriptor(r, c);
	hark_signal_start(r, &c->hark_signal, SIGCHLD);
	hark_timer_start(r, &c->hark_timer, 0);
}

static const struct hark_handler_ops process_ops = {
	.wants_recv = hark_always,
	.handle_recv = process_ended,
	.handle_error = cannot_watch,
	.name = "child",
};
static const struct hark_signal_ops signal_ops = {
	.handle_signal = some_child_ended,
	.name = "child",
};
static const struct hark_timer_ops timer_ops = {
	.handle_timer = had_ended_before,
	.name = "child",
};

void hark_child_init(struct hark_child *c, const struct hark_child_ops *ops)
{
	*c = (struct hark_child){.ops = ops};
}

/* 1 if pid has ended and waits to be reaped, 0 if it runs, -ECHILD if it is none of ours. */
static int has_ended(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};
	int rc;

	do
		rc = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
	while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return -errno;
	return info.si_pid == pid;
}

/* Has r learn of the end of c's child. */
static int watch(struct hark_reactor *r, struct hark_child *c)
{
	int fd = hark__process_fd(c->hark_pid);
	int error;

	if (fd == -ENOSYS)
		return hark_signal_start(r, &c->hark_signal, SIGCHLD);
	if (fd < 0)
		return fd == -ESRCH ? 0 : fd;
	c->hark_handler.fd = fd;
	error = hark_handler_add(r, &c->hark_handler);
	if (error < 0) {
		close(fd);
		c->hark_handler.fd = -1;
	}
	return error;
}

int hark_child_start(struct hark_reactor *r, struct hark_child *c, pid_t pid)
{
	int error;

	if (r == NULL || c == NULL || c->ops == NULL || c->ops->handle_exit == NULL || pid <= 0)
		return -EINVAL;
	if (hark__foreign(r))
		return -EPERM;
	if (c->hark_reactor != NULL)
		return -EALREADY;
	if (hark__forked(r))
		return -ECHILD;
	for (struct hark_link *link = r->children.next; link != &r->children; link = link->next)
		if (of_link(link)->hark_pid == pid)
			return -EEXIST;
	hark_handler_init(&c->hark_handler, &process_ops, -1);
	hark_signal_init(&c->hark_signal, &signal_ops);
	hark_timer_init(&c->hark_timer, &timer_ops);
	c->hark_pid = pid;
	error = has_ended(pid);
	if (error == 0)
		error = watch(r, c);
	if (error < 0)
		return error;
	/* It has ended, or may have before anybody watched. */
	if (c->hark_handler.fd < 0)
		hark_timer_start(r, &c->hark_timer, 0);
	c->hark_reactor = r;
	hark__append(&r->children, &c->hark_link);
	r->stats.children++;
	return 0;
}

void hark_child_stop(struct hark_child *c)
{
	if (c->hark_reactor != NULL && !hark__foreign(c->hark_reactor))
		detach(c);
}

void hark__detach_children(struct hark_reactor *r)
{
	while (!hark__list_empty(&r->children))
		detach(of_link(r->children.next));
}
