/* deny.h - system calls that Linux refuses, as an old kernel or a sandbox does: by a seccomp
 * filter.
 *
 * A filter cannot be taken back: it ends with the process, and Check runs each test in one of its
 * own. */
#ifndef DENY_H
#define DENY_H

#include <stdint.h>

/* From here on the system call with this number fails with an errno, which is positive, in this
 * process and its children; with the argument at an index, counted from 0, only where that has this
 * value. */
void deny(long number, int error);
void deny_if(long number, unsigned argument, uint32_t value, int error);

#endif
