/* bender.h - a wrapper from outside the library: it passes everything on, counts it, and bends it
 * where the test tells it to. A chain may have several, told apart by their settings. */
#ifndef BENDER_H
#define BENDER_H

#include "conformance.h"

#define BENDER "bender"

struct bender {
	struct hark_port *up;
	const char *settings; /* "" if it has none */

	/* How often each function was called; ready and refuse: reports from behind. */
	unsigned modifies, waits, readies, refusals, verbs, reserves, submits;
	char name[32]; /* of the last handler whose registration was changed */

	/* Orders; all zero: none. Errors are positive errnos. */
	bool hold;      /* hold each report back until the next wait */
	int spurious;   /* in each wait report this descriptor as ready to receive, too */
	int refuse;     /* modify of `fd` to anything but 0 fails with it */
	int late;       /* the next wait refuses `fd` with it */
	int fd;         /* of both */
	int reserve;    /* reserve fails with it */
	size_t shorten; /* verbs that receive ask for no more than this */
	unsigned again; /* so many verbs that receive find nothing, and a report follows each */
	int64_t ahead;  /* its clock is ahead of the next by this */

	struct held {
		int fd;
		uint32_t generation;
		unsigned events;
	} held[64];
	unsigned held_count;
};

/* For open, which is before there is one. What it says in words may be NULL. */
extern int bender_open_error;
extern const char *bender_open_why;

/* What was opened, closed and called, in order: "open b, open a, modify a, modify b, ". */
extern char bender_log[4096];

/* How many were closed, and how many of them in a child. */
extern unsigned bender_closed, bender_forked;

/* Registers it, the first time; the other makes a reactor on this chain, too. */
void bender_register(void);
struct hark_reactor *bender_reactor(const char *chain);

/* The one that is open and has these settings; fails the test if there is none. */
struct bender *bender_at(const char *settings);

#endif
