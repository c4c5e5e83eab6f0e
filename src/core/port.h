/* port.h - where backends report to, as the backends of this library see it.
 *
 * hark_ready is a call across the library's border; the built-in backends use hark__ready, which
 * is the same thing inlined into their loops. */
#ifndef HARK_PORT_H
#define HARK_PORT_H

#include "core/list.h"
#include <hark/backend.h>
#include <hark/handler.h>

extern const struct hark_backend hark__select;
extern const struct hark_backend hark__poll;
extern const struct hark_backend hark__epoll;
extern const struct hark_backend hark__io_uring;
extern const struct hark_backend hark__kqueue;

#define HARK__DIRECTIONS (HARK_RECV | HARK_SEND | HARK_URGENT)

struct hark_port {
	struct hark_slot *slots; /* indexed by descriptor */
	int slot_count;
	struct hark_link ready;   /* handlers reported, in order, to be called */
	struct hark_link changes; /* handlers whose registration is to be looked at before a wait */
	uint64_t events;          /* reports taken */
	uint64_t stale;           /* reports dropped */
	struct hark__layer *layer; /* whose it is, if a chain's: then it has no slots; else NULL */
};

/* chain.c */
struct hark_slot *hark__layer_slot(struct hark__layer *layer, int fd);
bool hark__layer_ready(struct hark__layer *layer, int fd, uint32_t generation, unsigned events);
void hark__layer_refuse(struct hark__layer *layer, int fd, uint32_t generation, int error);

/* The rest of hark__ready: for what is stale or goes to a wrapper, for events other than plain
 * readiness, and for edges of which nothing is wanted (interest.c). Inlined into a backend's loop,
 * the first would cost those registers that have no wrapper. */
bool hark__ready_elsewhere(struct hark_port *up, int fd, uint32_t generation, unsigned events)
	__attribute__((cold, noinline));
void hark__ready_rare(struct hark_port *up, struct hark_slot *slot, unsigned events);
void hark__ready_unwanted(struct hark_port *up, struct hark_slot *slot, unsigned events);

static inline struct hark_slot *hark__slot(struct hark_port *up, int fd)
{
	if ((unsigned)fd < (unsigned)up->slot_count)
		return &up->slots[fd];
	return up->layer != NULL ? hark__layer_slot(up->layer, fd) : NULL;
}

static inline bool hark__ready(struct hark_port *up, int fd, uint32_t generation, unsigned events)
{
	struct hark_slot *slot;
	struct hark_handler *h;

	if ((unsigned)fd >= (unsigned)up->slot_count)
		return hark__ready_elsewhere(up, fd, generation, events);
	slot = &up->slots[fd];
	if (slot->generation != generation || slot->armed == 0)
		return hark__ready_elsewhere(up, fd, generation, events);
	up->events++;
	h = slot->handler;
	slot->ready |= events & (HARK__DIRECTIONS | HARK_BROKEN);
	if (__builtin_expect((events & ~(HARK_RECV | HARK_SEND)) != 0, 0))
		hark__ready_rare(up, slot, events);
	if (__builtin_expect(!(events & (slot->want | HARK_BROKEN)), 0))
		hark__ready_unwanted(up, slot, events);
	else if (!hark__linked(&h->hark_ready))
		hark__append(&up->ready, &h->hark_ready);
	return true;
}

#endif
