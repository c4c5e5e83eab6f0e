/* differential - random operations on a small world of descriptors, and poll(2) as the judge.
 *
 * usage: differential BACKEND|all [--seed N] [--runs N] [--steps N] [--verbose]
 *
 * A run makes a reactor and does N random operations, between turns and inside callbacks, and
 * compares each turn with what poll(2) says of the same descriptors: no wanted readiness missed,
 * none delivered that is not wanted, nobody called who was removed, no spinning; and every byte
 * that was written arrives, once and in order. Run i of a seed S is run 0 of seed S + i, and on
 * failure the command is shown that does it again. `chaos:BACKEND` is under chaos, from the run's
 * seed, and the model allows for that. `all` takes every backend through the same runs and compares
 * the hashes of what was delivered. */
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BACKENDS 16

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One run. Returns the hash of what it delivered. */
static uint64_t run(const char *backend, uint64_t seed, uint32_t steps)
{
	static struct world w;
	struct chance chance;

	chance_seed(&chance, seed);
	world_make(&w, backend, seed, steps);
	for (uint32_t i = 0; i < steps; i++)
		operations_do(&w, chance.next(&chance));
	finish_all(&w);
	world_free(&w);
	return w.wild ? 0 : w.hash;
}

static _Noreturn void usage(const char *what, const char *which)
{
	fprintf(stderr,
	        "differential: %s%s; usage: differential BACKEND|all [--seed N] [--runs N] "
	        "[--steps N] [--verbose]\n",
	        what, which);
	exit(2);
}

static uint64_t number(const char *option, const char *text, uint64_t most)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = text ? strtoull(text, &end, 10) : 0;
	if (!text || *text < '0' || *text > '9' || *end || errno || value > most)
		usage("a number is missing or wrong after ", option);
	return value;
}

/* Does this backend work here? */
static bool works(const char *backend, char *why, size_t size)
{
	char chain[96];
	struct hark_options options = {.why = why, .why_size = size};
	struct hark_reactor *r;

	options.backend = world_chain(chain, sizeof chain, backend, 1);
	if (hark_reactor_new(&r, &options))
		return false;
	hark_reactor_free(r);
	return true;
}

static unsigned choose(const char *which, const char *backends[BACKENDS])
{
	unsigned count = 0;
	char why[256];

	if (strcmp(which, "all") != 0) {
		backends[0] = which;
		if (!works(which, why, sizeof why))
			usage(why, "");
		return 1;
	}
	for (unsigned i = 0; hark_backend_at(i) && count < BACKENDS; i++) {
		backends[count] = hark_backend_at(i)->name;
		if (works(backends[count], why, sizeof why))
			count++;
		else
			printf("left out: %s\n", why);
	}
	return count;
}

int main(int argc, char **argv)
{
	const char *backends[BACKENDS], *which = NULL;
	uint64_t hashes[BACKENDS] = {0};
	uint64_t seed = (uint64_t)time(NULL) * 100003 + (uint64_t)getpid(), runs = 0, done = 0;
	uint32_t steps = 500;
	bool verbose = false;
	int64_t end;
	unsigned count;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--verbose") == 0)
			verbose = true;
		else if (strcmp(argv[i], "--seed") == 0)
			i++, seed = number("--seed", argv[i], UINT64_MAX);
		else if (strcmp(argv[i], "--runs") == 0)
			i++, runs = number("--runs", argv[i], UINT32_MAX);
		else if (strcmp(argv[i], "--steps") == 0)
			i++, steps = (uint32_t)number("--steps", argv[i], UINT32_MAX);
		else if (which || argv[i][0] == '-')
			usage("unknown argument: ", argv[i]);
		else
			which = argv[i];
	}
	if (!which)
		usage("no backend", "");

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	report_init(argv[0], verbose);
	bytes_init();
	operations_init();
	count = choose(which, backends);
	world_init();
	printf("seed %" PRIu64 "\n", seed);

	/* Without --runs, as many as fit into a test suite's time. */
	end = runs ? INT64_MAX : now_ms() + 15000;
	if (!runs)
		runs = 2000;
	for (; done < runs && now_ms() < end; done++) {
		uint64_t first = 0;

		for (unsigned i = 0; i < count; i++) {
			uint64_t hash = run(backends[i], seed + done, steps);

			if (verbose)
				printf("%s: run %" PRIu64 ", hash %016" PRIx64 "\n", backends[i],
				       done, hash);
			hashes[i] = chance_mix(hashes[i] + hash);
			if (i == 0)
				first = hash;
			if (hash != first) {
				fprintf(stderr,
				        "differential: seed %" PRIu64
				        ": %s and %s delivered different "
				        "bytes\nreplay: %s all --seed %" PRIu64 " --steps %" PRIu32
				        " --runs 1 --verbose\n",
				        seed + done, backends[0], backends[i], argv[0], seed + done,
				        steps);
				return 1;
			}
		}
	}
	for (unsigned i = 0; i < count; i++)
		printf("%s: seed %" PRIu64 ": %" PRIu64 " steps, hash %016" PRIx64 "\n",
		       backends[i], seed, done * steps, hashes[i]);
	return 0;
}
