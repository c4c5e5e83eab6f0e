/* machine.c - the machine that the results are of: what one has to know to compare them with
 * others. */
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* Do such processors have it at all? */
bool flaw_concerns(const struct flaw *flaw)
{
	return strcmp(flaw->state, "Not affected") != 0;
}

/* Does the kernel do something against it, which costs time? */
bool flaw_mitigated(const struct flaw *flaw)
{
	return strstr(flaw->state, "Mitigation") == flaw->state;
}

static unsigned long limit_of(rlim_t limit)
{
	return limit == RLIM_INFINITY ? 0 : (unsigned long)limit;
}

/* All but where the program is pinned to, which main does. */
void machine_look(struct machine *machine)
{
	const time_t date = time(NULL);
	struct utsname system;
	struct rlimit files;
	struct tm utc;

	if (uname(&system) == 0) {
		snprintf(machine->kernel, sizeof machine->kernel, "%.64s %.64s", system.sysname,
		         system.release);
		snprintf(machine->architecture, sizeof machine->architecture, "%.63s",
		         system.machine);
	}
	strftime(machine->date, sizeof machine->date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&date, &utc));
	if (system_cpu(machine->cpu, sizeof machine->cpu) == NULL)
		machine->cpu[0] = '\0';
	machine->cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	if (getloadavg(&machine->load, 1) != 1)
		machine->load = -1;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		machine->files = limit_of(files.rlim_cur);
		machine->files_most = limit_of(files.rlim_max);
	}
	machine->flaw_count = system_flaws(machine->flaws, FLAWS_MOST);
}
