/* system_linux.c - what hark-bench asks of Linux alone. */
#include "raw_posts.h"
#include <errno.h>
#include <glob.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

const struct driver *const system_drivers[] = {&raw_epoll, &raw_epoll_edge, &raw_epoll_floor,
                                               &raw_poll,  &raw_select,     NULL};
const struct sleeper *const system_sleepers[] = {&sleep_epoll, &sleep_poll, &sleep_select, NULL};

/* One processor, and all others that were allowed, for each its own threads. */
static cpu_set_t own, others;

/* To the last processor that is allowed: interrupts tend to go to the first. */
int system_pin(void)
{
	int cpu = CPU_SETSIZE - 1;

	if (sched_getaffinity(0, sizeof others, &others) < 0 || CPU_COUNT(&others) < 2) {
		CPU_ZERO(&others);
		return -1;
	}
	while (!CPU_ISSET((size_t)cpu, &others))
		cpu--;
	CPU_SET((size_t)cpu, &own);
	CPU_XOR(&others, &others, &own);
	return sched_setaffinity(0, sizeof own, &own) == 0 ? cpu : -1;
}

void system_pin_others(void)
{
	if (CPU_COUNT(&others) > 0)
		sched_setaffinity(0, sizeof others, &others);
}

int system_waker(int fds[2])
{
	fds[0] = fds[1] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return fds[0] < 0 ? -errno : 0;
}

const char *system_cpu(char *buf, size_t size)
{
	static const char key[] = "model name";
	FILE *info = fopen("/proc/cpuinfo", "re");
	const char *found = NULL;
	char line[256];

	while (info != NULL && found == NULL && fgets(line, sizeof line, info) != NULL) {
		char *value = strchr(line, ':');

		if (strncmp(line, key, strlen(key)) != 0 || value == NULL)
			continue;
		value += strspn(value, ": \t");
		value[strcspn(value, "\n")] = '\0';
		snprintf(buf, size, "%s", value);
		found = buf;
	}
	if (info != NULL)
		fclose(info);
	return found;
}

/* The first line of the file, without its newline. */
static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool found;

	if (file == NULL)
		return false;
	found = fgets(line, (int)size, file) != NULL;
	fclose(file);
	line[found ? strcspn(line, "\n") : 0] = '\0';
	return found;
}

unsigned system_flaws(struct flaw *flaws, unsigned most)
{
	unsigned count = 0;
	glob_t found;

	if (glob("/sys/devices/system/cpu/vulnerabilities/*", 0, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc && count < most; i++) {
		const char *path = found.gl_pathv[i];
		struct flaw *flaw = &flaws[count];

		snprintf(flaw->name, sizeof flaw->name, "%s", strrchr(path, '/') + 1);
		if (read_line(path, flaw->state, sizeof flaw->state))
			count++;
	}
	globfree(&found);
	return count;
}

/* What malloc(3) has handed out, with its own overhead. */
double system_memory(void)
{
#ifdef __GLIBC__
	struct mallinfo2 info = mallinfo2();

	return (double)info.uordblks + (double)info.hblkhd;
#else
	return -1;
#endif
}

void system_mark(void)
{
	kill(getpid(), SIGSTOP);
}

/* Lets the child go on, to its next system call's begin or end if how is PTRACE_SYSCALL, or to its
 * next mark. Returns false if that is its end. */
static bool go_on(pid_t child, enum __ptrace_request how, int *signal_number)
{
	int status;

	if (ptrace(how, child, NULL, NULL) < 0 || waitpid(child, &status, 0) != child ||
	    !WIFSTOPPED(status))
		return false;
	*signal_number = WSTOPSIG(status);
	return true;
}

/* Follows the child, which has stopped, from its first mark to its second. There are two stops for
 * each call, and two more: the end of the first mark and the begin of the second. */
static long follow(pid_t child)
{
	int signal_number;
	long stops = 0;

	if (ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0 ||
	    !go_on(child, PTRACE_CONT, &signal_number) || signal_number != SIGSTOP)
		return -1;
	while (go_on(child, PTRACE_SYSCALL, &signal_number)) {
		if (signal_number == SIGSTOP)
			return stops / 2 - 1;
		stops++;
	}
	return -1;
}

long system_calls(void (*work)(void *context), void *context)
{
	const pid_t child = fork();
	long calls = -1;
	int status;

	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 && raise(SIGSTOP) == 0)
			work(context);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	if (WIFSTOPPED(status)) {
		calls = follow(child);
		ptrace(PTRACE_DETACH, child, NULL, NULL);
		waitpid(child, &status, 0);
	}
	return calls;
}
