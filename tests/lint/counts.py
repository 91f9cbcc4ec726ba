#!/usr/bin/env python3
"""What the documents count is what is there: python3 counts.py ROOT. Prints one line for each fault and exits 1 if there is any.

- each count of COUNTS stands in its document, and is that of the files;
- the tables of tests/mutation and tests/explorer have a row for each bug, for each that unit tests alone find, and for each bounds
  that are exhausted, and no other."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import marks  # noqa: E402


def files(root, pattern):
    return len([path for path in root.glob(pattern) if path.name != "CMakeLists.txt"])


def listed(root, path):
    """Lines that are no comment."""
    return len([line for line in (root / path).read_text().splitlines() if line.strip() and line[0] != "#"])


def mark_count(root, folder=""):
    return len([place for _, _, place, _ in marks.marks(marks.shipped(root)) if place.startswith(folder)])


def block(root, path, name):
    """How many elements the list NAME of a Python program has, each beginning `    ("`."""
    text = (root / path).read_text()
    return len(re.findall(r'^    \("', text[text.index(f"\n{name} = ["):].split("\n]", 1)[0], re.M))


def lines_like(root, path, pattern):
    """How many lines of a source match."""
    return len(re.findall(pattern, (root / path).read_text(), re.M))


def bounds(root):
    """The names of those that are exhausted."""
    names = re.findall(r'^    \{\.name = "([^"]+)"', (root / "tests/explorer/bounds.c").read_text(), re.M)
    return {name for name in names if not name.endswith("-deep")}


def excepted(root):
    """The bugs for which unit tests alone are enough, by their own files."""
    return {path.stem for path in (root / "tests/mutation/bugs").glob("*.txt")
            if re.search(r"^unit tests alone: ", path.read_text(), re.M)}


CORRECTNESS = "docs/CORRECTNESS.md"
COVERAGE = "tests/coverage/README.md"
MUTATION = "tests/mutation/README.md"
EXPLORER = "tests/explorer/README.md"

# Document, the words around the number, and where it comes from.
COUNTS = [
    (CORRECTNESS, r"(\d+) bugs that real implementations had", lambda root: files(root, "tests/mutation/bugs/*.txt")),
    (CORRECTNESS, r"(\d+) bounds are\s+exhausted", lambda root: len(bounds(root))),
    (CORRECTNESS, r"(\d+) small instances exhausted", lambda root: block(root, "tests/model/run.py", "SMALL")),
    (CORRECTNESS, r"(\d+) larger ones", lambda root: block(root, "tests/model/run.py", "LARGE")),
    (CORRECTNESS, r"(\d+) bugs planted in the model", lambda root: block(root, "tests/model/run.py", "BUGS")),
    (CORRECTNESS, r"(\d+) scripts with the trace", lambda root: files(root, "tests/scenario/*.txt")),
    (CORRECTNESS, r"(\d+) named situations", mark_count),
    (CORRECTNESS, r"ordinary tests must reach (\d+)", lambda root: listed(root, "tests/coverage/marks_must.txt")),
    (CORRECTNESS, r"simulation alone (\d+)", lambda root: listed(root, "tests/coverage/marks_must_simulation.txt")),
    (CORRECTNESS, r"(\d+) targets", lambda root: files(root, "tests/fuzz/fuzz_*.c")),
    (CORRECTNESS, r"attacks in (\d+) ways", lambda root: lines_like(root, "tests/hostile/attacks.c", r"^    \{.*, AS_(?:STRANGER|MEMBER)\}")),
    (CORRECTNESS, r"(\d+) kinds of faults", lambda root: lines_like(root, "tests/chaos/schedule.c", r"^    \[FAULT_\w+\] = ")),
    (CORRECTNESS, r"deaths at (\d+) named places", lambda root: lines_like(root, "tests/chaos/schedule.c", r'^    \{"\w+", \d+\},')),
    (COVERAGE, r"(\d+) scenarios", lambda root: files(root, "tests/scenario/*.txt")),
    (COVERAGE, r"(\d+) marks", mark_count),
    (COVERAGE, r"(\d+) of them in `raft/`", lambda root: mark_count(root, "raft/")),
    (COVERAGE, r"(\d+) must be passed by the tests", lambda root: listed(root, "tests/coverage/marks_must.txt")),
    (COVERAGE, r"(\d+) must be passed by the simulation alone", lambda root: listed(root, "tests/coverage/marks_must_simulation.txt")),
    (MUTATION, r"for (\d+) bugs", lambda root: listed(root, "tests/mutation/quick.txt")),
    ("tests/model/README.md", r"of (\d+) planted bugs", lambda root: block(root, "tests/model/run.py", "BUGS")),
]

# Document, the first cell of a row, and the names that must be there.
TABLES = [
    (MUTATION, r"^\| `([\w]+)`: ", lambda root: {path.stem for path in (root / "tests/mutation/bugs").glob("*.txt")}),
    (MUTATION, r"^- `(\w+)`: ", excepted),
    (EXPLORER, r"^\| ([a-z0-9-]+)(?: \(CTest\))? \| [\d,]+ \|", bounds),
]


def faults(root, counts=None, tables=None):
    for document, pattern, count in COUNTS if counts is None else counts:
        text = (root / document).read_text()
        found = re.findall(pattern, text)
        there = count(root)
        if not found:
            yield f"{document}: nothing is counted by '{pattern}'"
        for number in found:
            if int(number) != there:
                yield f"{document}: counts {number} by '{pattern}', there are {there}"
    for document, pattern, names in TABLES if tables is None else tables:
        rows = re.findall(pattern, (root / document).read_text(), re.M)
        there = names(root)
        for name in sorted(there - set(rows)):
            yield f"{document}: has no row for {name}"
        for name in sorted(set(rows) - there):
            yield f"{document}: has a row for {name}, which is not there"
        for name in sorted({name for name in rows if rows.count(name) > 1}):
            yield f"{document}: has {rows.count(name)} rows for {name}"


if __name__ == "__main__":
    fault_list = list(faults(pathlib.Path(sys.argv[1])))
    print("\n".join(fault_list) or "no fault found")
    sys.exit(1 if fault_list else 0)
