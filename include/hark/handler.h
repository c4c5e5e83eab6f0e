/* hark/handler.h - a handler: one descriptor, what it wants now, and what it does when it may.
 *
 * The caller owns the handler and its descriptor; hark allocates, moves, frees and closes
 * neither. Interest is a question: the reactor asks wants_recv, wants_send and wants_urgent
 *   - when the handler is added,
 *   - after each call into it,
 *   - and after hark_handler_refresh, which the program calls when something else changed the
 *     answer.
 * Readiness is level-triggered on every backend: a handler that wants to receive is called as
 * long as there may be something to receive, whether it reads all of it or one byte. An error or
 * a hang-up readies every wanted direction; the handler meets it in its next hark_recv or
 * hark_send. A call may be spurious (another process was faster): the verbs of hark/io.h then
 * answer -EAGAIN, and a handler that calls recv(2) itself makes its descriptor nonblocking.
 *
 * Threads: only the reactor's owner (hark/reactor.h) may call these functions on a handler that
 * is added. In a debug build another thread gets -EPERM where there is a result, is otherwise
 * ignored, and either way is counted in hark_stats.misuses. */
#ifndef HARK_HANDLER_H
#define HARK_HANDLER_H

#include <hark/base.h>

HARK_BEGIN_DECLS

struct hark_handler;

/* What handlers of one kind do; usually one static const table a kind. Every member may be NULL,
 * but a wants_x that is set needs its handle_x (or handle_ready). Inside any callback every
 * handler may be added, removed, freed and closed, the one called included; the reactor, too,
 * may be freed. */
struct hark_handler_ops {
	/* Does the handler want this now? NULL: never. hark_always: always, without a call. Cheap,
	 * without side effects, and without calls into hark: it is asked often. */
	bool (*wants_recv)(const struct hark_handler *h);
	bool (*wants_send)(const struct hark_handler *h);
	bool (*wants_urgent)(const struct hark_handler *h);

	/* Called when it is wanted and possible; within a turn urgent data first, then recv, then
	 * send, each only if it is still wanted. */
	void (*handle_recv)(struct hark_handler *h);
	void (*handle_send)(struct hark_handler *h);
	void (*handle_urgent)(struct hark_handler *h);

	/* If set, called instead of the three: once a turn, with all that is wanted and ready
	 * (HARK_RECV | HARK_SEND | HARK_URGENT, and HARK_BROKEN as a hint). Made for gluing
	 * libraries that do their own I/O; the descriptor stays level-triggered in the kernel. */
	void (*handle_ready)(struct hark_handler *h, unsigned ready);

	/* The kernel refuses to watch the descriptor (or, with ENOTSUP, to report its urgent data:
	 * kqueue on FreeBSD and NetBSD); error is a positive errno. The handler is already removed.
	 * Without this callback the refusal ends hark_reactor_run or hark_reactor_turn with -error.
	 */
	void (*handle_error)(struct hark_handler *h, int error);

	/* Shown by hark_reactor_dump; a static string. */
	const char *name;
};

/* A handler: usually the first member of the caller's own struct. Zeroed, it is a handler that is
 * not added, so { .ops = &ops, .fd = fd } works as well as hark_handler_init. While it is added
 * it must stay where it is, and fd and ops must not change. */
struct hark_handler {
	const struct hark_handler_ops *ops;
	int fd;

	/* Private. */
	unsigned hark_flags;
	struct hark_reactor *hark_reactor;
	struct hark_link hark_ready;
	struct hark_link hark_change;
};

/* Answers true: for wants_recv and wants_send of handlers that always want. The reactor knows it
 * and does not call it. Any thread. */
HARK_API bool hark_always(const struct hark_handler *h);

/* Makes *h a handler of fd that is not added. Any thread. Not for one that is added: remove it
 * first. */
HARK_API void hark_handler_init(struct hark_handler *h, const struct hark_handler_ops *ops, int fd);

/* Adds h to r and asks what it wants. From now on h keeps hark_reactor_run going. All the memory
 * that watching it will need is reserved here. Returns 0, or with nothing changed
 *   -EBADF   fd is not an open descriptor
 *   -EEXIST  h is added already, to this reactor or another; or fd has another handler in r
 *            (perhaps of a descriptor that was closed without being removed)
 *   -EINVAL  r, h or ops is NULL, or a wants_x has no handle_x
 *   -ENOMEM  no memory, or a limit of the backend
 *   -ECHILD  this process was forked off the reactor's: see hark_reactor_after_fork
 *   -EPERM   the caller does not own r (debug builds) */
HARK_API int hark_handler_add(struct hark_reactor *r, struct hark_handler *h);

/* Removes h from its reactor. When it returns, hark holds no pointer to h, the kernel no longer
 * watches the descriptor, and h may be freed or added anywhere again. Cannot fail; does nothing
 * when h is not added. Call it before close(2); after it is silent too. */
HARK_API void hark_handler_remove(struct hark_handler *h);

/* Says that h's wants_x may answer differently than when last asked. They are asked again before
 * h is next called, at the latest before the reactor waits; any number of calls in a turn cost
 * one question. Needed only when something other than h's own callbacks changed the answer; does
 * nothing when h is not added. */
HARK_API void hark_handler_refresh(struct hark_handler *h);

/* The reactor that h is added to, or NULL. */
HARK_API struct hark_reactor *hark_handler_reactor(const struct hark_handler *h);

HARK_END_DECLS

#endif
