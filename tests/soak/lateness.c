/* lateness.c - lateness.h.
 *
 * A wait that returns more than a tick after the time that it was asked for is explained if about
 * then the machine kept the control waiting, or this thread: for half as long at least. What holds
 * up one thread need not hold up the other, and no system tells of all that it does, so that some
 * of the sleeps are forgiven. A wait that is wrong by itself, rounded for instance, is late at
 * nearly each of them. */
#include "lateness.h"
#include "control.h"
#include "record.h"

#include <errno.h>
#include <hark/base.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define TICK ((int64_t)1 << 17)
#define LATE_MAX 1000000

struct late {
	int64_t due, ended;
	int64_t held_up; /* for how long the system says that it let the thread wait meanwhile */
};

static struct late late[LATE_MAX];
static size_t late_count;
static uint64_t sleeps; /* that were not cut short */
static int64_t longest_round;
static int64_t held_up_before;

static bool was_to_sleep(void)
{
	return record.asked > record.ended;
}

void lateness_before_wait(void)
{
	int64_t lasted = clock_ns() - record.ended;

	if (record.ended != 0 && lasted > longest_round)
		longest_round = lasted;
	if (was_to_sleep())
		held_up_before = control_held_up();
}

void lateness_after_wait(void)
{
	int64_t due = record.asked;

	if (due <= record.began || due > record.ended)
		return;
	sleeps++;
	if (record.ended - due > TICK && late_count < LATE_MAX)
		late[late_count++] = (struct late){
			.due = due,
			.ended = record.ended,
			.held_up = control_held_up() - held_up_before,
		};
}

/* By how much this backend rounds its waits up for want of a finer call. */
static int64_t grain(const char *backend)
{
	bool coarse = false;

#if defined(__APPLE__)
	coarse = !strcmp(backend, "poll");
#elif defined(__linux__)
	coarse = !strcmp(backend, "kqueue"); /* emulated */
#ifdef SYS_epoll_pwait2
	if (!strcmp(backend, "epoll"))
		coarse = syscall(SYS_epoll_pwait2, -1, NULL, 0, NULL, NULL, (size_t)0) < 0 &&
		         (errno == ENOSYS || errno == EPERM);
#endif
#endif
	if (coarse)
		printf("exception: %s waits in whole milliseconds here\n", backend);
	return coarse ? HARK_MS(1) : 0;
}

static bool is_explained(const struct late *l, int64_t allowed)
{
	int64_t beyond = l->ended - l->due - allowed;

	return beyond <= 2 * l->held_up || beyond <= 2 * control_late(l->due, l->ended);
}

static long long us(int64_t time)
{
	return time / 1000;
}

bool lateness_is_explained(const char *backend)
{
	int64_t allowed = TICK + grain(backend);
	uint64_t forgiven = sleeps / (control_held_up() < 0 ? 4 : 100) + 10;
	uint64_t unexplained = 0;
	int64_t most = 0, most_unexplained = 0;

	for (const struct late *l = late; l < late + late_count; l++) {
		int64_t by = l->ended - l->due;

		if (by > most)
			most = by;
		if (is_explained(l, allowed))
			continue;
		unexplained++;
		if (by > most_unexplained)
			most_unexplained = by;
	}
	printf("%" PRIu64 " sleeps, %zu more than a tick too long, by %lld us at most; the machine "
	       "does not explain %" PRIu64 " of them, %lld us at most\n",
	       sleeps, late_count, us(most), unexplained, us(most_unexplained));
	printf("the control woke %lld us late at most, the callbacks of a round took %lld us\n",
	       us(control_late(0, INT64_MAX / 2)), us(longest_round));
	if (unexplained <= forgiven)
		return true;
	printf("FAILED: of %" PRIu64 " sleeps at most %" PRIu64 " may be late without a reason\n",
	       sleeps, forgiven);
	return false;
}
