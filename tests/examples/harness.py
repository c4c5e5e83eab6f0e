"""What the tests of the examples share: checks with names, and an example under test.

Usage of each test: python3 TEST.py BUILD_EXAMPLES_DIR BACKEND

BACKEND may be under chaos, as in chaos=seed=7:epoll. An example has to bear whatever that does to
it, so nothing is excused, but the loads are smaller, and what chaos cannot touch is left out.

Environment:
  HARK_TEST_FULL=1      the loads at full size, which take about a minute
  HARK_TEST_VALGRIND=1  examples run under valgrind, which must find no error and no leak

Exit status: 0, 1 when a check failed, 77 when the backend is not built in or does not work here.
"""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

FULL = os.environ.get("HARK_TEST_FULL") == "1"
VALGRIND = os.environ.get("HARK_TEST_VALGRIND") == "1"
CHAOS = len(sys.argv) == 3 and sys.argv[2].startswith("chaos")
SMALL = VALGRIND or CHAOS
# For what must come in the end; only a hang exceeds it.
PATIENCE = 120

if len(sys.argv) != 3:
    sys.exit("usage: %s BUILD_EXAMPLES_DIR BACKEND" % sys.argv[0])
DIRECTORY, BACKEND = sys.argv[1:]
HERE = os.path.dirname(os.path.abspath(__file__))

# A socket tells an error once, and libkqueue asks before anybody else can.
TELLS_ERRORS = not (BACKEND == "kqueue" and sys.platform == "linux")

checks = []


def check(function):
    """Decorator: function is one check, named as it is."""
    checks.append(function)
    return function


def calm_check(function):
    """Decorator: a check from which chaos keeps away."""
    return function if CHAOS else check(function)


def chaos_check(function):
    """Decorator: a check that is for chaos alone."""
    return check(function) if CHAOS else function


class Mischief:
    """`with Mischief("enomem=0.1"):` examples that start in it are under this of chaos, too."""

    def __init__(self, settings):
        self.settings = settings

    def __enter__(self):
        os.environ["HARK_CHAOS"] = self.settings

    def __exit__(self, kind, value, trace):
        del os.environ["HARK_CHAOS"]
        return False


def need(condition, what):
    """Fails the check at work unless condition holds."""
    if not condition:
        raise AssertionError(what)


def note(text):
    print("  note: " + text, flush=True)


def environment(backend=BACKEND):
    variables = dict(os.environ)
    variables.pop("HARK_BACKEND", None)
    if backend is not None:
        variables["HARK_BACKEND"] = backend
    return variables


def limiter(descriptors):
    """For preexec_fn: sets a child's soft and hard limit on descriptors, if not None."""
    if descriptors is None:
        return None
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, descriptors)


