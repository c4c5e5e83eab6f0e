/* system_linux.c - what hark-bench asks of Linux alone. */
#include "bench.h"
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

const struct driver *const raw_drivers[] = {&raw_epoll, &raw_poll, &raw_select, NULL};

/* To the last processor that is allowed: interrupts tend to go to the first. */
bool system_pin(void)
{
	cpu_set_t allowed, one;

	if (sched_getaffinity(0, sizeof allowed, &allowed) < 0 || CPU_COUNT(&allowed) < 2)
		return false;
	for (size_t cpu = CPU_SETSIZE; cpu-- > 0;) {
		if (CPU_ISSET(cpu, &allowed)) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			return sched_setaffinity(0, sizeof one, &one) == 0;
		}
	}
	return false;
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
