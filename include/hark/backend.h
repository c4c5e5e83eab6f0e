/* hark/backend.h - for authors of backends: how a reactor reaches a kernel.
 *
 * A backend is four functions over one kernel object. It runs no user code, keeps no table of
 * descriptors and knows no timers. The reactor owns a slot for each descriptor, hands changes to
 * modify before each wait, and gets readiness back through hark_ready from inside wait; callbacks
 * come afterwards. All functions of one state are called by one thread at a time.
 *
 * A wrapper is a backend that stands before another one in a chain, "trace:chaos:epoll", and sees,
 * bends or holds back what passes between that and the reactor. The last link of a chain is no
 * wrapper, all before it are; there are at most eight. Links are opened from the last to the first
 * and closed from the first to the last. When the kernel object has to be replaced, the last link
 * gets a new state; the wrappers keep theirs, also in a forked child. */
#ifndef HARK_BACKEND_H
#define HARK_BACKEND_H

#include <hark/base.h>
#include <sys/socket.h>
#include <time.h>

HARK_BEGIN_DECLS

struct hark_handler;
struct hark_port; /* where a backend reports to */
struct hark_stats;

/* In modify's want and a slot's armed, beside HARK_RECV, HARK_SEND and HARK_URGENT: report each
 * direction once when it becomes ready, again when it becomes ready anew, and at once when it is
 * ready at the time of the call (EPOLLET, EV_CLEAR). Only asked of backends that can. */
#define HARK_EDGE 0x10u

/* In the events of hark_ready, beside HARK_RECV, HARK_SEND, HARK_URGENT and HARK_BROKEN: the peer
 * has ended its side (with HARK_RECV); and this arming is used up, so that modify is called again
 * if it is still wanted. */
#define HARK_RDHUP 0x20u
#define HARK_SPENT 0x40u

/* From wait. */
#define HARK_FULL 0x01 /* there may be more events than were reported */
#define HARK_DEAD 0x02 /* the kernel object has a registration that no slot owns: replace it */

/* hark_backend.can */
#define HARK_CAN_EDGE 0x01u  /* modify understands HARK_EDGE */
#define HARK_CAN_SHORT 0x02u /* edges report HARK_RDHUP and HARK_URGENT unasked */
#define HARK_CAN_BATCH 0x04u /* a change costs no system call of its own */
#define HARK_CAN_WRAP 0x80u  /* it is a wrapper */

/* What a reactor knows of one descriptor. The reactor writes it all, but for word. */
struct hark_slot {
	struct hark_handler *handler; /* NULL: nobody's */
	uintptr_t word;               /* the backend's own; 0 whenever armed leaves 0 */
	uint32_t generation;          /* increased each time armed leaves 0 */
	uint8_t want;                 /* what the handler last said it wants */
	uint8_t armed;                /* what modify was last told, successfully */
	uint8_t ready;                /* reported, and not known to be used up */
	uint8_t flags;                /* the reactor's */
};

/* The verbs of hark/io.h. */
enum hark_verb {
	HARK_VERB_RECV,
	HARK_VERB_SEND,
	HARK_VERB_RECVFROM,
	HARK_VERB_SENDTO,
	HARK_VERB_RECVMSG,
	HARK_VERB_SENDMSG,
	HARK_VERB_READ,
	HARK_VERB_WRITE,
	HARK_VERB_ACCEPT
};

/* One of them on its way through a chain. */
struct hark_io {
	enum hark_verb verb;
	int fd;
	int flags;             /* but for read, write and accept */
	void *buf;             /* of those that send, only to be read */
	size_t len;            /* a wrapper may lessen it: a read of less than this is short */
	struct sockaddr *addr; /* recvfrom, accept: NULL or room; sendto: NULL or the receiver */
	socklen_t *addrlen;    /* with addr */
	struct msghdr *msg;    /* recvmsg; of sendmsg, only to be read */
};

struct hark_backend {
	const char *name;  /* letters, digits, '-' and '_' */
	size_t state_size; /* bytes of state, which the reactor allocates and zeroes */
	unsigned can;      /* HARK_CAN_x */

	/* Opens the kernel object; the one before it may still be open, in another state. up is
	 * valid until close. Returns 0, or -errno with nothing left to close. */
	int (*open)(void *state, struct hark_port *up);

	/* Closes it and frees what state holds. forked: this is a child, and the object its
	 * parent's: let go of it without changing it. */
	void (*close)(void *state, bool forked);

	/* Changes the registration of fd from slot->armed to want; 0 ends it, and must then succeed
	 * or find that the kernel has already forgotten it. fd's events are to be reported with
	 * slot->generation. Returns 0 or -errno: -EPERM says that the kernel cannot watch fd
	 * because it is always ready; -ENOENT, when armed is not 0, that it no longer knows fd,
	 * which is then armed anew; any other that it refuses. */
	int (*modify)(void *state, int fd, struct hark_slot *slot, unsigned want);

