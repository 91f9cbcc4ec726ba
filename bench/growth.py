#!/usr/bin/env python3
"""How throughput, CPU and memory grow with what there is: a table and a plot for each curve, into docs/plots.

    bench/growth.py [--build build/release] [--dir FOLDER-ON-A-REAL-DISK] [--out docs/plots] [--curves servers,nodes,...]
                    [--first N] [--seconds 2] [--rounds 1]

    servers      1, 3, 5, 7 of them                   values       10 B to 1 MiB
    nodes        1,000 to 10,000,000 in the tree      connections  10 to 10,000, one request under way each
    children     1 to 1,000,000 of one node           watches      1 to 100,000, by up to 100 connections

Each point has a new cluster (one server, but for `servers`), by the native protocol. All of it takes less than a quarter of an hour. Plots need gnuplot
(package gnuplot-nox); without it there are tables only. --first N takes only the first points of each curve.
"""
import argparse
import dataclasses
import datetime
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from clusters import Confer, end_when_told
from machine import Disturbance, floor

HERE = pathlib.Path(__file__).resolve().parent


class Programs:
    def __init__(self, build):
        self.server, self.bench = build / "server/confer-server", build / "bench/confer-bench"


def loads(cluster, seconds, ops, *more):
    """Throughput and CPU of each operation."""
    figures = {}
    for op in ops:
        got = cluster.bench("load", "--op", op, "--seconds", seconds, "--warmup", min(0.5, seconds / 2), *more)
        figures[f"{op} ops/s"] = got["ops_s"]
        figures[f"{op} us of CPU"] = got["server_cpu_s_per_kop"] * 1000
        figures[f"{op} p50 us"] = got["p50_us"]
    return figures


def memory(cluster):
    return {"resident MB": cluster.memory_mb("VmRSS"), "anonymous MB": cluster.memory_mb("RssAnon")}


def servers(cluster, count, seconds):
    figures = loads(cluster, seconds, ("set", "get"), "--connections", 64, "--pipeline", 16)
    return {**figures, **{name: figure / count for name, figure in memory(cluster).items()}}


def nodes(cluster, count, seconds):
    got = cluster.bench("populate", "--nodes-count", count)
    figures = {"create ops/s": got["nodes_s"], "create us of CPU": got["server_cpu_s_per_kop"] * 1000}
    among = ("--among", "populated", "--nodes-count", count, "--connections", 16, "--pipeline", 4)
    return {**figures, **loads(cluster, seconds, ("set", "get"), *among), **memory(cluster), "disk MB": cluster.disk_mb()}


def children(cluster, count, seconds):
    figures = loads(cluster, seconds, ("set", "get", "list"), "--keys", count, "--connections", 4, "--pipeline", 4)
    got = cluster.bench("load", "--op", "create", "--operations", 2000, "--connections", 4, "--pipeline", 25, "--keys", count)
    return {**figures, "create ops/s": got["ops_s"], "create us of CPU": got["server_cpu_s_per_kop"] * 1000, **memory(cluster)}


def values(cluster, size, seconds):
    cluster.forget_peak()
    figures = loads(cluster, seconds, ("set", "get"), "--value-bytes", size, "--keys", 100, "--connections", 16)
    for op in ("set", "get"):
        figures[f"{op} MB/s"] = figures[f"{op} ops/s"] * size / 1e6
    return {**figures, **memory(cluster), "peak MB": cluster.memory_mb("VmHWM")}


def connections(cluster, count, seconds):
    # All of them come at once; what counts is how it goes on.
    return {**loads(cluster, seconds, ("set", "get"), "--connections", count, "--warmup", min(0.5, seconds / 2) + count / 2500), **memory(cluster)}


