/* order.c - a backend from outside the library, which reports what a script says.
 *
 * It registers under a name of its own, like that of any program, and lets the tests see what no
 * kernel shows: that callbacks run in the order of the reports, what the reactor tells a backend,
 * and how it takes reports that are late, wrong, or about nobody. */
#include "cases.h"
#include "conformance.h"
#include "probe.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MANY 16

/* What the next wait reports, and returns. */
static struct report {
	int fd;
	unsigned events;
	uint32_t older_by; /* of the generation */
} script[2 * MANY];
static int script_length;
static int wait_result;
static unsigned reports_taken;

/* What it was told. */
static unsigned opened, closed, modified, waited;
static unsigned armed[4096];
static int refuse_with; /* modify's answer */

struct scripted {
	struct hark_port *up;
};

static int scripted_open(void *state, struct hark_port *up)
{
	struct scripted *s = state;

	s->up = up;
	opened++;
	memset(armed, 0, sizeof armed);
	return 0;
}

static void scripted_close(void *state, bool forked)
{
	struct scripted *s = state;

	ck_assert(!forked);
	s->up = NULL;
	closed++;
}

static int spent_fd = -1; /* what is armed there is used up */

static int scripted_modify(void *state, int fd, struct hark_slot *slot, unsigned want)
{
	struct scripted *s = state;

	ck_assert_ptr_nonnull(s->up);
	ck_assert_ptr_eq(slot, hark_slot(s->up, fd));
	ck_assert_msg(slot->armed == armed[fd], "armed is said to be %#x and was %#x", slot->armed,
	              armed[fd]);
	ck_assert_msg(want != armed[fd] || fd == spent_fd, "told what it has been told");
	spent_fd = -1;
	ck_assert_msg(!(want & HARK_EDGE), "asked for edges, which it cannot");
	if (refuse_with && want)
		return refuse_with;
	armed[fd] = want;
	modified++;
	return 0;
}

static int scripted_wait(void *state, const struct timespec *timeout)
{
	struct scripted *s = state;
	int result = wait_result;

	waited++;
	if (timeout)
		ck_assert(timeout->tv_sec >= 0 && timeout->tv_nsec >= 0 &&
		          timeout->tv_nsec < 1000000000);
	reports_taken = 0;
	for (int i = 0; i < script_length; i++) {
		struct hark_slot *slot = hark_slot(s->up, script[i].fd);
		uint32_t generation = slot ? slot->generation - script[i].older_by : 0;

		reports_taken += hark_ready(s->up, script[i].fd, generation, script[i].events);
	}
	if (script_length == 0 && timeout)
		nanosleep(timeout, NULL);
	script_length = 0;
	wait_result = 0;
	return result;
}

static const struct hark_backend scripted = {
	.name = "scripted",
	.state_size = sizeof(struct scripted),
	.open = scripted_open,
	.close = scripted_close,
	.modify = scripted_modify,
	.wait = scripted_wait,
};

static void report(int fd, unsigned events, uint32_t older_by)
{
	script[script_length++] = (struct report){fd, events, older_by};
}

static struct hark_reactor *scripted_reactor(void)
{
	exact(EXACT_CALLS | EXACT_TURNS | EXACT_ORDER);
	struct hark_options options = {.backend = chained("scripted")};
	struct hark_reactor *r = NULL;

	ck_assert_int_eq(hark_backend_register(&scripted), 0);
	ck_assert_int_eq(hark_reactor_new(&r, &options), 0);
	ck_assert_str_eq(hark_reactor_backend(r), chained("scripted"));
	ck_assert_uint_eq(opened, 1);
	return r;
}

/* Callbacks in the order in which they were made. */
static struct probe probes[MANY];
static struct {
	int probe;
	char what;
} calls[8 * MANY];
static int call_count;

static void note(struct probe *p, char what)
{
	calls[call_count].probe = (int)(p - probes);
	calls[call_count++].what = what;
}

static void note_recv(struct probe *p)
{
	note(p, 'r');
}

