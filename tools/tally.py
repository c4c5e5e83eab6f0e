#!/usr/bin/env python3
"""tally.py LOG RECAP - counts the single tests in a `meson test` run's testlog.json.

A program of tests with Check counts as many as Check says that it ran, any other program as one. A
program that failed although each of its tests passed (a leak found at exit, a time-out) counts one
failure more. Prints, for each program that has something to say, what failed, the end of what it
said about it, what it skipped and where it makes an exception; and "PASSED FAILED SKIPPED" on the
last line. What failed is appended to the file RECAP as well, in fewer lines.
"""
import json
import re
import sys

CHECK = re.compile(r"%: Checks: (\d+), Failures: (\d+), Errors: (\d+)")
CHECK_FAILED = re.compile(r"^.*:[FE]:.*$", re.MULTILINE)
REMARK = re.compile(r"^(?:exception|skipped): .*$", re.MULTILINE)
END = 60  # lines
RECAP_END = 8


def tally(test):
    passed = failed = 0
    for checks, failures, errors in CHECK.findall(test.get("stdout") or ""):
        failed += int(failures) + int(errors)
        passed += int(checks) - int(failures) - int(errors)
    if test["result"] in ("OK", "EXPECTEDFAIL"):
        return passed or 1, failed, 0
    if test["result"] == "SKIP":
        return passed, failed, 1
    return passed, failed or 1, 0


def failures(test, end):
    stdout = test.get("stdout") or ""
    stderr = test.get("stderr") or ""
    found = CHECK_FAILED.findall(stdout)
    if not found:
        found = [f"{test['result']}, exit status {test['returncode']}"]
        found += stdout.splitlines()[-end:]
    return found + stderr.splitlines()[-end:]


def paragraph(test, lines):
    return "\n  ".join([test["name"] + ":"] + lines)


def main():
    totals = [0, 0, 0]
    with open(sys.argv[1], encoding="utf-8") as log, open(
        sys.argv[2], "a", encoding="utf-8"
    ) as recap:
        for line in log:
            test = json.loads(line)
            counts = tally(test)
            totals = [a + b for a, b in zip(totals, counts)]
            said = list(dict.fromkeys(REMARK.findall(test.get("stdout") or "")))
            if counts[1]:
                said += failures(test, END)
                print(paragraph(test, failures(test, RECAP_END)), file=recap)
            if said:
                print(paragraph(test, said))
    print(*totals)


if len(sys.argv) != 3:
    sys.exit("usage: tally.py LOG RECAP")
main()
