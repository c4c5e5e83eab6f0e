/* core.h - the reactor's insides, shared by the files of src/core.
 *
 *   reactor.c   making and freeing          turn.c      run, turn, stop, the wait
 *   registry.c  which backends there are    dispatch.c  calling handlers
 *   table.c     the slots of descriptors    message.c   posts from other threads
 *   handler.c   add, remove, refresh        fork.c      new kernel objects
 *   interest.c  what is wanted and armed    embed.c     hark inside another loop
 *   io.c        the verbs                   report.c    stats, audit and dump
 *   timer.c     timers                      signal.c    signals
 *   worker.c    pools of threads            child.c     child processes
 *   task.c      straight-line code that waits
 *   chain.c     wrappers before a backend   slow.c      measuring callbacks
 */
#ifndef HARK_CORE_H
#define HARK_CORE_H

#include "core/port.h"
#include "core/waker.h"
#include "core/wheel.h"
#include "hark_config.h"
#include <errno.h>
#include <hark/io.h>
#include <hark/message.h>
#include <hark/reactor.h>
#include <hark/signal.h>
#include <pthread.h>

/* hark_slot.flags */
#define HARK__ALWAYS 0x01u  /* the kernel refused it as always ready: it is so, in user space */
#define HARK__DISARM 0x02u  /* unwanted edges came: unwanted directions leave at the next flush */
#define HARK__EMPTIED 0x04u /* registered with edges, and found empty since */
#define HARK__SPENT 0x08u   /* what is armed has been used up: to be armed again if still wanted */
#define HARK__IDLE_SHIFT 4  /* HARK_RECV | HARK_SEND: had an unwanted edge, not wanted since */

/* hark_handler.hark_flags */
#define HARK__ASK 0x0001u         /* its interest may have changed: ask */
#define HARK__USED_RECV 0x0002u   /* the present callback used a verb that receives ... */
#define HARK__USED_SEND 0x0004u   /* ... that sends */
#define HARK__OWN_RECV 0x0008u    /* the last handle_recv used no verb that receives */
#define HARK__OWN_SEND 0x0010u    /* the last handle_send used no verb that sends */
#define HARK__SOCKET 0x0020u      /* a socket's verb worked on it */
#define HARK__PARTIAL 0x0040u     /* a short read does not prove it drained */
#define HARK__TCP_ASKED 0x0080u   /* the next flag is known */
#define HARK__TCP 0x0100u         /* it is plain TCP */
#define HARK__BROKEN_LAST 0x0200u /* its last event was an error or a hang-up */
#define HARK__WAS_ARMED 0x0400u   /* it has been registered before: not its first interest */
#define HARK__EDGES 0x0800u       /* it is to be registered with edges */
#define HARK__NEVER_EDGES 0x1000u /* a full descriptor may be writable all the same */
#define HARK__INTERNAL 0x2000u    /* the reactor's own */
#define HARK__PREPARED 0x4000u    /* listener made nonblocking, or SIGPIPE switched off */
#define HARK__CONSTANT 0x8000u    /* its interest never changes: no need to ask */
#define HARK__TURNS_SHIFT 16      /* 3 bits: how often it turned to edges */
#define HARK__TURNS_MAX 5u        /* once, and back four times */
#define HARK__GLUE 0x80000u       /* it has handle_ready */
#define HARK__WRAPPED 0x100000u   /* its verbs go through a chain */
#define HARK__ERROR_SHIFT 21      /* 11 bits: the errno with which the kernel refused it */
#define HARK__ERROR_MASK 0xffe00000u

/* How long one wait of a backend may be asked to last: no system rejects a day. */
#define HARK__WAIT_MAX HARK_S(86400)

/* After how many sleeps a reactor with timers looks whether it has become busy. */
#define HARK__LULL 16u

/* Cache lines are fetched in pairs. */
#define HARK__APART 128

/* How many turns what is still ready may be put off in favour of what has just become so. */
#define HARK__HOLD_MAX 7u

/* What a hark_task_run waits for, and on its stack. */
struct hark__until {
	struct hark_task *task; /* NULL once it has ended */
	bool over;
	ssize_t result;
};

struct hark_reactor {
	struct hark_port port;
	const struct hark_backend *backend;
	void *state;               /* the backend's */
	void *spare;               /* the same size, for the next kernel object */
	struct hark__chain *chain; /* what backend is the face of, or NULL */

