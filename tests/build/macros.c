/* macros.c - a task as programs write them, with the macros wherever a statement may be; it is
 * valid in gnu90, C11 and C++11, and prints what it did. */
#include <hark/reactor.h>
#include <hark/task.h>
#include <stdio.h>

struct adder {
	struct hark_task task;
	struct adder *helper;
	int steps, i;
	ssize_t sum;
};

static ssize_t add(struct hark_task *t)
{
	struct adder *a = (struct adder *)t;
	ssize_t n;

	HARK_TASK_BEGIN(t);
	for (a->i = 0; a->i < a->steps; a->i++)
		HARK_AWAIT(t, n, hark_await_delay(t, HARK_US(1)));
	if (a->helper != NULL)
		HARK_AWAIT(t, n, hark_await_task(t, &a->helper->task, HARK_NEVER));
	else
		HARK_AWAIT(t, n, hark_await_until(t, 0));
	if (n < 0)
		return n;
	a->sum += n + a->i;
	do
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV, HARK_NEVER));
	while (n >= 0);
	while (a->i > 0) {
		int left; /* of this round only */

		HARK_AWAIT(t, n, hark_await_delay(t, 0));
		left = --a->i;
		if (left == 1)
			break;
	}
	HARK_TASK_END(t);
	return n < 0 ? n : a->sum;
}

static void print(struct hark_task *t, ssize_t result)
{
	printf("%s %ld\n", t->ops->name, (long)result);
}

static const struct hark_task_ops ops = {add, print, "adder"};

int main(void)
{
	static struct adder first, second;
	struct hark_reactor *r;
	ssize_t sum;

	if (hark_reactor_new(&r, NULL) < 0)
		return 1;
	hark_task_init(&first.task, &ops);
	hark_task_init(&second.task, &ops);
	first.steps = 2;
	first.helper = &second;
	second.steps = 3;
	sum = hark_task_run(r, &first.task);
	hark_reactor_free(r);
	return sum == 5 ? 0 : 1;
}
