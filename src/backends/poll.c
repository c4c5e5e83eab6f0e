/* poll.c - poll(2), over a dense array.
 *
 * A slot's word is the index of its entry plus one, so that nothing is searched; an entry that
 * leaves is replaced by the last.
 *
 * What the systems do oddly here:
 * - POLLHUP and POLLERR are reported whatever was asked, so what wants nothing has no entry.
 * - A descriptor that was closed without being removed is POLLNVAL at each call. epoll and kqueue
 *   forget such a one; so does this, until its interest changes.
 * - Only ppoll waits for less than a millisecond, and macOS has none (sys.h). */
#include "core/port.h"
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>

struct poll_state {
	struct hark_port *up;
	struct pollfd *entries;
	int room;
	int count;
};

static int poll_open(void *state, struct hark_port *up)
{
	struct poll_state *s = state;

	s->up = up;
	return 0;
}

static void poll_close(void *state, bool forked)
{
	struct poll_state *s = state;

	(void)forked;
	free(s->entries);
}

/* There are at most as many entries as descriptors up to the highest. */
static int poll_reserve(void *state, int fd)
{
	struct poll_state *s = state;
	struct pollfd *entries;
	int room;

	if (fd < s->room)
		return 0;
	room = fd / 32 < INT_MAX - 8 - fd ? fd + 8 + fd / 32 : INT_MAX;
	entries = realloc(s->entries, (size_t)room * sizeof *entries);
	if (entries == NULL)
		return -ENOMEM;
	s->entries = entries;
	s->room = room;
	return 0;
}

static void leave(struct poll_state *s, struct hark_slot *slot)
{
	struct pollfd *entry = &s->entries[slot->word - 1];
	struct pollfd *last = &s->entries[--s->count];

	if (entry != last) {
		*entry = *last;
		hark__slot(s->up, entry->fd)->word = slot->word;
	}
	slot->word = 0;
}

static int poll_modify(void *state, int fd, struct hark_slot *slot, unsigned want)
{
	struct poll_state *s = state;

	if (want == 0) {
		if (slot->word != 0)
			leave(s, slot);
		return 0;
	}
	if (slot->word == 0) {
		/* Forgotten as closed: if it still is, that is an error now, as with epoll. */
		if (slot->armed != 0 && fcntl(fd, F_GETFD) < 0)
			return -errno;
		s->entries[s->count++] = (struct pollfd){.fd = fd};
		slot->word = (uintptr_t)s->count;
	}
	s->entries[slot->word - 1].events =
		(short)((want & HARK_RECV ? POLLIN : 0) | (want & HARK_SEND ? POLLOUT : 0) |
	                (want & HARK_URGENT ? POLLPRI : 0));
	return 0;
}

static unsigned events_of(int events)
{
	return (events & POLLIN ? HARK_RECV : 0) | (events & POLLOUT ? HARK_SEND : 0) |
	       (events & POLLPRI ? HARK_URGENT : 0) |
	       (events & (POLLERR | POLLHUP) ? HARK_BROKEN : 0);
}

static void forget_closed(struct poll_state *s)
{
	for (int i = s->count - 1; i >= 0; i--)
		if (s->entries[i].revents & POLLNVAL)
			leave(s, hark__slot(s->up, s->entries[i].fd));
}

static int poll_wait(void *state, const struct timespec *timeout)
{
	struct poll_state *s = state;
	int left = hark__ppoll(s->entries, (nfds_t)s->count, timeout);
	bool closed = false;

	if (left < 0)
		return -errno;
	for (const struct pollfd *entry = s->entries; left > 0; entry++) {
		if (entry->revents == 0)
			continue;
		left--;
		if (entry->revents & POLLNVAL)
			closed = true;
		else
			hark__ready(s->up, entry->fd, hark__slot(s->up, entry->fd)->generation,
			            events_of(entry->revents));
	}
	if (closed)
		forget_closed(s);
	return 0;
}

const struct hark_backend hark__poll = {
	.name = "poll",
	.state_size = sizeof(struct poll_state),
	.can = HARK_CAN_BATCH,
	.open = poll_open,
	.close = poll_close,
	.modify = poll_modify,
	.wait = poll_wait,
	.reserve = poll_reserve,
};