	struct hark_link again;       /* ready since an earlier turn, in user space */
	struct hark_handler *current; /* inside its callback; NULL once that removed it */
	unsigned held;                /* turns for which `again` has been put off */
	unsigned lull;                /* rounds in which to sleep without a look at what is ready */

	struct hark_link messages; /* taken from the inbox, in order */
	struct hark_link handling; /* those that are being handled in this turn */
	bool posted_to;            /* somebody has had to wake it */

	/* What others write is apart from what the owner writes all the time: for a cache line of
	 * both, each would wait for the other. */
	char apart_before[HARK__APART];
	struct hark_message *inbox; /* atomic: posted, latest first */
	int sleeping;               /* atomic: a post must wake */
	int stopped;                /* atomic */
	int signalled;              /* atomic: a signal that is watched has been delivered */
	char apart_behind[HARK__APART];

	struct hark__waker waker;
	struct hark_handler waking; /* watches the waker */

	struct hark__wheel wheel;
	struct hark_link signals;     /* watchers of signals ... */
	struct hark_link signals_due; /* and those not yet looked at in this turn */
	struct hark_link jobs;        /* submitted and not yet done */
	struct hark_link children;    /* watched */
	struct hark_link tasks;       /* started and not yet ended */
	struct hark__until *until;    /* while running: what ends the run; or NULL */

	bool running; /* atomic, for the check in debug builds */
	bool freed;   /* hark_reactor_free was called from a callback */
	bool now_read;
	bool interrupted; /* the last wait ended with EINTR */
	pthread_t owner;  /* while running */
	unsigned forks;   /* hark__forks when the kernel objects were made */
	int64_t now;

	bool audit;
	void (*handle_audit)(struct hark_reactor *r, struct hark_handler *h, unsigned known,
	                     unsigned wanted);
	int64_t spin_ns;

	int64_t slow_ns; /* 0: nothing is measured */
	int64_t mark;    /* up to here the time is accounted for */
	void (*handle_slow)(struct hark_reactor *r, const struct hark_slow *slow);
	struct hark_stats stats;
	char why[128]; /* what the backend said when it did not open */
};

/* registry.c */
int hark__open_backend(struct hark_reactor *r, const struct hark_options *options);
void hark__close_backend(struct hark_reactor *r);

const struct hark_backend *hark__find_backend(const char *name);

/* chain.c */
int hark__chain_make(struct hark_reactor *r, const char *name, char *why, size_t size);
const struct hark_backend *hark__chain_face(const struct hark_reactor *r);
int hark__chain_open(struct hark_reactor *r, const char **failed);
void hark__chain_close(struct hark_reactor *r);
void hark__chain_free(struct hark_reactor *r);
bool hark__chain_has_io(const struct hark_reactor *r);
ssize_t hark__chain_io(struct hark_reactor *r, struct hark_io *io, bool *asked);

