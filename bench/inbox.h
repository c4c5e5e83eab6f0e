/* inbox.h - a queue that many threads push to and one takes from, for the loops that bring none of
 * their own: a stack that is pushed to with one compare-and-swap, taken as a whole and turned
 * round. */
#ifndef BENCH_INBOX_H
#define BENCH_INBOX_H

#include "bench.h"

struct message {
	struct message *next;
};

struct inbox {
	_Alignas(CACHE_LINE) struct message *top; /* atomic: the latest first */
};

/* From any thread. Was it empty? */
static inline bool inbox_push(struct inbox *inbox, struct message *m)
{
	struct message *top = __atomic_load_n(&inbox->top, __ATOMIC_RELAXED);

	do
		m->next = top;
	while (!__atomic_compare_exchange_n(&inbox->top, &top, m, true, __ATOMIC_SEQ_CST,
	                                    __ATOMIC_RELAXED));
	return top == NULL;
}

static inline bool inbox_is_empty(const struct inbox *inbox)
{
	return __atomic_load_n(&inbox->top, __ATOMIC_SEQ_CST) == NULL;
}

/* All that is there, in the order in which it came. */
static inline struct message *inbox_take(struct inbox *inbox)
{
	struct message *m = __atomic_exchange_n(&inbox->top, NULL, __ATOMIC_SEQ_CST);
	struct message *oldest = NULL;

	while (m != NULL) {
		struct message *next = m->next;

		m->next = oldest;
		oldest = m;
		m = next;
	}
	return oldest;
}

#endif
