/* cases.h - the test cases of the suite, in the order in which they run. Each is a file of its
 * own, FILE.c with case_FILE; a new one is added to a list here and to the build's. */
#ifndef CASES_H
#define CASES_H

#include <check.h>

/* In these it matters in which order and when events come, and what the verbs answer: under chaos
 * they run with each seed. */
#define EVENT_CASES(CASE) \
	CASE(level)       \
	CASE(edge)        \
	CASE(interest)    \
	CASE(order)       \
	CASE(descriptors) \
	CASE(io)          \
	CASE(lifecycle)   \
	CASE(reuse)       \
	CASE(timer)       \
	CASE(message)     \
	CASE(task)

/* And the others with a few. */
#define OTHER_CASES(CASE) \
	CASE(fairness)    \
	CASE(scale)       \
	CASE(audit)       \
	CASE(errors)      \
	CASE(timeout)     \
	CASE(stop)        \
	CASE(signal)      \
	CASE(child)       \
	CASE(worker)      \
	CASE(task_cancel) \
	CASE(threads)     \
	CASE(slow)        \
	CASE(fork)        \
	CASE(inherit)     \
	CASE(starve)      \
	CASE(embed)       \
	CASE(report)      \
	CASE(environment) \
	CASE(chain)       \
	CASE(wrapper)     \
	CASE(trace)       \
	CASE(chaos)       \
	CASE(virtual)

#define CASES(CASE) EVENT_CASES(CASE) OTHER_CASES(CASE)

#define DECLARE_CASE(file) TCase *case_##file(void);
CASES(DECLARE_CASE)
#undef DECLARE_CASE

#endif
