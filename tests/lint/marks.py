#!/usr/bin/env python3
"""Rules of the marks (base/mark.h): python3 marks.py ROOT. Prints one line for each fault and exits 1 if there is any.

- a mark's name is in snake_case and stands at one place of the shipped code;
- marks stand in .c files only;
- the condition of a MARK_IF, which shipped programs do not evaluate, changes nothing: it assigns nothing, and what it calls takes pointers to const only;
- each name in the lists of tests/coverage is that of a mark, and what the simulation alone must pass all tests must."""
import pathlib
import re
import sys

SHIPPED = ("base", "proto", "raft", "persistence", "server", "client", "cli")
ONE = re.compile(r"\bMARK\(([^)]*)\)|\bMARK_IF\(([^;]*),\s*([^,;()]*)\)\s*;")
ASSIGNS = re.compile(r"(?<![=!<>])=(?!=)|\+\+|--")
FUNCTION = re.compile(r"^[a-z_][\w *\n]*?\b(\w+)\(([^;{}()]*(?:\([^()]*\)[^;{}()]*)*)\)\s*(?:\{|;|__attribute__)", re.MULTILINE)
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+$")


def shipped(root):
    """Yield (place, text) of each file of the shipped code."""
    for folder in SHIPPED:
        for file in sorted(pathlib.Path(root, folder).rglob("*.[ch]")):
            yield file.relative_to(root).as_posix(), file.read_text()


def marks(files):
    """Yield (name, condition, file, line) of each mark."""
    for place, text in files:
        if place != "base/mark.h":
            for found in ONE.finditer(text):
                line = text.count("\n", 0, found.start()) + 1
                yield (found[1] or found[3]).strip(), found[2] or "", place, line


def changers(files):
    """The functions that take a pointer to what they may change."""
    return {found[1] for _, text in files for found in FUNCTION.finditer(text)
            if any("*" in parameter and "const" not in parameter for parameter in found[2].split(","))}


def must_names(root, which="marks_must.txt"):
    file = pathlib.Path(root, "tests/coverage", which)
    lines = file.read_text().splitlines() if file.exists() else []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def faults(root):
    places = {}
    files = list(shipped(root))
    changing = changers(files)
    for name, condition, file, line in marks(files):
        if not NAME.match(name):
            yield f"{file}:{line}: mark '{name}' is not in snake_case of two words or more"
        if file.endswith(".h"):
            yield f"{file}:{line}: mark '{name}' stands in a header"
        if ASSIGNS.search(condition):
            yield f"{file}:{line}: the condition of mark '{name}' assigns something"
        for called in re.findall(r"\b(\w+)\(", condition):
            if called in changing:
                yield f"{file}:{line}: the condition of mark '{name}' calls {called}, which may change something"
        if name in places:
            yield f"{file}:{line}: mark '{name}' stands at {places[name]} already"
        places.setdefault(name, f"{file}:{line}")
    must = must_names(root)
    for name in must:
        if name not in places:
            yield f"tests/coverage/marks_must.txt: there is no mark '{name}'"
    for name in must_names(root, "marks_must_simulation.txt"):
        if name not in must:
            yield f"tests/coverage/marks_must_simulation.txt: '{name}' is not in marks_must.txt"


if __name__ == "__main__":
    found = list(faults(sys.argv[1]))
    print("\n".join(found) or "no fault found")
    sys.exit(1 if found else 0)
