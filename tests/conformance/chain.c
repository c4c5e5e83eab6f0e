/* chain.c - wrappers before the backend under test: what a chain is, its names, its life. What
 * wrappers do to what passes them is in wrapper.c. */
#include "actor.h"
#include "bender.h"
#include "cases.h"
#include "faulty.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char why[512];

/* The backend under test behind these wrappers. */
static const char *behind(const char *wrappers)
{
	static char chain[300];

	snprintf(chain, sizeof chain, "%s:%s", wrappers, backend);
	return chain;
}

static int make(struct hark_reactor **r, const char *chain)
{
	struct hark_options options = {.backend = chain, .why = why, .why_size = sizeof why};

	*r = NULL;
	return hark_reactor_new(r, &options);
}

/* ---- Nothing but the name is another ---- */

static const struct hark_backend bare = {.name = "bare", .can = HARK_CAN_WRAP};

static unsigned letters;

static void count_letter(struct hark_message *m, struct hark_reactor *r)
{
	(void)m;
	(void)r;
	letters++;
}

/* Some of everything, the same on each reactor; its counts. */
static struct hark_stats some_work(struct hark_reactor *r)
{
	struct actor *a[3];
	struct hark_message m;
	struct hark_stats stats;

	hark_message_init(&m, count_letter);
	for (int i = 0; i < 3; i++)
		a[i] = actor_new(r);
	actor_make_edge(a[0]);
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 3; i++) {
			unsigned recvs = a[i]->recvs, sends = a[i]->sends;

			actor_feed(a[i], 2);
			turns_until(r, &a[i]->recvs, recvs + 2);
			a[i]->send = true;
			hark_handler_refresh(&a[i]->handler);
			turns_until(r, &a[i]->sends, sends + 1);
			a[i]->send = false;
			hark_handler_refresh(&a[i]->handler);
			settle(r, 8);
		}
		ck_assert_int_eq(hark_post(r, &m), 0);
		turns_until(r, &letters, letters + 1);
	}
	for (int i = 0; i < 3; i++)
		actor_free(a[i]);
	quiet(r, 10);
	hark_reactor_stats(r, &stats);
	stats.wakes = 0; /* a wake that is on its way may be seen one turn later */
	return stats;
}

START_TEST(wrapper_that_leaves_everything_out_changes_nothing)
{
	struct hark_reactor *plain, *wrapped;
	struct hark_stats with, without;

	ck_assert_int_eq(hark_backend_register(&bare), 0);
	ck_assert_int_eq(make(&plain, backend), 0);
	ck_assert_int_eq(make(&wrapped, behind("bare")), 0);
	ck_assert_str_eq(hark_reactor_backend(wrapped), behind("bare"));
	without = some_work(plain);
	with = some_work(wrapped);
	ck_assert_mem_eq(&with, &without, sizeof with);

	/* It can be embedded where the other can, and has no clock of its own. */
	ck_assert_int_eq(hark_reactor_fd(wrapped) < 0, hark_reactor_fd(plain) < 0);
	ck_assert_int_eq(hark_reactor_prepare(wrapped), hark_reactor_prepare(plain));
	int64_t before = clock_ns(), now = hark_reactor_now(wrapped);
	ck_assert(before <= now && now <= clock_ns());
	hark_reactor_free(plain);
	hark_reactor_free(wrapped);
}
END_TEST

