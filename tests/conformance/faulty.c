/* faulty.c - faulty.h. */
#include "faulty.h"

#include <string.h>

struct faulty faulty;

static const struct hark_backend *inner;

/* The state: our own head, then that of the backend under test. */
struct state {
	struct hark_port *up;
	uint32_t generation; /* of the registration to be refused late */
	bool late;
	_Alignas(max_align_t) unsigned char inner[];
};

static int faulty_open(void *state, struct hark_port *up)
{
	struct state *s = state;

	if (faulty.open)
		return -faulty.open;
	faulty.opened++;
	s->up = up;
	return inner->open(s->inner, up);
}

static void faulty_close(void *state, bool forked)
{
	struct state *s = state;

	faulty.closed++;
	if (forked)
		faulty.forked++;
	inner->close(s->inner, forked);
}

static int faulty_modify(void *state, int fd, struct hark_slot *slot, unsigned want)
{
	struct state *s = state;

	if (want && (fd == faulty.fd || faulty.fd == FAULTY_ANY) && faulty.refuse)
		return -faulty.refuse;
	if (want && fd == faulty.fd && faulty.late) {
		s->late = true;
		s->generation = slot->generation;
	}
	return inner->modify(s->inner, fd, slot, want);
}

static int faulty_wait(void *state, const struct timespec *timeout)
{
	struct state *s = state;
	int error = faulty.wait, events;

	faulty.wait = 0;
	if (error)
		return -error;
	if (s->late) {
		s->late = false;
		hark_refuse(s->up, faulty.fd, s->generation, faulty.late);
		faulty.late = 0;
		return 0;
	}
	events = inner->wait(s->inner, timeout);
	if (events >= 0 && faulty.spent) {
		struct hark_slot *slot = hark_slot(s->up, faulty.fd);

		faulty.spent = false;
		inner->modify(s->inner, faulty.fd, slot, 0);
		hark_ready(s->up, faulty.fd, slot->generation, HARK_SPENT);
	}
	if (events >= 0 && faulty.dead) {
		faulty.dead = false;
		events |= HARK_DEAD;
	}
	return events;
}

static int faulty_reserve(void *state, int fd)
{
	struct state *s = state;

	if (faulty.reserve)
		return -faulty.reserve;
	return inner->reserve ? inner->reserve(s->inner, fd) : 0;
}

static int faulty_submit(void *state)
{
	struct state *s = state;

	return inner->submit ? inner->submit(s->inner) : 0;
}

static struct hark_backend faulty_backend = {
	.name = FAULTY_NAME,
	.open = faulty_open,
	.close = faulty_close,
	.modify = faulty_modify,
	.wait = faulty_wait,
	.reserve = faulty_reserve,
	.submit = faulty_submit,
};

void faulty_register(void)
{
	if (inner)
		return;
	for (unsigned i = 0; (inner = hark_backend_at(i)); i++)
		if (!strcmp(inner->name, backend))
			break;
	ck_assert_ptr_nonnull(inner);
	faulty_backend.state_size = offsetof(struct state, inner) + inner->state_size;
	faulty_backend.can = inner->can;
	ck_assert_int_eq(hark_backend_register(&faulty_backend), 0);
}

struct hark_reactor *faulty_reactor(void)
{
	struct hark_reactor *r = NULL;
	char why[256];
	struct hark_options options = {
		.backend = chained(FAULTY_NAME), .why = why, .why_size = sizeof why};

	faulty_register();
	faulty = (struct faulty){.fd = -1};
	int error = hark_reactor_new(&r, &options);
	ck_assert_msg(error == 0, "no reactor on %s: %s", FAULTY_NAME, why);
	return r;
}
