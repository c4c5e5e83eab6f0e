/* main.c - hark-bench: what one waits for, and what hark adds to it. The command line. */
#include "bench.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <hark/base.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUICK_END HARK_S(25) /* when --quick begins nothing more */
#define MOST 1000000         /* descriptors, or active ones, that make sense */

static const char help[] =
	"usage: hark-bench [options]\n"
	"Measures hark on each of its backends against the same system call used by hand (raw).\n"
	"\n"
	"  --quick               short slices and 3 rounds: within 30 s\n"
	"  --workload LIST       ring, churn\n"
	"  --backend LIST        epoll, kqueue, poll, select\n"
	"  --transport LIST      unix, tcp\n"
	"  --descriptors LIST    how many are watched: 100,1000,5000,10000\n"
	"  --active LIST         how many bytes are under way\n"
	"  --rounds N            rounds of each measurement: 15, or 3 if quick\n"
	"  --json FILE           write the results to FILE as well\n"
	"  --list                show the workloads and backends, and why one is missing\n"
	"  --help, --version\n"
	"\n"
	"A LIST has commas between its items. Without the options that choose, all is measured.\n"
	"hark-bench(1) says what the numbers mean.\n";

static void complain(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

static void complain(const char *format, va_list args)
{
	fflush(stdout);
	fprintf(stderr, "%shark-bench: ", isatty(STDERR_FILENO) ? "\r\033[K" : "");
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void usage_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(format, args);
	va_end(args);
	exit(2);
}

void broken(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(format, args);
	va_end(args);
	exit(1);
}

void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count > 0 ? count : 1, size);

	if (memory == NULL)
		broken("out of memory");
	return memory;
}

static unsigned parse_number(const char *option, const char *text, unsigned most)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < 1 ||
	    value > most)
		usage_error("--%s: '%s' is not a number from 1 to %u", option, text, most);
	return (unsigned)value;
}

/* The next item of a list, which is cut up; NULL at its end. */
static char *next_item(const char *option, char **rest)
{
	char *item = *rest;

	if (item == NULL)
		return NULL;
	*rest = strchr(item, ',');
	if (*rest != NULL)
		*(*rest)++ = '\0';
	if (item[0] == '\0')
		usage_error("--%s: an item of the list is empty", option);
	return item;
}

static unsigned list_length(const char *list)
{
	unsigned length = 1;

	for (; *list != '\0'; list++)
		length += *list == ',';
	return length;
}

static void parse_names(const char *option, char *list, const char *const *names, unsigned count,
                        bool *chosen)
{
	char *item;

	memset(chosen, 0, count * sizeof *chosen);
	while ((item = next_item(option, &list)) != NULL) {
		unsigned i = 0;

		while (i < count && strcmp(names[i], item) != 0)
			i++;
		if (i == count)
			usage_error("--%s: unknown '%s'; --list shows what there is", option, item);
		chosen[i] = true;
	}
}

static void parse_backends(char *list, struct wishes *wishes)
{
	char *item;

	free(wishes->backends);
	wishes->backends = allocate(list_length(list), sizeof *wishes->backends);
	wishes->backend_count = 0;
	while ((item = next_item("backend", &list)) != NULL) {
		if (!backend_known(item))
			usage_error("--backend: unknown '%s'; --list shows what there is", item);
		wishes->backends[wishes->backend_count++] = item;
	}
}

static unsigned parse_numbers(const char *option, char *list, unsigned **numbers)
{
	unsigned count = 0;
	char *item;

	free(*numbers);
	*numbers = allocate(list_length(list), sizeof **numbers);
	while ((item = next_item(option, &list)) != NULL)
		(*numbers)[count++] = parse_number(option, item, MOST);
	return count;
}

/* That the file can be written is better known before the run; what it holds stays till after. */
static void check_writable(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd >= 0) {
		unlink(path);
	} else if (errno == EEXIST) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
	}
	if (fd < 0)
		usage_error("--json: cannot write '%s': %s", path, strerror(errno));
	close(fd);
}

enum {
	QUICK = 1,
	WORKLOAD,
	BACKEND,
	TRANSPORT,
	DESCRIPTORS,
	ACTIVE,
	ROUNDS,
	JSON,
	LIST,
	HELP,
	VERSION
};

static const struct option options[] = {
	{"quick", no_argument, NULL, QUICK},
	{"workload", required_argument, NULL, WORKLOAD},
	{"backend", required_argument, NULL, BACKEND},
	{"transport", required_argument, NULL, TRANSPORT},
	{"descriptors", required_argument, NULL, DESCRIPTORS},
	{"active", required_argument, NULL, ACTIVE},
	{"rounds", required_argument, NULL, ROUNDS},
	{"json", required_argument, NULL, JSON},
	{"list", no_argument, NULL, LIST},
	{"help", no_argument, NULL, HELP},
	{"version", no_argument, NULL, VERSION},
	{NULL, 0, NULL, 0},
};

static const char *parse(int argc, char **argv, struct plan *plan, struct wishes *wishes)
{
	const char *json = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case QUICK:
			plan->quick = true;
			break;
		case WORKLOAD:
			parse_names("workload", optarg, work_names, WORK_COUNT, wishes->works);
			break;
		case BACKEND:
			parse_backends(optarg, wishes);
			break;
		case TRANSPORT:
			parse_names("transport", optarg, transport_names, 2, wishes->transports);
			break;
		case DESCRIPTORS:
			wishes->descriptor_count =
				parse_numbers("descriptors", optarg, &wishes->descriptors);
			break;
		case ACTIVE:
			wishes->active_count = parse_numbers("active", optarg, &wishes->active);
			break;
		case ROUNDS:
			plan->rounds = parse_number("rounds", optarg, 1000);
			break;
		case JSON:
			json = optarg;
			break;
		case LIST:
			list_all();
			exit(0);
		case HELP:
			fputs(help, stdout);
			exit(0);
		case VERSION:
			printf("hark-bench %s\n", HARK_VERSION);
			exit(0);
		default:
			exit(2); /* getopt has said why */
		}
	}
	if (optind < argc)
		usage_error("'%s' is no option; --help shows them", argv[optind]);
	if (plan->rounds == 0)
		plan->rounds = plan->quick ? 3 : 15;
	return json;
}

int main(int argc, char **argv)
{
	struct wishes wishes = {.works = {true, true}, .transports = {true, true}};
	struct plan plan = {.rounds = 0};
	const char *json = parse(argc, argv, &plan, &wishes);
	const int64_t start = now();
	int error = 0;

	if (json != NULL)
		check_writable(json);
	plan_make(&plan, &wishes);
	system_pin();
	report_head();
	for (unsigned i = 0; i < plan.cell_count; i++) {
		if (plan.quick && now() - start > QUICK_END) {
			note(&plan,
			     "no time for the last %u of %u measurements: the machine is busy",
			     plan.cell_count - i, plan.cell_count);
			plan_cut(&plan, i);
			break;
		}
		measure(&plan, &plan.cells[i], i);
		report_cell(&plan.cells[i]);
	}
	if (json != NULL)
		error = report_json(&plan, json);
	if (error < 0)
		broken("cannot write '%s': %s", json, strerror(-error));
	plan_free(&plan);
	free(wishes.backends);
	free(wishes.descriptors);
	free(wishes.active);
	return 0;
}
