/* bytes.c - what goes through channels, and the check of every byte that arrives.
 *
 * A stream carries noise from a place that depends on its serial number; message k of a channel
 * has a length, a content and a size of the buffer it is received with that depend on both. */
#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOISE 65536u
#define MESSAGE 256u
#define UDP_UNDER_WAY 8u /* fits any receive buffer, so that nothing is lost */

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* main ignores SIGPIPE */
#endif

static unsigned char noise[2 * NOISE];

void bytes_init(void)
{
	for (uint32_t i = 0; i < NOISE; i++)
		noise[i] = noise[i + NOISE] = (unsigned char)chance_mix(i + 1);
}

static unsigned char *stream_at(const struct channel *c, uint64_t position)
{
	return noise + (c->serial * 7919u + position) % NOISE;
}

static unsigned char *message_at(const struct channel *c, uint64_t k)
{
	return noise + chance_mix((uint64_t)c->serial << 32 | k) % NOISE;
}

/* One message in sixteen is empty, but where that would look like the end. */
static size_t message_length(const struct channel *c, uint64_t k)
{
	uint64_t word = chance_mix((uint64_t)c->serial << 32 | k) >> 32;

	if (c->kind != SEQPACKET && word % 16 == 0)
		return 0;
	return 1 + word / 16 % (MESSAGE - 1);
}

/* One in eight is received with a buffer that may be too small for it. */
static size_t message_room(const struct channel *c, uint64_t k)
{
	uint64_t word = chance_mix((uint64_t)c->serial << 32 | k) >> 48;

	return word % 8 == 0 ? 1 + word / 8 % MESSAGE : MESSAGE;
}

/* Which manner a call takes: x decides for those who mix. A descriptor without a handler leaves no
 * choice. */
static bool by_verb(struct end *e, enum manner manner, uint32_t x)
{
	if (!e->actor || manner == PLAIN || (manner == MIXED && x & 1))
		return false;
	e->actor->verbs = true;
	return true;
}

/* Is something owed that may be sent as far as the test is concerned? */
bool bytes_payable(struct world *w, const struct end *e)
{
	const struct channel *c = channel_out(w, e);

	if (c->kind == UDP && end_peer(w, e)->fd >= 0 && c->sent - c->received >= UDP_UNDER_WAY)
		return false;
	return c->owed > 0;
}

/* That has changed: some want to send only then. */
void bytes_changed(struct end *e)
{
	if (!e->actor || e->actor->manner != DEVOTED)
		return;
	e->changed = true;
	hark_handler_refresh(&e->actor->handler);
}

void bytes_owe(struct world *w, struct end *e, uint64_t more)
{
	channel_out(w, e)->owed += more;
	bytes_changed(e);
}

static ssize_t own(ssize_t result)
{
	return result < 0 ? -errno : result;
}

/* Takes the descriptors out of a message. */
static void close_rights(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
		close(fd);
	}
}

static ssize_t receive_msg(struct end *e, void *buffer, size_t size, int flags, bool verb)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = buffer, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	msg.msg_control = control.room;
	msg.msg_controllen = sizeof control.room;
	n = verb ? hark_recvmsg(&e->actor->handler, &msg, flags)
	         : own(recvmsg(e->fd, &msg, flags | MSG_DONTWAIT));
	if (n >= 0)
		close_rights(&msg);
	return n;
}

static ssize_t receive_raw(struct end *e, void *buffer, size_t size, int flags, bool verb,
                           uint32_t form)
{
	struct hark_handler *h = verb ? &e->actor->handler : NULL;

	if (e->kind == PIPE)
		return verb ? hark_read(h, buffer, size) : own(read(e->fd, buffer, size));
	if (form % 4 == 0)
		return receive_msg(e, buffer, size, flags, verb);
	if (!verb)
		return own(recv(e->fd, buffer, size, flags | MSG_DONTWAIT));
	if (flags || form % 4 == 1)
		return hark_recvfrom(h, buffer, size, flags, NULL, NULL);
	return hark_recv(h, buffer, size);
}

