/* hark/backend.h - for authors of backends: how a reactor reaches a kernel.
 *
 * A backend is four functions over one kernel object. It runs no user code, keeps no table of
 * descriptors and knows no timers. The reactor owns a slot for each descriptor, hands changes to
 * modify before each wait, and gets readiness back through hark_ready from inside wait; callbacks
 * come afterwards. All functions of one state are called by one thread at a time. */
#ifndef HARK_BACKEND_H
#define HARK_BACKEND_H

#include <hark/base.h>
#include <time.h>

HARK_BEGIN_DECLS

struct hark_handler;
struct hark_port; /* where a backend reports to */

/* In modify's want and a slot's armed, beside HARK_RECV, HARK_SEND and HARK_URGENT: report each
 * direction once when it becomes ready, again when it becomes ready anew, and at once when it is
 * ready at the time of the call (EPOLLET, EV_CLEAR). Only asked of backends that can. */
#define HARK_EDGE 0x10u

/* In the events of hark_ready, beside HARK_RECV, HARK_SEND, HARK_URGENT and HARK_BROKEN. */
#define HARK_RDHUP 0x20u /* the peer has ended its side; with HARK_RECV */
#define HARK_SPENT 0x40u /* this arming is used up; it is armed again if it is still wanted */

/* From wait. */
#define HARK_FULL 0x01 /* there may be more events than were reported */
#define HARK_DEAD 0x02 /* the kernel object has a registration that no slot owns: replace it */

/* hark_backend.can */
#define HARK_CAN_EDGE 0x01u  /* modify understands HARK_EDGE */
#define HARK_CAN_SHORT 0x02u /* edges report HARK_RDHUP and HARK_URGENT unasked */
#define HARK_CAN_BATCH 0x04u /* a change costs no system call of its own */

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

	/* The rest may be NULL. */

	/* Makes room to watch fd, so that modify and wait need no memory for it. Returns 0 or
	 * -errno. */
	int (*reserve)(void *state, int fd);

	/* Tells the kernel now what modify has put off until wait: after a removal, and before an
	 * outer loop waits. Returns 0 or -errno. */
	int (*submit)(void *state);

	/* A descriptor that polls readable when wait would report something, or -errno. */
	int (*fd)(void *state);

	/* A clock of the backend's own, in nanoseconds. */
	int64_t (*now)(void *state);
};

/* Reports events of fd, registered with generation; only from inside wait. Returns false and
 * drops them if the slot's generation is another: the registration is not the slot's. */
HARK_API bool hark_ready(struct hark_port *up, int fd, uint32_t generation, unsigned events);

/* Reports from inside wait or submit that the kernel refused a registration that modify had
 * accepted; error is an errno, EPERM with the meaning it has in modify. */
HARK_API void hark_refuse(struct hark_port *up, int fd, uint32_t generation, int error);

/* The slot of fd, valid until the caller returns to the reactor, or NULL if there is none. */
HARK_API struct hark_slot *hark_slot(struct hark_port *up, int fd);

/* Makes a backend known to this process by its name, for options.backend and HARK_BACKEND; never
 * for the automatic choice. backend must remain valid for ever. Any thread. Returns 0, -EEXIST
 * when the name is taken, -EINVAL when the name or a needed member is missing or ill-formed, or
 * -ENOSPC when there are 16 already. */
HARK_API int hark_backend_register(const struct hark_backend *backend);

/* The index-th backend that is built in, best first, or registered; NULL past the last. Any
 * thread. That one is listed does not say that it works here: hark_reactor_new tells. */
HARK_API const struct hark_backend *hark_backend_at(unsigned index);

HARK_END_DECLS

#endif
