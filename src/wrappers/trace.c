/* trace.c - "trace:epoll" tells, a line each, what passes between a reactor and its backend:
 * changes of interest, waits, readiness, refusals, and the verbs with their results.
 *
 * The lines go to the file that the chain names (trace=FILE), else to the one that HARK_TRACE
 * names, else to standard error; HARK_TRACE_FORMAT=json makes objects of them. Reactors, threads
 * and processes may share a file; each line says whose it is. Of data, only lengths are told.
 *
 * Whatever becomes of a line, the program goes on as if nobody traced it: lines that cannot be
 * written are counted, and told of when one can. */
#include "sys/sys.h"
#include "wrappers/trace_file.h"
#include "wrappers/trace_line.h"
#include "wrappers/wrappers.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct trace {
	struct hark_port *up;
	struct hark__file file;
	bool json;
	unsigned reactor; /* its number in this process */
	int ready;        /* reports in the present wait */
	uint64_t lost;    /* lines that were not written and not yet told of */
};

static void start(struct trace *t, struct hark__line *l, const char *what)
{
	hark__line_start(l, t->json, hark_next_now(t->up), t->reactor, what);
}

static bool write_line(struct trace *t, struct hark__line *l)
{
	hark__line_end(l);
	return hark__file_append(&t->file, l->bytes, l->length);
}

static void tell_of_lost(struct trace *t)
{
	struct hark__line l;

	start(t, &l, "lost");
	hark__line_number(&l, "lines", " ", true, (int64_t)t->lost);
	if (write_line(t, &l))
		t->lost = 0;
}

static void tell(struct trace *t, struct hark__line *l)
{
	int saved = errno;

	if (t->lost > 0)
		tell_of_lost(t);
	if (t->lost > 0 || !write_line(t, l))
		t->lost++;
	errno = saved;
}

/* ---- From open to close ---- */

/* An empty variable is none. */
static const char *variable(const char *name)
{
	const char *value = hark__getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

static int set_format(struct trace *t)
{
	const char *format = variable("HARK_TRACE_FORMAT");
	char why[128];

	t->json = format != NULL && strcmp(format, "json") == 0;
	if (format == NULL || t->json || strcmp(format, "text") == 0)
		return 0;
	snprintf(why, sizeof why, "HARK_TRACE_FORMAT is neither text nor json, but '%s'", format);
	hark_port_why(t->up, why);
	return -EINVAL;
}

/* The first line has the date; the others have the time of the reactor's clock. */
static bool write_date(struct trace *t)
{
	struct hark__line l;
	struct timespec wall;
	struct tm date;
	char day[64], text[80];

	clock_gettime(CLOCK_REALTIME, &wall);
	gmtime_r(&wall.tv_sec, &date);
	strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &date);
	snprintf(text, sizeof text, "%s.%06dZ", day, (int)(wall.tv_nsec / 1000));
	start(t, &l, "begin");
	hark__line_string(&l, "date", " ", text);
	return write_line(t, &l);
}

/* Opens the file and writes the first line. A disk that is full and a reader that is gone may be so
 * for today; what is not open for writing, or is no file at all, never takes a line. (Where
 * standard error is closed, its number may be that of the kernel object behind.) */
static int open_file(struct trace *t, const char *path)
{
	int error = hark__file_open(&t->file, path);

	if (error < 0 || write_date(t))
		return error;
	error = -errno;
	if (error != -EBADF && error != -EINVAL) {
		t->lost++;
		return 0;
	}
	hark__file_close(&t->file);
	return error;
}

static int trace_open(void *state, struct hark_port *up)
{
	static unsigned reactors; /* atomic */
	struct trace *t = state;
	const char *settings = hark_port_settings(up);
	const char *path = settings != NULL ? settings : variable("HARK_TRACE");
	char why[128];
	int error;

	t->up = up;
	t->reactor = __atomic_add_fetch(&reactors, 1, __ATOMIC_RELAXED);
	error = set_format(t);
	if (error < 0)
		return error;
	error = open_file(t, path);
	if (error == 0)
		return 0;
	if (path != NULL)
		snprintf(why, sizeof why, "cannot append to '%.64s': %s", path, strerror(-error));
	else
		snprintf(why, sizeof why, "cannot write to standard error: %s", strerror(-error));
	hark_port_why(up, why);
	return error;
}

/* A child's lines are its own, and the file is open to both. */
static void trace_close(void *state, bool forked)
{
	struct trace *t = state;
	struct hark__line l;

	(void)forked;
	start(t, &l, "end");
	tell(t, &l);
	hark__file_close(&t->file);
}

/* ---- Between them ---- */

/* Of the errors that refuse a descriptor, one has a meaning of its own. */
static void put_refusal(struct hark__line *l, int error)
{
	hark__line_error(l, error, error == EPERM ? "always ready" : NULL);
}

static int trace_modify(void *state, int fd, struct hark_slot *slot, unsigned want)
{
	struct trace *t = state;
	unsigned armed = slot->armed;
	struct hark__line l;
	int error = hark_next_modify(t->up, fd, slot, want);

	start(t, &l, "change");
	hark__line_fd(&l, fd, hark_port_name(t->up, fd));
	hark__line_set(&l, "from", ": ", armed);
	hark__line_set(&l, "to", " -> ", want);
	put_refusal(&l, -error);
	tell(t, &l);
	return error;
}

static void tell_wait(struct trace *t, const struct timespec *timeout)
{
	struct hark__line l;

	start(t, &l, "wait");
	hark__line_seconds(&l, "seconds", " ",
	                   timeout != NULL ? HARK_S(timeout->tv_sec) + timeout->tv_nsec
	                                   : HARK_NEVER);
	tell(t, &l);
}

