#!/usr/bin/env python3
"""Check the includes of every .c and .h below ROOT against layers.txt: python3 layers.py ROOT TABLE.

Prints one line for each fault and exits 1 if there is any."""
import fnmatch
import pathlib
import re
import sys

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
LISTS = ("pure", "impure", "contract")


def read_table(path):
    table = {"layers": {}, "only": {}, **{name: [] for name in LISTS}}
    for line in path.read_text().splitlines():
        name, colon, rest = line.split("#")[0].partition(":")
        if not colon:
            continue
        words = rest.split()
        if name in LISTS:
            table[name] += words
        elif name == "only":
            table["only"][words[0]] = words[1:]
        else:
            table["layers"][name] = words
    return table


def folder_of(path, folders):
    """The longest of `folders` that holds `path`; None if none does."""
    parents = [str(parent) for parent in pathlib.PurePosixPath(path).parents]
    return next((parent for parent in parents if parent in folders), None)


def read_includes(root, folders):
    """{file: [(header, line)]} with headers of ours as paths from the root."""
    includes = {}
    for folder in sorted({folder.split("/")[0] for folder in folders}):
        for path in sorted((root / folder).rglob("*.[ch]")):
            text = path.read_text(errors="replace")
            includes[path.relative_to(root).as_posix()] = [
                ("client/include/confer.h" if found[2] == "confer.h" else found[2], found[1],
                 text.count("\n", 0, found.start()) + 1) for found in INCLUDE.finditer(text)]
    return includes


def layer_faults(includes, table):
    layers = table["layers"]
    for file, headers in includes.items():
        folder = folder_of(file, layers)
        if folder is None:
            yield f"{file}: its folder is not in layers.txt"
            continue
        for header, quote, line in headers:
            where = f"{file}:{line}: includes {header}"
            other = folder_of(header, layers)
            if folder in table["pure"] and any(fnmatch.fnmatch(header, p) for p in table["impure"]):
                yield f"{where}, but {folder} is pure"
            elif header in table["only"] and folder not in table["only"][header]:
                yield f"{where}, which is for {' '.join(table['only'][header])} alone"
            elif other is None and quote == '"':
                yield f"{where}, which is no path from the root"
            elif other not in (None, folder) and other not in layers[folder]:
                yield f"{where}, but {folder} may include only: {' '.join(layers[folder]) or 'nothing'}"


def unit_graph(includes, table):
    def unit_of(file):
        return file if file in table["contract"] else re.sub(r"\.[ch]$", "", file)

    graph = {}
    for file, headers in includes.items():
        edges = graph.setdefault(unit_of(file), set())
        edges.update(unit_of(header) for header, _, _ in headers if header in includes)
    return {unit: sorted(edges - {unit}) for unit, edges in sorted(graph.items())}


def circles(graph):
    """A circle for each edge that leads back into the path of a depth-first walk."""
    done = set()
    for start in graph:
        path, left = [start], [iter(graph[start])]
        if start in done:
            continue
        while path:
            unit = next((unit for unit in left[-1] if unit not in done), None)
            if unit is None:
                done.add(path.pop())
                left.pop()
            elif unit in path:
                yield path[path.index(unit):] + [unit]
            else:
                path.append(unit)
                left.append(iter(graph[unit]))


def main():
    root, table = pathlib.Path(sys.argv[1]), read_table(pathlib.Path(sys.argv[2]))
    includes = read_includes(root, table["layers"])
    faults = list(layer_faults(includes, table))
    faults += ["circle: " + " -> ".join(circle) for circle in circles(unit_graph(includes, table))]
    if not includes:
        faults.append(f"no sources below {root}")
    print("\n".join(faults) or f"{len(includes)} files stand on their floors")
    return 1 if faults else 0


sys.exit(main())
