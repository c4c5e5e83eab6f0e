"""Tests of examples/udp-services; harness.py has the usage."""

import os
import re
import signal
import socket
import time

from harness import Mischief, Server, calm_check, chaos_check, check, main, need, note, refuses, udp_client

NAME = "udp-services"
ANY_PORTS = ("--time-port", "0", "--echo-port", "0")
CTIME = re.compile(rb"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d \d{4}\n")


def start(*arguments):
    return Server(NAME, 2, *ANY_PORTS, *arguments)


def ask(s, datagram):
    s.send(datagram)
    return s.recv(1 << 17)


def ask_time(s, datagram):
    """The service answers with the date of now, as ctime writes it.

    time(2) may lag other clocks by a tick at the border of a second."""
    before = int(time.time())
    answer = ask(s, datagram)
    after = int(time.time())
    need(CTIME.fullmatch(answer), "not as ctime writes: %r" % answer)
    need(answer.decode() in [time.ctime(t) + "\n" for t in range(before - 1, after + 1)],
         "%r at %r" % (answer, time.ctime(before)))


@check
def the_time_service_answers_any_datagram():
    with start() as server, udp_client(server.addresses[0]) as s:
        for datagram in b"what time is it?", b"", b"\0", os.urandom(60000):
            ask_time(s, datagram)


@check
def the_echo_service_answers_byte_for_byte():
    with start() as server, udp_client(server.addresses[1]) as s:
        for size in 1, 2, 9, 512, 1472, 1473, 8192, 9217, 30000, 65000:
            datagram = os.urandom(size)
            need(ask(s, datagram) == datagram, "%d bytes" % size)


@check
def an_empty_datagram_is_echoed():
    with start() as server, udp_client(server.addresses[1]) as s:
        need(ask(s, b"") == b"", "something")
        need(ask(s, b"next") == b"next", "something else")


@check
def the_largest_datagram_is_echoed():
    with start() as server, udp_client(server.addresses[1]) as s:
        datagram = os.urandom(65507)
        need(ask(s, datagram) == datagram, "something else")


@check
def both_services_at_once_and_each_peer_its_own():
    with start() as server:
        times = [udp_client(server.addresses[0]) for _ in range(20)]
        echoes = [udp_client(server.addresses[1]) for _ in range(20)]
        for turn in range(20):
            for i, s in enumerate(echoes):
                s.send(b"%d of %d" % (turn, i))
                times[i].send(b"")
            for i, s in enumerate(echoes):
                need(s.recv(100) == b"%d of %d" % (turn, i), "another's datagram")
                need(CTIME.fullmatch(times[i].recv(100)), "no date")
        for s in times + echoes:
            s.close()


@check
def a_peer_that_is_gone_harms_nobody():
    with start() as server:
        for where in server.addresses * 50:
            with udp_client(where) as s:
                s.send(b"nobody will be there")
        with udp_client(server.addresses[0]) as s:
            ask_time(s, b"")
        with udp_client(server.addresses[1]) as s:
            need(ask(s, b"still here") == b"still here", "something else")


@chaos_check
def what_fails_at_times_costs_datagrams_and_not_the_server():
    count = 100
    with Mischief("enobufs=0.3"), start() as server, \
            udp_client(server.addresses[1]) as s:
        for n in range(count):
            s.send(b"%d" % n)
        answers = []
        s.settimeout(0.2)
        while not answers or answers[-1] != b"over":
            s.send(b"over")
            try:
                answers.append(s.recv(100))
            except TimeoutError:
                pass
        answers = [answer for answer in answers if answer != b"over"]
        note("%d of %d were answered" % (len(answers), count))
        need(0 < len(answers) < count, "%d of %d were answered" % (len(answers), count))
        need(answers == sorted(set(answers), key=int), "doubled or in disorder: %r" % answers)


@check
def ipv6_and_names():
    with start("--host", "localhost") as server, udp_client(server.addresses[1]) as s:
        need(ask(s, b"name") == b"name", "something else")
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        note("no IPv6 here: %s" % error)
        return
    with start("--host", "::1") as server:
        need([family for family, _ in server.addresses] == [socket.AF_INET6] * 2, "not IPv6")
        with udp_client(server.addresses[0]) as s:
            ask_time(s, b"six")
        with udp_client(server.addresses[1]) as s:
            need(ask(s, b"six") == b"six", "something else")


@check
def a_port_may_be_chosen():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Server(NAME, 2, "--time-port", "0", "--echo-port", str(port)) as server:
        need(server.addresses[1][1] == ("127.0.0.1", port), "elsewhere: %r" % server.addresses)
        with udp_client(server.addresses[1]) as s:
            need(ask(s, b"here") == b"here", "something else")


@check
def sigint_and_sigterm_end_it_with_status_0():
    for number in signal.SIGINT, signal.SIGTERM:
        server = start()
        try:
            with udp_client(server.addresses[0]) as s:
                ask_time(s, b"")
            status = server.end(number)
        finally:
            server.kill()
        need(status == 0, "signal %d: status %r, %r" % (number, status, server.stderr()))
        need(server.stderr() == "", "said %r" % server.stderr())


@calm_check
def bad_input_gets_one_line_and_status_2():
    for port in "70000", "65536", "-1", "+1", "", " 80", "80 ", "0x50", "http", "9" * 40, "1\n2":
        refuses(NAME, "--time-port", port, says="--time-port: ")
        refuses(NAME, "--echo-port=" + port, says="is not a port (0 to 65535)")
    refuses(NAME, "--echo-port")
    refuses(NAME, "--colour", "red")
    refuses(NAME, "-x")
    refuses(NAME, *ANY_PORTS, "extra", says="'extra'")
    refuses(NAME, *ANY_PORTS, "--host", "")
    refuses(NAME, *ANY_PORTS, "--host", "192.0.2.1", says="192.0.2.1")
    refuses(NAME, *ANY_PORTS, backend="nonesuch", says="nonesuch")
    refuses(NAME, *ANY_PORTS, "--backend", "nonesuch", says="nonesuch")
    refuses(NAME, *ANY_PORTS, "--backend", "none\nsuch")
    # Two sockets and the standard three leave no descriptor for the reactor.
    refuses(NAME, *ANY_PORTS, descriptors=(5, 5))


@calm_check
def a_busy_port_is_refused():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = str(holder.getsockname()[1])
        refuses(NAME, "--time-port", port, "--echo-port", "0", says=port)
        refuses(NAME, "--time-port", "0", "--echo-port", port, says=port)
        holder.close()
        refuses(NAME, "--time-port", port, "--echo-port", port, says=port)


main(NAME)
