/* settings.h - what a wrapper is told, as "seed=42,eagain=0.1". */
#ifndef HARK_SETTINGS_H
#define HARK_SETTINGS_H

#include <hark/backend.h>

struct hark__setting {
	const char *name;
	uint64_t *value;  /* where it goes: what is written, times unit */
	uint64_t unit;    /* a power of ten; what is below it is cut off */
	uint64_t most;    /* of *value */
	const char *what; /* what it has to be, in words */
};

/* Reads text (NULL: nothing) and sets what it names; `from` goes before the reason, and says where
 * text stands. count is that of the settings. Returns 0, or -EINVAL with the reason given to
 * hark_port_why. */
int hark__settings(struct hark_port *up, const char *from, const char *text,
                   const struct hark__setting *settings, size_t count);

#endif
