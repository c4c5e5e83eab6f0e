/* timer.c - timers: never early, in order, none lost, and safe to be changed from any callback.
 *
 * No upper bound of lateness is tested: a machine may be busy. Where time has to be exact, the
 * reactor's backend is one from outside, whose clock is the test's. */
#include "actor.h"
#include "cases.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define YEARS(n) ((int64_t)(n)*365 * 86400 * HARK_S(1))

/* A timer that counts its calls and then does what the test has told it to. */
struct clockwork {
	struct hark_timer timer; /* first */
	unsigned calls;
	uint64_t missed; /* in all calls */
	unsigned place;  /* of its last call among all */
	void (*act)(struct clockwork *c);
	struct clockwork *with;
};

static struct hark_reactor *reactor;
static unsigned rings; /* calls of all */

static void ring(struct hark_timer *t, uint64_t missed)
{
	struct clockwork *c = (struct clockwork *)(void *)t;

	c->calls++;
	c->missed += missed;
	c->place = ++rings;
	if (c->act)
		c->act(c);
}

static const struct hark_timer_ops ops = {.handle_timer = ring, .name = "clockwork"};
static const struct hark_timer_ops background_ops = {
	.handle_timer = ring,
	.name = "background",
	.background = true,
};

static void init(struct clockwork *c)
{
	memset(c, 0, sizeof *c);
	hark_timer_init(&c->timer, &ops);
}

static struct clockwork *clockwork_new(void)
{
	struct clockwork *c = calloc(1, sizeof *c);

	ck_assert_ptr_nonnull(c);
	init(c);
	return c;
}

static void clockwork_free(struct clockwork *c)
{
	hark_timer_stop(&c->timer);
	bury(c, sizeof *c);
}

/* Waits until all that is due by the end of ms milliseconds has been called. */
static void pass(struct hark_reactor *r, int ms)
{
	int64_t end = clock_ns() + HARK_MS(ms);

	while (clock_ns() < end)
		ck_assert_int_ge(hark_reactor_turn(r, HARK_MS(1)), 0);
	settle(r, 8);
}

/* The test's own clock. */

#define VIRTUAL "own-clock"

static int64_t virtual_now;
static int64_t jump;         /* added to the end of the next waits */
static unsigned clock_reads; /* of any backend of this file */

static int virtual_open(void *state, struct hark_port *up)
{
	(void)state;
	(void)up;
	return 0;
}

static void virtual_close(void *state, bool forked)
{
	(void)state;
	(void)forked;
}

static int virtual_modify(void *state, int fd, struct hark_slot *slot, unsigned want)
{
	(void)state;
	(void)fd;
	(void)slot;
	(void)want;
	return 0;
}

static int virtual_wait(void *state, const struct timespec *timeout)
{
	(void)state;
	ck_assert_msg(timeout != NULL, "a wait without end while a timer is pending");
	virtual_now += HARK_S(timeout->tv_sec) + timeout->tv_nsec + jump;
	return 0;
}

static int64_t read_virtual(void *state)
{
	(void)state;
	clock_reads++;
	return virtual_now;
}

static const struct hark_backend virtual_backend = {
	.name = VIRTUAL,
	.state_size = 1,
	.open = virtual_open,
	.close = virtual_close,
	.modify = virtual_modify,
	.wait = virtual_wait,
	.now = read_virtual,
};

static struct hark_reactor *reactor_on(const struct hark_backend *b)
{
	struct hark_options options = {.backend = chained(b->name)};
	struct hark_reactor *r = NULL;

	ck_assert_int_eq(hark_backend_register(b), 0);
	ck_assert_int_eq(hark_reactor_new(&r, &options), 0);
	return r;
}

/* Never early. */

static const int64_t delays[] = {1, HARK_US(1), HARK_US(300), HARK_MS(1), HARK_MS(20)};
#define DELAYS (sizeof delays / sizeof delays[0])

START_TEST(never_early)
{
	struct hark_options options = {.spin_ns = _i ? HARK_US(50) : 0};
	struct hark_reactor *r = new_reactor(&options);
	struct clockwork c;

	init(&c);
	for (size_t i = 0; i < DELAYS; i++)
		for (int n = 0; n < 20; n++) {
			int64_t start = clock_ns();

			hark_timer_start(r, &c.timer, delays[i]);
			ck_assert(hark_timer_pending(&c.timer));
			ck_assert_int_ge(hark_timer_deadline(&c.timer), start + delays[i]);
			ck_assert_int_eq(active_turn(r), 1);
			ck_assert_int_ge(clock_ns() - start, delays[i]);
			ck_assert(!hark_timer_pending(&c.timer));
			ck_assert_int_eq(hark_timer_deadline(&c.timer), INT64_MAX);
		}
	ck_assert_uint_eq(c.calls, 20 * DELAYS);
	ck_assert_uint_eq(stats_of(r).timers, 20 * DELAYS);
	ck_assert_uint_eq(stats_of(r).callbacks, 20 * DELAYS);
	hark_reactor_free(r);
}
END_TEST

/* Exactly so, with deadlines round the borders of the wheel's slots: not a nanosecond before, and
 * less than a tick after. */
