/* slow.c - callbacks that take long are told by name, and turns are measured.
 *
 * The clock is the test's: it stands still but where the test has something take long, so that all
 * lengths are exact, and it counts who reads it. All else is the backend under test. */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLOW HARK_MS(10)
#define DESCRIPTORS 1024

/* The backend. */

static const struct hark_backend *inner;
static struct hark_port *port;

static struct {
	int64_t now;
	unsigned reads;
	int64_t open_takes, modify_takes, wait_takes;
	unsigned modified;
	int wait_error; /* of the next wait */
	bool dead;      /* it says HARK_DEAD */
	bool refused[DESCRIPTORS];
	bool urgent[DESCRIPTORS]; /* reported once, and unknown to the backend under test */
} fake;

static int fake_open(void *state, struct hark_port *up)
{
	port = up;
	fake.now += fake.open_takes;
	return inner->open(state, up);
}

static int fake_modify(void *state, int fd, struct hark_slot *slot, unsigned want)
{
	fake.now += fake.modify_takes;
	fake.modified++;
	if (fake.refused[fd] && want != 0)
		return -EACCES;
	return want & HARK_URGENT || slot->armed & HARK_URGENT
	               ? 0
	               : inner->modify(state, fd, slot, want);
}

static int fake_wait(void *state, const struct timespec *timeout)
{
	static const struct timespec at_once;
	int error = fake.wait_error, rc;

	fake.now += fake.wait_takes;
	fake.wait_error = 0;
	if (error)
		return -error;
	for (int fd = 0; fd < DESCRIPTORS; fd++)
		if (fake.urgent[fd]) {
			fake.urgent[fd] = false;
			hark_ready(port, fd, hark_slot(port, fd)->generation, HARK_URGENT);
			timeout = &at_once;
		}
	rc = inner->wait(state, timeout);
	if (rc >= 0 && fake.dead) {
		fake.dead = false;
		rc |= HARK_DEAD;
	}
	return rc;
}

static int64_t fake_now(void *state)
{
	(void)state;
	fake.reads++;
	return fake.now;
}

static struct hark_backend fake_backend;

static struct hark_reactor *reactor;

static void make_reactor(struct hark_options options)
{
	for (unsigned i = 0; (inner = hark_backend_at(i)); i++)
		if (backend_is(inner->name))
			break;
	ck_assert_ptr_nonnull(inner);
	fake_backend = *inner;
	fake_backend.name = "fake";
	fake_backend.open = fake_open;
	fake_backend.modify = fake_modify;
	fake_backend.wait = fake_wait;
	fake_backend.now = fake_now;
	fake.now = HARK_S(1000);
	ck_assert_int_eq(hark_backend_register(&fake_backend), 0);
	options.backend = "fake";
	ck_assert_int_eq(hark_reactor_new(&reactor, &options), 0);
	hark_reactor_turn(reactor, 0); /* the waker is registered */
	fake.modified = fake.reads = 0;
}

/* What is reported. */

static struct hark_slow reports[64];
static unsigned reported;
static void (*deed)(void); /* the last thing in handle_slow */

static void note(struct hark_reactor *r, const struct hark_slow *slow)
{
	ck_assert_ptr_eq(r, reactor);
	ck_assert_uint_lt(reported, sizeof reports / sizeof reports[0]);
	reports[reported++] = *slow;
	if (deed)
		deed();
}

/* All the time that has gone by in turns is either waiting or working, and each turn is in the
 * histogram. Nothing may have taken long elsewhere. */
static void check_accounts(void)
{
	struct hark_stats s = stats_of(reactor);
	uint64_t turns = 0;

	for (int i = 0; i < HARK_TURN_LENGTHS; i++)
		turns += s.turn_lengths[i];
	ck_assert_uint_eq(turns, s.turns);
	ck_assert_int_eq(s.waiting_ns + s.working_ns, fake.now - HARK_S(1000));
}

/* One of each kind of object. Its callback takes some time and then does what the test has told it
 * to. With it go its ops, so that a reactor that looks at them too late is found out. */

enum kind {
	RECV,
	SEND,
	URGENT,
	READY,
	ERROR,
	AWAITING, /* a task that awaits its descriptor; the last that has one */
	MESSAGE,
	SIGNAL,
	JOB,
	TIMER, /* this and the rest use timers */
	CHILD,
	ENDED,   /* a child that has when it is first looked at */
	STARTED, /* a task that awaits nothing */
	KINDS,
};

static const char *const events[KINDS] = {
	"recv",   "send", "urgent", "ready", "error", "task", "message",
	"signal", "job",  "timer",  "child", "child", "task",
};

