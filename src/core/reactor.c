/* reactor.c - making and freeing reactors. */
#include "core/core.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void hark__why(const struct hark_options *options, const char *format, ...)
{
	va_list args;

	if (options->why == NULL || options->why_size == 0)
		return;
	va_start(args, format);
	vsnprintf(options->why, options->why_size, format, args);
	va_end(args);
}

/* Every descriptor that the reactor will ever need is made here, so that none is missing when
 * descriptors have run out. */
static int open_all(struct hark_reactor *r, const struct hark_options *options)
{
	int error = hark__fork_watch();

	if (error == 0)
		error = hark__open_backend(r, options);
	else
		hark__why(options, "cannot watch for forks: %s", strerror(-error));
	if (error < 0)
		return error;
	error = hark__waker_open(&r->waker);
	if (error == 0) {
		error = hark__watch_waker(r);
		if (error < 0)
			hark__waker_close(&r->waker);
	}
	if (error < 0) {
		hark__why(options, "cannot make a waker: %s", strerror(-error));
		hark__close_backend(r);
	}
	return error;
}

/* What is wrong with the arguments, or NULL. */
static const char *mistake(struct hark_reactor **out, const struct hark_options *options)
{
	if (out == NULL)
		return "no place for the reactor";
	if (options->spin_ns < 0)
		return "spin_ns is negative";
	return options->slow_ns < 0 ? "slow_ns is negative" : NULL;
}

int hark_reactor_new(struct hark_reactor **out, const struct hark_options *options)
{
	static const struct hark_options defaults;
	struct hark_reactor *r;
	int error;

	if (options == NULL)
		options = &defaults;
	hark__why(options, "%s", "");
	if (mistake(out, options) != NULL) {
		hark__why(options, "%s", mistake(out, options));
		return -EINVAL;
	}
	r = calloc(1, sizeof *r);
	if (r == NULL) {
		hark__why(options, "no memory");
		return -ENOMEM;
	}
	hark__list_init(&r->port.ready);
	hark__list_init(&r->port.changes);
	hark__list_init(&r->again);
	hark__list_init(&r->messages);
	hark__list_init(&r->handling);
	hark__list_init(&r->jobs);
	hark__list_init(&r->children);
	hark__list_init(&r->tasks);
	hark__list_init(&r->signals);
	hark__list_init(&r->signals_due);
	hark__timers_init(&r->wheel);
	r->audit = options->audit;
	r->handle_audit = options->handle_audit;
	r->spin_ns = options->spin_ns;
	r->slow_ns = options->slow_ns;
	r->handle_slow = options->handle_slow;
	r->forks = hark__forks;
	r->sleeping = 1;
	error = open_all(r, options);
	if (error < 0) {
		free(r->port.slots);
		free(r);
		return error;
	}
	*out = r;
	return 0;
}

/* Lets go of everything that is the caller's. */
static void detach_all(struct hark_reactor *r)
{
	hark__detach_tasks(r);
	hark__detach_children(r);
	for (int fd = 0; fd < r->port.slot_count; fd++)
		if (r->port.slots[fd].handler != NULL)
			hark__detach(r, r->port.slots[fd].handler);
	r->stats.handlers = 0;
	hark__detach_jobs(r);
	hark__detach_messages(r);
	hark__detach_timers(r);
	hark__detach_signals(r);
}

void hark__destroy(struct hark_reactor *r)
{
	detach_all(r);
	hark__close_backend(r);
	hark__waker_close(&r->waker);
	free(r->port.slots);
	free(r);
}

void hark_reactor_free(struct hark_reactor *r)
{
	if (r == NULL || hark__foreign(r))
		return;
	if (!hark__inside(r)) {
		hark__destroy(r);
		return;
	}
	/* Inside a callback: the turn that called it frees r on its way out. */
	detach_all(r);
	r->freed = true;
}
