#!/usr/bin/env python3
"""benchmarks.py RESULTS.json - what a run of hark-bench measured, in Markdown.

RESULTS.json is from `hark-bench --json` or `./dev bench --report`, of all workloads and drivers. It
prints on what machine that was; what hark means to reach, beside the worst of what was measured for
it and in which shape; for each workload a table over epoll, of all drivers; and for some a table of
hark over all backends. A ratio to a peer is the quotient of
both ratios to raw in the same shape, for these compare turns of the same rounds. A goal that lies
between the quartiles of what misses it is neither met nor missed: the run is too noisy to tell.
What the run does not have is not measured.
"""
import json
import math
import sys

PEERS = ["libevent", "libev", "libuv", "ivykis"]
MEASURES = {
    "echo": "cpu_ns_per_request",
    "setup": "ns_per_descriptor",
    "timers": "ns_per_operation",
}
SHAPE = ["operation", "transport", "descriptors", "active", "message_bytes", "outstanding", "threads"]


class Results:
    """The rows of a run, to be asked for by what they have."""

    def __init__(self, rows):
        self.rows = rows

    def find(self, workload, driver, backend="epoll", **wanted):
        """The rows of the driver itself and its variants."""
        return [
            r
            for r in self.rows
            if r["workload"] == workload
            and r["driver"] == driver
            and (r["backend"] == backend or workload == "timers")
            and (driver != "raw" or not r.get("variant"))
            and all(r.get(key) == value for key, value in wanted.items())
        ]


def value(row):
    """Its first number, in nanoseconds."""
    key = MEASURES.get(row["workload"], "ns_per_event")
    if row["workload"] == "post":
        key = "ns_per_message" if row["operation"] == "flood" else "p50_ns"
    return row[key]


def shape(row):
    return {key: row[key] for key in SHAPE if row.get(key) is not None}


def words(row):
    said = [str(row[key]) for key in ("operation", "transport") if row.get(key)]
    if row.get("descriptors"):
        active = row.get("active", row["descriptors"])
        said.append(f"{row['descriptors']}/{active}")
    for key, unit in (("message_bytes", "B"), ("outstanding", "pending"), ("threads", "threads")):
        if row.get(key):
            said.append(f"{row[key]} {unit}")
    return " ".join(said)


class Table:
    """The lines of the goals."""

    def __init__(self):
        self.lines = []

    def add(self, goal, most, found, unit=""):
        """found: (number, its lower quartile, in which shape) of all that the goal is about. Of those
        that miss it the worst is shown of which the quartile does, too, if there is any."""
        if not found:
            self.lines.append(f"| {goal} | {most:g}{unit} | not measured | |")
            return
        most_shown = most + (0.05 if unit else 0.005)
        missed = [f for f in found if f[1] >= most_shown]
        worst, low, where = max(missed or found)
        met = "no" if missed else "yes" if worst < most_shown else "too noisy to tell"
        number = f"{worst:.1f}{unit}" if unit else f"{worst:.2f}"
        spread = f", from {low:.2f}" if met == "too noisy to tell" else ""
        self.lines.append(f"| {goal} | {most:g}{unit} | {number}{spread} ({where}) | {met} |")


def absolute(rows, key=None):
    """The numbers themselves."""
    numbers = [(r[key], r[key], words(r)) if key else (value(r), quartile(r), words(r)) for r in rows]
    return [n for n in numbers if n[0] is not None]


def quartile(row):
    return row.get("ns_q1") or value(row)


def to_raw(rows):
    return [(r["ratio_to_raw"], r["ratio_q1"], words(r)) for r in rows
            if r["ratio_to_raw"] is not None]


def to_peers(results, rows, peers):
    """The quotients of hark's rows and the best variant of each peer in the same shape."""
    found = []
    for row in to_compare(rows):
        for peer in peers:
            theirs = [t for t in to_compare(results.find(row["workload"], peer, **shape(row)))
                      if t.get("spin_ns", 0) == row.get("spin_ns", 0)]
            if theirs:
                best = min(theirs, key=lambda t: t["ratio_to_raw"])
                found.append((row["ratio_to_raw"] / best["ratio_to_raw"],
                              row["ratio_q1"] / best["ratio_q3"], f"{peer}, {words(row)}"))
    return found


def to_compare(rows):
    return [r for r in rows if r["ratio_to_raw"] is not None]


def geometric(results, rows, peers):
    """The geometric mean of the quotients over all shapes, for each peer."""
    means = []
    for peer in peers:
        logs = [math.log(number) for number, _, _ in to_peers(results, rows, [peer])]
        if logs:
            mean = math.exp(sum(logs) / len(logs))
            means.append((mean, mean, peer))
    return means