struct subject {
	struct hark_handler handler; /* first */
	struct hark_message message;
	struct hark_timer timer;
	struct hark_signal signal;
	struct hark_job job;
	struct hark_child child;
	struct hark_task task;
	struct hark_handler_ops handler_ops;
	struct hark_timer_ops timer_ops;
	struct hark_signal_ops signal_ops;
	struct hark_job_ops job_ops;
	struct hark_child_ops child_ops;
	struct hark_task_ops task_ops;
	enum kind kind;
	int peer;
	pid_t pid; /* 0 when it is reaped */

	int64_t takes, question_takes, cancel_takes;
	unsigned calls;
	void (*act)(struct subject *s);
};

#define SUBJECT(pointer, member) \
	((struct subject *)(void *)((char *)(pointer)-offsetof(struct subject, member)))

static struct subject *last; /* that was called */
static unsigned calls;
static struct hark_pool *pool;

static void called(struct subject *s)
{
	last = s;
	calls++;
	s->calls++;
	fake.now += s->takes;
	if (s->act)
		s->act(s);
}

/* Descriptors are wanted until they have been called once. */
static bool once(const struct hark_handler *h)
{
	const struct subject *s = (const struct subject *)(const void *)h;

	fake.now += s->question_takes;
	return s->calls == 0;
}

static void subject_recv(struct hark_handler *h)
{
	char byte;

	ck_assert_int_eq(hark_recv(h, &byte, 1), 1);
	called(SUBJECT(h, handler));
}

static void subject_call(struct hark_handler *h)
{
	called(SUBJECT(h, handler));
}

static void subject_ready(struct hark_handler *h, unsigned ready)
{
	ck_assert_uint_eq(ready, HARK_RECV);
	called(SUBJECT(h, handler));
}

static void subject_error(struct hark_handler *h, int error)
{
	ck_assert_int_eq(error, EACCES);
	called(SUBJECT(h, handler));
}

static void subject_message(struct hark_message *m, struct hark_reactor *r)
{
	ck_assert_ptr_eq(r, reactor);
	called(SUBJECT(m, message));
}

static void subject_timer(struct hark_timer *t, uint64_t missed)
{
	ck_assert_uint_eq(missed, 0);
	called(SUBJECT(t, timer));
}

static void subject_signal(struct hark_signal *s, unsigned count)
{
	ck_assert_uint_eq(count, 1);
	called(SUBJECT(s, signal));
}

static void subject_work(struct hark_job *j)
{
	(void)j;
}

static void subject_done(struct hark_job *j, int error)
{
	ck_assert_int_eq(error, 0);
	called(SUBJECT(j, job));
}

static void subject_exit(struct hark_child *c, int status)
{
	ck_assert(WIFSIGNALED(status));
	SUBJECT(c, child)->pid = 0;
	called(SUBJECT(c, child));
}

static ssize_t subject_run(struct hark_task *t)
{
	struct subject *s = SUBJECT(t, task);
	ssize_t n;
	char byte;

	HARK_TASK_BEGIN(t);
	if (s->kind == AWAITING) {
		HARK_AWAIT(t, n, hark_await_ready(t, HARK_RECV, HARK_NEVER));
		if (n < 0) {
			fake.now += s->cancel_takes;
			return n;
		}
		ck_assert_int_eq(hark_recv(&t->handler, &byte, 1), 1);
	}
	HARK_TASK_END(t);
	return 0;
}

static void subject_ended(struct hark_task *t, ssize_t result)
{
	if (result == 0)
		called(SUBJECT(t, task));
	else
		ck_assert_int_eq(result, -ECANCELED);
}

static struct subject *subject_make(enum kind kind, int64_t takes)
{
	struct subject *s = calloc(1, sizeof *s);

	ck_assert_ptr_nonnull(s);
	s->kind = kind;
	s->takes = takes;
	s->handler_ops = (struct hark_handler_ops){.handle_error = subject_error, .name = "it"};
	s->timer_ops = (struct hark_timer_ops){.handle_timer = subject_timer, .name = "it"};
	s->signal_ops = (struct hark_signal_ops){.handle_signal = subject_signal, .name = "it"};
	s->job_ops = (struct hark_job_ops){
		.work = subject_work, .handle_done = subject_done, .name = "it"};
	s->child_ops = (struct hark_child_ops){.handle_exit = subject_exit, .name = "it"};
	s->task_ops = (struct hark_task_ops){
		.run = subject_run, .handle_done = subject_ended, .name = "it"};
	return s;
}