static void note_send(struct probe *p)
{
	note(p, 's');
}

static void note_urgent(struct probe *p)
{
	note(p, 'u');
}

static void note_ready(struct probe *p)
{
	note(p, 'b');
}

static void expect_call(int at, int probe, char what)
{
	ck_assert_msg(at < call_count, "only %d callbacks", call_count);
	ck_assert_msg(calls[at].probe == probe && calls[at].what == what,
	              "callback %d is %d%c instead of %d%c", at, calls[at].probe, calls[at].what,
	              probe, what);
}

/* Handlers of as many descriptors, which all want everything. */
static void add_probes(struct hark_reactor *r, int n, bool together)
{
	for (int i = 0; i < n; i++) {
		int fds[2];

		socket_pair("unix", fds);
		if (together)
			probe_init_ready(&probes[i], fds[0]);
		else
			probe_init(&probes[i], fds[0]);
		probes[i].recv = probes[i].send = probes[i].urgent = true;
		probes[i].on_recv = note_recv;
		probes[i].on_send = note_send;
		probes[i].on_urgent = note_urgent;
		probes[i].on_ready = note_ready;
		probe_add(r, &probes[i]);
	}
}

START_TEST(callbacks_run_in_the_order_reported)
{
	struct hark_reactor *r = scripted_reactor();

	add_probes(r, MANY, false);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	for (int step = 1; step < MANY; step += 2) { /* coprime to 16: a permutation */
		call_count = 0;
		for (int i = 0; i < MANY; i++)
			report(probes[i * step % MANY].h.fd, HARK_RECV, 0);
		ck_assert_int_eq(hark_reactor_turn(r, 0), MANY);
		for (int i = 0; i < MANY; i++)
			expect_call(i, i * step % MANY, 'r');
	}
	ck_assert_uint_eq(stats_of(r).events, 8 * MANY);
	hark_reactor_free(r);
	ck_assert_uint_eq(closed, 1);
}
END_TEST

START_TEST(a_descriptor_reported_twice_keeps_its_place)
{
	struct hark_reactor *r = scripted_reactor();

	add_probes(r, 3, false);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	report(probes[1].h.fd, HARK_SEND, 0);
	report(probes[2].h.fd, HARK_RECV, 0);
	report(probes[0].h.fd, HARK_RECV, 0);
	report(probes[1].h.fd, HARK_RECV, 0);
	report(probes[1].h.fd, HARK_URGENT, 0);
	report(probes[0].h.fd, HARK_RECV, 0);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 5);
	expect_call(0, 1, 'u');
	expect_call(1, 1, 'r');
	expect_call(2, 1, 's');
	expect_call(3, 2, 'r');
	expect_call(4, 0, 'r');
	hark_reactor_free(r);
}
END_TEST

START_TEST(an_error_readies_every_wanted_direction)
{
	struct hark_reactor *r = scripted_reactor();

	add_probes(r, 3, _i);
	probes[1].send = probes[1].urgent = false;
	probes[2].recv = probes[2].urgent = false;
	for (int i = 0; i < 3; i++)
		hark_handler_refresh(&probes[i].h);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	for (int i = 0; i < 3; i++)
		report(probes[i].h.fd, HARK_BROKEN, 0);
	ck_assert_int_gt(hark_reactor_turn(r, 0), 0);
	if (_i) {
		ck_assert_int_eq(call_count, 3);
		ck_assert_uint_eq(probes[0].ready & (HARK_RECV | HARK_SEND), HARK_RECV | HARK_SEND);
		ck_assert_uint_eq(probes[1].ready & ~HARK_BROKEN, HARK_RECV);
		ck_assert_uint_eq(probes[2].ready & ~HARK_BROKEN, HARK_SEND);
	} else {
		ck_assert_uint_eq(probes[0].recvs, 1);
		ck_assert_uint_eq(probes[0].sends, 1);
		ck_assert_uint_eq(probes[1].recvs, 1);
		ck_assert_uint_eq(probes[2].sends, 1);
	}
	hark_reactor_free(r);
}
END_TEST

