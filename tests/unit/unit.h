/* unit.h - what the programs share that are linked with a library of their own, whose memory is in
 * their hands (faulty_memory.h). */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <stdbool.h>

/* The allocation of the library that fails, counted from 0; -1: none does. */
extern int failing;
extern bool failing_all;
extern unsigned failed; /* how many did */
extern int balance;     /* blocks that the library has */

/* Runs a case on the backend, perhaps behind wrappers, that the arguments name. Returns the exit
 * status: 0 all passed, 1 some failed, 2 the arguments are bad. */
int unit_main(TCase *tc, int argc, char **argv);

#endif
