/* lateness.h - waits that returned later than they were asked to, and what explains them. */
#ifndef LATENESS_H
#define LATENESS_H

#include <stdbool.h>

/* For record_backend. */
void lateness_before_wait(void);
void lateness_after_wait(void);

/* After the control's end: tells what was found, on standard output. Returns false if more of the
 * waits of this backend returned late than the machine explains. */
bool lateness_is_explained(const char *backend);

#endif
