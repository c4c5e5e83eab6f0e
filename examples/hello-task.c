/* hello-task.c - a task: straight-line code that waits, while its reactor serves others. */
#include "common.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char program[] = "hello-task";

/* What a task has to remember while it waits is here, since its local variables do not last. */
struct hello {
	struct hark_task task;
	const char *whom;
};

static ssize_t hello(struct hark_task *t)
{
	struct hello *h = (struct hello *)t;
	ssize_t n;

	HARK_TASK_BEGIN(t);
	printf("hello, %s\n", h->whom);
	/* The function is left here, and goes on here when the time has come. */
	HARK_AWAIT(t, n, hark_await_delay(t, HARK_MS(500)));
	if (n < 0) /* the task is being cancelled */
		return n;
	printf("goodbye, %s\n", h->whom);
	HARK_TASK_END(t);
	return 42;
}

static const struct hark_task_ops hello_ops = {.run = hello, .name = "hello"};

struct arguments {
	const char *whom, *backend;
};

static void print_help(void)
{
	puts("usage: hello-task [--backend NAME] [WHOM]\n"
	     "Greets WHOM (world), waits for half a second, and prints the task's result, 42.\n"
	     "  --backend NAME  hark backend (the environment's HARK_BACKEND, else the best)\n"
	     "  --help          this text");
	exit(0);
}

static struct arguments parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{"backend", required_argument, NULL, 'b'},
		{"help", no_argument, NULL, 'H'},
		{NULL, 0, NULL, 0},
	};
	struct arguments a = {.whom = "world"};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			a.backend = optarg;
			break;
		case 'H':
			print_help();
			break;
		default: /* getopt_long has said why */
			exit(2);
		}
	}
	if (optind < argc)
		a.whom = argv[optind++];
	if (optind < argc)
		fail("'%s' is one too many; --help lists the arguments", argv[optind]);
	return a;
}

int main(int argc, char **argv)
{
	struct arguments a = parse_arguments(argc, argv);
	struct hark_reactor *r = make_reactor(a.backend);
	struct hello h = {.whom = a.whom};
	ssize_t result;

	(void)setvbuf(stdout, NULL, _IOLBF, 0); /* each line at once, also into a pipe */
	stop_on_signals(r, NULL);
	hark_task_init(&h.task, &hello_ops);
	result = hark_task_run(r, &h.task);
	if (result >= 0)
		printf("%zd\n", result);
	else
		report("%s", result == -EINTR ? "interrupted" : strerror((int)-result));

	(void)hark_task_cancel(&h.task); /* ends it if it was interrupted */
	hark_reactor_free(r);
	return result < 0 ? 1 : 0;
}
