/* report.c - what a reactor tells about itself: counts, the dump, and why it could not be made. */
#include "actor.h"
#include "cases.h"
#include "faulty.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned letters;

static void count_letter(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	(void)r;
	letters++;
}

START_TEST(counts_start_at_nothing)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_stats s, zero = {0};

	memset(&s, 0xff, sizeof s);
	hark_reactor_stats(r, &s);
	ck_assert_mem_eq(&s, &zero, sizeof s);
	hark_reactor_free(r);
}
END_TEST

START_TEST(counts_of_turns_callbacks_and_handlers)
{
	exact(EXACT_CALLS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_message m;
	struct hark_stats s;
	struct actor *a, *b;

	a = actor_new(r);
	b = actor_new(r);
	ck_assert_uint_eq(stats_of(r).handlers, 2);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	s = stats_of(r);
	ck_assert_uint_eq(s.turns, 5);
	ck_assert_uint_eq(s.waits, 5);
	ck_assert_uint_eq(s.callbacks, 0);
	ck_assert_uint_ge(s.syscalls, s.waits);
	ck_assert_uint_ge(s.changes, 2);

	actor_feed(a, 3);
	actor_feed(b, 2);
	turns_until(r, &a->recvs, 3);
	turns_until(r, &b->recvs, 2);
	s = stats_of(r);
	ck_assert_uint_eq(s.callbacks, 5);
	ck_assert_uint_ge(s.events, 5);
	hark_message_init(&m, count_letter);
	ck_assert_int_eq(hark_post(r, &m), 0);
	ck_assert_int_eq(active_turn(r), 1);
	s = stats_of(r);
	ck_assert_uint_eq(s.messages, 1);
	ck_assert_uint_eq(s.callbacks, 6);
	ck_assert_uint_eq(s.stale + s.rebuilds + s.unrefreshed + s.misuses, 0);

	/* Changes and removals are counted too. */
	uint64_t changes = s.changes;
	a->send = true;
	hark_handler_refresh(&a->handler);
	turns_until(r, &a->sends, 1);
	ck_assert_uint_gt(stats_of(r).changes, changes);
	changes = stats_of(r).changes;
	actor_free(b);
	ck_assert_uint_gt(stats_of(r).changes, changes);
	ck_assert_uint_eq(stats_of(r).handlers, 1);
	actor_free(a);
	ck_assert_uint_eq(stats_of(r).handlers, 0);
	hark_reactor_free(r);
}
END_TEST

/* A change costs a system call of its own exactly where the backend has not said otherwise. */
START_TEST(count_of_system_calls)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a[8];
	struct hark_stats s;

	for (int i = 0; i < 8; i++)
		a[i] = actor_new(r);
	settle(r, 8);
	for (int i = 0; i < 8; i++)
		actor_free(a[i]);
	s = stats_of(r);
	ck_assert_uint_ge(s.changes, 16);
	if (backend_can() & HARK_CAN_BATCH)
		ck_assert_uint_lt(s.syscalls, s.waits + s.changes);
	else
		ck_assert_uint_eq(s.syscalls, s.waits + s.changes);
	hark_reactor_free(r);
}
END_TEST

/* The dump. */

/* The line of the dump that tells of a descriptor, or NULL. */
static char *line_of(char *text, int fd)
{
	static char line[512];
	char wanted[32];

	snprintf(wanted, sizeof wanted, "fd %d ", fd);
	for (char *start = text; *start;) {
		size_t length = strcspn(start, "\n");

		ck_assert_uint_lt(length, sizeof line);
		memcpy(line, start, length);
		line[length] = '\0';
		if (strstr(line, wanted))
			return line;
		start += length + (start[length] != '\0');
	}
	return NULL;
}

START_TEST(dump_names_what_keeps_it_running)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct hark_handler_ops nameless = actor_ops, named = actor_ops;
	struct actor *a, *b, *c, *d;
	struct hark_message m;
	char *text, *line;

	text = dump_of(r);
	ck_assert_ptr_nonnull(strstr(text, backend));
	ck_assert_ptr_null(strstr(text, "gadget"));
	ck_assert(text[strlen(text) - 1] == '\n');

	a = actor_make();
	named.name = "gadget";
	a->handler.ops = &named;
	ck_assert_int_eq(hark_handler_add(r, &a->handler), 0);
	b = actor_make();
	b->handler.ops = &actor_ready_ops;
	ck_assert_int_eq(hark_handler_add(r, &b->handler), 0);
	c = actor_make();
	nameless.name = NULL;
	c->handler.ops = &nameless;
	ck_assert_int_eq(hark_handler_add(r, &c->handler), 0);
	d = actor_new(r);
	line = line_of(dump_of(r), a->handler.fd); /* before any turn */
	ck_assert_ptr_nonnull(line);
	ck_assert_ptr_nonnull(strstr(line, "gadget"));
	actor_make_edge(a);
	settle(r, 8);

	line = line_of(dump_of(r), b->handler.fd);
	ck_assert_ptr_nonnull(line);
	ck_assert_ptr_nonnull(strstr(line, "ready actor"));
	ck_assert_ptr_nonnull(line_of(dump_of(r), c->handler.fd));
	ck_assert_ptr_nonnull(line_of(dump_of(r), d->handler.fd));

	/* Messages keep it running as well. */
	char *quiet_dump = strdup(dump_of(r));
	hark_message_init(&m, count_letter);
	ck_assert_int_eq(hark_post(r, &m), 0);
	ck_assert_str_ne(dump_of(r), quiet_dump);
	free(quiet_dump);

	/* A forgotten one, closed and never removed, is still shown. */
	close(d->handler.fd);
	ck_assert_ptr_nonnull(line_of(dump_of(r), d->handler.fd));
	hark_handler_remove(&d->handler);
	ck_assert_ptr_null(line_of(dump_of(r), d->handler.fd));
	close(d->peer);
	actor_forget(d);
	int fd = a->handler.fd;
	actor_free(a);
	ck_assert_ptr_null(line_of(dump_of(r), fd));
	actor_free(b);
	actor_free(c);
	hark_reactor_free(r);
}
END_TEST

