/* fuzz-backends - bytes become operations on the world of the differential test, for libFuzzer.
 *
 * usage: fuzz-backends [OPTION OF LIBFUZZER...] [DIRECTORY|FILE...]
 *
 * Every backend does the same, and each turn is compared with what poll(2) says; in runs that are
 * not wild they have to deliver the same bytes, too. With HARK_FUZZ_CHAOS=1 all are under chaos,
 * from a seed among the bytes. What fails ends in abort(3), so that libFuzzer keeps the bytes;
 * given that file alone, it does it again, and HARK_FUZZ_VERBOSE=1 shows each operation.
 *
 * The first byte is the run's seed, which decides what callbacks do. Each six bytes after it are an
 * operation: which one, on which end, and how. */
#include "world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKENDS 8u
#define OPERATION 6u     /* bytes */
#define OPERATIONS 1000u /* in a run, at most */

static char backends[BACKENDS][32];
static unsigned count;

static void choose_backends(void)
{
	const char *wanted = getenv("HARK_FUZZ_CHAOS");
	const char *chaos = wanted && *wanted != '\0' ? "chaos:" : "";
	const struct hark_backend *b;

	for (unsigned i = 0; (b = hark_backend_at(i)) && count < BACKENDS; i++) {
		char chain[96];
		struct hark_options options = {.backend = chain};
		struct hark_reactor *r;

		snprintf(backends[count], sizeof backends[count], "%s%s", chaos, b->name);
		world_chain(chain, sizeof chain, backends[count], 1);
		if (hark_reactor_new(&r, &options) == 0) {
			hark_reactor_free(r);
			count++;
		}
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	signal(SIGPIPE, SIG_IGN);
	report_init(NULL, getenv("HARK_FUZZ_VERBOSE") != NULL);
	bytes_init();
	operations_init();
	choose_backends();
	world_init();
	return 0;
}

/* Returns the hash of what one backend has delivered, 0 if the run was wild. */
static uint64_t run(const char *backend, const unsigned char *data, size_t size)
{
	static struct world w;
	struct chance chance;
	uint32_t steps = (uint32_t)(size - 1) / OPERATION;

	chance_bytes(&chance, data + 1, size - 1);
	world_make(&w, backend, data[0], steps);
	for (uint32_t i = 0; i < steps; i++)
		operations_do(&w, chance.next(&chance));
	finish_all(&w);
	world_free(&w);
	return w.wild ? 0 : w.hash;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	uint64_t first = 0;

	if (size < 1 + OPERATION || size > 1 + OPERATIONS * OPERATION)
		return -1; /* not for the corpus */
	for (unsigned i = 0; i < count; i++) {
		uint64_t hash = run(backends[i], data, size);

		if (i == 0)
			first = hash;
		if (hash != first) {
			fprintf(stderr, "%s and %s delivered different bytes\n", backends[0],
			        backends[i]);
			abort();
		}
	}
	return 0;
}
