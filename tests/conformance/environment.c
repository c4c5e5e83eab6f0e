/* environment.c - the choice of a backend: HARK_BACKEND, the options, and neither. */
#include "cases.h"
#include "conformance.h"
#include "faulty.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char why[512];

/* Makes a reactor of a name, NULL for none, with HARK_BACKEND being value, NULL for unset. */
static int make(struct hark_reactor **r, const char *name, const char *value)
{
	struct hark_options options = {.backend = name, .why = why, .why_size = sizeof why};

	if (value)
		ck_assert_int_eq(setenv("HARK_BACKEND", value, 1), 0);
	else
		ck_assert_int_eq(unsetenv("HARK_BACKEND"), 0);
	*r = NULL;
	return hark_reactor_new(r, &options);
}

static void expect(const char *name, const char *value, const char *expected)
{
	struct hark_reactor *r;
	int error = make(&r, name, value);

	ck_assert_msg(error == 0, "options %s, HARK_BACKEND %s: %s (%s)", name ? name : "NULL",
	              value ? value : "unset", strerror(-error), why);
	ck_assert_str_eq(hark_reactor_backend(r), expected);
	ck_assert_str_eq(why, "");
	hark_reactor_free(r);
}

START_TEST(known_name_in_the_environment_is_taken)
{
	struct hark_reactor *r;

	expect(NULL, chained(backend), chained(backend));

	/* Also without options. */
	ck_assert_int_eq(setenv("HARK_BACKEND", chained(backend), 1), 0);
	ck_assert_int_eq(hark_reactor_new(&r, NULL), 0);
	ck_assert_str_eq(hark_reactor_backend(r), chained(backend));
	hark_reactor_free(r);
}
END_TEST

START_TEST(unset_or_empty_environment_leaves_the_choice_to_hark)
{
	const char *best = hark_backend_at(0)->name;

	expect(NULL, NULL, best);
	expect(NULL, "", best);
}
END_TEST

START_TEST(unknown_name_in_the_environment_is_an_error)
{
	const char *const unknown[] = {"nonesuch", "EPOLL", " epoll", "epoll ",
	                               "best",     "epol",  "0"};
	struct hark_reactor *r;

	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
		int error = make(&r, NULL, unknown[i]);

		ck_assert_msg(error == -ENOENT || error == -EINVAL, "'%s': %d", unknown[i], error);
		ck_assert_ptr_null(r);
		ck_assert_msg(strstr(why, unknown[i]), "'%s' does not show '%s'", why, unknown[i]);
		ck_assert_msg(strstr(why, backend), "'%s' does not name %s", why, backend);
	}
	ck_assert_int_eq(make(&r, NULL, "nonesuch"), -ENOENT);

	/* A very long one is as unknown, and cut in the answer. */
	char *endless = malloc(100000);
	ck_assert_ptr_nonnull(endless);
	memset(endless, 'x', 99999);
	endless[99999] = '\0';
	ck_assert_int_eq(make(&r, NULL, endless), -ENOENT);
	ck_assert_uint_lt(strlen(why), sizeof why);
	free(endless);
}
END_TEST

START_TEST(options_go_before_the_environment)
{
	struct hark_reactor *r;
	const struct hark_backend *b;

	expect(backend, NULL, backend);
	expect(backend, "nonesuch", backend);
	for (unsigned i = 0; (b = hark_backend_at(i)); i++)
		expect(backend, b->name, backend);
	ck_assert_int_eq(make(&r, "nonesuch", backend), -ENOENT);
}
END_TEST

START_TEST(registered_name_in_the_environment_is_taken)
{
	struct hark_reactor *r;
	const char *best = hark_backend_at(0)->name;

	ck_assert_int_eq(make(&r, NULL, FAULTY_NAME), -ENOENT); /* not yet */
	faulty_register();
	expect(NULL, FAULTY_NAME, FAULTY_NAME);
	expect(FAULTY_NAME, backend, FAULTY_NAME);
	expect(NULL, NULL, best); /* never of its own accord */

	/* It does not work here: then nothing does in its place. */
	faulty.open = ENOSYS;
	ck_assert_int_eq(make(&r, NULL, FAULTY_NAME), -ENOSYS);
	ck_assert_ptr_null(r);
	ck_assert_ptr_nonnull(strstr(why, FAULTY_NAME));
	ck_assert_ptr_nonnull(strstr(why, backend));
}
END_TEST

TCase *case_environment(void)
{
	TCase *tc = tcase_create("environment");

	tcase_add_test(tc, known_name_in_the_environment_is_taken);
	tcase_add_test(tc, unset_or_empty_environment_leaves_the_choice_to_hark);
	tcase_add_test(tc, unknown_name_in_the_environment_is_an_error);
	tcase_add_test(tc, options_go_before_the_environment);
	tcase_add_test(tc, registered_name_in_the_environment_is_taken);
	return tc;
}
