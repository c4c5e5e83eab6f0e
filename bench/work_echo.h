/* work_echo.h - what the server of echo does when it has sent bytes back, once for all drivers.
 *
 * A driver includes this file after it has declared struct node and defined node_finish
 * (work_sockets.h). */
#ifndef BENCH_WORK_ECHO_H
#define BENCH_WORK_ECHO_H

#include "bench.h"

/* So many more bytes are on their way back. A client sends a message when it has the one before, so
 * that never more than one ends here. */
static inline void echo_passed(struct node *node, size_t sent)
{
	tally.echoed += sent;
	tally.part += sent;
	if (tally.part < tally.message)
		return;
	tally.part -= tally.message;
	if (++tally.hops == tally.goal)
		node_finish(node);
}

#endif
