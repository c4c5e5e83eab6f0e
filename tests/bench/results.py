"""What hark-bench writes, says and refuses, and the report that is drawn of it; harness.py has the
usage. No number that was measured is judged."""

import collections
import csv
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from harness import BACKEND, HERE, PATIENCE, Run, check, need, note, refuses, run_checks

NAME = "hark-bench"
SCRIPT = os.path.join(HERE, "../../tools/report.py")
LITTLE = ["--driver", "raw,hark", "--backend", BACKEND, "--workload", "ring,timers", "--operation",
          "mix", "--transport", "unix", "--descriptors", "100,200", "--active", "1",
          "--outstanding", "1000", "--rounds", "2"]
HARKS = 3  # rows of hark: two sizes of a ring, one of timers
TIMERS = [*LITTLE, "--workload", "timers", "--outstanding", "1000,2000"]  # what is soon compared
VOID = {"br", "img", "link", "meta"}

directory = tempfile.TemporaryDirectory()


def path(name):
    return os.path.join(directory.name, name)


def write(name, what):
    with open(path(name), "w", encoding="utf-8") as file:
        file.write(what if isinstance(what, str) else json.dumps(what))
    return path(name)


def draw(*arguments, status=0):
    """Runs report.py; returns what it said on standard error."""
    run = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True,
                         timeout=PATIENCE, check=False)
    need(run.returncode == status, "%r: %d, %r" % (arguments, run.returncode, run.stderr))
    return run.stderr


def results():
    """Those of a little run, which is made once."""
    if not os.path.exists(path("results.json")):
        run = Run(NAME, *LITTLE, "--seed", "42", "--report", directory.name)
        write("output", run.output)
    with open(path("results.json"), encoding="utf-8") as file:
        return json.load(file)


def is_plain_raw(row):
    """Is it what the others are compared with?"""
    return row["driver"] == "raw" and not row.get("variant")


def driver(row):
    """As plots call it."""
    return " ".join(filter(None, [row["driver"], row.get("variant"), row["backend"]]))


class Page(html.parser.HTMLParser):
    """Checks that each element is closed where it should be, and gathers what a page has."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.links = [], collections.Counter(), [], []
        self.meta = {}
        self.feed(text)
        self.close()
        need(not self.open, "not closed: %r" % self.open)

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags[tag] += 1
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs[key] for key in ("href", "src", "xlink:href") if key in attrs]
        if tag == "meta" and "name" in attrs:
            self.meta[attrs["name"]] = attrs["content"]

    def handle_endtag(self, tag):
        need(self.open and self.open[-1] == tag, "</%s> in %r" % (tag, self.open))
        self.open.pop()


def titles(svg):
    """Of each thing that has one in a drawing, which must be XML."""
    root = xml.etree.ElementTree.fromstring(svg)
    return [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]


@check
def json_says_what_was_measured_on_what():
    found = results()
    need(found["seed"] == 42 and found["rounds"] == 2, found)
    need(found["arguments"][:2] == LITTLE[:2] and "ring,timers" in found["arguments"],
         found["arguments"])
    need(found["cpus"] >= 1 and found["kernel"] and found["open_files"] != 0, found)
    need("hark" in found and not {"raw", "hark"} & set(found["peers"]), found)
    rows = found["rows"]
    need(len(rows) == len({row["row"] for row in rows}), rows)
    need(sum(row["driver"] == "hark" for row in rows) == HARKS, rows)
    need(sum(is_plain_raw(row) for row in rows) == HARKS, rows)
    for row in rows:
        for what in "ns", "ratio":
            order = [row["%s_%s" % (what, key)] for key in ("min", "q1", "q3", "max")]
            need(order == sorted(order), row)
        need(row["noisy"] is (row["ratio_q1"] < 1 < row["ratio_q3"] and
                              row["ratio_q3"] - row["ratio_q1"] > 0.05), row)
    shapes = {workload["name"]: workload["shape"] for workload in found["workloads"]}
    need(shapes == {"ring": ["transport", "descriptors", "active"],
                    "timers": ["operation", "outstanding"]}, shapes)


@check
def output_says_it_too():
    results()
    with open(path("output"), encoding="utf-8") as file:
        output = file.read()
    for what in "2 rounds, seed 42", "processors", "open files", "noisy":
        need(what in output, "no %r in %r" % (what, output))
    need(len(re.findall(r"^(?:ring|timers) ", output, re.MULTILINE)) == len(results()["rows"]),
         output)


@check
def csv_has_the_numbers_of_the_json():
    numbers = {}
    for workload in results()["workloads"]:
        for row in results()["rows"]:
            for measure in workload["measures"]:
                if row["workload"] == workload["name"] and measure["key"] in row:
                    shape = tuple(str(row[key]) for key in workload["shape"])
                    name = (row["workload"], shape, driver(row), measure["key"])
                    numbers[name] = (row[measure["key"]], row[measure["ratio_key"]])
    with open(path("results.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    shapes = {workload["name"]: workload["shape"] for workload in results()["workloads"]}
    found = {}
    for row in rows:
        need(None not in row and None not in row.values(), "not one value a column: %r" % row)
        shape = tuple(row[key] for key in shapes[row["workload"]])
        found[row["workload"], shape, driver(row), row["measure"]] = (
            float(row["median"]), float(row["ratio_to_raw"]))
    need(len(rows) == len(found), "a line is there twice")
    need(found == numbers, "%r\n%r" % (found, numbers))


@check
def without_raw_there_is_no_ratio():
    os.makedirs(path("alone"), exist_ok=True)
    Run(NAME, *TIMERS, "--driver", "hark", "--report", path("alone"))
    with open(path("alone/results.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    need(len(rows) == 2, rows)
    for row in rows:
        need(None not in row and None not in row.values(), "not one value a column: %r" % row)
        need(float(row["median"]) > 0 and row["ratio_to_raw"] == row["noisy"] == "", row)
    with open(path("alone/results.json"), encoding="utf-8") as file:
        for row in json.load(file)["rows"]:
            need(row["ratio_to_raw"] is row["ratio_q1"] is row["noisy"] is None, row)
    draw(path("alone/results.json"), path("alone"))
    with open(path("alone/index.html"), encoding="utf-8") as file:
        need(Page(file.read()).tags["svg"] == 1, "no drawing")
    refuses(NAME, *TIMERS, "--baseline", path("alone/results.json"), says="nothing")


def planted(low, median, high):
    """A baseline of timers, in which each ratio but raw's to itself is this."""
    Run(NAME, *TIMERS, "--json", path("baseline.json"))
    with open(path("baseline.json"), encoding="utf-8") as file:
        baseline = json.load(file)
    for row in baseline["rows"]:
        if row["driver"] != "raw":
            row.update(ratio_q1=low, ratio_to_raw=median, ratio_q3=high)
    return baseline


