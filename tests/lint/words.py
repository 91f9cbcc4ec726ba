#!/usr/bin/env python3
"""House rules that a few words can tell: python3 words.py ROOT. Prints one line for each fault and exits 1 if there is any.

- nothing unfinished is marked in a comment, and no path of anybody's machine stands in the tree;
- each folder that holds code has a README.md (tests/README.md speaks for the folders below it);
- each header starts with a comment that says what it is."""
import os
import pathlib
import re
import sys

# Taken apart, so that this file passes.
MARKS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
PLACES = re.compile(r"/(?:wo" r"rk/(?:main|shared|\.library)|ro" r"ot/|ho" r"me/[a-z])")
SKIPPED = re.compile(r"^(\.git|\.cache|build.*|confer-data|corpus|__pycache__)$")
ONE_README = ("tests", "client")
CODE = (".c", ".h", ".proto", ".py", ".sh")


def text_faults(name, text):
    for number, line in enumerate(text.splitlines(), 1):
        mark = MARKS.search(line) or PLACES.search(line)
        if mark:
            yield f"{name}:{number}: '{mark[0]}' does not belong here"
    if name.endswith(".h") and not text.startswith("/*"):
        yield f"{name}: starts without a comment that says what it is"


def faults(root):
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not SKIPPED.match(name))
        place = pathlib.Path(folder).relative_to(root)
        has_code = any(name.endswith(CODE) for name in files) or place.name == "scripts"
        if has_code and "README.md" not in files and (len(place.parts) < 2 or place.parts[0] not in ONE_README):
            yield f"{place.as_posix()}: has no README.md"
        for name in sorted(files):
            try:
                yield from text_faults((place / name).as_posix(), pathlib.Path(folder, name).read_text())
            except UnicodeDecodeError:
                pass  # not text


found = list(faults(sys.argv[1]))
print("\n".join(found) or "no fault found")
sys.exit(1 if found else 0)
