/* level.c - readiness is level-triggered: a handler is called as long as there is something, in
 * whatever way and in whatever portions it receives. */
#include "cases.h"
#include "conformance.h"
#include "probe.h"

/* A handler that ignores its callback is called again in each turn, once. */
START_TEST(an_ignored_callback_comes_again_each_turn)
{
	static const char *const transport[] = {"unix", "tcp"};
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;
	int fds[2];

	socket_pair(transport[_i], fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	put(fds[1], "x", 1);
	turns_until(r, &p.recvs, 1);
	for (unsigned turn = 2; turn < 20; turn++) {
		ck_assert_int_eq(hark_reactor_turn(r, HARK_S(20)), 1);
		ck_assert_uint_eq(p.recvs, turn);
	}
	hark_reactor_free(r);
}
END_TEST

TCase *case_level(void)
{
	TCase *tc = tcase_create("level");

	tcase_add_loop_test(tc, an_ignored_callback_comes_again_each_turn, 0, 2);
	return tc;
}
