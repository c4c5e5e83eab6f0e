/* unit.c - unit.h. */
#include "unit.h"

#include "conformance.h"
#include "faulty_memory.h"

#include <string.h>

#undef malloc
#undef calloc
#undef realloc
#undef free

int failing = -1;
bool failing_all;
unsigned failed;
int balance;

static bool fails(void)
{
	if (failing_all || (failing >= 0 && failing-- == 0)) {
		failed++;
		return true;
	}
	return false;
}

static void *counted(void *block)
{
	if (block)
		balance++;
	return block;
}

void *faulty_malloc(size_t size)
{
	return fails() ? NULL : counted(malloc(size));
}

void *faulty_calloc(size_t count, size_t size)
{
	return fails() ? NULL : counted(calloc(count, size));
}

void *faulty_realloc(void *block, size_t size)
{
	if (fails())
		return NULL;
	return block ? realloc(block, size) : counted(realloc(NULL, size));
}

void faulty_free(void *block)
{
	if (block)
		balance--;
	free(block);
}

int unit_main(TCase *tc, int argc, char **argv)
{
	Suite *suite;
	SRunner *runner;
	int bad;

	if (argc != 2) {
		fprintf(stderr, "usage: %s [WRAPPER:]BACKEND\n", argv[0]);
		return 2;
	}
	set_backend(argv[1]);
	for (unsigned i = 0; !hark_backend_at(i) || strcmp(hark_backend_at(i)->name, backend) != 0;
	     i++)
		if (!hark_backend_at(i)) {
			fprintf(stderr, "%s: this build has no backend '%s'\n", argv[0], backend);
			return 2;
		}
	suite = suite_create(argv[1]);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	bad = srunner_ntests_failed(runner);
	srunner_free(runner);
	return bad ? 1 : 0;
}
