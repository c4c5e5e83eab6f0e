/* hark/message.h - messages: how other threads reach a reactor.
 *
 * The caller owns the message. hark_post queues it, wakes the reactor if it sleeps, and the
 * reactor calls handle_message on its own thread. Nothing is allocated and posting cannot run
 * out of anything. */
#ifndef HARK_MESSAGE_H
#define HARK_MESSAGE_H

#include <hark/base.h>

HARK_BEGIN_DECLS

/* Usually the first member of the caller's own struct. Zeroed but for handle_message, it is a
 * message that is not queued. While it is queued it must stay where it is. */
struct hark_message {
	void (*handle_message)(struct hark_message *m, struct hark_reactor *r);

	/* Private. */
	struct hark_reactor *hark_reactor;
	struct hark_message *hark_next;
	struct hark_link hark_link;
	int hark_queued;
};

/* Makes *m a message that is not queued. Any thread. Not for one that is queued. */
HARK_API void hark_message_init(struct hark_message *m,
                                void (*handle_message)(struct hark_message *m,
                                                       struct hark_reactor *r));

/* Queues m for r and wakes r. Any thread, also a callback of r itself; r must not be freed
 * meanwhile. The messages of one thread are handled in the order in which it posted them. m is
 * no longer queued when handle_message is called, which may therefore post it again (it then runs
 * in the next turn) or free it. A queued message keeps hark_reactor_run going. Returns 0,
 * -EALREADY when m is queued already, here or on another reactor (it runs once), or -EINVAL when
 * r, m or its handle_message is NULL. */
HARK_API int hark_post(struct hark_reactor *r, struct hark_message *m);

/* Takes m back from r's queue: when it returns, hark holds no pointer to m, unless another thread
 * is posting m at the same time. The owner of r only. Returns true if m was queued on r and will
 * not be handled, false otherwise. */
HARK_API bool hark_message_withdraw(struct hark_reactor *r, struct hark_message *m);

HARK_END_DECLS

#endif