/* Two lines, because of what comes between, which may be a very long time. */
static int trace_wait(void *state, const struct timespec *timeout)
{
	struct trace *t = state;
	struct hark__line l;
	int64_t began;
	int rc;

	tell_wait(t, timeout);
	t->ready = 0;
	began = hark_next_now(t->up);
	rc = hark_next_wait(t->up, timeout);

	start(t, &l, "woke");
	hark__line_number(&l, "ready", " ", true, t->ready);
	hark__line_seconds(&l, "seconds", " ready after ", hark_next_now(t->up) - began);
	hark__line_flag(&l, "full", rc > 0 && (rc & HARK_FULL));
	hark__line_flag(&l, "dead", rc > 0 && (rc & HARK_DEAD));
	hark__line_error(&l, rc < 0 ? -rc : 0, NULL);
	tell(t, &l);
	return rc;
}

/* What is not taken is not about the handler that the descriptor has now. */
static bool trace_ready(void *state, int fd, uint32_t generation, unsigned events)
{
	struct trace *t = state;
	struct hark__line l;
	bool taken = hark_ready(t->up, fd, generation, events);

	t->ready++;
	start(t, &l, "ready");
	hark__line_fd(&l, fd, taken ? hark_port_name(t->up, fd) : NULL);
	hark__line_set(&l, "events", ": ", events);
	hark__line_flag(&l, "stale", !taken);
	tell(t, &l);
	return taken;
}

static void trace_refuse(void *state, int fd, uint32_t generation, int error)
{
	struct trace *t = state;
	struct hark_slot *slot = hark_slot(t->up, fd);
	bool stale = slot == NULL || slot->generation != generation || slot->armed == 0;
	struct hark__line l;

	start(t, &l, "refuse");
	hark__line_fd(&l, fd, stale ? NULL : hark_port_name(t->up, fd));
	hark__line_flag(&l, "stale", stale);
	put_refusal(&l, error);
	tell(t, &l);
	hark_refuse(t->up, fd, generation, error);
}

/* ---- Verbs ---- */

static const char *const verbs[] = {
	[HARK_VERB_RECV] = "recv",         [HARK_VERB_SEND] = "send",
	[HARK_VERB_RECVFROM] = "recvfrom", [HARK_VERB_SENDTO] = "sendto",
	[HARK_VERB_RECVMSG] = "recvmsg",   [HARK_VERB_SENDMSG] = "sendmsg",
	[HARK_VERB_READ] = "read",         [HARK_VERB_WRITE] = "write",
	[HARK_VERB_ACCEPT] = "accept",
};

/* What a verb is told of the other end, or room for what it tells. */
struct peer {
	struct sockaddr *addr; /* NULL: none */
	socklen_t room;
};

static struct peer peer_of(const struct hark_io *io)
{
	if (io->msg != NULL)
		return (struct peer){io->msg->msg_name, io->msg->msg_namelen};
	return (struct peer){io->addr, io->addrlen != NULL ? *io->addrlen : 0};
}

static size_t length_of(const struct hark_io *io)
{
	size_t length = io->len;

	if (io->msg != NULL)
		for (size_t i = 0; i < (size_t)io->msg->msg_iovlen; i++)
			length += io->msg->msg_iov[i].iov_len;
	return length;
}

static bool sends(enum hark_verb verb)
{
	return verb == HARK_VERB_SENDTO || verb == HARK_VERB_SENDMSG;
}

/* One that accepts without asking who it was is asked for: the kernel knows. */
static ssize_t accept_from_anybody(struct trace *t, struct hark_io *io, struct sockaddr *addr,
                                   socklen_t *len)
{
	struct hark_io own = *io;

	own.addr = addr;
	own.addrlen = len;
	return hark_next_io(t->up, &own);
}

static ssize_t trace_io(void *state, struct hark_io *io)
{
	struct trace *t = state;
	size_t length = length_of(io);
	struct peer asked = peer_of(io), got;
	struct sockaddr_storage anybody;
	socklen_t room = sizeof anybody;
	struct hark__line l;
	ssize_t n;

	if (io->verb == HARK_VERB_ACCEPT && io->addr == NULL) {
		n = accept_from_anybody(t, io, (struct sockaddr *)&anybody, &room);
		asked = (struct peer){(struct sockaddr *)&anybody, sizeof anybody};
		got = (struct peer){asked.addr, room};
	} else {
		n = hark_next_io(t->up, io);
		got = peer_of(io);
	}

	start(t, &l, verbs[io->verb]);
	hark__line_fd(&l, io->fd, hark_port_name(t->up, io->fd));
	hark__line_number(&l, "length", ": ", io->verb != HARK_VERB_ACCEPT, (int64_t)length);
	hark__line_flags(&l, io->flags);
	if (sends(io->verb))
		hark__line_address(&l, " to ", asked.addr, asked.room);
	hark__line_number(&l, "result", " = ", n >= 0, n);
	hark__line_error(&l, n < 0 ? (int)-n : 0, NULL);
	if (!sends(io->verb)) /* only if it is there and all of it is */
		hark__line_address(&l, " from ", n >= 0 && got.room <= asked.room ? got.addr : NULL,
		                   got.room);
	tell(t, &l);
	return n;
}

const struct hark_backend hark__trace = {
	.name = "trace",
	.state_size = sizeof(struct trace),
	.can = HARK_CAN_WRAP,
	.open = trace_open,
	.close = trace_close,
	.modify = trace_modify,
	.wait = trace_wait,
	.ready = trace_ready,
	.refuse = trace_refuse,
	.io = trace_io,
};