static void start_handler(struct subject *s)
{
	struct hark_handler_ops *ops = &s->handler_ops;
	int fds[2];

	socket_pair("unix", fds);
	ck_assert_int_lt(fds[0], DESCRIPTORS);
	s->peer = fds[1];
	fake.urgent[fds[0]] = s->kind == URGENT;
	fake.refused[fds[0]] = s->kind == ERROR;
	put(fds[1], "x", 1);
	if (s->kind == SEND) {
		ops->wants_send = once;
		ops->handle_send = subject_call;
	} else if (s->kind == URGENT) {
		ops->wants_urgent = once;
		ops->handle_urgent = subject_call;
	} else {
		ops->wants_recv = once;
		ops->handle_recv = subject_recv;
	}
	if (s->kind == READY)
		ops->handle_ready = subject_ready;
	hark_handler_init(&s->handler, ops, fds[0]);
	if (s->kind != AWAITING)
		ck_assert_int_eq(hark_handler_add(reactor, &s->handler), 0);
}

static void start_task(struct subject *s)
{
	hark_task_init(&s->task, &s->task_ops);
	if (s->kind == AWAITING) {
		start_handler(s);
		s->task.handler.fd = s->handler.fd;
	}
	ck_assert_int_eq(hark_task_start(reactor, &s->task), 0);
}

static void kill_child(pid_t pid)
{
	siginfo_t info;

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0)
		ck_assert_int_eq(errno, EINTR);
}

/* It is due in the next turn or the one after; a job when it has been worked on. */
static void start(struct subject *s)
{
	switch (s->kind) {
	case MESSAGE:
		hark_message_init(&s->message, subject_message);
		ck_assert_int_eq(hark_post(reactor, &s->message), 0);
		break;
	case TIMER:
		hark_timer_init(&s->timer, &s->timer_ops);
		hark_timer_start(reactor, &s->timer, 0);
		break;
	case SIGNAL:
		hark_signal_init(&s->signal, &s->signal_ops);
		ck_assert_int_eq(hark_signal_start(reactor, &s->signal, SIGUSR1), 0);
		break;
	case JOB:
		if (!pool)
			ck_assert_int_eq(hark_pool_new(&pool, NULL), 0);
		hark_job_init(&s->job, &s->job_ops);
		ck_assert_int_eq(hark_job_submit(pool, reactor, &s->job), 0);
		break;
	case CHILD:
	case ENDED:
		s->pid = lasting_child();
		if (s->kind == ENDED)
			kill_child(s->pid);
		hark_child_init(&s->child, &s->child_ops);
		ck_assert_int_eq(hark_child_start(reactor, &s->child, s->pid), 0);
		if (s->kind == CHILD)
			kill_child(s->pid);
		break;
	case AWAITING:
	case STARTED:
		start_task(s);
		break;
	default:
		start_handler(s);
	}
}

static void end_child(struct subject *s)
{
	hark_child_stop(&s->child);
	if (s->pid > 0)
		waitpid(s->pid, NULL, 0);
}

static void subject_free(struct subject *s)
{
	switch (s->kind) {
	case MESSAGE:
		if (reactor)
			hark_message_withdraw(reactor, &s->message);
		break;
	case TIMER:
		hark_timer_stop(&s->timer);
		break;
	case SIGNAL:
		hark_signal_stop(&s->signal);
		break;
	case JOB:
		ck_assert_int_eq(hark_job_cancel(&s->job), -ENOENT);
		break;
	case CHILD:
	case ENDED:
		end_child(s);
		break;
	case STARTED:
		hark_task_cancel(&s->task);
		break;
	default:
		if (s->kind == AWAITING)
			hark_task_cancel(&s->task);
		hark_handler_remove(&s->handler);
		close(s->handler.fd);
		close(s->peer);
	}
	bury(s, sizeof *s);
}

static struct subject *subject_new(enum kind kind, int64_t takes)
{
	struct subject *s = subject_make(kind, takes);

	start(s);
	if (kind == SIGNAL)
		raise(SIGUSR1);
	return s;
}

static void finish(void)
{
	hark_reactor_free(reactor);
	hark_pool_free(pool, HARK_POOL_FINISH);
}

static void check_report(const struct hark_slow *slow, enum kind kind, int fd, int64_t ns)
{
	ck_assert_str_eq(slow->event, events[kind]);
	if (kind == MESSAGE)
		ck_assert_ptr_null(slow->name);
	else
		ck_assert_str_eq(slow->name, "it");
	ck_assert_int_eq(slow->fd, kind <= AWAITING ? fd : -1);
	ck_assert_int_eq(slow->ns, ns);
}

/* Each kind of callback is told exactly if it takes long enough, and nobody else is for it: neither
 * what is around the callbacks of jobs and children, nor the waits. */
