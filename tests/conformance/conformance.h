/* conformance.h - what every conformance test has: the backend under test, and pairs of sockets.
 *
 * The program `conformance BACKEND` runs all tests on one backend, or on one behind wrappers; each
 * file adds one test case through its function below. Check runs each test in a process of its own,
 * so a test may leave descriptors open but is expected to free its reactor: the sanitizers look for
 * leaks. */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <check.h>
#include <hark/hark.h>

/* The name of the backend under test. */
extern const char *backend;

/* Sets it from the command line: "epoll", or the last link of "trace:epoll". */
void set_backend(const char *argument);

/* Are tests that take long wanted? Not behind wrappers, where only chaos with seed 1 has them. */
extern bool long_tests;

/* True if the backend under test has this name; for exceptions, each with its reason beside it. */
bool backend_is(const char *name);

/* The name of a backend behind the wrappers of the command line: itself if there are none. It is
 * valid until the next call. */
const char *chained(const char *name);

/* ck_assert_msg for what is asserted thousands of times: Check writes down each of its own, in a
 * system call. */
#define require(condition, ...)                    \
	do {                                       \
		if (!(condition))                  \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

/* A new reactor on the backend under test, with its wrappers; options may be NULL. Fails the test
 * if there is none. */
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

/* What hark_reactor_dump writes: a string that is good until the next call. */
char *dump_of(const struct hark_reactor *r);

/* A turn, or more if it is interrupted, until there was a callback; returns the callbacks, or 0 if
 * there was none for 20 seconds: then the reactor is asleep, and what the test waits for is lost.
 */
int active_turn(struct hark_reactor *r);

/* A verb is to be called again: there is nothing now, or it was interrupted. */
bool again(ssize_t result);

/* Is it under chaos? */
bool chaotic(void);

/* Under chaos a test bears whatever the contract allows, but for what it says here, before it makes
 * its first reactor: kinds of mischief with which what it asserts cannot be so. Everything else
 * goes on. */
enum {
	EXACT_CALLS = 1, /* it counts callbacks: nobody is called for nothing */
	EXACT_TURNS =
		2, /* it counts turns: what is ready is called in this one, which ends by itself */
	EXACT_ORDER = 4, /* it knows who is called first */
	EXACT_VERBS = 8, /* it knows what a verb answers: what the kernel would */
};
void exact(unsigned what);

/* At most so many callbacks are for nothing; under chaos some more. */
int few(int n);

/* At most so many turns pass before something happens; under chaos more. */
unsigned patience(unsigned turns);

/* A child that sleeps until it is killed. It asserts nothing: what a process was telling Check when
 * it was killed arrives torn, and Check then gives up all of the program's tests. */
pid_t lasting_child(void);

/* Monotonic nanoseconds, from the system. */
int64_t clock_ns(void);

#endif