START_TEST(late_by_less_than_a_tick)
{
	struct hark_reactor *r = reactor_on(&virtual_backend);
	struct clockwork c;

	init(&c);
	for (int bit = 0; bit < 61; bit++)
		for (int64_t off = -1; off <= 1; off++) {
			int64_t deadline = ((int64_t)1 << bit) + off;

			virtual_now = deadline > HARK_S(5) ? deadline - HARK_S(5) : 0;
			c.calls = 0;
			hark_timer_start_at(r, &c.timer, deadline);
			while (c.calls == 0)
				ck_assert_int_ge(hark_reactor_turn(r, -1), 0);
			ck_assert_int_ge(virtual_now, deadline);
			ck_assert_int_lt(virtual_now - deadline, 1 << 17);
			virtual_now = 0; /* with no timer pending the clock may be any other */
		}
	hark_reactor_free(r);
}
END_TEST

/* A delay of nothing is due in the next turn, also in one that does not wait, and however the timer
 * was filed before. */
START_TEST(no_delay_is_the_next_turn)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct clockwork c;

	init(&c);
	for (int n = 0; n < 1000; n++) {
		if (n % 2)
			hark_timer_start(r, &c.timer, n % 4 == 1 ? HARK_US(100) : 1);
		hark_timer_start(r, &c.timer, n % 3 ? 0 : -5);
		ck_assert_int_eq(hark_reactor_turn(r, 0), 1);
	}
	hark_timer_start_at(r, &c.timer, clock_ns() - HARK_S(1));
	ck_assert_int_eq(active_turn(r), 1);
	hark_timer_start_at(r, &c.timer, 0);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 1);
	hark_timer_start_at(r, &c.timer, INT64_MIN);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 1);
	ck_assert_uint_eq(c.calls, 1003);
	hark_reactor_free(r);
}
END_TEST

/* The ends of time. */
START_TEST(an_age_is_pending_for_an_age)
{
	static const int64_t ages[] = {YEARS(100), YEARS(290), INT64_MAX - 1, INT64_MAX};
	struct hark_reactor *r = new_reactor(NULL);
	struct clockwork c[8];

	for (int i = 0; i < 4; i++) {
		init(&c[i]);
		init(&c[4 + i]);
		hark_timer_start(r, &c[i].timer, ages[i]);
		hark_timer_start_at(r, &c[4 + i].timer, ages[i]);
		ck_assert_int_ge(hark_timer_deadline(&c[i].timer), ages[i]);
		ck_assert_int_eq(hark_timer_deadline(&c[4 + i].timer), ages[i]);
		ck_assert_int_eq(hark_reactor_turn(r, HARK_MS(1)), 0);
	}
	hark_timer_start_rate(r, &c[0].timer, INT64_MAX, INT64_MAX);
	hark_timer_start_pause(r, &c[1].timer, 0, INT64_MAX);
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert(hark_timer_pending(&c[1].timer));
	for (int i = 0; i < 8; i++) {
		ck_assert(hark_timer_pending(&c[i].timer));
		hark_timer_stop(&c[i].timer);
	}
	ck_assert_int_eq(hark_reactor_run(r), 0);
	hark_reactor_free(r);
}
END_TEST

/* A hundred years go by. */
START_TEST(a_hundred_years_end)
{
	struct hark_reactor *r = reactor_on(&virtual_backend);
	struct clockwork c[3];

	for (int i = 0; i < 3; i++) {
		init(&c[i]);
		hark_timer_start(r, &c[i].timer, YEARS(100) + i - 1);
	}
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_int_ge(virtual_now, YEARS(100) + 1);
	ck_assert_int_lt(virtual_now, YEARS(100) + HARK_MS(1));
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(c[i].place, i + 1);
	hark_reactor_free(r);
}
END_TEST

/* The order of those that come due together. */

#define MANY 300

START_TEST(due_together_in_the_order_of_deadlines)
{
	static struct clockwork c[MANY];
	struct hark_reactor *r = reactor_on(&virtual_backend);
	int64_t last = 0;

	virtual_now = HARK_S(1);
	for (unsigned i = 0; i < MANY; i++) {
		init(&c[i]);
		/* 17 deadlines, some in one tick, over several levels; each several times. */
		hark_timer_start_at(r, &c[i].timer,
		                    HARK_S(1) + ((int64_t)(i * 7 % 17) << (i * 7 % 17 * 2)));
	}
	virtual_now = HARK_S(3600);
	ck_assert_int_eq(hark_reactor_turn(r, 0), MANY);
	for (unsigned place = 1; place <= MANY; place++) {
		static unsigned before;
		unsigned i = 0;

		while (c[i].place != place)
			i++;
		int64_t deadline = HARK_S(1) + ((int64_t)(i * 7 % 17) << (i * 7 % 17 * 2));
		ck_assert_int_ge(deadline, last);
		ck_assert_msg(deadline > last || place == 1 || i > before,
		              "equal deadlines: %u after %u", i, before);
		last = deadline;
		before = i;
	}
	hark_reactor_free(r);
}
END_TEST

/* Of the same deadline, the first is started before it and the second after it, with no turn in
 * between; they are looked at after the tick of it, or (_i) in the midst. */
START_TEST(same_deadline_ahead_and_over_in_the_order_of_starts)
{
	struct hark_reactor *r = reactor_on(&virtual_backend);
	struct clockwork c[2];

	for (int64_t after = 1; after < HARK_S(100); after *= 7) {
		int64_t deadline = virtual_now + HARK_US(10);

		for (int i = 0; i < 2; i++) {
			init(&c[i]);
			hark_timer_start_at(r, &c[i].timer, deadline);
			virtual_now += HARK_US(10) + after;
			hark_reactor_now(r); /* so that it knows */
		}
		if (_i == 0)
			virtual_now += 1 << 17;
		ck_assert_int_eq(hark_reactor_turn(r, -1), 2);
		ck_assert_uint_lt(c[0].place, c[1].place);
	}
	hark_reactor_free(r);
}
END_TEST