START_TEST(each_is_told_by_name)
{
	static const int64_t takes[] = {SLOW, SLOW - 1, 3 * SLOW + 7, 0};
	enum kind kind = (enum kind)_i;

	make_reactor((struct hark_options){.slow_ns = SLOW, .handle_slow = note});
	fake.wait_takes = HARK_S(1);
	for (unsigned i = 0; i < 4; i++) {
		struct subject *s = subject_new(kind, takes[i]);
		unsigned before = reported;

		turns_until(reactor, &s->calls, 1);
		settle(reactor, 3);
		ck_assert_uint_eq(s->calls, 1);
		ck_assert_uint_eq(reported - before, takes[i] >= SLOW);
		if (takes[i] >= SLOW)
			check_report(&reports[before], kind, s->handler.fd, takes[i]);
		subject_free(s);
	}
	ck_assert_uint_eq(stats_of(reactor).slow, 2);
	ck_assert_int_eq(stats_of(reactor).working_ns, 5 * SLOW + 6);
	check_accounts();
	finish();
}
END_TEST

/* A handler that receives and sends in one turn is told for each, and one without a name has none.
 */
static void subject_send_too(struct hark_handler *h)
{
	fake.now += SLOW + 2;
	called(SUBJECT(h, handler));
}

static bool less_than_twice(const struct hark_handler *h)
{
	return ((const struct subject *)(const void *)h)->calls < 2;
}

static struct subject *two_way(void)
{
	struct subject *s = subject_make(RECV, SLOW + 1);

	s->handler_ops.wants_send = less_than_twice;
	s->handler_ops.handle_send = subject_send_too;
	s->handler_ops.name = NULL;
	start_handler(s);
	return s;
}

START_TEST(each_direction_is_told)
{
	struct subject *s;

	make_reactor((struct hark_options){.slow_ns = SLOW, .handle_slow = note});
	s = two_way();
	ck_assert_int_eq(hark_reactor_turn(reactor, -1), 2);
	ck_assert_uint_eq(reported, 2);
	ck_assert_str_eq(reports[0].event, "recv");
	ck_assert_int_eq(reports[0].ns, SLOW + 1);
	ck_assert_str_eq(reports[1].event, "send");
	ck_assert_int_eq(reports[1].ns, 2 * SLOW + 3);
	ck_assert_ptr_null(reports[1].name);
	subject_free(s);
	finish();
}
END_TEST

/* Inside handle_slow, and in the callback before it, anything may be freed. */

#define CROWD 3

static struct subject *crowd[CROWD];
static unsigned crowded;

static void free_called(void)
{
	for (unsigned i = 0; i < crowded; i++)
		if (crowd[i] == last)
			crowd[i] = NULL;
	subject_free(last);
}

static void free_all(void)
{
	for (unsigned i = 0; i < crowded; i++) {
		if (crowd[i])
			subject_free(crowd[i]);
		crowd[i] = NULL;
	}
}

static void free_reactor(void)
{
	hark_reactor_free(reactor);
	reactor = NULL;
}

static void (*const deeds[])(void) = {free_called, free_all, free_reactor};
#define DEEDS ((int)(sizeof deeds / sizeof deeds[0]))

static void (*chosen)(void);

static void do_chosen(struct subject *s)
{
	(void)s;
	chosen();
}

/* Turns until so many have been called, or the reactor is gone. */
static void turns_for(unsigned count)
{
	while (reactor && calls < count)
		ck_assert_int_ge(hark_reactor_turn(reactor, HARK_S(20)), 0);
	if (reactor)
		settle(reactor, 3);
}

START_TEST(all_may_be_freed)
{
	enum kind kind = (enum kind)(_i / 2 / DEEDS);
	bool inside = _i % 2;
	unsigned expected;
	int fds[CROWD] = {0};

	chosen = deeds[_i / 2 % DEEDS];
	make_reactor((struct hark_options){.slow_ns = SLOW, .handle_slow = note});
	crowded = kind == JOB ? 1 : CROWD; /* another job may be running, and stays */
	for (unsigned i = 0; i < crowded; i++) {
		crowd[i] = subject_make(kind, SLOW);
		crowd[i]->act = inside ? do_chosen : NULL;
		start(crowd[i]);
		fds[i] = crowd[i]->handler.fd;
	}
	if (kind == SIGNAL)
		raise(SIGUSR1);
	if (!inside)
		deed = chosen;
	expected = chosen == free_called ? crowded : 1;
	turns_for(expected);
	ck_assert_uint_eq(calls, expected);

	/* Whoever frees the reactor hears no more of it. */
	ck_assert_uint_eq(reported, inside && chosen == free_reactor ? 0 : expected);
	for (unsigned i = 0; i < reported; i++) {
		bool known = false;

		for (unsigned j = 0; j < CROWD; j++)
			known = known || fds[j] == reports[i].fd;
		check_report(&reports[i], kind, known ? reports[i].fd : -2, SLOW);
	}
	free_all();
	finish();
}
END_TEST

