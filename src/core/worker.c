/* worker.c - a pool of threads, whose jobs end as messages to their reactors.
 *
 * A job is queued, running, done or cancelled (its message is posted), or idle again (handle_done
 * is being called). The queue and these states are the pool's, under its lock; a reactor's list of
 * jobs is its owner's.
 *
 * A thread posts a job's message under the lock, and the reactor takes the lock once more before
 * it lets go of the job. So when the last job of a reactor is let go of, no thread is in the middle
 * of a post to it any more, and it may be freed. For that a pool lives on, without threads, until
 * the last of its jobs is let go of.
 *
 * tests/model/pool.pml is the proof, and is to be changed with this. */
#include "core/core.h"
#include "sys/sys.h"
#include <hark/worker.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MAX 65536 /* no system has more for one process */

enum { IDLE, QUEUED, RUNNING, DONE, CANCELLED };

struct hark_pool {
	pthread_mutex_t lock;
	pthread_cond_t work;   /* the queue is not empty, or the pool ends */
	pthread_cond_t rested; /* a thread has finished a job */
	struct hark_link queue;
	unsigned queued, room;
	unsigned users; /* its owner, and the jobs that are submitted */
	unsigned count;
	bool ending;
	unsigned forks;
	char name[16];
	pthread_t threads[];
};

static struct hark_job *of_queue(struct hark_link *link)
{
	return hark__container(link, struct hark_job, hark_queue);
}

/* Posts that j is done, with the lock held. Afterwards j is its reactor's. */
static void finish(struct hark_job *j, int state)
{
	j->hark_state = state;
	hark_post(j->hark_reactor, &j->hark_done);
}

/* In a forked child a lock may be held by one of the parent's threads, for ever. */
static bool is_parents(const struct hark_pool *p)
{
	return p->forks != hark__forks;
}

