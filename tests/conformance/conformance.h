/* conformance.h - what every conformance test has: the backend under test, and pairs of sockets.
 *
 * The program `conformance BACKEND` runs all tests on one backend; each file adds one test case
 * through its function below. Check runs each test in a process of its own, so a test may leave
 * descriptors open but is expected to free its reactor: the sanitizers look for leaks. */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <check.h>
#include <hark/hark.h>

/* The name of the backend under test. */
extern const char *backend;

/* True if the backend under test has this name; for exceptions, each with its reason beside it. */
bool backend_is(const char *name);

/* A new reactor on the backend under test; options may be NULL. Fails the test if there is none. */
struct hark_reactor *new_reactor(const struct hark_options *options);

/* The reactor's counts. */
struct hark_stats stats_of(const struct hark_reactor *r);

/* A connected pair, both ends nonblocking; transport is "unix" or "tcp". */
void socket_pair(const char *transport, int fds[2]);

/* Makes fd nonblocking. */
void nonblocking(int fd);

/* Raises the soft limit on descriptors to at least n; false if the hard limit forbids it. */
bool need_descriptors(unsigned long n);

/* Runs turns that do not wait until a turn runs no callback, at most limit of them; returns the
 * callbacks run. */
int settle(struct hark_reactor *r, int limit);

/* Monotonic nanoseconds, from the system. */
int64_t clock_ns(void);

#endif
