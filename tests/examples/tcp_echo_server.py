"""Tests of examples/tcp-echo-server; harness.py has the usage."""

import os
import resource
import selectors
import signal
import socket
import struct
import time

from harness import (CHAOS, FULL, PATIENCE, SMALL, VALGRIND, Mischief, Server, calm_check,
                     chaos_check, check, main, need, note, raise_own_limit, refuses)

NAME = "tcp-echo-server"
MIB = 1 << 20

# What streams carry: a position in it differs from one a whole number of buffers away.
PATTERN_SIZE = MIB + 7
PATTERN = memoryview(os.urandom(PATTERN_SIZE) * 2)


def pattern(position, size):
    """Up to size bytes of what a stream carries from that position on."""
    at = position % PATTERN_SIZE
    return PATTERN[at:at + min(size, PATTERN_SIZE)]


def start(*arguments, **options):
    return Server(NAME, 1, "--port", "0", *arguments, **options)


def client(server, sndbuf=None, rcvbuf=None, segment=None):
    family, address = server.addresses[0]
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(PATIENCE)
    if sndbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    if segment:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.connect(address)
    return s


def receive(s, size):
    """Exactly size bytes, or fewer at the end of the stream."""
    data = b""
    while len(data) < size:
        piece = s.recv(size - len(data))
        if not piece:
            break
        data += piece
    return data


def ask(s, data):
    s.sendall(data)
    answer = receive(s, len(data))
    need(answer == data, "%d bytes sent, %d back or other ones" % (len(data), len(answer)))


