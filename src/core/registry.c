/* registry.c - which backends there are, and which one a reactor gets. */
#include "core/core.h"
#include "sys/sys.h"
#include "wrappers/wrappers.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_OF(name) &hark__##name,

static const struct hark_backend *const built_in[] = {HARK_BUILTIN_BACKENDS(ADDRESS_OF)};
static const struct hark_backend *const wrappers[] = {&hark__trace, &hark__chaos, &hark__virtual,
                                                      NULL};

#define BUILT_IN_COUNT ((unsigned)(sizeof built_in / sizeof built_in[0]))
#define REGISTERED_MAX 16u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct hark_backend *registered[REGISTERED_MAX];
static unsigned registered_count;

static const struct hark_backend *at(unsigned index)
{
	if (index < BUILT_IN_COUNT)
		return built_in[index];
	index -= BUILT_IN_COUNT;
	return index < registered_count ? registered[index] : NULL;
}

const struct hark_backend *hark_backend_at(unsigned index)
{
	const struct hark_backend *backend;

	pthread_mutex_lock(&lock);
	backend = at(index);
	pthread_mutex_unlock(&lock);
	return backend;
}

static const struct hark_backend *built_in_wrapper(const char *name)
{
	for (unsigned i = 0; wrappers[i] != NULL; i++)
		if (strcmp(wrappers[i]->name, name) == 0)
			return wrappers[i];
	return NULL;
}

const struct hark_backend *hark__find_backend(const char *name)
{
	const struct hark_backend *backend;

	for (unsigned i = 0; (backend = hark_backend_at(i)) != NULL; i++)
		if (strcmp(backend->name, name) == 0)
			return backend;
	return built_in_wrapper(name);
}

static bool name_is_well_formed(const char *name)
{
	if (name == NULL || *name == '\0')
		return false;
	for (; *name != '\0'; name++)
		if (!isalnum((unsigned char)*name) && *name != '-' && *name != '_')
			return false;
	return true;
}

static bool is_wrapper(const struct hark_backend *backend)
{
	return backend->can & HARK_CAN_WRAP;
}

/* Has it all that it needs, and nothing that would never be called? */
static bool is_complete(const struct hark_backend *backend)
{
	if (is_wrapper(backend))
		return true;
	return backend->open != NULL && backend->close != NULL && backend->modify != NULL &&
	       backend->wait != NULL && backend->ready == NULL && backend->refuse == NULL &&
	       backend->io == NULL;
}

int hark_backend_register(const struct hark_backend *backend)
{
	int rc = 0;

	if (backend == NULL || !name_is_well_formed(backend->name) || !is_complete(backend))
		return -EINVAL;
	if (built_in_wrapper(backend->name) != NULL)
		return -EEXIST;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; at(i) != NULL; i++)
		if (strcmp(at(i)->name, backend->name) == 0)
			rc = -EEXIST;
	if (rc == 0 && registered_count == REGISTERED_MAX)
		rc = -ENOSPC;
	if (rc == 0)
		registered[registered_count++] = backend;
	pthread_mutex_unlock(&lock);
	return rc;
}

static int open_one(struct hark_reactor *r, const struct hark_backend *backend)
{
	int error = -ENOMEM;

	r->backend = backend;
	r->why[0] = '\0';
	r->state = calloc(1, backend->state_size + 1);
	r->spare = calloc(1, backend->state_size + 1);
	if (r->state != NULL && r->spare != NULL)
		error = backend->open(r->state, &r->port);
	if (error < 0) {
		free(r->state);
		free(r->spare);
		r->state = r->spare = NULL;
	}
	return error;
}

void hark__close_backend(struct hark_reactor *r)
{
	if (r->chain != NULL)
		hark__chain_close(r);
	r->backend->close(r->state, hark__forked(r));
	free(r->state);
	free(r->spare);
	r->state = r->spare = NULL;
	hark__chain_free(r);
}

/* In words, why what was opened did not open. */
static const char *reason(const struct hark_reactor *r, int error)
{
	return r->why[0] != '\0' ? r->why : strerror(-error);
}

static void add_name(char *names, size_t size, const char *name)
{
	size_t length = strlen(names);

	snprintf(names + length, size - length, "%s%s", length > 0 ? ", " : "", name);
}