@check
def baseline_finds_each_regression():
    baseline = planted(0.0001, 0.0001, 0.0001)
    run = Run(NAME, *TIMERS, "--baseline", write("baseline.json", baseline), status=1)
    for row in baseline["rows"]:
        said = [line for line in run.errors.splitlines() if row["row"] + ":" in line]
        need(len(said) == (row["driver"] == "hark"), "%r: %r" % (row["row"], run.errors))
    need("2 compared: 2 slower, 0 faster, 0 the same" in run.output, run.output)
    need("not in both" not in run.output, run.output)


@check
def baseline_is_quiet_within_the_spread():
    baseline = write("baseline.json", planted(0.0001, 1, 10000))
    run = Run(NAME, *TIMERS, "--baseline", baseline, "--json", path("again.json"))
    need("2 compared: 0 slower, 0 faster, 2 the same" in run.output, run.output)
    need(not run.errors, run.errors)
    need(os.path.exists(path("again.json")), "no results beside a baseline")


@check
def baseline_may_have_been_slower():
    baseline = write("baseline.json", planted(10000, 10000, 10000))
    run = Run(NAME, *TIMERS, "--baseline", baseline)
    need("2 compared: 0 slower, 2 faster, 0 the same" in run.output, run.output)


@check
def baseline_names_what_is_not_in_both():
    baseline = planted(0.0001, 1, 10000)
    gone = next(row for row in baseline["rows"] if row["driver"] == "hark")
    name = gone["row"]
    gone["row"] = "what was once"
    run = Run(NAME, *TIMERS, "--baseline", write("other.json", baseline))
    said = [line for line in run.output.splitlines() if line.startswith("not in both")]
    need(len(said) == 1 and name in said[0] and "what was once" in said[0], run.output)
    need("1 compared: 0 slower" in run.output, run.output)


@check
def baseline_must_be_a_result():
    rows = results()["rows"]
    for bad in ["", "{", "[1]", "{}", {"rows": []}, {"rows": [{}]},
                {"rows": [dict(rows[0], ratio_q1="a")]}, {"rows": [*rows, 3]}]:
        refuses(NAME, *LITTLE, "--baseline", write("bad.json", bad), says="--baseline")
    refuses(NAME, *LITTLE, "--baseline", path("missing"), says="No such file")
    only_raw = {"rows": [row for row in rows if is_plain_raw(row)]}
    refuses(NAME, *LITTLE, "--baseline", write("bad.json", only_raw), says="nothing")


@check
def bad_arguments_are_refused():
    for bad in [["--nonsense"], ["extra"], ["--baseline"], ["--workload", "ring,"],
                ["--workload", "no"], ["--rounds", "0"], ["--seed", "0"], ["--seed", "x"],
                ["--json", path("no/file")], ["--csv", path("no/file")], ["--csv", directory.name],
                ["--report", path("no/directory")], ["--report", "/dev/null"]]:
        refuses(NAME, *LITTLE, *bad)


