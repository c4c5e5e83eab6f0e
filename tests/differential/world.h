/* world.h - what a run of the differential test works on: a small world of descriptors.
 *
 * A world has twelve pairs of ends. Each end is a descriptor with at most one handler (an actor);
 * end i talks to end i ^ 1 through channel i. A listener is an end too: its channel i ^ 1 carries
 * connections, each counted as a message.
 *
 * What goes through a channel is decided by its serial number and the position in it, so that a
 * reader can check every byte without a copy of what was written. Operations do not write; they
 * add to what the channel *owes*, and it is paid when the kernel takes it, at the latest in the
 * final phase. So the bytes delivered do not depend on the order of callbacks, and a hash of them
 * is the same on every backend - unless callbacks close and write, too, as they do in every other
 * run, a *wild* one. */
#ifndef WORLD_H
#define WORLD_H

#include "chance.h"

#include <hark/hark.h>
#include <poll.h>

#define ENDS 24
#define DUPS 4
#define CLIENTS 4
#define MESSAGES 6
#define GRAVES 64
#define DIRECTIONS (HARK_RECV | HARK_SEND | HARK_URGENT)

enum kind { STREAM, DATAGRAM, SEQPACKET, TCP, PIPE, UDP, LISTENER, KINDS };

/* How a callback does its input and output: by system calls of its own, by the verbs, or by both
 * in turn. The devoted use a verb in each callback, and want to send only while they owe. */
enum manner { PLAIN, VERB, MIXED, DEVOTED, MANNERS };

struct channel {
	uint32_t serial;
	enum kind kind;
	uint64_t owed; /* bytes or messages still to be sent */
	uint64_t sent; /* taken by the kernel */
	uint64_t received;
	uint64_t urgent_mark; /* what was sent before the last out-of-band byte, if it is out of
	                         line */
	bool urgent;          /* there was one */
	bool finish;          /* to be shut down when nothing is owed any more */
	bool ended;           /* shut down or closed by the writer */
	bool lossy;           /* cut off: what was under way may be lost */
	bool over;            /* the reader has met the end of it, or an error */
};

struct end {
	int fd; /* -1: closed */
	enum kind kind;
	unsigned able; /* directions that make sense here */
	bool inlined;  /* out-of-band data comes in line */
	struct actor *actor;

	short before;            /* what poll(2) said before the turn */
	unsigned called;         /* directions that were called in this turn */
	unsigned stirred;        /* directions in which somebody did I/O in this turn */
	unsigned stirred_before; /* ... or since the last that waited began */
	unsigned missed[3];      /* for how many turns running a call was due and did not come, in
	                            each direction */
	unsigned useful;         /* ... and it was of use */
	unsigned idle[3];        /* how often running, in each direction, it was called and could do
	                            nothing */
	bool changed;            /* its handler or what that wants was changed in this turn */
};

/* A handler with what the test knows about it. */
struct actor {
	struct hark_handler handler;
	struct world *world;
	struct end *end;
	uint32_t serial;
	uint32_t calls;
	unsigned wants;
	enum manner manner;
	bool verbs; /* has used a verb */
	bool added;
	uint64_t added_turn;
};

struct note {
	struct hark_message message;
	struct world *world;
	bool queued;
	uint64_t posted_turn;
};

struct world {
	const char *backend;
	char chain[96]; /* the backend, with the seed's chaos before it if it is under chaos */
	bool chaotic;
	uint64_t seed;
	struct hark_reactor *reactor;
	bool wild;     /* callbacks do what changes the bytes delivered */
	bool watched;  /* the model asks poll(2) around each turn */
	bool measured; /* callbacks are, and what one would end with comes in handle_slow instead */
	bool calm;     /* callbacks do nothing but input and output, to the end */
	bool inside;   /* a turn */
	bool stopped;  /* hark_reactor_stop was called and its effect is due, or was in this turn */
	bool freed;    /* the reactor was freed inside this turn */
	bool abandoned; /* a descriptor was closed before its handler was removed */
	unsigned quirks;

