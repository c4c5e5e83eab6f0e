/* chain.c - wrappers before a backend: "trace:chaos:epoll".
 *
 * To the reactor a chain is one backend, whose functions (the face) call the first link that has
 * the function; a wrapper that leaves one out is passed over, and one that calls hark_next_x goes
 * on from its own place. Reports come the other way: each link reports to a port of its own, which
 * has no slots, so that hark__ready finds none and leads here.
 *
 * A new kernel object (fork.c) is a new state of the last link alone: the wrappers keep theirs,
 * a clock must not begin anew. The state that the reactor knows is the last link's, with a pointer
 * to the chain before it. */
#include "core/core.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINKS_MAX 8u
#define NAME_ROOM 256u

struct hark__layer {
	struct hark__chain *chain;
	unsigned index;
	const struct hark_backend *backend;
	void *state; /* of a wrapper that is open */
	const char *settings;
	struct hark_port port; /* where it reports to */
};

struct hark__chain {
	struct hark_reactor *r;
	struct hark_backend face;
	bool has_io;
	bool asked;     /* the system, in the present verb */
	unsigned count; /* the last of them is no wrapper */
	struct hark__layer layers[LINKS_MAX];
	char name[NAME_ROOM];
	char words[NAME_ROOM]; /* the name, cut up */
};

struct tail {
	struct hark__chain *chain;
	max_align_t state[];
};

static struct hark_reactor *reactor_of(struct hark_port *up)
{
	return up->layer != NULL ? up->layer->chain->r
	                         : hark__container(up, struct hark_reactor, port);
}

/* The link at an index, and where a call that has come to it goes on: to the first link from there
 * on that has the function. The last has modify and wait. */
static const struct hark_backend *at(const struct hark__chain *chain, unsigned index)
{
	return chain->layers[index].backend;
}

static struct hark__layer *last_of(struct hark__chain *chain)
{
	return &chain->layers[chain->count - 1];
}

static void *state_at(struct hark__chain *chain, unsigned index)
{
	struct tail *tail = chain->r->state;

	return index + 1 < chain->count ? chain->layers[index].state : tail->state;
}

static int modify_from(struct hark__chain *chain, unsigned i, int fd, struct hark_slot *slot,
                       unsigned want)
{
	while (at(chain, i)->modify == NULL)
		i++;
	return at(chain, i)->modify(state_at(chain, i), fd, slot, want);
}

static int wait_from(struct hark__chain *chain, unsigned i, const struct timespec *timeout)
{
	while (at(chain, i)->wait == NULL)
		i++;
	return at(chain, i)->wait(state_at(chain, i), timeout);
}

static int submit_from(struct hark__chain *chain, unsigned i)
{
	while (i < chain->count && at(chain, i)->submit == NULL)
		i++;
	return i < chain->count ? at(chain, i)->submit(state_at(chain, i)) : 0;
}

static int fd_from(struct hark__chain *chain, unsigned i)
{
	while (i < chain->count && at(chain, i)->fd == NULL)
		i++;
	return i < chain->count ? at(chain, i)->fd(state_at(chain, i)) : -ENOTSUP;
}

static int64_t now_from(struct hark__chain *chain, unsigned i)
{
	struct timespec t;

	while (i < chain->count && at(chain, i)->now == NULL)
		i++;
	if (i < chain->count)
		return at(chain, i)->now(state_at(chain, i));
	clock_gettime(CLOCK_MONOTONIC, &t);
	return HARK_S(t.tv_sec) + t.tv_nsec;
}

static ssize_t io_from(struct hark__chain *chain, unsigned i, struct hark_io *io)
{
	while (i + 1 < chain->count && at(chain, i)->io == NULL)
		i++;
	if (i + 1 < chain->count)
		return at(chain, i)->io(state_at(chain, i), io);
	chain->asked = true;
	return hark__system_io(io);
}

/* ---- The face: what the reactor calls ---- */

static struct hark__chain *chain_of(void *state)
{
	return ((struct tail *)state)->chain;
}

static int face_open(void *state, struct hark_port *up)
{
	struct tail *tail = state;

	tail->chain = hark__container(up, struct hark_reactor, port)->chain;
	return last_of(tail->chain)->backend->open(tail->state, &last_of(tail->chain)->port);
}

static void face_close(void *state, bool forked)
{
	struct tail *tail = state;

	last_of(tail->chain)->backend->close(tail->state, forked);
}

static int face_modify(void *state, int fd, struct hark_slot *slot, unsigned want)
{
	return modify_from(chain_of(state), 0, fd, slot, want);
}

static int face_wait(void *state, const struct timespec *timeout)
{
	return wait_from(chain_of(state), 0, timeout);
}

