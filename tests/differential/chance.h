/* chance.h - where a run's choices come from.
 *
 * Everything a run does is decided by a sequence of 64-bit words, one an operation. Here they come
 * from a seeded generator; a byte string can stand in for it by another `next`. Choices inside
 * callbacks must not use up that sequence, since how many callbacks run depends on the backend:
 * they are derived with chance_mix from what they belong to. */
#ifndef CHANCE_H
#define CHANCE_H

#include <stdint.h>

struct chance {
	uint64_t (*next)(struct chance *c);
	uint64_t state;
};

/* Makes *c a generator whose words are decided by seed alone. */
void chance_seed(struct chance *c, uint64_t seed);

/* A word that looks random and is decided by word. */
uint64_t chance_mix(uint64_t word);

#endif
