#!/usr/bin/env python3
"""Rules of the marks (base/mark.h): python3 marks.py ROOT. Prints one line for each fault and exits 1 if there is any.

- a mark's name is in snake_case and stands at one place of the shipped code;
- marks stand in .c files only;
- each name in tests/coverage/marks_must.txt is that of a mark."""
import pathlib
import re
import sys

SHIPPED = ("base", "proto", "raft", "persistence", "server", "client", "cli")
ONE = re.compile(r"\bMARK\(([^)]*)\)|\bMARK_IF\((?:[^;]*),\s*([^,;()]*)\)\s*;")
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+$")


def marks(root):
    """Yield (name, file, line) of each mark in the shipped code."""
    for folder in SHIPPED:
        for file in sorted(pathlib.Path(root, folder).rglob("*.[ch]")):
            place = file.relative_to(root).as_posix()
            if place == "base/mark.h":
                continue
            text = file.read_text()
            for found in ONE.finditer(text):
                yield (found[1] or found[2]).strip(), place, text.count("\n", 0, found.start()) + 1


def must_names(root):
    file = pathlib.Path(root, "tests/coverage/marks_must.txt")
    lines = file.read_text().splitlines() if file.exists() else []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def faults(root):
    places = {}
    for name, file, line in marks(root):
        if not NAME.match(name):
            yield f"{file}:{line}: mark '{name}' is not in snake_case of two words or more"
        if file.endswith(".h"):
            yield f"{file}:{line}: mark '{name}' stands in a header"
        if name in places:
            yield f"{file}:{line}: mark '{name}' stands at {places[name]} already"
        places.setdefault(name, f"{file}:{line}")
    for name in must_names(root):
        if name not in places:
            yield f"tests/coverage/marks_must.txt: there is no mark '{name}'"


if __name__ == "__main__":
    found = list(faults(sys.argv[1]))
    print("\n".join(found) or "no fault found")
    sys.exit(1 if found else 0)
