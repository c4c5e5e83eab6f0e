/* sys.h - what the systems spell differently. One of linux.c, bsd.c and darwin.c is built. */
#ifndef HARK_SYS_H
#define HARK_SYS_H

#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

/* Flags that every send carries so that it raises no SIGPIPE. */
extern const int hark__send_flags;

/* Where there is no such flag, switches SIGPIPE off for the socket; called before its first
 * send. */
void hark__no_sigpipe(int fd);

/* accept(2); the new descriptor is nonblocking and close-on-exec. Returns it or -errno. */
int hark__accept(int fd, struct sockaddr *addr, socklen_t *len);

/* pipe(2); both ends nonblocking and close-on-exec. Returns 0 or -errno. */
int hark__pipe(int fds[2]);

/* poll(2) with a timeout in nanoseconds, or NULL for ever; rounded up where the system cannot wait
 * so exactly. */
int hark__ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout);

/* getenv(3), but NULL in a program that runs with more rights than its user. */
const char *hark__getenv(const char *name);

/* A descriptor, close-on-exec, that becomes readable when the process pid ends. Returns it, -ESRCH
 * when pid has ended (or some systems: when it has ended and was not reaped), or -errno; -ENOSYS
 * where there is no such thing. */
int hark__process_fd(pid_t pid);

/* Does a forked child have it too, to be closed there? (The number of one that is not inherited may
 * by then be another file's.) */
extern const bool hark__process_fd_inherited;

/* Names the calling thread, where the system can. */
void hark__name_thread(const char *name);

/* Is it a TCP socket on which a short read means that the receive queue is empty, up to urgent
 * data? False where the system cannot tell. */
bool hark__plain_tcp(int fd);

#endif