/* What handle_slow changes counts before the handler is called again. */

static void no_longer_send(void)
{
	last->calls = 2;
	hark_handler_refresh(&last->handler);
}

/* So many that the reactor's table of descriptors has to move. */
static void add_a_far_one(void)
{
	static struct hark_handler h;
	static const struct hark_handler_ops ops = {.name = "far"};
	int fd = fcntl(last->handler.fd, F_DUPFD, 900);

	ck_assert_int_ge(fd, 900);
	deed = NULL;
	hark_handler_init(&h, &ops, fd);
	ck_assert_int_eq(hark_handler_add(reactor, &h), 0);
}

START_TEST(a_change_in_handle_slow_is_asked_for)
{
	struct subject *s;

	make_reactor((struct hark_options){.slow_ns = SLOW, .handle_slow = note});
	s = two_way();
	deed = no_longer_send;
	ck_assert_int_eq(hark_reactor_turn(reactor, -1), 1);
	ck_assert_uint_eq(reported, 1);
	settle(reactor, 3);
	ck_assert_uint_eq(calls, 1);
	subject_free(s);

	s = two_way();
	deed = add_a_far_one;
	ck_assert_int_eq(hark_reactor_turn(reactor, -1), 2);
	ck_assert_uint_eq(reported, 3);
	subject_free(s);
	finish();
}
END_TEST

/* Who is to blame. */

static void a_second(void)
{
	fake.now += HARK_S(1);
}

static struct subject *victim;

static void cancel_victim(struct subject *s)
{
	(void)s;
	ck_assert_int_eq(hark_task_cancel(&victim->task), 0);
}

START_TEST(nobody_is_blamed_for_others)
{
	struct subject *a, *b;

	make_reactor((struct hark_options){.slow_ns = SLOW, .handle_slow = note});

	/* For telling the backend, and for a new kernel object. */
	fake.modify_takes = fake.open_takes = HARK_S(1);
	a = subject_new(RECV, 0);
	fake.dead = true;
	turns_until(reactor, &a->calls, 1);
	settle(reactor, 3);
	ck_assert_uint_eq(stats_of(reactor).rebuilds, 1);
	ck_assert_uint_eq(reported, 0);
	ck_assert_int_eq(stats_of(reactor).waiting_ns, 0);
	ck_assert_int_eq(stats_of(reactor).working_ns, (fake.modified + 1) * HARK_S(1));
	check_accounts();
	fake.modify_takes = fake.open_takes = 0;
	subject_free(a);

	/* For the handler's own questions, which follow, it is. */
	a = subject_new(RECV, 0);
	b = subject_new(RECV, 0);
	settle(reactor, 3);
	subject_free(a);
	subject_free(b);
	ck_assert_uint_eq(reported, 0);
	a = subject_new(RECV, 0);
	b = subject_new(READY, 0);
	a->question_takes = b->question_takes = SLOW;
	turns_for(5);
	ck_assert_uint_eq(reported, 2);
	unsigned first = reports[0].fd == b->handler.fd;
	check_report(&reports[first], RECV, a->handler.fd, SLOW);
	check_report(&reports[!first], READY, b->handler.fd, SLOW);
	check_accounts();
	subject_free(a);
	subject_free(b);

	/* For the time that handle_slow takes. */
	a = subject_new(MESSAGE, SLOW);
	b = subject_new(MESSAGE, 0);
	deed = a_second;
	turns_for(7);
	ck_assert_uint_eq(reported, 3);
	ck_assert_int_eq(reports[2].ns, SLOW);
	check_accounts();
	subject_free(a);
	subject_free(b);
	deed = NULL;

	/* A task for what it is made to do by another's callback. */
	victim = subject_new(AWAITING, 0);
	victim->cancel_takes = SLOW;
	ck_assert_int_eq(hark_reactor_turn(reactor, -1), 1);
	a = subject_make(MESSAGE, SLOW - 1);
	a->act = cancel_victim;
	start(a);
	turns_for(8);
	ck_assert_uint_eq(reported, 4);
	check_report(&reports[3], MESSAGE, -1, 2 * SLOW - 1);
	check_accounts();
	subject_free(a);
	subject_free(victim);
	finish();
}
END_TEST

