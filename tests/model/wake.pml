/* wake.pml - no wake-up is lost: posts, stops and signals against a reactor that falls asleep.
 *
 * Of src/core: hark_post and hark__wake (message.c), hark_reactor_stop and the round (turn.c),
 * hark__fall_asleep and hark__be_awake (core.h), deliver and hark__call_signals (signal.c),
 * hark_reactor_prepare (embed.c), and the two wakers.
 *
 * Proved, for every order of the steps: the owner does not sleep for ever on a message that is not
 * handled, a stop that is not taken or a delivery that is not told (that would be an invalid end
 * state), nor does it go round for ever (there is no cycle at all).
 *
 * Memory is weaker than the order of the program in two ways. What a thread stores without a fence
 * stays in its store buffer for as long as it likes: `buffer`, and `late` of a mutant. And the
 * owner's relaxed load of `sleeping` may overlook another's exchange until the wake that followed
 * it has been met: `unseen`.
 *
 * PRODUCERS, POSTS of each, STOPS, SIGNALS and OTHERS bound the search. The inbox is a number,
 * since a push is one compare-and-swap. Of the kernel there is a wait, which OTHERS other events
 * end as well, and the waker: level-triggered and drained (poll, select, any pipe), or with EDGES
 * an eventfd under EPOLLET, which nobody reads. EMBEDDED: another loop waits, between
 * hark_reactor_prepare and a turn that does not. IN_OWNER: the signals interrupt the owner itself.
 *
 * The mutants are explained where they are; each has to fail. */

/* Of struct hark_reactor, as hark_reactor_new makes it. */
byte word[3];
#define INBOX 0
#define STOPPED 1
#define SIGNALLED 2
bit sleeping = 1;
bool posted_to;

byte count; /* hark_signal.hark_count */

byte sources = PRODUCERS + (STOPS > 0) + (SIGNALS > 0); /* threads that are not through */
byte handled, told;
bool interrupted; /* the owner, by the handler of a signal */

/* ---- Memory and the waker ------------------------------------------------------------------ */

chan buffer = [2] of { bit }; /* of the owner, for `sleeping` ... */
bit own;                      /* ... and what it put in last */
byte unseen;                  /* whose exchange of `sleeping` the owner may overlook: a bit each */

#ifdef NO_SOURCE_FENCE
byte late[3]; /* of the others */
#define buffered(w) (late[w] > 0)
#else
#define buffered(w) false
#endif

active proctype memory()
{
end:
	do
	:: buffer?sleeping
#ifdef NO_SOURCE_FENCE
	:: atomic { buffered(INBOX) -> late[INBOX]--; word[INBOX]++ }
	:: atomic { buffered(STOPPED) -> late[STOPPED]--; word[STOPPED]++ }
	:: atomic { buffered(SIGNALLED) -> late[SIGNALLED]--; word[SIGNALLED]++ }
#endif
	od
}

bool readable; /* with EDGES: an edge that was not yet reported */
byte writers;  /* whose wakes are in it: a bit each */
byte bytes;

inline waker_wake()
{
	atomic {
#ifdef UNDRAINED_PIPE
		/* Mutant, with EDGES: a pipe that is full takes no byte, and makes no edge. */
		readable = readable || bytes < 2;
		bytes = (bytes < 2 -> bytes + 1 : 2);
#else
		readable = true;
#endif
		writers = writers | 1 << _pid
	}
}

/* Reported, or read. Whoever meets a wake sees what its writer did before. */
inline waker_take()
{
	readable = false;
	unseen = unseen & ~writers;
	writers = 0
}

/* ---- Those who wake ------------------------------------------------------------------------ */

/* A sequentially consistent store or exchange. */
inline publish(w)
{
#ifdef NO_SOURCE_FENCE
	late[w]++ /* mutant: it may become visible after the load in wake() */
#else
	word[w]++
#endif
}

/* hark__wake */
inline wake(w)
{
	if
	:: sleeping ->
#ifdef WAKE_FIRST
		/* Mutant: by the time the mark is taken back it may be that of the next sleep. */
		waker_wake();
		atomic { sleeping = 0; unseen = 1 << _pid }
#else
		if
		:: atomic { !buffered(w) && sleeping -> sleeping = 0; unseen = 1 << _pid };
			waker_wake()
		:: !buffered(w) && !sleeping
		fi
#endif
	:: !sleeping
	fi
}

