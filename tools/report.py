#!/usr/bin/env python3
"""report.py - draws the results of hark-bench, which its --report or --json wrote.

usage: report.py RESULTS.json DIRECTORY
       report.py RESULTS.json --plot WORKLOAD [KEY=VALUE...] FILE.svg

The first writes DIRECTORY/index.html, which needs nothing else: plots, tables, how it was measured.
The second writes one of its plots alone, with a background of its own, for use in a document: the
one where the results have that VALUE for each KEY, as transport=tcp active=1.

It knows nothing of the workloads: the JSON says what was varied and measured in each. A plot has one
line for each driver and backend, over the first number that was varied; whatever else was varied
makes another plot. Where that would leave only single points, since another number was varied along
with the first, that number stands below the first instead. gnuplot draws them. Colours stand for drivers, and so do the shapes of points;
dashes stand for backends. The colours were chosen to be apart, in lightness too, for readers with
any of the three colour blindnesses, and at 3:1 at least from the background.
"""
import html
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile

# Of drivers, in the order of their colours; others get the last.
DRIVERS = ["raw", "hark", "libevent", "libev", "libuv", "ivykis"]
LIGHT = ["#222222", "#ff5017", "#003474", "#319d73", "#d86dc6", "#6a3101", "#5061e8"]
DARK = ["#e6e6e6", "#cb2209", "#369fdc", "#01e67c", "#b84a69", "#ffd900", "#3e55fb"]
# What hark-bench says of each run, beside the workloads and their rows.
FACTS = ["arguments", "cpu", "cpus", "date", "hark", "kernel", "load", "machine", "notes", "open_files",
         "open_files_most", "peers", "pinned_to", "quick", "rounds", "seed", "vulnerabilities"]
# gnuplot's numbers for a cross, and for a filled circle, square, triangle ...; one less is hollow, or
# a plus, and stands for a variant of the driver, as does an asterisk for another.
POINTS = [2, 7, 5, 9, 13, 11, 15]
ASTERISK = 3
DASHES = {"poll": '"-"', "select": '"."', "io_uring": '"-."'}  # the rest: a full line

# gnuplot is told colours that stand for what the page decides: these, and (1, 3, a driver's number).
TEXT = "#010203"
GRID = "#010204"


def fail(status, message):
    print(f"report.py: {message}", file=sys.stderr)
    sys.exit(status)


# ---- The results -----------------------------------------------------------------------------


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            results = json.load(file)
        for key in FACTS:
            results[key]
        for workload in results["workloads"]:
            workload["rows"] = [r for r in results["rows"] if r["workload"] == workload["name"]]
            workload["over"] = next((k for k in workload["shape"] if is_number(workload, k)), None)
    except OSError as error:
        fail(2, f"cannot read {path!r}: {error.strerror}")
    except (ValueError, KeyError, TypeError):
        fail(2, f"{path!r} does not hold the results of hark-bench --json")
    return results


def is_number(workload, key):
    return any(isinstance(row.get(key), int) for row in workload["rows"])


def words(key):
    """ns_per_event: ns per event; p50_ns: p50, ns"""
    return re.sub(r"_(ns)$", r", \1", key).replace("_", " ")


def named(key, value):
    """tcp; active 100; spin 1,000 ns"""
    if isinstance(value, str):
        return value
    return f"{words(key.removesuffix('_ns'))} {value:,}" + (" ns" if key.endswith("_ns") else "")


def driver(row):
    return " ".join(filter(None, [row["driver"], row.get("variant"), row["backend"]]))


def measure(row, workload):
    """The first number of that row: its key."""
    return next(m["key"] for m in workload["measures"] if m["key"] in row)


def split(rows, keys):
    """The rows by their values of those keys."""
    found = {}
    for row in rows:
        found.setdefault(tuple((key, row.get(key)) for key in keys), []).append(row)
    return found


def follows(key, over, rows):
    """Is it another number where `over` is another, and known from that?"""
    pairs = {(row[over], row.get(key)) for row in rows}
    return len(pairs) == len(sizes(rows, over)) and len({value for _, value in pairs}) > 1


