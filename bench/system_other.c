/* system_other.c - what hark-bench asks of macOS and the BSDs alone. */
#include "bench.h"
#include <sys/sysctl.h>
#include <sys/types.h>

const struct driver *const raw_drivers[] = {&raw_kqueue, &raw_poll, &raw_select, NULL};

/* The schedulers of some have no such call, and each of the others its own. */
bool system_pin(void)
{
	return false;
}

const char *system_cpu(char *buf, size_t size)
{
	int name[] = {CTL_HW, HW_MODEL};

	return sysctl(name, 2, buf, &size, NULL, 0) == 0 ? buf : NULL;
}

/* Their allocators answer in ways that have little in common: not told. */
double system_memory(void)
{
	return -1;
}
