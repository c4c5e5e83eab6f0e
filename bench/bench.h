/* bench.h - what the files of hark-bench share: drivers x workloads.
 *
 * A driver adapts one way of waiting for descriptors (a library, or a system call used by hand)
 * to the small interface below. A workload is written once, in work.h, and compiled into every
 * driver, so that none pays for a call that a program of its kind would not make.
 *
 *   main.c      the command line        driver_hark.c   hark, on each of its backends
 *   plan.c      what is measured        raw_select.c    the system calls, by hand
 *   measure.c   rounds and medians      raw_poll.c
 *   ring.c      the sockets             raw_epoll.c     (Linux)
 *   report.c    table and JSON          raw_kqueue.c    (macOS and the BSDs)
 *   system_linux.c, system_other.c      the processor, memory, and the system's own drivers
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum work { WORK_RING, WORK_CHURN, WORK_COUNT };

/* A byte that arrives at fd, which is watched, goes on by being written to `to`. In a ring `to` is
 * the far end of the next pair, and not watched; in a dialogue it is fd itself, and the other end
 * is watched too. */
struct pair {
	int fd;
	int to;
};

struct ring {
	bool tcp, dialogue;
	unsigned count;
	struct pair *pairs;
};

/* What the workload has done in the present slice. */
struct tally {
	uint64_t hops;  /* bytes passed on: the events that are counted */
	uint64_t goal;  /* run until hops is this */
	uint64_t held;  /* bytes that nodes have received and are yet to send */
	uint64_t empty; /* reads that found nothing */
};
extern struct tally tally;

/* One way of waiting. It has one loop at a time, and keeps it in static variables. */
struct driver {
	const char *name;

	/* The index-th of its backends, NULL past the last. */
	const char *(*backend)(unsigned index);

	/* Opens a loop that is to do `work` over ring, which outlives it; allocates what its
	 * user keeps for each descriptor. Returns 0 or -errno, and then says more in why. */
	int (*open)(const char *backend, enum work work, const struct ring *ring, char *why,
	            size_t size);

	/* Watches every fd of the ring; returns when the kernel has been told. 0 or -errno. */
	int (*watch)(void);

	/* Runs until tally.hops is tally.goal or a little more. 0 or -errno. */
	int (*run)(void);

	/* The system calls that the loop made since open, without the workload's own. */
	uint64_t (*calls)(void);

	void (*close)(void);
};

extern const struct driver driver_hark, raw_select, raw_poll, raw_epoll, raw_kqueue;
extern const struct driver *const raw_drivers[]; /* of this system; ends with NULL */

/* The least, the middle and the greatest of some measured values; all 0 if there are none. */
struct spread {
	double median, min, max;
};

/* One driver on one backend in one cell. */
struct row {
	const struct driver *driver;
	const char *backend;
	struct row *raw; /* the same system call by hand, in the same cell; may be NULL */
	uint64_t hops_a_piece;
	unsigned pieces; /* a slice */
	uint64_t calls, hops;
	double *ns, *setup; /* one a round */
	double bytes;       /* below 0: not known */
	bool failed;        /* could not be measured; the plan has a note */

	struct spread time, ratio, setup_time, setup_ratio;
};

/* One workload on one shape. */
struct cell {
	enum work work;
	bool tcp;
	unsigned descriptors, active;
	unsigned row_count;
	struct row *rows;
};

struct plan {
	bool quick;
	unsigned rounds;
	unsigned cell_count;
	struct cell *cells;
	unsigned note_count;
	char **notes; /* what could not be run, and why */
};

/* What the command line restricts a plan to; a count of 0 is no restriction. */
struct wishes {
	bool works[WORK_COUNT], transports[2];
	const char **backends;
	unsigned backend_count;
	unsigned *descriptors, descriptor_count;
	unsigned *active, active_count;
};

/* plan.c */
bool is_dialogue(enum work work);
void note(struct plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));
extern const char *const work_names[WORK_COUNT], *const work_about[WORK_COUNT];
extern const char *const transport_names[2];
bool backend_known(const char *name);
void list_all(void);
void plan_make(struct plan *plan, const struct wishes *wishes);
void plan_cut(struct plan *plan, unsigned count);
void plan_free(struct plan *plan);

/* ring.c */
unsigned raise_limit(unsigned need);
unsigned ring_need(unsigned count, bool dialogue);
unsigned ring_most(unsigned limit, bool dialogue);
int ring_open(struct ring *ring, unsigned count, bool tcp, bool dialogue);
void ring_close(struct ring *ring);
void ring_start(const struct ring *ring, unsigned active);
unsigned ring_drain(const struct ring *ring);

/* measure.c */
int64_t now(void); /* monotonic nanoseconds */
void measure(struct plan *plan, struct cell *cell, unsigned index);

/* report.c */
void report_head(void);
void report_cell(const struct cell *cell);
int report_json(const struct plan *plan, const char *path);

/* system_linux.c, system_other.c */
bool system_pin(void);
const char *system_cpu(char *buf, size_t size);
double system_memory(void); /* bytes of user memory in use, below 0 if there is no way to tell */

/* main.c: a line on standard error, and the end. */
void usage_error(const char *format, ...)
	__attribute__((noreturn, format(printf, 1, 2))); /* exit status 2 */
void broken(const char *format, ...)
	__attribute__((noreturn, cold, format(printf, 1, 2))); /* exit status 1 */
void *allocate(size_t count, size_t size);

#endif
