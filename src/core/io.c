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

static bool short_read_drains(struct hark_handler *h)
{
	struct hark_reactor *r = h->hark_reactor;

	return r != NULL && (r->backend->can & HARK_CAN_SHORT) &&
	       (hark__slot_of(r, h)->flags & HARK__EMPTIED) && !(h->hark_flags & HARK__PARTIAL) &&
	       plain_tcp(h);
}

static ssize_t receive_failed(struct hark_handler *h, int error, int flags)
{
	if (error != EAGAIN && error != EWOULDBLOCK)
		return -error;
	if (!(flags & ELSEWHERE)) {
		h->hark_flags |= HARK__SOCKET;
		not_ready(h, HARK_RECV);
		found_empty(h);
	}
	return -EAGAIN;
}

/* After a call that receives: len is what was asked for, or 0 where a short read says nothing. */
static inline ssize_t received(struct hark_handler *h, ssize_t n, size_t len, int flags)
{
	h->hark_flags |= HARK__USED_RECV | (flags & MSG_OOB ? HARK__PARTIAL : 0);
	if (n < 0)
		return receive_failed(h, errno, flags);
	h->hark_flags |= HARK__SOCKET;
	if ((size_t)n < len && n > 0 && short_read_drains(h))
		not_ready(h, HARK_RECV);
	return n;
}

static ssize_t sent(struct hark_handler *h, ssize_t n, bool addressed)
{
	int error = errno;

	h->hark_flags |= HARK__USED_SEND;
	if (n >= 0) {
		h->hark_flags |= HARK__SOCKET;
		return n;
	}
	if (error == EAGAIN || error == EWOULDBLOCK) {
		h->hark_flags |= HARK__SOCKET | (addressed ? HARK__NEVER_EDGES : 0);
		if (addressed && h->hark_reactor != NULL)
			hark__change(h->hark_reactor, h);
		not_ready(h, HARK_SEND);
		return -EAGAIN;
	}
	return -error;
}

static void before_send(struct hark_handler *h)
{
	if (hark__send_flags == 0 && !(h->hark_flags & HARK__PREPARED)) {
		hark__no_sigpipe(h->fd);
		h->hark_flags |= HARK__PREPARED;
	}
}

ssize_t hark_recv(struct hark_handler *h, void *buf, size_t len)
{
	return received(h, recv(h->fd, buf, len, MSG_DONTWAIT), len, 0);
}

ssize_t hark_recvfrom(struct hark_handler *h, void *buf, size_t len, int flags,
                      struct sockaddr *addr, socklen_t *addrlen)
{
	ssize_t n = recvfrom(h->fd, buf, len, flags | MSG_DONTWAIT, addr, addrlen);

	return received(h, n, flags == 0 ? len : 0, flags);
}

ssize_t hark_recvmsg(struct hark_handler *h, struct msghdr *msg, int flags)
{
	return received(h, recvmsg(h->fd, msg, flags | MSG_DONTWAIT), 0, flags);
}

ssize_t hark_send(struct hark_handler *h, const void *buf, size_t len)
{
	before_send(h);
	return sent(h, send(h->fd, buf, len, MSG_DONTWAIT | hark__send_flags), false);
}

ssize_t hark_sendto(struct hark_handler *h, const void *buf, size_t len, int flags,
                    const struct sockaddr *addr, socklen_t addrlen)
{
	before_send(h);
	return sent(h,
	            sendto(h->fd, buf, len, flags | MSG_DONTWAIT | hark__send_flags, addr, addrlen),
	            addr != NULL);
}

ssize_t hark_sendmsg(struct hark_handler *h, const struct msghdr *msg, int flags)
{
	before_send(h);
	return sent(h, sendmsg(h->fd, msg, flags | MSG_DONTWAIT | hark__send_flags),
	            msg->msg_name != NULL);
}

/* No bookkeeping: a callback that uses these stays level-triggered. */
ssize_t hark_read(struct hark_handler *h, void *buf, size_t len)
{
	ssize_t n = read(h->fd, buf, len);

	return n < 0 ? -errno : n;
}

ssize_t hark_write(struct hark_handler *h, const void *buf, size_t len)
{
	ssize_t n = write(h->fd, buf, len);

	return n < 0 ? -errno : n;
}

int hark_accept(struct hark_handler *h, struct sockaddr *addr, socklen_t *len)
{
	int fd;

	if (!(h->hark_flags & HARK__PREPARED)) {
		int flags = fcntl(h->fd, F_GETFL);

		if (flags < 0 || fcntl(h->fd, F_SETFL, flags | O_NONBLOCK) < 0)
			return -errno;
		h->hark_flags |= HARK__PREPARED;
	}
	fd = hark__accept(h->fd, addr, len);
	errno = fd < 0 ? -fd : 0;
	return (int)received(h, fd < 0 ? -1 : fd, 0, 0);
}
