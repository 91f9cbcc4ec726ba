#!/usr/bin/env python3
"""Fuzz every decoder, guided by coverage (libFuzzer, with address and undefined-behaviour sanitizers).

    run.py --seconds-each N [--jobs J] [--only TARGET]... [--build FOLDER] [--keep] [--total-at-least SECONDS]

Builds the preset `fuzz`, or what FOLDER was configured for, and runs the targets one after the
other, slow ones longer (SHARES). What they find is kept in build/fuzz-corpus/TARGET, so the next run goes on from there. With --keep
the smallest set of inputs with the same coverage becomes part of corpus/TARGET, and the seconds and
executions are added to total.txt: commit both.

Exits 1 when an input ends a target; it is left in build/fuzz-corpus/findings and its path printed.
With --total-at-least also when total.txt notes fewer seconds of some target so far.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WORK = os.path.join(ROOT, "build", "fuzz-corpus")
TOTAL = os.path.join(HERE, "total.txt")
INPUT_BYTES_MAX = 4096
SHARES = {"raft_events": 4}  # each of its inputs is a cluster's life
KEPT_MAX = 120  # inputs added to a folder of corpus/; more would tell nobody anything

lock = threading.Lock()


def targets():
    names = [name[5:-2] for name in os.listdir(HERE) if re.fullmatch(r"fuzz_[a-z_]+\.c", name)]
    return sorted(names)


def build(folder, names):
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        subprocess.run(["cmake", "--preset", "fuzz", "-Wno-dev", "--log-level=WARNING"], cwd=ROOT, check=True)
    subprocess.run(["cmake", "--build", folder, "--target", *[f"fuzz_{name}" for name in names]],
                   cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def count_of(text, name):
    found = re.findall(rf"stat::{name}:\s+(\d+)", text)
    return int(found[-1]) if found else 0


def replay(program, finding):
    return subprocess.run([program, finding], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          errors="replace").stderr


def fuzz(folder, name, seconds):
    """One target for so many seconds: what it did, and the inputs that ended it."""
    work = os.path.join(WORK, name)
    findings = os.path.join(WORK, "findings")
    os.makedirs(work, exist_ok=True)
    os.makedirs(findings, exist_ok=True)
    committed = os.path.join(HERE, "corpus", name)
    os.makedirs(committed, exist_ok=True)
    before = set(os.listdir(findings))
    start = time.monotonic()
    program = os.path.join(folder, "tests", "fuzz", f"fuzz_{name}")
    # What targets print themselves is slow, and gigabytes: it is of interest for what ended one.
    process = subprocess.run(
        [program, work, committed,
         f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES_MAX}", "-timeout=20", "-rss_limit_mb=2048",
         f"-artifact_prefix={findings}/{name}-", "-print_final_stats=1", "-close_fd_mask=3"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"})
    new = sorted(f for f in set(os.listdir(findings)) - before if f.startswith(name + "-"))
    return {
        "name": name,
        "seconds": round(time.monotonic() - start),
        "runs": count_of(process.stderr, "number_of_executed_units"),
        "edges": max([int(n) for n in re.findall(r"cov: (\d+)", process.stderr)], default=0),
        "inputs": len(os.listdir(work)),
        "findings": [os.path.join(findings, f) for f in new],
        "failed": process.returncode != 0,
        "text": process.stderr + "".join(replay(program, os.path.join(findings, f)) for f in new),
    }


def keep(folder, name):
    """The smallest set of inputs that covers what all of them do, added to the corpus."""
    work = os.path.join(WORK, name)
    committed = os.path.join(HERE, "corpus", name)
    merged = os.path.join(WORK, "merged", name)
    shutil.rmtree(merged, ignore_errors=True)
    os.makedirs(merged)
    seeds = [f for f in os.listdir(committed) if not re.fullmatch(r"[0-9a-f]{40}", f)]
    program = os.path.join(folder, "tests", "fuzz", f"fuzz_{name}")
    subprocess.run([program, "-set_cover_merge=1", f"-max_len={INPUT_BYTES_MAX}", merged, committed, work],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    found = sorted(os.listdir(merged), key=lambda f: os.path.getsize(os.path.join(merged, f)))[:KEPT_MAX]
    said = {open(os.path.join(committed, f), "rb").read() for f in seeds}
    for file in os.listdir(committed):
        if file not in seeds:
            os.remove(os.path.join(committed, file))
    for file in found:
        path = os.path.join(merged, file)
        if open(path, "rb").read() not in said:
            shutil.copy(path, os.path.join(committed, file))


def read_total():
    rows = {}
    if os.path.exists(TOTAL):
        for line in open(TOTAL):
            if line.strip() and not line.startswith("#"):
                name, seconds, runs, findings = line.split()
                rows[name] = [int(seconds), int(runs), int(findings)]
    return rows


def add_to_total(results):
    rows = read_total()
    for result in results:
        row = rows.setdefault(result["name"], [0, 0, 0])
        row[0] += result["seconds"]
        row[1] += result["runs"]
        row[2] += len(result["findings"])
    with open(TOTAL, "w") as file:
        file.write("# Fuzzing so far, written by run.py --keep. A finding was mended before its commit.\n")
        file.write(f"# {'target':<18}{'seconds':>10}{'executions':>15}{'findings':>10}\n")
        for name in sorted(rows):
            seconds, runs, findings = rows[name]
            file.write(f"{name:<20}{seconds:>10}{runs:>15}{findings:>10}\n")


def show(cells):
    with lock:
        print("  ".join(str(c).ljust(w) for c, w in zip(cells, (18, 8, 13, 8, 8, 30))).rstrip(), flush=True)


def one(folder, name, arguments):
    result = fuzz(folder, name, arguments.seconds_each * SHARES.get(name, 1))
    verdict = "ok"
    if result["failed"]:
        verdict = "ENDED: " + (" ".join(result["findings"]) or "no input left")
        with lock:
            print(result["text"][-6000:], file=sys.stderr, flush=True)
    elif arguments.keep:
        keep(folder, name)
    show((name, result["seconds"], f"{result['runs']:,}", result["edges"], result["inputs"], verdict))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds-each", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", action="append", metavar="TARGET")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "fuzz"))
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--total-at-least", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--no-build", action="store_true")
    arguments = parser.parse_args()
    names = targets()
    for name in arguments.only or []:
        if name not in names:
            print(f"run.py: no target {name!r}; there are: {', '.join(names)}", file=sys.stderr)
            return 2
    names = [n for n in names if not arguments.only or n in arguments.only]
    if not arguments.no_build:
        build(arguments.build, names)
    show(("target", "seconds", "executions", "edges", "inputs", "verdict"))
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, arguments.jobs)) as pool:
        longest_first = sorted(names, key=lambda name: -SHARES.get(name, 1))
        results = list(pool.map(lambda name: one(arguments.build, name, arguments), longest_first))
    if arguments.keep:
        add_to_total(results)
    total = read_total()
    failed = sum(r["failed"] for r in results)
    seconds = {name: total.get(name, [0])[0] for name in names}
    least = min(seconds, key=seconds.get)
    print(f"{len(results)} targets, {sum(r['seconds'] for r in results)} seconds, "
          f"{sum(r['runs'] for r in results):,} executions, {failed} ended; "
          f"so far {sum(row[0] for row in total.values()) / 3600:.1f} hours, "
          f"{sum(row[1] for row in total.values()):,} executions, the least of {least}: {seconds[least]} s")
    return 1 if failed or seconds[least] < arguments.total_at_least else 0


if __name__ == "__main__":
    sys.exit(main())