def groups(workload):
    """The rows that one plot shows, by all that was varied but what it is drawn over; and, if there
    would be no curve, but what follows from that."""
    over = workload["over"]
    others = [key for key in workload["shape"] if key != over]
    found = {}
    for rows in split(workload["rows"], [k for k in others if not is_number(workload, k)]).values():
        apart = split(rows, others)
        if over and not any(has_curve(group, over) for group in apart.values()):
            apart = split(rows, [key for key in others
                                 if not is_number(workload, key) or not follows(key, over, rows)])
        found.update(apart)
    return found


def following(workload, rows):
    """The keys whose values follow from what the plot is drawn over."""
    over = workload["over"]
    return [k for k in workload["shape"] if over not in (None, k) and follows(k, over, rows)]


def title(shape):
    return ", ".join(named(key, value) for key, value in shape if value is not None)


def lines(rows):
    """The rows of each driver on each backend."""
    found = {}
    for row in rows:
        found.setdefault(driver(row), []).append(row)
    return found


def sizes(rows, over):
    return sorted({row[over] for row in rows}) if over else [None]


def has_curve(rows, over):
    return over is not None and len(sizes(rows, over)) > 1


# ---- Plots -----------------------------------------------------------------------------------


def slot(name):
    return DRIVERS.index(name) if name in DRIVERS else len(DRIVERS)


