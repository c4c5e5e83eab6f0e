/* faulty.h - a backend from outside the library: the one under test, with faults on demand.
 *
 * It passes everything on to the backend under test but where the test tells it to refuse, so a
 * refusal, a failing wait or a failing start can be had on every system and at will. */
#ifndef FAULTY_H
#define FAULTY_H

#include "conformance.h"

#define FAULTY_NAME "faulty"
#define FAULTY_ANY (-2) /* as fd: every descriptor, that of the waker included */

/* The orders; all zero: none. Errors are positive errnos. */
extern struct faulty {
	int open;    /* open fails with it */
	int wait;    /* the next wait fails with it, once */
	int reserve; /* reserve fails with it */
	int refuse;  /* modify of `fd` to anything but 0 fails with it */
	int late;    /* modify accepts `fd`, and the next wait refuses it with this */
	int fd;
	bool spent; /* the next wait says that the registration of `fd` is used up, once */
	bool dead;  /* the next wait says HARK_DEAD, once */

	unsigned opened, closed, forked; /* how often; forked of closed in a child */
} faulty;

/* Registers it, the first time; the other makes a reactor on it, too, and takes back all orders. */
void faulty_register(void);
struct hark_reactor *faulty_reactor(void);

#endif
