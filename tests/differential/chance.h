/* chance.h - where a run's choices come from.
 *
 * Everything a run does is decided by a sequence of 64-bit words, one an operation. Here they come
 * from a seeded generator, or from a string of bytes. Choices inside
 * callbacks must not use up that sequence, since how many callbacks run depends on the backend:
 * they are derived with chance_mix from what they belong to. */
#ifndef CHANCE_H
#define CHANCE_H

#include <stddef.h>
#include <stdint.h>

struct chance {
	uint64_t (*next)(struct chance *c);
	uint64_t state;
	const unsigned char *bytes;
	size_t left;
};

/* Makes *c a generator whose words are decided by seed alone. */
void chance_seed(struct chance *c, uint64_t seed);

/* Makes *c give words of which each is six of these bytes, and after the last of them 0: a byte
 * for each of the lower two 16 bits, and the upper 32. */
void chance_bytes(struct chance *c, const unsigned char *bytes, size_t size);

/* A word that looks random and is decided by word. */
uint64_t chance_mix(uint64_t word);

#endif
