/* minimal.h - what the programs here share: the clock, the median, and pairs of sockets. */
#ifndef BENCH_MINIMAL_H
#define BENCH_MINIMAL_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECES 31
#define PIECE 5000 /* events or operations in each */

static double pieces[PIECES];
static unsigned piece, done;
static double began;

static inline double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* One more is done. Returns 1 when all are. */
static inline int count(void)
{
	double now;

	if (piece == PIECES) /* a loop that is stopped may have some to call yet */
		return 1;
	if (++done < PIECE)
		return 0;
	done = 0;
	now = seconds();
	if (began > 0) /* the first piece is for warming up */
		pieces[piece++] = (now - began) / PIECE * 1e9;
	began = now;
	return piece == PIECES;
}

static inline int order(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline int print_median(void)
{
	qsort(pieces, PIECES, sizeof pieces[0], order);
	return printf("%.1f\n", pieces[PIECES / 2]) < 0;
}

/* The argument of that place, of so many: a number from 1 to `most`, or this is no use of the
 * program. */
static inline int number(int argc, char **argv, int place, int arguments, int most,
                         const char *usage)
{
	char none[] = "x", *end = none;
	long n = argc == arguments + 1 ? strtol(argv[place], &end, 10) : 0;

	if (*end == '\0' && n > 0 && n <= most)
		return (int)n;
	fprintf(stderr, "usage: %s %s\n", argv[0], usage);
	exit(2);
}

static inline void need(int condition, const char *what)
{
	if (condition)
		return;
	perror(what);
	exit(1);
}

static inline int socket_pair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}

/* Pairs that `make` makes, nonblocking. */
static inline int (*make_pairs(int n, int (*make)(int fds[2])))[2]
{
	int(*fds)[2] = calloc((size_t)n, sizeof *fds);
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < n; i++) {
		need(fds != NULL && make(fds[i]) == 0, "a pair of descriptors");
		for (int end = 0; end < 2; end++)
			fcntl(fds[i][end], F_SETFL, O_NONBLOCK);
	}
	return fds;
}

#endif
