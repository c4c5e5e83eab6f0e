"""Whole programs in documents compile as they stand, and those of the guide and of the document on
testing work.

Usage: documents.py SOURCE_DIR LIBRARY

CC names the compiler. A listing is a whole file if it includes something, and a program if it has
a main. A program of the guide runs as it stands but for the number of its port, so that others on
this machine may have that, and for the time after which the server of chapter 9 ends clients.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if len(sys.argv) != 3:
    sys.exit("usage: documents.py SOURCE_DIR LIBRARY")
SOURCE, LIBRARY = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
COMPILER = shlex.split(os.environ.get("CC", "cc"))
# For what must come in the end; only a hang exceeds it.
PATIENCE = 60

os.environ.pop("HARK_BACKEND", None)
directory = tempfile.TemporaryDirectory()
work = Path(directory.name)


def need(condition, what):
    if not condition:
        raise AssertionError(what)


def listings(document):
    """The listings in C of a document, in markdown or scdoc."""
    text = document.read_text()
    if document.suffix == ".scd":
        return [listing.replace("\\\\", "\\") for listing in
                re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]
    return re.findall(r"^```c\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def build(text, name):
    """Compiles text, and links it if it is a program; returns its path."""
    file = work / (name + ".c")
    file.write_text(text)
    options = ["-Wall", "-Wextra", "-Werror", "-I", str(SOURCE / "include"), str(file)]
    if "int main(" in text:
        options += ["-o", str(work / name), str(LIBRARY), "-Wl,-rpath," + str(LIBRARY.parent),
                    "-pthread"]
    else:
        # A part of somebody's program, which has the use of what it defines.
        options += ["-Wno-unused-const-variable", "-c", "-o", str(work / name)]
    run = subprocess.run(COMPILER + options, capture_output=True, text=True, check=False)
    need(run.returncode == 0, "%s does not compile:\n%s" % (name, run.stderr))
    return work / name


def compile_all():
    """Compiles every whole file of the documents; returns the guide's, by name, and the test."""
    guide, tests, count = {}, [], 0
    documents = [SOURCE / "README.md", *sorted((SOURCE / "docs").glob("*.md")),
                 *sorted((SOURCE / "docs/man").glob("*.scd"))]
    for document in documents:
        for number, listing in enumerate(listings(document), 1):
            if not re.search(r"^#include <hark/\w+\.h>$", listing, re.MULTILINE):
                continue
            if document.suffix == ".scd" and "int main(" not in listing:
                continue  # a synopsis
            build(listing, "%s-%d" % (document.stem, number))
            count += 1
            if document.name == "testing.md" and "int main(" in listing:
                tests.append(listing)
            if document.name == "guide.md":
                name = re.match(r"/\* ([\w-]+)\.c - ", listing)
                need(name, "a listing of the guide has no name: %r" % listing[:40])
                guide[name.group(1)] = listing
    print("%d whole files compile" % count, flush=True)
    need(len(tests) == 1, "the document on testing has %d programs" % len(tests))
    return guide, tests[0]


def free_port():
    """A port that nobody has, on TCP or UDP."""
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        udp.bind(tcp.getsockname())
        return tcp.getsockname()[1]


def on_port(text, port):
    text, count = re.subn(r"^#define PORT \d+$", "#define PORT %d" % port, text,
                          flags=re.MULTILINE)
    need(count == 1, "no single port")
    return text


class Process:
    """A program at work; leaving the block kills it and its children, unless it has ended."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen([program, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        bufsize=0, start_new_session=True)

    def say(self, text):
        self.process.stdin.write(text.encode())

    def line(self):
        return self.process.stdout.readline().decode()

    def end(self, number=None, status=0):
        """Sends that signal, and returns what else the program said until its end."""
        if number is not None:
            self.process.send_signal(number)
        output = self.process.communicate(timeout=PATIENCE)[0].decode()
        need(self.process.returncode == status, "status %d, not %d: %r" % (
            self.process.returncode, status, output))
        return output

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()


def connect(port):
    """A connection to a server that may be about to start."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        except ConnectionRefusedError:
            need(time.monotonic() < end, "nobody listens")
            time.sleep(0.01)


def all_of(s):
    """What comes until the end of the stream."""
    pieces = []
    while True:
        piece = s.recv(65536)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


# ---- The programs of the guide ---------------------------------------------------------------


