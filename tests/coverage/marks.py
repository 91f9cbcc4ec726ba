#!/usr/bin/env python3
"""Which rare situations did the tests reach? Adds up what programs left with `--marks FILE` (base/mark.h).

    marks.py [--must LIST] [--at-least N] [--names] [--of PREFIX] FILE|FOLDER...

Prints the marks of the shipped code that were passed fewer than N times (default 1), with their places, and a summary.
Exits 1 if there is any; with --must LIST only if one of the names in the file LIST is among them. With --names it prints
the names of those that were reached instead, to make such a list from. Of a folder, --of takes the files whose names
begin with PREFIX alone."""
import argparse
import collections
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lint"))
sys.dont_write_bytecode = True
import marks as lint  # noqa: E402


def read(path, counts):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split()
        if len(words) != 2 or not words[1].isdigit():
            sys.exit(f"{path}:{number}: not a line NAME COUNT: {line}")
        counts[words[0]] += int(words[1])


def files(names, prefix):
    for name in map(pathlib.Path, names):
        if name.is_dir():
            yield from sorted(name.glob(f"{prefix}*"))
        elif name.exists():
            yield name
        else:
            sys.exit(f"{name} does not exist: the run that writes it did not end well, or was built without CONFER_MARKS")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--must", type=pathlib.Path)
    parser.add_argument("--at-least", type=int, default=1, metavar="N")
    parser.add_argument("--names", action="store_true")
    parser.add_argument("--of", default="", metavar="PREFIX")
    parser.add_argument("--root", type=pathlib.Path, default=ROOT, help=argparse.SUPPRESS)
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()

    counts = collections.Counter()
    for path in files(arguments.files, arguments.of):
        read(path, counts)
    places = {name: f"{file}:{line}" for name, _, file, line in lint.marks(lint.shipped(arguments.root))}
    if not places:
        sys.exit(f"no mark in the sources below {arguments.root}")
    short = sorted(name for name in places if counts[name] < arguments.at_least)
    if arguments.names:
        print("\n".join(sorted(set(places) - set(short))))
        return 0
    wanted = set(places)
    if arguments.must:
        wanted = {line.strip() for line in arguments.must.read_text().splitlines() if line.strip() and line[0] != "#"}
        for name in sorted(wanted - set(places)):
            print(f"{arguments.must}: there is no mark {name}")
            counts[name] = 0
            short.append(name)
    for name in short:
        if name in places:
            kind = "missed" if name in wanted else "not reached, as may be"
            print(f"{kind}: {name} ({counts[name]} times) {places[name]}")
    missed = [name for name in short if name in wanted]
    print(f"{len(places)} marks, {len(places) - len([n for n in short if n in places])} of them passed"
          f" {arguments.at_least} times or more" + (f"; {len(wanted)} must be, {len(missed)} were not" if arguments.must else ""))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
