#!/usr/bin/env python3
"""check.py MODEL [-DNAME[=VALUE]...] [--mutant=NAME] - has spin search a model exhaustively.

Without a mutant spin must find no error and no cycle, reach every statement, and get to the end of
the search. A mutant is the model with -DNAME, in which something that the proof is about is
missing; then spin must find an error. CC compiles the search.

Exit status: 0, 1 when the outcome is another one, 2 for bad arguments, 77 without spin.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

DEPTH = 100000  # steps; the searches need some hundreds
MEMORY = 4096  # MB
TIME = 600  # s
CC = os.environ.get("CC", "cc").split()
# The only process of which no end is asked is one that says so with an end label.
UNREACHED = re.compile(r'^\t.*, state \d+, "(?!-end-)', re.MULTILINE)


def run(command, directory):
    result = subprocess.run(
        command,
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIME,
        check=False,
    )
    return result.returncode, result.stdout


def compiled(model, defines, options, directory):
    """The program that searches."""
    for command in (
        ["spin", *defines, "-a", model],
        [*CC, "-w", *options, f"-DMEMLIM={MEMORY}", "-o", "pan", "pan.c"],
    ):
        status, said = run(command, directory)
        if status != 0 or "Error" in said:
            sys.exit(f"FAILED: {' '.join(command)}\n{said}")
    return "./pan"


def searched(model, defines, options, arguments, directory):
    """What the search says."""
    if "-DIN_OWNER" in defines:
        options = [*options, "-DNOREDUCE"]  # which spin wants for `provided`
    pan = compiled(model, defines, options, directory)
    _, said = run([pan, f"-m{DEPTH}", *arguments], directory)
    if not re.search(r"errors: \d", said):
        sys.exit(f"FAILED: the search broke off\n{said}")
    return said


def trail(model, defines, directory):
    """The steps that lead to the error."""
    (steps,) = glob.glob(os.path.join(directory, "*.trail"))
    _, said = run(["spin", *defines, "-k", steps, "-p", "-g", model], directory)
    return said


def complain(what, said, model, defines, directory):
    sys.exit(f"FAILED: {what}\n{said}\n{trail(model, defines, directory)}")


def prove(model, defines, directory):
    for what, options, arguments in (
        ("errors", ["-O1", "-DSAFETY"], []),
        ("cycles", ["-O1", "-DNP"], ["-l"]),
    ):
        said = searched(model, defines, options, arguments, directory)
        if "errors: 0" not in said:
            complain(f"spin finds {what}", said, model, defines, directory)
        if "too small" in said or "not completed" in said:
            sys.exit(f"FAILED: the search for {what} is not exhaustive\n{said}")
        if UNREACHED.search(said):
            sys.exit(f"FAILED: the search for {what} leaves statements out\n{said}")
        states = re.search(r"(\d+) states, stored", said).group(1)
        print(f"no {what} in {states} states", flush=True)


def refute(model, defines, directory):
    said = searched(model, defines, ["-O0", "-DSAFETY"], [], directory)
    error = re.search(r"^pan:1: (.*)$", said, re.MULTILINE)
    if error is None:
        sys.exit(f"FAILED: spin finds nothing wrong with the mutant\n{said}")
    print(error.group(1))


def main():
    mutants = [a[len("--mutant=") :] for a in sys.argv[2:] if a.startswith("--mutant=")]
    defines = [a for a in sys.argv[2:] if a.startswith("-D")]
    if len(sys.argv) < 2 or len(mutants) > 1 or len(mutants) + len(defines) != len(sys.argv) - 2:
        print("usage: check.py MODEL [-DNAME[=VALUE]...] [--mutant=NAME]", file=sys.stderr)
        return 2
    model = os.path.abspath(sys.argv[1])
    if not os.path.exists(model):
        print(f"check.py: there is no model {sys.argv[1]}", file=sys.stderr)
        return 2
    if shutil.which("spin") is None:
        print("skipped: there is no spin")
        return 77
    with tempfile.TemporaryDirectory() as directory:
        if mutants:
            refute(model, [*defines, "-D" + mutants[0]], directory)
        else:
            prove(model, defines, directory)
    return 0


sys.exit(main())
