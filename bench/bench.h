/* bench.h - what the files of hark-bench share: drivers x workloads.
 *
 * A workload is something that programs do with a loop; it has a file that says what is varied and
 * measured. What it does in the loop is written once, in a header, and compiled into every driver,
 * so that none pays for a call that a program of its kind would not make. A driver adapts one way
 * of waiting (a library, or a system call used by hand) to the workloads of one kind:
 *
 *   kind      header           workloads                    drivers
 *   SOCKETS   work_sockets.h   ring.c churn.c idle_timer.c  *_sockets.c raw_epoll.c raw_poll.c
 *                              dispatch.c coalesced.c       raw_select.c raw_kqueue.c
 *                              setup.c echo.c               *_streams.c
 *   TIMERS    work_timers.h    timers.c                     *_timers.c
 *   POSTS     work_posts.h     post.c                       *_posts.c
 *
 * A further workload of a kind is a file and its part of the header; a further library is a file
 * with a driver for each kind that it can do. Both are then named in lists.c.
 *
 *   main.c      the command line        sockets.c   the sockets that SOCKETS work on
 *   plan.c      what is measured        shapes.c    how many of them
 *   measure.c   rounds and medians      report.c    table and JSON
 *   load.c      the clients of echo     load.h
 *   machine.c   what it is measured on
 *   machine.c   what it is measured on  csv.c       the same for spreadsheets
 *   baseline.c  what is slower than it was
 *   lists.c     what there is           system_linux.c, system_other.c   the system's own
 *   nodes.h, inbox.h, peer_posts.h      what drivers share
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum kind { SOCKETS, TIMERS, POSTS };

/* What a loop is to do: the workload, or one of its operations. */
enum job {
	RING,
	CHURN,
	IDLE_TIMER,
	DISPATCH,
	COALESCED,
	ECHO_BACK, /* ECHO is a macro of <termios.h> */
	SETUP_ADD,
	SETUP_REMOVE,
	TIMERS_MIX,
	TIMERS_REFRESH,
	TIMERS_EXPIRE,
	POST_FLOOD,
	POST_WAKE,
	JOB_COUNT,
	FIRST_OPERATION = SETUP_ADD /* those before have the name of their workload */
};

/* What descriptors are watched, and the bits of sets of that. */
enum over { UNIX, TCP, PIPES, OVER_COUNT };
enum { OVER_UNIX = 1 << UNIX, OVER_TCP = 1 << TCP, OVER_PIPES = 1 << PIPES };

/* A byte that arrives at fd, which is watched, goes on by being written to `to`. In a ring `to` is
 * the far end of the next pair, and not watched; in a dialogue it is fd itself, and the other end
 * is watched too. */
struct pair {
	int fd;
	int to;
};

struct ring {
	enum over over;
	bool dialogue, halved; /* halved: only the near ends are in this process */
	unsigned count;
	struct pair *pairs;
};

/* What the workload has done in the present slice. */
struct tally {
	uint64_t hops;  /* what is counted: events, operations, messages */
	uint64_t goal;  /* run until hops is this */
	uint64_t held;  /* bytes that nodes have received and are yet to send */
	uint64_t empty; /* reads that found nothing */
	uint64_t *each; /* hops of each pair, by its `to`; of dispatch alone */

	/* Of echo: bytes that were sent back in this turn; those of a message that is not
	 * complete, taken together; and the size of one. */
	uint64_t echoed;
	size_t part, message;

	int64_t idle; /* nanoseconds in which the workload waited on purpose */
};
extern struct tally tally;

/* Of POST_WAKE: nanoseconds from a post to its message, one a hop. */
#define LATENCIES_MOST 8192
struct latencies {
	unsigned count;
	double ns[LATENCIES_MOST];
};
extern struct latencies latencies;

/* What POSTS keep with each message. */
struct tag {
	int away;     /* atomic: posted, and not yet come */
	int64_t sent; /* when */
};
#define CACHE_LINE 64

struct cell;

/* One way of waiting, for one kind of workload. It has one loop at a time, and keeps it in static
 * variables. */
struct driver {
	const char *name;    /* "raw": what the others of the kind are compared with */
	const char *variant; /* another way to use the same; NULL: the usual one */
	enum kind kind;

	/* The index-th of its backends, NULL past the last. */
	const char *(*backend)(unsigned index);

	/* Does that backend work here? If not, why says why. NULL: all do. */
	bool (*works)(const char *backend, char *why, size_t size);

	/* Opens a loop that is to do the cell's job, and allocates what its user keeps for each
	 * descriptor or timer. 0; -ENOTSUP if it has no such thing, and its row is left out; or
	 * -errno, and then says more in why. */
	int (*open)(const char *backend, const struct cell *cell, char *why, size_t size);

	/* Watches every fd of the ring, and returns when the kernel has been told; starts the
	 * timers or threads. 0 or -errno. */
	int (*watch)(void);