START_TEST(wrapper_that_passes_everything_on_sees_it_all)
{
	struct hark_reactor *plain, *r = bender_reactor(behind(BENDER));
	struct bender *b = bender_at("");
	struct hark_stats with, without;
	unsigned verbs;

	ck_assert_int_eq(make(&plain, backend), 0);
	without = some_work(plain);
	with = some_work(r);
	ck_assert_mem_eq(&with, &without, sizeof with);
	/* To arm again what was used up is no change. */
	if (backend_is("io_uring"))
		ck_assert_uint_ge(b->modifies, with.changes);
	else
		ck_assert_uint_eq(b->modifies, with.changes);
	ck_assert_uint_eq(b->waits, with.waits);
	ck_assert_uint_eq(b->readies, with.events);
	ck_assert_uint_ge(b->reserves, 3);
	ck_assert_str_eq(b->name, "actor");
	ck_assert_uint_eq(b->refusals, 0);
	ck_assert_uint_gt(b->submits, 0);

	/* Each verb of a handler that is added, and of no other. */
	struct actor *a = actor_new(r);
	verbs = b->verbs;
	ck_assert_int_eq(hark_send(&a->handler, "x", 1), 1);
	ck_assert_uint_eq(b->verbs, verbs + 1);
	hark_handler_remove(&a->handler);
	ck_assert_int_eq(hark_send(&a->handler, "x", 1), 1);
	ck_assert_uint_eq(b->verbs, verbs + 1);
	ck_assert_int_eq(hark_handler_add(plain, &a->handler), 0);
	ck_assert_int_eq(hark_send(&a->handler, "x", 1), 1);
	ck_assert_uint_eq(b->verbs, verbs + 1);
	actor_free(a);
	hark_reactor_free(plain);
	hark_reactor_free(r);
	ck_assert_uint_eq(bender_closed, 1);
	ck_assert_uint_eq(bender_forked, 0);
}
END_TEST

/* ---- Order ---- */

/* Opened from the back, closed from the front; changes go back, reports come forward; who leaves
 * a function out is passed over. */
START_TEST(links_are_called_in_order)
{
	struct hark_reactor *r;
	struct actor *a;

	ck_assert_int_eq(hark_backend_register(&bare), 0);
	r = bender_reactor(behind("bender=a:bare:bender=b"));
	ck_assert_str_eq(bender_log, "open b, open a, ");
	a = actor_new(r);
	settle(r, 4);
	actor_feed(a, 1);
	bender_log[0] = '\0';
	turns_until(r, &a->recvs, 1);
	ck_assert_str_eq(bender_log, "wait a, wait b, ready b, ready a, verb a, verb b, ");
	bender_log[0] = '\0';
	hark_handler_remove(&a->handler);
	ck_assert_str_eq(bender_log, "modify a, modify b, ");
	actor_free(a);
	bender_log[0] = '\0';
	hark_reactor_free(r);
	ck_assert_str_eq(bender_log, "close a, close b, ");
}
END_TEST

/* Twice the same wrapper is two of them. */
START_TEST(links_have_states_of_their_own)
{
	struct hark_reactor *r = bender_reactor(behind("bender=a:bender=b"));
	struct bender *a = bender_at("a"), *b = bender_at("b");
	struct actor *actor = actor_new(r);

	ck_assert_ptr_ne(a, b);
	b->hold = true;
	actor_feed(actor, 1);
	turns_until(r, &actor->recvs, 1);
	ck_assert_uint_gt(b->readies, 0);
	ck_assert_uint_gt(a->readies, 0);
	ck_assert_uint_eq(a->held_count, 0);
	a->spurious = -2; /* a's alone */
	ck_assert_int_eq(b->spurious, -1);
	actor_free(actor);
	hark_reactor_free(r);
}
END_TEST

/* ---- Settings ---- */

START_TEST(settings_are_each_link_s_own)
{
	char *chain = strdup(behind("bender=seed=42,x y:bender=:bender"));
	struct hark_reactor *r = bender_reactor(chain);

	/* Whatever becomes of the name that was given. */
	ck_assert_str_eq(hark_reactor_backend(r), chain);
	memset(chain, '#', strlen(chain));
	free(chain);
	ck_assert_str_eq(bender_log, "open , open , open seed=42,x y, ");
	ck_assert_str_eq(hark_port_settings(bender_at("seed=42,x y")->up), "seed=42,x y");
	ck_assert_str_eq(hark_reactor_backend(r), behind("bender=seed=42,x y:bender=:bender"));
	hark_reactor_free(r);

	/* None, and empty ones. */
	r = bender_reactor(behind("bender"));
	ck_assert_ptr_null(hark_port_settings(bender_at("")->up));
	hark_reactor_free(r);
	r = bender_reactor(behind("bender="));
	ck_assert_str_eq(hark_port_settings(bender_at("")->up), "");
	hark_reactor_free(r);
}
END_TEST

/* ---- What is wrong, in words ---- */

