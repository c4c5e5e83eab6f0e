/* close_on_fork.h - descriptors that forked children are not to have. */
#ifndef HARK_CLOSE_ON_FORK_H
#define HARK_CLOSE_ON_FORK_H

/* A place for one, inside of what owns the descriptor, which keeps it where it is until it is taken
 * back. Any thread may call these functions. */
struct hark__close_on_fork {
	struct hark__close_on_fork *prev, *next;
	int fd; /* -1 if there is none */
};

/* From now on fork(2) closes fd in the child. Returns 0, or -ENOMEM (pthread_atfork). */
int hark__close_on_fork(struct hark__close_on_fork *place, int fd);

/* Has fd take the place of the one that is there. To be called before that is closed. */
void hark__close_on_fork_instead(struct hark__close_on_fork *place, int fd);

/* Takes the place back. To be called before its descriptor is closed; in a child it is nobody's
 * any more. */
void hark__close_on_fork_no_more(struct hark__close_on_fork *place);

#endif
