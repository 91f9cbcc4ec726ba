#!/usr/bin/env python3
"""Put one known bug at a time into the sources and show that a test finds it.

    mutate.py                   every bug of bugs/, until each is found or its time is over
    mutate.py --quick           only those of quick.txt, and unit tests count for all of them
    mutate.py --all-detectors   go on after the first find: what does each kind of test see?
    mutate.py --only TEXT       the bugs whose name contains TEXT; may be repeated
    mutate.py --check           every bug applies and compiles (--apply-only: applies)
    mutate.py --list            names and sentences

Bugs of raft/, server/node/ and server/state/ must be found from outside: by scenarios, the explorer, the walk, the simulation
or power cuts. Unit tests know where to look, so they count there only for a bug whose file says why nothing else can see it.
A run that is ended for its time found nothing, since a busy machine is slow too, unless the bug's file says that it hangs;
nor did one that fails in the same way without the bug.

Nothing is changed in the source tree. A build folder that is configured with Ninja lends its objects: the mutated files are
compiled apart, with the command of that build, put into a copy of their library, and the test programs are linked again with
that copy. README.md tells the format of a bug, and how to add one.

Ends 1 when a bug was not found, does not apply or does not compile, or when a test fails without any bug."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
# A mark of coverage may stand between two lines of a bug's old text; it goes with them.
MARK = r"(?:[ \t]*MARK\w*\([^\n]*\);\n)*"
UNIT_FOLDERS = {"raft": "raft", "server/node": "node", "server/state": "state", "server/net": "net",
                "persistence": "persistence"}
# What is wrong there must show in what a cluster does.
OUTSIDE_FOLDERS = ("raft", "server/node", "server/state")
# Seeds of one call: a second or two, so that a find is timed well.
WALK_SEEDS = 200
# Searched to the end, each once: seconds, not minutes.
EXPLORER_BOUNDS = ("quick", "membership", "dump", "election")
SIMULATION_SEEDS = {"mini": 400, "churn": 40, "standard": 60, "dump": 60, "disk": 80, "cut": 200}
STORES_SEEDS = {"stores": 80}  # the only ones that run persistence
# Seconds of a round; random walk and simulation take turns, each round longer than the one before.
ROUNDS = (4, 12, 36, 108, 324, 972)
# Of one call of a program, far more than it takes. The clock counts too: it may hang without using the CPU.
CALL_CPU_SECONDS = 60
CALL_CLOCK_SECONDS = 400
HANG_CLOCK_SECONDS = 60  # where the bug's file says that it hangs
SCENARIO_CPU_SECONDS = 10
SCENARIO_HANGS_MAX = 3  # the others will hang too
HANGS = "it does not end"
# The line that says what is wrong: of an oracle, of power cuts, of a CHECK, of the scenario runner, of CUnit.
EVIDENCE = re.compile(r"^violat|^wrong: |check failed|^happened: |^ +1\. |^S\d+: |^line \d+: ")

FIELDS = {"number", "bug", "hangs", "unit tests alone"}


class Fault(Exception):
    """The bug itself is at fault: it does not apply or does not compile."""


# --- Bugs ---


class Bug:
    """A file of bugs/: `key: value` lines, then blocks of `--- file PATH`, old text, `--- new`, new text, `--- end`."""

    def __init__(self, path):
        self.name = path.stem
        self.path = path
        self.fields = {}
        self.edits = []  # (file, old, new)
        self.parse(path.read_text().splitlines())

    def parse(self, lines):
        state, file, old, new = "head", None, [], []
        for number, line in enumerate(lines, 1):
            if state == "head" and line.startswith("--- file "):
                state, file, old, new = "old", line[9:].strip(), [], []
            elif state == "old" and line == "--- new":
                state = "new"
            elif state == "new" and line == "--- end":
                self.edits.append((file, "\n".join(old), "\n".join(new)))
                state = "head"
            elif state == "old":
                old.append(line)
            elif state == "new":
                new.append(line)
            elif line.strip():
                key, colon, value = line.partition(":")
                if not colon:
                    raise Fault(f"{self.path.name}:{number}: neither a field nor a block")
                self.fields[key.strip()] = value.strip()
        if state != "head" or not self.edits or not self.fields.get("bug") or "number" not in self.fields:
            raise Fault(f"{self.path.name}: needs the fields 'number' and 'bug' and at least one whole block")
        unknown = self.fields.keys() - FIELDS
        if unknown:
            raise Fault(f"{self.path.name}: there is no field {', '.join(sorted(unknown))}")

    @property
    def number(self):
        return self.fields["number"]

    @property
    def sentence(self):
        return self.fields["bug"]

    @property
    def hangs(self):
        return "hangs" in self.fields

    @property
    def counts_unit_tests(self):
        """Whether a unit test is enough: what is no part of the cluster's rules, and honest exceptions."""
        return "unit tests alone" in self.fields or not set(self.folders()) <= set(OUTSIDE_FOLDERS)

    def files(self):
        return list(dict.fromkeys(file for file, _, _ in self.edits))

    def folders(self):
        return list(dict.fromkeys(str(pathlib.PurePath(file).parent) for file in self.files()))

    def apply(self, source):
        """The changed texts, by file."""
        texts = {}
        for file, old, new in self.edits:
            if not file.endswith(".c"):
                raise Fault(f"{self.name}: {file} is no .c file; other sources would keep the old header")
            if file not in texts:
                try:
                    texts[file] = (source / file).read_text()
                except OSError:
                    raise Fault(f"{self.name}: there is no {file} any more; name the file that took over its code "
                                f"in bugs/{self.path.name}") from None
            texts[file] = self.replace(file, texts[file], old, new)
        return texts

    def replace(self, file, text, old, new):
        pattern = re.compile(("\n" + MARK).join(re.escape(line) for line in old.split("\n")))
        found = pattern.findall(text)
        if len(found) != 1:
            first = old.strip().split("\n")[0]
            raise Fault(f"{self.name}: the old text that begins with '{first.strip()}' occurs {len(found)} times in {file}, "
                        f"not once; bring bugs/{self.path.name} in line with the code as it is now")
        return pattern.sub(lambda match: new, text)


