/* secure.c - a setuid program ignores HARK_BACKEND and HARK_TRACE.
 *
 * Run by root, it makes a setuid copy of itself for another user and runs that with HARK_BACKEND
 * and HARK_TRACE naming nothing: a copy that heeds them cannot make a reactor. Where that cannot be
 * done (another user, a file system mounted nosuid) the test is skipped: exit status 77. */
#include <fcntl.h>
#include <hark/hark.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77
#define SOMEBODY 1 /* any user but root */

static int skip(const char *reason)
{
	printf("skipped: %s\n", reason);
	return SKIPPED;
}

/* The best backend, behind a trace. */
static const char *traced(void)
{
	static char chain[64];

	snprintf(chain, sizeof chain, "trace:%s", hark_backend_at(0)->name);
	return chain;
}

/* In the copy: exit status 0 if a reactor was made, 1 if not, 77 if it is not setuid at all. */
static int in_the_copy(void)
{
	char why[200];
	struct hark_options options = {.why = why, .why_size = sizeof why};
	struct hark_reactor *r;

	if (getuid() == geteuid())
		return SKIPPED;
	if (!getenv("HARK_BACKEND"))
		return skip("this system clears the environment itself");
	if (hark_reactor_new(&r, &options)) {
		fprintf(stderr, "secure: a setuid program obeyed HARK_BACKEND: %s\n", why);
		return 1;
	}
	hark_reactor_free(r);
	options.backend = traced();
	if (hark_reactor_new(&r, &options)) {
		fprintf(stderr, "secure: a setuid program obeyed HARK_TRACE: %s\n", why);
		return 1;
	}
	hark_reactor_free(r);
	return 0;
}

static int copy(const char *from, const char *to)
{
	char block[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0700);
	ssize_t n = -1;

	while (in >= 0 && out >= 0 && (n = read(in, block, sizeof block)) > 0)
		if (write(out, block, (size_t)n) != n)
			break;
	if (out < 0 || n != 0 || fchown(out, SOMEBODY, (gid_t)-1) || fchmod(out, 04755))
		return -1;
	close(in);
	return close(out);
}

static int run_copy(char *path)
{
	char word[] = "copy";
	char *const arguments[] = {path, word, NULL};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execv(path, arguments);
		_exit(SKIPPED);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	char directory[] = "/tmp/hark-secure-XXXXXX", path[64];
	struct hark_reactor *r;
	int status = SKIPPED;

	if (argc == 2 && strcmp(argv[1], "copy") == 0)
		return in_the_copy();
	if (argc != 1) {
		fprintf(stderr, "usage: secure\n");
		return 2;
	}
	setenv("HARK_BACKEND", "nonesuch", 1);
	setenv("HARK_TRACE", "/nonesuch/trace", 1);
	if (hark_reactor_new(&r, NULL) == 0 ||
	    hark_reactor_new(&r, &(struct hark_options){.backend = traced()}) == 0) {
		fprintf(stderr, "secure: HARK_BACKEND or HARK_TRACE has no effect at all\n");
		return 1;
	}
	if (geteuid() != 0)
		return skip("only root can make a setuid program for another user");
	if (!mkdtemp(directory) || chmod(directory, 0755))
		return skip("no temporary directory");
	snprintf(path, sizeof path, "%s/copy", directory);
	if (copy(argv[0], path) == 0)
		status = run_copy(path);
	unlink(path);
	rmdir(directory);
	return status == SKIPPED ? skip("setuid has no effect there") : status;
}
