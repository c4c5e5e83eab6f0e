#!/usr/bin/env python3
"""run.py [--check] [NAME...] - does the suite catch bugs that are put in on purpose?

Each NAME.patch beside this script is one plausible bug. It is applied to a scratch copy in
build/mutations, which is then built and tested, up to the first test that fails; then it is taken
back. Its header says what it is and which test cases are to catch it (BACKEND:CASE of the
conformance suite, PROGRAM:BACKEND of another), which run before all the others:

    What: the wake-up of a post is not sent
    Tests: epoll:message

Which test did catch it is recorded in tests/mutations.md.

--check looks whether every patch still applies and has its line there, and builds nothing.

Exit status: 0; 1 when a patch does not apply, does not compile or survives; 2 for bad arguments.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
SCRATCH = TOP / "build" / "mutations"
SOURCE = SCRATCH / "source"
BUILD = SCRATCH / "build"
DOCUMENT = TOP / "tests" / "mutations.md"
COPIED = ["include", "src", "tests", "tools", "docs", "meson.build", "meson_options.txt", "LICENSE"]
BACKENDS = ["epoll", "poll", "select"]
PROGRAMS = {
    "conformance": "tests/conformance/conformance",
    "allocation": "tests/unit/allocation",
    "denied": "tests/faults/denied",
}
TEST_TIME = 60  # seconds, after which a test hangs
RULE = "|---|---|---|\n"  # of the document's table
ROW = re.compile(r"^\| `([^`]+)` \| (.*) \| (.*) \|\n", re.MULTILINE)
BROKEN = re.compile(r"^not ok \d+ - [^:]*:([^:]+):([^:]+): (.*)$")


class Mutant:
    """A patch and what its header says."""

    def __init__(self, path):
        self.name = path.stem
        self.path = path
        self.header = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("--- "):
                break
            key, _, value = line.partition(": ")
            self.header[key] = value.strip()
        for key in ("What", "Tests"):
            if key not in self.header:
                sys.exit(f"mutations: {path.name} has no '{key}: ' before its first '---'")

    def patch(self, directory, *options):
        """Runs patch(1) there; returns what it says when it fails, or None."""
        done = subprocess.run(
            ["patch", "-p1", "--batch", "--reject-file=-", *options, "-i", self.path],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout if done.returncode else None


def every_mutant():
    return [Mutant(path) for path in sorted(HERE.glob("*.patch"))]


def chosen(names):
    mutants = every_mutant()
    known = {m.name for m in mutants}
    for name in names:
        if name not in known:
            print(f"mutations: there is no '{name}.patch'; there are:", *sorted(known),
                  file=sys.stderr)
            sys.exit(2)
    return [m for m in mutants if not names or m.name in names]


def recorded():
    """The document's rows, by the mutants' names: (what, caught by)."""
    return {row[1]: (row[2], row[3]) for row in ROW.finditer(DOCUMENT.read_text(encoding="utf-8"))}


def record(m, caught):
    """Puts who caught it in the document, where the rows are in the names' order."""
    document = DOCUMENT.read_text(encoding="utf-8")
    rows = recorded()
    rows[m.name] = (m.header["What"], caught)
    table = "".join(f"| `{name}` | {what} | {by} |\n" for name, (what, by) in sorted(rows.items()))
    prose = ROW.sub("", document)
    DOCUMENT.write_text(prose.replace(RULE, RULE + table), encoding="utf-8")


def check(mutants):
    """How many do not apply or are not in the document."""
    rows = recorded()
    wrong = 0
    for m in mutants:
        said = m.patch(TOP, "--dry-run", "--forward")
        if said:
            print(f"FAILED: {m.name}.patch does not apply any more; make it anew:\n{said}")
            wrong += 1
        if rows.get(m.name, ("", ""))[0] != m.header["What"]:
            print(f"FAILED: {m.name}.patch: tests/mutations.md does not have it; run.py "
                  f"{m.name} tries it and records it")
            wrong += 1
    return wrong