/* Moving. */

START_TEST(moved_to_later_and_to_earlier)
{
	struct hark_reactor *r = reactor_on(&virtual_backend);
	struct clockwork c;

	init(&c);
	for (int i = 1; i <= 1000; i++) {
		hark_timer_start(r, &c.timer, HARK_S(5));
		virtual_now += HARK_S(2);
		ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	}
	/* Its old slot comes up, and it is not due. */
	int64_t deadline = hark_timer_deadline(&c.timer);
	ck_assert_int_eq(deadline, virtual_now + HARK_S(3));
	ck_assert_int_eq(hark_reactor_turn(r, deadline - virtual_now - 1), 0);
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_int_ge(virtual_now, deadline);
	ck_assert_int_lt(virtual_now - deadline, 1 << 17);

	/* To earlier, step by step, over the levels. */
	for (int shift = 60; shift >= 0; shift -= 3)
		hark_timer_start(r, &c.timer, (int64_t)1 << shift);
	deadline = virtual_now + 1;
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_int_lt(virtual_now - deadline, 1 << 17);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(c.calls, 2);

	/* Later, earlier and later again, before the first slot has come up. */
	hark_timer_start(r, &c.timer, HARK_MS(10));
	hark_timer_start(r, &c.timer, HARK_S(10));
	hark_timer_start(r, &c.timer, HARK_MS(1));
	hark_timer_start(r, &c.timer, HARK_MS(7));
	deadline = virtual_now + HARK_MS(7);
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_int_ge(virtual_now, deadline);
	ck_assert_int_lt(virtual_now - deadline, 1 << 17);
	hark_reactor_free(r);
}
END_TEST

static void again_at_once(struct clockwork *c)
{
	hark_timer_start(reactor, &c->timer, 0);
}

static void again_in_a_millisecond(struct clockwork *c)
{
	if (c->calls < 5)
		hark_timer_start(reactor, &c->timer, HARK_MS(1));
}

static void put_off_the_other(struct clockwork *c)
{
	hark_timer_start(reactor, &c->with->timer, HARK_MS(5));
}

static void other_at_once(struct clockwork *c)
{
	hark_timer_start(reactor, &c->with->timer, 0);
}

START_TEST(moved_from_callbacks)
{
	exact(EXACT_TURNS);
	struct clockwork a, b;

	reactor = reactor_on(&virtual_backend);
	init(&a);
	init(&b);
	a.act = again_in_a_millisecond;
	hark_timer_start(reactor, &a.timer, HARK_MS(1));
	ck_assert_int_eq(hark_reactor_run(reactor), 0);
	ck_assert_uint_eq(a.calls, 5);
	ck_assert_int_ge(virtual_now, HARK_MS(5));

	/* One that is due in the same turn is put off. */
	a.act = put_off_the_other;
	a.with = &b;
	hark_timer_start(reactor, &a.timer, HARK_MS(1));
	hark_timer_start(reactor, &b.timer, HARK_MS(1));
	int64_t start = virtual_now;
	ck_assert_int_eq(hark_reactor_turn(reactor, -1), 1);
	ck_assert_uint_eq(b.calls, 0);
	ck_assert_int_eq(hark_reactor_turn(reactor, -1), 1);
	ck_assert_uint_eq(b.calls, 1);
	ck_assert_int_ge(virtual_now - start, HARK_MS(6));

	/* One that is due in the same turn, started with nothing: the next turn. */
	a.act = other_at_once;
	hark_timer_start(reactor, &a.timer, HARK_MS(1));
	hark_timer_start(reactor, &b.timer, HARK_MS(1));
	ck_assert_int_eq(hark_reactor_turn(reactor, -1), 1);
	ck_assert_int_eq(hark_reactor_turn(reactor, 0), 1);
	ck_assert_uint_eq(b.calls, 2);

	/* One that is far off is called in. */
	hark_timer_start(reactor, &a.timer, HARK_MS(1));
	hark_timer_start(reactor, &b.timer, YEARS(1));
	ck_assert_int_eq(hark_reactor_turn(reactor, -1), 1);
	ck_assert_int_eq(hark_reactor_turn(reactor, 0), 1);
	ck_assert_uint_eq(b.calls, 3);
	ck_assert_int_eq(hark_reactor_run(reactor), 0);
	ck_assert_uint_eq(b.calls, 3);
	hark_reactor_free(reactor);
}
END_TEST

/* Stopping and freeing. */

static struct clockwork *crowd[6];

static void free_self(struct clockwork *c)
{
	for (int i = 0; i < 6; i++)
		if (crowd[i] == c)
			crowd[i] = NULL;
	clockwork_free(c);
}

/* All the others, whether they have been called or not. */
static void free_others(struct clockwork *c)
{
	for (int i = 0; i < 6; i++)
		if (crowd[i] && crowd[i] != c) {
			clockwork_free(crowd[i]);
			crowd[i] = NULL;
		}
}

