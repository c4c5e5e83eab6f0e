/* ivykis_sockets.c - ivykis as its manual pages have it: an iv_fd in the program's own struct,
 * whose handlers are set and cleared. A timer is put off by taking it out and putting it in. */
#include "ivykis_driver.h"
#include <sys/socket.h>

struct node {
	struct iv_fd fd;
	int to;
	unsigned holding;
};

struct idler {
	struct node node;
	struct iv_timer timer;
};

static void start_idle(struct idler *idler);

static unsigned watched; /* the first so many */

static inline ssize_t node_recv(struct node *node, char *buf, size_t size)
{
	return recv(node->fd.fd, buf, size, 0);
}

static inline ssize_t node_send(struct node *node, const char *buf, size_t size)
{
	return send(node->fd.fd, buf, size, 0);
}

static inline void node_want(struct node *node, bool want);

static inline void node_put_off(struct node *node)
{
	struct idler *idler = (struct idler *)node;

	iv_timer_unregister(&idler->timer);
	start_idle(idler);
}

static inline void node_finish(struct node *node)
{
	(void)node;
	iv_quit();
}

#include "nodes.h"
#include "work_sockets.h"

static void start_idle(struct idler *idler)
{
	iv_validate_now();
	idler->timer.expires = iv_now;
	idler->timer.expires.tv_sec += IDLE_NS / HARK_S(1);
	iv_timer_register(&idler->timer);
}

#define CALLBACK(work)                        \
	static void handle_##work(void *node) \
	{                                     \
		work(node);                   \
	}
WORK_OF_RECEIVERS(CALLBACK)
WORK_OF_SENDERS(CALLBACK)

static const struct {
	void (*in)(void *node);
	void (*out)(void *node);
} callbacks[] = WORK_CALLBACKS;

static inline void node_want(struct node *node, bool want)
{
	iv_fd_set_handler_out(&node->fd, want ? callbacks[nodes.job].out : NULL);
}

static void handle_idle(void *node)
{
	(void)node;
	node_is_idle();
}

/* It has others than the best of the system's, but only its user can choose them. */
const char *ivykis_backend(unsigned index)
{
	return index == 0 ? system_drivers[0]->backend(0) : NULL;
}

static int ivykis_sockets_open(const char *backend, const struct cell *cell, char *why, size_t size)
{
	(void)backend, (void)why, (void)size;
	iv_init();
	nodes_open(cell);
	for (unsigned i = 0; i < nodes.count; i++) {
		struct node *node = node_at(i);

		IV_FD_INIT(&node->fd);
		node->fd.fd = cell->ring->pairs[i].fd;
		node->fd.cookie = node;
		node->fd.handler_in = callbacks[nodes.job].in;
		if (nodes.job == IDLE_TIMER) {
			IV_TIMER_INIT(&nodes.idlers[i].timer);
			nodes.idlers[i].timer.handler = handle_idle;
		}
	}
	return 0;
}

static void handle_quit(void *context)
{
	(void)context;
	iv_quit();
}

/* ivykis tells the kernel when it is about to wait: it has to turn once, without waiting, for which
 * there is no call. A timer that is due ends the wait, and the loop. */
static int ivykis_sockets_watch(void)
{
	struct iv_timer at_once;

	for (watched = 0; watched < nodes.count; watched++) {
		const unsigned i = watched;

		iv_fd_register(&node_at(i)->fd);
		if (nodes.job == IDLE_TIMER)
			start_idle(&nodes.idlers[i]);
	}
	IV_TIMER_INIT(&at_once);
	iv_validate_now();
	at_once.expires = iv_now;
	at_once.expires.tv_nsec += 1;
	at_once.handler = handle_quit;
	iv_timer_register(&at_once);
	iv_main();
	return 0;
}

static int ivykis_sockets_unwatch(unsigned count)
{
	while (count-- > 0)
		iv_fd_unregister(&node_at(--watched)->fd);
	return 0;
}

static int ivykis_sockets_run(void)
{
	iv_main();
	return 0;
}

static void ivykis_sockets_close(void)
{
	for (unsigned i = 0; i < watched; i++) {
		iv_fd_unregister(&node_at(i)->fd);
		if (nodes.job == IDLE_TIMER)
			iv_timer_unregister(&nodes.idlers[i].timer);
	}
	iv_deinit();
	nodes_close();
}

const struct driver ivykis_sockets = {
	.name = "ivykis",
	.kind = SOCKETS,
	.backend = ivykis_backend,
	.open = ivykis_sockets_open,
	.watch = ivykis_sockets_watch,
	.unwatch = ivykis_sockets_unwatch,
	.run = ivykis_sockets_run,
	.close = ivykis_sockets_close,
};