	/* Waits for events, for at most *timeout (NULL: for ever), reports each through hark_ready,
	 * and returns HARK_FULL | HARK_DEAD or -errno (-EINTR when a signal came first). */
	int (*wait)(void *state, const struct timespec *timeout);

	/* The rest may be NULL; in a wrapper everything above, too. What a wrapper leaves out goes
	 * to the next in the chain as if the wrapper were not there. */

	/* Makes room to watch fd, so that modify and wait need no memory for it. Called in each
	 * link of a chain. Returns 0 or -errno. */
	int (*reserve)(void *state, int fd);

	/* Tells the kernel now what modify has put off until wait: after a removal, and before an
	 * outer loop waits. Returns 0, 1 if wait would report something that fd's descriptor does
	 * not show, or -errno. */
	int (*submit)(void *state);

	/* A descriptor that polls readable when wait would report something, or -errno. */
	int (*fd)(void *state);

	/* A clock of the backend's own, in nanoseconds. */
	int64_t (*now)(void *state);

	/* Only of wrappers. (What a wrapper's modify passes on it passes on as it came, and
	 * slot->word is the last link's.) */

	/* The next in the chain reports, from inside its wait, what hark_ready says below. To pass
	 * it on, now or from inside a later wait, is to call hark_ready. What is held back must not
	 * be slept upon, and must have its slot's generation: whatever else comes is passed on at
	 * once. Returns what hark_ready returned, or true. */
	bool (*ready)(void *state, int fd, uint32_t generation, unsigned events);

	/* The same of what hark_refuse says. */
	void (*refuse)(void *state, int fd, uint32_t generation, int error);

	/* A handler's verb, while the handler is added. Returns what the system call returns, or
	 * -errno. An -EAGAIN of the wrapper's own making for a slot with HARK_EDGE armed has to be
	 * followed by a report of readiness: the kernel gives none. */
	ssize_t (*io)(void *state, struct hark_io *io);
};

/* Reports events of fd, registered with generation; only from inside wait. Returns false and
 * drops them if the slot's generation is another: the registration is not the slot's. */
HARK_API bool hark_ready(struct hark_port *up, int fd, uint32_t generation, unsigned events);

/* Reports from inside wait or submit that the kernel refused a registration that modify had
 * accepted; error is an errno, EPERM with the meaning it has in modify. */
HARK_API void hark_refuse(struct hark_port *up, int fd, uint32_t generation, int error);

/* The slot of fd, valid until the caller returns to the reactor, or NULL if there is none. */
HARK_API struct hark_slot *hark_slot(struct hark_port *up, int fd);

/* What stands behind the wrapper to which `up` was given: each does what the function of that name
 * does there. hark_next_io ends in the system call, and hark_next_now in the system's monotonic
 * clock. From inside the wrapper's functions, open and close included; hark_next_wait from inside
 * wait. */
HARK_API int hark_next_modify(struct hark_port *up, int fd, struct hark_slot *slot, unsigned want);
HARK_API int hark_next_wait(struct hark_port *up, const struct timespec *timeout);
HARK_API int hark_next_submit(struct hark_port *up);
HARK_API int64_t hark_next_now(struct hark_port *up);
HARK_API ssize_t hark_next_io(struct hark_port *up, struct hark_io *io);

/* What the name of the chain says for this wrapper after a '=', as in "chaos=seed=42:epoll"; NULL
 * if nothing. Valid as long as up is. */
HARK_API const char *hark_port_settings(const struct hark_port *up);

/* From inside open, before it fails: the reason in words, for options.why. Cut to 127 bytes; not
 * needed where the errno says it. */
HARK_API void hark_port_why(struct hark_port *up, const char *reason);

/* The name of the handler of fd, for reports, or NULL. */
HARK_API const char *hark_port_name(struct hark_port *up, int fd);

/* Fills *stats with the counts of the reactor (hark/reactor.h). */
HARK_API void hark_port_stats(struct hark_port *up, struct hark_stats *stats);

/* Makes a backend known to this process by its name, for options.backend and HARK_BACKEND; never
 * for the automatic choice. backend must remain valid for ever. Any thread. Returns 0, -EEXIST
 * when the name is taken, -EINVAL when the name or a needed member is missing or ill-formed, or a
 * member is there that only wrappers have, or -ENOSPC when there are 16 already. */
HARK_API int hark_backend_register(const struct hark_backend *backend);

/* The index-th backend that is built in, best first, or registered; NULL past the last. (The
 * wrappers that are built in are not among them: trace, chaos, virtual.) Any thread. That one is
 * listed does not say that it works here: hark_reactor_new tells. */
HARK_API const struct hark_backend *hark_backend_at(unsigned index);

HARK_END_DECLS

#endif