static void refused(const char *chain, int error, const char *words)
{
	struct hark_reactor *r;
	int got = make(&r, chain);

	ck_assert_msg(got == error, "'%s': %d instead of %d: %s", chain, got, error, why);
	ck_assert_ptr_null(r);
	ck_assert_msg(strstr(why, words), "'%s': '%s' does not say '%s'", chain, why, words);
	ck_assert_msg(strstr(why, chain), "'%s' does not name '%s'", why, chain);
	ck_assert_msg(!strchr(why, '\n'), "more than a line: '%s'", why);
}

START_TEST(mistakes_are_called_by_their_names)
{
	char chain[300], words[300];

	bender_register();
	ck_assert_int_eq(hark_backend_register(&bare), 0);

	/* No wrapper, no backend, and what there is. */
	snprintf(words, sizeof words, "there is no wrapper 'nonesuch'; wrappers: trace, ");
	refused(behind("nonesuch"), -ENOENT, words);
	refused(behind("bender:nonesuch"), -ENOENT, words);
	ck_assert_ptr_nonnull(strstr(why, "bare"));
	ck_assert_ptr_nonnull(strstr(why, "bender"));
	refused("bender:nonesuch", -ENOENT, "there is no backend 'nonesuch'");
	ck_assert_ptr_nonnull(strstr(strstr(why, "backends that work here: "), backend));
	refused("bare:Bender:nonesuch", -ENOENT, "there is no wrapper 'Bender'");
	refused("bare: bender:nonesuch", -ENOENT, "there is no wrapper ' bender'");

	/* Links without a name. */
	refused("bare:", -EINVAL, "link 2 has no name");
	refused("bare::", -EINVAL, "link 2 has no name");
	refused(behind(""), -EINVAL, "link 1 has no name");
	refused(behind("bare:"), -EINVAL, "link 2 has no name");
	refused(behind("bare:=x"), -EINVAL, "link 2 has no name");
	refused(":", -EINVAL, "link 1 has no name");
	refused("=", -EINVAL, "link 1 has no name");

	/* In the wrong place. */
	snprintf(words, sizeof words, "'bare' needs a backend behind it, as in bare:%s",
	         hark_backend_at(0)->name);
	refused("bare", -EINVAL, words);
	refused("bare=x", -EINVAL, words);
	refused("bender:bare", -EINVAL, words);
	refused("trace", -EINVAL, "'trace' needs a backend behind it");
	snprintf(words, sizeof words, "'%s' wraps no other, and must be the last link", backend);
	snprintf(chain, sizeof chain, "%s:bare", backend);
	refused(chain, -EINVAL, words);
	refused(behind(backend), -EINVAL, words);
	snprintf(words, sizeof words, "'%s' has no settings", backend);
	snprintf(chain, sizeof chain, "bare:%s=1", backend);
	refused(chain, -EINVAL, words);
	snprintf(chain, sizeof chain, "%s=", backend);
	refused(chain, -EINVAL, words);

	/* Too many of them. */
	snprintf(chain, sizeof chain, "bare:bare:bare:bare:bare:bare:bare:bare:%s", backend);
	refused(chain, -EINVAL, "more than 8 links");
	ck_assert_int_eq(strncmp(bender_log, "", 1), 0); /* nothing was opened for any of these */
}
END_TEST

START_TEST(chain_of_eight_links_and_255_bytes_is_the_longest)
{
	char name[300];
	struct hark_reactor *r;
	struct actor *a;
	int length;

	r = bender_reactor(
		behind("bender=1:bender=2:bender=3:bender=4:bender=5:bender=6:bender=7"));
	a = actor_new(r);
	actor_feed(a, 2);
	turns_until(r, &a->recvs, 2);
	ck_assert_uint_gt(bender_at("7")->verbs, 0);
	actor_free(a);
	hark_reactor_free(r);

	for (int longest = 255; longest <= 256; longest++) {
		length = longest - (int)strlen(backend) - (int)strlen("bender=:");
		snprintf(name, sizeof name, "bender=%0*d:%s", length, 7, backend);
		ck_assert_uint_eq(strlen(name), (unsigned)longest);
		if (longest == 256) {
			ck_assert_int_eq(make(&r, name), -EINVAL);
			ck_assert_ptr_nonnull(strstr(why, "more than 255 bytes"));
		} else {
			ck_assert_int_eq(make(&r, name), 0);
			ck_assert_str_eq(hark_reactor_backend(r), name);
			hark_reactor_free(r);
		}
	}
}
END_TEST

