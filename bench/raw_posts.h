/* raw_posts.h - how a hand-written loop that others post to sleeps: in a system call that watches
 * one descriptor. Each of the raw loops has one. */
#ifndef BENCH_RAW_POSTS_H
#define BENCH_RAW_POSTS_H

#include "bench.h"

struct sleeper {
	const char *name;        /* the system call */
	bool edges;              /* a written descriptor wakes it once, and need not be read */
	int (*open)(int fd);     /* 0 or -errno */
	int (*wait)(bool sleep); /* else only looks; 1 if fd was written, 0, or -errno */
	void (*close)(void);
};

extern const struct sleeper sleep_epoll, sleep_kqueue, sleep_poll, sleep_select;

/* system_linux.c, system_other.c */
extern const struct sleeper *const system_sleepers[]; /* ends with NULL */
int system_waker(int fds[2]); /* to read and to write, perhaps the same: an eventfd or a pipe */

#endif
