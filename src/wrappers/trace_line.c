/* trace_line.c - trace_line.h. */
#include "wrappers/trace_line.h"
#include <arpa/inet.h>
#include <errno.h>
#include <hark/backend.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* Bytes of a name or an address that are shown. */
#define STRING_MAX 100

static void put(struct hark__line *l, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void put(struct hark__line *l, const char *format, ...)
{
	size_t room = sizeof l->bytes - l->length;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(l->bytes + l->length, room, format, args);
	va_end(args);
	if (n > 0)
		l->length += (size_t)n < room ? (size_t)n : room - 1;
}

static void put_bytes(struct hark__line *l, const void *bytes, size_t count)
{
	size_t room = sizeof l->bytes - l->length;

	if (count > room)
		count = room;
	memcpy(l->bytes + l->length, bytes, count);
	l->length += count;
}

static void put_seconds(struct hark__line *l, int64_t ns)
{
	int64_t whole = ns / HARK_S(1);
	int64_t rest = ns % HARK_S(1);

	put(l, "%s%lld.%0*lld", ns < 0 ? "-" : "", (long long)(whole < 0 ? -whole : whole),
	    l->json ? 9 : 6, (long long)(rest < 0 ? -rest : rest) / (l->json ? 1 : 1000));
}

static void key_of(struct hark__line *l, const char *key)
{
	put(l, ",\"%s\":", key);
}

/* The length of the UTF-8 sequence at s, or 0 if there is none, or only a part of one: in
 * particular, no overlong forms, surrogates, or what Unicode has no place for. */
static size_t sequence(const unsigned char *s)
{
	static const struct {
		unsigned char first, last, least, most; /* of the first byte, of the second */
		unsigned char length;
	} forms[] = {
		{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if (s[0] < forms[i].first || s[0] > forms[i].last)
			continue;
		if (forms[i].length > 1 && (s[1] < forms[i].least || s[1] > forms[i].most))
			return 0;
		for (size_t k = 2; k < forms[i].length; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

/* What may not stand in a line as it is, control characters and what is no UTF-8, is escaped. */
static void put_string(struct hark__line *l, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	const unsigned char *start = s;

	while (*s != '\0') {
		size_t length = sequence(s);

		if (s - start >= STRING_MAX) {
			put(l, "...");
			return;
		}
		if (length == 0 || *s < 0x20 || *s == 0x7f) {
			put(l, l->json ? "\\u%04x" : "\\x%02x", *s);
			s++;
		} else {
			if (*s == '\\' || (l->json && *s == '"'))
				put_bytes(l, "\\", 1);
			put_bytes(l, s, length);
			s += length;
		}
	}
}

void hark__line_start(struct hark__line *l, bool json, int64_t time, unsigned reactor,
                      const char *what)
{
	l->json = json;
	l->length = 0;
	put(l, "%s", json ? "{\"time\":" : "");
	put_seconds(l, time);
	put(l, json ? ",\"pid\":%ld,\"reactor\":%u,\"what\":\"%s\"" : " %ld.%u %-8s",
	    (long)getpid(), reactor, what);
}

void hark__line_fd(struct hark__line *l, int fd, const char *name)
{
	hark__line_number(l, "fd", " fd ", true, fd);
	hark__line_string(l, "name", " ", name);
}

void hark__line_number(struct hark__line *l, const char *key, const char *before, bool there,
                       int64_t value)
{
	if (l->json)
		key_of(l, key);
	if (there)
		put(l, "%s%lld", l->json ? "" : before, (long long)value);
	else if (l->json)
		put(l, "null");
}

void hark__line_seconds(struct hark__line *l, const char *key, const char *before, int64_t ns)
{
	if (l->json)
		key_of(l, key);
	else
		put(l, "%s", before);
	if (ns == HARK_NEVER)
		put(l, l->json ? "null" : "for ever");
	else
		put_seconds(l, ns);
	if (ns != HARK_NEVER && !l->json)
		put(l, " s");
}

void hark__line_string(struct hark__line *l, const char *key, const char *before, const char *value)
{
	if (l->json) {
		key_of(l, key);
		put(l, value != NULL ? "\"" : "null");
	} else if (value != NULL) {
		put(l, "%s", before);
	}
	if (value != NULL)
		put_string(l, value);
	if (l->json && value != NULL)
		put(l, "\"");
}

struct member {
	unsigned bit;
	char letter; /* of those that have a place in text, whether or not they are in the set */
	const char *word;
};

static const struct member readiness[] = {
	{HARK_RECV, 'r', "recv"},     {HARK_SEND, 's', "send"},
	{HARK_URGENT, 'u', "urgent"}, {HARK_EDGE, 0, "edge"},
	{HARK_RDHUP, 0, "rdhup"},     {HARK_BROKEN, 0, "broken"},
	{HARK_SPENT, 0, "spent"},     {0, 0, NULL},
};

/* Those that matter to the reactor. */
static const struct member message_flags[] = {
	{MSG_PEEK, 0, "peek"},
	{MSG_OOB, 0, "oob"},
#ifdef MSG_ERRQUEUE
	{MSG_ERRQUEUE, 0, "errqueue"},
#endif
	{0, 0, NULL},
};

static void put_set(struct hark__line *l, unsigned set, const struct member *m)
{
	const char *comma = "";

	put(l, l->json ? "[" : "");
	for (; m->word != NULL; m++) {
		bool in = set & m->bit;

		if (l->json && in) {
			put(l, "%s\"%s\"", comma, m->word);
			comma = ",";
		} else if (!l->json && m->letter != 0) {
			put(l, "%c", in ? m->letter : '-');
		} else if (!l->json && in) {
			put(l, " %s", m->word);
		}
	}
	put(l, l->json ? "]" : "");
}

void hark__line_set(struct hark__line *l, const char *key, const char *before, unsigned set)
{
	if (l->json)
		key_of(l, key);
	else
		put(l, "%s", before);
	put_set(l, set, readiness);
}

void hark__line_flags(struct hark__line *l, int flags)
{
	if (l->json)
		key_of(l, "flags");
	put_set(l, (unsigned)flags, message_flags);
}

void hark__line_flag(struct hark__line *l, const char *key, bool value)
{
	if (l->json) {
		key_of(l, key);
		put(l, value ? "true" : "false");
	} else if (value) {
		put(l, " %s", key);
	}
}

/* Room for any: the longest is the path of a Unix socket. */
#define ADDRESS_MAX 128

static bool internet_text(const struct sockaddr *addr, socklen_t len, char text[ADDRESS_MAX])
{
	char host[INET6_ADDRSTRLEN];
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (addr->sa_family == AF_INET && len >= sizeof in) {
		memcpy(&in, addr, sizeof in);
		inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
		snprintf(text, ADDRESS_MAX, "%s:%u", host, ntohs(in.sin_port));
		return true;
	}
	if (addr->sa_family == AF_INET6 && len >= sizeof in6) {
		memcpy(&in6, addr, sizeof in6);
		inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
		snprintf(text, ADDRESS_MAX, "[%s]:%u", host, ntohs(in6.sin6_port));
		return true;
	}
	return false;
}

/* Linux has names that begin with a NUL, and show it as '@'. Most peers have none at all. */
static bool unix_text(const struct sockaddr *addr, socklen_t len, char text[ADDRESS_MAX])
{
	const size_t start = offsetof(struct sockaddr_un, sun_path);
	size_t length;

	if (addr->sa_family != AF_UNIX || len <= start)
		return false;
	length = len - start < ADDRESS_MAX ? len - start : ADDRESS_MAX - 1;
	memcpy(text, (const char *)addr + start, length);
	text[length] = '\0';
	if (text[0] == '\0')
		text[0] = '@';
	return true;
}

void hark__line_address(struct hark__line *l, const char *before, const struct sockaddr *addr,
                        socklen_t len)
{
	char text[ADDRESS_MAX];
	bool there = addr != NULL && len > offsetof(struct sockaddr, sa_data) &&
	             (internet_text(addr, len, text) || unix_text(addr, len, text));

	hark__line_string(l, "peer", before, there ? text : NULL);
}

/* Those that descriptors and sockets have. */
#define NAMED(error)          \
	{                     \
		error, #error \
	}
static const struct {
	int error;
	const char *name;
} errors[] = {
	NAMED(EPERM),       NAMED(ENOENT),       NAMED(EINTR),        NAMED(EIO),
	NAMED(ENXIO),       NAMED(EBADF),        NAMED(ECHILD),       NAMED(EAGAIN),
	NAMED(ENOMEM),      NAMED(EACCES),       NAMED(EFAULT),       NAMED(EBUSY),
	NAMED(EEXIST),      NAMED(ENODEV),       NAMED(EINVAL),       NAMED(ENFILE),
	NAMED(EMFILE),      NAMED(EFBIG),        NAMED(ENOSPC),       NAMED(ESPIPE),
	NAMED(EROFS),       NAMED(EPIPE),        NAMED(ENOSYS),       NAMED(ELOOP),
	NAMED(EPROTO),      NAMED(EOVERFLOW),    NAMED(ENOTSOCK),     NAMED(EDESTADDRREQ),
	NAMED(EMSGSIZE),    NAMED(EPROTOTYPE),   NAMED(ENOPROTOOPT),  NAMED(EPROTONOSUPPORT),
	NAMED(ENOTSUP),     NAMED(EAFNOSUPPORT), NAMED(EADDRINUSE),   NAMED(EADDRNOTAVAIL),
	NAMED(ENETDOWN),    NAMED(ENETUNREACH),  NAMED(ENETRESET),    NAMED(ECONNABORTED),
	NAMED(ECONNRESET),  NAMED(ENOBUFS),      NAMED(EISCONN),      NAMED(ENOTCONN),
	NAMED(ETIMEDOUT),   NAMED(ECONNREFUSED), NAMED(EHOSTUNREACH), NAMED(EALREADY),
	NAMED(EINPROGRESS), NAMED(ECANCELED),
};

void hark__line_error(struct hark__line *l, int error, const char *words)
{
	char number[16];
	const char *name = number;

	snprintf(number, sizeof number, "%d", error);
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
		if (errors[i].error == error)
			name = errors[i].name;
	if (l->json)
		hark__line_string(l, "error", "", error != 0 ? name : NULL);
	else if (error != 0)
		put(l, " = %s (%s)", name, words != NULL ? words : strerror(error));
}

void hark__line_end(struct hark__line *l)
{
	while (!l->json && l->length > 0 && l->bytes[l->length - 1] == ' ')
		l->length--; /* of a word that nothing follows */
	/* What was cut, if ever anything is, is the end. */
	if (l->length > sizeof l->bytes - 3)
		l->length = sizeof l->bytes - 3;
	if (l->json)
		l->bytes[l->length++] = '}';
	l->bytes[l->length++] = '\n';
}