/* A connection arrives. */
static ssize_t receive_connection(struct world *w, struct end *e, bool verb)
{
	struct channel *c = channel_in(w, e);
	int fd = verb ? hark_accept(&e->actor->handler, NULL, NULL) : accept(e->fd, NULL, NULL);
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (fd < 0)
		return !verb ? -errno : fd == -EINTR ? -EAGAIN : fd;
	e->useful |= HARK_RECV;
	if (c->received == c->sent)
		fail(w, "accepted a connection that nobody made");
	if (verb && !(fcntl(fd, F_GETFL) & O_NONBLOCK && fcntl(fd, F_GETFD) & FD_CLOEXEC))
		fail(w, "hark_accept gave a descriptor that blocks or survives exec");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(fd);
	close(w->clients[e - w->ends][c->received++ % CLIENTS]);
	return 1;
}

/* Checks what arrived in a buffer of some size, and counts it unless it was only peeked at. */
static void arrived(struct world *w, struct channel *c, const unsigned char *buffer, size_t n,
                    size_t size, bool peeked)
{
	const unsigned char *expected = stream_at(c, c->received);
	uint64_t count = n;

	if (is_message(c->kind)) {
		size_t length = message_length(c, c->received);

		expected = message_at(c, c->received);
		count = 1;
		if (n != (length < size ? length : size))
			fail(w, "channel %u: message %llu has %zu bytes, not %zu", c->serial,
			     (unsigned long long)c->received, n, length);
	}
	if (count > c->sent - c->received)
		fail(w, "channel %u: received %llu after %llu, but only %llu were sent", c->serial,
		     (unsigned long long)count, (unsigned long long)c->received,
		     (unsigned long long)c->sent);
	if (memcmp(buffer, expected, n) != 0)
		fail(w, "channel %u: wrong bytes after %llu", c->serial,
		     (unsigned long long)c->received);
	if (peeked)
		return;
	c->received += count;
	if (c->kind == UDP)
		bytes_changed(&w->ends[c - w->channels]);
}

/* e has met the end of what it reads, or an error. */
static void met_end(struct world *w, struct channel *c, ssize_t result)
{
	if (!c->lossy && (result < 0 || !c->ended || c->received != c->sent))
		fail(w, "channel %u ends with %s after %llu of %llu", c->serial,
		     result < 0 ? strerror((int)-result) : "end of file",
		     (unsigned long long)c->received, (unsigned long long)c->sent);
	c->over = true;
}

/* Receives up to size bytes, or one message, or one connection. x decides the form of the call.
 * Returns more than 0 for something, 0 at the end, or -errno. */
ssize_t bytes_receive(struct world *w, struct end *e, enum manner manner, uint32_t x, size_t size)
{
	static unsigned char buffer[NOISE];
	struct channel *c = channel_in(w, e);
	bool verb = by_verb(e, manner, x);
	bool peek = (x >> 1 & 15) == 0 && e->kind != PIPE;
	ssize_t n;

	e->stirred |= HARK_RECV | HARK_URGENT;
	if (e->kind == LISTENER)
		return receive_connection(w, e, verb);
	if (is_message(e->kind))
		size = message_room(c, c->received);
	if (size > sizeof buffer)
		size = sizeof buffer;

	n = receive_raw(e, buffer, size, peek ? MSG_PEEK : 0, verb, x >> 5);
	trace(w, verb ? "received by verb" : "received", e, (uint64_t)n);
	if (n == -EAGAIN || n == -EWOULDBLOCK || n == -EINTR)
		return -EAGAIN;
	e->useful |= HARK_RECV;
	/* An empty datagram is no end; nor is an error of an unconnected kind. */
	if (n < 0 || (n == 0 && !(is_message(e->kind) && c->received < c->sent &&
	                          message_length(c, c->received) == 0))) {
		met_end(w, c, n);
		return n < 0 ? n : 0;
	}
	arrived(w, c, buffer, (size_t)n, size, peek);
	return n ? n : 1;
}