/* Between turns time is nobody's. */
START_TEST(time_outside_is_neither)
{
	struct subject *s;

	make_reactor((struct hark_options){.slow_ns = SLOW, .handle_slow = note});
	fake.wait_takes = HARK_US(300);
	for (unsigned i = 1; i <= 5; i++) {
		struct hark_stats before = stats_of(reactor), after;

		fake.now += HARK_S(5);
		s = subject_new(RECV, HARK_US(100));
		ck_assert_int_eq(hark_reactor_turn(reactor, -1), 1);
		fake.now += HARK_S(5);
		after = stats_of(reactor);
		ck_assert_int_eq(after.waiting_ns - before.waiting_ns, HARK_US(300));
		ck_assert_int_eq(after.working_ns - before.working_ns, HARK_US(100));
		subject_free(s);
	}
	ck_assert_uint_eq(reported, 0);
	finish();
}
END_TEST

/* With the audit, the turn that finds something is not one that waits. */
START_TEST(the_audit_is_work)
{
	struct subject *s;
	struct hark_stats stats;

	make_reactor((struct hark_options){.slow_ns = SLOW, .handle_slow = note, .audit = true});
	s = subject_new(TIMER, 0);
	settle(reactor, 3);
	subject_free(s);
	s = subject_make(SEND, 0);
	start_handler(s);
	s->calls = 1;
	hark_handler_refresh(&s->handler);
	settle(reactor, 3);
	s->question_takes = HARK_S(1);
	ck_assert_int_eq(hark_reactor_turn(reactor, 0), 0);
	stats = stats_of(reactor);
	ck_assert_int_eq(stats.waiting_ns, 0);
	ck_assert_int_eq(stats.working_ns, HARK_S(1));
	ck_assert_uint_eq(reported, 0);
	check_accounts();
	subject_free(s);
	finish();
}
END_TEST

/* The histogram. */

static int bucket_of(int64_t ns)
{
	int i = 0;

	while (i < HARK_TURN_LENGTHS - 1 && ns >= HARK_US((int64_t)1 << i))
		i++;
	return i;
}

static void check_length(int64_t takes, int bucket)
{
	struct hark_stats before = stats_of(reactor), after;
	struct subject *s = subject_new(MESSAGE, takes);

	ck_assert_int_eq(hark_reactor_turn(reactor, -1), 1);
	after = stats_of(reactor);
	for (int i = 0; i < HARK_TURN_LENGTHS; i++)
		ck_assert_uint_eq(after.turn_lengths[i] - before.turn_lengths[i], i == bucket);
	subject_free(s);
}

START_TEST(turns_are_counted_by_length)
{
	struct subject *s;

	make_reactor((struct hark_options){.slow_ns = INT64_MAX});
	fake.wait_takes = HARK_MS(7);
	check_length(0, 0);
	check_length(999, 0);
	check_length(1000, 1);
	check_length(1999, 1);
	check_length(2000, 2);
	check_length(HARK_US(3), 2);
	check_length(HARK_US(4) - 1, 2);
	check_length(HARK_US(4), 3);
	check_length(HARK_S(1), 20);
	check_length(HARK_US(4194304) - 1, HARK_TURN_LENGTHS - 2);
	check_length(HARK_US(4194304), HARK_TURN_LENGTHS - 1);
	check_length(HARK_S(86400), HARK_TURN_LENGTHS - 1);
	for (int i = 0; i < 40; i++) {
		int64_t border = HARK_US((int64_t)1 << i);

		check_length(border - 1, bucket_of(border - 1));
		check_length(border, bucket_of(border));
	}
	check_accounts();

	/* It is the whole turn, but for the wait; and one that fails is a turn as well. */
	uint64_t before = stats_of(reactor).turn_lengths[3];
	fake.modify_takes = HARK_US(3);
	s = subject_new(RECV, HARK_US(2));
	ck_assert_int_eq(hark_reactor_turn(reactor, -1), 1);
	ck_assert_uint_eq(stats_of(reactor).turn_lengths[3] - before, 1);
	fake.modify_takes = 0;
	subject_free(s);
	before = stats_of(reactor).turn_lengths[0];
	fake.wait_error = EIO;
	ck_assert_int_eq(hark_reactor_turn(reactor, -1), -EIO);
	ck_assert_uint_eq(stats_of(reactor).turn_lengths[0] - before, 1);
	check_accounts();
	ck_assert_uint_eq(stats_of(reactor).slow, 0);
	finish();
}
END_TEST

/* How often the clock is read. */

static int64_t seen;

static void look(struct subject *s)
{
	(void)s;
	seen = hark_reactor_now(reactor);
}

