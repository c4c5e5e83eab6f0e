#!/usr/bin/env python3
"""each-once.py DATABASE DIRECTORY - a compile database for clang-tidy, with each of our files once.

Sources that others have installed are not ours. clang-tidy reads a file as often as it is compiled, and version 14 then takes every va_list after
the first time for uninitialized. Writes DIRECTORY/compile_commands.json and prints the files.
"""
import json
import os
import sys


def main():
    with open(sys.argv[1], encoding="utf-8") as database:
        entries = json.load(database)
    once = {}
    for entry in entries:
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]))
        if not path.startswith(".."):
            once.setdefault(path, entry)
    os.makedirs(sys.argv[2], exist_ok=True)
    with open(os.path.join(sys.argv[2], "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(list(once.values()), file, indent=1)
    print("\n".join(sorted(once)))


if len(sys.argv) != 3:
    sys.exit("usage: each-once.py DATABASE DIRECTORY")
main()
