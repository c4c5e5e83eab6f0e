/* raw_heap.h - timers by hand: a heap with four children a node, inside one array.
 *
 * The array has the deadlines beside the pointers, so that a comparison touches no timer, and
 * begins so that the four children of a node share a cache line. A timer knows its place, with
 * which it can be taken out or moved. */
#ifndef BENCH_RAW_HEAP_H
#define BENCH_RAW_HEAP_H

#include "bench.h"
#include <stdlib.h>
#include <string.h>

/* The place of the root: the children of a place p are at 4p - 8 to 4p - 5. */
#define HEAP_ROOT 3u

struct heap_timer {
	unsigned place; /* 0: not in the heap */
	void (*handle)(struct heap_timer *t);
};

struct heap_entry {
	int64_t deadline;
	struct heap_timer *timer;
};

struct heap {
	struct heap_entry *entries;
	unsigned end; /* the first free place */
	unsigned room;
};

static inline unsigned heap_first_child(unsigned place)
{
	return 4 * place - 8;
}

static inline unsigned heap_parent(unsigned place)
{
	return place / 4 + 2;
}

#define HEAP_EMPTY               \
	{                        \
		.end = HEAP_ROOT \
	}

/* Frees its memory; it is empty then. */
static inline void heap_close(struct heap *heap)
{
	free(heap->entries);
	*heap = (struct heap)HEAP_EMPTY;
}

static inline bool heap_empty(const struct heap *heap)
{
	return heap->end == HEAP_ROOT;
}

static inline int64_t heap_first(const struct heap *heap)
{
	return heap->entries[HEAP_ROOT].deadline;
}

static inline void heap_grow(struct heap *heap)
{
	const unsigned room = heap->room > 0 ? 2 * heap->room : 64;
	void *entries;

	if (posix_memalign(&entries, 64, room * sizeof *heap->entries) != 0)
		broken("out of memory");
	if (heap->room > 0)
		memcpy(entries, heap->entries, heap->room * sizeof *heap->entries);
	free(heap->entries);
	heap->entries = entries;
	heap->room = room;
}

static inline void heap_put(struct heap *heap, unsigned place, struct heap_entry entry)
{
	heap->entries[place] = entry;
	entry.timer->place = place;
}

/* Finds the place for an entry from a free one on towards the root. */
static inline void heap_rise(struct heap *heap, unsigned place, struct heap_entry entry)
{
	while (place != HEAP_ROOT) {
		const unsigned parent = heap_parent(place);

		if (heap->entries[parent].deadline <= entry.deadline)
			break;
		heap_put(heap, place, heap->entries[parent]);
		place = parent;
	}
	heap_put(heap, place, entry);
}

/* Finds the place for an entry from a free one on away from the root. */
static inline void heap_sink(struct heap *heap, unsigned place, struct heap_entry entry)
{
	const struct heap_entry *entries = heap->entries;

	for (;;) {
		const unsigned child = heap_first_child(place);
		unsigned least = child;

		if (child + 4 <= heap->end) {
			const unsigned a = entries[child + 1].deadline < entries[child].deadline;
			const unsigned b =
				2 + (entries[child + 3].deadline < entries[child + 2].deadline);

			least += entries[child + b].deadline < entries[child + a].deadline ? b : a;
		} else if (child < heap->end) {
			for (unsigned i = child + 1; i < heap->end; i++) {
				if (entries[i].deadline < entries[least].deadline)
					least = i;
			}
		} else {
			break;
		}
		if (entry.deadline <= entries[least].deadline)
			break;
		heap_put(heap, place, entries[least]);
		place = least;
	}
	heap_put(heap, place, entry);
}

/* Finds the place for an entry from a free one on. */
static inline void heap_settle(struct heap *heap, unsigned place, struct heap_entry entry)
{
	if (place != HEAP_ROOT && entry.deadline < heap->entries[heap_parent(place)].deadline)
		heap_rise(heap, place, entry);
	else
		heap_sink(heap, place, entry);
}

static inline void heap_insert(struct heap *heap, struct heap_timer *timer, int64_t deadline)
{
	if (heap->end >= heap->room)
		heap_grow(heap);
	heap_rise(heap, heap->end++, (struct heap_entry){deadline, timer});
}

static inline void heap_remove(struct heap *heap, struct heap_timer *timer)
{
	const unsigned place = timer->place;

	timer->place = 0;
	if (place != --heap->end)
		heap_settle(heap, place, heap->entries[heap->end]);
}

static inline void heap_move(struct heap *heap, struct heap_timer *timer, int64_t deadline)
{
	heap_settle(heap, timer->place, (struct heap_entry){deadline, timer});
}

/* Calls the timers that are due, each of which is out of the heap then. */
static inline void heap_expire(struct heap *heap, int64_t now)
{
	while (!heap_empty(heap) && heap_first(heap) <= now) {
		struct heap_timer *timer = heap->entries[HEAP_ROOT].timer;

		heap_remove(heap, timer);
		timer->handle(timer);
	}
}

#endif