	/* No longer watches the last `count` of the ring, and returns when it has done with them
	 * all that it will. Of SOCKETS alone. 0 or -errno. */
	int (*unwatch)(unsigned count);

	/* Runs until tally.hops is tally.goal or more. 0 or -errno. */
	int (*run)(void);

	void (*close)(void);
};

/* The least, the quartiles and the greatest of some measured values; all 0 if there are none. */
struct spread {
	double min, q1, median, q3, max;
};

/* A turn measures so many numbers at the most. */
#define MEASURES 5

/* One driver on one backend in one cell. */
struct row {
	const struct driver *driver;
	const char *backend;
	struct row *raw; /* what it is compared with; may be NULL */
	uint64_t hops_a_piece;
	unsigned pieces;          /* a slice */
	double calls;             /* system calls a hop; below 0: not known */
	double *values[MEASURES]; /* one a round */
	double bytes;             /* below 0: not known */
	bool failed;              /* could not be measured; the plan has a note */

	struct spread spread[MEASURES], ratio[MEASURES];
};

/* One job in one shape: what is varied, of which each kind has its own. */
struct cell {
	const struct workload *workload;
	enum job job;
	unsigned least; /* hops of a run */

	enum over over; /* SOCKETS */
	unsigned descriptors, active;
	unsigned message;        /* bytes; of echo */
	const struct ring *ring; /* while it is measured */

	unsigned outstanding; /* TIMERS */

	unsigned threads; /* POSTS */
	int64_t spin_ns;

	unsigned row_count;
	struct row *rows;
};

/* How reports show one thing that is varied. The first of a cell that is a number is what plots are
 * drawn over. */
struct label {
	const char *title; /* of the table's column */
	int width;         /* negative: to the left */
	const char *key;   /* in the JSON */
	const char *text;  /* NULL: it is the number */
	unsigned number;
};
#define LABELS_MOST 4

/* How reports show one number that is measured; the first of a cell in full, which is one that is
 * better if it is less. Its key says the unit: "ns_per_event", "p50_ns". */
struct measure {
	const char *title;
	const char *key, *ratio_key;
};

/* What the command line restricts a plan to; a count of 0 is no restriction. */
struct list {
	unsigned *numbers, count;
};
struct wishes {
	bool *works, jobs[JOB_COUNT], transports[OVER_COUNT];
	const char **backends, **drivers;
	unsigned backend_count, driver_count;
	struct list descriptors, active, outstanding, threads;
};

/* A flaw of processors, and what the kernel says of it. */
struct flaw {
	char name[48], state[192];
};
#define FLAWS_MOST 40

/* What the results depend on beside hark and its peers. */
struct machine {
	char kernel[160], architecture[64], date[32];
	char cpu[128]; /* empty: unknown */
	int cpus;
	int pinned;                      /* to this one; -1: not at all */
	double load;                     /* of the minute before, below 0: unknown */
	unsigned long files, files_most; /* the limits of open files, soft and hard; 0: none */
	unsigned flaw_count;
	struct flaw flaws[FLAWS_MOST];
};

struct plan {
	bool quick;
	unsigned rounds;
	uint32_t seed;    /* of the order within the rounds */
	char **arguments; /* the command line; it ends with NULL */
	unsigned cell_count;
	struct cell *cells;
	unsigned note_count;
	char **notes; /* what could not be run, and why */
};

struct workload {
	const char *name;
	const char *about; /* lines, each with its newline */
	enum kind kind;
	/* Of SOCKETS: over what; whether each watched descriptor answers on itself; and whether all
	 * are active unless the user wants fewer. */
	unsigned over;
	bool dialogue, all_active;

	/* It does `least` hops in a turn, before its slice, and no others. */
	bool once;

	/* Adds its cells to the plan. */
	void (*plan)(struct plan *plan, const struct wishes *wishes);

	/* What its cells differ in, into labels; returns how many. */
	unsigned (*labels)(const struct cell *cell, struct label labels[LABELS_MOST]);

	/* MEASURES of them; one without a title is none, nor is any after it. */
	const struct measure *(*measures)(const struct cell *cell);

	/* What follows may be NULL. Before a cell's first turn. */
	void (*prepare)(struct cell *cell);

	/* After its last one. */
	void (*clean)(struct cell *cell);

	/* In each turn: the loop is about to run. */
	void (*start)(const struct cell *cell);

	/* In each turn: the loop is closed. Returns what is wrong with what it did, or NULL. */
	const char *(*finish)(const struct cell *cell);

	/* Measures a slice; NULL: run_slice gives the first of the values. */
	void (*slice)(const struct cell *cell, const struct row *row, double values[MEASURES]);
};

