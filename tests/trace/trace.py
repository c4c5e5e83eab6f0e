"""What a trace says is what happened: python3 trace.py TRACED BACKEND

TRACED is the program of that name; it prints what it does, and this compares. Exit status 0, or 1
when they differ.
"""

import errno
import json
import os
import re
import subprocess
import sys
import tempfile

KEYS = {
    "begin": ["date"],
    "end": [],
    "lost": ["lines"],
    "change": ["fd", "name", "from", "to", "error"],
    "wait": ["seconds"],
    "woke": ["ready", "seconds", "full", "dead", "error"],
    "ready": ["fd", "name", "events", "stale"],
    "refuse": ["fd", "name", "stale", "error"],
}
ACCEPTING = ["fd", "name", "length", "flags", "result", "error", "peer"]
SENDING = ["fd", "name", "length", "flags", "peer", "result", "error"]
for verb in "recv recvfrom recvmsg read accept send write".split():
    KEYS[verb] = ACCEPTING
for verb in "sendto sendmsg".split():
    KEYS[verb] = SENDING
VERBS = {what for what, keys in KEYS.items() if "result" in keys}
TEXT = re.compile(rb"\d+\.\d{6} \d+\.\d+ [a-z]+( .*[^ ])?")


def need(condition, what):
    if not condition:
        raise SystemExit("FAILED: %s" % (what,))


def run(program, backend, form, directory, settings):
    """Runs it; returns what it printed and the trace."""
    path = os.path.join(directory, form)
    sockets = os.path.join(directory, form + ".sockets")
    os.mkdir(sockets)
    env = dict(os.environ, HARK_TRACE_FORMAT=form)
    env["HARK_TRACE"] = "/nonexistent/because/the/chain/names/one" if settings else path
    chain = "trace%s:%s" % ("=" + path if settings else "", backend)
    done = subprocess.run([program, chain, sockets], env=env, capture_output=True, check=False)
    need(done.returncode == 0, done)
    need(not done.stderr, done.stderr)
    with open(path, "rb") as file:
        return [line.split(" ") for line in done.stdout.decode().splitlines()], file.read()


def characters(data):
    """The characters of a name in UTF-8, and each byte that belongs to none as bytes; after 100
    bytes it is cut."""
    at = 0
    while at < len(data):
        if at >= 100:
            yield "..."
            return
        for length in range(1, 5):
            try:
                yield data[at:at + length].decode()
                break
            except UnicodeDecodeError:
                pass
        else:
            yield data[at:at + 1]
            length = 1
        at += length


def in_json(data):
    return "".join(c if isinstance(c, str) else chr(c[0]) for c in characters(data))


def in_text(data):
    text = ""
    for c in characters(data):
        if isinstance(c, bytes) or ord(c[0]) < 0x20 or c == "\x7f":
            text += "\\x%02x" % ord(c)
        else:
            text += c.replace("\\", "\\\\")
    return text


def check_shape(lines):
    time = 0
    for line in lines:
        keys = list(line)
        need(keys[:4] == ["time", "pid", "reactor", "what"], line)
        need(keys[4:] == KEYS[line["what"]], (line, KEYS[line["what"]]))
        need(line["time"] >= time, "time goes back: %r" % line)
        time = line["time"]
        need(line["reactor"] == 1, line)
    need([lines[0]["what"], lines[-1]["what"]] == ["begin", "end"], "begin and end")
    need(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", lines[0]["date"]), lines[0])


def check_changes(lines):
    """Each change of a descriptor begins where the last one ended; reports are of what is armed,
    and as many as the wait says."""
    armed = {}
    reports = 0
    for line in lines:
        if line["what"] == "change":
            fd = line["fd"]
            need(line["from"] == armed.get(fd, []), line)
            if line["error"] is None:
                armed[fd] = line["to"]
        elif line["what"] == "wait":
            reports = 0
        elif line["what"] == "ready":
            reports += 1
            need(armed[line["fd"]], line)
        elif line["what"] == "woke":
            need(line["ready"] == reports, line)
    need(any(armed.values()), "the waker at least is armed at the end")


def check_names(told, lines):
    for word, fd, name in told:
        change = next((line for line in lines
                       if line["what"] == "change" and line["fd"] == int(fd) and line["to"]))
        lines = lines[lines.index(change) + 1:]
        need(change["name"] == in_json(bytes.fromhex(name)), (change, name))


def check_verbs(told, lines):
    traced = [line for line in lines if line["what"] in VERBS]
    need(len(traced) == len(told), "%d verbs, %d lines" % (len(told), len(traced)))
    flags = 0
    for (word, verb, fd, length, result, peer), line in zip(told, traced):
        result = int(result)
        expected = {
            "what": verb, "fd": int(fd), "name": "verbs",
            "length": None if length == "-" else int(length),
            "result": result if result >= 0 else None,
            "error": None if result >= 0 else errno.errorcode[-result],
            "peer": None if peer == "-" else peer,
        }
        need({key: line[key] for key in expected} == expected, (line, expected))
        flags += line["flags"] == ["peek"]
        need(line["flags"] in ([], ["peek"]), line)
    need(flags == 1, "one verb peeks")


def check_refusal(told, lines, backend):
    found = [line for line in lines if line.get("fd") == int(told[1]) and line["name"] == "file"]
    need(found, "the file")
    refused = [line for line in found if line.get("error") is not None]
    if backend in ("io_uring", "select", "poll"):
        need(not refused, refused)
    else:
        need([line["error"] for line in refused] == ["EPERM"], found)


def check_text(told, data):
    need(b"secret" not in data and b"private" not in data, "the data itself")
    need(data.endswith(b"\n"), "the last line")
    for line in data.splitlines():
        need(TEXT.fullmatch(line), line)
    lines = data.decode().splitlines()
    for word, *rest in told:
        if word == "name":
            fd, name = rest
            name = bytes.fromhex(name)
            begin = "change   fd %s %s: --- -> r--" % (fd, in_text(name))
            need(any(begin in line for line in lines), (begin, "is missing"))
        elif word == "verb":
            verb, fd, length, result, peer = rest
            line = "%-8s fd %s verbs" % (verb, fd)
            line += "" if length == "-" else ": " + length
            line += " peek" if verb == "recvfrom" and length == "50" else ""
            line += " to " + peer if peer != "-" and verb in ("sendto", "sendmsg") else ""
            if int(result) < 0:
                number = -int(result)
                line += " = %s (%s)" % (errno.errorcode[number], os.strerror(number))
            else:
                line += " = " + result
            line += " from " + peer if peer != "-" and verb not in ("sendto", "sendmsg") else ""
            need(any(one.endswith(" " + line) for one in lines), (line, "is missing"))


def main():
    program, backend = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        told, data = run(program, backend, "json", directory, True)
        lines = [json.loads(line) for line in data.decode().splitlines()]
        check_shape(lines)
        check_changes(lines)
        check_names([line for line in told if line[0] == "name"], lines)
        check_verbs([line for line in told if line[0] == "verb"], lines)
        check_refusal(next(line for line in told if line[0] == "refuse"), lines, backend)
        need(b"secret" not in data and b"private" not in data, "the data itself")
        told, data = run(program, backend, "text", directory, False)
        check_text(told, data)
    print("%d lines of JSON, %d of text" % (len(lines), data.count(b"\n")))


main()