def quoted(text):
    """For gnuplot."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text).replace("\n", "\\n") + '"'


def tics(values):
    """1, 2 and 5 of each power of ten, or the powers alone if those are many."""
    first = math.floor(math.log10(min(values)))
    last = math.ceil(math.log10(max(values)))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    return {value: f"{value:,.10g}" for value in values}


def tic_list(labels):
    """Of texts by the values where they stand."""
    return ", ".join(f"{quoted(text)} {value:.10g}" for value, text in labels.items())


def size_tics(workload, rows):
    """10,000, and below it in brackets what follows from that."""
    keys = following(workload, rows)
    labels = {}
    for row in rows:
        below = ", ".join(f"{row[key]:,}" for key in keys)
        labels[row[workload["over"]]] = f"{row[workload['over']]:,}" + (
            f"\n({below})" if keys else "")
    return labels


def point_of(row, rows):
    point = POINTS[slot(row["driver"])]
    variants = [r.get("variant") for r in rows if r["driver"] == row["driver"]]
    variants = [None, *dict.fromkeys(filter(None, variants))]
    return [point, point - 1, ASTERISK][min(2, variants.index(row.get("variant")))]


def script(workload, rows, width, height):
    """What gnuplot is to do."""
    over = workload["over"]
    key = measure(rows[0], workload)
    drawn = {name: line for name, line in lines(rows).items() if any(r[key] > 0 for r in line)}
    values = [row[key] for row in rows if row[key] > 0]
    below = ", ".join(map(words, following(workload, rows)))
    over_title = f"\n{words(over)} ({below})" if below else words(over)
    longest = max(map(len, drawn))
    columns = max(1, int(width / (longest * 6.5 + 45)))
    height += 17 * math.ceil(len(drawn) / columns) + (28 if below else 12)
    commands = [
        f'set terminal svg size {width},{height} dynamic font "sans-serif,13" dashlength 0.6',
        "set logscale xy",
        f'set border 3 lc rgb "{TEXT}"',
        f'set grid lc rgb "{GRID}" lt 1 lw 1',
        f'set tics nomirror scale 0.5 textcolor rgb "{TEXT}"',
        f'set xlabel {quoted(over_title)} offset 0,0.9 textcolor rgb "{TEXT}"',
        f'set ylabel {quoted(words(key))} textcolor rgb "{TEXT}"',
        f"set xtics ({tic_list(size_tics(workload, rows))})",
        f"set ytics ({tic_list(tics(values))})",
        f"set yrange [{min(values) / 1.2}:{max(values) * 1.2}]",
        f"set xrange [{sizes(rows, over)[0] / 1.1}:{sizes(rows, over)[-1] * 1.1}]",
        f'set key outside bottom center horizontal Left reverse samplen 2.5 width -5 maxcols {columns} '
        f'font ",12" textcolor rgb "{TEXT}"',
        "unset mxtics",
        "unset mytics",
    ]
    curves = []
    for number, (name, line) in enumerate(drawn.items()):
        data = "\n".join(f"{row[over]} {row[key]}" for row in sorted(line, key=lambda r: r[over]))
        commands.append(f"$line{number} << END\n{data}\nEND")
        colour = slot(line[0]["driver"])
        point = point_of(line[0], rows)
        curves.append(
            f'$line{number} with linespoints lc rgb "#0103{colour:02x}" lw 1.6 pt {point} ps 0.7 '
            f'dt {DASHES.get(line[0]["backend"], 1)} title {quoted(name)} noenhanced'
        )
    return commands + ["plot " + ", \\\n".join(curves)]


def run_gnuplot(scripts):
    """The SVG that each script draws."""
    if not shutil.which("gnuplot"):
        fail(1, "gnuplot is not installed")
    with tempfile.TemporaryDirectory() as directory:
        paths = [os.path.join(directory, f"{i}.svg") for i in range(len(scripts))]
        commands = []
        for path, lines_of_script in zip(paths, scripts):
            first, *rest = lines_of_script
            commands += ["reset", first, f"set output {quoted(path)}", *rest]
        commands.append("unset output")
        run = subprocess.run(["gnuplot"], input="\n".join(commands) + "\n", text=True,
                             capture_output=True, check=False)
        if run.returncode != 0:
            fail(1, f"gnuplot failed: {run.stderr.strip()}")
        drawings = []
        for path in paths:
            with open(path, encoding="utf-8") as file:
                drawings.append(file.read())
    return drawings


def adapt(drawing, label, number):
    """gnuplot's SVG with the page's colours, and names that no other drawing in the page has."""
    drawing = drawing[drawing.index("<svg"):]
    drawing = re.sub(r"<title>Gnuplot</title>\s*<desc>.*?</desc>",
                     f"<title>{html.escape(label)}</title>", drawing, flags=re.DOTALL)
    drawing = re.sub(r"<filter.*</filter>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r"<g ([^<>]*?) color=\"\w+\"", r"<g \1", drawing)
    drawing = re.sub(r"<g [^<>]*>\s*</g>\n", "", drawing)
    drawing = re.sub(r"rgb\( *1, *3, *(\d+)\)", r"var(--d\1)", drawing)
    drawing = re.sub(r"rgb\( *1, *2, *3\)", "currentColor", drawing)
    drawing = re.sub(r"rgb\( *1, *2, *4\)", "var(--grid)", drawing)
    drawing = re.sub(r"(\bid=['\"]|xlink:href='#)", rf"\g<1>p{number}-", drawing)
    return drawing.replace("<svg", '<svg role="img"', 1).strip() + "\n"


def variables(palette, text, grid, back):
    colours = [f"--d{i}: {colour};" for i, colour in enumerate(palette)]
    return " ".join(colours + [f"--text: {text};", f"--grid: {grid};", f"--back: {back};"])


FOR_LIGHT = variables(LIGHT, "#222222", "#d8d8d8", "#ffffff")
FOR_DARK = variables(DARK, "#d6d9dd", "#3a3f46", "#15181d")


def alone(drawing):
    """With the colours that a page would give it, and a background."""
    width, height = re.search(r'viewBox="0 0 (\d+) (\d+)"', drawing).groups()
    style = (
        f"<style>svg {{ {FOR_LIGHT} color: var(--text); }} "
        f"@media (prefers-color-scheme: dark) {{ svg {{ {FOR_DARK} }} }}</style>"
        f'<rect width="{width}" height="{height}" rx="8" fill="var(--back)"/>'
    )
    drawing = drawing.replace("<svg", f'<svg width="{width}" height="{height}"', 1)
    return re.sub(r"(</title>)", rf"\1\n{style}", drawing, count=1)


def one_plot(results, name, wanted, path):
    workload = next((w for w in results["workloads"] if w["name"] == name), None)
    if workload is None:
        fail(2, f"the results have no workload {name!r}")
    curves = {shape: rows for shape, rows in groups(workload).items()
              if has_curve(rows, workload["over"])}
    chosen = {shape: rows for shape, rows in curves.items()
              if all((key, value) in [(k, str(v)) for k, v in shape] for key, value in wanted)}
    if len(chosen) != 1:
        there_are = "; ".join(" ".join(f"{k}={v}" for k, v in shape) for shape in curves)
        fail(2, f"choose one plot of {name}: {there_are or 'there is none over several numbers'}")
    (shape, rows), = chosen.items()
    label = f"{name}: {title(shape)}".removesuffix(": ")
    commands = script(workload, rows, 720, 420)
    commands.insert(1, f'set title {quoted(label)} textcolor rgb "{TEXT}" noenhanced')
    write(path, alone(adapt(run_gnuplot([commands])[0], label, 0)))


# ---- The page --------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light dark; LIGHT --faint: #666666; --line: #cccccc; --shade: #f3f4f6; }
@media (prefers-color-scheme: dark) {
  :root { DARK --faint: #9aa1a9; --line: #3a3f46; --shade: #1f242b; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 1rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0.5rem 0; font-size: 1.8rem; line-height: 1.2; }
h2 { margin: 2.5rem 0 0.3rem; padding-top: 0.6rem; border-top: 1px solid var(--line); }
h3 { margin: 1.5rem 0 0.3rem; font-size: 1rem; }
p, dl, ul { max-width: 46rem; }
a { color: inherit; }
nav a { display: inline-block; padding: 0.3rem 0.8rem 0.3rem 0; }
.faint, small { color: var(--faint); font-size: 0.8125rem; font-weight: normal; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  gap: 1rem 2rem; align-items: start; }
figure { margin: 0; max-width: 37rem; }
figcaption { font-weight: 600; }
svg { display: block; width: 100%; height: auto; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.15rem 0.6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
th:first-child { position: sticky; left: 0; text-align: left; background: var(--back); }
@media (max-width: 40rem) { tbody th:first-child { white-space: normal; min-width: 7.5rem; } }
tr.hark td, tr.hark th { background: var(--shade); }
td.value { padding-left: 1.2rem; }
th i { display: inline-block; width: 0.7em; height: 0.7em; margin-right: 0.5em; border-radius: 2px; }
dt { font-weight: 600; }
dd { margin: 0 0 0.5rem; overflow-wrap: anywhere; }
code { white-space: nowrap; }
pre { overflow-x: auto; padding: 0.7rem; background: var(--shade); border-radius: 4px; }
summary { margin-top: 0.8rem; cursor: pointer; }
@media print {
  :root { LIGHT --faint: #555555; --line: #bbbbbb; --shade: #f0f0f0; color-scheme: light; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, details { display: none; }
  figure, tr, dl > div, pre { break-inside: avoid; }
  h2, h3, thead { break-after: avoid; }
  .plots { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .scroll { overflow: visible; }
  table { font-size: 7.5pt; }
  th, td { padding: 0.1rem 0.3rem; }
}
""".replace("LIGHT", FOR_LIGHT).replace("DARK", FOR_DARK)