START_TEST(handle_ready_gets_all_reports_of_a_turn_in_one_call)
{
	struct hark_reactor *r = scripted_reactor();

	add_probes(r, 2, true);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	report(probes[1].h.fd, HARK_SEND, 0);
	report(probes[0].h.fd, HARK_RECV, 0);
	report(probes[1].h.fd, HARK_RECV, 0);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 2);
	expect_call(0, 1, 'b');
	expect_call(1, 0, 'b');
	ck_assert_uint_eq(probes[1].ready, HARK_RECV | HARK_SEND);
	ck_assert_uint_eq(probes[0].ready, HARK_RECV);
	hark_reactor_free(r);
}
END_TEST

START_TEST(reports_of_nobody_are_dropped)
{
	struct hark_reactor *r = scripted_reactor();

	add_probes(r, 3, false);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	int gone = probes[2].h.fd;
	hark_handler_remove(&probes[2].h);
	ck_assert_uint_eq(armed[gone], 0); /* at once, not in the next turn */
	uint64_t stale = stats_of(r).stale;

	report(-1, HARK_RECV, 0);
	report(1000000, HARK_RECV, 0);
	report(gone, HARK_RECV, 1);           /* of the registration that was */
	report(probes[0].h.fd, HARK_RECV, 1); /* of one before this */
	report(probes[1].h.fd, HARK_RECV, 0);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 1);
	ck_assert_uint_eq(reports_taken, 1);
	expect_call(0, 1, 'r');
	ck_assert_uint_eq(stats_of(r).stale, stale + 4);

	/* A new registration of the number is not called for the old one's. */
	probe_init(&probes[2], gone);
	probes[2].recv = true;
	probe_add(r, &probes[2]);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	report(gone, HARK_RECV, 1);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	report(gone, HARK_RECV, 0);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 1);
	hark_reactor_free(r);
}
END_TEST

START_TEST(a_dead_kernel_object_is_replaced)
{
	struct hark_reactor *r = scripted_reactor();

	add_probes(r, MANY, false);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	unsigned before = modified;
	wait_result = HARK_DEAD;
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	ck_assert_uint_eq(stats_of(r).rebuilds, 1);
	ck_assert_uint_eq(opened, 2);
	ck_assert_uint_eq(closed, 1);
	ck_assert_uint_ge(modified, before + MANY);
	for (int i = 0; i < MANY; i++) {
		ck_assert_uint_eq(armed[probes[i].h.fd], HARK_RECV | HARK_SEND | HARK_URGENT);
		report(probes[i].h.fd, HARK_RECV, 0);
	}
	ck_assert_int_eq(hark_reactor_turn(r, 0), MANY);
	hark_reactor_free(r);
	ck_assert_uint_eq(closed, 2);
}
END_TEST

/* A one-shot backend says that an arming is used up, and is told again what is wanted. */
START_TEST(a_spent_arming_is_renewed)
{
	struct hark_reactor *r = scripted_reactor();

	add_probes(r, 2, false);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	for (unsigned i = 1; i <= 5; i++) {
		unsigned before = modified;

		spent_fd = probes[0].h.fd;
		report(probes[0].h.fd, HARK_RECV | HARK_SPENT, 0);
		ck_assert_int_eq(hark_reactor_turn(r, 0), 1);
		ck_assert_uint_eq(probes[0].recvs, i);
		ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
		ck_assert_uint_eq(modified, before + 1);
		ck_assert_uint_eq(armed[probes[0].h.fd], HARK_RECV | HARK_SEND | HARK_URGENT);
	}
	hark_reactor_free(r);
}
END_TEST

