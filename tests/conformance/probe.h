/* probe.h - a handler for tests: wants what its members say, counts its callbacks, checks that
 * none came that it did not want, and does what the test put into on_recv and so on. */
#ifndef PROBE_H
#define PROBE_H

#include <hark/hark.h>
#include <netinet/in.h>

struct probe {
	struct hark_handler h; /* the first member */

	/* What it wants; the test refreshes it, but inside its own callbacks. */
	bool recv, send, urgent;

	/* What its callbacks do; NULL: nothing. */
	void (*on_recv)(struct probe *p);
	void (*on_send)(struct probe *p);
	void (*on_urgent)(struct probe *p);
	void (*on_ready)(struct probe *p); /* of probe_init_ready */
	void *ctx;                         /* the test's own */

	/* Callbacks had so far. */
	unsigned recvs, sends, urgents, readies, errors;
	unsigned ready; /* what the last handle_ready was told */
	int error;      /* what the last handle_error was told */

	/* Times that wants_recv was asked; the question gets a const handler, hence the pointer. */
	unsigned *asked;
	unsigned asked_count;

	/* What the ready-made callbacks below have received; the last of them stays in last. */
	size_t received;
	char last;
	ssize_t result; /* the last verb's */
};

/* A probe of fd that wants nothing and is not added; it has handle_recv, handle_send and
 * handle_urgent. The other kind has handle_ready instead. */
void probe_init(struct probe *p, int fd);
void probe_init_ready(struct probe *p, int fd);

/* Adds it, and fails the test if that fails. */
void probe_add(struct hark_reactor *r, struct probe *p);

/* Changes what it wants, from outside its callbacks: sets the members and refreshes. */
void probe_want(struct probe *p, bool recv, bool send);

/* For on_recv: receive one byte, or all there is up to -EAGAIN or the end, with the verb or with
 * recv(2). */
void verb_one(struct probe *p);
void verb_all(struct probe *p);
void plain_one(struct probe *p);
void plain_all(struct probe *p);

/* For on_send: send one byte and want no more of it. */
void verb_send_one(struct probe *p);

/* Changes the interest of a probe that is added, wants to receive and is drained, with all its
 * callbacks using the verbs, until a backend that has edges uses them for it; peer is the other
 * end. Returns true if at last a change of interest costs no change at the backend: the
 * descriptor is on edges. What the probe wanted and did before is put back. */
bool to_edges(struct hark_reactor *r, struct probe *p, int peer);

/* Runs turns, each waiting for some seconds at most, until *count is at least n; fails the test
 * if the reactor falls asleep before. */
void turns_until(struct hark_reactor *r, const unsigned *count, unsigned n);

/* Waits ms milliseconds in one turn in which nothing must happen: no callback, no early return,
 * and no spinning inside. */
void quiet(struct hark_reactor *r, int ms);

/* Writes all of len bytes to a descriptor that has room for them. */
void put(int fd, const void *data, size_t len);

/* Receives all there is at fd, with plain calls; returns how much. */
size_t drain(int fd);

/* Sends at fd, with plain calls, until it is full; returns how much. */
size_t fill(int fd);

/* A connected pair as socket_pair makes it, with small buffers. */
void small_pair(const char *transport, int fds[2]);

/* A listening TCP socket on the loopback interface; its address goes to *address. */
int tcp_listener(struct sockaddr_in *address);

/* What the backend under test can: HARK_CAN_x. */
unsigned backend_can(void);

/* True if the backend under test wakes a handler for an error of its socket, but has already taken
 * the error itself, so that the verb cannot say which it was; prints that as an exception. */
bool error_is_taken(const char *test);

/* Prints that the backend under test is excepted from a test, and why. */
void except(const char *test, const char *reason);

#endif
