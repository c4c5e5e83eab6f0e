/* signal.c - signals as events.
 *
 * The signal handler walks the list of the signal's watchers, counts the delivery in each, and
 * wakes their reactors as a post would. The counts are looked at in the next turn.
 *
 * A signal handler can take no lock, so the lists are changed by single stores, under a lock among
 * those who change them, with all signals blocked in the changing thread. A watcher that has been
 * unlinked may still be looked at by a handler in another thread: `inside` counts the handlers
 * that are walking, and who removes a watcher waits until there is none. */
#include "core/core.h"
#include <sched.h>
#include <signal.h>

#define SIGNALS 129 /* one more than any system's highest */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sigset_t mask_before_fork;          /* under the lock */
static struct hark_signal *first[SIGNALS]; /* atomic, as is each hark_next */
static struct sigaction before[SIGNALS];
static unsigned inside[SIGNALS]; /* atomic */

static void deliver(int number)
{
	struct hark_signal *s;
	int error = errno;

	__atomic_fetch_add(&inside[number], 1, __ATOMIC_SEQ_CST);
	s = __atomic_load_n(&first[number], __ATOMIC_SEQ_CST);
	for (; s != NULL; s = __atomic_load_n(&s->hark_next, __ATOMIC_SEQ_CST)) {
		struct hark_reactor *r = s->hark_reactor;

		__atomic_fetch_add(&s->hark_count, 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&r->signalled, 1, __ATOMIC_SEQ_CST);
		/* In a child the waker is still the parent's. */
		if (!hark__forked(r))
			hark__wake(r);
	}
	__atomic_fetch_sub(&inside[number], 1, __ATOMIC_SEQ_CST);
	errno = error;
}

static void enter(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, old);
	pthread_mutex_lock(&lock);
}

static void leave(const sigset_t *old)
{
	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

static int install(int number)
{
	struct sigaction action = {.sa_handler = deliver, .sa_flags = SA_RESTART | SA_ONSTACK};

	sigfillset(&action.sa_mask);
	return sigaction(number, &action, &before[number]) < 0 ? -errno : 0;
}

/* Somebody may have taken the signal over meanwhile; then it is theirs. */
static void restore(int number)
{
	struct sigaction now;

	if (sigaction(number, NULL, &now) == 0 && now.sa_handler == deliver)
		sigaction(number, &before[number], NULL);
}

/* A fork takes the lock, so that the child gets whole lists and a lock that is free. With signals
 * blocked, none is taken for the parent's there. */
void hark__signals_before_fork(void)
{
	sigset_t old;

	enter(&old);
	mask_before_fork = old;
}

void hark__signals_after_fork(bool child)
{
	sigset_t old = mask_before_fork;

	/* The threads that were walking are not in the child, nor were the signals sent to it. */
	for (int number = 1; child && number < SIGNALS; number++) {
		inside[number] = 0;
		for (struct hark_signal *s = first[number]; s != NULL; s = s->hark_next)
			s->hark_count = 0;
	}
	leave(&old);
}

void hark_signal_init(struct hark_signal *s, const struct hark_signal_ops *ops)
{
	*s = (struct hark_signal){.ops = ops};
}

int hark_signal_start(struct hark_reactor *r, struct hark_signal *s, int number)
{
	sigset_t old;
	int error = 0;

	if (r == NULL || s == NULL || s->ops == NULL || s->ops->handle_signal == NULL ||
	    number <= 0 || number >= SIGNALS)
		return -EINVAL;
	if (hark__foreign(r))
		return -EPERM;
	if (hark__forked(r))
		return -ECHILD;
	if (s->hark_reactor != NULL)
		return -EALREADY;
	s->hark_reactor = r;
	s->hark_number = number;
	s->hark_count = 0;
	enter(&old);
	s->hark_next = first[number];
	__atomic_store_n(&first[number], s, __ATOMIC_SEQ_CST);
	if (s->hark_next == NULL)
		error = install(number);
	if (error < 0)
		first[number] = NULL;
	leave(&old);
	if (error < 0) {
		s->hark_reactor = NULL;
		return error;
	}
	hark__append(&r->signals, &s->hark_link);
	return 0;
}

static void unlink_from(struct hark_signal **place, const struct hark_signal *s)
{
	while (*place != s)
		place = &(*place)->hark_next;
	__atomic_store_n(place, s->hark_next, __ATOMIC_SEQ_CST);
}

static void detach(struct hark_signal *s)
{
	int number = s->hark_number;
	sigset_t old;

	enter(&old);
	unlink_from(&first[number], s);
	if (first[number] == NULL)
		restore(number);
	while (__atomic_load_n(&inside[number], __ATOMIC_SEQ_CST) != 0)
		sched_yield();
	leave(&old);
	hark__unlink(&s->hark_link);
	s->hark_reactor = NULL;
}

void hark_signal_stop(struct hark_signal *s)
{
	if (s->hark_reactor != NULL && !hark__foreign(s->hark_reactor))
		detach(s);
}

void hark__detach_signals(struct hark_reactor *r)
{
	hark__append_all(&r->signals, &r->signals_due);
	while (!hark__list_empty(&r->signals))
		detach(hark__container(r->signals.next, struct hark_signal, hark_link));
}

/* Calls the watchers with deliveries that they have not been told of. Returns how many. */
int hark__call_signals(struct hark_reactor *r)
{
	int callbacks = 0;

	__atomic_store_n(&r->signalled, 0, __ATOMIC_SEQ_CST);
	hark__append_all(&r->signals_due, &r->signals);
	while (!hark__list_empty(&r->signals_due) && !hark__forked(r)) {
		struct hark_link *link = r->signals_due.next;
		struct hark_signal *s = hark__container(link, struct hark_signal, hark_link);
		const char *name = s->ops->name;
		unsigned count = __atomic_exchange_n(&s->hark_count, 0, __ATOMIC_SEQ_CST);

		hark__unlink(link);
		hark__append(&r->signals, link);
		if (count == 0)
			continue;
		callbacks++;
		s->ops->handle_signal(s, count);
		if (hark__measures(r))
			hark__called(r, name, "signal", -1);
	}
	r->stats.signals += (uint64_t)callbacks;
	return callbacks;
}
