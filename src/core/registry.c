/* registry.c - which backends there are, and which one a reactor gets. */
#include "core/core.h"
#include "sys/sys.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_OF(name) &hark__##name,

static const struct hark_backend *const built_in[] = {HARK_BUILTIN_BACKENDS(ADDRESS_OF)};

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

static const struct hark_backend *find(const char *name)
{
	const struct hark_backend *backend;

	for (unsigned i = 0; (backend = hark_backend_at(i)) != NULL; i++)
		if (strcmp(backend->name, name) == 0)
			return backend;
	return NULL;
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

int hark_backend_register(const struct hark_backend *backend)
{
	int rc = 0;

	if (backend == NULL || !name_is_well_formed(backend->name) || backend->open == NULL ||
	    backend->close == NULL || backend->modify == NULL || backend->wait == NULL)
		return -EINVAL;
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
	r->backend->close(r->state, hark__forked(r));
	free(r->state);
	free(r->spare);
}

/* Writes the names of the backends that can be opened now, comma-separated. */
static void names_that_work(struct hark_reactor *r, char *names, size_t size)
{
	const struct hark_backend *backend;
	size_t length = 0;

	snprintf(names, size, "none");
	for (unsigned i = 0; (backend = hark_backend_at(i)) != NULL; i++) {
		if (open_one(r, backend) < 0)
			continue;
		hark__close_backend(r);
		length += (size_t)snprintf(names + length, size - length, "%s%s",
		                           length > 0 ? ", " : "", backend->name);
		if (length >= size)
			return;
	}
}

static int open_named(struct hark_reactor *r, const char *name, const struct hark_options *options)
{
	const struct hark_backend *backend = find(name);
	int error = backend != NULL             ? open_one(r, backend)
	            : name_is_well_formed(name) ? -ENOENT
	                                        : -EINVAL;
	char names[256];

	if (error == 0)
		return 0;
	names_that_work(r, names, sizeof names);
	if (backend == NULL)
		hark__why(options, "there is no backend '%s'; those that work here: %s", name,
		          names);
	else
		hark__why(options, "the backend '%s' does not work here: %s; those that do: %s",
		          name, strerror(-error), names);
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
		          strerror(-error));
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
		return open_named(r, name, options);
	error = open_best(r, options);
	if (error == 0)
		hark__why(options, "%s", "");
	return error;
}