/* Writes the names of the backends that can be opened now, comma-separated. */
static void names_that_work(struct hark_reactor *r, char *names, size_t size)
{
	const struct hark_backend *backend;

	names[0] = '\0';
	for (unsigned i = 0; (backend = hark_backend_at(i)) != NULL; i++) {
		if (is_wrapper(backend) || open_one(r, backend) < 0)
			continue;
		hark__close_backend(r);
		add_name(names, size, backend->name);
	}
	if (names[0] == '\0')
		add_name(names, size, "none");
}

/* Writes the names of all wrappers. */
static void names_of_wrappers(char *names, size_t size)
{
	const struct hark_backend *backend;

	names[0] = '\0';
	for (unsigned i = 0; wrappers[i] != NULL; i++)
		add_name(names, size, wrappers[i]->name);
	for (unsigned i = 0; (backend = hark_backend_at(i)) != NULL; i++)
		if (is_wrapper(backend))
			add_name(names, size, backend->name);
}

static int open_named(struct hark_reactor *r, const char *name, const struct hark_options *options)
{
	const struct hark_backend *backend = hark__find_backend(name);
	int error = backend != NULL             ? open_one(r, backend)
	            : name_is_well_formed(name) ? -ENOENT
	                                        : -EINVAL;
	char why[sizeof r->why], names[256];

	if (error == 0)
		return 0;
	snprintf(why, sizeof why, "%s", reason(r, error));
	names_that_work(r, names, sizeof names);
	if (backend == NULL)
		hark__why(options, "there is no backend '%s'; those that work here: %s", name,
		          names);
	else
		hark__why(options, "the backend '%s' does not work here: %s; those that do: %s",
		          name, why, names);
	return error;
}

static bool is_chain(const char *name)
{
	const struct hark_backend *backend = hark__find_backend(name);

	return strpbrk(name, ":=") != NULL || (backend != NULL && is_wrapper(backend));
}

/* Opens r->chain, whose name says nothing wrong. */
static int open_links(struct hark_reactor *r, const char *name, const struct hark_options *options)
{
	const char *failed = strrchr(name, ':') + 1;
	int error = open_one(r, hark__chain_face(r));
	char why[sizeof r->why], names[256];

	if (error == 0) {
		error = hark__chain_open(r, &failed);
		if (error == 0)
			return 0;
		hark__why(options, "the chain '%s': %s: %s", name, failed, reason(r, error));
		hark__close_backend(r);
		return error;
	}
	snprintf(why, sizeof why, "%s", reason(r, error));
	hark__chain_free(r);
	names_that_work(r, names, sizeof names);
	hark__why(options, "the chain '%s': '%s' does not work here: %s; those that do: %s", name,
	          failed, why, names);
	return error;
}

static int open_chain(struct hark_reactor *r, const char *name, const struct hark_options *options)
{
	char why[256], names[256], wraps[256];
	int error = hark__chain_make(r, name, why, sizeof why);

	if (error == 0)
		return open_links(r, name, options);
	if (error == -ENOENT) {
		names_that_work(r, names, sizeof names);
		names_of_wrappers(wraps, sizeof wraps);
		hark__why(options, "the chain '%s': %s; wrappers: %s; backends that work here: %s",
		          name, why, wraps, names);
	} else {
		hark__why(options, "the chain '%s': %s", name, why);
	}
	return error;
}

static bool is_shortage(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

/* The best that works here. One that fails for a shortage would work: to replace it by a lesser
 * one for that would surprise. */
static int open_best(struct hark_reactor *r, const struct hark_options *options)
{
	int error = -ENOENT;

	for (unsigned i = 0; i < BUILT_IN_COUNT; i++) {
		error = open_one(r, built_in[i]);
		if (error == 0)
			return 0;
		hark__why(options, "the backend '%s' does not work here: %s", built_in[i]->name,
		          reason(r, error));
		if (is_shortage(error))
			break;
	}
	return error;
}

int hark__open_backend(struct hark_reactor *r, const struct hark_options *options)
{
	const char *name =
		options->backend != NULL ? options->backend : hark__getenv("HARK_BACKEND");
	int error;

	if (name != NULL && (*name != '\0' || options->backend != NULL))
		return is_chain(name) ? open_chain(r, name, options) : open_named(r, name, options);
	error = open_best(r, options);
	if (error == 0)
		hark__why(options, "%s", "");
	return error;
}
