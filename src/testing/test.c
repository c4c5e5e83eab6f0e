/* test.c - hark/test.h. */
#include "core/core.h"
#include "sys/sys.h"
#include <hark/test.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE 120u /* seconds for the test of a seed */
#define CROWD 1000    /* turns at the last moment */
#define NAME_SIZE 512

/* ---- A reactor ---- */

/* Writes the name of the backend that hark_reactor_new takes when it is left to choose. */
static int find_backend(char *name, size_t size, const struct hark_options *options)
{
	const char *wanted = hark__getenv("HARK_BACKEND");
	struct hark_reactor *r;
	int error;

	if (wanted != NULL && *wanted != '\0') {
		snprintf(name, size, "%s", wanted);
		return 0;
	}
	error = hark_reactor_new(&r, options);
	if (error < 0)
		return error;
	snprintf(name, size, "%s", hark_reactor_backend(r));
	hark_reactor_free(r);
	return 0;
}

/* Writes the chain with a seed for each chaos in it. One of its own comes after that, and counts.
 */
static void seed_chain(char *seeded, size_t size, const char *chain, uint64_t seed)
{
	size_t used = 0;

	for (;;) {
		size_t word = strcspn(chain, ":");
		size_t name = strcspn(chain, ":=");
		const char *settings = chain + (name < word ? name + 1 : word);
		int length = (int)(chain + word - settings);
		char more[40] = "";

		if (name == 5 && strncmp(chain, "chaos", name) == 0)
			snprintf(more, sizeof more, "seed=%" PRIu64 "%s", seed,
			         length > 0 ? "," : "");
		used += (size_t)snprintf(seeded + used, size - used, "%.*s%s%s%.*s%.1s", (int)name,
		                         chain, *more != '\0' || name < word ? "=" : "", more,
		                         length, settings, chain + word);
		if (chain[word] == '\0' || used >= size)
			return;
		chain += word + 1;
	}
}

int hark_test_reactor(struct hark_reactor **r, const char *wrappers, uint64_t seed)
{
	char chain[NAME_SIZE], seeded[NAME_SIZE], backend[NAME_SIZE / 2], why[NAME_SIZE];
	struct hark_options options = {.why = why, .why_size = sizeof why};
	int error = find_backend(backend, sizeof backend, &options);

	if (error == 0) {
		if (wrappers == NULL)
			wrappers = "virtual:chaos";
		snprintf(chain, sizeof chain, "%s%s%s", wrappers, *wrappers != '\0' ? ":" : "",
		         backend);
		seed_chain(seeded, sizeof seeded, chain, seed);
		options.backend = seeded;
		error = hark_reactor_new(r, &options);
	}
	if (error < 0)
		fprintf(stderr, "hark_test_reactor: %s\n", why);
	return error;
}

/* ---- Time ---- */

/* Turns until the time is `end`. Returns the callbacks or -errno. */
static int turn_until(struct hark_reactor *r, int64_t end, bool *over)
{
	int callbacks = 0;
	int64_t left;

	while (!*over && (left = end - hark_reactor_now(r)) > 0) {
		int rc = hark__turn(r, left, over);

		if (rc < 0)
			return rc;
		callbacks += rc;
	}
	return callbacks;
}

/* Turns until at this moment nothing is left to do. */
static int settle(struct hark_reactor *r, bool *over)
{
	int callbacks = 0;

	for (int i = 0; i < CROWD && !*over; i++) {
		int rc = hark__turn(r, 0, over);

		if (rc < 0)
			return rc;
		callbacks += rc;
		/* A turn without callbacks proves nothing if it was interrupted, or if a wrapper
		 * holds something back, which hark_reactor_prepare knows. */
		if (rc == 0 && !*over && !r->interrupted && hark_reactor_prepare(r) != 0)
			break;
	}
	return callbacks;
}

int hark_test_advance(struct hark_reactor *r, int64_t ns)
{
	bool over = false;
	int64_t now;
	int callbacks, rc;

	if (r == NULL || ns < 0)
		return -EINVAL;
	if (r->backend->now == NULL)
		return -ENOTSUP;
	now = hark_reactor_now(r);
	callbacks = turn_until(r, ns < INT64_MAX - now ? now + ns : INT64_MAX, &over);
	if (callbacks < 0 || over)
		return callbacks;
	rc = settle(r, &over);
	return rc < 0 ? rc : callbacks + rc;
}

/* ---- Seeds ---- */

struct seeds {
	const char *name;
	const char *wrappers;
	int (*test)(struct hark_reactor *r);
};

