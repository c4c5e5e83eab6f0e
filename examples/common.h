/* common.h - what the example servers share: sockets from options, the line that says where they
 * listen, and an end on SIGINT and SIGTERM. */
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

/* Opens a nonblocking socket of type SOCK_STREAM, which then listens, or SOCK_DGRAM, bound to the
 * first address of host (a name or a number, IPv4 or IPv6) and port that works; fails if none. */
int open_server(const char *host, const char *port, int type);

/* Prints "listening on ADDRESS:PORT" (of IPv6 "[ADDRESS]:PORT") on standard output at once. */
void print_listening(int fd);

/* Makes a reactor on the backend of that name, of HARK_BACKEND when it is NULL, else the best. */
struct hark_reactor *make_reactor(const char *backend);

/* From now on SIGINT and SIGTERM stop r, and SIGPIPE is ignored. NULL, for before r is freed:
 * they do nothing any more. */
void stop_on_signals(struct hark_reactor *r);

/* Has SIGINT or SIGTERM arrived? For programs that call hark_reactor_turn. */
bool stop_asked(void);

#endif