READING = """<p>Each line is one way of waiting, a library or loops by hand over a system call (<b>raw</b>),
that did the same work. The plots show what the work cost, over how much of it there was to watch;
both axes are logarithmic and less is better. A <b>ratio</b> is to raw over the same system call: it
says what the library adds, not which system call to choose. Behind it stand the quartiles of the
rounds. Where these lie on both sides of 1 and far apart, the ratio is <b>noisy</b>, and says nothing.
All numbers are also in <a href="results.csv">results.csv</a> and
<a href="results.json">results.json</a>, if they lie beside this page.</p>"""

METHOD = """<p>In each of {rounds} rounds every line had its turn, in random order (seed {seed}),
{pinned}. A turn made a new loop, set it up, warmed it up, and did a fixed number of steps, in pieces of
which the median counts. A ratio is taken within a round, so that what changes on the machine from one
second to the next is in both of its parts; what is shown are medians over the rounds. System calls are
counted by the kernel, in a traced process beside. <code>man hark-bench</code> says more, and what the
numbers do not say.</p>"""


def number(value):
    if value is None:
        return "–"
    return f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"


def ratio(value):
    if value is None:
        return "–"
    return f"{value:.3f}" if value < 10 else number(value)


def cells_of(row, workload):
    """The value and the ratio of a row, for a table."""
    if row is None:
        return '<td class="value"></td><td></td>'
    key = measure(row, workload)
    ratio_key = next(m["ratio_key"] for m in workload["measures"] if m["key"] == key)
    text = ratio(row[ratio_key])
    if row[ratio_key] is not None and row["ratio_min"] != row["ratio_max"]:
        text += f' <small>{ratio(row["ratio_q1"])}–{ratio(row["ratio_q3"])}</small>'
    if row["noisy"]:
        text += " <small><b>noisy</b></small>"
    return f'<td class="value">{number(row[key])}</td><td>{text}</td>'


