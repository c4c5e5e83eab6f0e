/* load.h - how echo tells its clients, in another process, what to do (load.c).
 *
 * A turn:  BEGIN  each of the active clients sends a message, and another when it has that back
 *          MARK   forget how long messages have taken so far
 *          REPORT how long have they taken since?
 *          END    send no more; how many bytes were sent?
 *          SETTLE so many bytes were sent back: is each of them here, and the right one?
 *
 * Those with a question mark are answered. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench.h"

enum load_verb { LOAD_BEGIN, LOAD_MARK, LOAD_REPORT, LOAD_END, LOAD_SETTLE };

struct load_order {
	enum load_verb verb;
	uint64_t bytes; /* of LOAD_SETTLE */
};

struct load_answer {
	uint64_t bytes;        /* to LOAD_END */
	double p50, p99, p999; /* to LOAD_REPORT: nanoseconds */
	char problem[80];      /* to LOAD_SETTLE; "": there is none */
};

/* The clients' process: does what comes from `control`, until there is no more. */
void load_run(const struct cell *cell, int control);

#endif
