/* common.h - what the examples share: messages, options, a reactor, and its end on SIGINT and
 * SIGTERM. */
#ifndef EXAMPLES_COMMON_H
#define EXAMPLES_COMMON_H

#include <hark/hark.h>

/* The program's name, for its messages. Each program defines it. */
extern const char program[];

/* Prints "PROGRAM: ..." as one line on standard error. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reports likewise and exits with status 2. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Fails unless text, the value of option, is a decimal port number; returns text. */
const char *parse_port(const char *option, const char *text);

/* Fails unless text, the value of option, is a decimal number from min to max; returns it. */
unsigned parse_number(const char *option, const char *text, unsigned min, unsigned max);

/* Makes a reactor on the backend of that name, of HARK_BACKEND when it is NULL, else the best. */
struct hark_reactor *make_reactor(const char *backend);

/* The first SIGINT or SIGTERM stops r, having set *stopped unless that is NULL: a program that
 * calls hark_reactor_turn in a loop has to know. The next one kills. SIGPIPE is ignored from now
 * on. */
void stop_on_signals(struct hark_reactor *r, bool *stopped);

#endif
