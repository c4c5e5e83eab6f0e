/* hark/signal.h - signals as events.
 *
 * A watcher has one reactor call it, outside of signal context, when a signal has been delivered
 * to the process. Any number of watchers, on any reactors in any threads, may watch the same
 * signal; each is told of each delivery. The handler is installed with the first watcher of a
 * signal and the disposition that was there before comes back with the last; while one watches,
 * leave the signal's disposition alone. The caller owns the watcher. Watchers do not keep
 * hark_reactor_run going.
 *
 * Threads: start and stop belong to the owner of the reactor. Not to be called from signal
 * handlers. */
#ifndef HARK_SIGNAL_H
#define HARK_SIGNAL_H

#include <hark/base.h>

HARK_BEGIN_DECLS

struct hark_signal;

struct hark_signal_ops {
	/* The signal was delivered count times since the last call (or the start): none is lost
	 * but those that the kernel itself merges. Anything may be done here. */
	void (*handle_signal)(struct hark_signal *s, unsigned count);

	/* Shown by hark_reactor_dump; a static string. */
	const char *name;
};

/* A watcher: usually a member of the caller's own struct. Zeroed but for ops, it is one that is not
 * started. While it is started it must stay where it is. */
struct hark_signal {
	const struct hark_signal_ops *ops;

	/* Private. */
	struct hark_reactor *hark_reactor;
	struct hark_signal *hark_next;
	struct hark_link hark_link;
	int hark_number;
	unsigned hark_count;
};

/* Makes *s a watcher that is not started. */
HARK_API void hark_signal_init(struct hark_signal *s, const struct hark_signal_ops *ops);

/* Has r call s when signal `number` is delivered. Returns 0, or with nothing changed
 *   -EALREADY  s is started
 *   -EINVAL    an argument is NULL, or the system lets nobody catch that signal
 *   -ECHILD    in a forked child, before hark_reactor_after_fork
 *   -EPERM     the caller does not own r (debug builds) */
HARK_API int hark_signal_start(struct hark_reactor *r, struct hark_signal *s, int number);

/* Stops s: when it returns, hark holds no pointer to s, and deliveries that it has not been told
 * of are forgotten. Does nothing when s is not started. */
HARK_API void hark_signal_stop(struct hark_signal *s);

HARK_END_DECLS

#endif
