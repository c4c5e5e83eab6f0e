"""Tests of examples/fib-server; harness.py has the usage."""

import signal
import socket
import time

from harness import (PATIENCE, VALGRIND, Server, calm_check, check, main, need, note, refuses,
                     udp_client)

NAME = "fib-server"
MAX = 50
QUEUE = 128
A_WHILE = 33 if VALGRIND else 40  # takes some tenths of a second or more
ERROR = b"error: not a number from 0 to %d\n" % MAX
BUSY = b"error: busy, ask again later\n"


def start(*arguments):
    return Server(NAME, 1, "--port", "0", *arguments)


def client(server):
    return udp_client(server.addresses[0])


def ask(s, datagram):
    s.send(datagram)
    return s.recv(1000)


def fib(n):
    a, b = 1, 1
    for _ in range(n):
        a, b = b, a + b
    return b"%d\n" % a


def silent(s):
    """Nothing has come so far."""
    s.setblocking(False)
    try:
        return not s.recv(1000)
    except BlockingIOError:
        return True
    finally:
        s.setblocking(True)


def wait_until_it_computes(server):
    """Until then, what it is to compute has a place in the queue."""
    start, deadline = server.cpu_seconds(), time.monotonic() + PATIENCE
    if start is None:
        time.sleep(1)
        return
    while server.cpu_seconds() < start + 0.1:
        need(time.monotonic() < deadline, "it does not compute")
        time.sleep(0.01)


@check
def numbers_are_answered():
    with start() as server, client(server) as s:
        for n in range(27):
            need(ask(s, b"%d" % n) == fib(n), "fib(%d)" % n)
        for text in b"10\n", b"000000010", b"00000010\n":
            need(ask(s, text) == b"89\n", "%r" % text)


@check
def anything_else_is_answered_with_an_error():
    with start() as server, client(server) as s:
        for text in (b"", b"\n", b"ten", b"-1", b"-0", b"+1", b" 1", b"1 ", b"1\n\n", b"\n1",
                     b"1\r", b"1\0", b"\x001", b"0x10", b"1e1", b"1.0", b"1 2", "٣".encode(),
                     b"%d" % (MAX + 1), b"1000", b"999999999", b"9" * 10, b"9" * 30,
                     b"0" * 30 + b"1", b"0" * 31 + b"1", b"1" + b"\n" * 30, b"%d", b"1" * 60000,
                     bytes(range(256))):
            answer = ask(s, text)
            need(answer == ERROR, "%r: %r" % (text[:40], answer))
        need(ask(s, b"5") == b"8\n", "no longer serves")


@check
def others_are_served_while_a_number_is_computed():
    with start("--threads", "2") as server, client(server) as slow, client(server) as quick:
        slow.send(b"%d" % MAX)
        for n in range(20):
            need(ask(quick, b"%d" % n) == fib(n), "fib(%d)" % n)
            need(ask(quick, b"nonsense") == ERROR, "something else")
        need(silent(slow), "fib(%d) was not that slow" % MAX)


@check
def each_client_gets_its_own_answers():
    with start() as server:
        clients = [client(server) for _ in range(20)]
        for turn in range(5):
            for n, s in enumerate(clients):
                s.send(b"%d" % ((n + turn) % 20))
            for n, s in enumerate(clients):
                need(s.recv(1000) == fib((n + turn) % 20), "another's answer")
        for s in clients:
            s.close()


@check
def a_full_queue_is_told_and_passes():
    with start("--threads", "1") as server:
        with client(server) as s, client(server) as other:
            # One is computed; at the end only as many as the queue holds may wait.
            s.send(b"%d" % A_WHILE)
            for _ in range(QUEUE + 50):
                s.send(b"20")
                time.sleep(0.0001)
            answers = [s.recv(1000) for _ in range(1 + QUEUE + 50)]
            busy = answers.count(BUSY)
            need(busy + answers.count(fib(20)) + answers.count(fib(A_WHILE)) == len(answers),
                 "other answers: %r" % set(answers))
            note("%d of %d were told that the server is busy" % (busy, len(answers)))
            need(ask(other, b"10") == b"89\n", "busy for ever")


@check
def while_the_queue_is_full_everybody_gets_an_answer():
    with start("--threads", "1") as server, client(server) as full, client(server) as other:
        full.send(b"%d" % MAX)
        wait_until_it_computes(server)
        for _ in range(QUEUE):
            full.send(b"%d" % MAX)
            time.sleep(0.0001)
        for _ in range(300):
            need(ask(other, b"1") == BUSY, "something else than busy")
            need(ask(other, b"one") == ERROR, "something else than an error")


@check
def a_peer_that_is_gone_harms_nobody():
    with start() as server, client(server) as other:
        # Bound before the others have gone: an answer to one of them cannot come here.
        for n in range(50):
            with client(server) as s:
                s.send(b"%d" % (n % 20))
                s.send(b"?")
        need(ask(other, b"10") == b"89\n", "something else")


@check
def ipv6_and_names():
    with start("--host", "localhost") as server, client(server) as s:
        need(ask(s, b"1") == b"1\n", "something else")
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        note("no IPv6 here: %s" % error)
        return
    with start("--host", "::1") as server, client(server) as s:
        need(s.family == socket.AF_INET6, "not IPv6")
        need(ask(s, b"6") == b"13\n", "something else")


@calm_check
def sigint_and_sigterm_end_it_with_status_0():
    for number in signal.SIGINT, signal.SIGTERM:
        # To compute all of them to the end would take longer than patience lasts.
        server = start("--threads", "4" if VALGRIND else "64")
        try:
            with client(server) as s:
                for _ in range(100):
                    s.send(b"%d" % MAX)
                    time.sleep(0.0001)
                need(ask(s, b"?") == ERROR, "something else")
            status = server.end(number)
        finally:
            server.kill()
        need(status == 0, "signal %d: status %r, %r" % (number, status, server.stderr()))
        need(server.stderr() == "", "said %r" % server.stderr())


@calm_check
def bad_input_gets_one_line_and_status_2():
    for port in "65536", "-1", "", "http":
        refuses(NAME, "--port", port, says="is not a port (0 to 65535)")
    for threads in "0", "65", "-1", "", "two", "2x", "9" * 40, "4294967297":
        refuses(NAME, "--threads", threads, says="--threads: ")
    refuses(NAME, "--threads")
    refuses(NAME, "--colour", "red")
    refuses(NAME, "--port", "0", "extra", says="'extra'")
    refuses(NAME, "--port", "0", "--host", "")
    refuses(NAME, "--port", "0", "--host", "192.0.2.1", says="192.0.2.1")
    refuses(NAME, "--port", "0", backend="nonesuch", says="nonesuch")
    refuses(NAME, "--port", "0", "--backend", "nonesuch", says="nonesuch")


@calm_check
def a_busy_port_is_refused():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = str(holder.getsockname()[1])
        refuses(NAME, "--port", port, says=port)


main(NAME)