/* lists.c */
extern const struct workload work_ring, work_churn, work_idle_timer, work_dispatch, work_coalesced;
extern const struct workload work_echo, work_setup, work_timers, work_post;
extern const struct driver hark_sockets, hark_timers, hark_posts, raw_timers, raw_posts;
extern const struct driver raw_epoll, raw_epoll_edge, raw_epoll_floor, raw_kqueue, raw_poll,
	raw_select;
extern const struct driver libevent_sockets, libevent_changelist, libevent_streams, libevent_timers,
	libevent_posts;
extern const struct driver libev_sockets, libev_timers, libev_posts;
extern const struct driver libuv_sockets, libuv_streams, libuv_timers, libuv_posts;
extern const struct driver ivykis_sockets, ivykis_timers, ivykis_posts;
extern const struct workload *const workloads[]; /* they end with NULL */
extern const struct driver *const drivers[];
extern const struct peer {
	const char *name;
	const char *version; /* of the one that this program was built with; NULL: without */
} peers[];                   /* they end with one that has no name */
extern const char *const job_names[JOB_COUNT];
extern const char *const transport_names[OVER_COUNT];

/* plan.c */
void note(struct plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool backend_known(const char *name);
bool driver_known(const char *name);
void list_workloads(void);
void list_all(void);
void plan_make(struct plan *plan, const struct wishes *wishes);
void plan_cell(struct plan *plan, const struct wishes *wishes, const struct cell *like);
void plan_cut(struct plan *plan, unsigned count);
void plan_free(struct plan *plan);

/* shapes.c */
struct shape {
	unsigned descriptors, active;
	unsigned quick; /* over what --quick has it, unless told what to measure */
};
void shapes_plan(const struct cell *like, const struct shape *usual, unsigned usual_count,
                 struct plan *plan, const struct wishes *wishes);

/* sockets.c */
unsigned raise_limit(unsigned need);
unsigned ring_need(unsigned count, bool dialogue);
unsigned ring_most(unsigned limit, bool dialogue);
unsigned sockets_labels(const struct cell *cell, struct label labels[LABELS_MOST]);
const struct measure *sockets_measures(const struct cell *cell);
void sockets_prepare(struct cell *cell);
size_t sockets_room(const struct cell *cell); /* more than the greatest `to` of a pair */
void sockets_halve(bool near);
void sockets_close(void);
void sockets_start(const struct cell *cell);
unsigned sockets_drain(const struct cell *cell);
const char *sockets_finish(const struct cell *cell);

/* echo.c: bytes that a socket did not take, by the `to` of its pair. */
#define ECHO_MOST 16384
void echo_keep(int to, const char *bytes, size_t size);
size_t echo_kept(int to, const char **bytes);
void echo_drop(int to, size_t size); /* the first ones */

/* machine.c */
void machine_look(struct machine *machine);
bool flaw_concerns(const struct flaw *flaw);
bool flaw_mitigated(const struct flaw *flaw);

/* measure.c */
int64_t now(void); /* monotonic nanoseconds */
double run_hops(const struct cell *cell, const struct row *row, uint64_t hops);
double run_slice(const struct cell *cell, const struct row *row);
void sort_values(double *values, unsigned count);
bool is_noisy(const struct spread *ratio);
const char *describe_row(const struct cell *cell, const struct row *row);
void measure(struct plan *plan, struct cell *cell, unsigned index);

/* report.c */
void report_head(const struct machine *machine, const struct plan *plan);
void report_cell(const struct cell *cell);
bool report_json(const struct machine *machine, const struct plan *plan, FILE *to);

/* csv.c */
bool report_csv(const struct plan *plan, FILE *to);

/* baseline.c */
struct baseline *baseline_load(const char *path);
void baseline_check(const struct baseline *baseline, const struct plan *plan);
unsigned baseline_compare(const struct baseline *baseline, const struct plan *plan);
void baseline_free(struct baseline *baseline);

/* system_linux.c, system_other.c */
extern const struct driver *const system_drivers[]; /* ends with NULL */
int system_pin(void);         /* the calling thread to this one processor, -1 to none ... */
void system_pin_others(void); /* ... and this one to the others */
const char *system_cpu(char *buf, size_t size);
unsigned system_flaws(struct flaw *flaws, unsigned most); /* how many are known */
double system_memory(void); /* bytes of user memory in use, below 0 if there is no way to tell */

/* The system calls that work makes from one call of system_mark to the next, in a child process and
 * by the kernel's account; below 0 if there is no way to tell. */
long system_calls(void (*work)(void *context), void *context);
void system_mark(void);

/* main.c: a line on standard error ... */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* ... and the end. */
void usage_error(const char *format, ...)
	__attribute__((noreturn, format(printf, 1, 2))); /* exit status 2 */
void broken(const char *format, ...)
	__attribute__((noreturn, cold, format(printf, 1, 2))); /* exit status 1 */
void *allocate(size_t count, size_t size);                     /* zeroed */

#endif