static ssize_t send_msg(struct end *e, void *data, size_t size, bool rights, bool verb)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec iov = {.iov_base = data, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (rights) {
		const int passed = STDERR_FILENO;
		struct cmsghdr *c;

		msg.msg_control = control.room;
		msg.msg_controllen = sizeof control.room;
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &passed, sizeof passed);
	}
	if (verb)
		return hark_sendmsg(&e->actor->handler, &msg, 0);
	return own(sendmsg(e->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static ssize_t send_raw(struct end *e, void *data, size_t size, bool verb, uint32_t form)
{
	struct hark_handler *h = verb ? &e->actor->handler : NULL;

	if (e->kind == PIPE)
		return verb ? hark_write(h, data, size) : own(write(e->fd, data, size));
	if (form % 4 == 0)
		return send_msg(e, data, size, e->kind == STREAM && form % 8 == 0, verb);
	if (!verb)
		return own(send(e->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL));
	if (form % 4 == 1)
		return hark_sendto(h, data, size, 0, NULL, 0);
	return hark_send(h, data, size);
}

/* Shuts down what e writes if that was asked for and nothing is owed. */
void bytes_finish(struct world *w, struct end *e)
{
	struct channel *c = channel_out(w, e);

	if (c->owed > 0 || !c->finish || c->ended)
		return;
	shutdown(e->fd, SHUT_WR);
	c->ended = true;
}

/* Pays up to size bytes, or one message, of what is owed. Returns more than 0 if something was
 * sent, 0 if nothing is owed or may be sent now, or -errno. */
ssize_t bytes_send(struct world *w, struct end *e, enum manner manner, uint32_t x, size_t size)
{
	struct channel *c = channel_out(w, e);
	unsigned char *data;
	bool verb;
	ssize_t n;

	if (!bytes_payable(w, e))
		return 0;
	verb = by_verb(e, manner, x);
	e->stirred |= HARK_SEND;
	if (is_message(c->kind)) {
		size = message_length(c, c->sent);
		data = message_at(c, c->sent);
	} else {
		if (size > c->owed)
			size = (size_t)c->owed;
		data = stream_at(c, c->sent);
	}

	n = send_raw(e, data, size, verb, x >> 1);
	trace(w, verb ? "sent by verb" : "sent", e, (uint64_t)n);
	if (n == -EAGAIN || n == -EWOULDBLOCK || n == -EINTR || n == -ENOBUFS)
		return -EAGAIN;
	e->useful |= HARK_SEND;
	if (n < 0) {
		/* It takes away what readied every direction. */
		e->stirred = DIRECTIONS;
		if (!c->lossy)
			fail(w, "channel %u cannot send: %s", c->serial, strerror((int)-n));
		c->owed = 0;
		bytes_changed(e);
		return n;
	}
	c->sent += is_message(c->kind) ? 1 : (uint64_t)n;
	c->owed -= is_message(c->kind) ? 1 : (uint64_t)n;
	bytes_changed(e);
	bytes_finish(w, e);
	return 1;
}

/* Sends an out-of-band byte on TCP. In line it is a byte of the stream like any other; out of line
 * it is not counted, and a second one waits until the reader has passed the first one's place,
 * since the kernel would put the first one into the stream. */
void bytes_urgent_send(struct world *w, struct end *e)
{
	struct channel *c = channel_out(w, e);
	bool inlined = end_peer(w, e)->inlined;

	if (c->ended || c->lossy || c->finish || c->owed > (inlined ? 1 : 0))
		return;
	if (!inlined && c->urgent && c->received <= c->urgent_mark)
		return;
	e->stirred |= HARK_SEND;
	if (inlined && c->owed == 0)
		return;
	if (send(e->fd, inlined ? stream_at(c, c->sent) : (const void *)"!", 1,
	         MSG_OOB | MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
		return;
	if (inlined) {
		c->sent++;
		c->owed--;
		bytes_changed(e);
	} else {
		c->urgent = true;
		c->urgent_mark = c->sent;
	}
}

void bytes_urgent_receive(struct world *w, struct end *e, enum manner manner)
{
	struct channel *c = channel_in(w, e);
	bool verb = by_verb(e, manner, (uint32_t)c->received);
	char byte = 0;
	ssize_t n;

	e->stirred |= HARK_URGENT | HARK_RECV;
	if (e->inlined)
		return;
	n = verb ? hark_recvfrom(&e->actor->handler, &byte, 1, MSG_OOB, NULL, NULL)
	         : own(recv(e->fd, &byte, 1, MSG_OOB | MSG_DONTWAIT));
	if (n > 0 && (byte != '!' || !c->urgent))
		fail(w, "channel %u: wrong out-of-band byte %d", c->serial, byte);
}

/* Makes one of the connections owed to the listener e. */
void bytes_connect(struct world *w, struct end *e)
{
	struct channel *c = channel_in(w, e);
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	int fd;

	if (c->owed == 0 || c->sent - c->received == CLIENTS)
		return;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || getsockname(e->fd, (struct sockaddr *)&address, &length) ||
	    connect(fd, (struct sockaddr *)&address, length))
		fail(w, "cannot connect: %s", strerror(errno));
	w->clients[e - w->ends][c->sent++ % CLIENTS] = fd;
	c->owed--;
}
