"""Tests of examples/hello-task; harness.py has the usage."""

import signal
import time

from harness import Run, calm_check, check, main, need, refuses, signal_after_a_line

NAME = "hello-task"


@check
def it_greets_waits_and_prints_its_result():
    started = time.monotonic()
    run = Run(NAME)
    need(run.output == "hello, world\ngoodbye, world\n42\n", "%r" % run.output)
    need(run.errors == "", "said %r" % run.errors)
    need(time.monotonic() - started >= 0.5, "it did not wait")
    need(Run(NAME, "you").output == "hello, you\ngoodbye, you\n42\n", "greets somebody else")


@check
def sigint_and_sigterm_cancel_it():
    for number in signal.SIGINT, signal.SIGTERM:
        run = Run(NAME, status=1, meanwhile=signal_after_a_line(number))
        need(run.output == "", "went on and said %r" % run.output)
        need(run.errors == "hello-task: interrupted\n", "said %r" % run.errors)


@calm_check
def bad_input_gets_one_line_and_status_2():
    refuses(NAME, "--colour", "red")
    refuses(NAME, "--backend")
    refuses(NAME, "you", "me", says="'me'")
    refuses(NAME, backend="nonesuch", says="nonesuch")
    refuses(NAME, "--backend", "nonesuch", says="nonesuch")


main(NAME)