def load_bugs(only):
    bugs = [Bug(path) for path in sorted((HERE / "bugs").glob("*.txt"))]
    return [bug for bug in bugs if not only or any(text in bug.name for text in only)]


# --- Building ---


class Build:
    """The configured folder that lends compile and link commands, objects and libraries."""

    def __init__(self, source, folder):
        self.source, self.folder = source, folder
        units = json.loads((folder / "compile_commands.json").read_text())
        self.units = {os.path.relpath(unit["file"], source): unit for unit in units}
        self.links = {}
        self.lock = threading.Lock()

    def programs(self, unit_folders):
        names = ["scenario_runner", "scenario_walk", "explore", "simulate", "power_cut"]
        for folder in unit_folders:
            names += sorted(path.stem for path in (self.source / "tests/unit" / folder).glob("test_*.c"))
        return names

    def make(self, programs):
        subprocess.run(["ninja", "-C", str(self.folder), *programs], check=True, stdout=subprocess.DEVNULL)

    def program_path(self, program, unit_folder=None):
        places = {"scenario_runner": "tests/scenario", "scenario_walk": "tests/scenario", "simulate": "tests/simulation",
                  "explore": "tests/explorer", "power_cut": "tests/power_cut"}
        return f"{places.get(program) or 'tests/unit/' + unit_folder}/{program}"

    def link_command(self, path):
        with self.lock:
            if path not in self.links:
                commands = subprocess.run(["ninja", "-C", str(self.folder), "-t", "commands", "-s", path], check=True,
                                          capture_output=True, text=True).stdout
                self.links[path] = commands.strip().splitlines()[-1]
            return self.links[path]

    def compile(self, work, file, syntax_only=False):
        unit = self.units.get(file)
        if unit is None:
            raise Fault(f"{file} is not part of the build in {self.folder}")
        words, kept = shlex.split(unit["command"]), []
        while words:
            word = words.pop(0)
            if word in ("-MF", "-MT", "-o", "-c"):
                words.pop(0)
            elif word != "-MD":
                kept.append(word)
        target = work / "objects" / (file + ".o")
        target.parent.mkdir(parents=True, exist_ok=True)
        compiler = 2 if kept[0].endswith("ccache") else 1
        command = kept[:compiler] + ["-I", str(work / "sources")] + kept[compiler:] + ["-w", "-g0"]
        command += ["-fsyntax-only"] if syntax_only else ["-o", str(target)]
        command += ["-c", str(work / "sources" / file)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if "error:" in line] or [done.stderr.strip()]
            raise Fault(f"does not compile: {errors[0]}")
        return target

    def link(self, work, path, objects):
        """The program with the mutated objects in it; the build's own without any."""
        if not objects:
            return self.folder / path
        target = work / "programs" / path
        if target.exists():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        command, count = re.subn(rf" -o {re.escape(path)} ", f" -s -o {shlex.quote(str(target))} ", self.link_command(path))
        if count != 1:
            raise Fault(f"the link command of {path} is not understood: {command}")
        for library in self.libraries(work, objects):
            command = command.replace(f" {library.relative_to(work / 'libraries')} ", f" {shlex.quote(str(library))} ")
        done = subprocess.run(command, cwd=self.folder, shell=True, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Fault(f"{path} does not link: {done.stderr.strip()}")
        return target

    def libraries(self, work, objects):
        """Copies of the libraries with the mutated objects in the place of their own."""
        folders = {}
        for item in objects:
            folders.setdefault(item.relative_to(work / "objects").parent, []).append(str(item))
        found = []
        for folder, items in folders.items():
            library = work / "libraries" / folder / f"lib{folder.name}.a"
            if not library.exists():
                library.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.folder / folder / library.name, library)
                subprocess.run(["ar", "r", str(library), *items], check=True, stderr=subprocess.DEVNULL)
            found.append(library)
        return found