static void stop_others(struct clockwork *c)
{
	for (int i = 0; i < 6; i++)
		if (crowd[i] != c)
			hark_timer_stop(&crowd[i]->timer);
}

START_TEST(stopped_and_freed_in_callbacks)
{
	static void (*const acts[])(struct clockwork *) = {free_self, free_others, stop_others};

	for (int act = 0; act < 3; act++)
		for (int who = 0; who < 6; who++) {
			reactor = new_reactor(NULL);
			rings = 0;
			for (int i = 0; i < 6; i++) {
				crowd[i] = clockwork_new();
				/* Two of them periodic, one far off. */
				if (i % 3 == 1)
					hark_timer_start_rate(reactor, &crowd[i]->timer, i,
					                      HARK_S(100));
				else
					hark_timer_start(reactor, &crowd[i]->timer,
					                 i == 5 && who != 5 ? HARK_S(100) : i);
			}
			crowd[who]->act = acts[act];
			pass(reactor, 2);
			if (act == 0)
				ck_assert_uint_eq(rings, who == 5 ? 6 : 5);
			else
				ck_assert_uint_eq(rings, (unsigned)who + 1);
			for (int i = 0; i < 6; i++)
				if (crowd[i])
					clockwork_free(crowd[i]);
			ck_assert_int_eq(hark_reactor_run(reactor), 0);
			hark_reactor_free(reactor);
		}
}
END_TEST

START_TEST(stopped_is_not_called)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct clockwork c;

	init(&c);
	hark_timer_stop(&c.timer);
	for (int i = 0; i < 3; i++) {
		hark_timer_start(r, &c.timer, i == 0 ? 0 : HARK_US(200));
		if (i == 2)
			hark_timer_start_rate(r, &c.timer, 0, HARK_MS(1));
		hark_timer_stop(&c.timer);
		hark_timer_stop(&c.timer);
		ck_assert(!hark_timer_pending(&c.timer));
		quiet(r, 5);
	}
	ck_assert_uint_eq(c.calls, 0);
	hark_reactor_free(r);
}
END_TEST

/* Descriptors are not starved. */
START_TEST(again_and_again_at_once_starves_nobody)
{
	struct clockwork c, d;
	struct actor *a;

	reactor = new_reactor(NULL);
	a = actor_new(reactor);
	init(&c);
	init(&d);
	c.act = d.act = again_at_once;
	hark_timer_start(reactor, &c.timer, 0);
	hark_timer_start(reactor, &d.timer, 0);
	actor_feed(a, 50);
	for (unsigned turns = 0; a->recvs < 50; turns++) {
		ck_assert_uint_lt(turns, patience(200));
		ck_assert_int_ge(hark_reactor_turn(reactor, -1), 2);
		ck_assert_uint_eq(c.calls, d.calls);
		ck_assert_uint_eq(c.calls, turns + 1);
	}
	hark_timer_stop(&c.timer);
	hark_timer_stop(&d.timer);
	actor_free(a);
	hark_reactor_free(reactor);
}
END_TEST

/* Nor are timers by a descriptor that is always ready. */
START_TEST(a_busy_descriptor_starves_no_timer)
{
	exact(EXACT_TURNS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);
	struct clockwork c;

	a->recv = false;
	a->send = true;
	hark_handler_refresh(&a->handler);
	init(&c);
	int64_t start = clock_ns();
	hark_timer_start(r, &c.timer, HARK_MS(2));
	for (int turns = 0; c.calls == 0; turns++) {
		char bytes[64];

		ck_assert_int_ge(active_turn(r), 1);
		while (read(a->peer, bytes, sizeof bytes) > 0)
			;
		ck_assert_int_lt(clock_ns() - start, HARK_S(60));
	}
	ck_assert_int_ge(clock_ns() - start, HARK_MS(2));
	ck_assert_uint_gt(a->sends, 0);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* Periodic timers. */

START_TEST(rate_counts_what_it_missed_and_does_not_drift)
{
	struct hark_reactor *r = reactor_on(&virtual_backend);
	struct clockwork c;

	init(&c);
	hark_timer_start_rate(r, &c.timer, HARK_MS(3), HARK_MS(10));
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(hark_timer_deadline(&c.timer), HARK_MS(3) + i * HARK_MS(10));
		ck_assert_int_eq(active_turn(r), 1);
		ck_assert(hark_timer_pending(&c.timer));
	}
	ck_assert_uint_eq(c.calls, 1000);
	ck_assert_uint_eq(c.missed, 0);

	/* The next is at 10003: seven of them and the one that comes. */
	virtual_now = HARK_MS(10003) + HARK_MS(75);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 1);
	ck_assert_uint_eq(c.missed, 7);
	ck_assert_int_eq(hark_timer_deadline(&c.timer), HARK_MS(10083));
	virtual_now = HARK_MS(10083); /* on the dot */
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_uint_eq(c.missed, 7);

	/* A period of nothing, and a year of it. */
	hark_timer_start_rate(r, &c.timer, 0, 0);
	int64_t first = virtual_now;
	c.calls = 0;
	c.missed = 0;
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(active_turn(r), 1);
	virtual_now += YEARS(1);
	ck_assert_int_eq(hark_reactor_turn(r, 0), 1);
	ck_assert_uint_eq(c.calls + c.missed, (uint64_t)(virtual_now - first) + 1);
	hark_timer_start(r, &c.timer, 0); /* no longer periodic */
	c.missed = 0;
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(c.missed, 0);
	hark_reactor_free(r);
}
END_TEST