static int never_open(void *state, struct hark_port *up)
{
	(void)state, (void)up;
	return -EPROTO;
}

static const struct hark_backend closed = {
	.name = "closed", .can = HARK_CAN_WRAP, .open = never_open};

START_TEST(wrapper_that_does_not_open_says_why)
{
	char endless[500];
	unsigned open;

	faulty_register();
	bender_register();
	open = open_descriptors();

	/* In its own words, cut if they are long, or in those of the errno. */
	bender_open_error = EPROTO;
	refused(behind("bender=x"), -EPROTO, strerror(EPROTO));
	ck_assert_ptr_nonnull(strstr(why, "': bender: "));
	bender_open_why = "the moon is full";
	refused(behind("bender=x"), -EPROTO, "': bender: the moon is full");
	memset(endless, 'y', sizeof endless - 1);
	endless[sizeof endless - 1] = '\0';
	bender_open_why = endless;
	refused(behind("bender"), -EPROTO, "': bender: yyyy");
	ck_assert_uint_eq(strspn(strstr(why, "yyyy"), "y"), 127);
	bender_open_why = NULL;
	refused(behind("bender"), -EPROTO, strerror(EPROTO)); /* not the words of the last time */
	bender_open_why = "nothing, I did open";
	bender_open_error = 0;
	ck_assert_int_eq(hark_backend_register(&closed), 0);
	refused(behind("closed:bender=b"), -EPROTO, strerror(EPROTO)); /* nor of another */
	bender_open_why = NULL;
	bender_log[0] = '\0';

	/* Those behind it are closed again. */
	refused("trace=/nonesuch/file:bender=b:" FAULTY_NAME, -ENOENT,
	        "trace: cannot append to '/nonesuch/file': ");
	ck_assert_str_eq(bender_log, "open b, close b, ");
	ck_assert_uint_eq(faulty.opened, 1);
	ck_assert_uint_eq(faulty.closed, 1);

	/* The last link does not open: what would work. */
	bender_log[0] = '\0';
	faulty.open = EPROTO;
	refused("bender=b:" FAULTY_NAME, -EPROTO, "'" FAULTY_NAME "' does not work here: ");
	ck_assert_ptr_nonnull(strstr(why, strerror(EPROTO)));
	ck_assert_ptr_nonnull(strstr(strstr(why, "those that do: "), backend));
	ck_assert_str_eq(bender_log, "");
	ck_assert(emulated("wrapper_that_does_not_open_says_why", OWN_DESCRIPTORS) ||
	          open_descriptors() == open);
}
END_TEST

START_TEST(chain_in_the_environment_is_taken)
{
	struct hark_reactor *r;

	bender_register();
	ck_assert_int_eq(setenv("HARK_BACKEND", behind("bender=env"), 1), 0);
	ck_assert_int_eq(hark_reactor_new(&r, NULL), 0);
	ck_assert_str_eq(hark_reactor_backend(r), behind("bender=env"));
	ck_assert_str_eq(bender_at("env")->settings, "env");
	hark_reactor_free(r);
	ck_assert_int_eq(setenv("HARK_BACKEND", behind("nonesuch"), 1), 0);
	ck_assert_int_eq(hark_reactor_new(&r, NULL), -ENOENT);
}
END_TEST

/* ---- Registering ---- */

static ssize_t no_io(void *state, struct hark_io *io)
{
	(void)state, (void)io;
	return -ENOSYS;
}

static bool no_ready(void *state, int fd, uint32_t generation, unsigned events)
{
	(void)state, (void)fd, (void)generation, (void)events;
	return true;
}

static void no_refuse(void *state, int fd, uint32_t generation, int error)
{
	(void)state, (void)fd, (void)generation, (void)error;
}

