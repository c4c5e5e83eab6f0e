/* select.c - select(2), over bit sets that grow.
 *
 * What the systems do oddly here:
 * - FD_SET writes past an fd_set, or aborts under fortification, from FD_SETSIZE on; the kernels
 *   take sets of any length. So the sets are arrays of the words that an fd_set consists of. (On
 *   macOS this needs _DARWIN_UNLIMITED_SELECT.)
 * - One closed descriptor fails the whole call with EBADF; Linux ignores one that is beyond its
 *   table. epoll and kqueue forget a descriptor that was closed without being removed; so does
 *   this, until its interest changes.
 * - Errors and hang-ups have no set of their own: they make a descriptor readable or writable. */
#include "core/port.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>

#define WORD_BITS ((int)(8 * sizeof(((fd_set *)NULL)->fds_bits[0])))

typedef __typeof__(((fd_set *)NULL)->fds_bits[0]) select_word;

enum { RECV_SET, SEND_SET, URGENT_SET, SETS };

static const unsigned direction_of[SETS] = {HARK_RECV, HARK_SEND, HARK_URGENT};

struct select_state {
	struct hark_port *up;
	select_word *asked[SETS];
	select_word *got[SETS];
	int in_set[SETS]; /* how many bits of asked are set: an empty set need not be passed */
	int words;        /* the length of each */
	int end;          /* the highest descriptor in any set, plus one */
};

static int select_open(void *state, struct hark_port *up)
{
	struct select_state *s = state;

	s->up = up;
	return 0;
}

static void select_close(void *state, bool forked)
{
	struct select_state *s = state;

	(void)forked;
	for (int i = 0; i < SETS; i++) {
		free(s->asked[i]);
		free(s->got[i]);
	}
}

static bool grow(select_word **set, int from, int to)
{
	select_word *grown = realloc(*set, (size_t)to * sizeof *grown);

	if (grown == NULL)
		return false;
	memset(grown + from, 0, (size_t)(to - from) * sizeof *grown);
	*set = grown;
	return true;
}

static int select_reserve(void *state, int fd)
{
	struct select_state *s = state;
	int words = fd / WORD_BITS + 1;

	if (words <= s->words)
		return 0;
	words += words / 8;
	for (int i = 0; i < SETS; i++)
		if (!grow(&s->asked[i], s->words, words) || !grow(&s->got[i], s->words, words))
			return -ENOMEM;
	s->words = words;
	return 0;
}

static void put(struct select_state *s, int fd, unsigned want)
{
	unsigned long bit = 1ul << (fd % WORD_BITS);

	for (int i = 0; i < SETS; i++) {
		select_word *word = &s->asked[i][fd / WORD_BITS];
		bool was = (unsigned long)*word & bit;
		bool is = want & direction_of[i];

		s->in_set[i] += is - was;
		*word = (select_word)(is ? (unsigned long)*word | bit
		                         : (unsigned long)*word & ~bit);
	}
}

/* The descriptors of one word that are in any of the sets. What is left in `got` of a set that was
 * not passed means nothing. */
static unsigned long any(const struct select_state *s, select_word *const sets[SETS], int word)
{
	unsigned long bits = 0;

	for (int i = 0; i < SETS; i++)
		if (s->in_set[i] != 0)
			bits |= (unsigned long)sets[i][word];
	return bits & (~0ul >> (8 * (int)sizeof bits - WORD_BITS));
}

static void find_end(struct select_state *s)
{
	int word = (s->end - 1) / WORD_BITS;

	while (word >= 0 && any(s, s->asked, word) == 0)
		word--;
	if (word < 0)
		s->end = 0;
	else
		s->end = word * WORD_BITS + 8 * (int)sizeof(long) -
		         __builtin_clzl(any(s, s->asked, word));
}

/* A slot's word is 1 while its descriptor is in a set. */
static int select_modify(void *state, int fd, struct hark_slot *slot, unsigned want)
{
	struct select_state *s = state;

	/* Forgotten as closed: if it still is, that is an error now, as with epoll. */
	if (want != 0 && slot->armed != 0 && slot->word == 0 && fcntl(fd, F_GETFD) < 0)
		return -errno;
	put(s, fd, want);
	slot->word = want != 0;
	if (want != 0 && fd >= s->end)
		s->end = fd + 1;
	else if (want == 0 && fd == s->end - 1)
		find_end(s);
	return 0;
}

static void forget_closed(struct select_state *s)
{
	for (int word = 0; word * WORD_BITS < s->end; word++) {
		unsigned long bits;

		for (bits = any(s, s->asked, word); bits != 0; bits &= bits - 1) {
			int fd = word * WORD_BITS + __builtin_ctzl(bits);

			if (fcntl(fd, F_GETFD) < 0) {
				put(s, fd, 0);
				hark__slot(s->up, fd)->word = 0;
			}
		}
	}
	find_end(s);
}

static fd_set *prepared(struct select_state *s, int set, size_t bytes)
{
	if (s->in_set[set] == 0)
		return NULL;
	memcpy(s->got[set], s->asked[set], bytes);
	return (fd_set *)(void *)s->got[set];
}

/* As select(2), without closed descriptors; a microsecond is the finest it can wait. */
static int select_all(struct select_state *s, const struct timespec *timeout)
{
	size_t bytes = (size_t)((s->end + WORD_BITS - 1) / WORD_BITS) * sizeof(select_word);

	for (;;) {
		struct timeval limit = {0, 0};
		int n;

		if (timeout != NULL) {
			long microseconds = (timeout->tv_nsec + 999) / 1000;

			limit.tv_sec = timeout->tv_sec + microseconds / 1000000;
			limit.tv_usec = (int)(microseconds % 1000000);
		}
		n = select(s->end, prepared(s, RECV_SET, bytes), prepared(s, SEND_SET, bytes),
		           prepared(s, URGENT_SET, bytes), timeout != NULL ? &limit : NULL);
		if (n >= 0 || errno != EBADF)
			return n;
		forget_closed(s);
	}
}

static void report(struct select_state *s, int fd)
{
	unsigned events = 0;

	for (int i = 0; i < SETS; i++)
		if (s->in_set[i] != 0 &&
		    ((unsigned long)s->got[i][fd / WORD_BITS] >> (fd % WORD_BITS) & 1))
			events |= direction_of[i];
	hark__ready(s->up, fd, hark__slot(s->up, fd)->generation, events);
}

static int select_wait(void *state, const struct timespec *timeout)
{
	struct select_state *s = state;
	int n = select_all(s, timeout);

	if (n < 0)
		return -errno;
	for (int word = 0; n > 0 && word * WORD_BITS < s->end; word++) {
		unsigned long bits;

		for (bits = any(s, s->got, word); bits != 0; bits &= bits - 1)
			report(s, word * WORD_BITS + __builtin_ctzl(bits));
	}
	return 0;
}

const struct hark_backend hark__select = {
	.name = "select",
	.state_size = sizeof(struct select_state),
	.can = HARK_CAN_BATCH,
	.open = select_open,
	.close = select_close,
	.modify = select_modify,
	.wait = select_wait,
	.reserve = select_reserve,
};