#if PRODUCERS > 0
active [PRODUCERS] proctype producer() /* hark_post */
{
	byte i;

	for (i : 1 .. POSTS) {
		publish(INBOX);
		wake(INBOX)
	}
	sources--
}
#endif

#if STOPS > 0
active proctype stopper() /* hark_reactor_stop */
{
	byte i;

	for (i : 1 .. STOPS) {
		publish(STOPPED);
		wake(STOPPED)
	}
	sources--
}
#endif

#if SIGNALS > 0
active proctype handler() /* deliver */
{
	byte i;

	for (i : 1 .. SIGNALS) {
#ifdef IN_OWNER
		/* Its first step is a fence of the thread that it interrupts. */
		atomic { empty(buffer) -> interrupted = true };
#endif
#ifdef COUNT_LAST
		/* Mutant: the owner may look for what is not counted yet. */
		publish(SIGNALLED);
		count++;
#else
		count++;
		publish(SIGNALLED);
#endif
		wake(SIGNALLED);
		interrupted = false
	}
	sources--
}
#endif

/* ---- The owner ----------------------------------------------------------------------------- */

inline load_sleeping()
{
	if
	:: atomic { nempty(buffer) -> seen = own }
	:: atomic { empty(buffer) -> seen = sleeping }
	:: atomic { empty(buffer) && unseen -> seen = 1 }
	fi
}

inline store_sleeping(value)
{
	atomic { buffer!value; own = value; unseen = 0 }
}

/* hark__woken: three loads. */
inline look()
{
	asleep = !word[INBOX];
	asleep = asleep && !word[STOPPED];
	asleep = asleep && !word[SIGNALLED]
}

/* hark__fall_asleep */
inline fall_asleep()
{
#ifdef LOOK_FIRST
	look(); /* mutant: what is published between the look and the mark is missed */
#endif
	load_sleeping();
	if
	:: !seen ->
		posted_to = true;
#ifndef NEVER_AGAIN /* mutant: the mark of the beginning is the only one */
		store_sleeping(1);
#endif
#ifndef NO_FENCE /* mutant: the mark may become visible after the look */
		empty(buffer)
#endif
	:: seen
	fi;
#ifdef NO_RECHECK
	asleep = true /* mutant: what was published before the mark is missed */
#elif !defined(LOOK_FIRST)
	look()
#endif
}

/* hark__be_awake */
inline be_awake()
{
	if
	:: posted_to -> store_sleeping(0)
	:: !posted_to
	fi
}

/* hark__call_signals */
inline call_signals()
{
	if
	:: word[SIGNALLED] ->
#ifdef CLEAR_LAST
		/* Mutant: a delivery between the two is marked, and then unmarked. */
		atomic { told = told + count; count = 0 };
		word[SIGNALLED] = 0
#else
		word[SIGNALLED] = 0;
		atomic { told = told + count; count = 0 }
#endif
	:: !word[SIGNALLED]
	fi
}

/* backend->wait: what it has to report. */
inline returns()
{
	atomic {
		reported = readable;
#ifdef EDGES
		waker_take()
#endif
	}
}

#define finished (sources == 0 && !word[INBOX] && !word[STOPPED] && !word[SIGNALLED] && \
	!buffered(INBOX) && !buffered(STOPPED) && !buffered(SIGNALLED) && !count)

#ifdef IN_OWNER
active proctype owner() provided (!interrupted)
#else
active proctype owner()
#endif
{
	byte others = OTHERS;
	bool asleep, reported;
	bit seen;

	do
	::
		if
		:: others > 0 -> others--; returns() /* it has something to do, or spins */
		:: fall_asleep();
#ifdef AWAKE_EARLY
			be_awake(); /* mutant: asleep without the mark */
#endif
			if
			:: asleep ->
				if
				:: readable
				:: others > 0 -> others--
				:: finished -> break
				fi
			:: !asleep
			fi;
#ifdef EMBEDDED
			if
			:: !asleep -> be_awake() /* hark_reactor_prepare; the turn does not */
			:: asleep
			fi;
			returns()
#else
			returns();
			be_awake()
#endif
		fi;
		atomic { handled = handled + word[INBOX]; word[INBOX] = 0 };
#if SIGNALS > 0
		call_signals();
#endif
#ifndef EDGES
		if
		:: reported -> atomic { waker_take() } /* hark__dispatch: drained */
		:: !reported
		fi;
#endif
		word[STOPPED] = 0 /* take_stop */
	od;
	assert(handled == PRODUCERS * POSTS && told == SIGNALS)
}
