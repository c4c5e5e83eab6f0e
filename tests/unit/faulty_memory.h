/* faulty_memory.h - included before each file of the library in a build of it for allocation.c,
 * which decides what is allocated. */
#ifndef FAULTY_MEMORY_H
#define FAULTY_MEMORY_H

#include <stdlib.h>

void *faulty_malloc(size_t size);
void *faulty_calloc(size_t count, size_t size);
void *faulty_realloc(void *block, size_t size);
void faulty_free(void *block);

#define malloc faulty_malloc
#define calloc faulty_calloc
#define realloc faulty_realloc
#define free faulty_free

#endif