/* Each link has memory of its own. The state may be one that is to replace the reactor's. */
static int face_reserve(void *state, int fd)
{
	struct tail *tail = state;
	struct hark__chain *chain = tail->chain;

	for (unsigned i = 0; i < chain->count; i++) {
		void *own = i + 1 < chain->count ? chain->layers[i].state : tail->state;
		int error = at(chain, i)->reserve != NULL ? at(chain, i)->reserve(own, fd) : 0;

		if (error < 0)
			return error;
	}
	return 0;
}

static int face_submit(void *state)
{
	return submit_from(chain_of(state), 0);
}

static int face_fd(void *state)
{
	return fd_from(chain_of(state), 0);
}

static int64_t face_now(void *state)
{
	return now_from(chain_of(state), 0);
}

bool hark__chain_has_io(const struct hark_reactor *r)
{
	return r->chain != NULL && r->chain->has_io;
}

/* *asked: it has come to the system. */
ssize_t hark__chain_io(struct hark_reactor *r, struct hark_io *io, bool *asked)
{
	ssize_t n;

	r->chain->asked = false;
	n = io_from(r->chain, 0, io);
	*asked = r->chain->asked;
	return n;
}

/* ---- What wrappers call ---- */

int hark_next_modify(struct hark_port *up, int fd, struct hark_slot *slot, unsigned want)
{
	return modify_from(up->layer->chain, up->layer->index + 1, fd, slot, want);
}

int hark_next_wait(struct hark_port *up, const struct timespec *timeout)
{
	return wait_from(up->layer->chain, up->layer->index + 1, timeout);
}

int hark_next_submit(struct hark_port *up)
{
	return submit_from(up->layer->chain, up->layer->index + 1);
}

int64_t hark_next_now(struct hark_port *up)
{
	return now_from(up->layer->chain, up->layer->index + 1);
}

ssize_t hark_next_io(struct hark_port *up, struct hark_io *io)
{
	return io_from(up->layer->chain, up->layer->index + 1, io);
}

const char *hark_port_settings(const struct hark_port *up)
{
	return up->layer != NULL ? up->layer->settings : NULL;
}

void hark_port_why(struct hark_port *up, const char *reason)
{
	struct hark_reactor *r = reactor_of(up);

	snprintf(r->why, sizeof r->why, "%s", reason);
}

const char *hark_port_name(struct hark_port *up, int fd)
{
	struct hark_slot *slot = hark__slot(up, fd);

	return slot != NULL && slot->handler != NULL ? hark__handler_name(slot->handler) : NULL;
}

void hark_port_stats(struct hark_port *up, struct hark_stats *stats)
{
	hark_reactor_stats(reactor_of(up), stats);
}

/* ---- What links report ---- */

struct hark_slot *hark__layer_slot(struct hark__layer *layer, int fd)
{
	struct hark_port *port = &layer->chain->r->port;

	return (unsigned)fd < (unsigned)port->slot_count ? &port->slots[fd] : NULL;
}

/* To the nearest wrapper before it that wants to know, else to the reactor. */
bool hark__layer_ready(struct hark__layer *layer, int fd, uint32_t generation, unsigned events)
{
	struct hark__chain *chain = layer->chain;

	for (unsigned i = layer->index; i-- > 0;)
		if (at(chain, i)->ready != NULL)
			return at(chain, i)->ready(state_at(chain, i), fd, generation, events);
	return hark__ready(&chain->r->port, fd, generation, events);
}

void hark__layer_refuse(struct hark__layer *layer, int fd, uint32_t generation, int error)
{
	struct hark__chain *chain = layer->chain;

	for (unsigned i = layer->index; i-- > 0;)
		if (at(chain, i)->refuse != NULL) {
			at(chain, i)->refuse(state_at(chain, i), fd, generation, error);
			return;
		}
	hark_refuse(&chain->r->port, fd, generation, error);
}

/* ---- Making and freeing ---- */

/* Finds the backend of the last link so far, whose name is word; is_last: nothing follows. Returns
 * 0, or -errno with the reason in why. */