def prepare():
    """The scratch copy, as the repository is now, and built. What has not changed keeps its date,
    so that it need not be built again."""
    for name in COPIED:
        source, target = TOP / name, SOURCE / name
        files = [source] if source.is_file() else [p for p in source.rglob("*") if p.is_file()]
        wanted = {target if source.is_file() else target / p.relative_to(source) for p in files}
        if target.is_dir():
            for old in target.rglob("*"):
                if old.is_file() and old not in wanted:
                    old.unlink()
        for path in files:
            copy = target if source.is_file() else target / path.relative_to(source)
            if not copy.exists() or copy.read_bytes() != path.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
    if not (BUILD / "build.ninja").exists():
        subprocess.run(
            ["meson", "setup", BUILD, SOURCE, "--auto-features=disabled", "-Dtests=enabled",
             "-Dbuildtype=debugoptimized", "-Doptimization=1"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    said = build()
    if said:
        sys.exit(f"mutations: the unchanged source does not build:\n{said}")


def build():
    """Builds the programs; returns what the compiler says when it fails."""
    done = subprocess.run(
        ["ninja", "-C", BUILD, *PROGRAMS.values()],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout[-3000:] if done.returncode else None


def end(process):
    """Ends a program of tests; it takes the test that it runs with it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                pass


def run(where, case=None):
    """The first test that fails there: 'case:test', or None."""
    first, _, second = where.partition(":")
    program, backend = (first, second) if first in PROGRAMS else ("conformance", first)
    environment = {
        **os.environ,
        "CK_TAP_LOG_FILE_NAME": "-",
        "CK_VERBOSITY": "silent",
        "CK_DEFAULT_TIMEOUT": str(TEST_TIME),
        "MALLOC_PERTURB_": "165",
    }
    if program == "conformance" and second:
        environment["CK_RUN_CASE"] = second
    # A wrong program may say much; what it says beside is not wanted.
    with tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen(
            [BUILD / PROGRAMS[program], backend],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,  # Check may pass on SIGTERM to the whole group
        )
        tests = 0
        try:
            for line in process.stdout:
                tests += line.startswith("ok ")
                broken = BROKEN.match(line)
                if broken:
                    return f"{broken[2]}"
        finally:
            end(process)
            process.stdout.close()
    if process.returncode:
        return f"(exit status {process.returncode})"
    if not tests:
        sys.exit(f"mutations: '{where}' names no test")
    return None


def everything():
    return [*BACKENDS, *(f"{name}:{b}" for name in PROGRAMS if name != "conformance"
                         for b in BACKENDS)]


def try_mutant(m):
    """Applies it, and says who catches it: (verdict, where, test)."""
    said = m.patch(SOURCE, "--forward")
    if said:
        m.patch(SOURCE, "--reverse", "--force")
        return f"does not apply:\n{said}", None, None
    try:
        said = build()
        if said:
            return f"does not compile:\n{said}", None, None
        for where in [*m.header["Tests"].split(), *everything()]:
            test = run(where)
            if test:
                return "caught", where, test
        return "SURVIVED", None, None
    finally:
        m.patch(SOURCE, "--reverse")


def sound(mutants):
    """Do the tests that are to catch them pass without them?"""
    for where in sorted({w for m in mutants for w in m.header["Tests"].split()}):
        test = run(where)
        if test:
            print(f"FAILED: {where}: {test} fails without any mutation")
            return False
    return True


def main():
    parser = argparse.ArgumentParser(usage="run.py [--check] [NAME...]")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    mutants = chosen(arguments.names)
    if arguments.check:
        wrong = check(mutants)
        print(f"{len(mutants)} patches, {wrong} of them wrong" if wrong else
              f"{len(mutants)} patches apply")
        return 1 if wrong else 0
    wrong = 0
    prepare()
    if not sound(mutants):
        return 1
    for m in mutants:
        start = time.monotonic()
        verdict, where, test = try_mutant(m)
        took = time.monotonic() - start
        said = f"{verdict} by {where}: {test}" if test else verdict
        print(f"{m.name}: {said} ({took:.0f} s)", flush=True)
        if test:
            record(m, f"`{test}` ({where.partition(':')[0]})")
        wrong += verdict != "caught"
    print(f"{len(mutants)} mutants, {wrong} not caught")
    return 1 if wrong else 0


sys.exit(main())
