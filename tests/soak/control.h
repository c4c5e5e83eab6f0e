/* control.h - how late the machine itself is.
 *
 * A thread that does nothing but sleep notes when it should have woken and when it did; and some
 * systems tell how long they have let a thread wait for a processor. */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdint.h>

/* Starts the thread, for at most that long. work is called after each sleep, a millisecond at most.
 * Returns 0 or an errno. */
int control_start(int64_t duration_ns, void (*work)(void));

/* Ends it. */
void control_end(void);

/* After its end: by how much it woke late, in nanoseconds, of its sleeps about the time from first
 * to last the latest. */
int64_t control_late(int64_t first, int64_t last);

/* How long the calling thread has waited for a processor in its life, in nanoseconds; always the
 * same thread. -1 if the system does not tell. */
int64_t control_held_up(void);

#endif
