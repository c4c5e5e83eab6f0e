/* pool.pml - a pool of threads ends while its jobs are queued, running and done, and their reactor
 * ends as well: src/core/worker.c.
 *
 * Proved, for every order of the steps: nobody touches the reactor, a job or the pool after it was
 * freed; each job ends exactly once, by handle_done (with or without its work done), by
 * hark_job_cancel or by hark_reactor_free; its work is never done after that; and all threads end
 * (what does not would be an invalid end state; there is no cycle).
 *
 * THREADS and JOBS bound the search. The owner of the reactor submits all jobs; then it handles
 * what is done, cancels any, and frees the reactor: at any time, or if it is patient after the last
 * job.
 * A job is freed as soon as it has ended. A thread of its own frees the pool at any time, with
 * HARK_POOL_FINISH, or with CANCEL with HARK_POOL_CANCEL. The owner may wait for it, which is the
 * same as to do so itself.
 *
 * The mutants are explained where they are; each has to fail. */

#define IDLE 0
#define QUEUED 1
#define RUNNING 2
#define DONE 3
#define CANCELLED 4

byte state[JOBS];  /* hark_job.hark_state */
bit worked[JOBS];  /* work was called */
bit ended[JOBS];   /* and so it is freed */
bool pool_freed, reactor_freed;

/* ---- struct hark_pool ---------------------------------------------------------------------- */

bool locked;
chan queue = [JOBS] of { byte };
byte users = 1;
bool ending;
byte threads = THREADS; /* that have not ended */

/* Those who wait for a condition: a bit each. */
byte work, rested;

inline lock()
{
	atomic { !locked -> assert(!pool_freed); locked = true }
}

inline unlock()
{
	atomic { assert(!pool_freed); locked = false }
}

inline wait(condition)
{
	atomic { condition = condition | 1 << _pid; locked = false };
	atomic { !(condition & 1 << _pid) && !locked -> assert(!pool_freed); locked = true }
}

inline broadcast(condition)
{
	condition = 0
}

/* Wakes any one; there is no other condition that more than one waits for. */
inline signal_work()
{
	if
	:: atomic { work & 1 -> work = work & ~1 }
	:: atomic { work & 2 -> work = work & ~2 }
	:: atomic { work & 4 -> work = work & ~4 }
	:: atomic { work == 0 -> skip }
	fi
}

/* ---- struct hark_reactor ------------------------------------------------------------------- */

chan inbox = [JOBS] of { byte };
byte jobs; /* submitted and not yet done: hark_reactor.jobs */

/* hark_post: the message is there for the owner to handle before the thread is through. */
inline post(j)
{
	atomic { assert(!reactor_freed && !ended[j]); inbox!j };
	assert(!reactor_freed); /* hark__wake looks at `sleeping` ... */
	assert(!reactor_freed)  /* ... and writes the waker */
}

/* ---- worker.c ------------------------------------------------------------------------------ */

inline finish(j, how)
{
	atomic { assert(!ended[j]); state[j] = how };
	post(j)
}

inline let_go()
{
#ifdef RELEASE_WITHOUT_LOCK
	/* Mutant: it does not wait for a post that is on its way. */
	atomic { users--; last = users == 0 };
#else
	lock();
	atomic { users--; last = users == 0 };
	unlock();
#endif
#ifndef NO_USERS
	if
	:: last -> pool_freed = true
	:: !last
	fi
#endif
}

active [THREADS] proctype run_jobs()
{
	byte j;

	lock();
	do
	:: empty(queue) && !ending -> wait(work)
	:: nempty(queue) ->
		atomic { queue?j; assert(!ended[j]); state[j] = RUNNING };
		unlock();
		atomic { assert(!ended[j] && !worked[j]); worked[j] = 1 };
#ifdef POST_WITHOUT_LOCK
		/* Mutant: the reactor does not wait for the post to be over. */
		finish(j, DONE);
		lock();
#else
		lock();
		finish(j, DONE);
#endif
#ifndef NO_REST /* mutant: who waits for a running job is not told */
		broadcast(rested)
#endif
	:: empty(queue) && ending -> break
	od;
	unlock();
	threads--
}