# --- Running ---


class Finding:
    def __init__(self, by, text):
        self.by, self.text = by, text


def run_program(command, cpu_seconds, clock_seconds):
    """(seconds of CPU, None or what it said when it failed)."""
    limits = 'ulimit -c 0; ulimit -v 8388608; ulimit -t "$1"; shift; exec "$@"'
    environment = dict(os.environ, ASAN_OPTIONS="abort_on_error=1")
    process = subprocess.Popen(["/bin/sh", "-c", limits, "sh", str(cpu_seconds), *map(str, command)], env=environment,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    timer = threading.Timer(clock_seconds, lambda: os.killpg(process.pid, signal.SIGKILL))
    timer.start()
    said = process.stdout.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    timer.cancel()
    process.stdout.close()
    seconds = usage.ru_utime + usage.ru_stime
    if process.returncode == 0:
        return seconds, None
    if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return seconds, HANGS
    evidence = next((line for line in said.splitlines() if EVIDENCE.search(line)), None)
    how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit {process.returncode}"
    return seconds, re.sub(r" +", " ", evidence).strip() if evidence else how


class Detectors:
    """The tests over one set of mutated objects, in the order from quick to slow. Each `run_` yields
    (seconds, finding or None) after each program."""

    def __init__(self, build, work, objects, folders, with_unit_tests=True, hangs=False):
        self.build, self.work, self.objects, self.folders = build, work, objects, folders
        self.with_unit_tests = with_unit_tests
        self.clock_seconds = HANG_CLOCK_SECONDS if hangs else CALL_CLOCK_SECONDS
        self.profiles = STORES_SEEDS if folders == ["persistence"] else SIMULATION_SEEDS
        self.seeds = {"walk": 1, **{profile: 1 for profile in self.profiles}}

    def linked(self, path):
        return self.build.link(self.work, path, self.objects)

    def call(self, path, by, *words):
        """(seconds, None or what it found). What the program without the bug says too, the bug is not found by."""
        seconds, failure = run_program([self.linked(path), *words], CALL_CPU_SECONDS, self.clock_seconds)
        if failure and self.objects:
            _, sound = run_program([self.build.folder / path, *words], CALL_CPU_SECONDS, CALL_CLOCK_SECONDS)
            if sound:
                print(f"fails without any bug: {path} {' '.join(map(str, words))}: {sound}", flush=True)
                failure = None
        return seconds, failure and Finding(by, failure)

    def concerns(self, path):
        """Whether the program holds code of a changed folder."""
        command = self.build.link_command(path)
        return any(f" {folder}/lib" in command for folder in self.folders)

    def kinds(self):
        kinds = {"unit": self.run_unit, "scenario": self.run_scenario, "power cut": self.run_power_cut,
                 "explorer": self.run_explorer, "walk": self.run_walk, "simulation": self.run_simulation}
        paths = {"scenario": "tests/scenario/scenario_runner", "walk": "tests/scenario/scenario_walk",
                 "power cut": "tests/power_cut/power_cut", "explorer": "tests/explorer/explore",
                 "simulation": "tests/simulation/simulate"}
        return {kind: run for kind, run in kinds.items()
                if (self.with_unit_tests if kind == "unit" else self.concerns(paths[kind]))}

    def run_unit(self):
        for folder in self.folders:
            unit_folder = UNIT_FOLDERS.get(folder)
            tests = sorted((self.build.source / "tests/unit" / unit_folder).glob("test_*.c")) if unit_folder else []
            for test in tests:
                yield self.call(self.build.program_path(test.stem, unit_folder), f"unit {test.stem}")

    def run_scenario(self):
        program = self.linked("tests/scenario/scenario_runner")
        failed, hung, total, first = [], [], 0.0, None
        for path in sorted((self.build.source / "tests/scenario").glob("*.txt")):
            if path.name == "CMakeLists.txt":
                continue
            seconds, failure = run_program([program, path], SCENARIO_CPU_SECONDS, CALL_CLOCK_SECONDS)
            total += seconds
            if failure == HANGS:
                hung.append(path.stem)
                if len(hung) == SCENARIO_HANGS_MAX:
                    break
            elif failure:
                failed.append(path.stem)
                first = first or failure
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        if hung:
            yield 0.0, Finding(f"scenario {hung[0]}", HANGS)
        yield total, failed and Finding(f"scenario {failed[0]}{more}", first)

    def run_power_cut(self):
        for options in (["--images", 200], ["--faults", "--runs", 1500, "--seed", 300], ["--images", 2000, "--seed", 1000]):
            yield self.call("tests/power_cut/power_cut", f"power cut {options[0][2:]}", *options)

    def run_explorer(self):
        for bounds in EXPLORER_BOUNDS:
            yield self.call("tests/explorer/explore", f"explorer {bounds}", "--bounds", bounds, "--scenario", "/dev/null")

    def run_walk(self):
        while True:
            first = self.seeds["walk"]
            self.seeds["walk"] += WALK_SEEDS
            yield self.call("tests/scenario/scenario_walk", "walk", WALK_SEEDS, first)

    def run_simulation(self):
        program = "tests/simulation/simulate"
        for plan in sorted((self.build.source / "tests/simulation/plans").glob("*.plan")):
            yield self.call(program, f"plan {plan.stem}", "--plan", plan)
        while True:
            for profile, count in self.profiles.items():
                first = self.seeds[profile]
                self.seeds[profile] += count
                yield self.call(program, f"simulation {profile}", "--seeds", f"{first}..{first + count - 1}", "--profile", profile)


def search(run, limit, hangs):
    """Drive one kind until it finds something, ends, or has used `limit` seconds. What does not end is found if it `hangs`."""
    used = 0.0
    for seconds, finding in run:
        used += seconds
        if finding and finding.text == HANGS and not hangs:
            finding = None
        if finding or used >= limit:
            return used, finding or None
    return used, None


class Result:
    def __init__(self, bug):
        self.bug, self.fault, self.findings, self.seconds = bug, None, {}, {}

    def found(self):
        return min(self.findings, key=lambda kind: self.seconds[kind], default=None)


def find_first(detectors, limit, result):
    runs = {kind: run() for kind, run in detectors.kinds().items()}
    used = 0.0
    for kind in ("unit", "scenario", "power cut"):
        if kind in runs:
            seconds, finding = search(runs.pop(kind), limit, result.bug.hangs)
            used += seconds
            if finding:
                result.findings[kind], result.seconds[kind] = finding, used
                return
    for length in ROUNDS:
        for kind, run in runs.items():
            if used >= limit:
                return
            seconds, finding = search(run, min(length, limit - used), result.bug.hangs)
            used += seconds
            if finding:
                result.findings[kind], result.seconds[kind] = finding, used
                return


def find_all(detectors, limit, result):
    for kind, run in detectors.kinds().items():
        result.seconds[kind], finding = search(run(), limit, result.bug.hangs)
        if finding:
            result.findings[kind] = finding


def prepare(build, bug, work, syntax_only=False):
    """Write and compile the mutated sources; the objects."""
    texts = bug.apply(build.source)
    objects = []
    for file, text in texts.items():
        path = work / "sources" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for file in texts:
        try:
            objects.append(build.compile(work, file, syntax_only))
        except Fault as fault:
            raise Fault(f"{bug.name}: {fault}") from None
    return objects


def try_bug(build, bug, options):
    result = Result(bug)
    work = options.work / bug.name
    shutil.rmtree(work, ignore_errors=True)
    try:
        detectors = Detectors(build, work, prepare(build, bug, work), bug.folders(),
                              options.quick or options.all_detectors or bug.counts_unit_tests, bug.hangs)
        (find_all if options.all_detectors else find_first)(detectors, options.minutes_each * 60, result)
    except Fault as fault:
        result.fault = str(fault)
    if not options.keep:
        shutil.rmtree(work, ignore_errors=True)
    return result


def control(build, options, bugs):
    """The same tests without any bug, for a few seconds each."""
    folders = sorted({folder for bug in bugs for folder in bug.folders()})
    failures = []
    for kind, run in Detectors(build, options.work, [], folders).kinds().items():
        finding = search(run(), 1 if options.quick else 10, True)[1]
        if finding:
            failures.append(f"{finding.by}: {finding.text}")
    return failures


# --- Reports ---


def short(text, size):
    return text if len(text) <= size else text[:size - 3] + "..."


def line_of(result):
    kind = result.found()
    if result.fault:
        return f"FAULT      {result.fault}"
    if kind is None:
        return f"NOT FOUND  {result.bug.name}: {result.bug.sentence}"
    finding = result.findings[kind]
    return f"{result.seconds[kind]:7.1f} s  {result.bug.name:44} {finding.by:44} {short(finding.text, 100)}"


def markdown(results, with_all):
    """The table of README.md."""
    kinds = ("unit", "scenario", "explorer", "walk", "simulation")
    lines = ["| bug | no. | " + (" | ".join(kinds) if with_all else "found by | seconds") + " |",
             "|---|---|" + ("---|" * (5 if with_all else 2))]
    for result in results:
        row = f"| `{result.bug.name}`: {result.bug.sentence} | {result.bug.number} | "
        if with_all:
            row += " | ".join(f"{result.seconds[kind]:.1f}" if kind in result.findings else
                              ("no" if kind in result.seconds else "") for kind in kinds)
        else:
            kind = result.found()
            row += f"{result.findings[kind].by} | {result.seconds[kind]:.1f}" if kind else "nothing | "
        lines.append(row + " |")
    return "\n".join(lines) + "\n"


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=pathlib.Path, default=HERE.parent.parent, help="the source tree")
    parser.add_argument("--build", type=pathlib.Path, help="a build folder of it, made by cmake -G Ninja (build/dev)")
    parser.add_argument("--no-make", action="store_true", help="the build folder is up to date")
    parser.add_argument("--minutes-each", type=float, default=10, help="CPU time for one bug; with --all-detectors, a kind")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", action="append", metavar="TEXT")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--all-detectors", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--apply-only", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep the mutated programs in BUILD/mutation")
    parser.add_argument("--no-control", action="store_true")
    parser.add_argument("--markdown", type=pathlib.Path, help="write the results as a table for README.md")
    options = parser.parse_args()
    options.source = options.source.resolve()
    options.build = (options.build or options.source / "build/dev").resolve()
    options.work = options.build / "mutation"
    return options


