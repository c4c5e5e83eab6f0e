/* planted.c - a test with a bug in it that only some seeds find: it takes a read that comes short
 * for a whole one; as `planted call`, a call for a message. As `planted crash`, `planted exit` and
 * `planted late` it ends in another way with the second seed. testing.py runs it. */
#include <errno.h>
#include <hark/hark.h>
#include <hark/test.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct hark_handler handler;
static int got;
static int peer;

static void handle_recv(struct hark_handler *h)
{
	char bytes[8];
	ssize_t n = hark_recv(h, bytes, sizeof bytes);

	if (n > 0)
		got = (int)n;
	if (n > 0)
		hark_handler_remove(h);
}

static int message_is_whole(struct hark_reactor *r)
{
	static const struct hark_handler_ops ops = {.wants_recv = hark_always,
	                                            .handle_recv = handle_recv};
	int fds[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 || write(fds[1], "12345678", 8) != 8)
		return -errno;
	hark_handler_init(&handler, &ops, fds[0]);
	rc = hark_handler_add(r, &handler);
	if (rc == 0)
		rc = hark_reactor_run(r);
	close(fds[0]);
	close(fds[1]);
	return rc < 0 ? rc : got - 8;
}

static void handle_call(struct hark_handler *h)
{
	int there = 0;

	if (ioctl(h->fd, FIONREAD, &there) == 0 && there == 0)
		got = -EPROTO;
	hark_handler_remove(h);
}

static void send_it(struct hark_timer *t, uint64_t missed)
{
	(void)t;
	(void)missed;
	if (write(peer, "1", 1) != 1)
		got = -errno;
}

static int call_is_a_message(struct hark_reactor *r)
{
	static const struct hark_handler_ops ops = {.wants_recv = hark_always,
	                                            .handle_recv = handle_call};
	static const struct hark_timer_ops timer_ops = {.handle_timer = send_it};
	static struct hark_timer t; /* the reactor is freed later */
	int fds[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		return -errno;
	peer = fds[1];
	hark_timer_init(&t, &timer_ops);
	hark_timer_start(r, &t, HARK_MS(1));
	hark_handler_init(&handler, &ops, fds[0]);
	rc = hark_handler_add(r, &handler);
	if (rc == 0)
		rc = hark_reactor_run(r);
	close(fds[0]);
	close(fds[1]);
	return rc < 0 ? rc : got;
}

static void exit_late(void)
{
	_exit(23);
}

static const char *end = "";

static int ends_otherwise(struct hark_reactor *r)
{
	if (!strstr(hark_reactor_backend(r), "seed=2:"))
		return 0;
	if (strcmp(end, "crash") == 0)
		raise(SIGKILL);
	if (strcmp(end, "exit") == 0)
		exit(0);
	return atexit(exit_late);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		end = argv[1];
		if (strcmp(end, "call") == 0)
			return hark_test_seeds("planted", NULL, 100, call_is_a_message);
		return hark_test_seeds("planted", NULL, 100, ends_otherwise);
	}
	return hark_test_seeds("planted", NULL, 100, message_is_whole);
}
