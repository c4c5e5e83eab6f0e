/* lists.c - what there is: the workloads, and the drivers that every system has. */
#include "bench.h"

const struct workload *const workloads[] = {
	&work_ring, &work_churn, &work_coalesced, &work_idle_timer, &work_dispatch,
	&work_echo, &work_setup, &work_timers,    &work_post,       NULL,
};

/* After those of the system (system_linux.c, system_other.c). */
const struct driver *const drivers[] = {
	&raw_timers,
	&raw_posts,
	&hark_sockets,
	&hark_timers,
	&hark_posts,
#ifdef BENCH_LIBEVENT
	&libevent_sockets,
	&libevent_changelist,
	&libevent_streams,
	&libevent_timers,
	&libevent_posts,
#endif
#ifdef BENCH_LIBEV
	&libev_sockets,
	&libev_timers,
	&libev_posts,
#endif
#ifdef BENCH_LIBUV
	&libuv_sockets,
	&libuv_streams,
	&libuv_timers,
	&libuv_posts,
#endif
#ifdef BENCH_IVYKIS
	&ivykis_sockets,
	&ivykis_timers,
	&ivykis_posts,
#endif
	NULL,
};

/* The versions of those that were found when this was built. */
#ifndef BENCH_LIBEVENT
#define BENCH_LIBEVENT NULL
#endif
#ifndef BENCH_LIBEV
#define BENCH_LIBEV NULL
#endif
#ifndef BENCH_LIBUV
#define BENCH_LIBUV NULL
#endif
#ifndef BENCH_IVYKIS
#define BENCH_IVYKIS NULL
#endif

const struct peer peers[] = {
	{"libevent", BENCH_LIBEVENT}, {"libev", BENCH_LIBEV}, {"libuv", BENCH_LIBUV},
	{"ivykis", BENCH_IVYKIS},     {NULL, NULL},
};

const char *const job_names[JOB_COUNT] = {
	[RING] = "ring",
	[CHURN] = "churn",
	[IDLE_TIMER] = "idle-timer",
	[DISPATCH] = "dispatch",
	[COALESCED] = "coalesced",
	[ECHO_BACK] = "echo",
	[SETUP_ADD] = "add",
	[SETUP_REMOVE] = "remove",
	[TIMERS_MIX] = "mix",
	[TIMERS_REFRESH] = "refresh",
	[TIMERS_EXPIRE] = "expire",
	[POST_FLOOD] = "flood",
	[POST_WAKE] = "wake",
};

const char *const transport_names[OVER_COUNT] = {"unix", "tcp", "pipe"};
