/* hark/reactor.h - the reactor: asks handlers, tells a backend, waits, and dispatches.
 *
 * Threads: hark_post and hark_reactor_stop may be called by any thread, and no other function of
 * a reactor may: they belong to its owner, which is the thread inside hark_reactor_run or
 * hark_reactor_turn and, while none is, any one thread at a time. A debug build checks the
 * functions that change something: one with a result answers -EPERM, any other does nothing, and
 * both are counted in hark_stats.misuses. Reactors share nothing; run one a thread.
 *
 * A fork(2) leaves the child with a copy whose kernel object is still the parent's. Until the child
 * calls hark_reactor_after_fork, adding, running and waiting answer -ECHILD there, and removing
 * and freeing leave the parent's alone. (A raw clone(2) or _Fork(3) goes unnoticed: what
 * pthread_atfork(3) is not told of, hark cannot know.) */
#ifndef HARK_REACTOR_H
#define HARK_REACTOR_H

#include <hark/handler.h>
#include <stdio.h>

HARK_BEGIN_DECLS

/* A callback that took long. */
struct hark_slow {
	const char *name; /* of the ops, as they were when it was called; NULL if they have none */

	/* "recv", "send", "urgent", "ready" and "error" are handlers' callbacks; "message",
	 * "timer", "signal"; "job" is a handle_done, "child" a handle_exit, "task" a task's code up
	 * to its next await or its end, that included. A static string. */
	const char *event;

	int fd;     /* a handler's or task's, which may be closed by now; -1 for the others */
	int64_t ns; /* how long it took; a handler's questions that follow it are part of it */
};

/* What hark_reactor_new may be told; zeroed members are the defaults. It is read during the call
 * only, but for what its members say. */
struct hark_options {
	/* The backend's name, or a chain of wrappers and a backend, "trace:epoll"; NULL: the
	 * environment's HARK_BACKEND (ignored in a setuid program), else the best that works
	 * here. */
	const char *backend;

	/* Ask every handler every turn, and report each one whose answer changed though nobody
	 * called hark_handler_refresh. O(handlers) a turn: for finding forgotten refreshes. */
	bool audit;

	/* Called for each such handler (which is treated as if it had been refreshed): it was last
	 * known to want `known` and now wants `wanted`, sets of HARK_RECV and so on. May be NULL:
	 * hark_stats.unrefreshed counts them too. It must not add or remove handlers. */
	void (*handle_audit)(struct hark_reactor *r, struct hark_handler *h, unsigned known,
	                     unsigned wanted);

	/* Before a wait that would sleep, look for messages for this many nanoseconds first. Burns
	 * the processor to make hark_post's latency a fraction of a wake-up. 0: never. */
	int64_t spin_ns;

	/* Report each callback that takes this many nanoseconds or more, and measure turns for
	 * hark_stats. Costs a reading of the clock for each callback and a few for each turn. 0:
	 * off; nothing is measured, and no clock read for it. */
	int64_t slow_ns;

	/* Called for each such callback, right after it, and may do all that the callback itself
	 * may: add and remove, free what was called, free the reactor. It is not measured. Not
	 * called after a callback that has freed the reactor, nor in a child that it has forked.
	 * May be NULL: hark_stats.slow counts them too. */
	void (*handle_slow)(struct hark_reactor *r, const struct hark_slow *slow);

	/* Where hark_reactor_new puts, when it fails, the reason in words: a string that is always
	 * terminated and is cut to why_size bytes. May be NULL. Emptied on success. */
	char *why;
	size_t why_size;
};

/* How many lengths hark_stats tells apart. */
#define HARK_TURN_LENGTHS 24

/* Counts since the reactor was made. */
struct hark_stats {
	uint64_t turns;       /* rounds of flush, wait and dispatch */
	uint64_t waits;       /* waits of the backend: a system call each */
	uint64_t changes;     /* changes of a registration handed to the backend */
	uint64_t syscalls;    /* that those waits and changes cost; where changes travel with the
	                         wait, the waits alone */
	uint64_t events;      /* readiness reported by the backend and taken */
	uint64_t stale;       /* events of registrations that no longer exist, dropped */
	uint64_t rebuilds;    /* kernel objects replaced because of such events */
	uint64_t callbacks;   /* calls of handlers, messages, timers and signals' watchers */
	uint64_t messages;    /* messages handled */
	uint64_t timers;      /* timers called */
	uint64_t signals;     /* watchers of signals called */
	uint64_t wakes;       /* times another thread or a signal had to wake the reactor */
	uint64_t unrefreshed; /* answers that the audit found changed without a refresh */
	uint64_t misuses;     /* calls by a thread that does not own the reactor (debug builds) */
	uint64_t handlers;    /* handlers added now */
	uint64_t jobs;        /* jobs submitted and not yet done */
	uint64_t children;    /* children watched */
	uint64_t tasks;       /* tasks started and not yet ended */