def watches(cluster, count, seconds):
    watchers = min(100, count)
    got = cluster.bench("watch", "--connections", watchers, "--watched", count // watchers, "--rounds", max(1, int(2 * seconds)))
    return {"set ops/s": got["events_s"] / watchers, "events/s": got["events_s"], "event us of CPU": got["server_cpu_us_per_event"],
            "armed/s": got["arms_s"], "KiB each": got["kib_per_watch"], **memory(cluster)}


@dataclasses.dataclass
class Curve:
    function: object
    title: str
    points: list
    operations: tuple = ("set", "get")
    memory: tuple = ("resident MB", "anonymous MB")

    def panels(self):
        rate = ["events/s", "armed/s"] if self.function is watches else [f"{op} ops/s" for op in self.operations]
        cpu = ["event us of CPU"] if self.function is watches else [f"{op} us of CPU" for op in self.operations]
        return [("a second", rate, True), ("us of CPU each", cpu, True), ("MB", list(self.memory), self.function in (nodes, children))]


CURVES = {
    "servers": Curve(servers, "servers, 64 connections with 16 requests under way each; memory of one of them", [1, 3, 5, 7]),
    "nodes": Curve(nodes, "nodes of 100 bytes; reads and writes go to any of them", [10**power for power in range(3, 8)], ("create", "set", "get"),
                   ("resident MB", "anonymous MB", "disk MB")),
    "children": Curve(children, "children of one node; list is the first page of them", [10**power for power in range(7)],
                      ("create", "set", "get", "list")),
    "values": Curve(values, "bytes of a value, 16 connections", [10, 100, 1000, 10000, 100000, 1048576], memory=("resident MB", "peak MB")),
    "connections": Curve(connections, "connections with one request under way each", [10, 100, 1000, 10000]),
    "watches": Curve(watches, "watches, by up to 100 connections; every node that is watched is set", [10**power for power in range(6)]),
}


def measure(options, curve, folder, point):
    rounds = []
    for number in range(options.rounds):
        cluster = Confer(Programs(options.build), folder / f"{number}", point if curve.function is servers else 1)
        try:
            cluster.begin()
            cluster.bench("load", "--op", "get", "--keys", 1, "--seconds", min(0.5, options.seconds), "--warmup", 0)
            rounds.append(curve.function(cluster, point, options.seconds))
        finally:
            cluster.end()
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def text_of(figure):
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def table(name, rows):
    headings = list(next(iter(rows.values())))
    lines = [f"| {name} | " + " | ".join(headings) + " |", "|---|" + "---:|" * len(headings)]
    lines += [f"| {point:,} | " + " | ".join(text_of(row[heading]) for heading in headings) + " |" for point, row in rows.items()]
    return "\n".join(lines)


def plot(curve, name, rows, path):
    """One picture with a panel for each kind of figure. The data stands in the script: nothing else is kept."""
    panels = curve.panels()
    lines = [f"set terminal svg size 760,{230 * len(panels)} background rgb 'white'", f"set output '{path}'", "set grid", "set key outside right",
             "set lmargin 10", "set rmargin 26", "set format '%.0s%c'",
             f"set multiplot layout {len(panels)},1", f"set xtics ({', '.join(str(point) for point in rows)})" if name == "servers" else "set logscale x"]
    for label, figures, is_logarithmic in panels:
        shown = [figure for figure in figures if any(row[figure] > 0 for row in rows.values())]
        if not shown:
            lines.append("set multiplot next")
            continue
        lines += [f"set ylabel '{label}'", "set logscale y" if is_logarithmic else "unset logscale y\nset yrange [0:*]"]
        lines.append("plot " + ", ".join(f"'-' with linespoints title '{figure}'" for figure in shown))
        for figure in shown:
            lines += [f"{point} {row[figure] if row[figure] > 0 else 'NaN'}" for point, row in rows.items()] + ["e"]
        lines.append("set yrange [*:*]")
    subprocess.run(["gnuplot"], input="\n".join(lines) + "\n", text=True, check=True)


def run_curve(options, name, folder):
    curve = CURVES[name]
    rows = {}
    before = floor(Programs(options.build), folder, min(0.5, options.seconds))
    disturbance = Disturbance([])
    for point in curve.points[:options.first]:
        print(f"{name} {point:,}", file=sys.stderr, flush=True)
        rows[point] = measure(options, curve, folder / f"{name}-{point}", point)
    text = [f"## {curve.title[0].upper()}{curve.title[1:]}", "", table(name, rows), "",
            f"4 KiB write + fdatasync before it: p50 {before['p50_us']} us, p99 {before['p99_us']} us; others used {disturbance.percent():.0f} % of the processors."]
    if shutil.which("gnuplot"):
        plot(curve, name, rows, options.out / f"{name}.svg")
        text += ["", f"![{name}]({name}.svg)"]
    return "\n".join(text)


HEAD = """# How it grows

Measured by `bench/growth.py` on {date}: native protocol, values of 100 bytes unless it says otherwise, medians of {rounds} round(s) of {seconds:g} s; all servers and the load
generator on one machine with {processors} processors.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--dir", help="where the data goes: on a real disk (default: the temporary directory)")
    parser.add_argument("--out", type=pathlib.Path, default=HERE.parent / "docs/plots")
    parser.add_argument("--curves", type=lambda text: text.split(","), default=list(CURVES))
    parser.add_argument("--first", type=int, help="only so many points of each curve")
    parser.add_argument("--seconds", type=float, default=2, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    end_when_told()
    for name in options.curves:
        if name not in CURVES:
            parser.error(f"there is no {name}: curves are {', '.join(CURVES)}")
    if shutil.which("gnuplot") is None:
        print("no plots without gnuplot: apt-get install gnuplot-nox", file=sys.stderr)
    options.out.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="confer-growth-", dir=options.dir))
    try:
        texts = [run_curve(options, name, folder) for name in options.curves]
    finally:
        shutil.rmtree(folder)
    head = HEAD.format(date=datetime.date.today(), rounds=options.rounds, seconds=options.seconds, processors=len(os.sched_getaffinity(0)))
    (options.out / "README.md").write_text("\n\n".join([head.rstrip(), *texts]) + "\n")
    print("\n\n".join(texts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