static int resolve(struct hark__chain *chain, const char *word, bool is_last, char *why,
                   size_t size)
{
	struct hark__layer *layer = last_of(chain);
	bool wraps;

	layer->backend = hark__find_backend(word);
	if (*word == '\0') {
		snprintf(why, size, "link %u has no name", chain->count);
		return -EINVAL;
	}
	if (layer->backend == NULL) {
		snprintf(why, size, "there is no %s '%s'", is_last ? "backend" : "wrapper", word);
		return -ENOENT;
	}
	wraps = layer->backend->can & HARK_CAN_WRAP;
	if (wraps && is_last) {
		snprintf(why, size, "'%s' needs a backend behind it, as in %s:%s", word, word,
		         hark_backend_at(0)->name);
		return -EINVAL;
	}
	if (!wraps && !is_last) {
		snprintf(why, size, "'%s' wraps no other, and must be the last link", word);
		return -EINVAL;
	}
	if (!wraps && layer->settings != NULL) {
		snprintf(why, size, "'%s' has no settings", word);
		return -EINVAL;
	}
	return 0;
}

/* Fills the layers from the name. */
static int parse(struct hark__chain *chain, char *why, size_t size)
{
	char *word = chain->words, *next;
	int error = 0;

	for (; word != NULL && error == 0; word = next) {
		struct hark__layer *layer = &chain->layers[chain->count];
		char *settings;

		if (chain->count == LINKS_MAX) {
			snprintf(why, size, "it has more than %u links", LINKS_MAX);
			return -EINVAL;
		}
		next = strchr(word, ':');
		if (next != NULL)
			*next++ = '\0';
		settings = strchr(word, '=');
		if (settings != NULL)
			*settings++ = '\0';
		*layer = (struct hark__layer){.chain = chain, .index = chain->count++};
		layer->port.layer = layer;
		layer->settings = settings;
		error = resolve(chain, word, next == NULL, why, size);
	}
	return error;
}

static struct hark_backend face_of(struct hark__chain *chain)
{
	const struct hark_backend *last = last_of(chain)->backend;
	struct hark_backend face = {
		.name = chain->name,
		.state_size = sizeof(struct tail) + last->state_size,
		.can = last->can,
		.open = face_open,
		.close = face_close,
		.modify = face_modify,
		.wait = face_wait,
		.reserve = face_reserve,
		.submit = face_submit,
		.fd = face_fd,
	};

	/* That there is one at all is a question of its own. */
	for (unsigned i = 0; i < chain->count; i++)
		if (at(chain, i)->now != NULL)
			face.now = face_now;
	return face;
}

/* Makes r->chain as the name says; its face is then to be opened, and after that its wrappers.
 * Returns 0, or -errno with the reason in why. */
int hark__chain_make(struct hark_reactor *r, const char *name, char *why, size_t size)
{
	struct hark__chain *chain;
	int error;

	if (strlen(name) >= NAME_ROOM) {
		snprintf(why, size, "it has more than %u bytes", NAME_ROOM - 1);
		return -EINVAL;
	}
	chain = calloc(1, sizeof *chain);
	if (chain == NULL) {
		snprintf(why, size, "no memory");
		return -ENOMEM;
	}
	chain->r = r;
	memcpy(chain->name, name, strlen(name));
	memcpy(chain->words, name, strlen(name));
	error = parse(chain, why, size);
	if (error < 0) {
		free(chain);
		return error;
	}
	chain->face = face_of(chain);
	for (unsigned i = 0; i + 1 < chain->count; i++)
		chain->has_io |= at(chain, i)->io != NULL;
	r->chain = chain;
	return 0;
}

const struct hark_backend *hark__chain_face(const struct hark_reactor *r)
{
	return &r->chain->face;
}

static int open_wrapper(struct hark__layer *layer)
{
	int error = 0;

	layer->chain->r->why[0] = '\0';
	layer->state = calloc(1, layer->backend->state_size + 1);
	if (layer->state == NULL)
		return -ENOMEM;
	if (layer->backend->open != NULL)
		error = layer->backend->open(layer->state, &layer->port);
	if (error < 0) {
		free(layer->state);
		layer->state = NULL;
	}
	return error;
}

/* Opens the wrappers, each before the one that it is behind. Returns 0, or -errno and in *failed
 * the name of the one that did not open. */
int hark__chain_open(struct hark_reactor *r, const char **failed)
{
	for (unsigned i = r->chain->count - 1; i-- > 0;) {
		int error = open_wrapper(&r->chain->layers[i]);

		if (error < 0) {
			*failed = at(r->chain, i)->name;
			return error;
		}
	}
	return 0;
}

/* Closes those wrappers that are open, the first one first. */
void hark__chain_close(struct hark_reactor *r)
{
	for (unsigned i = 0; i + 1 < r->chain->count; i++) {
		struct hark__layer *layer = &r->chain->layers[i];

		if (layer->state != NULL && layer->backend->close != NULL)
			layer->backend->close(layer->state, hark__forked(r));
		free(layer->state);
	}
}

void hark__chain_free(struct hark_reactor *r)
{
	free(r->chain);
	r->chain = NULL;
}
