/* hark/test.h - for the tests of programs that use hark: a reactor whose clock jumps over all
 * waiting and whose kernel is as unkind as it may be, from a seed, and a loop over seeds.
 *
 *	static int slow_clients_are_let_go(struct hark_reactor *r)
 *	{
 *		...
 *		hark_test_advance(r, HARK_S(30));
 *		return still_connected ? -ETIMEDOUT : 0;
 *	}
 *
 *	int main(void)
 *	{
 *		return hark_test_seeds("slow clients", NULL, 100, slow_clients_are_let_go);
 *	}
 *
 * hark(7) says what the wrappers do: virtual, chaos and trace. This header is not part of
 * hark/hark.h, and these functions write to standard error.
 *
 * Threads: any for hark_test_reactor and hark_test_seeds, the reactor's owner for
 * hark_test_advance. */
#ifndef HARK_TEST_H
#define HARK_TEST_H

#include <hark/base.h>

HARK_BEGIN_DECLS

/* Makes a reactor on a chain: the wrappers, as in "virtual:chaos=eagain=0.5" (NULL:
 * "virtual:chaos"), and then the backend as hark_reactor_new chooses it, HARK_BACKEND included. The
 * seed is that of each `chaos` without one of its own. Returns 0, or -errno of hark_reactor_new
 * with the reason on standard error. */
HARK_API int hark_test_reactor(struct hark_reactor **r, const char *wrappers, uint64_t seed);

/* Moves the virtual clock of r on by ns nanoseconds, 0 or more, and runs on the way, each at its
 * time, all timers that come due, the last moment included, and everything that becomes ready,
 * until at that moment nothing is left to do. Returns the number of callbacks, or -errno: -ENOTSUP
 * if r's clock is the real one (then nothing has happened), or as hark_reactor_turn.
 * hark_reactor_stop, and hark_reactor_free in a callback, end it early.
 *
 * Whom nothing in r makes wait (a handler that is always ready) holds the clock up: it then goes on
 * slowly, and at the last moment such a one is called a thousand times at most. */
HARK_API int hark_test_advance(struct hark_reactor *r, int64_t ns);

/* Calls test with a reactor as hark_test_reactor makes it, for each seed from 1 up to count, each
 * in a child process: a test may crash, leak, hang (for two minutes) or exit, and fails by that as
 * it does by any result but 0. The reactor is freed after the test has returned; what is still
 * added to it must be there then. The first failure ends it, with one line on standard error that
 * says how it failed and how to see it again:
 *
 *	slow clients: seed 17: returned -110 (Connection timed out); again: HARK_TEST_SEED=17
 *
 * With the environment variable HARK_TEST_SEED=17 that seed alone is run, without a child process,
 * so that a debugger sees it; HARK_TEST_SEED=1-100000 is another range of seeds. Both are ignored
 * in a setuid program. name, and wrappers if not NULL, are strings. Returns 0 if all passed, else 1
 * (for main to return), or 2 if HARK_TEST_SEED is no such thing or there is no seed to try. */
HARK_API int hark_test_seeds(const char *name, const char *wrappers, uint64_t count,
                             int (*test)(struct hark_reactor *r));

HARK_END_DECLS

#endif
