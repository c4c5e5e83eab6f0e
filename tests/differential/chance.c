/* chance.c - a seeded generator: a counter, and a mixing of its bits; or what is in a string of
 * bytes. */
#include "chance.h"

uint64_t chance_mix(uint64_t word)
{
	word ^= word >> 32;
	word *= 0xd6e8feb86659fd93u;
	word ^= word >> 32;
	word *= 0xd6e8feb86659fd93u;
	word ^= word >> 32;
	return word;
}

static uint64_t next_seeded(struct chance *c)
{
	c->state += 0x9e3779b97f4a7c15u;
	return chance_mix(c->state);
}

void chance_seed(struct chance *c, uint64_t seed)
{
	c->next = next_seeded;
	c->state = chance_mix(seed + 1);
}

static uint64_t next_byte(struct chance *c)
{
	if (c->left == 0)
		return 0;
	c->left--;
	return *c->bytes++;
}

static uint64_t next_of_bytes(struct chance *c)
{
	uint64_t word = next_byte(c);

	word |= next_byte(c) << 16;
	for (int shift = 32; shift < 64; shift += 8)
		word |= next_byte(c) << shift;
	return word;
}

void chance_bytes(struct chance *c, const unsigned char *bytes, size_t size)
{
	c->next = next_of_bytes;
	c->bytes = bytes;
	c->left = size;
}