START_TEST(off_no_clock_is_read)
{
	struct hark_stats s, zero = {0};

	make_reactor((struct hark_options){.handle_slow = note});
	for (int kind = 0; kind < KINDS; kind++) {
		struct subject *it;

		if (kind == AWAITING || kind >= TIMER)
			continue;
		it = subject_new((enum kind)kind, HARK_S(100));
		while (it->calls == 0)
			ck_assert_int_ge(hark_reactor_turn(reactor, -1), 0);
		ck_assert_int_eq(hark_reactor_turn(reactor, 0), 0);
		subject_free(it);
	}
	ck_assert_uint_eq(fake.reads, 0);
	ck_assert_uint_eq(reported, 0);
	s = stats_of(reactor);
	ck_assert_uint_eq(s.slow, 0);
	ck_assert_int_eq(s.waiting_ns, 0);
	ck_assert_int_eq(s.working_ns, 0);
	ck_assert_mem_eq(s.turn_lengths, zero.turn_lengths, sizeof s.turn_lengths);
	finish();
}
END_TEST

/* On entering, after the wait, and after each callback; whoever asks for the time in a callback
 * gets that of the wait. */
START_TEST(on_it_is_read_once_a_callback)
{
	struct subject *s[20];
	int64_t waited;

	make_reactor((struct hark_options){.slow_ns = SLOW, .handle_slow = note});
	for (int i = 0; i < 20; i++)
		s[i] = subject_new(RECV, 0);
	turns_for(20);
	for (int i = 0; i < 20; i++) {
		s[i]->calls = 0;
		s[i]->act = look;
		s[i]->takes = 1;
		hark_handler_refresh(&s[i]->handler);
		put(s[i]->peer, "x", 1);
	}
	hark_reactor_prepare(reactor); /* nothing is left to be told in the turn */
	fake.reads = 0;
	fake.wait_takes = HARK_US(5);
	waited = fake.now + HARK_US(5);
	ck_assert_int_eq(hark_reactor_turn(reactor, -1), 20);
	ck_assert_uint_eq(fake.reads, 22);
	ck_assert_int_eq(seen, waited);
	for (int i = 0; i < 20; i++)
		subject_free(s[i]);

	/* And after messages are taken from the inbox and the wheel of timers is turned. */
	s[0] = subject_new(MESSAGE, 1);
	s[1] = subject_new(TIMER, 1);
	fake.reads = 0;
	ck_assert_int_eq(hark_reactor_turn(reactor, 0), 2);
	ck_assert_uint_eq(fake.reads, 6);
	subject_free(s[0]);
	subject_free(s[1]);
	finish();
}
END_TEST

/* Without anybody to be told they are counted. */
START_TEST(counted_without_handle_slow)
{
	make_reactor((struct hark_options){.slow_ns = SLOW});
	for (int kind = 0; kind < KINDS; kind++) {
		struct subject *s = subject_new((enum kind)kind, SLOW);

		turns_until(reactor, &s->calls, 1);
		ck_assert_uint_eq(stats_of(reactor).slow, (unsigned)kind + 1);
		subject_free(s);
	}
	finish();
}
END_TEST

START_TEST(a_negative_time_is_refused)
{
	char why[128] = "";
	struct hark_options options = {
		.backend = backend, .slow_ns = -1, .why = why, .why_size = sizeof why};

	ck_assert_int_eq(hark_reactor_new(&reactor, &options), -EINVAL);
	ck_assert_ptr_null(reactor);
	ck_assert_ptr_nonnull(strstr(why, "slow_ns"));
	options.slow_ns = INT64_MIN;
	ck_assert_int_eq(hark_reactor_new(&reactor, &options), -EINVAL);
}
END_TEST

/* In a child. */

static pid_t forked;

static void fork_here(struct subject *s)
{
	(void)s;
	fflush(NULL);
	forked = fork();
	ck_assert_int_ge(forked, 0);
}

/* A callback that forks takes long in both processes and is told in one; afterwards the child's
 * copy measures for itself. */
START_TEST(a_callback_that_forks_is_told_in_the_parent)
{
	struct subject *s, *t;
	int status, rc;

	make_reactor((struct hark_options){.slow_ns = SLOW, .handle_slow = note});
	s = subject_make(_i ? RECV : MESSAGE, SLOW);
	s->act = fork_here;
	start(s);
	rc = hark_reactor_turn(reactor, -1);
	if (forked == 0) {
		if (rc != -ECHILD || reported != 0 || hark_reactor_after_fork(reactor) != 0)
			_exit(1);
		subject_free(s);
		t = subject_new(MESSAGE, 2 * SLOW);
		if (hark_reactor_turn(reactor, -1) != 1 || reported != 1 ||
		    reports[0].ns != 2 * SLOW || stats_of(reactor).slow != 1)
			_exit(2);
		subject_free(t);
		check_accounts();
		finish();
		_exit(0);
	}
	ck_assert_int_eq(rc, 1);
	ck_assert_uint_eq(reported, 1);
	ck_assert_int_eq(reports[0].ns, SLOW);
	ck_assert_int_eq(waitpid(forked, &status, 0), forked);
	ck_assert_int_eq(status, 0);
	subject_free(s);
	finish();
}
END_TEST

