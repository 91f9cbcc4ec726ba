#!/usr/bin/env python3
"""Start clusters on loopback, drive them with confer-bench, print tables.

    bench/run.py --build build/release [--dir FOLDER-ON-A-REAL-DISK] [--suites matrix,idle,...|all] [--systems native,zookeeper,peer,etcd]
                 [--servers 1,3] [--rounds 3] [--seconds 3] [--json FILE]

native and zookeeper are Confer's two protocols on one cluster; peer is Debian's ZooKeeper (package zookeeper) and etcd Debian's etcd (package
etcd-server), all driven by the same generator. Whoever is not installed is left out, with a notice.

Systems take turns within each round, and the medians of all rounds are printed. Behind a figure stands its ratio to that of the reference in the
same run: peer when it takes part, else etcd. Above each table stands what the machine did meanwhile: the disk's floor before and after (4 KiB write
+ fdatasync), and the processors' time that others used.

    matrix      throughput, latency and CPU of --ops at --points (connections x requests under way of each)
    idle        CPU and memory of servers that nobody talks to
    populate    --nodes created through one connection, and what they take
    restart     stop and start with --nodes: until a linearizable read is answered, with the files in the system's cache and without
    storage     commits of 1 to 1000 entries beside the disk's floor
    sessions    --sessions opened, kept for a while
    watch       one write to --watchers, each on its own connection; and a grid of --watch-grid (connections x nodes)
    failover    kill -9 of the leader, --failovers times a round
    saturation  twice the load that the cluster can carry falls due
    neighbours  --stalled readers and --listers beside ordinary clients
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile

from clusters import KINDS, end_when_told
from machine import Disturbance, floor
from suites import SUITES, Bench


def names(text):
    return [part for part in text.split(",") if part]


def numbers(text):
    return [int(part) for part in names(text)]


def medians(rounds):
    figures = {name for one in rounds for name, figure in one.items() if isinstance(figure, (int, float))}
    return {name: statistics.median(one[name] for one in rounds if name in one) for name in figures}


def cell(suite, figure, form, got, reference):
    if figure not in got:
        return ""
    text = format(got[figure], form)
    if figure in suite.ratios and reference.get(figure):
        text += f" ({got[figure] / reference[figure]:.2f})"
    return text


def show(suite, results, reference):
    table = [["", "system"] + [heading for heading, _, _ in suite.columns]]
    for (what, system), rounds in results.items():
        got, of = medians(rounds), medians(results.get((what, reference), [])) if system != reference else {}
        table.append([what, system] + [cell(suite, figure, form, got, of) for _, figure, form in suite.columns])
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print("  ".join(text.ljust(width) if column < 2 else text.rjust(width) for column, (text, width) in enumerate(zip(row, widths))).rstrip())


def run_suite(bench, name, keep):
    suite = SUITES[name]
    results = {}
    seconds = min(0.3, bench.options.seconds)
    before = floor(bench.options, bench.folder, seconds)
    disturbance = Disturbance(list(bench.alive.values()))
    for number in range(bench.options.rounds):
        for what, system, figures in suite.function(bench):
            results.setdefault((what, system), []).append(figures)
            keep({"servers": bench.count, "suite": name, "round": number, "what": what, "system": system, **figures})
    disturbance.alive = list(bench.alive.values())
    others = disturbance.percent()
    after = floor(bench.options, bench.folder, seconds)
    if not results:
        return
    print(f"\n{name}, {bench.count} server(s), {bench.options.rounds} round(s); floor before {before['p50_us']}/{before['p99_us']} us, "
          f"after {after['p50_us']}/{after['p99_us']} us (p50/p99); others used {others:.0f} % of the processors, load {os.getloadavg()[0]:.1f}")
    systems = [system for _, system in results]
    show(suite, results, next((one for one in ("peer", "etcd") if one in systems), None))
    sys.stdout.flush()


def run(options, count, keep):
    bench = Bench(options, pathlib.Path(tempfile.mkdtemp(prefix="confer-bench-", dir=options.dir)), count)
    try:
        for name in options.suites:
            run_suite(bench, name, keep)
    finally:
        bench.end()
        shutil.rmtree(bench.folder, ignore_errors=True)


def installed(systems):
    for system in systems:
        package = KINDS[system].missing()
        if package:
            print(f"{system} is left out: apt-get install {package}", file=sys.stderr)
        else:
            yield system


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"), help="where server/ and bench/ were built")
    parser.add_argument("--dir", help="where the data goes: on a real disk (default: the temporary directory)")
    parser.add_argument("--suites", type=names, default=["matrix"])
    parser.add_argument("--systems", type=names, default=["native"])
    parser.add_argument("--servers", type=numbers, default=[1, 3])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3, help="of one measurement")
    parser.add_argument("--json", help="append each measurement to this file, one line each")
    parser.add_argument("--points", type=names, default=["1x1", "16x1", "64x16"])
    parser.add_argument("--ops", type=names, default=["set", "get", "lget"])
    parser.add_argument("--nodes", type=numbers, default=[100000])
    parser.add_argument("--sessions", type=numbers, default=[1000])
    parser.add_argument("--watchers", type=numbers, default=[1000])
    parser.add_argument("--watch-grid", default="100x100")
    parser.add_argument("--failovers", type=int, default=3)
    parser.add_argument("--stalled", type=int, default=200)
    parser.add_argument("--listers", type=int, default=500)
    parser.add_argument("--listed", type=int, default=1000, help="nodes that are listed")
    options = parser.parse_args()
    options.suites = list(SUITES) if options.suites == ["all"] else options.suites
    for name in [*options.suites, *options.systems]:
        if name not in SUITES and name not in KINDS:
            parser.error(f"there is no {name}: suites are {', '.join(SUITES)}, systems {', '.join(KINDS)}")
    options.server = options.build / "server/confer-server"
    options.bench = options.build / "bench/confer-bench"
    options.parts = options.build / "bench/parts/confer-bench-parts"
    if not options.bench.exists():
        parser.error(f"{options.bench} is not built: cmake --preset release && cmake --build --preset release")
    options.systems = list(installed(options.systems))
    return options


def main():
    options = parse()
    end_when_told()
    with open(options.json or os.devnull, "a") as lines:
        for count in options.servers:
            run(options, count, lambda row: print(json.dumps(row), file=lines, flush=True))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