START_TEST(a_refused_descriptor_is_removed_and_told)
{
	struct hark_reactor *r = scripted_reactor();

	add_probes(r, 2, false);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	hark_handler_remove(&probes[1].h);
	refuse_with = -ENODEV;
	probe_add(r, &probes[1]);
	ck_assert_int_ge(hark_reactor_turn(r, 0), 0);
	ck_assert_uint_eq(probes[1].errors, 1);
	ck_assert_int_eq(probes[1].error, ENODEV);
	ck_assert_ptr_null(hark_handler_reactor(&probes[1].h));
	ck_assert_ptr_eq(hark_handler_reactor(&probes[0].h), r);

	/* -EPERM says always ready. */
	refuse_with = -EPERM;
	probe_add(r, &probes[1]);
	call_count = 0;
	for (int i = 0; i < 5; i++)
		ck_assert_int_ge(active_turn(r), 2);
	ck_assert_uint_eq(probes[1].errors, 1);
	ck_assert_uint_ge(probes[1].recvs, 4);
	ck_assert_uint_ge(probes[1].sends, 4);
	refuse_with = 0;
	hark_reactor_free(r);
}
END_TEST

/* What registration answers. */
START_TEST(a_backend_is_registered_once_and_whole)
{
	static struct hark_backend b[20];
	static char names[20][16];
	const struct hark_backend *at;
	struct hark_reactor *r = NULL;
	struct hark_options options = {.backend = "scripted"};
	char why[200];
	int n = 0;

	options.why = why;
	options.why_size = sizeof why;
	ck_assert_int_eq(hark_reactor_new(&r, &options), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "scripted"));
	ck_assert_ptr_nonnull(strstr(why, backend));

	ck_assert_int_eq(hark_backend_register(NULL), -EINVAL);
	b[0] = scripted;
	b[0].name = backend;
	ck_assert_int_eq(hark_backend_register(&b[0]), -EEXIST);
	b[0].name = "";
	ck_assert_int_eq(hark_backend_register(&b[0]), -EINVAL);
	b[0].name = "a b";
	ck_assert_int_eq(hark_backend_register(&b[0]), -EINVAL);
	b[0].name = NULL;
	ck_assert_int_eq(hark_backend_register(&b[0]), -EINVAL);
	for (int i = 0; i < 4; i++) {
		b[0] = scripted;
		if (i == 0)
			b[0].open = NULL;
		else if (i == 1)
			b[0].close = NULL;
		else if (i == 2)
			b[0].modify = NULL;
		else
			b[0].wait = NULL;
		ck_assert_int_eq(hark_backend_register(&b[0]), -EINVAL);
	}

	ck_assert_int_eq(hark_backend_register(&scripted), 0);
	ck_assert_int_eq(hark_backend_register(&scripted), -EEXIST);
	bool listed = false;
	for (unsigned i = 0; (at = hark_backend_at(i)); i++)
		listed |= at == &scripted;
	ck_assert(listed);
	for (n = 1; n < 20; n++) {
		b[n] = scripted;
		b[n].name = names[n];
		snprintf(names[n], sizeof names[n], "Mine_%d-x", n);
		if (hark_backend_register(&b[n]))
			break;
	}
	ck_assert_int_eq(n, 16);
	ck_assert_int_eq(hark_backend_register(&b[n]), -ENOSPC);
	options.backend = "Mine_7-x";
	ck_assert_int_eq(hark_reactor_new(&r, &options), 0);
	ck_assert_str_eq(hark_reactor_backend(r), "Mine_7-x");
	hark_reactor_free(r);
}
END_TEST

TCase *case_order(void)
{
	TCase *tc = tcase_create("order");

	tcase_add_test(tc, callbacks_run_in_the_order_reported);
	tcase_add_test(tc, a_descriptor_reported_twice_keeps_its_place);
	tcase_add_loop_test(tc, an_error_readies_every_wanted_direction, 0, 2);
	tcase_add_test(tc, handle_ready_gets_all_reports_of_a_turn_in_one_call);
	tcase_add_test(tc, reports_of_nobody_are_dropped);
	tcase_add_test(tc, a_dead_kernel_object_is_replaced);
	tcase_add_test(tc, a_spent_arming_is_renewed);
	tcase_add_test(tc, a_refused_descriptor_is_removed_and_told);
	tcase_add_test(tc, a_backend_is_registered_once_and_whole);
	return tc;
}
