/* hark/timer.h - timers: one-shot, at a deadline, and periodic.
 *
 * The caller owns the timer; starting one allocates nothing and cannot fail. Times are
 * nanoseconds of the reactor's monotonic clock (hark_reactor_now). A timer is never early, and at
 * most one tick late, about an eighth of a millisecond, beyond what callbacks and the machine make
 * it. (The poll of macOS and the epoll of a Linux before 5.11 wait in whole milliseconds, and may
 * add one.) Timers that come due together are called in the order of their deadlines, those of one
 * deadline in the order in which they were started, unless one was moved there. Those that are due
 * when a turn looks, after its descriptors, are called in it; one that a timer's callback starts,
 * even with 0, waits for the next turn, so that timers cannot starve descriptors.
 *
 * Threads: the owner of the reactor only; in a debug build another thread is ignored and counted
 * in hark_stats.misuses. Any timer may be started, stopped and freed from any callback. */
#ifndef HARK_TIMER_H
#define HARK_TIMER_H

#include <hark/base.h>

HARK_BEGIN_DECLS

struct hark_timer;

/* What timers of one kind do; usually one static const table a kind. */
struct hark_timer_ops {
	/* Called when t is due. missed: how many further ticks of a timer started with
	 * hark_timer_start_rate have gone by without a call; 0 for any other. A periodic timer is
	 * already started again, and may be stopped here. */
	void (*handle_timer)(struct hark_timer *t, uint64_t missed);

	/* What this kind is called in reports; a static string. */
	const char *name;

	/* Does not keep hark_reactor_run going. */
	bool background;
};

/* A timer: usually a member of the caller's own struct. Zeroed but for ops, it is one that is not
 * started. While it is pending it must stay where it is. */
struct hark_timer {
	const struct hark_timer_ops *ops;

	/* Private. */
	struct hark_link hark_link;
	struct hark_reactor *hark_reactor;
	int64_t hark_deadline;
	int64_t hark_period;
	int64_t hark_filed;
};

/* Makes *t a timer that is not started. Not for one that is pending: stop it first. */
HARK_API void hark_timer_init(struct hark_timer *t, const struct hark_timer_ops *ops);

/* Starts t on r, or starts it anew if it is pending (also on another reactor of the same owner).
 * Due after delay_ns nanoseconds; 0 or less: in the next turn. */
HARK_API void hark_timer_start(struct hark_reactor *r, struct hark_timer *t, int64_t delay_ns);

/* The same, due at a time of hark_reactor_now's clock. */
HARK_API void hark_timer_start_at(struct hark_reactor *r, struct hark_timer *t,
                                  int64_t deadline_ns);

/* Starts t at a fixed rate: due after first_ns, and every period_ns after that, without drift.
 * Ticks for which it comes too late are not made up for but counted in `missed`. A period of 0 or
 * less is 1. */
HARK_API void hark_timer_start_rate(struct hark_reactor *r, struct hark_timer *t, int64_t first_ns,
                                    int64_t period_ns);

/* Starts t with a fixed pause: due after first_ns, and each time pause_ns after it was called. */
HARK_API void hark_timer_start_pause(struct hark_reactor *r, struct hark_timer *t, int64_t first_ns,
                                     int64_t pause_ns);

/* Stops t: when it returns, hark holds no pointer to t, and it will not be called. Does nothing
 * when t is not pending. */
HARK_API void hark_timer_stop(struct hark_timer *t);

/* Is t started and not yet called (for a periodic one: started)? */
HARK_API bool hark_timer_pending(const struct hark_timer *t);

/* When t is due next, or HARK_NEVER while it is not pending. */
HARK_API int64_t hark_timer_deadline(const struct hark_timer *t);

HARK_END_DECLS

#endif
