/* work_posts.h - flood and wake, once for all drivers.
 *
 * A driver includes this file after it has defined what the workload needs of it:
 *
 *   struct parcel               a message to the loop; a whole number of cache lines, with the
 *                               member struct tag tag
 *   void parcel_init(parcel)
 *   void parcel_post(parcel)    from any thread
 *   void loop_finish(void)      the goal is reached: run shall return
 *
 * calls parcel_came from the callback of a message, and has posts_open, posts_watch and posts_close
 * do what its functions of that name are to do for the threads, which exist between watch and
 * close.
 *
 * Each thread has so many parcels, which it posts round and round; one that has not come back is
 * waited for. So a flood is as fast as the slower of the two sides, and nothing is ever allocated.
 * A thread that has run out of parcels waits for half of them, which disturbs the loop less than to
 * look for each. */
#ifndef BENCH_WORK_POSTS_H
#define BENCH_WORK_POSTS_H

#include "bench.h"
#include <hark/base.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define PARCELS 256 /* a thread */

/* Of wake: how long after its last message the loop is sure to sleep; and at most twice as long. */
#define ASLEEP HARK_US(20)

static struct {
	enum job job;
	unsigned wanted, count;
	pthread_t *threads;
	struct parcel *parcels;
	int ending; /* atomic */
} posts;

static inline void posts_pause(void)
{
	for (int i = 0; i < 16; i++) {
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ __volatile__("yield");
#endif
	}
}

static inline bool posts_ending(void)
{
	return __atomic_load_n(&posts.ending, __ATOMIC_RELAXED);
}

static inline bool parcel_away(const struct parcel *parcel)
{
	return __atomic_load_n(&parcel->tag.away, __ATOMIC_ACQUIRE);
}

static inline void parcel_send(struct parcel *parcel)
{
	__atomic_store_n(&parcel->tag.away, 1, __ATOMIC_RELAXED);
	parcel_post(parcel);
}

/* In the loop. */
static inline void parcel_came(struct parcel *parcel)
{
	if (posts.job == POST_WAKE && latencies.count < LATENCIES_MOST)
		latencies.ns[latencies.count++] = (double)(now() - parcel->tag.sent);
	__atomic_store_n(&parcel->tag.away, 0, __ATOMIC_RELEASE);
	if (++tally.hops == tally.goal)
		loop_finish();
}

/* There may be more threads than processors. */
static inline void parcel_await(const struct parcel *parcel)
{
	while (parcel_away(parcel) && !posts_ending()) {
		posts_pause();
		sched_yield();
	}
}

static void *posts_flood(void *context)
{
	struct parcel *parcels = context;

	system_pin_others();
	for (unsigned i = 0; !posts_ending(); i = (i + 1) % PARCELS) {
		if (parcel_away(&parcels[i]))
			parcel_await(&parcels[(i + PARCELS / 2) % PARCELS]);
		if (!posts_ending())
			parcel_send(&parcels[i]);
	}
	return NULL;
}

/* Busy in between, or what is measured would be how this processor awakes. */
static void *posts_wake(void *context)
{
	struct parcel *parcel = context;
	uint32_t random = 1;

	system_pin_others();
	while (!posts_ending()) {
		const int64_t begin = now();

		random = random * 1664525 + 1013904223;
		while (now() - begin < ASLEEP + (ASLEEP * random >> 32))
			posts_pause();
		parcel_await(parcel);
		if (posts_ending())
			break;
		parcel->tag.sent = now();
		parcel_send(parcel);
	}
	return NULL;
}

static inline void posts_open(const struct cell *cell)
{
	const size_t count = (size_t)cell->threads * PARCELS;
	void *parcels;

	posts.job = cell->job;
	posts.ending = 0;
	posts.count = 0;
	posts.wanted = cell->threads;
	posts.threads = allocate(cell->threads, sizeof *posts.threads);
	if (posix_memalign(&parcels, CACHE_LINE, count * sizeof *posts.parcels) != 0)
		broken("out of memory");
	memset(parcels, 0, count * sizeof *posts.parcels);
	posts.parcels = parcels;
	for (size_t i = 0; i < count; i++)
		parcel_init(&posts.parcels[i]);
}

static inline int posts_watch(void)
{
	void *(*work)(void *context) = posts.job == POST_FLOOD ? posts_flood : posts_wake;

	while (posts.count < posts.wanted) {
		int error = pthread_create(&posts.threads[posts.count], NULL, work,
		                           &posts.parcels[posts.count * PARCELS]);

		if (error != 0)
			return -error;
		posts.count++;
	}
	return 0;
}

/* No thread posts any more, and nothing is left of them. The loop is to have let go of the
 * parcels. */
static inline void posts_end(void)
{
	__atomic_store_n(&posts.ending, 1, __ATOMIC_RELAXED);
	while (posts.count > 0)
		pthread_join(posts.threads[--posts.count], NULL);
}

static inline void posts_close(void)
{
	free(posts.threads);
	free(posts.parcels);
}

#endif