static void take_three_milliseconds(struct clockwork *c)
{
	(void)c;
	virtual_now += HARK_MS(3);
}

START_TEST(pause_counts_from_the_call)
{
	struct hark_reactor *r = reactor_on(&virtual_backend);
	struct clockwork c;

	init(&c);
	hark_timer_start_pause(r, &c.timer, HARK_MS(1), HARK_MS(10));
	for (int i = 0; i < 100; i++) {
		jump = i % 3 == 0 ? HARK_MS(35) : 0;
		int64_t deadline = hark_timer_deadline(&c.timer);
		while (c.calls == (unsigned)i)
			ck_assert_int_ge(hark_reactor_turn(r, -1), 0);
		ck_assert_int_ge(virtual_now, deadline);
		ck_assert_int_eq(hark_timer_deadline(&c.timer), virtual_now + HARK_MS(10));
	}
	ck_assert_uint_eq(c.missed, 0);
	jump = 0;
	c.act = take_three_milliseconds;
	int64_t deadline = hark_timer_deadline(&c.timer);
	ck_assert_int_eq(active_turn(r), 1);
	ck_assert_int_ge(hark_timer_deadline(&c.timer), deadline + HARK_MS(10));
	hark_reactor_free(r);
}
END_TEST

/* What keeps a run going. */

START_TEST(background_timers_do_not_keep_a_run)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct clockwork c, b;

	init(&c);
	init(&b);
	hark_timer_init(&b.timer, &background_ops);
	hark_timer_start_rate(r, &b.timer, 0, HARK_MS(1));
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(b.calls, 0);
	hark_timer_start(r, &c.timer, HARK_MS(20));
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(c.calls, 1);
	ck_assert_uint_ge(b.calls, 1);
	ck_assert(hark_timer_pending(&b.timer));
	hark_timer_stop(&b.timer);
	hark_timer_start(r, &c.timer, HARK_S(1000));
	hark_timer_stop(&c.timer);
	ck_assert_int_eq(hark_reactor_run(r), 0);
	hark_reactor_free(r);
}
END_TEST

/* Freeing the reactor. */

START_TEST(freeing_the_reactor_detaches)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct clockwork c[4];

	for (int i = 0; i < 4; i++)
		init(&c[i]);
	hark_timer_start(r, &c[0].timer, 0);
	hark_timer_start(r, &c[1].timer, HARK_MS(5));
	hark_timer_start(r, &c[2].timer, YEARS(3));
	hark_timer_start_rate(r, &c[3].timer, HARK_S(1), HARK_S(1));
	hark_reactor_free(r);
	r = new_reactor(NULL);
	for (int i = 0; i < 4; i++) {
		ck_assert(!hark_timer_pending(&c[i].timer));
		hark_timer_stop(&c[i].timer);
		hark_timer_start(r, &c[i].timer, HARK_MS(1));
	}
	ck_assert_int_eq(hark_reactor_run(r), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(c[i].calls, 1);
	hark_reactor_free(r);
}
END_TEST

static void free_the_reactor(struct clockwork *c)
{
	hark_reactor_free(reactor);
	ck_assert(!hark_timer_pending(&c->timer));
}

/* Those behind it were due when they were started, or became so in a tick that is over, or in
 * several. */
START_TEST(reactor_freed_in_a_callback)
{
	exact(EXACT_TURNS);
	static const int64_t apart[] = {0, 0, HARK_MS(1)};
	struct clockwork c[4];

	for (int run = 0; run < 2; run++) {
		reactor = new_reactor(NULL);
		for (int i = 0; i < 4; i++) {
			int64_t first = _i == 0 ? 0 : HARK_MS(1) + i * apart[_i];

			init(&c[i]);
			hark_timer_start_rate(reactor, &c[i].timer, i == 3 ? HARK_S(9) : first, 1);
		}
		if (_i > 0)
			usleep(5000);
		c[1].act = free_the_reactor;
		if (run)
			ck_assert_int_eq(hark_reactor_run(reactor), 0);
		else
			ck_assert_int_eq(hark_reactor_turn(reactor, -1), 0);
		ck_assert_uint_eq(c[0].calls, 1);
		ck_assert_uint_eq(c[1].calls, 1);
		ck_assert_uint_eq(c[2].calls + c[3].calls, 0);
		for (int i = 0; i < 4; i++) {
			ck_assert(!hark_timer_pending(&c[i].timer));
			hark_timer_stop(&c[i].timer);
		}
	}
}
END_TEST

/* Starting on another reactor. */
START_TEST(starting_elsewhere_moves)
{
	struct hark_reactor *r = new_reactor(NULL), *s = new_reactor(NULL);
	struct clockwork c;

	init(&c);
	hark_timer_start(r, &c.timer, HARK_MS(1));
	hark_timer_start(s, &c.timer, HARK_MS(1));
	ck_assert_int_eq(hark_reactor_run(r), 0);
	ck_assert_uint_eq(c.calls, 0);
	hark_reactor_free(r);
	ck_assert(hark_timer_pending(&c.timer));
	ck_assert_int_eq(hark_reactor_run(s), 0);
	ck_assert_uint_eq(c.calls, 1);
	hark_reactor_free(s);
}
END_TEST

/* The clock. */

static struct hark_backend counting; /* the backend under test, but for its clock */

