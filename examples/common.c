/* common.c - what the examples share; see common.h. */
#include "common.h"

#include <ctype.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_error(const char *format, va_list args)
{
	char line[1024];

	(void)vsnprintf(line, sizeof(line), format, args);
	/* What came from outside, a file's name or a variable, may contain anything. */
	for (char *c = line; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	(void)fprintf(stderr, "%s: %s\n", program, line);
}

void report(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_error(format, args);
	va_end(args);
}

void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_error(format, args);
	va_end(args);
	exit(2);
}

const char *parse_port(const char *option, const char *text)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 5 || text[digits] || strtol(text, NULL, 10) > 65535)
		fail("%s: '%s' is not a port (0 to 65535)", option, text);
	return text;
}

unsigned parse_number(const char *option, const char *text, unsigned min, unsigned max)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long number = strtoul(text, NULL, 10);

	if (digits == 0 || text[digits] || number < min || number > max)
		fail("%s: '%s' is not a number from %u to %u", option, text, min, max);
	return (unsigned)number;
}

struct hark_reactor *make_reactor(const char *backend)
{
	char why[512];
	struct hark_options options = {
		.backend = backend,
		.why = why,
		.why_size = sizeof(why),
	};
	struct hark_reactor *r;
	int error = hark_reactor_new(&r, &options);

	if (error < 0)
		fail("%s", why[0] ? why : strerror(-error));
	return r;
}

static struct stopper {
	struct hark_signal signal;
	struct hark_reactor *reactor;
	bool *stopped;
} stoppers[2];

static void handle_signal(struct hark_signal *s, unsigned count)
{
	struct stopper *stopper = (struct stopper *)s;

	(void)count;
	if (stopper->stopped)
		*stopper->stopped = true;
	hark_reactor_stop(stopper->reactor);
	/* Who insists is served at once: the next signal does what it does by default. */
	for (int i = 0; i < 2; i++)
		hark_signal_stop(&stoppers[i].signal);
}

static const struct hark_signal_ops stopper_ops = {
	.handle_signal = handle_signal,
	.name = "stopper",
};

void stop_on_signals(struct hark_reactor *r, bool *stopped)
{
	static const int numbers[] = {SIGINT, SIGTERM};

	for (int i = 0; i < 2; i++) {
		int error;

		stoppers[i] = (struct stopper){.reactor = r, .stopped = stopped};
		hark_signal_init(&stoppers[i].signal, &stopper_ops);
		error = hark_signal_start(r, &stoppers[i].signal, numbers[i]);
		if (error)
			fail("cannot watch signal %d: %s", numbers[i], strerror(-error));
	}
	/* hark_send raises none; this is for a standard output that nobody reads. */
	(void)signal(SIGPIPE, SIG_IGN);
}
