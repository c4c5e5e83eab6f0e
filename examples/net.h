/* net.h - the sockets of the examples: those that are bound, and those that are connected. */
#ifndef EXAMPLES_NET_H
#define EXAMPLES_NET_H

#include <sys/socket.h>

/* Opens a nonblocking socket of type SOCK_STREAM, which then listens, or SOCK_DGRAM, bound to the
 * first address of host (a name or a number, IPv4 or IPv6) and port that works; fails if none. */
int open_server(const char *host, const char *port, int type);

/* Prints "listening on ADDRESS:PORT" (of IPv6 "[ADDRESS]:PORT") on standard output at once. */
void print_listening(int fd);

/* Opens a nonblocking stream socket and begins to connect it. Returns it, or -errno. Once it is
 * ready to send, connect_result says how that went: 0, -errno, or -EINPROGRESS while it is not
 * over. */
int connect_to(const struct sockaddr *address, socklen_t len);
int connect_result(int fd);

#endif