static int64_t count_reads(void *state)
{
	(void)state;
	clock_reads++;
	return clock_ns();
}

START_TEST(the_clock_is_read_for_timers_only)
{
	const struct hark_backend *b;
	struct hark_reactor *r;
	struct clockwork c;
	struct actor *a;

	if (strcmp(chained(backend), backend) != 0) {
		except("the_clock_is_read_for_timers_only", "a wrapper may read it as it likes");
		return;
	}
	for (unsigned i = 0; (b = hark_backend_at(i)); i++)
		if (backend_is(b->name))
			counting = *b;
	counting.name = "counting";
	counting.now = count_reads;
	r = reactor_on(&counting);
	init(&c);
	hark_timer_start(r, &c.timer, 1);
	ck_assert_int_eq(hark_reactor_turn(r, -1), 1);
	ck_assert_uint_gt(clock_reads, 0);
	clock_reads = 0;
	a = actor_new(r);
	actor_feed(a, 20);
	for (unsigned i = 1; i <= 20; i++) {
		ck_assert_int_eq(hark_reactor_turn(r, i % 2 ? -1 : 0), 1);
		ck_assert_uint_eq(clock_reads, 0);
	}
	hark_timer_start(r, &c.timer, HARK_S(100));
	hark_timer_stop(&c.timer);
	clock_reads = 0;
	actor_feed(a, 1);
	ck_assert_int_eq(hark_reactor_turn(r, -1), 1);
	ck_assert_uint_eq(clock_reads, 0);
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* Other waits. */

START_TEST(prepare_tells_the_time_until_the_next)
{
	exact(EXACT_CALLS | EXACT_TURNS);
	struct hark_reactor *r = new_reactor(NULL);
	struct clockwork c, d;

	init(&c);
	init(&d);
	ck_assert_int_eq(hark_reactor_prepare(r), -1);
	hark_timer_start(r, &c.timer, HARK_S(100));
	int64_t left = hark_reactor_prepare(r);
	ck_assert_int_gt(left, 0);
	ck_assert_int_le(left, HARK_S(100) + (1 << 17));
	hark_timer_start(r, &d.timer, HARK_MS(50));
	left = hark_reactor_prepare(r);
	ck_assert_int_ge(left, 0);
	ck_assert_int_le(left, HARK_MS(50) + (1 << 17));
	/* An outer loop that waits as long as it is told gets it called. */
	for (int64_t end = clock_ns() + HARK_S(60); d.calls == 0;) {
		left = hark_reactor_prepare(r);
		ck_assert_int_ge(left, 0);
		ck_assert_int_lt(clock_ns(), end);
		nanosleep(&(struct timespec){.tv_nsec = (long)left}, NULL);
		ck_assert_int_ge(hark_reactor_turn(r, 0), 0);
	}
	hark_timer_start(r, &d.timer, 0);
	ck_assert_int_eq(hark_reactor_prepare(r), 0);
	hark_timer_stop(&d.timer);
	hark_timer_stop(&c.timer);
	ck_assert_int_eq(hark_reactor_prepare(r), -1);
	hark_reactor_free(r);
}
END_TEST

START_TEST(a_turn_ends_with_its_time_or_a_timer)
{
	exact(EXACT_TURNS);
	struct hark_options options = {.spin_ns = _i ? HARK_US(50) : 0};
	struct hark_reactor *r = new_reactor(&options);
	struct clockwork c;

	init(&c);
	hark_timer_start(r, &c.timer, HARK_S(1000));
	for (int i = 0; i < 5; i++) {
		int64_t start = clock_ns();
		ck_assert_int_eq(hark_reactor_turn(r, HARK_MS(4)), 0);
		ck_assert_int_ge(clock_ns() - start, HARK_MS(4));
		ck_assert_int_eq(hark_reactor_turn(r, 0), 0);
	}
	hark_timer_start(r, &c.timer, HARK_MS(4));
	ck_assert_int_eq(hark_reactor_turn(r, HARK_S(1000)), 1);
	hark_timer_start(r, &c.timer, HARK_MS(4));
	ck_assert_int_eq(hark_reactor_turn(r, INT64_MAX), 1);
	hark_reactor_free(r);
}
END_TEST

/* A reactor that was busy, or has just been woken by a timer, does not look again and again. */
START_TEST(a_quiet_reactor_with_timers_sleeps)
{
	exact(EXACT_CALLS | EXACT_TURNS | EXACT_VERBS);
	struct hark_reactor *r = new_reactor(NULL);
	struct actor *a = actor_new(r);
	struct clockwork c, d;

	init(&c);
	init(&d);
	hark_timer_start(r, &d.timer, HARK_S(100));
	for (int i = 0; i < 50; i++) {
		actor_feed(a, 1);
		ck_assert_int_eq(hark_reactor_turn(r, -1), 1);
	}
	quiet(r, 20);
	for (int i = 0; i < 50; i++) {
		uint64_t waits = stats_of(r).waits;

		hark_timer_start(r, &c.timer, HARK_MS(1));
		ck_assert_int_eq(hark_reactor_turn(r, -1), 1);
		ck_assert_uint_le(stats_of(r).waits - waits, 4);
	}
	actor_free(a);
	hark_reactor_free(r);
}
END_TEST

/* In a child. */

static struct hark_reactor *child_side;

static void child_body(void *with)
{
	struct clockwork *c = with;

	ck_assert_int_eq(hark_reactor_turn(child_side, 0), -ECHILD);
	ck_assert_int_eq(hark_reactor_after_fork(child_side), 0);
	ck_assert_int_eq(active_turn(child_side), 1);
	ck_assert_uint_eq(c->calls, 1);
	hark_reactor_free(child_side);
}

START_TEST(a_child_has_the_timers)
{
	struct clockwork c;

	child_side = new_reactor(NULL);
	init(&c);
	hark_timer_start(child_side, &c.timer, HARK_MS(5));
	in_child(child_body, &c);
	ck_assert_int_eq(hark_reactor_run(child_side), 0);
	ck_assert_uint_eq(c.calls, 1);
	hark_reactor_free(child_side);
}
END_TEST

static pid_t forked;

static void fork_here(struct clockwork *c)
{
	(void)c;
	fflush(NULL);
	forked = fork();
	ck_assert_int_ge(forked, 0);
}

/* Those that were due behind the one that forked are due in the child, too: it must not sleep. They
 * were due when they were started, or in a tick that is over, or in several. */
START_TEST(a_child_of_a_callback_has_the_rest_of_those_due)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct clockwork c, d;
	int status;

	init(&c);
	init(&d);
	c.act = fork_here;
	if (_i == 0) {
		hark_timer_start(r, &c.timer, 0);
		hark_timer_start(r, &d.timer, 0);
	} else {
		int64_t deadline = clock_ns() + HARK_MS(1);

		hark_timer_start_at(r, &c.timer, deadline);
		hark_timer_start_at(r, &d.timer, deadline + (_i == 1 ? 0 : HARK_MS(1)));
		usleep(5000);
	}
	int rc = hark_reactor_turn(r, -1);
	if (forked == 0) {
		if (rc != -ECHILD || hark_reactor_after_fork(r) || d.calls != 0)
			_exit(1);
		_exit(hark_reactor_turn(r, -1) == 1 && d.calls == 1 ? 0 : 2);
	}
	ck_assert_int_eq(rc, 2);
	ck_assert_int_eq(waitpid(forked, &status, 0), forked);
	ck_assert_int_eq(status, 0);
	hark_reactor_free(r);
}
END_TEST