	/* Measured only with options.slow_ns, else 0. The share of time spent waiting is
	 * waiting_ns / (waiting_ns + working_ns); time outside of run and turn is in neither. */
	uint64_t slow;      /* callbacks that took slow_ns or more */
	int64_t waiting_ns; /* in the waits of the backend, and spinning before them */
	int64_t working_ns; /* in all else: mostly callbacks */

	/* How many turns took how long, the wait left out: [0] less than a microsecond, [i] at
	 * least 2^(i-1) and less than 2^i microseconds, the last 2^(HARK_TURN_LENGTHS - 2), about 4
	 * seconds, and all longer. A turn is counted here when it ends. */
	uint64_t turn_lengths[HARK_TURN_LENGTHS];
};

/* Makes a reactor; the caller frees it with hark_reactor_free. Every descriptor that it will need
 * is opened here. options may be NULL. Returns 0 and sets *r, or leaves *r alone and answers
 *   -ENOENT   no backend or wrapper of that name is built in or registered
 *   -EINVAL   r is NULL, spin_ns or slow_ns is negative, or the name is none that a backend can
 *             have (letters, digits, - and _), or no chain
 *   -errno    of what the system refused: -EMFILE, -ENFILE, -ENOMEM, -ENOSYS, -EPERM ...
 * A backend that was asked for by name is never replaced by another: options.why names those that
 * would work. Without a name, backends that do not work here are passed over. */
HARK_API int hark_reactor_new(struct hark_reactor **r, const struct hark_options *options);

/* Frees r and detaches everything added to it or queued: a later remove or withdraw of one of
 * them does nothing. Jobs that run are waited for (hark/worker.h). NULL does nothing. Inside a
 * callback of r, everything is detached at once and hark_reactor_run or hark_reactor_turn returns
 * 0 after that callback. */
HARK_API void hark_reactor_free(struct hark_reactor *r);

/* Runs turns until hark_reactor_stop, or until nothing is left that could produce an event: no
 * handler, no timer but background ones, no job, no child, and no queued message. Returns 0 or
 *   -EBUSY    called from a callback of r, or while another thread runs it
 *   -ECHILD   in a forked child, before hark_reactor_after_fork
 *   -errno    of the wait, or of a descriptor that cannot be watched and whose handler has no
 *             handle_error (it is removed; running again goes on with the rest) */
HARK_API int hark_reactor_run(struct hark_reactor *r);

/* One turn: tells the backend what changed, waits until something is ready, and calls whom it
 * concerns. If nothing is, it gives up after timeout_ns nanoseconds (negative: never; 0: at once),
 * and no sooner, also with nothing added. Returns the number of callbacks run; 0 after the
 * timeout, EINTR or a stop; or -errno as hark_reactor_run. */
HARK_API int hark_reactor_turn(struct hark_reactor *r, int64_t timeout_ns);

/* Ends the current run or turn after its present callbacks, or the next one at once; that uses it
 * up, and several stops before it are one. Any thread, and any signal handler: it is
 * async-signal-safe and keeps errno. */
HARK_API void hark_reactor_stop(struct hark_reactor *r);

/* In a forked child: gives r a kernel object and a waker of its own and registers everything
 * anew. Returns 0, or -errno with r as it was, to be tried again: -EMFILE, -ENOMEM, or -EBUSY from
 * a callback (which has to return first: the run or turn around it then answers -ECHILD in the
 * child). Jobs and children of the parent are let go of: nobody would end them here. In the
 * parent, or a second time, it does no harm. */
HARK_API int hark_reactor_after_fork(struct hark_reactor *r);

/* The time in nanoseconds of a monotonic clock. In a turn it is read at most once after the wait,
 * when first asked for; between turns it is always fresh. hark_reactor_update reads it anew, for
 * a callback that takes long. */
HARK_API int64_t hark_reactor_now(struct hark_reactor *r);
HARK_API int64_t hark_reactor_update(struct hark_reactor *r);

/* The name of the backend, or of the whole chain; valid as long as r is. */
HARK_API const char *hark_reactor_backend(const struct hark_reactor *r);

/* A descriptor that polls readable when r has something to do, to embed r in another loop; -ENOTSUP
 * where the backend has none (select, poll), -ECHILD in a forked child, or why there can be none
 * now, such as -EMFILE (on io_uring, which opens another ring when it is first asked). It remains
 * r's and may change: before each wait of the outer loop call hark_reactor_prepare, then this, and
 * afterwards hark_reactor_turn(r, 0). */
HARK_API int hark_reactor_fd(const struct hark_reactor *r);

/* Readies r for a wait of an outer loop: tells the kernel all changes. Runs no handle_x. Returns
 * the nanoseconds until r has something to do without its descriptor becoming readable: 0 now, -1
 * never. */
HARK_API int64_t hark_reactor_prepare(struct hark_reactor *r);

/* Fills *stats. */
HARK_API void hark_reactor_stats(const struct hark_reactor *r, struct hark_stats *stats);

/* Writes to `to`, a line each, what r watches and what keeps it running, by name. */
HARK_API void hark_reactor_dump(const struct hark_reactor *r, FILE *to);

HARK_END_DECLS

#endif
