/* main.c - `conformance BACKEND` runs the whole suite on one backend; with wrappers before it, as
 * in `conformance trace=/dev/null:epoll`, behind these; and with `--seeds 1-20` under chaos, with
 * each of these seeds (`1-20/3`: with each third of them), up to the first that fails. The
 * environment variable HARK_SOAK_SEEDS sets the last seed anew, for `./dev soak`, which goes on
 * after those that fail, and with HARK_TEST_SHORT the tests are left out that are long because they
 * do the same many times. The whole suite runs with the first few seeds, and in a soak with all;
 * with the others, the cases that events make (cases.h).
 *
 * Every backend has to pass the same tests: that is what makes a handler run unchanged on all of
 * them; a wrapper that bends nothing has to change nothing; and what a test cannot bear of chaos it
 * says itself (conformance.h, exact). Exit status 0 says that all passed, 1 that some failed, 2
 * that an argument is bad, and 77 (to meson: skipped) that this library was built without the
 * backend. Check's environment works as usual: CK_RUN_CASE=level runs one case, CK_FORK=no runs
 * under a debugger. */
#include "cases.h"
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIPPED 77
#define WHOLE 4 /* seeds with which the whole suite runs */

/* All that hark has, whether or not this build does. */
static const char *const known[] = {"select", "poll", "epoll", "io_uring", "kqueue"};

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

static _Noreturn void misuse(const char *what, const char *which)
{
	fprintf(stderr,
	        "conformance: %s%s; usage: conformance [--seeds FIRST-LAST[/STEP]] "
	        "[WRAPPERS:]BACKEND\n",
	        what, which);
	exit(2);
}

/* Runs the suite, or what of it events make; returns the number of tests that failed. */
static int run_suite(bool whole)
{
	SRunner *runner;
	Suite *suite = suite_create(chained(backend));
	int failed;

#define ADD_CASE(file) suite_add_tcase(suite, case_##file());
	EVENT_CASES(ADD_CASE)
	if (whole) {
		OTHER_CASES(ADD_CASE)
	}
#undef ADD_CASE
	runner = srunner_create(suite);
	srunner_run_all(runner, getenv("CK_VERBOSITY") ? CK_ENV : CK_VERBOSE);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}

struct seeds {
	unsigned long first, last, step;
};

/* Reads "1-20" or "1-20/3". */
static bool read_seeds(const char *range, struct seeds *s)
{
	const char *soak = getenv("HARK_SOAK_SEEDS");
	char rest;
	int n = sscanf(range, "%lu-%lu/%lu%c", &s->first, &s->last, &s->step, &rest);

	if (n == 2) {
		s->step = 1;
		n = sscanf(range, "%*u-%*u%c", &rest) == 1 ? 0 : 3;
	}
	if (soak && (sscanf(soak, "%lu%c", &s->last, &rest) != 1 || s->last == 0))
		misuse("HARK_SOAK_SEEDS is no number of seeds: ", soak);
	return n == 3 && s->first <= s->last && s->step > 0;
}

/* Under chaos, with one seed after the other. Returns the number of tests that failed. A soak has
 * all that fail at its end as well, or they are far apart in hours of output. */
static int run_seeds(const struct seeds *s)
{
	const bool soak = getenv("HARK_SOAK_SEEDS") != NULL;
	static unsigned long bad[32];
	const char *name = backend;
	unsigned bad_count = 0;
	int failed = 0;

	for (unsigned long seed = s->first; seed <= s->last; seed += s->step) {
		static char chain[64];
		int more;

		snprintf(chain, sizeof chain, "chaos=seed=%lu:%s", seed, name);
		set_backend(chain);
		long_tests = seed == 1;
		more = run_suite(seed <= WHOLE || soak);
		if (more == 0)
			continue;
		failed += more;
		fprintf(stderr, "%d failed with seed %lu; again: conformance %s\n", more, seed,
		        chain);
		bad[bad_count++] = seed;
		if (!soak || bad_count == sizeof bad / sizeof *bad)
			break;
	}
	if (bad_count > 1)
		fprintf(stderr, "%d failed on %s, with the seeds", failed, name);
	for (unsigned i = 0; bad_count > 1 && i < bad_count; i++)
		fprintf(stderr, " %lu%s", bad[i], i + 1 < bad_count ? "" : "\n");
	return failed;
}

int main(int argc, char **argv)
{
	const char *range = NULL, *name = NULL;
	struct seeds seeds = {0};
	int failed;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--seeds") && i + 1 < argc)
			range = argv[++i];
		else if (argv[i][0] == '-' || name)
			misuse("what is ", argv[i]);
		else
			name = argv[i];
	}
	if (!name)
		misuse("no backend", "");
	if (range && !read_seeds(range, &seeds))
		misuse("no range of seeds: ", range);
	set_backend(name);
	if (!is_built_in(backend) && !is_known(backend))
		misuse("there is no backend ", backend);
	if (!is_built_in(backend)) {
		printf("skipped: this build of hark has no %s backend\n", backend);
		return SKIPPED;
	}

	/* Check's 4 seconds a test are too few under a sanitizer on a busy machine. */
	setenv("CK_DEFAULT_TIMEOUT", "120", 0);
	long_tests = name == backend && getenv("HARK_TEST_SHORT") == NULL;
	failed = range ? run_seeds(&seeds) : run_suite(true);
	return failed ? 1 : 0;
}
