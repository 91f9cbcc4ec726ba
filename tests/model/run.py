#!/usr/bin/env python3
"""Search the model raft.pml with spin.

    run.py [--seconds N] [--only NAME]... [--require-exhausted] [--jobs N]
    run.py --bugs [--seconds N] [--only NAME]... [--jobs N]
    run.py --list

Small instances are searched whole, with --require-exhausted however long that takes; then larger
ones share what is left of the seconds, 20 each at least, with bit-state hashing: they leave out
states that collide, more of them as the hash factor (bits for each state) falls. --bugs plants one known bug after the
other and asserts that each is found. The trail of a violation stays beside the program, which is
named.

Exit codes: 0 nothing wrong, 1 a violation, a bug not found, a larger instance that was not searched or,
with --require-exhausted, a small one that did not end, 2 usage or no spin, 77 no spin with --skip-without-spin.
"""
import argparse
import concurrent.futures
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "raft.pml")
DEPTH = 2000000
MEMORY_MB = 4000
LARGE_SECONDS_MIN = 20  # of each larger instance, however little time is left
REQUIRED_SECONDS = 3600  # an instance that must be exhausted and takes longer hangs

QUICK = "DISK_IN_ONE_STEP"
NO_CRASH = "CRASHES=0"

# Searched whole, cheapest first; what each is for.
SMALL = [
    ("pair", "two servers, slow disks, a crash",
     ["NODES=2", "SET0=3"]),
    ("votes", "three candidates, slow disks, two crashes, no commands",
     ["TERMS=2", "ENTRIES=1", "COMMANDS=0", "CRASHES=2"]),
    ("replace all", "voters 0 1 become 2",
     ["SET0=3", "SET1=4", "CHANGES=1", "COMMANDS=0", "ENTRIES=3", NO_CRASH, QUICK]),
    ("replace one", "voters 0 1 become 1 2",
     ["SET0=3", "SET1=6", "CHANGES=1", "COMMANDS=0", "ENTRIES=4", NO_CRASH, QUICK]),
    ("shrink", "voters 0 1 2 become 0; two of them campaign",
     ["SET0=7", "SET1=1", "CHANGES=1", "COMMANDS=0", "ENTRIES=3", "CANDIDATES=3", NO_CRASH, QUICK]),
    ("crash in joint", "voters 0 1 become 1 2, and a crash",
     ["SET0=3", "SET1=6", "CHANGES=1", "COMMANDS=0", "ENTRIES=3", "CRASHES=1", QUICK]),
    ("fast disks", "three servers, two terms, a crash",
     ["CRASHES=1", QUICK]),
    ("wiped", "node 2 loses its disk, comes back under a new incarnation and replaces itself",
     ["NODES=4", "SET0=7", "SET1=11", "WIPED=2", "REBORN=3", "CHANGES=1", "COMMANDS=0",
      "ENTRIES=2", "CANDIDATES=3", "CRASHES=1", QUICK]),
    ("read", "a read while another leader may be elected",
     ["TERMS=2", "ENTRIES=2", "COMMANDS=0", "READS=1", NO_CRASH, QUICK]),
    ("reads", "two reads and a command; two of three campaign",
     ["TERMS=2", "ENTRIES=2", "READS=2", "CANDIDATES=3", NO_CRASH, QUICK]),
    ("slow disks", "three servers, two terms, writes that finish late, a crash",
     ["CRASHES=1"]),
]

# As far as the time goes.
LARGE = [
    ("overwritten", "three terms, three entries, slow disks, a crash",
     ["TERMS=3", "ENTRIES=3", "CRASHES=1"]),
    ("replace one of three", "voters 0 1 2 become 0 1 3 over three terms, with a crash and a read",
     ["NODES=4", "SET0=7", "SET1=11", "TERMS=3", "ENTRIES=4", "CHANGES=1", "READS=1", "COMMANDS=0",
      "CRASHES=1", QUICK]),
    ("there and back", "two changes of voters, slow disks",
     ["SET0=3", "SET1=6", "SET2=5", "TERMS=3", "ENTRIES=6", "CHANGES=2", "COMMANDS=0", NO_CRASH]),
    ("everything", "four terms, a change, reads, commands, crashes, slow disks",
     ["NODES=4", "SET0=7", "SET1=14", "TERMS=4", "ENTRIES=5", "CHANGES=1", "READS=2", "COMMANDS=1",
      "CRASHES=2"]),
    ("wiped twice over", "a disk lost during a change, three terms",
     ["NODES=4", "SET0=7", "SET1=11", "WIPED=2", "REBORN=3", "TERMS=3", "ENTRIES=4", "CHANGES=1",
      "COMMANDS=0", "CRASHES=2", QUICK]),
]

CHANGE = ["CHANGES=1", "COMMANDS=0", "ENTRIES=3", NO_CRASH, QUICK]

