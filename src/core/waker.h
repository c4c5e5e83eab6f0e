/* waker.h - a descriptor that another thread or a signal handler makes readable.
 *
 * One implementation is built: waker_eventfd.c where there is eventfd, else waker_pipe.c. */
#ifndef HARK_WAKER_H
#define HARK_WAKER_H

#include <stdbool.h>

struct hark__waker {
	int fd;    /* to watch */
	int write; /* to write to; may be the same */
};

/* True if each wake is an edge, also when the one before was never drained. */
extern const bool hark__waker_edges;

int hark__waker_open(struct hark__waker *w);
void hark__waker_close(struct hark__waker *w);
void hark__waker_wake(const struct hark__waker *w); /* async-signal-safe, keeps errno */
void hark__waker_drain(const struct hark__waker *w);

#endif
