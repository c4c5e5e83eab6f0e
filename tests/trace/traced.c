/* traced.c - `traced CHAIN DIRECTORY`: does each thing that a trace tells of, and prints what a
 * trace has to say about it.
 *
 * One line each: `name FD HEX`, a handler's name, before its interest changes; `refuse FD`, whose
 * registration is refused; and `verb NAME FD LENGTH RESULT PEER`, where LENGTH or PEER is '-' if
 * there is none. trace.py compares. Sockets are made in DIRECTORY. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <hark/hark.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct hark_reactor *reactor;

static void need(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "traced: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void nothing(struct hark_handler *h)
{
	(void)h;
}

/* ---- Names ---- */

static const char *const names[] = {
	"plain",
	"",
	"two words",
	"\"quoted\" and back\\slashed",
	"a\nline\r\nmore\tand\a\x1b[31mred\x7f",
	"gr\xc3\xbc\xc3\x9f dich, \xe2\x82\xac, \xf0\x9f\x90\x9f",
	"cut \xc3",
	"cut \xe2\x82",
	"cut \xf0\x9f\x90",
	"stray \x80\xbf\xff\xfe",
	"overlong \xc0\xaf \xe0\x80\xaf \xf0\x80\x80\xaf",
	"surrogate \xed\xa0\x80",
	"beyond \xf4\x90\x80\x80 \xf8\x88\x80\x80\x80",
	"{\"time\":1}",
	"%s%n%d",
	("long 6789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789"
         " 12345678\xc3\xbc and more"),
};

static void tell_names(void)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct hark_handler_ops ops = {
			.wants_recv = hark_always, .handle_recv = nothing, .name = names[i]};
		struct hark_handler h;
		int fds[2];

		need(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "socketpair");
		hark_handler_init(&h, &ops, fds[0]);
		need(hark_handler_add(reactor, &h) == 0, "add");
		need(hark_reactor_turn(reactor, 0) == 0, "turn");
		printf("name %d ", fds[0]);
		for (const char *c = names[i]; *c; c++)
			printf("%02x", (unsigned char)*c);
		printf("\n");
		hark_handler_remove(&h);
		close(fds[0]);
		close(fds[1]);
	}
}

/* ---- Refusals ---- */

/* select and poll watch a file like anything else; the others refuse it as always ready. */
static void tell_refusal(const char *directory)
{
	const struct hark_handler_ops ops = {
		.wants_recv = hark_always, .handle_recv = nothing, .name = "file"};
	struct hark_handler h;
	int fd = open(directory, O_RDONLY);

	need(fd >= 0, directory);
	hark_handler_init(&h, &ops, fd);
	need(hark_handler_add(reactor, &h) == 0, "add");
	need(hark_reactor_turn(reactor, 0) >= 0, "turn");
	printf("refuse %d\n", fd);
	hark_handler_remove(&h);
	close(fd);
}

/* ---- Verbs ---- */

static const struct hark_handler_ops verb_ops = {.name = "verbs"};

static void add(struct hark_handler *h, int fd)
{
	need(fd >= 0, "a descriptor");
	hark_handler_init(h, &verb_ops, fd);
	need(hark_handler_add(reactor, h) == 0, "add");
}

static void remove_and_close(struct hark_handler *h)
{
	hark_handler_remove(h);
	close(h->fd);
}

static void told(const char *verb, const struct hark_handler *h, long length, ssize_t result,
                 const char *peer)
{
	printf("verb %s %d ", verb, h->fd);
	if (length >= 0)
		printf("%ld ", length);
	else
		printf("- ");
	printf("%ld %s\n", (long)result, peer);
}

static void address_of(int fd, char text[80])
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof addr;
	char host[INET6_ADDRSTRLEN] = "";

	memset(&addr, 0, sizeof addr);
	need(getsockname(fd, (struct sockaddr *)&addr, &len) == 0, "getsockname");
	if (addr.ss_family == AF_INET) {
		const struct sockaddr_in *in = (struct sockaddr_in *)&addr;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		snprintf(text, 80, "%s:%d", host, ntohs(in->sin_port));
	} else {
		const struct sockaddr_in6 *in = (struct sockaddr_in6 *)&addr;

		inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
		snprintf(text, 80, "[%s]:%d", host, ntohs(in->sin6_port));
	}
}

/* Bound to the loopback interface, or -1 where there is none of that family. */
static int bound(int family, int type)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(family, type, 0);
	bool six = family == AF_INET6;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in,
	                   six ? sizeof in6 : sizeof in) != 0)
		return -1;
	return fd;
}

static int connected_to(int listener)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof addr;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	need(getsockname(listener, (struct sockaddr *)&addr, &len) == 0, "getsockname");
	need(connect(fd, (struct sockaddr *)&addr, len) == 0, "connect");
	return fd;
}

/* With and without an address, and with too little room for one. */
static void tell_accepts(void)
{
	struct sockaddr_storage addr;
	struct hark_handler h;
	char peer[80];
	int fd;

	add(&h, bound(AF_INET, SOCK_STREAM));
	need(listen(h.fd, 5) == 0, "listen");
	for (int i = 0; i < 3; i++) {
		int client = connected_to(h.fd);
		socklen_t len = i == 2 ? 4 : sizeof addr;

		address_of(client, peer);
		do
			fd = hark_accept(&h, i == 0 ? NULL : (struct sockaddr *)&addr,
			                 i == 0 ? NULL : &len);
		while (fd == -EAGAIN && printf("again\n") > 0);
		need(fd >= 0, "accept");
		told("accept", &h, -1, fd, i == 2 ? "-" : peer);
		need(i == 0 || len == sizeof(struct sockaddr_in), "accept's length");
		close(fd);
		close(client);
	}
	fd = hark_accept(&h, NULL, NULL);
	need(fd == -EAGAIN, "an empty queue");
	told("accept", &h, -1, fd, "-");
	remove_and_close(&h);
}

