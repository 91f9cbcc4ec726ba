#!/usr/bin/env python3
"""Count the instructions of one operation, and compare with what was recorded: time depends on the machine, instructions on the code.

    bench/instructions.py [--build build/release] [--record] [--only NAME]... [--file bench/instructions.txt]

A server of its own runs under valgrind's callgrind and does the same operations, one after the other, by each protocol; all its threads count, with the
libraries it uses. What it does by itself meanwhile (heartbeats, timers) is measured too, and taken off; the rest differs by 1 % from run to
run, so the smallest of three counts is taken. The state and the codec are driven by themselves and count the same each time.

Exits 1 when an operation takes over 5 % more than recorded, or is not recorded, or over 2 % more by the native protocol than by ZooKeeper's. --record
writes the file anew.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from clusters import Confer, end_when_told

HERE = pathlib.Path(__file__).resolve().parent
RISE_MAX = 0.05
DEARER_MAX = 0.02  # what whole servers differ by from run to run, twice
# Creations last: the list is of the folder that they go to, of 1,000 names till then.
SERVED = [(protocol, op) for op in ("set", "get", "lget", "list", "create") for protocol in ("native", "zookeeper")]
LIST_SHARE = 10  # of so many operations one, as it takes as long as a hundred others
PARTS = [("state", what) for what in ("create", "set", "get")] + [("codec", what) for what in ("pack", "unpack")]
HEAD = """# Instructions of one operation (bench/instructions.py --record): the release preset of gcc 12 on Debian 12, amd64.
# From native set down: a whole server. Findings of scripts/verify --only instructions: a rise of more than 5 %, and what takes more by the native protocol.
"""


class Programs:
    def __init__(self, build):
        self.server, self.bench, self.parts = build / "server/confer-server", build / "bench/confer-bench", build / "bench/parts/confer-bench-parts"


class CountedServer(Confer):
    """One server under callgrind. Its counters go to a file, and to zero, whenever they are asked for."""

    def command(self, number):
        # valgrind has no room for maps of the usual size, and a checkpoint in between would be nobody's.
        return ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={self.folder}/count", *super().command(number),
                "--map-size", "1GiB", "--log-map-size", "512MiB", "--checkpoint-interval", "60m", "--checkpoint-records", "10000000",
                "--checkpoint-bytes", "512MiB"]

    def take(self):
        done = subprocess.run(["vgdb", f"--pid={self.processes[1].pid}", "dump"], capture_output=True, text=True)
        files = sorted(self.folder.glob("count.*"), key=lambda path: int(path.suffix[1:]))
        if done.returncode != 0 or not files:
            raise SystemExit(f"callgrind gives no counts: {done.stderr.strip()}")
        return summary(files[-1])

    def count(self, operations, protocol, op, idle_s):
        start = time.monotonic()
        self.take()
        self.bench("load", "--op", op, "--operations", operations, protocol=protocol)
        return (self.take() - idle_s * (time.monotonic() - start)) / operations

    def idle_s(self, seconds):
        start = time.monotonic()
        self.take()
        time.sleep(seconds)
        return self.take() / (time.monotonic() - start)


def summary(path):
    return int(re.search(r"^summary: (\d+)", path.read_text(), re.M)[1])


def count_served(programs, folder, wanted, operations):
    server = CountedServer(programs, folder / "server", 1)
    try:
        server.begin()
        server.bench("load", "--operations", 100)
        idle_s = server.idle_s(operations / 500)
        for protocol, op in wanted:
            count = operations // LIST_SHARE if op == "list" else operations
            yield f"{protocol} {op}", min(server.count(count, protocol, op, idle_s) for _ in range(3))
    finally:
        server.end()


def count_parts(programs, folder, wanted, operations):
    def total(words, count):
        subprocess.run(["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={folder}/part", programs.parts, *words, str(count)],
                       check=True, stdout=subprocess.DEVNULL)
        return summary(folder / "part")

    for words in wanted:
        yield " ".join(words), (total(words, 2 * operations) - total(words, operations)) / operations


def count_all(programs, only, operations):
    def wanted(all_of_them):
        return [words for words in all_of_them if not only or " ".join(words) in only]

    # In memory: what is waited for a disk counts as time of doing nothing, which is only known roughly.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="confer-instructions-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    try:
        yield from count_parts(programs, folder, wanted(PARTS), operations)
        if wanted(SERVED):
            yield from count_served(programs, folder, wanted(SERVED), operations)
    finally:
        shutil.rmtree(folder)


def read_record(path):
    lines = [line.rsplit(None, 1) for line in path.read_text().splitlines() if line and not line.startswith("#")] if path.exists() else []
    return {name: int(count) for name, count in lines}


def compare(name, count, recorded):
    """A line, and whether it is a finding."""
    if name not in recorded:
        return f"{name:18} {count:>8.0f}  not recorded", True
    rise = count / recorded[name] - 1
    finding = rise > RISE_MAX
    return f"{name:18} {count:>8.0f}  {100 * rise:+6.2f} %" + ("  more than recorded" if finding else ""), finding


def dearer_natives(counted):
    """What takes more by the native protocol than by ZooKeeper's."""
    ops = [name.removeprefix("native ") for name in counted if name.startswith("native ")]
    return [f"native {op}" for op in ops if counted[f"native {op}"] > (1 + DEARER_MAX) * counted.get(f"zookeeper {op}", float("inf"))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--only", action="append")
    parser.add_argument("--file", type=pathlib.Path, default=HERE / "instructions.txt")
    parser.add_argument("--operations", type=int, default=1000, help="of each kind; the file is for 1000")
    options = parser.parse_args()
    end_when_told()
    if shutil.which("valgrind") is None:
        parser.error("valgrind is not installed: apt-get install valgrind")
    recorded, counted, findings = read_record(options.file), {}, []
    for name, count in count_all(Programs(options.build), options.only, options.operations):
        counted[name] = round(count)
        line, finding = compare(name, count, recorded)
        findings += [name] if finding else []
        print(line, flush=True)
    if options.record:
        options.file.write_text(HEAD + "".join(f"{name:18} {count:>8}\n" for name, count in counted.items()))
        return 0
    print(f"{len(counted)} counts, {len(findings)} over 5 % above the record" + (f": {', '.join(findings)}" if findings else ""))
    dearer = dearer_natives(counted)
    if dearer:
        print(f"more than by ZooKeeper's protocol: {', '.join(dearer)}")
    return 1 if findings or dearer or not counted else 0


if __name__ == "__main__":
    sys.exit(main())
