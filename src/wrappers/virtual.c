/* virtual.c - a clock that jumps to the end of a wait as soon as nothing is ready.
 *
 * What the reactor does itself takes no time, and waiting for nothing takes none in reality: a day
 * of timeouts goes by in a moment, and is the same day each time. A wait without a timeout is a
 * real one, and the clock stands still meanwhile.
 *
 * What happens outside of the reactor takes time in reality and none by this clock. So before it
 * jumps, that is given a chance:
 * - jobs and children that the reactor awaits have up to `patience` to end, each once: those that
 *   have outlasted it are not waited for again, so a timeout can hit them;
 * - the kernel, and whoever is at the other end of a socket, have up to `grace` to answer, if
 *   anything was ready or any verb used since the last jump; if it is set, before each jump.
 *
 * The clock would never go on while somebody is always ready, and a reactor that stops in a second
 * would never stop. So beyond a crowd of waits at one instant each takes as long as it would about
 * take in reality. */
#include "wrappers/settings.h"
#include "wrappers/wrappers.h"
#include <errno.h>
#include <hark/reactor.h>

#define START HARK_S(1000) /* when all begins; not 0, which programs like to mean "none" by */
#define CROWD 1000u        /* waits that fit into one instant */
#define PACE HARK_US(10)   /* what a further one takes */

struct virtual
{
	struct hark_port *up;
	int64_t time;
	uint64_t patience, grace;
	bool grace_always;

	unsigned waits;   /* since the last jump */
	uint64_t lasting; /* jobs and children that have outlasted our patience */
	bool busy;        /* something was ready, or a verb used, since the last jump */
	bool happened;    /* something is ready in this wait */
};

static void pass(struct virtual *v, int64_t ns)
{
	v->time = ns < INT64_MAX - v->time ? v->time + ns : INT64_MAX;
}

/* The number of jobs and children that are pending. */
static uint64_t pending(const struct virtual *v)
{
	struct hark_stats stats;

	hark_port_stats(v->up, &stats);
	return stats.jobs + stats.children;
}

/* Waits in reality, again where a wait ended early without a word. Returns true if nothing came of
 * it; else what the next in the chain answered is in *rc. */
static bool in_vain(struct virtual *v, int64_t limit, int *rc)
{
	const int64_t end = limit > 0 ? hark_next_now(v->up) + limit : 0;

	for (;;) {
		const struct timespec time = {
			.tv_sec = (time_t)(limit / HARK_S(1)),
			.tv_nsec = (long)(limit % HARK_S(1)),
		};

		*rc = hark_next_wait(v->up, &time);
		if (*rc != 0 || v->happened)
			return false;
		if (limit == 0)
			return true;
		limit = end - hark_next_now(v->up);
		if (limit <= 0)
			return true;
	}
}

/* Is there nothing to do at this instant, and nothing to be expected from outside? */
static bool is_idle(struct virtual *v, int *rc)
{
	uint64_t outside;

	if (!in_vain(v, 0, rc))
		return false;
	outside = pending(v);
	if (outside <= v->lasting) {
		v->lasting = outside;
		return (!v->busy && !v->grace_always) || v->grace == 0 ||
		       in_vain(v, (int64_t)v->grace, rc);
	}
	if (v->patience > 0 && !in_vain(v, (int64_t)v->patience, rc))
		return false;
	v->lasting = outside;
	return true;
}

static int virtual_wait(void *state, const struct timespec *timeout)
{
	struct virtual *v = state;
	int rc;

	v->happened = false;
	if (timeout == NULL || (timeout->tv_sec == 0 && timeout->tv_nsec == 0)) {
		rc = hark_next_wait(v->up, timeout);
	} else if (is_idle(v, &rc)) {
		pass(v, HARK_S(timeout->tv_sec) + timeout->tv_nsec);
		v->waits = 0;
		v->busy = false;
		return 0;
	}
	if (v->waits++ >= CROWD)
		pass(v, PACE);
	return rc;
}

static bool virtual_ready(void *state, int fd, uint32_t generation, unsigned events)
{
	struct virtual *v = state;

	v->happened = v->busy = true;
	return hark_ready(v->up, fd, generation, events);
}

static ssize_t virtual_io(void *state, struct hark_io *io)
{
	struct virtual *v = state;

	v->busy = true;
	return hark_next_io(v->up, io);
}

static int64_t virtual_now(void *state)
{
	const struct virtual *v = state;

	return v->time;
}

#define UNSET UINT64_MAX
#define MILLISECONDS "a number of milliseconds, at most a day"

static int virtual_open(void *state, struct hark_port *up)
{
	struct virtual *v = state;
	uint64_t grace = UNSET;
	const struct hark__setting settings[] = {
		{"patience", &v->patience, 1000000, HARK_S(86400), MILLISECONDS},
		{"grace", &grace, 1000000, HARK_S(86400), MILLISECONDS},
	};

	v->up = up;
	v->time = START;
	v->patience = HARK_S(10);
	v->grace = HARK_MS(1);
	if (hark__settings(up, "", hark_port_settings(up), settings, 2) < 0)
		return -EINVAL;
	v->grace_always = grace != UNSET;
	if (v->grace_always)
		v->grace = grace;
	return 0;
}

const struct hark_backend hark__virtual = {
	.name = "virtual",
	.state_size = sizeof(struct virtual),
	.can = HARK_CAN_WRAP,
	.open = virtual_open,
	.wait = virtual_wait,
	.now = virtual_now,
	.ready = virtual_ready,
	.io = virtual_io,
};
