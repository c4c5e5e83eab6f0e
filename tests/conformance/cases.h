/* cases.h - the test cases of the suite, in the order in which they run. Each is a file of its
 * own, FILE.c with case_FILE; a new one is added to the list here and to the build's. */
#ifndef CASES_H
#define CASES_H

#include <check.h>

#define CASES(CASE)       \
	CASE(level)       \
	CASE(edge)        \
	CASE(interest)    \
	CASE(order)       \
	CASE(fairness)    \
	CASE(descriptors) \
	CASE(scale)       \
	CASE(io)          \
	CASE(audit)       \
	CASE(lifecycle)   \
	CASE(reuse)       \
	CASE(errors)      \
	CASE(timeout)     \
	CASE(stop)        \
	CASE(timer)       \
	CASE(signal)      \
	CASE(message)     \
	CASE(child)       \
	CASE(worker)      \
	CASE(fork)        \
	CASE(starve)      \
	CASE(embed)       \
	CASE(report)      \
	CASE(environment)

#define DECLARE_CASE(file) TCase *case_##file(void);
CASES(DECLARE_CASE)
#undef DECLARE_CASE

#endif