/* The dump. */
START_TEST(dump_counts_timers)
{
	struct hark_reactor *r = new_reactor(NULL);
	struct clockwork c[3];
	char text[4096];
	FILE *file = tmpfile();

	ck_assert_ptr_nonnull(file);
	for (int i = 0; i < 3; i++) {
		init(&c[i]);
		if (i == 2)
			hark_timer_init(&c[i].timer, &background_ops);
		hark_timer_start(r, &c[i].timer, HARK_S(i));
	}
	hark_reactor_dump(r, file);
	rewind(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	ck_assert_ptr_nonnull(strstr(text, "timers: 3 pending, 1 of them in the background\n"));
	hark_reactor_free(r);
}
END_TEST

/* The model: random operations on timers of which the test knows what each has to do, on a clock
 * that creeps and leaps. Every call is checked against all timers: not early, none that is due
 * before it left out, and at the end of each turn none left that is more than a tick late. */

#define TIMERS 150
#define OPERATIONS 20000

struct modelled {
	struct hark_timer timer; /* first */
	bool pending;
	int64_t deadline;
	int64_t period;   /* negative: a pause */
	unsigned started; /* the turn in which a callback started it, 0: none */
};

static struct modelled model[TIMERS];
static unsigned model_turn; /* 0: outside */
static int64_t model_now;   /* the reactor's time in this turn */
static int64_t model_last;  /* the deadline that was called last in it */
static unsigned model_calls, operations;
static uint64_t seed;

static unsigned draw(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/* Any number of bits is as likely as any other. */
static int64_t draw_time(unsigned bits)
{
	unsigned n = draw(bits + 1);
	uint64_t time = (uint64_t)draw(1u << 30) << 30 | draw(1u << 30);

	return n == 0 ? 0 : (int64_t)(time & (((uint64_t)1 << n) - 1));
}

static int64_t later(int64_t time, int64_t delay)
{
	return delay > INT64_MAX - time ? INT64_MAX : time + delay;
}

static void operate(void)
{
	struct modelled *m = &model[draw(TIMERS)];
	int64_t delay = draw_time(45), now = hark_reactor_now(reactor);
	unsigned kind = draw(10);

	operations++;
	if (kind == 0) {
		hark_timer_stop(&m->timer);
		m->pending = false;
		return;
	}
	m->period = 0;
	m->deadline = later(now, delay);
	if (kind == 1) {
		m->deadline = now / 2 + delay / 2;
		hark_timer_start_at(reactor, &m->timer, m->deadline);
	} else if (kind == 2) {
		m->period = draw_time(40) + 1;
		hark_timer_start_rate(reactor, &m->timer, delay, m->period);
	} else if (kind == 3) {
		m->period = -draw_time(40) - 1;
		hark_timer_start_pause(reactor, &m->timer, delay, -m->period);
	} else {
		hark_timer_start(reactor, &m->timer, delay);
	}
	m->pending = true;
	m->started = model_turn;
}

static int64_t tick_of(int64_t deadline)
{
	return (deadline + (1 << 17) - 1) >> 17;
}

static void model_ring(struct hark_timer *t, uint64_t missed)
{
	struct modelled *m = (struct modelled *)(void *)t;
	uint64_t expected = 0;

	model_now = hark_reactor_now(reactor);
	model_calls++;
	ck_assert_msg(m->pending, "a timer that is not pending");
	ck_assert_int_le(m->deadline, model_now);
	ck_assert_int_ge(m->deadline, model_last);
	ck_assert_uint_ne(m->started, model_turn);
	for (int i = 0; i < TIMERS; i++)
		if (model[i].pending && model[i].started != model_turn &&
		    model[i].deadline < m->deadline &&
		    tick_of(model[i].deadline) <= model_now >> 17)
			ck_abort_msg("an earlier deadline, %lld, is left for later than %lld",
			             (long long)model[i].deadline, (long long)m->deadline);
	model_last = m->deadline;
	if (m->period > 0) {
		expected = (uint64_t)((model_now - m->deadline) / m->period);
		m->deadline = later(m->deadline + (int64_t)expected * m->period, m->period);
	} else if (m->period < 0) {
		m->deadline = later(model_now, -m->period);
	} else {
		m->pending = false;
	}
	m->started = model_turn;
	ck_assert_uint_eq(missed, expected);
	ck_assert_int_eq(hark_timer_pending(t), m->pending);
	ck_assert_int_eq(hark_timer_deadline(t), m->pending ? m->deadline : INT64_MAX);
	for (unsigned n = draw(3); n > 0; n--)
		operate();
}

static const struct hark_timer_ops model_ops = {.handle_timer = model_ring, .name = "modelled"};

/* One turn, short or until the next timer, after which nothing is overdue. */
static void model_round(void)
{
	static unsigned turns;

	/* A day at most, mostly much less: over slots, over levels, and over nothing. */
	jump = draw(3) ? 0 : draw_time(46);
	model_turn = ++turns;
	model_last = INT64_MIN;
	int64_t start = virtual_now;
	ck_assert_int_ge(hark_reactor_turn(reactor, draw(2) ? 0 : draw_time(30)), 0);
	for (int i = 0; i < TIMERS; i++)
		if (model[i].pending && model[i].started != model_turn &&
		    tick_of(model[i].deadline) <= start >> 17)
			ck_abort_msg("lost: due at %lld, and it is %lld",
			             (long long)model[i].deadline, (long long)virtual_now);
	model_turn = 0;
}

START_TEST(random_operations_agree_with_a_model)
{
	reactor = reactor_on(&virtual_backend);
	seed = (uint64_t)_i + 1;
	for (int i = 0; i < TIMERS; i++)
		hark_timer_init(&model[i].timer, &model_ops);
	while (operations < OPERATIONS) {
		for (unsigned n = draw(6); n > 0; n--)
			operate();
		if (virtual_now > YEARS(150)) {
			/* From the beginning, before time ends; nothing is pending then. */
			for (int i = 0; i < TIMERS; i++) {
				hark_timer_stop(&model[i].timer);
				model[i].pending = false;
			}
			virtual_now = draw_time(50);
		}
		model_round();
	}
	ck_assert_uint_gt(model_calls, 1000);
	for (int i = 0; i < TIMERS; i++)
		ck_assert_int_eq(hark_timer_pending(&model[i].timer), model[i].pending);
	hark_reactor_free(reactor);
}
END_TEST

TCase *case_timer(void)
{
	TCase *tc = tcase_create("timer");

	if (long_tests)
		tcase_add_loop_test(tc, never_early, 0, 2);
	tcase_add_test(tc, late_by_less_than_a_tick);
	tcase_add_test(tc, no_delay_is_the_next_turn);
	tcase_add_test(tc, an_age_is_pending_for_an_age);
	tcase_add_test(tc, a_hundred_years_end);
	tcase_add_test(tc, due_together_in_the_order_of_deadlines);
	tcase_add_loop_test(tc, same_deadline_ahead_and_over_in_the_order_of_starts, 0, 2);
	tcase_add_test(tc, moved_to_later_and_to_earlier);
	tcase_add_test(tc, moved_from_callbacks);
	tcase_add_test(tc, stopped_and_freed_in_callbacks);
	tcase_add_test(tc, stopped_is_not_called);
	tcase_add_test(tc, again_and_again_at_once_starves_nobody);
	tcase_add_test(tc, a_busy_descriptor_starves_no_timer);
	tcase_add_test(tc, rate_counts_what_it_missed_and_does_not_drift);
	tcase_add_test(tc, pause_counts_from_the_call);
	tcase_add_test(tc, background_timers_do_not_keep_a_run);
	tcase_add_test(tc, freeing_the_reactor_detaches);
	tcase_add_loop_test(tc, reactor_freed_in_a_callback, 0, 3);
	tcase_add_test(tc, starting_elsewhere_moves);
	tcase_add_test(tc, the_clock_is_read_for_timers_only);
	tcase_add_test(tc, prepare_tells_the_time_until_the_next);
	tcase_add_loop_test(tc, a_turn_ends_with_its_time_or_a_timer, 0, 2);
	tcase_add_test(tc, a_quiet_reactor_with_timers_sleeps);
	tcase_add_test(tc, a_child_has_the_timers);
	tcase_add_loop_test(tc, a_child_of_a_callback_has_the_rest_of_those_due, 0, 3);
	tcase_add_test(tc, dump_counts_timers);
	if (long_tests && !chaotic()) /* it has a backend of its own */
		tcase_add_loop_test(tc, random_operations_agree_with_a_model, 0, 8);
	return tc;
}
