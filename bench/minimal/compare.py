#!/usr/bin/env python3
"""compare.py HARK-BENCH DIRECTORY - is hark-bench fair to its peers?

Three cells are measured by hark-bench and by minimal programs in DIRECTORY that share no code with
it, in turn, nine times. For each it prints the medians of both, in ns, and the median and the
quartiles of their quotients: 1 when hark-bench's driver is no slower than the minimal program."""
import json
import os
import statistics
import subprocess
import sys
import tempfile

ROUNDS = 9
CELLS = [
    (["ring_libev", "100", "1"],
     ["--workload", "ring", "--driver", "libev", "--transport", "unix", "--descriptors", "100",
      "--active", "1"]),
    (["dispatch_libuv", "100"],
     ["--workload", "dispatch", "--driver", "libuv", "--descriptors", "100", "--active", "100"]),
    (["refresh_libevent", "100000"],
     ["--workload", "timers", "--operation", "refresh", "--driver", "libevent",
      "--outstanding", "100000"]),
]


def by_hark_bench(program, arguments):
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run([program, *arguments, "--backend", "epoll", "--rounds", "3", "--json",
                        file.name], check=True, capture_output=True)
        rows = json.load(file)["rows"]
    row = next(r for r in rows if r["driver"] == arguments[arguments.index("--driver") + 1])
    return row.get("ns_per_event", row.get("ns_per_operation"))


def alone(program):
    return float(subprocess.run(program, check=True, capture_output=True, preexec_fn=pin).stdout)


def pin():
    """To the processor where hark-bench measures: the last, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main():
    if len(sys.argv) != 3:
        print("usage: compare.py HARK-BENCH DIRECTORY", file=sys.stderr)
        return 2
    for program, arguments in CELLS:
        program = [os.path.join(sys.argv[2], program[0]), *program[1:]]
        measured, minimal = [], []
        for _ in range(ROUNDS):
            minimal.append(alone(program))
            measured.append(by_hark_bench(sys.argv[1], arguments))
        low, middle, high = statistics.quantiles(
            [a / b for a, b in zip(measured, minimal)], n=4, method="inclusive")
        print("%-26s hark-bench %7.1f  alone %7.1f  quotient %.3f [%.3f-%.3f]" % (
            " ".join([os.path.basename(program[0]), *program[1:]]), statistics.median(measured),
            statistics.median(minimal), middle, low, high), flush=True)
    return 0


try:
    sys.exit(main())
except subprocess.CalledProcessError as error:
    said = error.stderr.decode(errors="replace").strip().splitlines()
    print(f"compare.py: {said[-1] if said else error}", file=sys.stderr)
    sys.exit(2)
except (OSError, ValueError, KeyError) as error:
    print(f"compare.py: {error}", file=sys.stderr)
    sys.exit(2)
