"""Tests of a trace of examples/tcp-echo-server, compared with what its clients did; harness.py has
the usage. The backend is a chain, trace:NAME."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile

from harness import BACKEND, DIRECTORY, PATIENCE, VALGRIND, Server, check, environment, main, need
from harness import refuses

NAME = "tcp-echo-server"
LINE = re.compile(r"(\d+\.\d{6}) (\d+)\.(\d+) ([a-z]+)( .*)?")


class Traced:
    """A server, and the trace that it leaves in a file."""

    def __init__(self, form):
        self.form = form
        self.directory = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.directory.name, "trace")

    def __enter__(self):
        os.environ["HARK_TRACE"] = self.path
        os.environ["HARK_TRACE_FORMAT"] = self.form
        try:
            self.server = Server(NAME, 1, "--port", "0").__enter__()
        finally:
            del os.environ["HARK_TRACE"], os.environ["HARK_TRACE_FORMAT"]
        return self

    def __exit__(self, *exception):
        self.server.__exit__(*exception)
        if exception[0] is None:
            with open(self.path, encoding="utf-8") as file:
                self.text = file.read()
        self.directory.cleanup()
        return False


def connect(server):
    family, address = server.addresses[0]
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(PATIENCE)
    s.connect(address)
    return s


def exchange(s, data):
    s.sendall(data)
    answer = b""
    while len(answer) < len(data):
        answer += s.recv(len(data) - len(answer))
    need(answer == data, "other bytes came back")


def talk(server, sizes):
    """A client for each size sends so many bytes, has them back and goes. Returns their addresses
    as a trace has them."""
    peers = []
    for size in sizes:
        with connect(server) as s:
            peers.append("%s:%d" % s.getsockname()[:2])
            exchange(s, os.urandom(size))
            s.shutdown(socket.SHUT_WR)
            need(s.recv(1) == b"", "more comes back")
    return peers


@check
def every_client_and_every_byte_is_told_of():
    sizes = [1, 5, 1000, 65536, 300000]
    with Traced("json") as traced:
        peers = talk(traced.server, sizes)
        pid = traced.server.pid
    lines = [json.loads(line) for line in traced.text.splitlines()]
    need(VALGRIND or {line["pid"] for line in lines} == {pid}, "other processes")
    need(lines[0]["what"] == "begin" and lines[-1]["what"] == "end", "begin and end")
    accepted = [line for line in lines if line["what"] == "accept" and line["error"] is None]
    need([line["peer"] for line in accepted] == peers, (accepted, peers))
    # From being accepted on a descriptor is that client's, until the next one has its number.
    for i, line in enumerate(accepted):
        start = lines.index(line)
        end = lines.index(accepted[i + 1]) if i + 1 < len(accepted) else len(lines)
        mine = [one for one in lines[start + 1:end] if one.get("fd") == line["result"]]
        for verb in "recv", "send":
            bytes_ = sum(one["result"] or 0 for one in mine if one["what"] == verb)
            need(bytes_ == sizes[i], "%s: %d bytes of %d" % (verb, bytes_, sizes[i]))
        changes = [one for one in mine if one["what"] == "change"]
        need(changes[0]["from"] == [] and changes[0]["to"] == ["recv"], changes[0])
        need(changes[-1]["to"] == [], changes[-1])
        need({one["name"] for one in mine if not one.get("stale")} == {"client"}, mine)
    ends = [one for one in lines if one["what"] == "recv" and one["result"] == 0]
    need(len(ends) == len(sizes), "%d ends of stream" % len(ends))


@check
def the_text_tells_the_same_on_standard_error():
    with Server(NAME, 1, "--port", "0") as server:
        peers = talk(server, [7])
    text = server.stderr()
    lines = [LINE.fullmatch(line) for line in text.splitlines()]
    need(all(lines), text)
    need([line.group(4) for line in (lines[0], lines[-1])] == ["begin", "end"], text)
    accept = next(line for line in text.splitlines() if " from " in line)
    need(re.search(r" accept   fd \d+ server = \d+ from %s$" % re.escape(peers[0]), accept), accept)
    fd = re.search(r" = (\d+) from ", accept).group(1)
    for words in (r"change   fd %s client: --- -> r--$", r"ready    fd %s client: r--",
                  r"recv     fd %s client: \d+ = 7$", r"send     fd %s client: 7 = 7$",
                  r"recv     fd %s client: \d+ = 0$", r"change   fd %s client: .* -> ---$"):
        need(re.search(r"(?m)^\d+\.\d{6} \d+\.1 " + words % fd, text), (words, text))
    need(" wait     for ever\n" in text, text)


@check
def servers_share_a_file():
    with tempfile.TemporaryDirectory() as directory:
        os.environ["HARK_TRACE"] = os.path.join(directory, "trace")
        try:
            with Server(NAME, 1, "--port", "0") as one, Server(NAME, 1, "--port", "0") as two:
                clients = [connect(server) for server in (one, two)]
                for _ in range(200):
                    for s in clients:
                        s.sendall(b"x" * 100)
                    for s in clients:
                        need(s.recv(100, socket.MSG_WAITALL) == b"x" * 100, "other bytes")
                for s in clients:
                    s.close()
            with open(os.environ["HARK_TRACE"], encoding="utf-8") as file:
                text = file.read()
        finally:
            del os.environ["HARK_TRACE"]
    lines = [LINE.fullmatch(line) for line in text.splitlines()]
    need(all(lines), "a line is not whole")
    for server in one, two:
        mine = [line for line in lines if int(line.group(2)) == server.pid]
        times = [float(line.group(1)) for line in mine]
        need(VALGRIND or sum(line.group(4) == "send" for line in mine) == 200, "sends")
        need(times == sorted(times), "time goes back")


@check
def a_trace_that_cannot_be_is_a_reason_not_to_start():
    for variables, words in (
            ({"HARK_TRACE": "/nonexistent/trace"}, "cannot append to '/nonexistent/trace': No such"),
            ({"HARK_TRACE": "/"}, "cannot append to '/': Is a directory"),
            ({"HARK_TRACE_FORMAT": "xml"}, "HARK_TRACE_FORMAT is neither text nor json, but 'xml'")):
        os.environ.update(variables)
        try:
            refuses(NAME, "--port", "0", says="trace: " + words)
        finally:
            for variable in variables:
                del os.environ[variable]
    chain = BACKEND.replace("trace:", "trace=/nonexistent/settings:")
    refuses(NAME, "--port", "0", backend=chain, says="'/nonexistent/settings'")
    # A FIFO that nobody reads does not keep it waiting.
    with tempfile.TemporaryDirectory() as directory:
        fifo = os.path.join(directory, "fifo")
        os.mkfifo(fifo)
        chain = BACKEND.replace("trace:", "trace=%s:" % fifo)
        refuses(NAME, "--port", "0", backend=chain, says="cannot append to '%s'" % fifo)


@check
def a_full_disk_does_not_disturb():
    if not os.path.exists("/dev/full"):
        return
    os.environ["HARK_TRACE"] = "/dev/full"
    try:
        with Server(NAME, 1, "--port", "0") as server:
            talk(server, [10, 100000])
    finally:
        del os.environ["HARK_TRACE"]


def start_with(stderr):
    process = subprocess.Popen([os.path.join(DIRECTORY, NAME), "--port", "0"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=stderr, env=environment())
    line = process.stdout.readline().decode()
    host, port = re.fullmatch(r"listening on (\S+):(\d+)\n", line).groups()
    return process, (host, int(port))


def talk_at(address, size):
    with socket.create_connection(address, PATIENCE) as s:
        exchange(s, os.urandom(size))


def end(process):
    process.send_signal(signal.SIGTERM)
    status = process.wait(PATIENCE)
    process.stdout.close()
    need(status == 0, "status %d" % status)


@check
def a_reader_that_goes_does_not_disturb():
    process, address = start_with(subprocess.PIPE)
    talk_at(address, 10)
    need(b" begin " in process.stderr.readline(), "no trace at all")
    process.stderr.close()
    talk_at(address, 10)
    talk_at(address, 100000)
    end(process)


@check
def lines_that_find_no_room_are_counted():
    """A FIFO, which is read only when it has been full for a while."""
    with tempfile.TemporaryDirectory() as directory:
        fifo = os.path.join(directory, "fifo")
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        os.environ["HARK_TRACE"] = fifo
        try:
            with Server(NAME, 1, "--port", "0") as server:
                with connect(server) as s:
                    for _ in range(1000):
                        exchange(s, b"x")
                text = drain(reader)
                talk(server, [5])
                text += drain(reader)
        finally:
            del os.environ["HARK_TRACE"]
        text += drain(reader)
        os.close(reader)
    lines = text.decode().split("\n")
    torn = [line for line in lines if line and not LINE.fullmatch(line)]
    need(len(torn) <= 1, torn)  # the one that the FIFO had no room for
    lost = [re.search(r" lost     (\d+)$", line) for line in lines]
    lost = [int(found.group(1)) for found in lost if found]
    need(sum(lost) > 100, lost)
    need(lines[-2].endswith(" end"), lines[-2:])


def drain(fd):
    data = b""
    while True:
        try:
            piece = os.read(fd, 65536)
        except BlockingIOError:
            return data
        if not piece:
            return data
        data += piece


main(NAME)
