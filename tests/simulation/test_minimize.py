#!/usr/bin/env python3
"""simulate tells with a failure how it was built; --minimize makes a smaller plan that fails in the same way.

    test_minimize.py SIMULATE FOLDER

The bound of L1 is set so low that some seed breaks it, which the servers would keep without what happens to them there."""
import pathlib
import re
import subprocess
import sys

LOW = ["--profile", "mini", "--set", "settling_timeouts_max=3"]
SEEDS = "1..5000"


def run(simulate, *words):
    return subprocess.run([simulate, *words], capture_output=True, text=True, check=False)


def find_seed(simulate):
    """Of a run that fails, and how the program was built."""
    told = run(simulate, "--seeds", SEEDS, *LOW).stderr
    found = re.search(r"^build: (.+)\nreplay: .*--seed (\d+) ", told, re.MULTILINE)
    return found.groups() if found else (None, None)


def items_of(path):
    return [line for line in path.read_text().splitlines() if line.startswith("at ")]


def expect(holds, what, left, right):
    print(f"{'ok' if holds else 'FAILED'}: {what}: {left} and {right}")
    return holds


def main():
    simulate = sys.argv[1]
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / "whole.plan"
    small = folder / "small.plan"
    build, seed = find_seed(simulate)
    sound = expect(build is not None and "marks" in build, "a failure names the build", build, "a compiler, a type, marks")
    if not expect(seed is not None, f"one of the seeds {SEEDS} breaks the low bound", seed, "a number"):
        return 1
    recorded = run(simulate, "--seed", seed, *LOW, "--plan-to", str(whole))
    minimized = run(simulate, "--minimize", "--seed", seed, *LOW, "--plan-to", str(small))
    sound &= expect(recorded.returncode == 0 and minimized.returncode == 0, "both plans are written", recorded.returncode,
                    minimized.returncode)
    if not sound:
        print(minimized.stderr)
        return 1
    before, after = items_of(whole), items_of(small)
    sound &= expect(0 < len(after) < len(before) / 2, "the smaller plan has some items, and less than half", len(after),
                    len(before))
    sound &= expect(set(after) <= set(before) or all(" for=" in item for item in set(after) - set(before)),
                    "it has none that the whole has not, but for shorter faults", len(set(after) - set(before)), 0)
    for plan in (whole, small):
        again = run(simulate, "--plan", str(plan))
        found = re.search(r"^violation at [^:]*: (\w+):", again.stderr, re.MULTILINE)
        sound &= expect(again.returncode == 1 and found is not None and found.group(1) == "L1",
                        f"{plan.name} fails with L1", again.returncode, found and found.group(1))
    title = small.read_text().splitlines()[0]
    sound &= expect(title == "# L1", "the smaller plan names what fails", title, "# L1")
    without = folder / "without.plan"
    without.write_text("\n".join(line for line in small.read_text().splitlines() if not line.startswith("at ")) + "\n")
    passed = run(simulate, "--plan", str(without))
    sound &= expect(passed.returncode == 0, "without its items nothing fails", passed.returncode, 0)
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
