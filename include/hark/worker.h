/* hark/worker.h - work done by threads, whose end is an event of a reactor.
 *
 * A pool is a number of threads and a bounded queue of jobs. A job's work runs on one of the
 * threads; its handle_done runs on the reactor that the job was submitted for. One pool may serve
 * reactors of any threads. The caller owns the jobs; submitting one allocates nothing.
 *
 * hark_reactor_free takes back the reactor's jobs without calling any handle_done: those that have
 * not started are not done, and for those that run it waits. So does hark_reactor_after_fork in a
 * forked child, which waits for none: they are done in the parent. */
#ifndef HARK_WORKER_H
#define HARK_WORKER_H

#include <hark/message.h>

HARK_BEGIN_DECLS

struct hark_pool;
struct hark_job;
struct hark_task;

struct hark_job_ops {
	/* On a thread of the pool; may block. It sees all that the submitting thread wrote before
	 * hark_job_submit, and must touch neither the reactor (but by hark_post) nor what other
	 * threads use. */
	void (*work)(struct hark_job *j);

	/* On the reactor, after work; sees all that work wrote. error: 0, or ECANCELED if the pool
	 * was freed with HARK_POOL_CANCEL and work was never called. The job is no longer
	 * submitted: it may be submitted again here, or freed. May be NULL. */
	void (*handle_done)(struct hark_job *j, int error);

	/* Shown by hark_reactor_dump; a static string. */
	const char *name;
};

/* A job: usually a member of the caller's own struct. Zeroed but for ops, it is one that is not
 * submitted. Until it is done or cancelled it must stay where it is. */
struct hark_job {
	const struct hark_job_ops *ops;

	/* Private. */
	struct hark_pool *hark_pool;
	struct hark_reactor *hark_reactor;
	struct hark_link hark_queue; /* the pool's, under its lock */
	struct hark_link hark_link;  /* the reactor's */
	struct hark_message hark_done;
	struct hark_task *hark_waiter;
	int hark_state;
};

/* Zeroed members are the defaults. */
struct hark_pool_options {
	unsigned threads; /* 0: as many as processors are on line */
	unsigned queue;   /* jobs that may wait for a thread; 0: 1024 */
	const char *name; /* of the threads, as far as the system takes it; copied */
};

/* How hark_pool_free ends the jobs that have not started. */
#define HARK_POOL_FINISH 0 /* they are done first */
#define HARK_POOL_CANCEL 1 /* they end with ECANCELED */

/* Makes a pool and starts its threads, which block all signals. options may be NULL. Returns 0 and
 * sets *p, or -EINVAL (p is NULL), -ENOMEM, or -EAGAIN (too many threads). */
HARK_API int hark_pool_new(struct hark_pool **p, const struct hark_pool_options *options);

/* Waits until the jobs that run have ended (and with HARK_POOL_FINISH all others), ends the threads
 * and frees p. Each job's handle_done is still called by its reactor, then or later. Blocks; any
 * thread but the pool's own, also inside handle_done. Nothing may be submitted to p meanwhile; jobs
 * may be cancelled and their reactors freed, by their owners, at the same time and afterwards. In a
 * forked child it waits for nothing. NULL does nothing. */
HARK_API void hark_pool_free(struct hark_pool *p, int how);

/* Makes *j a job that is not submitted. */
HARK_API void hark_job_init(struct hark_job *j, const struct hark_job_ops *ops);

/* Has p do j for r; the owner of r only. A job keeps hark_reactor_run going until it is done.
 * Returns 0, or with nothing changed
 *   -EAGAIN    the queue is full
 *   -EALREADY  j is submitted
 *   -EINVAL    an argument is NULL, or j has no work
 *   -ECHILD    in a forked child: the pool's threads are the parent's
 *   -EPERM     the caller does not own r (debug builds) */
HARK_API int hark_job_submit(struct hark_pool *p, struct hark_reactor *r, struct hark_job *j);

/* Takes j back if it has not started: when it returns 0, hark holds no pointer to j, and neither
 * work nor handle_done is called. The owner of j's reactor only. Returns 0 (in a forked child
 * always), -EBUSY when it has started or its pool has cancelled it (handle_done will be called),
 * -ENOENT when j is not submitted, or -EPERM (debug builds). */
HARK_API int hark_job_cancel(struct hark_job *j);

HARK_END_DECLS

#endif
