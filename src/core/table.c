/* table.c - the descriptor table: a slot for each descriptor up to the highest added. */
#include "core/core.h"
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct hark_slot) <= 32, "a descriptor costs at most 32 bytes");

/* Grows by little: a descriptor is to cost its slot and not twice that. Small tables are cheap to
 * copy, and the larger ones are moved by their page tables where realloc(3) is any good. */
int hark__table_reserve(struct hark_port *port, int fd)
{
	struct hark_slot *slots;
	int64_t count;

	if (fd < port->slot_count)
		return 0;
	count = (int64_t)fd + 8 + fd / 32;
	if (count > INT32_MAX)
		return -ENOMEM;
	slots = realloc(port->slots, (size_t)count * sizeof *slots);
	if (slots == NULL)
		return -ENOMEM;
	memset(slots + port->slot_count, 0, (size_t)(count - port->slot_count) * sizeof *slots);
	port->slots = slots;
	port->slot_count = (int)count;
	return 0;
}

struct hark_slot *hark_slot(struct hark_port *up, int fd)
{
	return hark__slot(up, fd);
}

bool hark_ready(struct hark_port *up, int fd, uint32_t generation, unsigned events)
{
	return hark__ready(up, fd, generation, events);
}
