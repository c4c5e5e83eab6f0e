/* main.c - `conformance BACKEND` runs the whole suite on one backend.
 *
 * Every backend has to pass the same tests: that is what makes a handler run unchanged on all of
 * them. Exit status 0 says that all passed, 1 that some failed, 2 that the argument is bad, and
 * 77 (to meson: skipped) that this library was built without the backend. Check's environment
 * works as usual: CK_RUN_CASE=level runs one case, CK_FORK=no runs under a debugger. */
#include "cases.h"
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIPPED 77

const char *backend;

/* All that hark has, whether or not this build does. */
static const char *const known[] = {"select", "poll", "epoll", "kqueue"};

static bool is_known(const char *name)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(known[i], name))
			return true;
	return false;
}

static bool is_built_in(const char *name)
{
	const struct hark_backend *b;

	for (unsigned i = 0; (b = hark_backend_at(i)); i++)
		if (!strcmp(b->name, name))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: conformance BACKEND (select, poll, epoll or kqueue)\n");
		return 2;
	}
	backend = argv[1];
	if (!is_built_in(backend) && !is_known(backend)) {
		fprintf(stderr, "conformance: no backend is called '%s'\n", backend);
		return 2;
	}
	if (!is_built_in(backend)) {
		printf("skipped: this build of hark has no %s backend\n", backend);
		return SKIPPED;
	}

	/* Check's 4 seconds a test are too few under a sanitizer on a busy machine. */
	setenv("CK_DEFAULT_TIMEOUT", "120", 0);

	Suite *suite = suite_create(backend);
#define ADD_CASE(file) suite_add_tcase(suite, case_##file());
	CASES(ADD_CASE)
#undef ADD_CASE

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, getenv("CK_VERBOSITY") ? CK_ENV : CK_VERBOSE);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
