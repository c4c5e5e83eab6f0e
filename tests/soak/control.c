/* control.c - control.h.
 *
 * Of each small span of time the latest waking is kept. The thread alone writes, and whoever has
 * joined it reads. */
#include "control.h"
#include "chance.h"
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <hark/base.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SPAN HARK_MS(5)
#define LONGEST_SLEEP HARK_MS(1)

static pthread_t thread;
static bool ending; /* atomic */
static int64_t start;
static int64_t *latest;
static size_t spans;
static void (*call_work)(void);

static size_t span_of(int64_t time)
{
	int64_t span = (time - start) / SPAN;

	return span < 0 ? 0 : (size_t)span < spans ? (size_t)span : spans - 1;
}

/* It was held up in all of the time between. */
static void note(int64_t due, int64_t woken)
{
	for (size_t span = span_of(due); span <= span_of(woken); span++)
		if (woken - due > latest[span])
			latest[span] = woken - due;
}

static void *sleep_and_note(void *unused)
{
	struct chance chance;

	chance_seed(&chance, (uint64_t)start);
	while (!__atomic_load_n(&ending, __ATOMIC_RELAXED)) {
		int64_t delay = (int64_t)(chance.next(&chance) % LONGEST_SLEEP);
		int64_t due = clock_ns() + delay;

		nanosleep(&(struct timespec){.tv_nsec = (long)delay}, NULL);
		note(due, clock_ns());
		call_work();
	}
	return unused;
}

int control_start(int64_t duration_ns, void (*work)(void))
{
	start = clock_ns();
	spans = (size_t)(duration_ns / SPAN) + 1;
	latest = calloc(spans, sizeof *latest);
	if (latest == NULL)
		return ENOMEM;
	call_work = work;
	return pthread_create(&thread, NULL, sleep_and_note, NULL);
}

void control_end(void)
{
	__atomic_store_n(&ending, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

int64_t control_late(int64_t first, int64_t last)
{
	int64_t late = 0;

	for (size_t span = span_of(first - SPAN); span <= span_of(last + SPAN); span++)
		if (latest[span] > late)
			late = latest[span];
	return late;
}

/* Linux: the time on a processor, the time that it was waited for, and how often. */
int64_t control_held_up(void)
{
	static int fd = -2;
	int64_t held_up = -1;
	char text[100];
	ssize_t n;

	if (fd == -2)
		fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	n = pread(fd, text, sizeof text - 1, 0);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	if (sscanf(text, "%*d %" SCNd64, &held_up) != 1)
		return -1;
	return held_up;
}
