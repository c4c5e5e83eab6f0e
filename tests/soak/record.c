/* record.c - record.h. */
#include "record.h"

#include <hark/backend.h>
#include <hark/base.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

struct record record;

static const struct hark_backend *real;
static struct hark_backend recording;
static void (*call_before)(void), (*call_after)(void);
static int64_t last_reading;
static bool has_read; /* since the last wait */

int64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return HARK_S(t.tv_sec) + t.tv_nsec;
}

static int64_t read_clock(void *state)
{
	(void)state;
	last_reading = clock_ns();
	if (!has_read)
		record.look = last_reading;
	has_read = true;
	return last_reading;
}

static int wait_on_record(void *state, const struct timespec *timeout)
{
	int result;

	record.round++;
	record.previous = record.look;
	record.asked = INT64_MAX;
	if (timeout != NULL)
		record.asked = last_reading + HARK_S(timeout->tv_sec) + timeout->tv_nsec;
	call_before();
	record.began = clock_ns();
	result = real->wait(state, timeout);
	record.ended = clock_ns();
	has_read = false;
	call_after();
	return result;
}

const char *record_backend(const char *name, void (*before)(void), void (*after)(void))
{
	for (unsigned i = 0; (real = hark_backend_at(i)) != NULL; i++)
		if (!strcmp(real->name, name))
			break;
	if (real == NULL)
		return NULL;
	call_before = before;
	call_after = after;
	recording = *real;
	recording.name = "recording";
	recording.now = read_clock;
	recording.wait = wait_on_record;
	return hark_backend_register(&recording) == 0 ? recording.name : NULL;
}