START_TEST(wrapper_is_registered_as_any_backend)
{
	static struct hark_backend b[4];
	struct hark_backend nameless = {.can = HARK_CAN_WRAP};
	struct hark_backend taken = {.name = "trace", .can = HARK_CAN_WRAP};
	const struct hark_backend *at;
	bool listed = false;

	ck_assert_int_eq(hark_backend_register(&nameless), -EINVAL);
	ck_assert_int_eq(hark_backend_register(&taken), -EEXIST);
	taken.name = backend;
	ck_assert_int_eq(hark_backend_register(&taken), -EEXIST);
	ck_assert_int_eq(hark_backend_register(&bare), 0);
	ck_assert_int_eq(hark_backend_register(&bare), -EEXIST);
	for (unsigned i = 0; (at = hark_backend_at(i)); i++)
		listed |= at == &bare;
	ck_assert(listed);

	/* What would never be called, or not be there when it is. */
	for (int i = 0; i < 4; i++) {
		b[i] = *hark_backend_at(0);
		b[i].name = "mine";
	}
	b[0].io = no_io;
	b[1].ready = no_ready;
	b[2].refuse = no_refuse;
	b[3].wait = NULL;
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(hark_backend_register(&b[i]), -EINVAL);
}
END_TEST

/* ---- Its life ---- */

/* A new kernel object for the last link; those before it are none the wiser. */
START_TEST(wrappers_outlive_the_kernel_object)
{
	struct hark_reactor *r;
	struct bender *b;
	struct actor *a, *edge;

	faulty_register();
	faulty = (struct faulty){.fd = -1};
	r = bender_reactor("bender=a:bender=b:" FAULTY_NAME);
	b = bender_at("b");
	a = actor_new(r);
	edge = actor_new(r);
	actor_make_edge(edge);
	for (unsigned i = 1; i <= 3; i++) {
		unsigned modifies = b->modifies;

		faulty.dead = true;
		settle(r, 4);
		ck_assert_uint_eq(stats_of(r).rebuilds, i);
		ck_assert_uint_eq(faulty.opened, 1 + i);
		ck_assert_uint_eq(faulty.closed, i);
		ck_assert_uint_ge(b->modifies, modifies + 3); /* both, and the waker */
		actor_feed(a, 2);
		actor_feed(edge, 2);
		turns_until(r, &a->recvs, 2 * i);
		turns_until(r, &edge->recvs, 2 * i);
		settle(r, 8);
		quiet(r, 10);
	}
	ck_assert_ptr_eq(bender_at("b"), b);
	ck_assert_uint_eq(bender_closed, 0);

	/* There is to be one, and it cannot be opened, or has no room: the old one serves on. */
	for (int i = 0; i < 2; i++) {
		faulty.dead = true;
		faulty.open = i ? 0 : EMFILE;
		faulty.reserve = i ? ENOMEM : 0;
		settle(r, 4);
		ck_assert_uint_eq(stats_of(r).rebuilds, 3);
		faulty.open = faulty.reserve = 0;
		actor_feed(a, 1);
		turns_until(r, &a->recvs, 7 + (unsigned)i);
		ck_assert_int_eq(hark_send(&a->handler, "x", 1), 1);
	}
	actor_free(a);
	actor_free(edge);
	hark_reactor_free(r);
	ck_assert_uint_eq(bender_closed, 2);
	ck_assert_uint_eq(faulty.opened, faulty.closed);
}
END_TEST