@check
def help_names_each_option_and_workload():
    said = Run(NAME, "--help").output
    for option in "quick workload rounds seed json csv baseline report".split():
        need("--%s " % option in said, "no --%s" % option)
    for workload in re.findall(r"^  (\S+)", Run(NAME, "--list").output.partition("transports")[0],
                               re.MULTILINE):
        need(re.search(r"^  %s  +\S" % workload, said, re.MULTILINE), "no %s" % workload)


@check
def report_is_complete_and_stands_alone():
    results()
    draw(path("results.json"), directory.name)
    with open(path("index.html"), encoding="utf-8") as file:
        text = file.read()
    page = Page(text)
    need("width=device-width" in page.meta["viewport"], page.meta)
    for what in "prefers-color-scheme: dark", "@media print", "overflow-x: auto":
        need(what in text, "no %r" % what)
    need(len(page.ids) == len(set(page.ids)), "a name is there twice")
    need({"ring", "timers", "method", "again"} <= set(page.ids), page.ids)
    for link in page.links:
        need(link in ("data:,", "results.csv", "results.json") or link[1:] in page.ids, link)
    # A plot of the ring; of timers one number cannot be drawn over. For each a table, and another
    # of all numbers.
    need(page.tags["svg"] == 1 and page.tags["table"] == 4, page.tags)
    for row in results()["rows"]:
        key = next(key for key in row if key.startswith("ns_per_"))
        shown = "%.1f" if row[key] < 100 else "%.0f"
        need(text.replace(",", "").count(">%s<" % (shown % row[key])) >= 2, row)
    need("./dev bench --report DIRECTORY --driver raw,hark" in text, "not how to run it again")
    need("--seed 42</pre>" in text, "paths are not left out of how to run it again")
    need("nan" not in re.findall(r"[a-z]+", text), "a number is none")


@check
def each_line_of_a_plot_is_named():
    results()
    draw(path("results.json"), directory.name)
    with open(path("index.html"), encoding="utf-8") as file:
        svgs = re.findall(r"<svg.*?</svg>", file.read(), re.DOTALL)
    need(len(svgs) == 1, "%d drawings" % len(svgs))
    names = list(dict.fromkeys(
        driver(row) for row in results()["rows"] if row["workload"] == "ring"))
    need({"raw " + BACKEND, "hark " + BACKEND} <= set(names), names)
    need(titles(svgs[0]) == ["ring: unix, active 1", *names], titles(svgs[0]))
    for what in "descriptors", "ns per event", *names:
        need(">%s<" % what in svgs[0], "no %r" % what)
    need("var(--d0)" in svgs[0] and "var(--d1)" in svgs[0], "not the colours of the page")
    need("rgb(" not in svgs[0], "a colour that is not the page's")


@check
def what_follows_from_the_number_stands_below_it():
    follows = results()
    for row in follows["rows"]:
        row.update({"active": row["descriptors"] + 1} if "descriptors" in row else {})
    os.makedirs(path("follows"), exist_ok=True)
    draw(write("follows.json", follows), path("follows"))
    with open(path("follows/index.html"), encoding="utf-8") as file:
        text = file.read()
    need(Page(text).tags["svg"] == 1, "not one plot but one for each number that is active")
    for what in "descriptors (active)", "(101)", "(201)", "descriptors 200, active 201":
        need(">%s<" % what in text, "no %r" % what)


@check
def names_are_not_taken_for_markup():
    strange = results()
    for workload in strange["workloads"]:
        workload["about"] = "<u> & </p>"
    for row in strange["rows"]:
        row["driver"] = {"hark": "hark", "raw": 'a<u>"&'}[row["driver"]]
    os.makedirs(path("strange"), exist_ok=True)
    draw(write("strange.json", strange), path("strange"))
    with open(path("strange/index.html"), encoding="utf-8") as file:
        text = file.read()
    need(Page(text).tags["u"] == 0, "markup in a name is markup")
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        need('a<u>"& ' + BACKEND in titles(svg), titles(svg))


@check
def one_plot_alone_has_its_own_colours():
    results()
    draw(path("results.json"), "--plot", "ring", "active=1", path("ring.svg"))
    with open(path("ring.svg"), encoding="utf-8") as file:
        svg = file.read()
    need(titles(svg)[0] == "ring: unix, active 1", titles(svg))
    need("prefers-color-scheme: dark" in svg and "--d1: " in svg, "no colours")


@check
def report_refuses_in_one_line():
    results()
    for bad in [[path("missing"), directory.name], [write("bad.json", "{}"), directory.name],
                [path("results.json"), path("no/directory")],
                [path("results.json"), "--plot", "no", path("x.svg")],
                [path("results.json"), "--plot", "ring", "active=2", path("x.svg")],
                [path("results.json"), "--plot", "timers", path("x.svg")]]:
        said = draw(*bad, status=2)
        note(said.strip())
        need(said.startswith("report.py: ") and said.count("\n") == 1, said)
    need(draw("a", status=2).startswith("usage: "), "no usage")


if not shutil.which("gnuplot"):
    print("skipped: gnuplot, which draws, is not installed")
    sys.exit(77)
run_checks(NAME)