def raise_own_limit():
    """Raises the soft limit on descriptors; returns it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        pass
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def command(name, *arguments):
    """What starts that example; under valgrind, errors and leaks make its status 99."""
    program = [os.path.join(DIRECTORY, name), *arguments]
    if not VALGRIND:
        return program
    return ["valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=all",
            "--errors-for-leak-kinds=all", "--error-exitcode=99",
            "--suppressions=" + os.path.join(HERE, "libkqueue.supp"), *program]


def said(errors):
    """What was written to that file, but for valgrind's remarks on system calls it lacks. Its
    offset, which the one that writes has too, stays where it is."""
    text = os.pread(errors.fileno(), os.fstat(errors.fileno()).st_size, 0)
    return re.sub(r"^--\d+-- .*\n", "", text.decode(errors="replace"), flags=re.MULTILINE)


class Run:
    """One example from its start to its end: status, output and errors, the latter two as text.

    It must end with that status, unless that is None. meanwhile(process), if given, is called while
    it runs; inside is what starts it, if not the test."""

    def __init__(self, name, *arguments, meanwhile=None, status=0, inside=()):
        with tempfile.TemporaryFile() as errors, subprocess.Popen(
                [*inside, *command(name, *arguments)], env=environment(),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                bufsize=0) as process:
            watchdog = threading.Timer(PATIENCE, process.kill)
            watchdog.start()
            try:
                if meanwhile:
                    meanwhile(process)
                output = process.communicate()[0]
            finally:
                watchdog.cancel()
                process.kill()
            self.errors = said(errors)
        self.status, self.output = process.returncode, output.decode(errors="replace")
        need(status in (None, self.status), "%s %r: status %r, not %r; it said %r, %r" % (
            name, arguments, self.status, status, self.output, self.errors))


def signal_after_a_line(number):
    """A `meanwhile` that waits for a line of output and then sends that signal."""
    def send(process):
        need(process.stdout.readline(), "it says nothing")
        process.send_signal(number)
    return send


def udp_client(where):
    """A socket that sends to, and receives from, that (family, address)."""
    family, address = where
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(PATIENCE)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    s.connect(address)
    return s


class Server:
    """One example at work: `with Server("udp-services", 2, "--time-port", "0") as s:`.

    addresses holds (family, address) of each `listening on` line. Leaving the block ends the
    server with SIGTERM and needs status 0."""

    def __init__(self, name, lines, *arguments, descriptors=None):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command(name, *arguments), env=environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=self.errors, preexec_fn=limiter(descriptors))
        self.pid = self.process.pid
        self.addresses = []
        try:
            for _ in range(lines):
                self.addresses.append(self.read_address())
        except BaseException:
            self.kill()
            raise

    def read_address(self):
        line = self.process.stdout.readline().decode()
        match = re.fullmatch(r"listening on (\S+):(\d+)\n", line)
        need(match, "no `listening on ADDRESS:PORT` but %r, %r" % (line, self.stderr()))
        host, port = match.group(1), int(match.group(2))
        need(port > 0, "port 0 in %r" % line)
        if host.startswith("["):
            return socket.AF_INET6, (host.strip("[]"), port)
        return socket.AF_INET, (host, port)

    def stderr(self):
        return said(self.errors)

    def cpu_seconds(self):
        """User and system time so far, or None where there is no /proc like Linux's."""
        try:
            with open("/proc/%d/stat" % self.pid, "rb") as stat:
                fields = stat.read().rpartition(b")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, IndexError, ValueError):
            return None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def end(self, number=signal.SIGTERM):
        """Ends the server by that signal and returns its status."""
        try:
            self.process.send_signal(number)
            return self.process.wait(PATIENCE)
        finally:
            self.kill()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.kill()
            print("  the server's standard error: %r" % self.stderr())
            return False
        status = self.end()
        need(status == 0, "status %r at the end, %r" % (status, self.stderr()))
        return False


def refuses(name, *arguments, backend=BACKEND, descriptors=None, says=None):
    """The program must not start: status 2, one line on standard error and none on output."""
    what = "%s %r" % (name, arguments)
    variables = environment(backend)
    if descriptors is not None:
        # The leak sanitizer needs descriptors of its own.
        variables["ASAN_OPTIONS"] = variables.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    run = subprocess.run([os.path.join(DIRECTORY, name), *arguments], env=variables,
                         stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE,
                         preexec_fn=limiter(descriptors), check=False)
    errors = run.stderr.decode(errors="replace")
    note("%s: %s" % (" ".join(map(repr, arguments)) or "no arguments", errors.strip()))
    need(run.returncode == 2, "%s: status %d, %r" % (what, run.returncode, errors))
    need(errors.count("\n") == 1 and errors.endswith("\n"), "%s: %r" % (what, errors))
    need(len(errors) > len(name) + 3, "%s: nothing said: %r" % (what, errors))
    need(not run.stdout, "%s: output %r" % (what, run.stdout))
    if says is not None:
        need(says in errors, "%s: no %r in %r" % (what, says, errors))


def skip_without_backend():
    """Exits with status 77 if examples work, but not on this backend."""
    program = [os.path.join(DIRECTORY, "tcp-echo-server"), "--port", "0"]

    def starts(backend):
        with subprocess.Popen(program, env=environment(backend), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            line = process.stdout.readline()
            if process.poll() is None:
                process.terminate()
            return line.startswith(b"listening on "), process.communicate()[1]

    works, errors = starts(BACKEND)
    if works:
        return
    need(starts(None)[0], "%s does not start at all: %r" % (program[0], errors))
    print("skipped: %s" % errors.decode(errors="replace").strip())
    sys.exit(77)


def main(name):
    """Runs the checks of the test of that example."""
    skip_without_backend()
    run_checks(name)


def run_checks(name):
    """Runs the checks of the test of that program, and exits."""
    raise_own_limit()
    failed = 0
    for function in checks:
        started = time.monotonic()
        try:
            function()
            result = "ok"
        except Exception:
            failed += 1
            result = "FAILED"
            traceback.print_exc(file=sys.stdout)
        print("%s: %s, %s: %s (%.1f s)" % (result, name, BACKEND,
                                           function.__name__.replace("_", " "),
                                           time.monotonic() - started), flush=True)
    print("%d passed, %d failed" % (len(checks) - failed, failed))
    sys.exit(1 if failed else 0)
