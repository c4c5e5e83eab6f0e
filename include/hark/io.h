/* hark/io.h - the I/O verbs: the system calls, on a handler's descriptor.
 *
 * Each returns what the system call of its name returns, but -errno instead of -1, and leaves
 * errno unspecified. Through them the reactor learns when a descriptor is drained or full, and
 * may then watch a socket with edges, so that a change of interest costs no system call. They
 * may be called on any handler, added or not, inside a callback or outside, by the owner of its
 * reactor only.
 *
 * hark may then go by what the verbs saw: urgent data of such a socket is taken with a verb, too
 * (hark_recvfrom with MSG_OOB); behind a recv(2) of it, data at the urgent mark may go unnoticed.
 *
 * On sockets they never block, whatever O_NONBLOCK says, and never raise SIGPIPE; a peer that is
 * gone is -EPIPE. All but hark_read and hark_write answer -ENOTSOCK for anything else. After
 * -EAGAIN the handler is called again when it wants the direction and the descriptor is ready.
 * -EINTR is passed on. */
#ifndef HARK_IO_H
#define HARK_IO_H

#include <hark/handler.h>
#include <sys/socket.h>

HARK_BEGIN_DECLS

/* Receives up to len bytes. Returns the bytes received, 0 at the end of the stream (or for an
 * empty datagram, or len 0), or -errno of recv(2). */
HARK_API ssize_t hark_recv(struct hark_handler *h, void *buf, size_t len);

/* Sends up to len bytes. Returns the bytes taken, which on a stream may be fewer, or -errno of
 * send(2). */
HARK_API ssize_t hark_send(struct hark_handler *h, const void *buf, size_t len);

/* recvmsg(2) and sendmsg(2), with their flags. */
HARK_API ssize_t hark_recvmsg(struct hark_handler *h, struct msghdr *msg, int flags);
HARK_API ssize_t hark_sendmsg(struct hark_handler *h, const struct msghdr *msg, int flags);

/* recvfrom(2) and sendto(2), with their flags; addr and addrlen may be NULL as there. */
HARK_API ssize_t hark_recvfrom(struct hark_handler *h, void *buf, size_t len, int flags,
                               struct sockaddr *addr, socklen_t *addrlen);
HARK_API ssize_t hark_sendto(struct hark_handler *h, const void *buf, size_t len, int flags,
                             const struct sockaddr *addr, socklen_t addrlen);

/* read(2) and write(2), for pipes, ttys and anything else that is no socket. They block if the
 * descriptor does, and writing to a pipe without a reader raises SIGPIPE as write(2) does. */
HARK_API ssize_t hark_read(struct hark_handler *h, void *buf, size_t len);
HARK_API ssize_t hark_write(struct hark_handler *h, const void *buf, size_t len);

/* Accepts a connection on a listening handler, which becomes nonblocking. Returns the new
 * descriptor, the caller's, nonblocking and close-on-exec, or -errno of accept(2): -EAGAIN when
 * there is none, -ECONNABORTED when it was gone before it was taken, -EMFILE and -ENFILE when
 * descriptors have run out (the connection stays queued and the handler ready: pause it, or it is
 * called again at once). addr and len as in accept(2); both may be NULL. */
HARK_API int hark_accept(struct hark_handler *h, struct sockaddr *addr, socklen_t *len);

HARK_END_DECLS

#endif
