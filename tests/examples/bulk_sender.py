"""Tests of examples/bulk-sender; harness.py has the usage."""

import re
import signal
import socket
import threading
import time

from harness import (PATIENCE, SMALL, TELLS_ERRORS, Mischief, Run, calm_check, chaos_check, check, main,
                     need, note, refuses)

NAME = "bulk-sender"
MIB = 1 << 20
SIZE = 8 if SMALL else 70
MORE = 16  # MiB, more than two sockets hold
PATTERN = bytes(i % 251 for i in range(251 * 1024))


class Reader:
    """A peer in a thread of its own: receives it all, having slept for that long first and after
    each of so many bytes. `with Reader(...) as r: Run(NAME, *r.arguments)`"""

    def __init__(self, stall=0.0, every=1 << 30, limit=1 << 40, family=socket.AF_INET):
        self.listener = socket.socket(family)
        self.listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.listener.listen()
        self.listener.settimeout(PATIENCE)
        self.arguments = ("--port", str(self.listener.getsockname()[1]))
        self.stall, self.every, self.limit = stall, every, limit
        self.got, self.wrong = 0, None
        self.accepted = threading.Event()
        self.thread = threading.Thread(target=self.read)

    def read(self):
        with self.listener.accept()[0] as s:
            s.settimeout(PATIENCE)
            self.accepted.set()
            time.sleep(self.stall)
            slept_at = 0
            while self.got < self.limit and (data := s.recv(262144)):
                at = self.got % 251
                if data != PATTERN[at:at + len(data)] and self.wrong is None:
                    whole = PATTERN * (len(data) // len(PATTERN) + 2)
                    if data != whole[at:at + len(data)]:
                        self.wrong = self.got
                self.got += len(data)
                if self.got - slept_at >= self.every:
                    slept_at = self.got
                    time.sleep(self.stall)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self.thread.join()
        self.listener.close()
        need(self.wrong is None, "other bytes from %r on" % self.wrong)
        return False


def results(run):
    """The numbers in what a run has printed: bytes, sends, received (or None), ticks, possible."""
    match = re.fullmatch(r"sent (\d+) bytes in (\d+) sends\n"
                         r"(?:received (\d+) bytes\n)?"
                         r"counted (\d+) ticks in \d+\.\d\d s, of (\d+) possible\n", run.output)
    need(match, "%r" % run.output)
    return [None if n is None else int(n) for n in match.groups()]


def kept_pace(ticks, possible):
    """Whoever blocks while the reader stalls counts next to nothing."""
    note("%d ticks of %d" % (ticks, possible))
    need(ticks <= possible, "%d ticks, though only %d were possible" % (ticks, possible))
    need(ticks >= possible / 10, "only %d ticks of %d" % (ticks, possible))


@calm_check
def a_slow_reader_gets_it_all_and_the_counter_goes_on():
    with Reader(stall=1.5, every=SIZE * MIB // 2) as reader:
        run = Run(NAME, "--mib", str(SIZE), *reader.arguments)
    sent, sends, received, ticks, possible = results(run)
    need(reader.got == sent == SIZE * MIB, "%d bytes arrived of %d" % (reader.got, sent))
    need(received is None and run.errors == "", "said %r, %r" % (run.output, run.errors))
    need(sends > 1, "%d sends" % sends)
    need(possible >= 150, "it did not wait: %r" % run.output)
    kept_pace(ticks, possible)


@check
def the_demo_brings_its_own_reader():
    run = Run(NAME, "--demo", *(("--mib", str(SIZE)) if SMALL else ()))
    sent, sends, received, ticks, possible = results(run)
    need(sent == received == SIZE * MIB, "%r" % run.output)
    need(sends > 1 and run.errors == "", "%d sends, %r" % (sends, run.errors))
    need(possible >= 100, "its reader did not stall: %r" % run.output)
    kept_pace(ticks, possible)


@check
def ipv6():
    try:
        reader = Reader(family=socket.AF_INET6)
    except OSError as error:
        note("no IPv6 here: %s" % error)
        return
    with reader:
        run = Run(NAME, "--host", "::1", "--mib", "1", *reader.arguments)
    need(results(run)[0] == reader.got == MIB, "%r" % run.output)


@check
def a_reader_that_leaves_is_reported():
    with Reader(limit=1) as reader:
        run = Run(NAME, "--mib", str(MORE), *reader.arguments, status=1)
    need(re.fullmatch(r"bulk-sender: [^\n]+\n", run.errors), "said %r" % run.errors)
    need(results(run)[0] < MORE * MIB, "%r" % run.output)


@chaos_check
def a_connection_that_breaks_is_reported():
    for error, words in ("econnreset=1", "Connection reset by peer"), (
            "enobufs=1", "No buffer space available"):
        with Reader() as reader, Mischief(error):
            run = Run(NAME, "--mib", str(MORE), *reader.arguments, status=1)
        need(run.errors == "bulk-sender: %s\n" % words, "said %r" % run.errors)
        need(results(run)[0] == reader.got, "%d bytes came: %r" % (reader.got, run.output))


@check
def without_a_reader_there_is_one_line_and_status_1():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        run = Run(NAME, "--mib", "1", "--port", str(nobody.getsockname()[1]), status=1)
    why = "Connection refused" if TELLS_ERRORS else "[^\n]+"
    need(re.fullmatch("bulk-sender: %s\n" % why, run.errors), "said %r" % run.errors)
    need(results(run)[0] == 0, "%r" % run.output)


@calm_check
def sigint_and_sigterm_end_it_while_it_waits():
    for number in signal.SIGINT, signal.SIGTERM:
        def interrupt(process):
            need(reader.accepted.wait(PATIENCE), "it does not connect")
            time.sleep(0.5)
            process.send_signal(number)

        with Reader(stall=2) as reader:
            run = Run(NAME, "--mib", str(MORE), *reader.arguments, meanwhile=interrupt, status=1)
        need(run.errors == "bulk-sender: interrupted\n", "said %r" % run.errors)
        need(results(run)[0] < MORE * MIB, "%r" % run.output)


@calm_check
def bad_input_gets_one_line_and_status_2():
    refuses(NAME, says="--port or --demo")
    refuses(NAME, "--demo", "--port", "1", says="--port or --demo")
    refuses(NAME, "--port", "65536", says="is not a port")
    refuses(NAME, "--host", "nowhere", "--port", "1", says="'nowhere'")
    refuses(NAME, "--host", "", "--port", "1", says="''")
    for mib in "0", "1025", "-1", "", "many", "9" * 40:
        refuses(NAME, "--demo", "--mib", mib, says="--mib: ")
    refuses(NAME, "--colour", "red")
    refuses(NAME, "--demo", "extra", says="'extra'")
    refuses(NAME, "--demo", backend="nonesuch", says="nonesuch")
    refuses(NAME, "--demo", "--backend", "nonesuch", says="nonesuch")


main(NAME)
