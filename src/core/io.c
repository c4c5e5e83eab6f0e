/* io.c - the verbs: system calls from which the reactor learns when a descriptor is drained or
 * full.
 *
 * EAGAIN says it, but for calls that look at something else than the queue's head (MSG_PEEK,
 * MSG_OOB, MSG_ERRQUEUE). A short read says it too, on plain TCP, as long as neither an end of
 * file nor urgent data was reported, and once an EAGAIN has shown that nothing from before the
 * registration is left: elsewhere a read stops at a message, a record, ancillary data or the
 * urgent mark (also when its byte has been taken and nothing reports it any more), with more
 * behind. An EAGAIN from a send that names its receiver says that this receiver is full; poll(2)
 * may call the socket writable all the same, so that no edge would follow. */
#include "core/core.h"
#include "sys/sys.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ELSEWHERE (MSG_PEEK | MSG_OOB | HARK__ERRQUEUE)
#ifdef MSG_ERRQUEUE
#define HARK__ERRQUEUE MSG_ERRQUEUE
#else
#define HARK__ERRQUEUE 0
#endif

static void not_ready(struct hark_handler *h, unsigned direction)
{
	if (h->hark_reactor != NULL)
		hark__slot_of(h->hark_reactor, h)->ready &= (uint8_t)~direction;
}

static void found_empty(struct hark_handler *h)
{
	if (h->hark_reactor != NULL && (hark__slot_of(h->hark_reactor, h)->armed & HARK_EDGE))
		hark__slot_of(h->hark_reactor, h)->flags |= HARK__EMPTIED;
}

static bool plain_tcp(struct hark_handler *h)
{
	if (!(h->hark_flags & HARK__TCP_ASKED))
		h->hark_flags |= HARK__TCP_ASKED | (hark__plain_tcp(h->fd) ? HARK__TCP : 0);
	return h->hark_flags & HARK__TCP;
}

static inline bool short_read_drains(struct hark_handler *h)
{
	struct hark_reactor *r = h->hark_reactor;

	return r != NULL && (r->backend->can & HARK_CAN_SHORT) &&
	       (hark__slot_of(r, h)->flags & HARK__EMPTIED) && !(h->hark_flags & HARK__PARTIAL) &&
	       plain_tcp(h);
}

/* What has looked elsewhere and failed counts as no call: it will not say that the socket is
 * drained either, and who is called again and again for what was ready once would spin. */
static ssize_t receive_failed(struct hark_handler *h, ssize_t error, int flags)
{
	bool nothing = error == -EAGAIN || error == -EWOULDBLOCK;

	if (!(flags & ELSEWHERE)) {
		h->hark_flags |= HARK__USED_RECV;
		if (nothing) {
			h->hark_flags |= HARK__SOCKET;
			not_ready(h, HARK_RECV);
			found_empty(h);
		}
	}
	return nothing ? -EAGAIN : error;
}

/* After a call that receives: len is what was asked for, or 0 where a short read says nothing. */
static inline ssize_t received(struct hark_handler *h, ssize_t n, size_t len, int flags)
{
	h->hark_flags |= flags & MSG_OOB ? HARK__PARTIAL : 0;
	if (n < 0)
		return receive_failed(h, n, flags);
	h->hark_flags |= HARK__USED_RECV | HARK__SOCKET;
	if ((size_t)n < len && n > 0 && short_read_drains(h))
		not_ready(h, HARK_RECV);
	return n;
}

static ssize_t sent(struct hark_handler *h, ssize_t n, bool addressed)
{
	h->hark_flags |= HARK__USED_SEND;
	if (n >= 0) {
		h->hark_flags |= HARK__SOCKET;
		return n;
	}
	if (n == -EAGAIN || n == -EWOULDBLOCK) {
		h->hark_flags |= HARK__SOCKET | (addressed ? HARK__NEVER_EDGES : 0);
		if (addressed && h->hark_reactor != NULL)
			hark__change(h->hark_reactor, h);
		not_ready(h, HARK_SEND);
		return -EAGAIN;
	}
	return n;
}

static void before_send(struct hark_handler *h)
{
	if (hark__send_flags == 0 && !(h->hark_flags & HARK__PREPARED)) {
		hark__no_sigpipe(h->fd);
		h->hark_flags |= HARK__PREPARED;
	}
}

static inline ssize_t negated(ssize_t n)
{
	return n < 0 ? -errno : n;
}

/* In each verb below `verb` is a constant, and what is left of this is its system call. */
static inline __attribute__((always_inline)) ssize_t system_call(const struct hark_io *io)
{
	switch (io->verb) {
	case HARK_VERB_RECV:
		return negated(recv(io->fd, io->buf, io->len, io->flags));
	case HARK_VERB_SEND:
		return negated(send(io->fd, io->buf, io->len, io->flags));
	case HARK_VERB_RECVFROM:
		return negated(
			recvfrom(io->fd, io->buf, io->len, io->flags, io->addr, io->addrlen));
	case HARK_VERB_SENDTO:
		return negated(sendto(io->fd, io->buf, io->len, io->flags, io->addr,
		                      io->addrlen != NULL ? *io->addrlen : 0));
	case HARK_VERB_RECVMSG:
		return negated(recvmsg(io->fd, io->msg, io->flags));
	case HARK_VERB_SENDMSG:
		return negated(sendmsg(io->fd, io->msg, io->flags));
	case HARK_VERB_READ:
		return negated(read(io->fd, io->buf, io->len));
	case HARK_VERB_WRITE:
		return negated(write(io->fd, io->buf, io->len));
	case HARK_VERB_ACCEPT:
		return hark__accept(io->fd, io->addr, io->addrlen);
	}
	return -EINVAL;
}