/* One user less; frees p after the last. */
static void let_go(struct hark_pool *p)
{
	bool last;

	if (is_parents(p)) {
		if (--p->users == 0)
			free(p);
		return;
	}
	pthread_mutex_lock(&p->lock);
	last = --p->users == 0;
	pthread_mutex_unlock(&p->lock);
	if (!last)
		return;
	pthread_cond_destroy(&p->rested);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static void *run_jobs(void *context)
{
	struct hark_pool *p = context;

	hark__name_thread(p->name);
	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct hark_job *j;

		while (hark__list_empty(&p->queue) && !p->ending)
			pthread_cond_wait(&p->work, &p->lock);
		if (hark__list_empty(&p->queue))
			break;
		j = of_queue(p->queue.next);
		hark__unlink(&j->hark_queue);
		p->queued--;
		j->hark_state = RUNNING;
		pthread_mutex_unlock(&p->lock);
		j->ops->work(j);
		pthread_mutex_lock(&p->lock);
		finish(j, DONE);
		pthread_cond_broadcast(&p->rested);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void end_threads(struct hark_pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->count; i++)
		pthread_join(p->threads[i], NULL);
}

/* With all signals blocked, which the new threads inherit: signals are for the program's own. */
static int start_threads(struct hark_pool *p, unsigned count)
{
	sigset_t all, old;
	int error = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (p->count < count && error == 0) {
		error = pthread_create(&p->threads[p->count], NULL, run_jobs, p);
		if (error == 0)
			p->count++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -error;
}

static unsigned processors(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	return count > 0 ? (unsigned)count : 1;
}

int hark_pool_new(struct hark_pool **out, const struct hark_pool_options *options)
{
	static const struct hark_pool_options defaults;
	struct hark_pool *p;
	unsigned count;
	int error;

	if (out == NULL)
		return -EINVAL;
	if (options == NULL)
		options = &defaults;
	error = hark__fork_watch();
	if (error < 0)
		return error;
	count = options->threads > 0 ? options->threads : processors();
	if (count > THREADS_MAX)
		return -EAGAIN;
	p = calloc(1, sizeof *p + count * sizeof p->threads[0]);
	if (p == NULL)
		return -ENOMEM;
	p->room = options->queue > 0 ? options->queue : 1024;
	p->users = 1;
	p->forks = hark__forks;
	snprintf(p->name, sizeof p->name, "%s", options->name != NULL ? options->name : "hark");
	hark__list_init(&p->queue);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->rested, NULL);
	error = start_threads(p, count);
	if (error < 0) {
		end_threads(p);
		let_go(p);
		return error;
	}
	*out = p;
	return 0;
}

static void cancel_queued(struct hark_pool *p)
{
	pthread_mutex_lock(&p->lock);
	while (!hark__list_empty(&p->queue)) {
		struct hark_job *j = of_queue(p->queue.next);

		hark__unlink(&j->hark_queue);
		p->queued--;
		finish(j, CANCELLED);
	}
	pthread_mutex_unlock(&p->lock);
}

void hark_pool_free(struct hark_pool *p, int how)
{
	if (p == NULL)
		return;
	if (!is_parents(p)) {
		if (how == HARK_POOL_CANCEL)
			cancel_queued(p);
		end_threads(p);
	}
	let_go(p);
}

/* From here on j is its caller's again. The error is what a task that awaits it is told. */
static void release(struct hark_job *j, int error)
{
	struct hark_pool *p = j->hark_pool;
	struct hark_task *waiter = j->hark_waiter;

	hark__unlink(&j->hark_link);
	j->hark_reactor->stats.jobs--;
	j->hark_reactor = NULL;
	j->hark_pool = NULL;
	j->hark_waiter = NULL;
	j->hark_state = IDLE;
	let_go(p);
	if (waiter != NULL)
		hark__job_ended(waiter, error);
}

static void job_done(struct hark_message *m, struct hark_reactor *r)
{
	struct hark_job *j = hark__container(m, struct hark_job, hark_done);
	const char *name = j->ops->name;
	int error = j->hark_state == CANCELLED ? ECANCELED : 0;

	release(j, error);
	if (j->ops->handle_done == NULL)
		return;
	j->ops->handle_done(j, error);
	if (hark__measures(r))
		hark__called(r, name, "job", -1);
}

void hark_job_init(struct hark_job *j, const struct hark_job_ops *ops)
{
	*j = (struct hark_job){.ops = ops};
}

int hark_job_submit(struct hark_pool *p, struct hark_reactor *r, struct hark_job *j)
{
	if (p == NULL || r == NULL || j == NULL || j->ops == NULL || j->ops->work == NULL)
		return -EINVAL;
	if (hark__foreign(r))
		return -EPERM;
	if (hark__forked(r) || is_parents(p))
		return -ECHILD;
	if (j->hark_reactor != NULL)
		return -EALREADY;
	pthread_mutex_lock(&p->lock);
	if (p->queued == p->room) {
		pthread_mutex_unlock(&p->lock);
		return -EAGAIN;
	}
	hark_message_init(&j->hark_done, job_done);
	j->hark_pool = p;
	j->hark_reactor = r;
	j->hark_state = QUEUED;
	hark__append(&r->jobs, &j->hark_link);
	r->stats.jobs++;
	hark__append(&p->queue, &j->hark_queue);
	p->queued++;
	p->users++;
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* Takes j out of its pool's queue. Returns false if it has started. */
static bool unqueue(struct hark_job *j)
{
	struct hark_pool *p = j->hark_pool;
	bool queued;

	pthread_mutex_lock(&p->lock);
	queued = j->hark_state == QUEUED;
	if (queued) {
		hark__unlink(&j->hark_queue);
		p->queued--;
	}
	pthread_mutex_unlock(&p->lock);
	return queued;
}

/* In a forked child: its copy of j will neither start nor be done by anybody. */
static void disown(struct hark_job *j)
{
	hark_message_withdraw(j->hark_reactor, &j->hark_done);
	release(j, ECHILD);
}

int hark_job_cancel(struct hark_job *j)
{
	struct hark_reactor *r = j->hark_reactor;

	if (r == NULL)
		return -ENOENT;
	if (hark__foreign(r))
		return -EPERM;
	if (hark__forked(r)) {
		disown(j);
		return 0;
	}
	if (!unqueue(j))
		return -EBUSY;
	release(j, ECANCELED);
	return 0;
}

static void wait_for(struct hark_job *j)
{
	struct hark_pool *p = j->hark_pool;

	pthread_mutex_lock(&p->lock);
	while (j->hark_state == RUNNING)
		pthread_cond_wait(&p->rested, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

static struct hark_job *of_link(struct hark_link *link)
{
	return hark__container(link, struct hark_job, hark_link);
}

/* For a reactor that is being freed, or was the parent's: takes back all that has not started, so
 * that none of it starts while the rest is waited for. */
void hark__detach_jobs(struct hark_reactor *r)
{
	struct hark_link *link = r->jobs.next;

	while (link != &r->jobs) {
		struct hark_job *j = of_link(link);

		link = link->next;
		if (hark__forked(r))
			disown(j);
		else if (unqueue(j))
			release(j, ECANCELED);
	}
	while (!hark__list_empty(&r->jobs)) {
		struct hark_job *j = of_link(r->jobs.next);

		wait_for(j);
		hark_message_withdraw(r, &j->hark_done);
		release(j, ECANCELED);
	}
}
