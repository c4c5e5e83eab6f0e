/* bender.c - bender.h. */
#include "bender.h"

#include <errno.h>
#include <string.h>

int bender_open_error;
const char *bender_open_why;
char bender_log[4096];
unsigned bender_closed, bender_forked;

static struct bender *open_ones[8];

static void note(const struct bender *b, const char *what)
{
	size_t length = strlen(bender_log);

	snprintf(bender_log + length, sizeof bender_log - length, "%s %s, ", what, b->settings);
}

static int bender_open(void *state, struct hark_port *up)
{
	struct bender *b = state;

	if (bender_open_why)
		hark_port_why(up, bender_open_why);
	if (bender_open_error)
		return -bender_open_error;
	b->up = up;
	b->settings = hark_port_settings(up) ? hark_port_settings(up) : "";
	b->spurious = b->fd = -1;
	ck_assert_int_gt(hark_next_now(up), 0); /* all that is behind it is open */
	note(b, "open");
	for (int i = 0; i < 8; i++)
		if (!open_ones[i]) {
			open_ones[i] = b;
			return 0;
		}
	ck_abort_msg("more than eight links");
	return 0;
}

static void bender_close(void *state, bool forked)
{
	struct bender *b = state;

	ck_assert_int_gt(hark_next_now(b->up), 0); /* and still is */
	note(b, "close");
	bender_closed++;
	bender_forked += forked;
	for (int i = 0; i < 8; i++)
		if (open_ones[i] == b)
			open_ones[i] = NULL;
}

static int bender_modify(void *state, int fd, struct hark_slot *slot, unsigned want)
{
	struct bender *b = state;
	const char *name = hark_port_name(b->up, fd);

	b->modifies++;
	note(b, "modify");
	ck_assert_ptr_eq(slot, hark_slot(b->up, fd));
	snprintf(b->name, sizeof b->name, "%s", name ? name : "");
	if (want && fd == b->fd && b->refuse)
		return -b->refuse;
	return hark_next_modify(b->up, fd, slot, want);
}

/* Passes on what was held back before this wait. */
static int release(struct bender *b)
{
	struct held held[64];
	unsigned count = b->held_count;

	memcpy(held, b->held, sizeof held);
	b->held_count = 0;
	for (unsigned i = 0; i < count; i++)
		hark_ready(b->up, held[i].fd, held[i].generation, held[i].events);
	return (int)count;
}

/* What is armed and wants nothing in particular may be told of anything. */
static void report_spuriously(struct bender *b, int fd)
{
	struct hark_slot *slot = hark_slot(b->up, fd);

	if (slot && slot->armed & HARK_RECV)
		ck_assert(hark_ready(b->up, fd, slot->generation, HARK_RECV));
}

static int bender_wait(void *state, const struct timespec *timeout)
{
	static const struct timespec at_once;
	struct bender *b = state;
	struct hark_slot *slot = hark_slot(b->up, b->fd);
	bool busy;

	b->waits++;
	note(b, "wait");
	busy = release(b) > 0;
	if (b->late && slot) {
		hark_refuse(b->up, b->fd, slot->generation, b->late);
		b->late = 0;
		busy = true;
	}
	if (b->spurious >= 0) {
		report_spuriously(b, b->spurious);
		busy = true;
	}
	return hark_next_wait(b->up, busy ? &at_once : timeout);
}

static bool bender_ready(void *state, int fd, uint32_t generation, unsigned events)
{
	struct bender *b = state;
	const struct hark_slot *slot = hark_slot(b->up, fd);

	b->readies++;
	note(b, "ready");
	if (!b->hold || !slot || slot->generation != generation || b->held_count == 64)
		return hark_ready(b->up, fd, generation, events);
	b->held[b->held_count++] = (struct held){fd, generation, events};
	return true;
}

static void bender_refuse(void *state, int fd, uint32_t generation, int error)
{
	struct bender *b = state;

	b->refusals++;
	note(b, "refuse");
	hark_refuse(b->up, fd, generation, error);
}

static bool receives(enum hark_verb verb)
{
	return verb == HARK_VERB_RECV || verb == HARK_VERB_RECVFROM || verb == HARK_VERB_READ;
}

static ssize_t bender_io(void *state, struct hark_io *io)
{
	struct bender *b = state;
	const struct hark_slot *slot = hark_slot(b->up, io->fd);

	b->verbs++;
	note(b, "verb");
	if (receives(io->verb) && b->again && b->held_count < 64) {
		b->again--;
		b->held[b->held_count++] = (struct held){io->fd, slot->generation, HARK_RECV};
		return -EAGAIN;
	}
	if (receives(io->verb) && b->shorten && io->len > b->shorten)
		io->len = b->shorten;
	return hark_next_io(b->up, io);
}

static int bender_reserve(void *state, int fd)
{
	struct bender *b = state;

	(void)fd;
	b->reserves++;
	return -b->reserve;
}

/* What is held back must not be slept upon. */
static int bender_submit(void *state)
{
	struct bender *b = state;

	b->submits++;
	return b->held_count ? 1 : hark_next_submit(b->up);
}

static int64_t bender_now(void *state)
{
	struct bender *b = state;

	return hark_next_now(b->up) + b->ahead;
}

static const struct hark_backend bender = {
	.name = BENDER,
	.state_size = sizeof(struct bender),
	.can = HARK_CAN_WRAP,
	.open = bender_open,
	.close = bender_close,
	.modify = bender_modify,
	.wait = bender_wait,
	.reserve = bender_reserve,
	.submit = bender_submit,
	.now = bender_now,
	.ready = bender_ready,
	.refuse = bender_refuse,
	.io = bender_io,
};

void bender_register(void)
{
	static bool done;

	if (!done)
		ck_assert_int_eq(hark_backend_register(&bender), 0);
	done = true;
}

struct hark_reactor *bender_reactor(const char *chain)
{
	struct hark_reactor *r = NULL;
	char why[512];
	struct hark_options options = {.backend = chain, .why = why, .why_size = sizeof why};

	bender_register();
	bender_log[0] = '\0';
	int error = hark_reactor_new(&r, &options);
	ck_assert_msg(error == 0, "no reactor on %s: %s", chain, why);
	ck_assert_str_eq(why, "");
	return r;
}

struct bender *bender_at(const char *settings)
{
	for (int i = 0; i < 8; i++)
		if (open_ones[i] && !strcmp(open_ones[i]->settings, settings))
			return open_ones[i];
	ck_abort_msg("no bender has the settings '%s'", settings);
	return NULL;
}
