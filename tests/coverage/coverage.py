#!/usr/bin/env python3
"""Coverage of raft/ by scenarios, the random walk and the simulation.

    coverage.py [--build FOLDER] [--scale N] [--missing] [--no-build]

Builds the preset `coverage` (or uses FOLDER, configured alike), runs all scenarios, the walk and seeds of each simulation
profile (N times as many with --scale N), and prints a table of lines and branches per file; with --missing also where they
are missing. Exits 1 below the limits.

Left out are the arms that a failed assertion takes: of lines that begin a CHECK, CHECK_OP or MARK_IF no branches are counted
(a mark that was not passed is missed by marks.py), and `CHECK(false)` is no line."""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINES_MIN = 97.0
BRANCHES_MIN = 92.0
WALK_SEEDS = 600
# A branch behind a failed assertion, or behind the question of a mark.
ASSERTION = r"\s*(CHECK|CHECK_OP|MARK_IF)\("
NO_LINE = r"\s*CHECK\(false\)"
PROFILE_SEEDS = {"mini": 3000, "standard": 100, "churn": 80, "dump": 100, "disk": 150, "soak": 4}
PROFILE_SEEDS_OTHER = 40


def run(*command, **options):
    print("+", " ".join(map(str, command)), flush=True)
    return subprocess.run(list(map(str, command)), check=True, **options)


def build(folder):
    if folder is None:
        folder = ROOT / "build/coverage"
        run("cmake", "--preset", "coverage", "-Wno-dev", "--log-level=WARNING", cwd=ROOT)
    # A compiler's cache may name the sources by paths that gcovr does not find.
    run("cmake", "--build", folder, "-j2", "--target", "scenario_runner", "scenario_walk", "simulate",
        stdout=subprocess.DEVNULL, env={**os.environ, "CCACHE_DISABLE": "1"})
    return folder


def profiles(simulate):
    """The names that simulate's usage gives."""
    usage = subprocess.run([simulate], capture_output=True, text=True, check=False).stderr
    found = re.search(r"^profiles: (.*)$", usage, re.MULTILINE)
    return found[1].split(", ") if found else sys.exit(f"{simulate} names no profiles")


def exercise(folder, scale):
    for old in folder.rglob("*.gcda"):
        old.unlink()
    scenarios = sorted(path for path in (ROOT / "tests/scenario").glob("*.txt") if path.name != "CMakeLists.txt")
    print(f"+ scenario_runner: {len(scenarios)} scenarios", flush=True)
    for scenario in scenarios:
        subprocess.run([folder / "tests/scenario/scenario_runner", scenario], check=True)
    run(folder / "tests/scenario/scenario_walk", WALK_SEEDS * scale)
    simulate = folder / "tests/simulation/simulate"
    for profile in profiles(simulate):
        seeds = PROFILE_SEEDS.get(profile, PROFILE_SEEDS_OTHER) * scale
        print(f"+ simulate: {seeds} seeds of {profile}", flush=True)
        result = subprocess.run([simulate, "--seeds", f"1..{seeds}", "--profile", profile], text=True, check=False,
                                stderr=subprocess.PIPE, errors="replace")
        if result.returncode != 0:
            sys.exit(result.stderr)


def measure(folder):
    with tempfile.TemporaryDirectory() as place:
        report = pathlib.Path(place, "coverage.json")
        run("gcovr", "--root", ROOT, "--object-directory", folder / "raft", folder / "raft",
            "--filter", f"{re.escape(str(ROOT))}/raft/", "--exclude-branches-by-pattern", ASSERTION,
            "--exclude-lines-by-pattern", NO_LINE, "--json", report)
        return json.loads(report.read_text())["files"]


def judge(file):
    lines = [line for line in file["lines"] if not line.get("gcovr/noncode")]
    branches = [(line["line_number"], branch["count"] > 0) for line in lines for branch in line["branches"]]
    return {
        "name": file["file"],
        "lines": len(lines), "lines_hit": sum(line["count"] > 0 for line in lines),
        "branches": len(branches), "branches_hit": sum(hit for _, hit in branches),
        "lines_missing": sorted({line["line_number"] for line in lines if line["count"] == 0}),
        "branches_missing": sorted({number for number, hit in branches if not hit}),
    }


def percent(hit, of):
    return 100.0 * hit / of if of else 100.0


def show(results, missing):
    print(f"{'file':32} {'lines':>6} {'hit':>6} {'%':>6}  {'branches':>8} {'hit':>6} {'%':>6}")
    for result in results:
        print(f"{result['name']:32} {result['lines']:6} {result['lines_hit']:6}"
              f" {percent(result['lines_hit'], result['lines']):6.1f}  {result['branches']:8} {result['branches_hit']:6}"
              f" {percent(result['branches_hit'], result['branches']):6.1f}")
        if missing and result["name"] != "all":
            for kind in ("lines", "branches"):
                if result[kind + "_missing"]:
                    print(f"    {kind}: {', '.join(map(str, result[kind + '_missing']))}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--scale", type=int, default=1, metavar="N")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--no-build", action="store_true", help="measure what the last run left")
    arguments = parser.parse_args()

    folder = arguments.build.resolve() if arguments.build else None
    if arguments.no_build:
        folder = folder or ROOT / "build/coverage"
    else:
        folder = build(folder)
        exercise(folder, arguments.scale)
    results = sorted(map(judge, measure(folder)), key=lambda result: result["name"])
    if not results:
        sys.exit(f"gcovr found nothing of raft/ in {folder}")
    total = {kind: sum(result[kind] for result in results)
             for kind in ("lines", "lines_hit", "branches", "branches_hit")}
    show([*results, {"name": "all", **total}], arguments.missing)
    lines = percent(total["lines_hit"], total["lines"])
    branches = percent(total["branches_hit"], total["branches"])
    enough = lines >= LINES_MIN and branches >= BRANCHES_MIN
    print(f"raft/: {lines:.1f} % of lines (at least {LINES_MIN:.0f}), {branches:.1f} % of branches (at least"
          f" {BRANCHES_MIN:.0f}): {'enough' if enough else 'too little'}")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