def list_bugs(bugs):
    for bug in bugs:
        print(f"{bug.number:>5}  {bug.name:44} {bug.sentence}")
    numbers = {bug.number for bug in bugs if bug.number.isdigit()}
    print(f"{len(bugs)} bugs, {len(numbers)} numbers of the catalogue")
    return 0


def check(options, bugs):
    build = None if options.apply_only else Build(options.source, options.build)
    faults = []

    def check_one(bug):
        try:
            if build is None:
                bug.apply(options.source)
            else:
                prepare(build, bug, options.work / "check" / bug.name, syntax_only=True)
        except Fault as fault:
            faults.append(str(fault))

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(check_one, bugs))
    if build is not None:
        shutil.rmtree(options.work / "check", ignore_errors=True)
    for fault in sorted(faults):
        print(fault)
    print(f"{len(bugs) - len(faults)} of {len(bugs)} bugs apply" + ("" if build is None else " and compile"))
    return 1 if faults else 0


def hunt(options, bugs):
    if not (options.build / "build.ninja").exists():
        print(f"{options.build} is no build folder made with Ninja; run cmake --preset dev, or name one with --build")
        return 1
    build = Build(options.source, options.build)
    unit_folders = sorted({UNIT_FOLDERS[folder] for bug in bugs for folder in bug.folders() if folder in UNIT_FOLDERS})
    if not options.no_make:
        build.make(build.programs(unit_folders))
    failures = [] if options.no_control else control(build, options, bugs)
    for failure in failures:
        print(f"fails without any bug: {failure}")
    if failures:
        return 1
    began = time.monotonic()
    results = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(lambda bug: try_bug(build, bug, options), bugs):
            print(line_of(result), flush=True)
            results.append(result)
    bad = [result for result in results if result.fault or not result.findings]
    summary = f"{len(results) - len(bad)} of {len(results)} bugs found in {time.monotonic() - began:.0f} s"
    options.work.mkdir(parents=True, exist_ok=True)
    report = options.work / "report.txt"
    report.write_text("\n".join([*map(line_of, results), summary]) + "\n")
    if options.markdown:
        options.markdown.write_text(markdown(results, options.all_detectors))
    print(f"{summary}; {report}")
    return 1 if bad else 0


def main():
    options = parse_options()
    try:
        bugs = load_bugs(options.only)
        if options.quick:
            names = [name for name in (HERE / "quick.txt").read_text().split("\n") if name and not name.startswith("#")]
            unknown = set(names) - {bug.name for bug in bugs}
            if unknown and not options.only:
                raise Fault(f"quick.txt names what is not in bugs/: {', '.join(sorted(unknown))}")
            bugs = [bug for bug in bugs if bug.name in names]
    except Fault as fault:
        print(fault)
        return 1
    if not bugs:
        print("there is no such bug")
        return 1
    if options.list:
        return list_bugs(bugs)
    if options.check or options.apply_only:
        return check(options, bugs)
    return hunt(options, bugs)


if __name__ == "__main__":
    sys.exit(main())
