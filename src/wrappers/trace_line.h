/* trace_line.h - one line of a trace, as text or as a JSON object.
 *
 * A line is started, gets its fields one after another, and is ended. Each field is given once for
 * both forms: with its key for JSON, and for text with what precedes it. A field that is not there
 * is null in JSON and nothing in text. */
#ifndef HARK_TRACE_LINE_H
#define HARK_TRACE_LINE_H

#include <hark/base.h>
#include <sys/socket.h>

/* Longer than any line becomes: names and addresses are cut, and a byte of them is six at most. */
#define HARK__LINE_MAX 2048

struct hark__line {
	bool json;
	size_t length;
	char bytes[HARK__LINE_MAX];
};

/* Who says it, and what it is about. Times are nanoseconds. */
void hark__line_start(struct hark__line *l, bool json, int64_t time, unsigned reactor,
                      const char *what);
void hark__line_fd(struct hark__line *l, int fd, const char *name);

void hark__line_number(struct hark__line *l, const char *key, const char *before, bool there,
                       int64_t value);

/* HARK_NEVER: for ever, and null. */
void hark__line_seconds(struct hark__line *l, const char *key, const char *before, int64_t ns);

/* NULL: not there. */
void hark__line_string(struct hark__line *l, const char *key, const char *before,
                       const char *value);

/* HARK_RECV, HARK_EDGE, HARK_RDHUP and so on; of send(2) and recv(2), MSG_PEEK and its like. */
void hark__line_set(struct hark__line *l, const char *key, const char *before, unsigned set);
void hark__line_flags(struct hark__line *l, int flags);

/* In text, the key if it is true. */
void hark__line_flag(struct hark__line *l, const char *key, bool value);

/* addr NULL, or of a kind or a length that nothing can be said of: not there. */
void hark__line_address(struct hark__line *l, const char *before, const struct sockaddr *addr,
                        socklen_t len);

/* An errno, 0 for none; words: what it means here, or NULL. */
void hark__line_error(struct hark__line *l, int error, const char *words);

/* From here on bytes and length are the whole line. */
void hark__line_end(struct hark__line *l);

#endif