static int run_test(const struct seeds *s, uint64_t seed)
{
	struct hark_reactor *r = NULL;
	int result = hark_test_reactor(&r, s->wrappers, seed);

	if (result == 0) {
		result = s->test(r);
		hark_reactor_free(r);
	}
	return result;
}

/* Says how it failed. Returns false. */
static bool failed(const struct seeds *s, uint64_t seed, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool failed(const struct seeds *s, uint64_t seed, const char *format, ...)
{
	char how[128];
	va_list args;

	va_start(args, format);
	vsnprintf(how, sizeof how, format, args);
	va_end(args);
	fprintf(stderr, "%s: seed %" PRIu64 ": %s; again: HARK_TEST_SEED=%" PRIu64 "\n", s->name,
	        seed, how, seed);
	return false;
}

static bool judge(const struct seeds *s, uint64_t seed, int result)
{
	if (result == 0)
		return true;
	if (result < 0)
		return failed(s, seed, "returned %d (%s)", result, strerror(-result));
	return failed(s, seed, "returned %d", result);
}

static _Noreturn void be_child(const struct seeds *s, uint64_t seed, int tell)
{
	sigset_t set;
	int result;

	/* Whatever was done about SIGALRM before. */
	signal(SIGALRM, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	alarm(PATIENCE);
	result = run_test(s, seed);
	if (write(tell, &result, sizeof result) != (ssize_t)sizeof result)
		_exit(1);
	exit(0);
}

/* The child has ended: judges by what it told, and by how it ended. */
static bool judge_child(const struct seeds *s, uint64_t seed, int status, int told)
{
	int result;
	bool returned = read(told, &result, sizeof result) == (ssize_t)sizeof result;

	if (returned && result != 0)
		return judge(s, seed, result);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		return failed(s, seed, "took longer than %u seconds", PATIENCE);
	if (WIFSIGNALED(status))
		return failed(s, seed, "killed by signal %d (%s)", WTERMSIG(status),
		              strsignal(WTERMSIG(status)));
	if (!returned)
		return failed(s, seed, "exited with status %d before it returned",
		              WEXITSTATUS(status));
	if (WEXITSTATUS(status) != 0)
		return failed(s, seed, "exited with status %d after it returned",
		              WEXITSTATUS(status));
	return true;
}

static bool run_child(const struct seeds *s, uint64_t seed)
{
	int fds[2], status = 0;
	int error = hark__pipe(fds);
	pid_t pid, ended;
	bool passed;

	if (error < 0)
		return failed(s, seed, "no pipe: %s", strerror(-error));
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		be_child(s, seed, fds[1]);
	if (pid < 0) {
		passed = failed(s, seed, "no child process: %s", strerror(errno));
	} else {
		while ((ended = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
			;
		if (ended == pid)
			passed = judge_child(s, seed, status, fds[0]);
		else
			passed = failed(s, seed, "nobody knows how it ended: %s", strerror(errno));
	}
	close(fds[0]);
	close(fds[1]);
	return passed;
}

/* Reads a number; *end is what follows. */
static bool read_seed(const char *text, const char **end, uint64_t *seed)
{
	char *rest;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*seed = strtoull(text, &rest, 10);
	*end = rest;
	return errno == 0;
}

/* "17" or "1-1000". */
static bool read_range(const char *text, uint64_t *first, uint64_t *last)
{
	const char *end;

	if (!read_seed(text, &end, first))
		return false;
	*last = *first;
	if (*end == '-' && !read_seed(end + 1, &end, last))
		return false;
	return *end == '\0' && *first <= *last && *last < UINT64_MAX - 1;
}

int hark_test_seeds(const char *name, const char *wrappers, uint64_t count,
                    int (*test)(struct hark_reactor *r))
{
	const struct seeds s = {.name = name, .wrappers = wrappers, .test = test};
	const char *wanted = hark__getenv("HARK_TEST_SEED");
	uint64_t first = 1, last = count;

	if (wanted != NULL && *wanted != '\0') {
		if (!read_range(wanted, &first, &last)) {
			fprintf(stderr, "%s: HARK_TEST_SEED is '%s', and not as 17 or 1-1000\n",
			        name, wanted);
			return 2;
		}
		if (strchr(wanted, '-') == NULL)
			return judge(&s, first, run_test(&s, first)) ? 0 : 1;
	}
	if (last == 0) {
		fprintf(stderr, "%s: no seed to try\n", name);
		return 2;
	}
	for (uint64_t seed = first; seed <= last; seed++)
		if (!run_child(&s, seed))
			return 1;
	return 0;
}