inline pool_free()
{
#ifdef CANCEL
	/* cancel_queued */
	lock();
	do
	:: nempty(queue) ->
		queue?k;
#ifdef LOSE_CANCELLED
		state[k] = CANCELLED /* mutant: nobody is told */
#else
		finish(k, CANCELLED)
#endif
	:: empty(queue) -> break
	od;
	unlock();
#endif
	/* end_threads */
	lock();
	ending = true;
#ifdef SIGNAL_END
	signal_work(); /* mutant: one of them is told */
#else
	broadcast(work);
#endif
	unlock();
#ifndef NO_JOIN /* mutant: a thread may still be in the pool when it goes */
	threads == 0;
#endif
	let_go();
#ifdef NO_USERS
	pool_freed = true /* mutant: though jobs are still to let go of it */
#endif
}

/* From here on j is its caller's again. */
inline release(j)
{
	jobs--;
	state[j] = IDLE;
	let_go()
}

inline end(j)
{
	atomic { assert(!ended[j]); ended[j] = 1 }
}

inline job_done(j)
{
	error = state[j];
	release(j);
	assert((error == DONE && worked[j]) || (error == CANCELLED && !worked[j]));
	end(j)
}

inline submit(j)
{
	lock();
	state[j] = QUEUED;
	jobs++;
	queue!j;
	users++;
	signal_work();
	unlock()
}

/* Sets `taken`. */
inline unqueue(j)
{
#ifdef CANCEL_WITHOUT_LOCK
	/* Mutant: it may start in between. */
	taken = state[j] == QUEUED;
	if
	:: taken ->
		if
		:: queue??eval(j)
		:: !(queue??[eval(j)])
		fi
	:: !taken
	fi
#else
	lock();
	taken = state[j] == QUEUED;
	if
	:: taken -> queue??eval(j)
	:: !taken
	fi;
	unlock()
#endif
}

inline job_cancel(j)
{
	unqueue(j);
	if
	:: taken -> release(j); end(j)
	:: !taken /* -EBUSY */
	fi
}

inline wait_for(j)
{
	lock();
	do
	:: state[j] == RUNNING -> wait(rested)
	:: state[j] != RUNNING -> break
	od;
	unlock()
}

inline detach_jobs()
{
#ifndef NO_UNQUEUE /* mutant: what has not started is let go of in the queue */
	for (k : 0 .. JOBS - 1) {
		if
		:: state[k] != IDLE ->
			unqueue(k);
			if
			:: taken -> release(k); end(k)
			:: !taken
			fi
		:: state[k] == IDLE
		fi
	}
#endif
	for (k : 0 .. JOBS - 1) {
		if
		:: state[k] != IDLE ->
#ifndef NO_WAIT /* mutant: what runs is let go of */
			wait_for(k);
#endif
			if
			:: inbox??eval(k) /* hark_message_withdraw */
			:: !(inbox??[eval(k)])
			fi;
			release(k);
			end(k)
		:: state[k] == IDLE
		fi
	}
}

bool submitted, returned;

active proctype owner()
{
	byte j, k, error, left = JOBS;
	bool taken, last, patient, waited;

	if
	:: patient = true
	:: patient = false
	fi;
	for (j : 0 .. JOBS - 1) {
		submit(j)
	}
	submitted = true;
	do
	:: inbox?j -> job_done(j)
	:: left > 0 ->
		left--;
		if
		:: state[left] != IDLE -> job_cancel(left)
		:: state[left] == IDLE
		fi
	:: !waited -> waited = true; returned /* it is the owner who frees the pool */
	:: jobs == 0 || !patient -> break
	od;
	detach_jobs();
	assert(jobs == 0 && empty(inbox));
	reactor_freed = true;
	for (j : 0 .. JOBS - 1) {
		assert(ended[j])
	}
}

active proctype freer()
{
	byte k;
	bool last;

	submitted;
	pool_free();
	returned = true
}

/* Nothing is left over. */
active proctype leak()
{
	reactor_freed && returned;
	pool_freed && threads == 0
}