static void tell_streams(void)
{
	struct hark_handler h;
	char bytes[100] = "";
	int fds[2];

	need(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "socketpair");
	add(&h, fds[0]);
	told("recv", &h, 100, hark_recv(&h, bytes, 100), "-"); /* EAGAIN */
	need(write(fds[1], "secret", 6) == 6, "write");
	told("recvfrom", &h, 50, hark_recvfrom(&h, bytes, 50, MSG_PEEK, NULL, NULL), "-");
	told("recv", &h, 4, hark_recv(&h, bytes, 4), "-");
	told("recv", &h, 100, hark_recv(&h, bytes, 100), "-");
	told("send", &h, 7, hark_send(&h, "private", 7), "-");
	shutdown(fds[1], SHUT_RDWR);
	told("send", &h, 3, hark_send(&h, "end", 3), "-"); /* EPIPE */
	told("recv", &h, 100, hark_recv(&h, bytes, 100), "-");
	remove_and_close(&h);
	close(fds[1]);
}

static void tell_files(void)
{
	struct hark_handler in, out;
	char bytes[10];
	int fds[2];

	need(pipe(fds) == 0, "pipe");
	add(&in, fds[0]);
	add(&out, fds[1]);
	told("write", &out, 5, hark_write(&out, "abcde", 5), "-");
	told("read", &in, 10, hark_read(&in, bytes, 10), "-");
	told("recv", &in, 10, hark_recv(&in, bytes, 10), "-"); /* ENOTSOCK */
	remove_and_close(&in);
	remove_and_close(&out);
}

static void tell_datagrams(int family)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof addr;
	char bytes[30] = "", here[80], there[80];
	struct iovec parts[2] = {{bytes, 10}, {bytes + 10, 20}};
	struct msghdr msg = {
		.msg_name = &addr, .msg_namelen = sizeof addr, .msg_iov = parts, .msg_iovlen = 2};
	struct hark_handler a, b;
	int fd = bound(family, SOCK_DGRAM);

	if (fd < 0)
		return; /* no IPv6 here */
	add(&a, fd);
	add(&b, bound(family, SOCK_DGRAM));
	address_of(a.fd, here);
	address_of(b.fd, there);
	need(getsockname(b.fd, (struct sockaddr *)&addr, &len) == 0, "getsockname");
	told("sendto", &a, 12, hark_sendto(&a, bytes, 12, 0, (struct sockaddr *)&addr, len), there);
	msg.msg_namelen = len;
	told("sendmsg", &a, 30, hark_sendmsg(&a, &msg, 0), there);
	len = sizeof addr;
	told("recvfrom", &b, 30, hark_recvfrom(&b, bytes, 30, 0, (struct sockaddr *)&addr, &len),
	     here);
	msg.msg_namelen = sizeof addr;
	told("recvmsg", &b, 30, hark_recvmsg(&b, &msg, 0), here);
	msg.msg_name = NULL;
	msg.msg_namelen = 0;
	told("recvmsg", &b, 30, hark_recvmsg(&b, &msg, 0), "-"); /* EAGAIN */
	remove_and_close(&a);
	remove_and_close(&b);
}

static int unix_socket(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	need(bind(fd, (struct sockaddr *)&un, sizeof un) == 0, path);
	return fd;
}

static void tell_unix_names(const char *directory)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	socklen_t len = sizeof un;
	struct hark_handler h;
	char bytes[10], path[100];
	int nameless = socket(AF_UNIX, SOCK_DGRAM, 0), named;

	snprintf(path, sizeof path, "%s/named", directory);
	named = unix_socket(path);
	snprintf(un.sun_path, sizeof un.sun_path, "%s/here", directory);
	add(&h, unix_socket(un.sun_path));
	need(sendto(named, "x", 1, 0, (struct sockaddr *)&un, sizeof un) == 1, "sendto");
	need(sendto(nameless, "y", 1, 0, (struct sockaddr *)&un, sizeof un) == 1, "sendto");
	told("recvfrom", &h, 10, hark_recvfrom(&h, bytes, 10, 0, (struct sockaddr *)&un, &len),
	     path);
	len = sizeof un;
	told("recvfrom", &h, 10, hark_recvfrom(&h, bytes, 10, 0, (struct sockaddr *)&un, &len),
	     "-");
	remove_and_close(&h);
	close(named);
	close(nameless);
}

int main(int argc, char **argv)
{
	struct hark_options options = {0};
	char why[256];

	if (argc != 3) {
		fprintf(stderr, "usage: traced CHAIN DIRECTORY\n");
		return 2;
	}
	options = (struct hark_options){.backend = argv[1], .why = why, .why_size = sizeof why};
	if (hark_reactor_new(&reactor, &options)) {
		fprintf(stderr, "traced: %s\n", why);
		return 2;
	}
	tell_names();
	tell_refusal(argv[2]);
	tell_accepts();
	tell_streams();
	tell_files();
	tell_datagrams(AF_INET);
	tell_datagrams(AF_INET6);
	tell_unix_names(argv[2]);
	hark_reactor_free(reactor);
	return 0;
}