/* The kernel's own dead registration, where there is one. */
START_TEST(dead_registration_behind_wrappers)
{
	struct hark_reactor *r;
	struct actor *gone, *a;
	int keep;

	if (emulated("dead_registration_behind_wrappers", KNOTES_STAY))
		return;
	r = bender_reactor(behind("bender=a:bender=b"));
	gone = actor_new(r);
	a = actor_new(r);
	settle(r, 4);
	keep = dup(gone->handler.fd);
	close(gone->handler.fd);
	hark_handler_remove(&gone->handler);
	actor_feed(gone, 1);
	settle(r, 8);
	quiet(r, 10);
	if (backend_is("epoll"))
		ck_assert_uint_ge(stats_of(r).rebuilds, 1);
	actor_feed(a, 2);
	turns_until(r, &a->recvs, 2);
	close(keep);
	close(gone->peer);
	actor_forget(gone);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

struct forked {
	struct hark_reactor *r;
	struct actor *a;
	struct bender *b;
	bool goes_on;
};

static void child_of_chain(void *with)
{
	struct forked *f = with;
	unsigned waits = f->b->waits;

	if (f->goes_on) {
		ck_assert_int_eq(hark_reactor_after_fork(f->r), 0);
		ck_assert_ptr_eq(bender_at("a"), f->b); /* with all that it knew */
		actor_feed(f->a, 2);
		turns_until(f->r, &f->a->recvs, f->a->recvs + 2);
		settle(f->r, 8);
		quiet(f->r, 10);
		ck_assert_uint_gt(f->b->waits, waits);
	} else {
		ck_assert_int_eq(hark_reactor_turn(f->r, 0), -ECHILD);
		ck_assert_uint_eq(f->b->waits, waits);
	}
	actor_free(f->a);
	hark_reactor_free(f->r);
	ck_assert_uint_eq(bender_closed, 2);
	ck_assert_uint_eq(bender_forked, f->goes_on ? 0 : 2);
}

START_TEST(wrappers_in_a_forked_child)
{
	struct forked f = {.r = bender_reactor(behind("bender=a:bender=b"))};

	f.a = actor_new(f.r);
	f.b = bender_at("a");
	for (unsigned i = 1; i <= 2; i++) {
		actor_feed(f.a, 1);
		turns_until(f.r, &f.a->recvs, i);
		f.goes_on = i == 1;
		in_child(child_of_chain, &f);
	}
	actor_feed(f.a, 1);
	turns_until(f.r, &f.a->recvs, 3);
	actor_free(f.a);
	hark_reactor_free(f.r);
	ck_assert_uint_eq(bender_closed, 2);
	ck_assert_uint_eq(bender_forked, 0);
}
END_TEST

/* ---- What a port tells ---- */

START_TEST(port_tells_names_and_slots)
{
	struct hark_reactor *r = bender_reactor(behind("bender=a:bender=b"));
	struct hark_port *up = bender_at("b")->up;
	struct hark_handler_ops nameless = actor_ops;
	struct actor *a = actor_new(r), *b = actor_make();
	const int bad[] = {-1, INT_MIN, INT_MAX, INT_MAX - 1, 1 << 20};

	nameless.name = NULL;
	b->handler.ops = &nameless;
	ck_assert_int_eq(hark_handler_add(r, &b->handler), 0);
	ck_assert_str_eq(hark_port_name(up, a->handler.fd), "actor");
	ck_assert_ptr_null(hark_port_name(up, b->handler.fd));
	ck_assert_ptr_null(hark_port_name(up, a->peer));
	ck_assert_ptr_eq(hark_slot(up, a->handler.fd)->handler, &a->handler);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ck_assert_ptr_null(hark_port_name(up, bad[i]));
		ck_assert_ptr_null(hark_slot(up, bad[i]));
	}
	int fd = a->handler.fd;
	actor_free(a);
	ck_assert_ptr_null(hark_port_name(up, fd));
	actor_free(b);
	hark_reactor_free(r);
}
END_TEST

TCase *case_chain(void)
{
	TCase *tc = tcase_create("chain");

	tcase_add_test(tc, wrapper_that_leaves_everything_out_changes_nothing);
	tcase_add_test(tc, wrapper_that_passes_everything_on_sees_it_all);
	tcase_add_test(tc, links_are_called_in_order);
	tcase_add_test(tc, links_have_states_of_their_own);
	tcase_add_test(tc, settings_are_each_link_s_own);
	tcase_add_test(tc, mistakes_are_called_by_their_names);
	tcase_add_test(tc, chain_of_eight_links_and_255_bytes_is_the_longest);
	tcase_add_test(tc, wrapper_that_does_not_open_says_why);
	tcase_add_test(tc, chain_in_the_environment_is_taken);
	tcase_add_test(tc, wrapper_is_registered_as_any_backend);
	tcase_add_test(tc, wrappers_outlive_the_kernel_object);
	tcase_add_test(tc, dead_registration_behind_wrappers);
	tcase_add_test(tc, wrappers_in_a_forked_child);
	tcase_add_test(tc, port_tells_names_and_slots);
	return tc;
}
