/* main.c - hark-bench: what one waits for, and what hark adds to it. The command line. */
#include "bench.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <hark/base.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUICK_END HARK_S(52) /* when --quick begins nothing more */
#define MOST 1000000         /* descriptors, active ones, or timers that make sense */
#define THREADS_MOST 64

static const char help[] =
	"usage: hark-bench [options]\n"
	"Measures hark on each of its backends, and other libraries, against the same done by "
	"hand\n"
	"(raw).\n"
	"\n"
	"  --quick               short slices and 3 rounds: within 60 s\n"
	"  --workload LIST       ring, churn, coalesced, idle-timer, dispatch, echo, setup,\n"
	"                        timers, post: see below\n"
	"  --operation LIST      of setup: add, remove; of timers: mix, refresh, expire;\n"
	"                        of post: flood, wake\n"
	"  --driver LIST         hark, raw, libevent, libev, libuv, ivykis\n"
	"  --backend LIST        epoll, io_uring, kqueue, poll, select\n"
	"  --transport LIST      unix, tcp, pipe\n"
	"  --descriptors LIST    how many are watched: 100,1000,5000,10000\n"
	"  --active LIST         how many bytes are under way\n"
	"  --outstanding LIST    how many timers are pending: 10000,100000,1000000\n"
	"  --threads LIST        how many post: 1,2,4\n"
	"  --rounds N            rounds of each measurement: 9, or 3 if quick\n"
	"  --seed N              of the random order within each round; default: another each "
	"time\n"
	"  --json FILE           write the results to FILE as well\n"
	"  --csv FILE            the same, for spreadsheets\n"
	"  --baseline FILE       compare with what --json wrote to FILE; status 1 if a ratio is "
	"worse\n"
	"  --report DIR          the same as DIR/results.json and results.csv; ./dev bench draws\n"
	"                        DIR/index.html as well\n"
	"  --list                show the workloads and backends, and why one is missing\n"
	"  --help, --version\n"
	"\n"
	"A LIST has commas between its items. Without the options that choose, all is measured.\n"
	"hark-bench(1) says what the numbers mean. The workloads:\n"
	"\n";

