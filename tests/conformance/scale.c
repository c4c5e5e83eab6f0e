/* scale.c - descriptors of any number, and many of them at once. */
#include "cases.h"
#include "conformance.h"
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Moves a descriptor to a number. */
static int move(int fd, int to)
{
	if (fd == to)
		return fd;
	ck_assert_int_eq(dup2(fd, to), to);
	close(fd);
	return to;
}

/* One descriptor of each number: 0 and 1, around the size of an fd_set, and far above it. */
START_TEST(a_descriptor_may_have_any_number)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	static const int numbers[] = {0,    1,    2,    31,   32,   63,    64,    1022, 1023,
	                              1024, 1025, 2047, 2048, 4999, 16384, 65535, 65536};
	int number = numbers[_i];
	char name[64];
	int stdio = -1;
	int fds[2];

	if (!need_descriptors((unsigned long)number + 10)) {
		snprintf(name, sizeof name, "a_descriptor_may_have_any_number, %d", number);
		except(name, "the hard limit on descriptors is too low");
		return;
	}
	struct hark_reactor *r = new_reactor(NULL);
	struct probe p;

	socket_pair("unix", fds);
	fds[1] = fcntl(fds[1], F_DUPFD, 200); /* out of the way */
	if (number <= 2)
		stdio = fcntl(number, F_DUPFD, 200);
	fds[0] = move(fds[0], number);
	probe_init(&p, number);
	p.recv = true;
	p.on_recv = verb_one;
	p.on_send = verb_send_one;
	for (int round = 1; round <= 3; round++) {
		unsigned recvs = p.recvs, sends = p.sends;
		char c;

		p.recv = true;
		probe_add(r, &p);
		ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
		put(fds[1], "ab", 2);
		turns_until(r, &p.recvs, recvs + 2);
		ck_assert_int_eq(p.last, 'b');
		probe_want(&p, true, true);
		turns_until(r, &p.sends, sends + 1);
		ck_assert_int_eq(read(fds[1], &c, 1), 1);
		probe_want(&p, false, false);
		put(fds[1], "c", 1);
		ck_assert_int_eq(settle(r, 5), 0);
		hark_handler_remove(&p.h);
		ck_assert_int_eq(settle(r, 5), 0);
		drain(fds[0]);
	}
	hark_reactor_free(r);
	if (stdio >= 0)
		move(stdio, number);
}
END_TEST

#define NUMBERS 17

/* Handlers in such number that each of them is one of very many, and the right ones are called:
 * both ends of 5,000 socket pairs. */
START_TEST(ten_thousand_handlers_at_once)
{
	exact(EXACT_CALLS | EXACT_TURNS | EXACT_VERBS);
	enum { N = 10000 };

	if (!need_descriptors(N + 200)) {
		except("ten_thousand_handlers_at_once", "the hard limit on descriptors is too low");
		return;
	}
	struct hark_reactor *r = new_reactor(NULL);
	struct probe *p = calloc(N, sizeof *p);
	unsigned seed = 1;

	ck_assert_ptr_nonnull(p);
	for (int i = 0; i < N; i += 2) {
		int fds[2];

		socket_pair("unix", fds);
		for (int end = 0; end < 2; end++) {
			probe_init(&p[i + end], fds[end]);
			p[i + end].recv = true;
			p[i + end].on_recv = verb_one;
			probe_add(r, &p[i + end]);
		}
	}
	ck_assert_uint_eq(stats_of(r).handlers, N);
	ck_assert_int_eq(settle(r, 5), 0);
	for (int round = 0; round < 20; round++) {
		unsigned sent = 0, recvs = 0, received = 0;

		for (int i = 0; i < N; i++)
			p[i].recvs = 0;
		for (int i = 0; i < N; i++) {
			seed = seed * 1103515245 + 12345;
			p[i].ctx = (seed >> 16) % (round % 2 ? 100 : 2) ? NULL : &p[i];
			if (!p[i].ctx)
				continue;
			put(p[i ^ 1].h.fd, "x", 1);
			sent++;
		}
		while (received < sent) {
			int callbacks = active_turn(r);

			ck_assert_msg(callbacks > 0, "stuck after %u of %u", received, sent);
			received += (unsigned)callbacks;
		}
		ck_assert_int_eq(settle(r, 5), 0);
		for (int i = 0; i < N; i++) {
			ck_assert_msg(p[i].recvs == (p[i].ctx ? 1u : 0u),
			              "handler %d has %u callbacks", i, p[i].recvs);
			recvs += p[i].recvs;
		}
		ck_assert_uint_eq(recvs, sent);
	}

	/* Every other one goes; those that stay are still who they were. */
	for (int i = 0; i < N; i += 2)
		hark_handler_remove(&p[i].h);
	ck_assert_uint_eq(stats_of(r).handlers, N / 2);
	for (int i = 0; i < N; i++) {
		p[i].recvs = 0;
		put(p[i ^ 1].h.fd, "x", 1);
	}
	ck_assert_int_eq(settle(r, N), N / 2);
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(p[i].recvs, i % 2 ? 1 : 0);
	hark_reactor_free(r);
	free(p);
}
END_TEST

/* As many descriptors as a 16-bit number cannot count: duplicates of the ends of 64 pairs. */
START_TEST(more_handlers_than_sixteen_bits_count)
{
	exact(EXACT_CALLS | EXACT_TURNS);
	enum { N = 66000, PAIRS = 64 };

	if (!need_descriptors(N + 1000)) {
		except("more_handlers_than_sixteen_bits_count",
		       "the hard limit on descriptors is too low");
		return;
	}
	struct hark_reactor *r = new_reactor(NULL);
	struct probe *p = calloc(N, sizeof *p);
	int fds[PAIRS][2];

	ck_assert_ptr_nonnull(p);
	for (int i = 0; i < PAIRS; i++)
		socket_pair("unix", fds[i]);
	for (int i = 0; i < N; i++) {
		int fd = dup(fds[i % PAIRS][0]);

		ck_assert_msg(fd >= 0, "descriptor %d: %s", i, strerror(errno));
		probe_init(&p[i], fd);
		p[i].recv = true;
		probe_add(r, &p[i]);
	}
	ck_assert_int_eq(settle(r, 5), 0);
	for (int round = 0; round < 3; round++) {
		int pair = round * 31 % PAIRS;
		int ready = (N + PAIRS - 1 - pair) / PAIRS, callbacks = 0;

		put(fds[pair][1], "x", 1);
		while (callbacks < ready) {
			int n = active_turn(r);

			ck_assert_int_gt(n, 0);
			callbacks += n;
		}
		drain(fds[pair][0]);
		ck_assert_int_eq(settle(r, 5), 0);
		for (int i = 0; i < N; i++) {
			if (i % PAIRS == pair)
				ck_assert_msg(p[i].recvs > 0, "handler %d was not called", i);
			else
				ck_assert_msg(p[i].recvs == 0, "handler %d was called", i);
			p[i].recvs = 0;
		}
	}
	hark_reactor_free(r);
	free(p);
}
END_TEST

TCase *case_scale(void)
{
	TCase *tc = tcase_create("scale");

	tcase_add_loop_test(tc, a_descriptor_may_have_any_number, 0, NUMBERS);
	if (long_tests)
		tcase_add_test(tc, ten_thousand_handlers_at_once);
	tcase_add_test(tc, more_handlers_than_sixteen_bits_count);
	return tc;
}