def row_head(line):
    marked = ' class="hark"' if line[0]["driver"] == "hark" else ""
    colour = f"var(--d{slot(line[0]['driver'])})"
    return (f'<tr{marked}><th scope="row"><i style="background: {colour}"></i>'
            f"{html.escape(driver(line[0]))}</th>")


def table(workload, rows):
    over = workload["over"]
    unit = html.escape(words(measure(rows[0], workload)))
    columns = sizes(rows, over)
    by_size = {row[over] if over else None: row for row in rows}
    keys = [key for key in [over, *following(workload, rows)] if key]
    heads = "".join(
        '<th scope="col" colspan="2">'
        f'{", ".join(named(key, by_size[size][key]) for key in keys)}</th>'
        for size in columns
    )
    parts = [
        f'<div class="scroll" tabindex="0"><table><thead><tr><th></th>{heads}</tr><tr><th></th>',
        f'<th scope="col">{unit}</th><th scope="col">ratio</th>' * len(columns),
        "</tr></thead><tbody>\n",
    ]
    for line in lines(rows).values():
        by_size = {row[over] if over else None: row for row in line}
        parts.append(row_head(line))
        parts += [cells_of(by_size.get(size), workload) for size in columns]
        parts.append("</tr>\n")
    return "".join(parts) + "</tbody></table></div>\n"


def full_table(workload):
    """Every number of the workload, but for the spread of the first."""
    rows = workload["rows"]
    shape = [key for key in workload["shape"] if any(key in row for row in rows)]
    measures = [(m["key"], m["ratio_key"]) for m in workload["measures"]]
    more = [key for key in ("syscalls_per_event", "bytes_per_descriptor")
            if any(row.get(key) is not None for row in rows)]
    heads = [words(key) for key in shape]
    heads += [head for key, _ in measures for head in (words(key), "ratio")]
    heads += [words(key) for key in more]
    parts = ['<details><summary>All numbers</summary><div class="scroll" tabindex="0"><table><thead>',
             '<tr><th></th>', *(f'<th scope="col">{html.escape(head)}</th>' for head in heads),
             "</tr></thead><tbody>\n"]
    for row in rows:
        parts.append(row_head([row]))
        for key in shape:
            value = row.get(key, "")
            parts.append(f"<td>{html.escape(value) if isinstance(value, str) else f'{value:,}'}</td>")
        for key, ratio_key in measures:
            known = key in row
            parts.append(f"<td>{number(row[key]) if known else ''}</td>"
                         f"<td>{ratio(row[ratio_key]) if known else ''}</td>")
        parts += [f"<td>{number(row.get(key))}</td>" for key in more]
        parts.append("</tr>\n")
    return "".join(parts) + "</tbody></table></div></details>\n"


def section(workload, drawings):
    name = html.escape(workload["name"])
    about = " ".join(workload["about"].split())
    parts = [f'<section id="{name}"><h2>{name}</h2>\n',
             f"<p>{html.escape(about[:1].upper() + about[1:])}.</p>\n"]
    parts.append('<div class="plots">\n')
    for shape in groups(workload):
        if (workload["name"], shape) in drawings:
            caption = html.escape(title(shape))
            parts.append(f"<figure>{f'<figcaption>{caption}</figcaption>' if caption else ''}\n"
                         f"{drawings[workload['name'], shape]}</figure>\n")
    parts.append("</div>\n")
    for shape, rows in groups(workload).items():
        heading = html.escape(title(shape))
        parts.append((f"<h3>{heading}</h3>\n" if heading else "") + table(workload, rows))
    return "".join(parts) + full_table(workload) + "</section>\n"


def limit(value):
    return "unlimited" if value is None else f"{value:,}"