/* The dump. */

static void dump(char *text, size_t size)
{
	FILE *file = tmpfile();

	ck_assert_ptr_nonnull(file);
	hark_reactor_dump(reactor, file);
	rewind(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
}

START_TEST(dump_shows_the_turns)
{
	struct subject *s;
	char text[4096];

	make_reactor((struct hark_options){.slow_ns = SLOW});
	fake.wait_takes = 3 * SLOW;
	dump(text, sizeof text);
	ck_assert_ptr_nonnull(strstr(text, "  turns of 0 to 1 us: 1\n"));
	s = subject_new(MESSAGE, SLOW);
	turns_until(reactor, &s->calls, 1);
	subject_free(s);
	dump(text, sizeof text);
	ck_assert_ptr_nonnull(strstr(text, "  waiting: 75.0 % of the time; slow callbacks: 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "  turns of 8192 to 16384 us: 1\n"));
	s = subject_new(MESSAGE, HARK_S(100));
	turns_until(reactor, &s->calls, 1);
	subject_free(s);
	dump(text, sizeof text);
	ck_assert_ptr_nonnull(strstr(text, "  turns of 4194304 us and more: 1\n"));
	hark_reactor_free(reactor);

	ck_assert_int_eq(hark_reactor_new(&reactor, NULL), 0);
	dump(text, sizeof text);
	ck_assert_ptr_null(strstr(text, "turns"));
	ck_assert_ptr_null(strstr(text, "waiting"));
	finish();
}
END_TEST

/* On the real clock. */

static int64_t slept;

static void sleep_a_while(struct subject *s)
{
	int64_t begin = clock_ns();

	(void)s;
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	slept = clock_ns() - begin;
}

START_TEST(as_long_as_it_really_was)
{
	exact(EXACT_CALLS | EXACT_TURNS | EXACT_VERBS);
	struct hark_options options = {.slow_ns = HARK_MS(20), .handle_slow = note};
	struct subject *s;
	int64_t begin = clock_ns(), all;
	struct hark_stats stats;
	unsigned found = 0;

	reactor = new_reactor(&options);
	s = subject_make(RECV, 0);
	s->act = sleep_a_while;
	start(s);
	turns_until(reactor, &s->calls, 1);
	all = clock_ns() - begin;
	for (unsigned i = 0; i < reported; i++)
		if (reports[i].fd == s->handler.fd) {
			found++;
			ck_assert_str_eq(reports[i].event, "recv");
			ck_assert_int_ge(reports[i].ns, slept);
			ck_assert_int_le(reports[i].ns, all);
		}
	ck_assert_uint_eq(found, 1);
	ck_assert_int_eq(hark_reactor_turn(reactor, HARK_MS(20)), 0);
	all = clock_ns() - begin;
	stats = stats_of(reactor);
	ck_assert_int_gt(stats.waiting_ns, 0);
	ck_assert_int_ge(stats.working_ns, slept);
	ck_assert_int_ge(stats.waiting_ns + stats.working_ns, slept + HARK_MS(20));
	ck_assert_int_le(stats.waiting_ns + stats.working_ns, all);
	subject_free(s);
	finish();
}
END_TEST

TCase *case_slow(void)
{
	TCase *tc = tcase_create("slow");

	tcase_add_loop_test(tc, each_is_told_by_name, 0, KINDS);
	tcase_add_test(tc, each_direction_is_told);
	tcase_add_loop_test(tc, all_may_be_freed, 0, KINDS * DEEDS * 2);
	tcase_add_test(tc, a_change_in_handle_slow_is_asked_for);
	tcase_add_test(tc, nobody_is_blamed_for_others);
	tcase_add_test(tc, time_outside_is_neither);
	tcase_add_test(tc, the_audit_is_work);
	tcase_add_test(tc, turns_are_counted_by_length);
	tcase_add_test(tc, off_no_clock_is_read);
	tcase_add_test(tc, on_it_is_read_once_a_callback);
	tcase_add_test(tc, counted_without_handle_slow);
	tcase_add_test(tc, a_negative_time_is_refused);
	tcase_add_loop_test(tc, a_callback_that_forks_is_told_in_the_parent, 0, 2);
	tcase_add_test(tc, dump_shows_the_turns);
	tcase_add_test(tc, as_long_as_it_really_was);
	return tc;
}