def reset(s):
    """Closes with a reset instead of an end of the stream; it leaves no TIME_WAIT behind."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def quiet(server, what):
    """The server must be idle: one that spins uses all it can get, which is little only on a
    machine with much else to do."""
    before = server.cpu_seconds()
    if before is None:
        note("no /proc/PID/stat: whether it spins is not known")
        return
    duration = 1 if CHAOS else 2
    time.sleep(duration)
    used = server.cpu_seconds() - before
    need(used < (0.6 if VALGRIND else 0.1), "%s: %.2f s of processor time in %d s" % (
        what, used, duration))


def descriptors(server):
    """How many the server has open, or None where that cannot be told."""
    try:
        return len(os.listdir("/proc/%d/fd" % server.pid))
    except OSError:
        return None


def gone_all_but(server, opened):
    """In the end the server has no more than these open."""
    deadline = time.monotonic() + PATIENCE
    while descriptors(server) != opened and time.monotonic() < deadline:
        time.sleep(0.05)
    need(descriptors(server) == opened, "%r descriptors were enough, now %r" % (
        opened, descriptors(server)))


class Stream:
    """A client that sends `total` bytes and then ends its side, and gets them back.

    A slow one first sends without receiving until nothing more is taken, or nothing is left, and
    then receives a piece now and then. It sends more than the kernel keeps for its receiver (4 MB
    on Linux, as a rule), so that the server has to keep the rest waiting."""

    JAM = 0.3
    PIECE = 32768
    PAUSE = 0.01

    def __init__(self, server, total, slow=False):
        small = 16384 if slow else None
        self.socket = client(server, sndbuf=small, rcvbuf=small)
        self.socket.setblocking(False)
        self.total, self.slow = total, slow
        self.start = int.from_bytes(os.urandom(4), "big")
        self.sent = self.received = 0
        self.watched = 0
        self.ended = False
        self.reading = not slow
        self.next_at = time.monotonic() + self.JAM

    def wants(self):
        events = 0
        if self.sent < self.total:
            events |= selectors.EVENT_WRITE
        if not self.slow and not self.ended:
            events |= selectors.EVENT_READ
        return events

    def send(self):
        try:
            self.sent += self.socket.send(
                pattern(self.start + self.sent, min(65536, self.total - self.sent)))
        except BlockingIOError:
            return
        if self.sent == self.total:
            self.socket.shutdown(socket.SHUT_WR)
        if not self.reading:
            self.next_at = time.monotonic() + self.JAM

    def receive(self, size=262144):
        try:
            data = self.socket.recv(size)
        except BlockingIOError:
            return
        need(data == pattern(self.start + self.received, len(data)),
             "other bytes at %d" % self.received)
        self.received += len(data)
        if not data:
            need(self.received == self.total,
                 "%d bytes of %d came back" % (self.received, self.total))
            self.ended = True

    def tick(self, now):
        """What a slow one does when its time has come."""
        if self.slow and not self.ended and now >= self.next_at:
            if self.reading:
                self.receive(self.PIECE)
            self.reading = True
            self.next_at = now + self.PAUSE


def pump(streams):
    """Drives the streams until each has everything back."""
    selector = selectors.DefaultSelector()
    idle_since = time.monotonic()
    progress = None
    while any(not s.ended for s in streams):
        for s in streams:
            events = s.wants()
            if events != s.watched:
                if s.watched:
                    selector.unregister(s.socket)
                if events:
                    selector.register(s.socket, events, s)
                s.watched = events
        for key, events in selector.select(Stream.PAUSE):
            s = key.data
            if events & selectors.EVENT_READ:
                s.receive()
            if events & selectors.EVENT_WRITE:
                s.send()
        now = time.monotonic()
        for s in streams:
            s.tick(now)
        done = sum(s.sent + s.received for s in streams)
        if done != progress:
            progress, idle_since = done, now
        need(now - idle_since < PATIENCE, "stuck after %d bytes" % done)
    selector.close()
    for s in streams:
        s.socket.close()


def jam(s, piece=65536, pause=0.0):
    """Sends the pattern in pieces until nothing more is taken; returns how much was."""
    limit = 100 * MIB
    s.settimeout(0.5)
    taken = 0
    try:
        while taken < limit:
            taken += s.send(pattern(taken, piece))
            time.sleep(pause)
    except (TimeoutError, socket.timeout):
        pass
    s.settimeout(PATIENCE)
    need(taken < limit, "%d bytes were taken though none was read" % taken)
    return taken


@check
def clients_get_back_what_they_send():
    with start() as server:
        for size in 1, 2, 1000, 65535, 65536, 65537, 300000:
            with client(server) as s:
                ask(s, os.urandom(size))
                ask(s, os.urandom(size))


@check
def ipv6_and_names():
    with start("--host", "localhost") as server, client(server) as s:
        ask(s, b"name")
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        note("no IPv6 here: %s" % error)
        return
    with start("--host", "::1") as server, client(server) as s:
        need(s.family == socket.AF_INET6, "not IPv6")
        ask(s, b"six")


@check
def after_a_half_close_everything_still_comes_back():
    with start() as server:
        for size in 0, 1, 100000:
            with client(server) as s:
                data = os.urandom(size)
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                need(receive(s, size + 1) == data, "not all of %d bytes" % size)


@check
def a_full_client_that_half_closes_gets_the_rest():
    with start() as server:
        # With large pieces the server has sent a part of one when it can send no more; with
        # segments one by one, on Linux, all of one and nothing of the next.
        for segment in (None,) if CHAOS else (None, 500):
            with client(server, sndbuf=1 << 18, rcvbuf=16384, segment=segment) as s:
                if segment:
                    piece = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
                    taken = jam(s, piece, 0.0001)
                else:
                    piece = 65536
                    taken = jam(s)
                note("%d bytes were taken in pieces of %d" % (taken, piece))
                s.shutdown(socket.SHUT_WR)
                quiet(server, "half-closed and full")
                got = 0
                while data := s.recv(65536):
                    need(data == pattern(got, len(data)), "other bytes at %d" % got)
                    got += len(data)
                need(got == taken, "%d bytes of %d" % (got, taken))


@calm_check
def many_streams_some_slow_byte_for_byte():
    if FULL:
        slow, fast = [12800000] * 8, [1742858] * 56
    else:
        slow, fast = [9000000] * 2, [40000] * 62
    with start() as server:
        streams = [Stream(server, size, slow=True) for size in slow]
        streams += [Stream(server, size) for size in fast]
        started = time.monotonic()
        pump(streams)
        total = sum(s.received for s in streams)
        note("%.1f MB through %d clients, %d of them slow, in %.1f s" % (
            total / 1e6, len(streams), len(slow), time.monotonic() - started))
        need(not FULL or total >= 200000000, "only %d bytes" % total)


@check
def twenty_megabytes_through_32_clients_byte_for_byte():
    with start() as server:
        streams = [Stream(server, 625000) for _ in range(32)]
        started = time.monotonic()
        pump(streams)
        total = sum(s.received for s in streams)
        need(total == 20000000, "%d bytes" % total)
        note("%.1f MB through %d clients in %.1f s" % (
            total / 1e6, len(streams), time.monotonic() - started))


@chaos_check
def what_fails_at_times_costs_clients_and_not_the_server():
    with Mischief("econnreset=0.02,emfile=0.1,enobufs=0.02,enomem=0.05"), start() as server:
        opened = descriptors(server)
        lost = 0
        for _ in range(50):
            with client(server) as s:
                data = os.urandom(10000)
                try:
                    s.sendall(data)
                    answer = receive(s, len(data))
                except ConnectionError:
                    answer = b""
                # Up to where the connection broke, if it did.
                need(data.startswith(answer), "other bytes")
                lost += answer != data
        note("%d of 50 clients were lost" % lost)
        need(0 < lost < 50, "%d of 50 clients were lost" % lost)
        gone_all_but(server, opened)
        quiet(server, "without clients")


@check
def a_client_that_never_reads_is_held_back_and_costs_nothing():
    with start() as server, client(server) as s:
        note("%d bytes were taken from it" % jam(s))
        quiet(server, "full")
        with client(server) as other:
            ask(other, b"others are served")
        reset(s)


@check
def ten_thousand_clients_at_once():
    wish = 500 if SMALL else 10000
    count = min(wish, raise_own_limit() - 50)
    if count < wish:
        note("the descriptor limit allows only %d clients" % count)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # Valgrind holds a program to the limit that it started with.
    with start(descriptors=None if VALGRIND else (min(256, hard), hard)) as server:
        clients = [client(server) for _ in range(count)]
        for round_number in range(2):
            for i, s in enumerate(clients):
                s.sendall(b"%d of client %d" % (round_number, i))
            for i, s in enumerate(clients):
                expected = b"%d of client %d" % (round_number, i)
                need(receive(s, len(expected)) == expected, "client %d" % i)
        quiet(server, "%d idle clients" % count)
        opened = descriptors(server)
        need(opened is None or opened > count, "only %r descriptors for %d" % (opened, count))
        for s in clients:
            reset(s)
        with client(server) as s:
            ask(s, b"and one more")
        note("%d clients" % count)


@check
def resets_harm_nobody_and_leave_nothing_open():
    with start() as server:
        with client(server) as s:
            ask(s, b"first")
            one_client = descriptors(server)
        for i in range(200):
            s = client(server)
            if i % 2:
                s.sendall(b"x" * 1000 * i)
            reset(s)
        s = client(server)
        jam(s)
        reset(s)
        with client(server) as s:
            ask(s, b"last")
            gone_all_but(server, one_client)


def answered(waiting):
    """Those of the waiting clients that get their answer; at least one must."""
    selector = selectors.DefaultSelector()
    for s in waiting:
        selector.register(s, selectors.EVENT_READ)
    got = []
    ready = selector.select(PATIENCE)
    while ready:
        for key, _ in ready:
            need(receive(key.fileobj, 5) == b"hello", "something else")
            selector.unregister(key.fileobj)
            got.append(key.fileobj)
        # None of them is late by more than the server's patience with accept.
        ready = selector.select(1)
    selector.close()
    need(got, "none of %d waiting clients is served" % len(waiting))
    return got


def reported(server, times):
    reports = [line for line in server.stderr().splitlines() if line.startswith(NAME + ": ")]
    # Where accept may say -EAGAIN at any time, one lack of descriptors looks like several.
    need(len(reports) == times or (CHAOS and len(reports) > times), "%d reports, not %d: %r" % (
        len(reports), times, server.stderr()))


@check
def without_descriptors_clients_wait_and_the_server_does_not_spin():
    # Valgrind itself resets a connection whose descriptor is past the limit it started with, so
    # there the limit comes later.
    with start(descriptors=None if VALGRIND else (32, 32)) as server:
        if VALGRIND:
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (32, 32))
        waiting = [client(server) for _ in range(100)]
        for s in waiting:
            s.sendall(b"hello")
        served = answered(waiting)
        need(len(served) < 32, "%d clients with 32 descriptors" % len(served))
        quiet(server, "out of descriptors")
        rounds = 1
        while True:
            for s in served:
                waiting.remove(s)
                s.close()
            if not waiting:
                break
            served = answered(waiting)
            rounds += 1
        note("100 clients in %d rounds" % rounds)
        reported(server, 1)


@calm_check
def a_lack_of_descriptors_that_is_not_its_clients_doing_passes():
    if not hasattr(resource, "prlimit"):
        note("no prlimit here: not tried")
        return
    with start() as server:
        with client(server) as s:
            ask(s, b"before")
        limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        for episode in 1, 2:
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
            with client(server) as s:
                s.sendall(b"hello")
                quiet(server, "out of descriptors without clients")
                resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)
                need(receive(s, 5) == b"hello", "not served")
            reported(server, episode)


@calm_check
def a_port_may_be_chosen_and_taken_again():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for _ in range(2):
        with Server(NAME, 1, "--port", str(port)) as server, client(server) as s:
            need(server.addresses[0][1] == ("127.0.0.1", port), "elsewhere")
            ask(s, b"here")
            # The server ends first, so the connection stays in TIME_WAIT on its side.
            need(server.end() == 0, "status %r" % server.process.returncode)


@check
def sigint_and_sigterm_end_it_with_status_0():
    for number in signal.SIGINT, signal.SIGTERM:
        server = start()
        try:
            with client(server) as idle, client(server) as full:
                ask(idle, b"hello")
                jam(full)
                status = server.end(number)
        finally:
            server.kill()
        need(status == 0, "signal %d: status %r, %r" % (number, status, server.stderr()))
        need(server.stderr() == "", "said %r" % server.stderr())


@calm_check
def bad_input_gets_one_line_and_status_2():
    for port in "70000", "65536", "-1", "+1", "", " 80", "80 ", "0x50", "http", "9" * 40, "1\n2":
        refuses(NAME, "--port", port, says="is not a port (0 to 65535)")
    refuses(NAME, "--port")
    refuses(NAME, "--colour", "red")
    refuses(NAME, "-x")
    refuses(NAME, "--port", "0", "extra", says="'extra'")
    refuses(NAME, "--port", "0", "--host", "")
    refuses(NAME, "--port", "0", "--host", "192.0.2.1", says="192.0.2.1")
    refuses(NAME, "--port", "0", backend="nonesuch", says="nonesuch")
    refuses(NAME, "--port", "0", "--backend", "nonesuch", says="nonesuch")
    refuses(NAME, "--port", "0", "--backend", "none\nsuch")
    # The listener and the standard three leave no descriptor for the reactor.
    refuses(NAME, "--port", "0", descriptors=(4, 4))


@calm_check
def a_busy_port_is_refused():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        refuses(NAME, "--port", port, says=port)


main(NAME)
