/* pairs.h - bytes that pass to and fro through pairs of sockets, both ends on one reactor. */
#ifndef PAIRS_H
#define PAIRS_H

#include <hark/reactor.h>

/* Adds the pairs to r. work is called in the callbacks now and then. Returns 0 or -errno. */
int pairs_add(struct hark_reactor *r, void (*work)(void));

/* Gives one of them a byte, which will pass some times. Any thread, but always the same. */
void pairs_feed(void);

/* The bytes that have come. */
unsigned long long pairs_passed(void);

#endif