def goals(results):
    table = Table()
    ring = results.find("ring", "hark")
    many = [r for r in ring if r["active"] >= 1000]
    table.add("ring: of raw", 1.03, to_raw([r for r in ring if r not in many]))
    table.add("ring, 2000 active: of raw", 0.97, to_raw(many))
    table.add("ring: of each peer, geometric mean", 1.0, geometric(results, ring, PEERS))
    table.add("ring: of any peer in any shape", 1.03, to_peers(results, ring, PEERS))
    table.add("ring, 1 active: of libevent and libev", 0.90,
              to_peers(results, [r for r in ring if r["active"] == 1], ["libevent", "libev"]))
    table.add("setup, add: of raw", 1.05, to_raw(results.find("setup", "hark", operation="add")))

    dispatch = results.find("dispatch", "hark")
    table.add("dispatch, 1 active: of raw", 1.10, to_raw([r for r in dispatch if r["active"] == 1]))
    table.add("dispatch, 100 active: of raw", 1.15, to_raw([r for r in dispatch if r["active"] > 1]))
    table.add("dispatch: of any peer", 1.0, to_peers(results, dispatch, PEERS))

    churn = results.find("churn", "hark")
    table.add("churn: of raw", 0.85, to_raw(churn))
    table.add("churn, 1000/100, Unix: of raw", 0.80,
              to_raw(results.find("churn", "hark", transport="unix", descriptors=1000)))
    table.add("churn: of any peer", 0.85, to_peers(results, churn, PEERS))
    table.add("coalesced: of raw", 0.28, to_raw(results.find("coalesced", "hark")))

    mix = results.find("timers", "hark", operation="mix")
    table.add("timers, mix: of libev", 0.60, to_peers(results, mix, ["libev"]))
    table.add("timers, mix: of the other peers", 0.25,
              to_peers(results, mix, ["libevent", "libuv", "ivykis"]))
    for pending, most in ((100_000, 5), (1_000_000, 25)):
        rows = results.find("timers", "hark", operation="refresh", outstanding=pending)
        table.add(f"timers, refresh, {pending:,} pending", most, absolute(rows), " ns")
    table.add("timers, expire: of libev", 0.30,
              to_peers(results, results.find("timers", "hark", operation="expire",
                                             outstanding=1_000_000), ["libev"]))
    table.add("idle-timer: of the best peer", 0.95,
              to_peers(results, results.find("idle-timer", "hark"), PEERS))

    flood = results.find("post", "hark", operation="flood")
    table.add("post, flood: of raw", 1.10, to_raw(flood))
    table.add("post, flood: of libev, ivykis and libevent", 0.35,
              to_peers(results, flood, ["libev", "ivykis", "libevent"]))
    wake = results.find("post", "hark", operation="wake")
    still = [r for r in wake if r["spin_ns"] == 0]
    table.add("post, wake, p50: of raw", 1.05, to_raw(still))
    table.add("post, wake with spin, p50: of blocking", 0.12,
              [(value(r) / value(s), value(r) / value(s), words(r))
               for r in wake if r["spin_ns"] > 0 for s in still])

    table.add("echo, processor time: of raw", 1.02, to_raw(results.find("echo", "hark")))
    classic = [
        r
        for backend in ("poll", "select")
        for workload in ("ring", "churn")
        for r in results.find(workload, "hark", backend)
    ]
    table.add("poll and select, ring and churn: of raw", 1.05,
              [(n, low, f"{r['backend']} {w}") for r in classic for n, low, w in to_raw([r])])
    table.add("memory a descriptor", 32,
              absolute([r for r in ring if r["descriptors"] >= 1000], "bytes_per_descriptor"), " B")
    return table.lines


def machine(results):
    flaws = [name for name, what in results["vulnerabilities"].items() if "Mitigation" in what]
    return (
        f"{results['cpus']} processors, {results['cpu'] or 'of a kind unknown'}; {results['kernel']}; "
        f"mitigations: {', '.join(flaws) or 'none'}; "
        + ", ".join(f"{name} {version}" for name, version in results["peers"].items() if version)
        + f"; {results['date']}, {results['rounds']} rounds."
    )


def column(row):
    return " ".join(filter(None, [row["driver"], row.get("variant")]))


def tables(results):
    """For each workload the shapes, the nanoseconds of raw, and the others' ratios to it."""
    for workload in results["workloads"]:
        rows = [
            r
            for r in results["rows"]
            if r["workload"] == workload["name"] and r["backend"] in ("epoll", "heap")
        ]
        by_shape = {}
        for row in rows:
            spin = " spin" if row.get("spin_ns") else ""
            by_shape.setdefault(words(row) + spin, {})[column(row)] = row
        columns = list(dict.fromkeys(column(r) for r in rows if column(r) != "raw"))
        if not columns:
            continue
        yield f"### {workload['name']}\n"
        about = " ".join(workload["about"].split())
        yield f"{about[0].upper()}{about[1:]}.\n"
        yield "| | raw, ns | " + " | ".join(columns) + " |"
        yield "|---|---:|" + "---:|" * len(columns)
        for name, line in by_shape.items():
            cells = [f"{value(line['raw']):,.0f}" if "raw" in line else ""]
            for key in columns:
                row = line.get(key)
                known = row is not None and row["ratio_to_raw"] is not None
                cells.append(f"{row['ratio_to_raw']:.2f}{'?' * row['noisy']}" if known else "")
            yield f"| {name} | " + " | ".join(cells) + " |"
        yield ""


def backends(results):
    """hark's nanoseconds on each backend, for what the backends are about."""
    for workload in ("ring", "churn", "setup"):
        by_shape = {}
        for row in results["rows"]:
            if row["workload"] == workload and row["driver"] == "hark":
                by_shape.setdefault(words(row), {})[row["backend"]] = value(row)
        columns = list(dict.fromkeys(name for line in by_shape.values() for name in line))
        if not columns:
            continue
        yield f"| {workload}, ns | " + " | ".join(columns) + " |"
        yield "|---|" + "---:|" * len(columns)
        for name, line in by_shape.items():
            cells = [f"{line[key]:,.0f}" if key in line else "" for key in columns]
            yield f"| {name} | " + " | ".join(cells) + " |"
        yield ""


def main():
    if len(sys.argv) != 2:
        print("usage: benchmarks.py RESULTS.json", file=sys.stderr)
        return 2
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            results = json.load(file)
        lines = [
            machine(results),
            "\n## The goals\n",
            "| goal | at most | measured, at worst | met |\n|---|---:|---|---|",
            *goals(Results(results["rows"])),
            "\n## The workloads\n",
            *tables(results),
            "## hark on each backend\n",
            *backends(results),
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"benchmarks.py: {sys.argv[1]} is not what hark-bench writes: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


sys.exit(main())
