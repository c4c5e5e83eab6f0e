"""hark_test_seeds finds a planted bug, says with which seed, and shows it again.

Usage: testing.py PLANTED BACKEND
"""

import os
import re
import subprocess
import sys

PROGRAM, BACKEND = sys.argv[1:]


def run(seeds=None, *arguments):
    variables = dict(os.environ, HARK_BACKEND=BACKEND)
    variables.pop("HARK_TEST_SEED", None)
    if seeds is not None:
        variables["HARK_TEST_SEED"] = seeds
    done = subprocess.run([PROGRAM, *arguments], env=variables, capture_output=True, text=True, timeout=60,
                          check=False)
    return done.returncode, done.stderr


def need(condition, what):
    if not condition:
        sys.exit("FAILED: %r" % (what,))


for bug in ((), ("call",)):
    first = run(None, *bug)
    match = re.fullmatch(
        r"planted: seed (\d+): returned (-\d+) \(.+\); again: HARK_TEST_SEED=\1\n", first[1])
    need(first[0] == 1 and match, first)
    seed = int(match.group(1))
    for _ in range(3):
        need(run(str(seed), *bug) == first, "another failure with the same seed")
    need(run("%d-1000" % seed, *bug) == first, "another failure in a range")
    need(seed > 1 or bug, "the first seed finds it, so that none passes")
    for other in range(1, seed):
        need(run(str(other), *bug) == (0, ""), "seed %d, which had passed, fails" % other)
for nonsense in "x", "-1", "5-4", "1-", "1-2x", "99999999999999999999999":
    status, said = run(nonsense)
    need(status == 2 and said.count("\n") == 1 and nonsense in said, (nonsense, status, said))
for end, how in (("crash", r"killed by signal 9 \(.+\)"),
                 ("exit", "exited with status 0 before it returned"),
                 ("late", "exited with status 23 after it returned")):
    status, said = run(None, end)
    need(status == 1 and re.fullmatch("planted: seed 2: %s; again: HARK_TEST_SEED=2\n" % how, said),
         (end, status, said))
print("seed %d finds it, each time" % seed)