def facts(results):
    flaws = results["vulnerabilities"]
    concerned = [f"{name}: {state}" for name, state in flaws.items() if state != "Not affected"]
    versions = [f"{name} {version}" for name, version in results["peers"].items()]
    load = results["load"]
    return {
        "Date": results["date"],
        "Processor": f"{results['cpu'] or 'unknown'}, {results['cpus']} of them",
        "Kernel": f"{results['kernel']}, {results['machine']}",
        "Mitigations": "; ".join(concerned) or ("none is needed" if flaws else "not told"),
        "Versions": ", ".join([f"hark {results['hark']}"] + versions),
        "Open files": f"{limit(results['open_files'])} of {limit(results['open_files_most'])}",
        "Load before": "unknown" if load is None else f"{load:.2f}",
        "Rounds": f"{results['rounds']}" + (", short ones (--quick)" if results["quick"] else ""),
    }


def again(results):
    """The command that measures the same once more."""
    kept = []
    arguments = iter(results["arguments"])
    for argument in arguments:
        if argument in ("--json", "--csv", "--report", "--baseline"):
            next(arguments, None)
        elif not re.match("--(json|csv|report|baseline)=", argument):
            kept.append(argument)
    return " ".join(["./dev bench --report DIRECTORY"] + kept)


def page(results, drawings):
    pinned = results["pinned_to"]
    method = METHOD.format(
        rounds=results["rounds"], seed=results["seed"],
        pinned=f"on processor {pinned} alone" if pinned is not None else "on any processor")
    names = [html.escape(workload["name"]) for workload in results["workloads"]]
    links = [f'<a href="#{name}">{name}</a>' for name in names]
    links += ['<a href="#method">how it was measured</a>', '<a href="#again">again</a>']
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in results["notes"])
    return "".join([
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">\n',
        f"<title>hark-bench, {html.escape(results['date'])}</title>\n<style>{STYLE}</style>\n",
        "</head><body>\n<h1>hark-bench</h1>\n",
        f'<p class="faint">hark {html.escape(results["hark"])} on {html.escape(results["kernel"])}, ',
        f'{html.escape(results["cpu"] or "unknown processor")}, {html.escape(results["date"])}</p>\n',
        f"<nav>{' '.join(links)}</nav>\n{READING}\n",
        *(section(workload, drawings) for workload in results["workloads"]),
        f'<section id="method"><h2>How it was measured</h2>\n{method}\n<dl>\n',
        *(f"<div><dt>{name}</dt><dd>{html.escape(value)}</dd></div>\n"
          for name, value in facts(results).items()),
        "</dl>\n",
        f"<p>What could not be run, and why:</p><ul>{notes}</ul>\n" if notes else "",
        '</section>\n<section id="again"><h2>To run it again</h2>\n',
        f"<pre>{html.escape(again(results))}</pre>\n",
        "<p>in a clone of hark. It installs what it needs, and writes this page into DIRECTORY. With ",
        "<code>--baseline results.json</code> it also compares with this run.</p></section>\n",
        "</body></html>\n",
    ])


def write(path, text):
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        fail(2, f"cannot write {path!r}: {error.strerror}")


def whole_page(results, directory):
    curves = [(workload, shape, rows) for workload in results["workloads"]
              for shape, rows in groups(workload).items() if has_curve(rows, workload["over"])]
    drawings = run_gnuplot([script(workload, rows, 480, 300) for workload, _, rows in curves])
    adapted = {
        (workload["name"], shape): adapt(drawing, f"{workload['name']}: {title(shape)}", i)
        for i, ((workload, shape, _), drawing) in enumerate(zip(curves, drawings))
    }
    write(os.path.join(directory, "index.html"), page(results, adapted))


def main(arguments):
    if len(arguments) == 2 and not arguments[1].startswith("-"):
        whole_page(load(arguments[0]), arguments[1])
    elif len(arguments) >= 4 and arguments[1] == "--plot" and all("=" in a for a in arguments[3:-1]):
        one_plot(load(arguments[0]), arguments[2], [a.split("=", 1) for a in arguments[3:-1]],
                 arguments[-1])
    else:
        print("usage: report.py RESULTS.json DIRECTORY\n"
              "       report.py RESULTS.json --plot WORKLOAD [KEY=VALUE...] FILE.svg",
              file=sys.stderr)
        sys.exit(2)


main(sys.argv[1:])
