/* traces.h - a file that is given to `trace`, and what is in it. */
#ifndef TRACES_H
#define TRACES_H

#include "conformance.h"

/* A new and empty file, whose name is trace_path from then on; the test removes it. */
extern char trace_path[];
void trace_new_file(void);

/* What is in a file, with a NUL behind it. It is valid until the next call. */
char *trace_text(const char *name);

/* The next line of *text, which is changed, or NULL. Each is of the kind
 * "TIME PID.REACTOR WHAT ...". */
char *trace_next_line(char **text);

#endif
