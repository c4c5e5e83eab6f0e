/* hark/child.h - the exit of a child process as an event.
 *
 * A watcher waits for one child that the program has forked, reaps it, and tells its status; hark
 * reaps no pid that it was not given. The caller owns the watcher. A watched child keeps
 * hark_reactor_run going. Threads: the owner of the reactor only.
 *
 * Linux before 5.3, and sandboxes that forbid pidfd_open(2), leave only SIGCHLD to learn it from:
 * there a program must not block that signal, and must leave its disposition alone while it
 * watches (hark/signal.h). */
#ifndef HARK_CHILD_H
#define HARK_CHILD_H

#include <hark/handler.h>
#include <hark/signal.h>
#include <hark/timer.h>

HARK_BEGIN_DECLS

struct hark_child;

struct hark_child_ops {
	/* The child has ended and been reaped. status: as from waitpid(2), for WIFEXITED and so
	 * on; or -ECHILD if somebody else reaped it (SIGCHLD is ignored, say). c is stopped. */
	void (*handle_exit)(struct hark_child *c, int status);

	/* Shown by hark_reactor_dump; a static string. */
	const char *name;
};

/* A watcher: usually a member of the caller's own struct. Zeroed but for ops, it is one that is not
 * started. While it is started it must stay where it is. */
struct hark_child {
	const struct hark_child_ops *ops;

	/* Private. */
	struct hark_reactor *hark_reactor;
	struct hark_link hark_link;
	struct hark_handler hark_handler;
	struct hark_signal hark_signal;
	struct hark_timer hark_timer;
	pid_t hark_pid;
};

/* Makes *c a watcher that is not started. */
HARK_API void hark_child_init(struct hark_child *c, const struct hark_child_ops *ops);

/* Has r call c when the child pid has ended; also if it has already, and nobody has reaped it.
 * Returns 0, or with nothing changed
 *   -ECHILD    pid is no child of this process, or has been reaped (or this process was forked
 *              off the reactor's: see hark_reactor_after_fork)
 *   -EEXIST    r watches pid already
 *   -EALREADY  c is started
 *   -EINVAL    an argument is NULL, or pid is not positive
 *   -EMFILE, -ENFILE, -ENOMEM, and on debug builds -EPERM */
HARK_API int hark_child_start(struct hark_reactor *r, struct hark_child *c, pid_t pid);

/* Stops c: when it returns, hark holds no pointer to c; the child goes on and is the caller's to
 * reap. Does nothing when c is not started. hark_reactor_free stops all, and so does
 * hark_reactor_after_fork in a forked child, whose siblings they are. */
HARK_API void hark_child_stop(struct hark_child *c);

HARK_END_DECLS

#endif
