"""Tests of examples/message-loop; harness.py has the usage."""

import re
import signal
import time

from harness import (FULL, VALGRIND, Run, calm_check, check, main, need, refuses,
                     signal_after_a_line)

NAME = "message-loop"


def lines(run, producers):
    """Checks what a run of so many producers says of them; returns its last line."""
    said = run.output.splitlines()
    need(run.errors == "", "said %r" % run.errors)
    for n in range(producers):
        begins, ended = "producer %d begins" % n, "producer %d has ended" % n
        need(said.count(begins) == 1 and said.count(ended) == 1, "%r" % said)
        need(said.index(begins) < said.index(ended), "ended before it began: %r" % said)
    need(len(said) == 2 * producers + 1, "%r" % said)
    return said[-1]


def adds_up(producers, numbers, pause):
    run = Run(NAME, "--producers", str(producers), "--numbers", str(numbers), "--pause", str(pause))
    expected = "%d numbers, sum %d" % (producers * numbers,
                                       producers * numbers * (numbers + 1) // 2)
    last = lines(run, producers)
    need(last == expected, "%r, not %r" % (last, expected))


@check
def every_message_is_handled_once_and_the_final_one_last():
    adds_up(1, 0, 0)
    adds_up(1, 1, 0)
    adds_up(16, 0, 0)
    for _ in range(3 if VALGRIND else 50):
        adds_up(4, 200, 0)
    if not VALGRIND:
        adds_up(16, 100000 if FULL else 10000, 0)


@check
def a_loop_without_messages_waits_for_more():
    started = time.monotonic()
    adds_up(2, 3, 100)
    need(time.monotonic() - started >= 0.3, "the producers do not pause")


@check
def without_options_it_adds_up_what_four_send():
    need(lines(Run(NAME), 4) == "400 numbers, sum 20200", "something else")


@check
def sigint_and_sigterm_end_the_loop():
    for number in signal.SIGINT, signal.SIGTERM:
        run = Run(NAME, "--pause", "200", "--numbers", "100000",
                  meanwhile=signal_after_a_line(number))
        need("has ended" not in run.output, "said %r" % run.output)
        need(re.search(r"^\d+ numbers, sum \d+$", run.output, re.MULTILINE), "%r" % run.output)
        need(run.errors == "", "said %r" % run.errors)


@calm_check
def bad_input_gets_one_line_and_status_2():
    for producers in "0", "17", "-1", "", "four", "4x", "9" * 40:
        refuses(NAME, "--producers", producers, says="--producers: ")
    refuses(NAME, "--numbers", "100001", says="--numbers: ")
    refuses(NAME, "--pause", "1001", says="--pause: ")
    refuses(NAME, "--pause")
    refuses(NAME, "--colour", "red")
    refuses(NAME, "extra", says="'extra'")
    refuses(NAME, backend="nonesuch", says="nonesuch")
    refuses(NAME, "--backend", "nonesuch", says="nonesuch")


main(NAME)