# A planted bug, and an instance in which it shows.
BUGS = [
    ("VOTE_BEFORE_DURABLE", ["TERMS=1", "ENTRIES=1", "COMMANDS=0"]),
    ("VOTE_NOT_KEPT", ["TERMS=2", "ENTRIES=1", "COMMANDS=0"]),
    ("ANY_LOG_IS_GOOD", ["TERMS=3", "ENTRIES=3"]),
    ("OLD_GRANTS_COUNT", ["TERMS=2", "ENTRIES=1", "COMMANDS=0", NO_CRASH]),
    ("ACK_BEFORE_DURABLE", ["TERMS=2", "ENTRIES=2"]),
    ("ACK_OF_OWN_END", ["TERMS=3", "ENTRIES=3"]),
    ("LEADER_COUNTS_UNWRITTEN", ["TERMS=2", "ENTRIES=2"]),
    ("STALE_COMPLETION", ["TERMS=3", "ENTRIES=3"]),
    ("MATCHING_ENTRIES_CUT", ["TERMS=3", "ENTRIES=3"]),
    ("COMMIT_BEYOND_VERIFIED", ["TERMS=3", "ENTRIES=3"]),
    ("OLD_TERM_COMMITTED_BY_COUNT",
     ["CANDIDATES=3", "TERMS=4", "ENTRIES=2", "COMMANDS=0", NO_CRASH, QUICK]),
    ("READ_BEFORE_NOOP", ["TERMS=2", "ENTRIES=3", "READS=1", NO_CRASH, QUICK]),
    ("READ_ROUND_REUSED", ["TERMS=2", "ENTRIES=3", "READS=2", NO_CRASH, QUICK]),
    ("CHANGE_IN_ONE_STEP", ["SET0=3", "SET1=4"] + CHANGE),
    ("JOINT_COUNTS_NEW_HALF", ["SET0=3", "SET1=4"] + CHANGE),
    ("JOINT_COUNTS_OLD_HALF", ["SET0=3", "SET1=4"] + CHANGE),
    ("STRANGERS_COUNT", ["NODES=4", "SET0=7", "COMMANDS=0", "ENTRIES=3", NO_CRASH, QUICK]),
    ("TWO_CHANGES_PENDING", ["CANDIDATES=3", "SET0=7", "SET1=1"] + CHANGE),
    ("CONFIG_NOT_ROLLED_BACK", ["CANDIDATES=3", "TERMS=3", "SET0=7", "SET1=1", "ENTRIES=4",
                                "CHANGES=1", "COMMANDS=0", NO_CRASH, QUICK]),
    ("WIPED_DISK_KEEPS_IDENTITY",
     ["NODES=4", "SET0=7", "SET1=11", "WIPED=2", "REBORN=3", "ENTRIES=2", "COMMANDS=0", QUICK]),
]


def compiled(folder, sizes, bitstate):
    """The search program of an instance, built once for each text of the model."""
    options = [f"-D{size}" for size in sizes]
    storage = ["-DBITSTATE"] if bitstate else []
    with open(MODEL, "rb") as file:
        key = hashlib.sha256(file.read() + repr((options, storage)).encode()).hexdigest()[:16]
    place = os.path.join(folder, key)
    program = os.path.join(place, "pan")
    if not os.path.exists(program):
        shutil.rmtree(place, ignore_errors=True)
        os.makedirs(place)
        subprocess.run(["spin", *options, "-a", MODEL], cwd=place, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["cc", "-O2", "-w", "-DSAFETY", "-DNOREDUCE", "-DNOFAIR", f"-DMEMLIM={MEMORY_MB}",
                        *storage, "-o", "pan", "pan.c"], cwd=place, check=True)
    return program


def figure(pattern, text):
    found = re.search(pattern, text)
    return found.group(1) if found else "-"


def search(program, seconds, bitstate, hash_bits):
    """Run one search; interrupted, pan still tells how far it came."""
    command = [program, "-E", f"-m{DEPTH}"]
    if bitstate:
        command += [f"-w{hash_bits}", "-k3"]
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=os.path.dirname(program), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    ended = True
    try:
        text, _ = process.communicate(timeout=max(1, seconds))
    except subprocess.TimeoutExpired:
        ended = False
        process.send_signal(signal.SIGINT)
        try:
            text, _ = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            text, _ = process.communicate()
    truncated = "search depth too small" in text or "out of memory" in text or "reached -DMEMLIM" in text
    states = figure(r"([0-9.e+]+) states, stored", text)
    told = re.search(r"errors: (\d+)", text) is not None
    return {
        "whole": ended and told and not truncated and process.returncode == 0,
        "broken": ended and not told,
        "violated": figure(r"assertion violated (\S+)", text) if "errors: 0" not in text else "-",
        "states": int(float(states)) if states != "-" else 0,
        "depth": figure(r"depth reached (\d+)", text),
        "factor": figure(r"hash factor: ([0-9.e+]+)", text),
        "memory": figure(r"([0-9.]+)\s+total actual memory usage", text),
        "seconds": time.monotonic() - start,
        "text": text,
    }


def row(cells):
    widths = (28, 13, 8, 34, 9, 10)
    print("  ".join(str(cell).ljust(width) for cell, width in zip(cells, widths)).rstrip(), flush=True)


