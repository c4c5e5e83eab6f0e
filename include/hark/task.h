/* hark/task.h - tasks: straight-line code that waits, without a thread or a stack of its own.
 *
 * A task is a function that runs until it awaits something, is left, and goes on behind the await
 * when that has come:
 *
 *	struct greeter {
 *		struct hark_task task;
 *		int greetings;
 *	};
 *
 *	static ssize_t greet(struct hark_task *t)
 *	{
 *		struct greeter *g = (struct greeter *)t;
 *		ssize_t n;
 *
 *		HARK_TASK_BEGIN(t);
 *		while (g->greetings-- > 0) {
 *			puts("hello");
 *			HARK_AWAIT(t, n, hark_await_delay(t, HARK_MS(100)));
 *			if (n < 0)
 *				return n;
 *		}
 *		HARK_TASK_END(t);
 *		return 42;
 *	}
 *
 * A task is itself a handler, of the descriptor in handler.fd, and what it wants is what it awaits:
 * the verbs of hark/io.h are called on &t->handler. To await readiness adds the handler when it is
 * not added, and the end of the task removes it. Before a task closes that descriptor, or puts
 * another in its place, it calls hark_handler_remove(&t->handler).
 *
 * The rules of the macros, which are a switch on the line where the task was left:
 *   - Local variables do not survive an await: what must is in the caller's struct. (C++ does not
 *     let a local be initialized between an await and HARK_TASK_END but in a block of its own.)
 *   - No await inside a switch of the task's own, no two awaits in one line, and none in a function
 *     that the task calls: make that a task and await it.
 *
 * The caller owns the task and everything in its struct. It must stay where it is from
 * hark_task_start until it has ended. The end is the moment handle_done is called, or where there
 * is none, its function has returned: so a task is not freed inside its own function, but in
 * handle_done.
 *
 * A task's code runs only in a turn of its reactor, or inside hark_task_cancel. Where there is
 * nothing to wait for (the other task has ended, the job's queue is full), it goes on in the next
 * turn, and the others get theirs before. What keeps hark_reactor_run going is not the task but
 * what it awaits, and its handler, which is added from its first wait for a descriptor to its end.
 *
 * Threads: the owner of the reactor only; in a debug build another thread gets -EPERM. */
#ifndef HARK_TASK_H
#define HARK_TASK_H

#include <hark/handler.h>
#include <hark/timer.h>
#include <hark/worker.h>

HARK_BEGIN_DECLS

struct hark_task;

struct hark_task_ops {
	/* The task's code. What it returns is its result: by custom 0 or more, or -errno. */
	ssize_t (*run)(struct hark_task *t);

	/* The task has ended, with that result, also by hark_task_cancel; hark holds no pointer to
	 * it: t may be freed or started again here. May be NULL. */
	void (*handle_done)(struct hark_task *t, ssize_t result);

	/* Shown by hark_reactor_dump; a static string. */
	const char *name;
};

/* A task: usually the first member of the caller's own struct. Zeroed but for ops and handler.fd,
 * it is one that is not started. */
struct hark_task {
	struct hark_handler handler; /* handler.fd is yours to set, while it is not added */
	const struct hark_task_ops *ops;

	/* Private. */
	struct hark_reactor *hark_reactor;
	struct hark_timer hark_timer;
	struct hark_link hark_link;
	struct hark_link hark_waiters;
	struct hark_link hark_waiting;
	struct hark_task *hark_other;
	struct hark_job *hark_job;
	ssize_t hark_outcome;
	int hark_line;
	unsigned char hark_state;
	unsigned char hark_awaited;
	unsigned char hark_cancel;
};

/* Makes *t a task that is not started, without a descriptor: handler.fd is -1. Any thread. Not for
 * one that has not ended: cancel it first. */
HARK_API void hark_task_init(struct hark_task *t, const struct hark_task_ops *ops);

/* Starts t, from its beginning. Its code first runs in the present turn of r or the next, not in
 * this call; tasks begin in the order in which they were started. Returns 0, or with nothing
 * changed
 *   -EALREADY  t is started and has not ended
 *   -EINVAL    an argument is NULL, or t has no function
 *   -ECHILD    in a forked child, before hark_reactor_after_fork
 *   -EPERM     the caller does not own r (debug builds) */
HARK_API int hark_task_start(struct hark_reactor *r, struct hark_task *t);