/* Dumped inside a callback, where it is most needed. */
static unsigned dumped;

static void dump_here(struct actor *a)
{
	char *line = line_of(dump_of(hark_handler_reactor(&a->handler)), a->handler.fd);

	ck_assert_ptr_nonnull(line);
	dumped++;
}

START_TEST(dump_in_a_callback)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);

	a->act = dump_here;
	actor_feed(a, 2);
	turns_until(r, &dumped, 2);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* Why not. */

START_TEST(why_names_the_backends_that_would_work)
{
	struct hark_reactor *r = NULL;
	char why[512] = "untouched";
	struct hark_options options = {.backend = "nonesuch", .why = why, .why_size = sizeof why};

	ck_assert_int_eq(hark_reactor_new(&r, &options), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "nonesuch"));
	const struct hark_backend *b;
	for (unsigned i = 0; (b = hark_backend_at(i)); i++) {
		struct hark_options try = {.backend = b->name};
		bool works = hark_reactor_new(&r, &try) == 0;

		if (works)
			hark_reactor_free(r);
		ck_assert_msg(!works || strstr(why, b->name), "'%s' does not name %s", why,
		              b->name);
	}

	/* One from outside is named as well; one that does not open is not. */
	faulty_register();
	ck_assert_int_eq(hark_reactor_new(&r, &options), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, FAULTY_NAME));
	faulty.open = ENOSYS;
	ck_assert_int_eq(hark_reactor_new(&r, &options), -ENOENT);
	ck_assert_ptr_null(strstr(why, FAULTY_NAME));
	ck_assert_ptr_nonnull(strstr(why, backend));
	faulty.open = 0;

	options.backend = chained(backend);
	ck_assert_int_eq(hark_reactor_new(&r, &options), 0);
	ck_assert_str_eq(why, "");
	hark_reactor_free(r);
}
END_TEST

START_TEST(why_is_cut_to_its_size)
{
	struct hark_reactor *r = NULL;
	char whole[512], why[512];
	struct hark_options options = {
		.backend = "nonesuch", .why = whole, .why_size = sizeof whole};

	ck_assert_int_eq(hark_reactor_new(&r, &options), -ENOENT);
	options.why = why;
	for (size_t size = 0; size <= strlen(whole) + 1; size++) {
		memset(why, '#', sizeof why);
		options.why_size = size;
		ck_assert_int_eq(hark_reactor_new(&r, &options), -ENOENT);
		if (size > 0) {
			ck_assert_uint_eq(strlen(why), size - 1);
			ck_assert_int_eq(strncmp(why, whole, size - 1), 0);
		}
		for (size_t i = size; i < sizeof why; i++)
			ck_assert_int_eq(why[i], '#');
	}
	options.why = NULL;
	options.why_size = 100;
	ck_assert_int_eq(hark_reactor_new(&r, &options), -ENOENT);
}
END_TEST

/* The options are needed during the call alone. */
START_TEST(options_may_go_after_the_call)
{
	struct hark_reactor *r = NULL;
	char *name = strdup(chained(backend));
	struct hark_options *options = calloc(1, sizeof *options);

	ck_assert_ptr_nonnull(options);
	options->backend = name;
	ck_assert_int_eq(hark_reactor_new(&r, options), 0);
	memset(name, 'x', strlen(name));
	free(name);
	free(options);
	ck_assert_str_eq(hark_reactor_backend(r), chained(backend));
	hark_reactor_free(r);
}
END_TEST

TCase *case_report(void)
{
	TCase *tc = tcase_create("report");

	tcase_add_test(tc, counts_start_at_nothing);
	tcase_add_test(tc, counts_of_turns_callbacks_and_handlers);
	tcase_add_test(tc, count_of_system_calls);
	tcase_add_test(tc, dump_names_what_keeps_it_running);
	tcase_add_test(tc, dump_in_a_callback);
	tcase_add_test(tc, why_names_the_backends_that_would_work);
	tcase_add_test(tc, why_is_cut_to_its_size);
	tcase_add_test(tc, options_may_go_after_the_call);
	return tc;
}
