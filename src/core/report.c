/* report.c - what a reactor tells about itself: counts, the audit, the dump. */
#include "core/core.h"
#include <fcntl.h>

const char *hark_reactor_backend(const struct hark_reactor *r)
{
	return r->backend->name;
}

void hark_reactor_stats(const struct hark_reactor *r, struct hark_stats *stats)
{
	*stats = r->stats;
	stats->callbacks += stats->messages + stats->timers + stats->signals;
	stats->events = r->port.events;
	stats->stale = r->port.stale;
	stats->syscalls = stats->waits;
	if (!(r->backend->can & HARK_CAN_BATCH))
		stats->syscalls += stats->changes;
}

/* Asks every handler, and treats each one that answers otherwise than known as if somebody had
 * called hark_handler_refresh. */
void hark__audit(struct hark_reactor *r)
{
	for (int fd = 0; fd < r->port.slot_count; fd++) {
		struct hark_handler *h = r->port.slots[fd].handler;
		unsigned known, wanted;

		if (h == NULL || (h->hark_flags & HARK__ASK))
			continue;
		known = r->port.slots[fd].want;
		wanted = hark__ask(h);
		if (wanted == known)
			continue;
		r->stats.unrefreshed++;
		h->hark_flags |= HARK__ASK;
		hark__change(r, h);
		if (r->handle_audit != NULL)
			r->handle_audit(r, h, known, wanted);
	}
}

static const char *directions(unsigned set, char text[4])
{
	text[0] = set & HARK_RECV ? 'r' : '-';
	text[1] = set & HARK_SEND ? 's' : '-';
	text[2] = set & HARK_URGENT ? 'u' : '-';
	text[3] = '\0';
	return text;
}

static const char *mode(const struct hark_slot *slot)
{
	if (slot->flags & HARK__ALWAYS)
		return "always ready";
	if (slot->armed & HARK_EDGE)
		return "edge";
	return slot->armed != 0 ? "level" : "idle";
}

static void dump_handler(const struct hark_slot *slot, int fd, FILE *to)
{
	const char *name = hark__handler_name(slot->handler);
	char want[4], armed[4], ready[4];

	fprintf(to, "  fd %d %s: wants %s, armed %s, ready %s, %s%s\n", fd,
	        name != NULL ? name : "(no name)", directions(slot->want, want),
	        directions(slot->armed, armed), directions(slot->ready, ready), mode(slot),
	        fcntl(fd, F_GETFD) < 0 ? ", closed without being removed" : "");
}

static void dump_signals(const struct hark_link *list, FILE *to)
{
	for (struct hark_link *link = list->next; link != list; link = link->next) {
		struct hark_signal *s = hark__container(link, struct hark_signal, hark_link);

		fprintf(to, "  signal %d %s\n", s->hark_number,
		        s->ops->name != NULL ? s->ops->name : "(no name)");
	}
}

void hark_reactor_dump(const struct hark_reactor *r, FILE *to)
{
	fprintf(to, "reactor on %s: %llu handlers, %s, %s\n", r->backend->name,
	        (unsigned long long)r->stats.handlers,
	        hark__messages_waiting(r) ? "messages queued" : "no messages",
	        r->running ? "running" : "not running");
	for (int fd = 0; fd < r->port.slot_count; fd++)
		if (r->port.slots[fd].handler != NULL && r->port.slots[fd].handler != &r->waking)
			dump_handler(&r->port.slots[fd], fd, to);
	if (r->wheel.pending > 0)
		fprintf(to, "  timers: %llu pending, %llu of them in the background\n",
		        (unsigned long long)r->wheel.pending,
		        (unsigned long long)(r->wheel.pending - r->wheel.alive));
	hark__dump_tasks(r, to);
	dump_signals(&r->signals, to);
	dump_signals(&r->signals_due, to);
	if (hark__measures(r))
		hark__dump_turns(r, to);
}
