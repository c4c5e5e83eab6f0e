/* system_other.c - what hark-bench asks of macOS and the BSDs alone. */
#include "raw_posts.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/sysctl.h>
#include <sys/types.h>
#include <unistd.h>

const struct driver *const system_drivers[] = {&raw_kqueue, &raw_poll, &raw_select, NULL};
const struct sleeper *const system_sleepers[] = {&sleep_kqueue, &sleep_poll, &sleep_select, NULL};

/* The schedulers of some have no such call, and each of the others its own. */
int system_pin(void)
{
	return -1;
}

void system_pin_others(void)
{
}

int system_waker(int fds[2])
{
	if (pipe(fds) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
		fcntl(fds[i], F_SETFD, FD_CLOEXEC);
	}
	return 0;
}

const char *system_cpu(char *buf, size_t size)
{
	int name[] = {CTL_HW, HW_MODEL};

	return sysctl(name, 2, buf, &size, NULL, 0) == 0 ? buf : NULL;
}

/* None of them tells. */
unsigned system_flaws(struct flaw *flaws, unsigned most)
{
	(void)flaws, (void)most;
	return 0;
}

/* Their allocators answer in ways that have little in common: not told. */
double system_memory(void)
{
	return -1;
}

/* Each of them traces in a way of its own: not told. */
long system_calls(void (*work)(void *context), void *context)
{
	(void)work, (void)context;
	return -1;
}

void system_mark(void)
{
}
