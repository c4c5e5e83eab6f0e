/* turn.c - the turn: flush, wait, messages, signals, dispatch, timers.
 *
 * The clock is read only for a turn that was given a finite time, while a timer is pending, when
 * somebody asks, or to measure (slow.c). */
#include "core/core.h"
#include <time.h>

int64_t hark__clock(struct hark_reactor *r)
{
	struct timespec t;

	if (r->backend->now != NULL)
		return r->backend->now(r->state);
	clock_gettime(CLOCK_MONOTONIC, &t);
	return HARK_S(t.tv_sec) + t.tv_nsec;
}

int64_t hark_reactor_update(struct hark_reactor *r)
{
	r->now = hark__clock(r);
	r->now_read = true;
	return r->now;
}

int64_t hark_reactor_now(struct hark_reactor *r)
{
	return hark__time_is_known(r) ? r->now : hark_reactor_update(r);
}

static const struct timespec at_once;

static void pause_processor(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

/* Did a wait find something? What it found to be used up has to be armed before the next sleep. */
static bool found(const struct hark_reactor *r, int rc)
{
	return rc != 0 || !hark__list_empty(&r->port.ready) || !hark__list_empty(&r->port.changes);
}

/* Looks for a message for as long as the program is willing to burn the processor, and at the
 * descriptors now and then. Looking seldom leaves the inbox's cache line to the producers. */
static int spin(struct hark_reactor *r, int64_t limit_ns)
{
	int64_t end = hark_reactor_update(r) + limit_ns;
	int rc = 0;

	do {
		for (int look = 0; look < 16; look++) {
			for (int i = 0; i < 16; i++)
				pause_processor();
			if (hark__woken(r))
				return 0;
		}
		r->stats.waits++;
		rc = r->backend->wait(r->state, &at_once);
	} while (!found(r, rc) && hark_reactor_update(r) < end);
	return rc;
}

static int sleep_for_events(struct hark_reactor *r, int64_t timeout_ns)
{
	const struct timespec *limit = NULL;
	struct timespec time;
	int rc;

	if (r->wheel.pending > 0)
		timeout_ns = hark__until_timer(r, timeout_ns);
	/* A clock of the backend's own does not go on while nothing is waited for. */
	if (r->spin_ns > 0 && timeout_ns != 0 && r->backend->now == NULL) {
		bool all = timeout_ns >= 0 && timeout_ns <= r->spin_ns;

		rc = spin(r, all ? timeout_ns : r->spin_ns);
		if (all || found(r, rc))
			return rc;
		if (timeout_ns > 0)
			timeout_ns -= r->spin_ns;
	}
	if (!hark__fall_asleep(r)) {
		limit = &at_once;
	} else if (timeout_ns >= 0) {
		if (timeout_ns > HARK__WAIT_MAX)
			timeout_ns = HARK__WAIT_MAX;
		time.tv_sec = (time_t)(timeout_ns / HARK_S(1));
		time.tv_nsec = (long)(timeout_ns % HARK_S(1));
		limit = &time;
	}
	r->stats.waits++;
	rc = r->backend->wait(r->state, limit);
	hark__be_awake(r);
	return rc;
}

static int look_for_events(struct hark_reactor *r)
{
	r->stats.waits++;
	return r->backend->wait(r->state, &at_once);
}

/* While timers are pending a sleep costs two more looks at the clock and a timer of the kernel's,
 * and a reactor that is busy need not sleep: it looks first. When that was in vain, it sleeps at
 * once for a while. Returns true if *rc is the result of a wait that found something. */
static bool found_at_once(struct hark_reactor *r, int *rc)
{
	if (r->wheel.pending == 0 || r->backend->now != NULL)
		return false;
	if (r->lull > 0) {
		r->lull--;
		return false;
	}
	*rc = look_for_events(r);
	if (found(r, *rc))
		return true;
	r->lull = HARK__LULL;
	return false;
}

/* Waits for the backend; sleeps only if nothing has to be done first. */
static int wait_for_events(struct hark_reactor *r, int64_t timeout_ns)
{
	int rc;

	if (timeout_ns == 0 || !hark__list_empty(&r->again) || !hark__list_empty(&r->port.ready) ||
	    (r->posted_to && hark__woken(r)))
		return look_for_events(r);
	if (found_at_once(r, &rc))
		return rc;
	return sleep_for_events(r, timeout_ns);
}

/* What has been ready longest goes first, unless waits keep finding more than they can report:
 * then what has just become ready has precedence, for a while. */
static void take_up_again(struct hark_reactor *r, bool full)
{
	if (full && r->held < HARK__HOLD_MAX) {
		r->held++;
		return;
	}
	r->held = 0;
	hark__append_all(&r->again, &r->port.ready);
	hark__append_all(&r->port.ready, &r->again);
}

/* Replaces the kernel object, and has the new one report what the old one did. If there can be none
 * now, the old one goes on, and the next dead event tries again. */
static int rebuild(struct hark_reactor *r, int rc)
{
	if (hark__rebuild(r) < 0)
		return rc;
	r->stats.rebuilds++;
	hark__flush(r);
	r->stats.waits++;
	return r->backend->wait(r->state, &at_once);
}

static void audit_and_flush(struct hark_reactor *r)
{
	if (r->audit)
		hark__audit(r);
	hark__flush(r);
	if (hark__measures(r))
		hark__worked(r);
}

/* The steps of a round. Returns the number of callbacks, or -errno. */
static int steps(struct hark_reactor *r, int64_t timeout_ns)
{
	int others = 0;
	int callbacks, rc;

	r->stats.turns++;
	if (r->audit || !hark__list_empty(&r->port.changes))
		audit_and_flush(r);
	rc = wait_for_events(r, timeout_ns);
	r->now_read = false;
	if (hark__measures(r))
		hark__waited(r);
	if (rc != 0) {
		if (rc > 0 && (rc & HARK_DEAD)) {
			rc = rebuild(r, rc);
			if (hark__measures(r))
				hark__worked(r);
		}
		if (rc < 0 && rc != -EINTR)
			return rc;
		r->interrupted = rc == -EINTR;
	}
	if (hark__messages_waiting(r))
		others = hark__handle_messages(r);
	if (__atomic_load_n(&r->signalled, __ATOMIC_SEQ_CST))
		others += hark__call_signals(r);
	if (!hark__list_empty(&r->again))
		take_up_again(r, rc > 0 && (rc & HARK_FULL));
	callbacks = hark__dispatch(r);
	if (r->wheel.pending > 0 && !hark__forked(r))
		others += hark__call_timers(r);
	if (hark__forked(r))
		return -ECHILD; /* a callback forked, and this is the child */
	return callbacks < 0 ? callbacks : others + callbacks;
}

/* One round. Returns as its steps do. */
static int round_once(struct hark_reactor *r, int64_t timeout_ns)
{
	int64_t before;
	int rc;

	if (!hark__measures(r))
		return steps(r, timeout_ns);
	before = r->stats.working_ns;
	rc = steps(r, timeout_ns);
	hark__turned(r, r->stats.working_ns - before);
	return rc;
}

/* Is there a reason to go no further? */
static inline bool is_over(const struct hark_reactor *r)
{
	return r->freed || r->interrupted || __atomic_load_n(&r->stopped, __ATOMIC_SEQ_CST);
}

/* Rounds until one runs a callback or the time is over: events of no consequence (a wake that came
 * too late, an edge that nobody wants) do not end a turn. */
static int rounds(struct hark_reactor *r, int64_t timeout_ns)
{
	int64_t end = INT64_MAX;
	int64_t left = timeout_ns;

	if (timeout_ns > 0) {
		int64_t now = hark_reactor_update(r);

		if (timeout_ns < INT64_MAX - now)
			end = now + timeout_ns;
	}
	for (;;) {
		int rc = round_once(r, left);

		if (rc != 0 || timeout_ns == 0 || is_over(r))
			return rc;
		if (timeout_ns > 0) {
			left = end - hark_reactor_update(r);
			if (left <= 0)
				return 0;
		}
	}
}

static int enter(struct hark_reactor *r)
{
	if (hark__inside(r))
		return hark__foreign(r) ? -EPERM : -EBUSY;
	if (hark__forked(r))
		return -ECHILD;
	r->owner = pthread_self();
	__atomic_store_n(&r->running, true, __ATOMIC_RELEASE);
	r->now_read = false;
	r->interrupted = false;
	r->until = NULL;
	if (hark__measures(r))
		hark__mark(r);
	return 0;
}

static void leave(struct hark_reactor *r)
{
	__atomic_store_n(&r->running, false, __ATOMIC_RELEASE);
	if (r->freed)
		hark__destroy(r);
}

static bool take_stop(struct hark_reactor *r)
{
	return __atomic_load_n(&r->stopped, __ATOMIC_RELAXED) &&
	       __atomic_exchange_n(&r->stopped, 0, __ATOMIC_SEQ_CST);
}

/* As hark_reactor_turn. *over: a stop ended it, or r has been freed. */
int hark__turn(struct hark_reactor *r, int64_t timeout_ns, bool *over)
{
	int rc = enter(r);

	*over = false;
	if (rc < 0)
		return rc;
	*over = take_stop(r);
	if (!*over) {
		rc = rounds(r, timeout_ns);
		*over = take_stop(r) || r->freed;
	}
	if (r->freed)
		rc = 0;
	leave(r);
	return rc;
}

int hark_reactor_turn(struct hark_reactor *r, int64_t timeout_ns)
{
	bool over;

	return hark__turn(r, timeout_ns, &over);
}

static bool alive(struct hark_reactor *r)
{
	return r->stats.handlers > 0 || r->wheel.alive > 0 || r->stats.jobs > 0 ||
	       r->stats.children > 0 || hark__messages_waiting(r);
}

/* Runs rounds until what `until`, if anything, waits for, a stop, the end of r, or nothing is left.
 * Returns which (HARK__x) or -errno. */
int hark__run(struct hark_reactor *r, struct hark__until *until)
{
	bool stopped = false;
	bool freed;
	int rc = enter(r);

	if (rc < 0)
		return rc;
	r->until = until;
	while (rc >= 0 && !r->freed && !(until != NULL && until->over) &&
	       !(stopped = take_stop(r)) && alive(r))
		rc = round_once(r, -1);
	freed = r->freed;
	leave(r);
	if (freed)
		return HARK__FREED;
	if (rc < 0)
		return rc;
	return stopped ? HARK__STOPPED : HARK__NOTHING_LEFT;
}

int hark_reactor_run(struct hark_reactor *r)
{
	int rc = hark__run(r, NULL);

	return rc < 0 ? rc : 0;
}

void hark_reactor_stop(struct hark_reactor *r)
{
	__atomic_store_n(&r->stopped, 1, __ATOMIC_SEQ_CST);
	hark__wake(r);
}
