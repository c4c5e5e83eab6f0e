/* close_on_fork.c - descriptors that forked children are not to have.
 *
 * Close-on-exec does not help against a child that runs no other program. pthread_atfork(3) calls
 * here in the child, before fork(2) returns there; a child of a bare clone(2) keeps them. */
#include "sys/close_on_fork.h"
#include <pthread.h>
#include <unistd.h>

static struct hark__close_on_fork places = {.prev = &places, .next = &places, .fd = -1};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int watch_error;

/* The list is whole, and nothing in it is about to be closed, at the moment of the fork. */
static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void forked_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void forked_in_child(void)
{
	for (struct hark__close_on_fork *place = places.next; place != &places; place = place->next)
		if (place->fd >= 0)
			close(place->fd);
	places.prev = places.next = &places;
	pthread_mutex_unlock(&lock);
}

static void watch(void)
{
	watch_error = pthread_atfork(before_fork, forked_in_parent, forked_in_child);
}

int hark__close_on_fork(struct hark__close_on_fork *place, int fd)
{
	pthread_once(&once, watch);
	if (watch_error != 0)
		return -watch_error;
	pthread_mutex_lock(&lock);
	place->fd = fd;
	place->prev = places.prev;
	place->next = &places;
	place->prev->next = place->next->prev = place;
	pthread_mutex_unlock(&lock);
	return 0;
}

void hark__close_on_fork_instead(struct hark__close_on_fork *place, int fd)
{
	pthread_mutex_lock(&lock);
	place->fd = fd;
	pthread_mutex_unlock(&lock);
}

void hark__close_on_fork_no_more(struct hark__close_on_fork *place)
{
	pthread_mutex_lock(&lock);
	place->prev->next = place->next;
	place->next->prev = place->prev;
	pthread_mutex_unlock(&lock);
}
