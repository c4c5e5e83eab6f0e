"""Tests of examples/http-get; harness.py has the usage."""

import contextlib
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from harness import (FULL, PATIENCE, SMALL, TELLS_ERRORS, Mischief, Run, calm_check, chaos_check, check, main,
                     need, note, refuses)

NAME = "http-get"
HUGE = (4 if SMALL else 200 if FULL else 40) << 20
BLOCK = os.urandom(1 << 20)
REFUSED = "cannot connect: " + ("Connection refused" if TELLS_ERRORS else ".*")
RESET = "Connection reset by peer" if TELLS_ERRORS else ".*"
PROGRESS = r"\d+ of \d+ done, \d+ bytes, \d+ s"


class Site:
    """A server that speaks as little HTTP as it can, so that it can also speak it badly. The first
    word of a path says what is served: `with Site() as site: Run(NAME, site.url("/chunked"))`"""

    def __init__(self, host="127.0.0.1"):
        self.listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.listener.bind((host, 0))
        self.listener.listen(200)
        self.port = self.listener.getsockname()[1]
        self.requests = []
        self.asked = threading.Event()
        self.over = threading.Event()  # nobody need wait any longer

    def url(self, path, host="127.0.0.1"):
        return "http://%s:%d%s" % (host, self.port, path)

    def accept(self):
        while True:
            try:
                s = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        with s:
            s.settimeout(PATIENCE)
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += s.recv(65536)
            self.requests.append(request)
            self.asked.set()
            words = request.split()[1].decode().lstrip("/").split("?")[0].split("/")
            try:
                getattr(self, "serve_" + words[0], self.serve_404)(s, *words[1:])
            except OSError:
                pass  # the client has left

    @staticmethod
    def answer(s, body, status="200 OK", headers=""):
        s.sendall(("HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n" % (
            status, len(body), headers)).encode() + body)

    def serve_(self, s):
        self.answer(s, b"hello\n")

    def serve_size(self, s, size, *_):
        self.answer(s, b"x" * int(size))

    def serve_delay(self, s, seconds=PATIENCE):
        self.over.wait(float(seconds))
        self.answer(s, b"late\n")

    def serve_404(self, s, *_):
        self.answer(s, b"not here\n", "404 Not Found")

    def serve_500(self, s):
        self.answer(s, b"", "500 Out\33of\tOrder")

    def serve_204(self, s):
        s.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    def serve_redirect(self, s):
        self.answer(s, b"", "302 Found", "X-Location: here\r\nLOCATION: http://elsewhere/there\r\n")

    def serve_chunked(self, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for n in range(1, 1001):
            s.sendall(b"%x;extension=yes\r\n%s\r\n" % (n, b"c" * n))
        s.sendall(b"0\r\nTrailer: yes\r\n\r\n")

    def serve_bytes(self, s):
        for byte in (b"HTTP/1.1 302 Found\r\nLocation: /where\r\nContent-Length: 3\r\n\r\nabc"):
            s.sendall(bytes([byte]))
            time.sleep(0.002)

    def serve_end(self, s):
        """Until the end of the connection, which is then part of the answer."""
        s.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + b"e" * 100000)

    def serve_continue(self, s):
        s.sendall(b"HTTP/1.1 100 Continue\r\nLocation: /no\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n")
        self.answer(s, b"finally")

    def serve_more(self, s):
        """Keeps the connection, and sends what nobody asked for."""
        self.answer(s, b"asked for")
        s.sendall(b"HTTP/1.1 404 Not Found\r\n\r\nrubbish")
        self.over.wait(PATIENCE)

    def serve_huge(self, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE)
        for _ in range(HUGE // len(BLOCK)):
            s.sendall(BLOCK)

    def serve_slow(self, s):
        """Never silent for three seconds, but longer at work than that."""
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for _ in range(6):
            time.sleep(0.7)
            s.sendall(b"s")

    def serve_nothing(self, s):
        pass

    def serve_close(self, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")

    def serve_cut(self, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nchu")

    def serve_half(self, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")

    def serve_reset(self, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def serve_stall(self, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
        self.over.wait(PATIENCE)

    def serve_rubbish(self, s):
        s.sendall(b"220 mail.example ESMTP\r\n")
        self.over.wait(PATIENCE)

    def serve_both(self, s):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"0\r\n\r\n")

    def serve_headers(self, s):
        """Without an end."""
        s.sendall(b"HTTP/1.1 200 OK\r\n")
        for n in range(1000):
            s.sendall(b"X-%d: %s\r\n" % (n, b"h" * 1000))
        s.sendall(b"Content-Length: 0\r\n\r\n")

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, kind, value, trace):
        self.over.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        return False


def gets(site, expected, *options):
    """Gets all these paths in one run. Each comes with that many bytes, or fails for that reason
    (a string, or a pattern)."""
    wanted, unwanted = [], []
    for path, what in expected.items():
        if isinstance(what, int):
            wanted.append(r"%s: %d bytes in \d+\.\d\d s" % (re.escape(site.url(path)), what))
        else:
            why = what.pattern if isinstance(what, re.Pattern) else re.escape(what)
            unwanted.append("%s: %s: %s" % (NAME, re.escape(site.url(path)), why))
    run = Run(NAME, *options, *map(site.url, expected), status=1 if unwanted else 0)
    for patterns, said in (wanted, run.output), (unwanted, run.errors):
        lines = [line for line in said.splitlines() if not re.fullmatch(PROGRESS, line)]
        for pattern in patterns:
            need(sum(1 for line in lines if re.fullmatch(pattern, line)) == 1,
                 "not once %r: %r" % (pattern, lines))
        need(len(lines) == len(patterns), "%r" % lines)
    return run


@contextlib.contextmanager
def other_file(path, text):
    """Gives what starts a program that sees that text in the file, or None if that cannot be."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(text)
        file.flush()
        inside = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"',
                  file.name, path)
        try:
            subprocess.run([*inside, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            note("no mount namespace here: %s" % error)
            inside = None
        yield inside


@check
def what_is_there_comes():
    with Site() as site:
        gets(site, {"/": 6, "": 6, "/size/0": 0, "/size/100000": 100000, "/chunked": 500500,
                    "/end": 100000, "/204": 0, "/continue": 7, "/more": 9, "/headers": 0,
                    "/size/5?q=a&b=%20#part": 5, "/size/7?" + "l" * 50000: 7})


@check
def it_asks_as_http_wants_it():
    with Site() as site:
        asked = {"": b"/", "/?": b"/?", "?q": b"/?q", "//x//y": b"//x//y", "/size/1/?": b"/size/1/?",
                 "/%41/b;c=d?e/f?g#h": b"/%41/b;c=d?e/f?g"}
        Run(NAME, *map(site.url, asked), status=None)
        targets = []
        for request in site.requests:
            lines = request.split(b"\r\n")
            targets += re.findall(b"^GET (\\S+) HTTP/1.1$", lines[0])
            need(lines[1] == b"Host: 127.0.0.1:%d" % site.port, "%r" % lines)
            need(b"Connection: close" in lines, "%r" % lines)
        need(sorted(targets) == sorted(asked.values()), "asked for %r" % targets)


@check
def several_at_once():
    with Site() as site:
        late = ["/delay?%d" % n for n in range(20)]
        early = ["/size/%d" % n for n in range(20)]

        def wait_for_the_early(process):
            for _ in early:
                line = process.stdout.readline()
                need(b"/size/" in line, "%r" % line)
            site.over.set()

        run = Run(NAME, *map(site.url, late + early), meanwhile=wait_for_the_early)
        for path in late:
            need(site.url(path) + ": 5 bytes in " in run.output, "%r" % run.output)
        need(run.output.count("\n") == 20, "%r" % run.output)


@calm_check
def the_progress_is_shown_while_it_waits():
    with Site() as site:
        run = gets(site, {"/delay/2.5": 5, "/size/9": 9})
        need(re.search(r"^[01] of 2 done, \d+ bytes, \d+ s$", run.errors, re.MULTILINE),
             "%r" % run.errors)


@check
def a_huge_body_comes_whole():
    expected = hashlib.sha256()
    for _ in range(HUGE // len(BLOCK)):
        expected.update(BLOCK)
    with Site() as site, tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "body")
        gets(site, {"/huge": HUGE}, "--output", path)
        with open(path, "rb") as body:
            actual = hashlib.sha256()
            while data := body.read(1 << 20):
                actual.update(data)
        need(actual.digest() == expected.digest(), "other bytes")
        gets(site, {"/chunked": 500500}, "--output", path)
        with open(path, "rb") as body:
            need(body.read() == b"c" * 500500, "other bytes")


@check
def a_body_that_cannot_be_written_is_reported():
    if not os.path.exists("/dev/full"):
        note("no /dev/full here")
        return
    with Site() as site:
        for path in "/size/100000", "/size/10":
            run = Run(NAME, "--output", "/dev/full", site.url(path), status=1)
            need(run.errors.endswith(": it cannot be written\n"), "%r" % run.errors)


@check
def what_does_not_come_is_reported_and_keeps_nobody():
    early = "bad answer: it ends too early"
    with Site() as site:
        gets(site, {"/404": "404 Not Found", "/500": "500 Out?of?Order",
                    "/redirect": "302 Found: redirected to http://elsewhere/there",
                    "/bytes": "302 Found: redirected to /where", "/nothing": early, "/close": early,
                    "/cut": early, "/half": early, "/reset": re.compile(RESET),
                    "/rubbish": re.compile("bad answer: [^\n]+"),
                    "/both": re.compile("bad answer: [^\n]+"), "/size/3": 3, "/chunked": 500500})
        run = Run(NAME, "http://127.0.0.1:1/", site.url("/"), status=1)
        need(re.fullmatch("%s: http://127.0.0.1:1/: %s\n" % (NAME, REFUSED), run.errors),
             "%r" % run.errors)
        need(run.output.startswith(site.url("/") + ": 6 bytes"), "%r" % run.output)


@chaos_check
def what_breaks_does_not_take_others_along():
    urls = {}
    with Site() as site, Mischief("econnreset=0.1,enomem=0.1"):
        for n in range(30):
            urls[site.url("/size/%d" % n)] = n
        run = Run(NAME, *urls, status=1)
        good = re.findall(r"^(\S+): (\d+) bytes in ", run.output, re.MULTILINE)
        bad = re.findall(r"^http-get: (http\S+): (?:cannot connect: )?"
                         r"(?:Connection reset by peer|Cannot allocate memory)$",
                         run.errors, re.MULTILINE)
        note("%d of %d came" % (len(good), len(urls)))
        need(all(urls[url] == int(size) for url, size in good), "%r" % good)
        need(good and bad, "%d came and %d did not" % (len(good), len(bad)))
        need({url for url, _ in good} | set(bad) == set(urls), "%r" % run.errors)
        need(len(good) + len(bad) == len(urls), "some twice: %r, %r" % (good, bad))


@check
def a_server_that_stalls_times_out():
    with Site() as site:
        started = time.monotonic()
        gets(site, {"/stall": "timed out", "/delay": "timed out", "/slow": 6}, "--timeout", "3")
        need(time.monotonic() - started >= 3, "after %.1f s" % (time.monotonic() - started))


@check
def names_are_looked_up():
    with Site() as site:
        url = site.url("/size/3", host="localhost")
        need(Run(NAME, url).output.startswith(url + ": 3 bytes in "), "it did not come")
        need(b"Host: localhost:%d\r\n" % site.port in site.requests[0], "%r" % site.requests)
    run = Run(NAME, "http://nosuch.invalid/", status=1)
    need(run.errors.startswith(NAME + ": http://nosuch.invalid/: nosuch.invalid: "),
         "%r" % run.errors)


@check
def each_address_of_a_name_is_tried():
    with other_file("/etc/hosts", "127.0.0.1 two\n127.0.0.2 two\n"
                                  "127.0.0.3 none\n127.0.0.4 none\n") as inside:
        if not inside:
            return
        for host in "127.0.0.1", "127.0.0.2":
            with Site(host) as site:
                url = site.url("/size/5", host="two")
                run = Run(NAME, url, inside=inside)
                need(run.output.startswith(url + ": 5 bytes in "), "it did not come")
        run = Run(NAME, "http://none:%d/" % site.port, inside=inside, status=1)
        need(re.search("/: %s\n$" % REFUSED, run.errors), "%r" % run.errors)


@calm_check
def a_lookup_that_hangs_keeps_nobody():
    def insist(process):
        line = process.stdout.readline()
        need(b"/size/6: 6 bytes in " in line, "%r" % line)
        # The first signal has it wait for the lookup; the next kills.
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)

    with other_file("/etc/resolv.conf",
                    "nameserver 127.0.0.9\noptions timeout:30 attempts:1\n") as inside:
        if not inside:
            return
        with Site() as site, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            try:
                silent.bind(("127.0.0.9", 53))
            except OSError as error:
                note("no name server's port here: %s" % error)
                return
            Run(NAME, "http://nowhere.example/", site.url("/size/6"), inside=inside,
                meanwhile=insist, status=-signal.SIGINT)


@check
def ipv6():
    try:
        site = Site("::1")
    except OSError as error:
        note("no IPv6 here: %s" % error)
        return
    with site:
        url = site.url("/size/4", host="[::1]")
        need(Run(NAME, url).output.startswith(url + ": 4 bytes in "), "it did not come")
        need(b"Host: [::1]:%d\r\n" % site.port in site.requests[0], "%r" % site.requests)


@check
def sigint_and_sigterm_end_it_while_it_waits():
    for number in signal.SIGINT, signal.SIGTERM:
        with Site() as site:
            def interrupt(process):
                need(site.asked.wait(PATIENCE), "it does not ask")
                process.send_signal(number)

            urls = [site.url("/stall?%d" % n) for n in range(3)]
            run = Run(NAME, *urls, meanwhile=interrupt, status=1)
            for url in urls:
                need("%s: %s: interrupted\n" % (NAME, url) in run.errors, "%r" % run.errors)
            need(run.output == "", "%r" % run.output)


@calm_check
def bad_input_gets_one_line_and_status_2():
    refuses(NAME, says="no URL")
    for url in ("", "x", "/x", "http", "http:", "http://", "http:///x", "http:x", "ftp://x/",
                "https://x/", "httpx://x/", "http://a b/", "http://a\r\nb/", "http://u:p@h/",
                "http://h:0/", "http://h:65536/", "http://h:99999999999999999999/", "http://h:x/",
                "http://[::g]/", "http://[::1/", "http://[v1.a]/", "http://h/%", "http://h/\xe9"):
        refuses(NAME, "http://127.0.0.1:1/", url, says="'")
    for timeout in "0", "3601", "-1", "", "ten", "1.5":
        refuses(NAME, "--timeout", timeout, "http://h/", says="--timeout: ")
    refuses(NAME, "--output", "/dev/null", "http://h/", "http://h/", says="one URL")
    refuses(NAME, "--output", "/nonesuch/file", "http://h/", says="'/nonesuch/file'")
    refuses(NAME, "--output", "", "http://h/", says="--output: ''")
    refuses(NAME, "--colour", "red")
    refuses(NAME, "http://h/", backend="nonesuch", says="nonesuch")
    refuses(NAME, "--backend", "nonesuch", "http://h/", says="nonesuch")


main(NAME)