/* Runs r until t has ended, and returns its result; starts it unless it is started. Other handlers
 * and tasks of r go on meanwhile, as in hark_reactor_run. Or, with nothing changed,
 *   -EBUSY                    as hark_reactor_run
 *   -EINVAL, -ECHILD, -EPERM  as hark_task_start, or t is another reactor's (-EINVAL)
 * or, with t not ended and still r's,
 *   -EINTR     hark_reactor_stop came first
 *   -EDEADLK   nothing is left in r that t could be waiting for
 *   -errno     as hark_reactor_run
 * -ECANCELED may also say that a callback freed r. hark_task_result tells what is meant when a task
 * uses these for itself. */
HARK_API ssize_t hark_task_run(struct hark_reactor *r, struct hark_task *t);

/* Ends t: its await ends with -ECANCELED, upon which it should release what it holds and return.
 * It does so within this call, and when that returns 0, hark holds no pointer to t. A task that
 * awaits once more instead is ended right there, with -ECANCELED, and never goes on; one that has
 * not begun does not begin. Returns 0 (also for a task that is not started or has ended) or
 *   -EBUSY  t is running, or awaits a job that has started: its present await, or the next, ends
 *           with -ECANCELED
 *   -EPERM  the caller does not own t's reactor (debug builds)
 *
 * hark_reactor_free lets go of tasks and runs none of their code. A task that was left at an await,
 * or had not begun, is cancelled in the same way afterwards, to have it release what it holds. One
 * whose own code frees the reactor goes on until it returns, or is left at its next await. */
HARK_API int hark_task_cancel(struct hark_task *t);

/* Is t started, and has it not ended? Also true of one that its reactor, freed, has let go of. */
HARK_API bool hark_task_pending(const struct hark_task *t);

/* The result of t if it has ended, else -EINPROGRESS. */
HARK_API ssize_t hark_task_result(const struct hark_task *t);

/* The reactor on which t is started and has not ended, or NULL. */
HARK_API struct hark_reactor *hark_task_reactor(const struct hark_task *t);

/* First and last in a task's code; declarations come before. To run off HARK_TASK_END is to go on
 * behind it, and to return anywhere is to end the task. */
#define HARK_TASK_BEGIN(task)        \
	switch ((task)->hark_line) { \
	default:
#define HARK_TASK_END(task) \
	}                   \
	(void)(task)

/* Awaits what `await`, one of the calls below on the same task, says. Afterwards `result`, a
 * variable of type ssize_t, has what came of it: one that is negative is -ECANCELED in a task that
 * is being cancelled, -ETIMEDOUT when the deadline came first, or what the call says. */
#define HARK_AWAIT(task, result, await)               \
	do {                                          \
		(task)->hark_line = __LINE__;         \
		await;                                \
		return 0;                             \
	case __LINE__:                                \
		(result) = hark_task_outcome((task)); \
	} while (0)

/* For HARK_AWAIT: what came of the last await. */
HARK_API ssize_t hark_task_outcome(const struct hark_task *t);

/* The awaits. But for the task whose code is running they do nothing. */

/* Awaits that handler.fd is ready for one of `directions` (HARK_RECV, HARK_SEND or both), until a
 * time of hark_reactor_now's clock, or HARK_NEVER. Gives the one that is ready (of both, HARK_RECV
 * first), -EINVAL for no direction, or -errno with which the handler cannot be added
 * (hark_handler_add: -EEXIST, it has another handler) or the kernel refuses the descriptor. As
 * anywhere in hark, an error or a hang-up is readiness, and readiness may be spurious. */
HARK_API void hark_await_ready(struct hark_task *t, unsigned directions, int64_t deadline_ns);

/* Awaits a time, or that so many nanoseconds have gone by; 0 lets everybody else have a turn. Gives
 * 0. */
HARK_API void hark_await_until(struct hark_task *t, int64_t deadline_ns);
HARK_API void hark_await_delay(struct hark_task *t, int64_t delay_ns);

/* Submits j to p and awaits that it is done; its handle_done is called as ever, before the task
 * goes on. Gives 0, -ECANCELED also when the job was cancelled by others, -ECHILD when a fork has
 * left it to the parent, or -errno with which hark_job_submit refuses it: -EAGAIN, the queue is
 * full. */
HARK_API void hark_await_job(struct hark_task *t, struct hark_pool *p, struct hark_job *j);

/* Awaits the end of another task of the same reactor, and gives its result, also if it has ended
 * already. Starts it if it never was. Several may await it. It goes on by itself when the deadline
 * comes first, or the task that awaits it is cancelled. Its handle_done is called before those that
 * await it go on. Gives -EDEADLK when that task awaits, directly or not, this one, and -EINVAL when
 * it is another reactor's. */
HARK_API void hark_await_task(struct hark_task *t, struct hark_task *other, int64_t deadline_ns);

HARK_END_DECLS

#endif
