/* actor.h - an actor: a handler on the heap with its own socket pair that reads or writes one byte
 * in each callback and then does whatever the test has told it to, its own end included.
 *
 * It is freed with free(3), its memory filled with rubbish before, so that a reactor that still
 * knows it crashes in any build and is reported under AddressSanitizer. */
#ifndef ACTOR_H
#define ACTOR_H

#include "conformance.h"
#include "probe.h"

struct actor {
	struct hark_handler handler; /* first */
	int peer;                    /* the other end of the pair */
	bool recv, send;             /* what it wants */

	unsigned calls;  /* callbacks of any kind, also those that edges make for nothing */
	unsigned recvs;  /* in which a byte was received */
	unsigned sends;  /* in which a byte was sent */
	unsigned errors; /* handle_error, with the last error */
	int error;
	unsigned ready; /* what handle_ready was last told */

	void (*act)(struct actor *a); /* the last thing in each callback; may free a */
	void *with;                   /* for act */
};

/* With handle_recv and handle_send; with handle_ready; and without handle_error. */
extern const struct hark_handler_ops actor_ops;
extern const struct hark_handler_ops actor_ready_ops;
extern const struct hark_handler_ops actor_frail_ops;

/* An actor that wants to receive and is not added: on a new pair, or on one that is given to it. */
struct actor *actor_make(void);
struct actor *actor_make_on(int fd, int peer);

/* The same, added. */
struct actor *actor_new(struct hark_reactor *r);

/* Removes a, closes both descriptors and frees a. */
void actor_free(struct actor *a);

/* Frees a, whose descriptors are no longer its own. */
void actor_forget(struct actor *a);

/* Fills what is of no use any more with rubbish, and frees it. */
void bury(void *object, size_t size);

/* Gives a n bytes to receive. */
void actor_feed(struct actor *a, unsigned n);

/* Leads a, added, through callbacks that use the verbs and a change of interest, after which a
 * backend that can watches it with edges. It has nothing to receive before or after. */
void actor_make_edge(struct actor *a);

/* The descriptors that are open in this process. */
unsigned open_descriptors(void);

/* True where kqueue is emulated over Linux by libkqueue: an exception from the test, and its reason
 * is how libkqueue differs from a kqueue. */
bool emulated(const char *test, const char *difference);

/* Reasons for it. */
#define KNOTES_STAY "libkqueue keeps a knote whose descriptor was closed"
#define OWN_DESCRIPTORS "libkqueue opens descriptors of its own, and closes them late"
#define NOT_POLLABLE "libkqueue's descriptor cannot be polled"

/* True under a ThreadSanitizer that does not know the system call in which this backend waits: it
 * then puts signals off until another call. An exception from the test. */
bool signals_are_put_off(const char *test);

/* Forks; the child calls body and ends; fails the test unless the child succeeded. */
void in_child(void (*body)(void *with), void *with);

#endif