ssize_t hark__system_io(const struct hark_io *io)
{
	return system_call(io);
}

/* Do h's verbs go through a chain? */
static inline bool wrapped(const struct hark_handler *h)
{
	return __builtin_expect(h->hark_flags & HARK__WRAPPED, 0) && h->hark_reactor != NULL;
}

/* Out of the way of all the others. */
static __attribute__((cold, noinline)) ssize_t by_chain(struct hark_handler *h, struct hark_io *io)
{
	bool asked;

	return hark__chain_io(h->hark_reactor, io, &asked);
}

/* What a short read is measured by is what the chain has made of the length. That it is drained a
 * wrapper may say of its own accord, and then the socket has not been found empty. */
static __attribute__((cold, noinline)) ssize_t received_by_chain(struct hark_handler *h,
                                                                 struct hark_io *io, int flags)
{
	bool asked;
	ssize_t n = hark__chain_io(h->hark_reactor, io, &asked);

	if (n == -EAGAIN && !asked) {
		h->hark_flags |= HARK__USED_RECV;
		not_ready(h, HARK_RECV);
		return n;
	}
	return received(h, n, flags == 0 ? io->len : 0, flags);
}

/* Only a copy has its address taken, so that without a chain `io` is never in memory. */
static inline __attribute__((always_inline)) ssize_t perform(struct hark_handler *h,
                                                             struct hark_io io)
{
	io.fd = h->fd;
	if (wrapped(h)) {
		struct hark_io copy = io;

		return by_chain(h, &copy);
	}
	return system_call(&io);
}

/* flags are the caller's, io.flags those of the call. */
static inline __attribute__((always_inline)) ssize_t receive(struct hark_handler *h,
                                                             struct hark_io io, int flags)
{
	io.fd = h->fd;
	if (wrapped(h)) {
		struct hark_io copy = io;

		return received_by_chain(h, &copy, flags);
	}
	return received(h, system_call(&io), flags == 0 ? io.len : 0, flags);
}

ssize_t hark_recv(struct hark_handler *h, void *buf, size_t len)
{
	const struct hark_io io = {
		.verb = HARK_VERB_RECV, .flags = MSG_DONTWAIT, .buf = buf, .len = len};

	return receive(h, io, 0);
}

ssize_t hark_recvfrom(struct hark_handler *h, void *buf, size_t len, int flags,
                      struct sockaddr *addr, socklen_t *addrlen)
{
	const struct hark_io io = {
		.verb = HARK_VERB_RECVFROM,
		.flags = flags | MSG_DONTWAIT,
		.buf = buf,
		.len = len,
		.addr = addr,
		.addrlen = addrlen,
	};

	return receive(h, io, flags);
}

ssize_t hark_recvmsg(struct hark_handler *h, struct msghdr *msg, int flags)
{
	const struct hark_io io = {
		.verb = HARK_VERB_RECVMSG, .flags = flags | MSG_DONTWAIT, .msg = msg};

	return receive(h, io, flags);
}

/* For what is only to be read: a hark_io serves both directions. */
static inline void *writable(const void *pointer)
{
	void *same;

	memcpy(&same, &pointer, sizeof same);
	return same;
}

ssize_t hark_send(struct hark_handler *h, const void *buf, size_t len)
{
	const struct hark_io io = {
		.verb = HARK_VERB_SEND,
		.flags = MSG_DONTWAIT | hark__send_flags,
		.buf = writable(buf),
		.len = len,
	};

	before_send(h);
	return sent(h, perform(h, io), false);
}

ssize_t hark_sendto(struct hark_handler *h, const void *buf, size_t len, int flags,
                    const struct sockaddr *addr, socklen_t addrlen)
{
	const struct hark_io io = {
		.verb = HARK_VERB_SENDTO,
		.flags = flags | MSG_DONTWAIT | hark__send_flags,
		.buf = writable(buf),
		.len = len,
		.addr = writable(addr),
		.addrlen = &addrlen,
	};

	before_send(h);
	return sent(h, perform(h, io), addr != NULL);
}

ssize_t hark_sendmsg(struct hark_handler *h, const struct msghdr *msg, int flags)
{
	const struct hark_io io = {
		.verb = HARK_VERB_SENDMSG,
		.flags = flags | MSG_DONTWAIT | hark__send_flags,
		.msg = writable(msg),
	};

	before_send(h);
	return sent(h, perform(h, io), msg->msg_name != NULL);
}

/* No bookkeeping: a callback that uses these stays level-triggered. */
ssize_t hark_read(struct hark_handler *h, void *buf, size_t len)
{
	return perform(h, (struct hark_io){.verb = HARK_VERB_READ, .buf = buf, .len = len});
}

ssize_t hark_write(struct hark_handler *h, const void *buf, size_t len)
{
	const struct hark_io io = {.verb = HARK_VERB_WRITE, .buf = writable(buf), .len = len};

	return perform(h, io);
}

int hark_accept(struct hark_handler *h, struct sockaddr *addr, socklen_t *addrlen)
{
	const struct hark_io io = {.verb = HARK_VERB_ACCEPT, .addr = addr, .addrlen = addrlen};

	if (!(h->hark_flags & HARK__PREPARED)) {
		int flags = fcntl(h->fd, F_GETFL);

		if (flags < 0 || fcntl(h->fd, F_SETFL, flags | O_NONBLOCK) < 0)
			return -errno;
		h->hark_flags |= HARK__PREPARED;
	}
	return (int)receive(h, io, 0);
}