/* reactor.c */
void hark__destroy(struct hark_reactor *r);
void hark__why(const struct hark_options *options, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* table.c */
int hark__table_reserve(struct hark_port *port, int fd);

/* handler.c */
int hark__attach(struct hark_reactor *r, struct hark_handler *h);
void hark__detach(struct hark_reactor *r, struct hark_handler *h);

/* interest.c */
unsigned hark__ask(const struct hark_handler *h);
unsigned hark__nature(const struct hark_handler_ops *ops);
void hark__update(struct hark_reactor *r, struct hark_slot *slot, struct hark_handler *h);
void hark__flush(struct hark_reactor *r);

/* io.c */
ssize_t hark__system_io(const struct hark_io *io);

/* dispatch.c */
int hark__dispatch(struct hark_reactor *r);

/* message.c */
int hark__handle_messages(struct hark_reactor *r);
void hark__detach_messages(struct hark_reactor *r);
void hark__wake(struct hark_reactor *r);

/* fork.c */
extern volatile unsigned hark__forks;
int hark__fork_watch(void);
int hark__watch_waker(struct hark_reactor *r);
int hark__rebuild(struct hark_reactor *r);

/* turn.c */
int64_t hark__clock(struct hark_reactor *r);
int hark__turn(struct hark_reactor *r, int64_t timeout_ns, bool *over);
enum { HARK__NOTHING_LEFT, HARK__STOPPED, HARK__FREED };
int hark__run(struct hark_reactor *r, struct hark__until *until);

/* timer.c */
void hark__timers_init(struct hark__wheel *w);
int64_t hark__until_timer(struct hark_reactor *r, int64_t timeout_ns);
int hark__call_timers(struct hark_reactor *r);
void hark__detach_timers(struct hark_reactor *r);

/* signal.c */
void hark__signals_before_fork(void);
void hark__signals_after_fork(bool child);
int hark__call_signals(struct hark_reactor *r);
void hark__detach_signals(struct hark_reactor *r);

/* child.c */
void hark__detach_children(struct hark_reactor *r);

/* worker.c */
void hark__detach_jobs(struct hark_reactor *r);

/* task.c */
struct hark_task;
void hark__job_ended(struct hark_task *t, int error);
const char *hark__handler_name(const struct hark_handler *h);
void hark__dump_tasks(const struct hark_reactor *r, FILE *to);
void hark__detach_tasks(struct hark_reactor *r);

/* report.c */
void hark__audit(struct hark_reactor *r);

/* slow.c: called only if hark__measures says so */
void hark__mark(struct hark_reactor *r);
void hark__worked(struct hark_reactor *r);
void hark__waited(struct hark_reactor *r);
void hark__called(struct hark_reactor *r, const char *name, const char *event, int fd);
void hark__turned(struct hark_reactor *r, int64_t length_ns);
void hark__dump_turns(const struct hark_reactor *r, FILE *to);

static inline bool hark__measures(const struct hark_reactor *r)
{
	return r->slow_ns > 0;
}

static inline bool hark__forked(const struct hark_reactor *r)
{
	return r->forks != hark__forks;
}

/* Inside a turn that has read the clock? Then r->now is what hark_reactor_now gives. */
static inline bool hark__time_is_known(const struct hark_reactor *r)
{
	return r->running && r->now_read;
}

/* Is the caller inside a callback of r, or another thread inside its run? A child that was forked
 * by another thread than that one has a copy which says so for ever. */
static inline bool hark__inside(const struct hark_reactor *r)
{
	return r->running && !(hark__forked(r) && !pthread_equal(r->owner, pthread_self()));
}

/* True, and counted, if the caller is a thread that does not own r: only a debug build looks. */
static inline bool hark__foreign(struct hark_reactor *r)
{
#ifdef HARK_DEBUG
	if (__atomic_load_n(&r->running, __ATOMIC_ACQUIRE) && !hark__forked(r) &&
	    !pthread_equal(r->owner, pthread_self())) {
		__atomic_fetch_add(&r->stats.misuses, 1, __ATOMIC_RELAXED);
		return true;
	}
#else
	(void)r;
#endif
	return false;
}

static inline bool hark__messages_waiting(const struct hark_reactor *r)
{
	return __atomic_load_n(&r->inbox, __ATOMIC_SEQ_CST) || !hark__list_empty(&r->messages);
}

static inline bool hark__woken(const struct hark_reactor *r)
{
	return hark__messages_waiting(r) || __atomic_load_n(&r->stopped, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&r->signalled, __ATOMIC_SEQ_CST);
}

/* From here on posts wake r (message.c). Returns false if there is something to do first. */
static inline bool hark__fall_asleep(struct hark_reactor *r)
{
	if (!__atomic_load_n(&r->sleeping, __ATOMIC_RELAXED)) {
		r->posted_to = true;
		__atomic_store_n(&r->sleeping, 1, __ATOMIC_SEQ_CST);
	}
	return !hark__woken(r);
}

/* From here on posts need not wake r. */
static inline void hark__be_awake(struct hark_reactor *r)
{
	if (r->posted_to)
		__atomic_store_n(&r->sleeping, 0, __ATOMIC_RELAXED);
}

/* The slot of a handler that is added; it moves when the table grows. */
static inline struct hark_slot *hark__slot_of(struct hark_reactor *r, const struct hark_handler *h)
{
	return &r->port.slots[h->fd];
}

/* Has the next flush look at h. */
static inline void hark__change(struct hark_reactor *r, struct hark_handler *h)
{
	if (!hark__linked(&h->hark_change))
		hark__append(&r->port.changes, &h->hark_change);
}

static inline struct hark_handler *hark__of_ready(struct hark_link *link)
{
	return hark__container(link, struct hark_handler, hark_ready);
}

static inline struct hark_handler *hark__of_change(struct hark_link *link)
{
	return hark__container(link, struct hark_handler, hark_change);
}

#endif
