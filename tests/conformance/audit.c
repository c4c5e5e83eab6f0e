/* audit.c - options.audit finds the refresh that somebody forgot. */
#include "cases.h"
#include "conformance.h"
#include "probe.h"

#include <string.h>
#include <unistd.h>

static struct {
	struct hark_reactor *r;
	struct hark_handler *h;
	unsigned known, wanted;
	unsigned count;
} report;

static void handle_audit(struct hark_reactor *r, struct hark_handler *h, unsigned known,
                         unsigned wanted)
{
	report.r = r;
	report.h = h;
	report.known = known;
	report.wanted = wanted;
	report.count++;
}

static struct hark_reactor *audited(bool told)
{
	struct hark_options options = {.audit = true};

	if (told)
		options.handle_audit = handle_audit;
	return new_reactor(&options);
}

/* A change that nobody told is reported once, with both answers, and takes effect. */
START_TEST(a_forgotten_refresh_is_reported_and_takes_effect)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = audited(_i);
	struct probe p[3];
	int fds[3][2];

	for (int i = 0; i < 3; i++) {
		socket_pair("unix", fds[i]);
		probe_init(&p[i], fds[i][0]);
		p[i].recv = i == 0;
		p[i].on_recv = verb_one;
		probe_add(r, &p[i]);
	}
	settle(r, 5);
	ck_assert_uint_eq(stats_of(r).unrefreshed, 0);

	put(fds[1][1], "ab", 2);
	p[1].recv = true; /* and no refresh */
	turns_until(r, &p[1].recvs, 1);
	ck_assert_uint_eq(stats_of(r).unrefreshed, 1);
	if (_i) {
		ck_assert_uint_eq(report.count, 1);
		ck_assert_ptr_eq(report.r, r);
		ck_assert_ptr_eq(report.h, &p[1].h);
		ck_assert_uint_eq(report.known, 0);
		ck_assert_uint_eq(report.wanted, HARK_RECV);
	}
	turns_until(r, &p[1].recvs, 2);
	settle(r, 5);
	ck_assert_uint_eq(stats_of(r).unrefreshed, 1);

	p[0].recv = false;
	p[0].send = true;
	turns_until(r, &p[0].sends, 1);
	ck_assert_uint_eq(stats_of(r).unrefreshed, 2);
	if (_i) {
		ck_assert_ptr_eq(report.h, &p[0].h);
		ck_assert_uint_eq(report.known, HARK_RECV);
		ck_assert_uint_eq(report.wanted, HARK_SEND);
	}
	p[0].send = false;
	put(fds[0][1], "x", 1);
	quiet(r, 20);
	ck_assert_uint_eq(stats_of(r).unrefreshed, 3);
	ck_assert_uint_eq(p[0].recvs, 0);
	ck_assert_uint_eq(report.count, _i ? 3 : 0);
	hark_reactor_free(r);
}
END_TEST

static struct probe pair[2];

static void change_both(struct probe *p)
{
	struct probe *other = &pair[p == pair];

	verb_all(p);
	p->send = !p->send;
	other->send = !other->send;
	hark_handler_refresh(&other->h);
}

/* Changes in the handler's own callbacks, and those that were told, are not reported. */
START_TEST(a_change_that_was_told_is_not_reported)
{
	struct hark_reactor *r = audited(true);
	int fds[2][2];

	for (int i = 0; i < 2; i++) {
		socket_pair("unix", fds[i]);
		probe_init(&pair[i], fds[i][0]);
		pair[i].recv = true;
		pair[i].on_recv = change_both;
		probe_add(r, &pair[i]);
	}
	for (unsigned i = 1; i <= 10; i++) {
		put(fds[i % 2][1], "x", 1);
		turns_until(r, &pair[i % 2].recvs, (i + i % 2) / 2);
		hark_reactor_turn(r, 0);
		probe_want(&pair[0], true, false);
		probe_want(&pair[1], true, false);
		settle(r, 3);
	}
	ck_assert_uint_eq(report.count, 0);
	ck_assert_uint_eq(stats_of(r).unrefreshed, 0);
	hark_reactor_free(r);
}
END_TEST

/* The audit finds it even when the handler is ready for what it no longer wants. */
START_TEST(an_audited_handler_is_not_called_for_what_it_no_longer_wants)
{
	exact(EXACT_CALLS);
	struct hark_reactor *r = audited(true);
	struct probe p;
	int fds[2];

	socket_pair("unix", fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	settle(r, 5);
	put(fds[1], "x", 1);
	p.recv = false;
	quiet(r, 20);
	ck_assert_uint_eq(p.recvs, 0); /* the probe itself would fail the test, too */
	ck_assert_uint_eq(report.count, 1);
	hark_reactor_free(r);
}
END_TEST

/* It asks everybody in each turn; without it the idle are left alone. */
START_TEST(the_audit_asks_everybody_in_each_turn)
{
	exact(EXACT_CALLS);
	struct hark_options options = {.audit = _i, .handle_audit = handle_audit};
	struct hark_reactor *r = new_reactor(&options);
	struct probe p;
	int fds[2];

	socket_pair("unix", fds);
	probe_init(&p, fds[0]);
	p.recv = true;
	probe_add(r, &p);
	settle(r, 5);
	unsigned asked = p.asked_count;
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	if (_i)
		ck_assert_uint_ge(p.asked_count, asked + 10);
	else
		ck_assert_uint_eq(p.asked_count, asked);
	ck_assert_uint_eq(report.count, 0);
	hark_reactor_free(r);
}
END_TEST

TCase *case_audit(void)
{
	TCase *tc = tcase_create("audit");

	tcase_add_loop_test(tc, a_forgotten_refresh_is_reported_and_takes_effect, 0, 2);
	tcase_add_test(tc, a_change_that_was_told_is_not_reported);
	tcase_add_test(tc, an_audited_handler_is_not_called_for_what_it_no_longer_wants);
	tcase_add_loop_test(tc, the_audit_asks_everybody_in_each_turn, 0, 2);
	return tc;
}