static void complain(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

static void complain(const char *format, va_list args)
{
	fflush(stdout);
	fprintf(stderr, "%shark-bench: ", isatty(STDERR_FILENO) ? "\r\033[K" : "");
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(format, args);
	va_end(args);
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

static unsigned workload_count(void)
{
	unsigned count = 0;

	while (workloads[count] != NULL)
		count++;
	return count;
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

static void parse_workloads(char *list, struct wishes *wishes)
{
	const unsigned count = workload_count();
	const char **names = allocate(count, sizeof *names);

	for (unsigned i = 0; i < count; i++)
		names[i] = workloads[i]->name;
	parse_names("workload", list, names, count, wishes->works);
	free(names);
}

/* Into *chosen, whose items stay in the text. Returns how many. */
static unsigned parse_known(const char *option, char *text, bool (*known)(const char *name),
                            const char ***chosen)
{
	unsigned count = 0;
	char *item;

	free(*chosen);
	*chosen = allocate(list_length(text), sizeof **chosen);
	while ((item = next_item(option, &text)) != NULL) {
		if (!known(item))
			usage_error("--%s: unknown '%s'; --list shows what there is", option, item);
		(*chosen)[count++] = item;
	}
	return count;
}

static void parse_numbers(const char *option, char *text, unsigned most, struct list *list)
{
	char *item;

	free(list->numbers);
	list->numbers = allocate(list_length(text), sizeof *list->numbers);
	list->count = 0;
	while ((item = next_item(option, &text)) != NULL)
		list->numbers[list->count++] = parse_number(option, item, most);
}

/* The files that results are written to, and compared with, or not: NULL. */
struct files {
	const char *json, *csv;
	const char *report; /* a directory for both */
	struct baseline *baseline;
};

/* That the file can be written is better known before the run; what it holds stays till after. */
static void check_writable(const char *option, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd >= 0) {
		unlink(path);
	} else if (errno == EEXIST) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
	}
	if (fd < 0)
		usage_error("--%s: cannot write '%s': %s", option, path, strerror(errno));
	close(fd);
}

static const char *path_in(const char *directory, const char *name, char path[PATH_MAX])
{
	if (snprintf(path, PATH_MAX, "%s/%s", directory, name) >= PATH_MAX)
		usage_error("--report: the name '%s' is too long", directory);
	return path;
}

/* It is made if it is not there. */
static void check_directory(const char *directory)
{
	char path[PATH_MAX];

	if (mkdir(directory, 0777) < 0 && errno != EEXIST)
		usage_error("--report: cannot make '%s': %s", directory, strerror(errno));
	check_writable("report", path_in(directory, "results.json", path));
	check_writable("report", path_in(directory, "results.csv", path));
}

static FILE *open_file(const char *path)
{
	FILE *file = fopen(path, "w");

	if (file == NULL)
		broken("cannot write '%s': %s", path, strerror(errno));
	return file;
}

static void close_file(FILE *file, const char *path, bool written)
{
	int error = written && fflush(file) == 0 ? 0 : errno;

	if (fclose(file) == EOF && error == 0)
		error = errno;
	if (error != 0)
		broken("cannot write '%s': %s", path, strerror(error));
}

static void save_json(const char *path, const struct machine *machine, const struct plan *plan)
{
	FILE *file = open_file(path);

	close_file(file, path, report_json(machine, plan, file));
}

static void save_csv(const char *path, const struct plan *plan)
{
	FILE *file = open_file(path);

	close_file(file, path, report_csv(plan, file));
}

static void save(const struct files *files, const struct machine *machine, const struct plan *plan)
{
	char path[PATH_MAX];

	if (files->json != NULL)
		save_json(files->json, machine, plan);
	if (files->csv != NULL)
		save_csv(files->csv, plan);
	if (files->report != NULL) {
		save_json(path_in(files->report, "results.json", path), machine, plan);
		save_csv(path_in(files->report, "results.csv", path), plan);
	}
}

enum {
	QUICK = 1,
	WORKLOAD,
	OPERATION,
	BACKEND,
	DRIVER,
	TRANSPORT,
	DESCRIPTORS,
	ACTIVE,
	OUTSTANDING,
	THREADS,
	ROUNDS,
	SEED,
	JSON,
	CSV,
	BASELINE,
	REPORT,
	LIST,
	HELP,
	VERSION
};

static const struct option options[] = {
	{"quick", no_argument, NULL, QUICK},
	{"workload", required_argument, NULL, WORKLOAD},
	{"operation", required_argument, NULL, OPERATION},
	{"backend", required_argument, NULL, BACKEND},
	{"driver", required_argument, NULL, DRIVER},
	{"transport", required_argument, NULL, TRANSPORT},
	{"descriptors", required_argument, NULL, DESCRIPTORS},
	{"active", required_argument, NULL, ACTIVE},
	{"outstanding", required_argument, NULL, OUTSTANDING},
	{"threads", required_argument, NULL, THREADS},
	{"rounds", required_argument, NULL, ROUNDS},
	{"seed", required_argument, NULL, SEED},
	{"json", required_argument, NULL, JSON},
	{"csv", required_argument, NULL, CSV},
	{"baseline", required_argument, NULL, BASELINE},
	{"report", required_argument, NULL, REPORT},
	{"list", no_argument, NULL, LIST},
	{"help", no_argument, NULL, HELP},
	{"version", no_argument, NULL, VERSION},
	{NULL, 0, NULL, 0},
};

/* Parsing cuts the arguments up. */
static char **copy_arguments(int argc, char **argv)
{
	char **arguments = allocate((size_t)argc, sizeof *arguments);

	for (int i = 1; i < argc; i++) {
		arguments[i - 1] = strdup(argv[i]);
		if (arguments[i - 1] == NULL)
			broken("out of memory");
	}
	return arguments;
}

static void parse(int argc, char **argv, struct plan *plan, struct wishes *wishes,
                  struct files *files)
{
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case QUICK:
			plan->quick = true;
			break;
		case WORKLOAD:
			parse_workloads(optarg, wishes);
			break;
		case OPERATION:
			parse_names("operation", optarg, &job_names[FIRST_OPERATION],
			            JOB_COUNT - FIRST_OPERATION, &wishes->jobs[FIRST_OPERATION]);
			break;
		case BACKEND:
			wishes->backend_count =
				parse_known("backend", optarg, backend_known, &wishes->backends);
			break;
		case DRIVER:
			wishes->driver_count =
				parse_known("driver", optarg, driver_known, &wishes->drivers);
			break;
		case TRANSPORT:
			parse_names("transport", optarg, transport_names, OVER_COUNT,
			            wishes->transports);
			break;
		case DESCRIPTORS:
			parse_numbers("descriptors", optarg, MOST, &wishes->descriptors);
			break;
		case ACTIVE:
			parse_numbers("active", optarg, MOST, &wishes->active);
			break;
		case OUTSTANDING:
			parse_numbers("outstanding", optarg, MOST, &wishes->outstanding);
			break;
		case THREADS:
			parse_numbers("threads", optarg, THREADS_MOST, &wishes->threads);
			break;
		case ROUNDS:
			plan->rounds = parse_number("rounds", optarg, 1000);
			break;
		case SEED:
			plan->seed = parse_number("seed", optarg, INT32_MAX);
			break;
		case JSON:
			files->json = optarg;
			check_writable("json", files->json);
			break;
		case CSV:
			files->csv = optarg;
			check_writable("csv", files->csv);
			break;
		case REPORT:
			files->report = optarg;
			check_directory(files->report);
			break;
		case BASELINE:
			baseline_free(files->baseline);
			files->baseline = baseline_load(optarg);
			break;
		case LIST:
			list_all();
			exit(0);
		case HELP:
			fputs(help, stdout);
			list_workloads();
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
		plan->rounds = plan->quick ? 3 : 9;
	while (plan->seed == 0)
		plan->seed = (uint32_t)now() & INT32_MAX;
}

int main(int argc, char **argv)
{
	struct wishes wishes = {.works = NULL};
	struct plan plan = {.rounds = 0};
	struct machine machine = {.pinned = -1};
	const int64_t start = now();
	struct files files = {.json = NULL};
	unsigned slower = 0;

	wishes.works = allocate(workload_count(), sizeof *wishes.works);
	memset(wishes.works, true, workload_count() * sizeof *wishes.works);
	memset(wishes.jobs, true, sizeof wishes.jobs);
	memset(wishes.transports, true, sizeof wishes.transports);
	plan.arguments = copy_arguments(argc, argv);
	parse(argc, argv, &plan, &wishes, &files);
	plan_make(&plan, &wishes);
	if (files.baseline != NULL)
		baseline_check(files.baseline, &plan);
	machine_look(&machine);
	machine.pinned = system_pin();
	report_head(&machine, &plan);
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
	save(&files, &machine, &plan);
	if (files.baseline != NULL)
		slower = baseline_compare(files.baseline, &plan);
	baseline_free(files.baseline);
	plan_free(&plan);
	free(wishes.works);
	free(wishes.backends);
	free(wishes.drivers);
	free(wishes.descriptors.numbers);
	free(wishes.active.numbers);
	free(wishes.outstanding.numbers);
	free(wishes.threads.numbers);
	return slower > 0;
}
