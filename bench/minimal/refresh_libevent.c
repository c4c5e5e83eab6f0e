/* refresh_libevent.c - `refresh_libevent TIMERS`: hark-bench's timers refresh, on libevent, with
 * the common timeout that its manual advises for this, and on nothing of hark-bench's: any of the
 * pending is put off by a minute. Prints ns an operation. */
#include "minimal.h"
#include <event2/event.h>
#include <event2/event_struct.h>

struct client {
	struct event timer;
	int fd; /* and whatever else a program has beside it */
};

static struct event_base *base;
static struct client *clients;
static const struct timeval minute = {.tv_sec = 60};
static const struct timeval *common;
static int client_count;

static void expired(evutil_socket_t fd, short events, void *context)
{
	(void)fd, (void)events, (void)context;
	fprintf(stderr, "a timer came\n");
	exit(1);
}

static void work(evutil_socket_t fd, short events, void *context)
{
	uint64_t random = 1;

	(void)fd, (void)events, (void)context;
	for (unsigned i = 0;; i++) {
		if (i % 64 == 0)
			event_base_update_cache_time(base);
		random = random * 6364136223846793005u + 1442695040888963407u;
		event_add(&clients[(random >> 32) * (unsigned)client_count >> 32].timer, common);
		/* At first they are in the order of their addresses, later in none. */
		if (i / 5 > (unsigned)client_count && count())
			break;
	}
	event_base_loopbreak(base);
}

int main(int argc, char **argv)
{
	struct event_config *config = event_config_new();
	struct event start;

	client_count = number(argc, argv, 1, 1, 1000000, "TIMERS");
	clients = calloc((size_t)client_count, sizeof *clients);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	need(base != NULL && clients != NULL, "a loop");
	common = event_base_init_common_timeout(base, &minute);
	for (int i = 0; i < client_count; i++) {
		event_assign(&clients[i].timer, base, -1, 0, expired, NULL);
		event_add(&clients[i].timer, common);
	}
	event_assign(&start, base, -1, 0, work, NULL);
	event_active(&start, EV_TIMEOUT, 0);
	event_base_dispatch(base);
	return print_median();
}