	uint32_t step, steps;
	uint64_t turn;
	int callbacks;       /* in this turn */
	struct end *after;   /* whose callback has left something for handle_slow, or NULL: ... */
	uint64_t after_word; /* ... and what */
	uint32_t serials, actors;
	uint64_t hash;

	struct end ends[ENDS];
	struct channel channels[ENDS];
	struct note notes[MESSAGES];
	int dups[DUPS];
	unsigned next_dup;

	int clients[ENDS][CLIENTS]; /* connected to a listener and not yet accepted */

	struct actor *graves[GRAVES];
	unsigned next_grave;
};

/* Deviations of a backend that have a reason outside of hark. */
#define QUIRK_CLOSE \
	0x01u /* a closed descriptor's registration stays: always remove first, no dups */
#define QUIRK_URGENT 0x02u /* out-of-band data is not reported */
#define QUIRK_WAKE_UPS \
	0x04u /* what is reported is a wake-up, whose cause somebody may have taken meanwhile */

static inline struct end *end_peer(struct world *w, const struct end *e)
{
	return &w->ends[(e - w->ends) ^ 1];
}

/* The channel that e writes, and the one that it reads. */
static inline struct channel *channel_out(struct world *w, const struct end *e)
{
	return &w->channels[e - w->ends];
}

static inline struct channel *channel_in(struct world *w, const struct end *e)
{
	return &w->channels[(e - w->ends) ^ 1];
}

static inline bool is_message(enum kind kind)
{
	return kind == DATAGRAM || kind == SEQPACKET || kind == UDP;
}

/* world.c: the descriptors */
void world_init(void);
const char *world_chain(char *chain, size_t size, const char *backend, uint64_t seed);
void world_make(struct world *w, const char *backend, uint64_t seed, uint32_t steps);
void world_reactor(struct world *w);
void world_free(struct world *w);
bool world_open(struct world *w, struct end *e, uint32_t x);
void world_retire(struct world *w, struct end *e);
void world_close(struct world *w, struct end *e, bool reset);
void world_dup(struct world *w, int fd);

/* bytes.c: what goes through channels. Results as of the verbs: -errno instead of -1. */
void bytes_init(void);
ssize_t bytes_receive(struct world *w, struct end *e, enum manner manner, uint32_t x, size_t size);
ssize_t bytes_send(struct world *w, struct end *e, enum manner manner, uint32_t x, size_t size);
void bytes_urgent_send(struct world *w, struct end *e);
void bytes_urgent_receive(struct world *w, struct end *e, enum manner manner);
bool bytes_payable(struct world *w, const struct end *e);
void bytes_changed(struct end *e);
void bytes_owe(struct world *w, struct end *e, uint64_t more);
void bytes_finish(struct world *w, struct end *e);
void bytes_connect(struct world *w, struct end *e);

/* actor.c: the handlers */
void actor_make(struct world *w, struct end *e, uint32_t x);
void actor_free(struct actor *a);
void actor_add(struct actor *a);
void actor_remove(struct actor *a);
void actor_want(struct actor *a, unsigned directions);
unsigned actor_wants(const struct actor *a);
void actor_graves(struct world *w);
void actor_after(struct world *w);

/* model.c: what poll(2) says */
void model_before(struct world *w);
void model_call(struct actor *a, unsigned directions);
void model_after(struct world *w, int result);
short model_look(const struct end *e);
unsigned model_due(const struct end *e);

/* operations.c */
void operations_init(void);
void operations_do(struct world *w, uint64_t word);
void operations_inside(struct world *w, struct end *own, uint64_t word);
int operations_turn(struct world *w, int64_t timeout_ns);
void operations_calm(struct world *w);

/* finish.c: everything that is owed arrives */
void finish_pair(struct world *w, struct end *e);
void finish_all(struct world *w);

/* report.c */
void trace(struct world *w, const char *what, const struct end *e, uint64_t x);
void report_init(const char *name, bool loud);
void report_world(struct world *w);
void report_progress(void);
_Noreturn void fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
