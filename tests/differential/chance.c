/* chance.c - a seeded generator: a counter, and a mixing of its bits. */
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