def udp_echo(text):
    port = free_port()
    with Process(build(on_port(text, port), "program")), \
            socket.socket(type=socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", port))
        s.settimeout(0.1)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                s.send(b"hello")
                need(s.recv(100) == b"hello", "another answer")
                return
            except (ConnectionRefusedError, TimeoutError, socket.timeout):
                need(time.monotonic() < end, "no answer")
                time.sleep(0.01)


def sink(text):
    port = free_port()
    with Process(build(on_port(text, port), "program")) as p, connect(port) as first:
        first.sendall(b"hello")
        need(p.line() == "1: hello\n", "the first")
        with connect(port) as second:
            second.sendall(b"there")
            need(p.line() == "2: there\n", "the second")
        need(p.line() == "2: gone\n", "the second's end")
        first.sendall(b"again")
        need(p.line() == "1: again\n", "the first again")


def echo(text):
    port = free_port()
    # More than all the buffers on the way will ever hold.
    data = bytes(i * 7 % 251 for i in range(251)) * 250000
    with Process(build(on_port(text, port), "program")), connect(port) as slow, \
            connect(port) as quick:
        slow.setblocking(False)
        sent = 0
        try:
            while sent < len(data):
                sent += slow.send(data[sent:sent + 65536])
        except BlockingIOError:
            pass  # the server receives no more
        need(sent < len(data), "it takes %d bytes of one who reads none" % sent)
        quick.sendall(b"hello")
        need(quick.recv(100) == b"hello", "the slow one is in the way of the quick one")
        got = b""
        slow.settimeout(PATIENCE)
        while len(got) < sent:
            piece = slow.recv(65536)
            need(piece, "it ends")
            got += piece
        need(got == data[:sent], "something else comes back")


def idle(text):
    with Process(build(text, "program")) as p:
        started = time.monotonic()
        p.say("hi\n")
        need(p.line() == "you said: hi\n", "no echo")
        need(p.line() == "are you still there?\n", "no question")
        need(time.monotonic() - started >= 1, "asked early")
        p.say("yes\n")
        need(p.line() == "you said: yes\n", "no second echo")
        need([p.line(), p.line()] == ["are you still there?\n", "goodbye\n"], "no goodbye")
        need(time.monotonic() - started >= 3, "left early")
        p.end()


def signals(text):
    for number in signal.SIGINT, signal.SIGTERM:
        with Process(build(text, "program")) as p:
            need([p.line(), p.line()] == ["tick 1\n", "tick 2\n"], "no ticks")
            p.process.send_signal(signal.SIGHUP)
            lines = [p.line()]
            while lines[-1] != "tick 1\n":
                lines.append(p.line())
                need(len(lines) < 1000, "no new beginning: %r" % lines)
            need(p.end(number).endswith("ended\n"), "no end")


def messages(text):
    with Process(build(text, "program")) as p:
        lines = p.end().splitlines()
    need([line.split(":")[0] for line in lines] == ["step %d of 5" % i for i in range(1, 6)],
         "%r" % lines)


def workers(text):
    with Process(build(text, "program")) as p:
        p.say("10\n1000000\n100\n")
        p.process.stdin.close()
        p.process.stdin = None
        lines = p.end().splitlines()
    need(sorted(lines) == ["25 primes below 100", "4 primes below 10",
                           "78498 primes below 1000000"], "%r" % lines)


def limit(text):
    program = build(text, "program")
    with Process(program, "sh", "-c", "echo here; exit 3") as p:
        need(p.end(status=3) == "here\n", "output")
    with Process(program, "sleep", "1000") as p:
        need(p.end(status=128 + 9) == "it takes too long\n", "no limit")
    with Process(program) as p:
        need("usage" in p.end(status=2), "no usage")


def primes(text, ask):
    port = free_port()
    server = build(on_port(text, port), "server")
    client = build(on_port(ask, port), "client")
    with Process(server) as p:
        need(p.line().startswith("port %d, on " % port), "it does not start")

        # One client: lines at once, in pieces, and such as are none.
        with connect(port) as s:
            s.sendall(b"10\n100\nmany\n\n-1\n11 12\n1")
            s.sendall(b"000\n")
            expected = b"4\n25\nwhat?\nwhat?\nwhat?\nwhat?\n168\n"
            got = b""
            while len(got) < len(expected):
                got += s.recv(100)
            need(got == expected, "%r" % got)
            s.sendall(b"9" * 64)
            need(s.recv(100) == b"", "a long line is no end")

        # Many at once, with tasks; some leave while their number is worked on.
        leavers = [connect(port) for _ in range(8)]
        for s in leavers:
            s.sendall(b"300000\n")
        time.sleep(0.05)
        for s in leavers:
            s.close()
        with Process(client, *["10", "100", "1000", "x"] * 5) as q:
            lines = sorted(q.end().splitlines())
        need(lines == sorted(["10: 4", "100: 25", "1000: 168", "x: what?"] * 5), "%r" % lines)

        # Its end: at once for those that wait, and after the last job.
        with connect(port) as silent, connect(port) as busy:
            busy.sendall(b"1000000\n")
            silent.sendall(b"2\n")
            need(silent.recv(100) == b"0\n", "no answer")
            said = p.end(signal.SIGTERM)
            need(silent.recv(100) == b"", "the end is none")
        need(all(line.startswith("slow: ") for line in said.splitlines()), "%r" % said)
    with Process(client, "5") as q:
        need(re.fullmatch(r"5: \D+\n", q.end()), "the server goes on")

    # Silence, which the text makes rather long.
    text, count = re.subn(r"^#define IDLE HARK_S\(30\)$", "#define IDLE HARK_MS(300)", text,
                          flags=re.MULTILINE)
    need(count == 1, "no time of silence")
    with Process(build(on_port(text, port), "server")) as p:
        started = time.monotonic()
        with connect(port) as s:
            need(s.recv(100) == b"", "somebody speaks")
        need(time.monotonic() - started >= 0.3, "it did not wait")
        p.end(signal.SIGINT)


def slow(text):
    with Process(build(text, "program")) as p:
        line = p.line()
        took = re.fullmatch(r"nap, called for timer, took (\d+) ms\n", line)
        need(took and int(took.group(1)) >= 30, "%r" % line)
        need("slow callbacks: 1" in p.end(), "no dump")


def embed(text):
    with Process(build(text, "program")) as p:
        line = p.line()
        if "cannot be embedded" in line:
            print("  no backend here can be embedded")
            p.end(status=2)
            return
        need(line == "a timer of hark\n", "%r" % line)
        p.say("hi\n")
        lines = [p.line()]
        while lines[-1] != "the other loop's: hi\n":
            need(lines[-1] == "a timer of hark\n" and len(lines) < 1000, "%r" % lines)
            lines.append(p.line())
        need(p.line() == "a timer of hark\n", "the timer has ended")
        p.process.stdin.close()
        p.process.stdin = None
        p.end()


def fork(text):
    port = free_port()
    with Process(build(on_port(text, port), "program")) as p:
        need(p.line() == "2 processes serve port %d\n" % port, "it does not start")
        served = set()
        for _ in range(50):
            with connect(port) as s:
                served.add(int(re.fullmatch(rb"process (\d+)\n", all_of(s)).group(1)))
        need(p.process.pid not in served and 1 <= len(served) <= 2, "%r" % served)
        ended = re.findall(r"process (\d+) has ended, status 0x9\n", p.end(signal.SIGTERM))
        need(len(ended) == 2 and served <= set(map(int, ended)), "%r, %r" % (served, ended))


def testing(text):
    """The test passes, finds what the text says, and finds it again."""
    with Process(build(text, "program")) as p:
        need(p.end() == "", "it says something")
    text, count = re.subn(r"s->got \+= \(size_t\)n;", "s->got = SIZE;", text)
    need(count == 1, "no such line")
    program = build(text, "program")
    with Process(program) as p:
        said = p.end(status=1)
    again = re.fullmatch(r"session: seed (\d+): returned [23]; again: HARK_TEST_SEED=\1\n", said)
    need(again, "%r" % said)
    with Process("env", "HARK_TEST_SEED=" + again.group(1), program) as p:
        need(p.end(status=1) == said, "another failure")


def main():
    guide, test = compile_all()
    # Two of them are one check, as server and client.
    checks = {name.replace("_", "-"): check for name, check in (
        ("udp_echo", udp_echo), ("sink", sink), ("echo", echo), ("idle", idle),
        ("signals", signals), ("messages", messages), ("workers", workers), ("limit", limit),
        ("primes", lambda text: primes(text, guide["ask"])), ("slow", slow), ("embed", embed),
        ("fork", fork))}
    need(set(guide) == set(checks) | {"ask"}, "the guide has %r" % sorted(guide))
    for name, check in checks.items():
        started = time.monotonic()
        check(guide[name])
        print("%s works (%.1f s)" % (name, time.monotonic() - started), flush=True)
    testing(test)
    print("the test works", flush=True)


try:
    main()
except AssertionError as failure:
    import traceback
    traceback.print_exc(file=sys.stdout)
    sys.exit("FAILED: %s" % failure)
