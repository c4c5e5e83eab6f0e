/* tasks.h - a task for tests: on the heap, with its own socket pair and job, it awaits one thing,
 * notes what comes of it, and does what the test has told it to do at each step.
 *
 * It is freed with its memory filled with rubbish, as an actor is. */
#ifndef TASKS_H
#define TASKS_H

#include "conformance.h"

/* What it awaits. Its socket is full, so that FOR_SEND has to wait. */
enum await { FOR_RECV, FOR_SEND, FOR_BOTH, FOR_TASK, FOR_JOB, FOR_TIME, AWAITS };

struct subject {
	struct hark_task task; /* first */
	struct hark_job job;
	int peer; /* the other end of its socket */

	enum await await;
	int64_t deadline;      /* of any but a job: HARK_NEVER, or FOR_TIME a day */
	struct subject *other; /* FOR_TASK: one of its own that awaits FOR_RECV */
	bool stubborn;         /* awaits a day behind its await, whatever came of that */

	/* What it does, each time: in its code, before the await and behind it; in handle_done,
	 * which may free it; and in that of its job. */
	void (*before)(struct subject *s);
	void (*behind)(struct subject *s);
	void (*done)(struct subject *s);
	void (*job_done)(struct subject *s);
	void *with; /* the test's own */

	/* What it did: came before the await, behind it, and, stubborn, behind the second one. */
	unsigned begun, gone_on, persisted, dones, job_dones;
	ssize_t outcome; /* of its await */
	ssize_t result;  /* what handle_done was told */
	int job_error;   /* what the job's was */
};

/* A subject that is not started. Its code returns the outcome of its await if that is negative,
 * else 42. */
struct subject *subject_make(enum await await);

/* The same, started, and, after some turns, at its await. */
struct subject *subject_at_await(struct hark_reactor *r, enum await await);

/* Gives s what it awaits; not FOR_TIME. FOR_JOB: lets one job go. */
void subject_satisfy(struct subject *s);

/* Cancels the one of its own, closes what is open, and frees s, which hark must not know any more.
 */
void subject_free(struct subject *s);

/* The pool that FOR_JOB uses: one thread, and room for a few jobs. Each waits in its work until it
 * is let go. */
extern struct hark_pool *pool;
void pool_make(void);
void job_started(void); /* waits until one has */
void job_let_go(void);

/* Occupies the thread with a job of r that is no task's, until one is let go. */
void pool_occupy(struct hark_reactor *r);

#endif