def extent(result, bitstate):
    if result["violated"] != "-":
        return "VIOLATED " + result["violated"]
    if result["broken"]:
        return "ended without a result"
    if not bitstate:
        return "exhausted" if result["whole"] else "not exhausted"
    return f"hash factor {result['factor']}" + (", ended" if result["whole"] else "")


def show(name, result, bitstate):
    row((name, f"{result['states']:,}", result["depth"], extent(result, bitstate),
         f"{result['seconds']:.1f}", result["memory"]))


def is_wrong(result, program):
    if result["violated"] == "-" and not result["broken"]:
        return False
    print(result["text"])
    print(f"the trail is in {os.path.dirname(program)}: there `./pan -r` replays it", flush=True)
    return True


def side_by_side(jobs, function, items):
    """Each item with what the function makes of it, in their order, as many at a time as there are jobs."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
        yield from zip(items, pool.map(function, items))


def run_instances(arguments, folder):
    row(("instance", "states", "depth", "how far", "seconds", "MB"))
    end = time.monotonic() + arguments.seconds
    small = [i for i in SMALL if not arguments.only or i[0] in arguments.only]
    large = [i for i in LARGE if not arguments.only or i[0] in arguments.only]
    wrong = False
    exhausted = 0
    states = 0

    def search_small(instance):
        left = REQUIRED_SECONDS if arguments.require_exhausted else end - time.monotonic()
        program = compiled(folder, instance[2], False)
        return program, search(program, left, False, 0) if left >= 1 else None

    for (name, _, _), (program, result) in side_by_side(arguments.jobs, search_small, small):
        if result is None:
            row((name, "-", "-", "not run: no time left", "-", "-"))
            continue
        show(name, result, False)
        wrong = is_wrong(result, program) or wrong
        exhausted += result["whole"]
        states += result["states"]
    searched = 0
    large_began = time.monotonic()
    for position, (name, _, sizes) in enumerate(large):
        seconds = max(LARGE_SECONDS_MIN, (end - time.monotonic()) / (len(large) - position))
        program = compiled(folder, sizes, True)
        result = search(program, seconds, True, 33)
        show(name, result, True)
        wrong = is_wrong(result, program) or wrong
        searched += result["whole"] or (result["states"] > 0 and result["seconds"] >= LARGE_SECONDS_MIN)
        states += result["states"]
    larger = f", {searched} of {len(large)} larger ones for {time.monotonic() - large_began:.0f} s" if large else ""
    print(f"{exhausted} of {len(small)} small instances exhausted{larger}, {states:,} states, "
          f"{'VIOLATED' if wrong else 'no violation'}")
    return 1 if wrong or searched < len(large) or (arguments.require_exhausted and exhausted < len(small)) else 0


def run_bugs(arguments, folder):
    row(("planted bug", "states", "depth", "how found", "seconds", "MB"))
    bugs = [b for b in BUGS if not arguments.only or b[0] in arguments.only]
    missed = []

    def search_bug(bug):
        return search(compiled(folder, bug[1] + [f"BUG_{bug[0]}"], False), arguments.seconds, False, 0)

    for (name, _), result in side_by_side(arguments.jobs, search_bug, bugs):
        found = result["violated"] != "-"
        row((name, f"{result['states']:,}", result["depth"],
             result["violated"] if found else "NOT FOUND", f"{result['seconds']:.1f}", result["memory"]))
        if not found:
            missed.append(name)
    print(f"{len(bugs) - len(missed)} of {len(bugs)} planted bugs found"
          + (": missed " + " ".join(missed) if missed else ""))
    return 1 if missed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=None,
                        help=f"for all instances together (600), but {LARGE_SECONDS_MIN} for each larger one whatever is left; "
                             "with --bugs for each bug (300)")
    parser.add_argument("--only", action="append", metavar="NAME")
    parser.add_argument("--bugs", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=1, help="searches at a time: each may take a GB of memory")
    parser.add_argument("--require-exhausted", action="store_true")
    parser.add_argument("--skip-without-spin", action="store_true")
    parser.add_argument("--folder", default=os.path.join(HERE, "../../build/model"))
    arguments = parser.parse_args()
    if arguments.list:
        for name, purpose, sizes in SMALL + LARGE:
            print(f"{name}: {purpose}\n    {' '.join(sizes)}")
        return 0
    known = [i[0] for i in BUGS] if arguments.bugs else [i[0] for i in SMALL + LARGE]
    for name in arguments.only or []:
        if name not in known:
            print(f"run.py: no instance {name!r}; there are: {', '.join(known)}", file=sys.stderr)
            return 2
    if shutil.which("spin") is None:
        print("run.py: spin is not installed: scripts/setup installs it", file=sys.stderr)
        return 77 if arguments.skip_without_spin else 2
    if arguments.seconds is None:
        arguments.seconds = 300 if arguments.bugs else 600
    folder = os.path.abspath(arguments.folder)
    return run_bugs(arguments, folder) if arguments.bugs else run_instances(arguments, folder)


if __name__ == "__main__":
    sys.exit(main())
