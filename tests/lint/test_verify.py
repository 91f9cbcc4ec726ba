#!/usr/bin/env python3
"""scripts/verify names what failed: the violation and its replay, not what a program happened to say last. And it does the
least of each stage whatever time there is, and ends with its table whatever becomes of a stage."""
import importlib.machinery
import importlib.util
import math
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True


def load(path):
    loader = importlib.machinery.SourceFileLoader("verify", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("verify", loader))
    sys.modules["verify"] = module  # its dataclasses look themselves up
    loader.exec_module(module)
    return module


verify = load(ROOT / "scripts/verify")
VIOLATION = "violation at step 14276, 91650000 us, server 1: L1: no convergence after healing"
REPLAY = "simulate --seed 7 --profile mini --trace"


class Reasons(unittest.TestCase):
    def expect(self, output, reason):
        self.assertEqual(verify.reason_of(output), reason)

    def test_a_violation_and_its_replay(self):
        self.expect(f"  server 1: leader\n{VIOLATION}\nthe last lines of its trace:\n{VIOLATION}\nreplay: {REPLAY}\n",
                    f"{VIOLATION}; replay: {REPLAY}")

    def test_a_violation_that_another_program_follows(self):
        self.expect(f"{VIOLATION}\nvalgrind: You should use $prefix/bin/valgrind.\n", VIOLATION)

    def test_a_replay_alone(self):
        self.expect(f"some words\nreplay: {REPLAY}\n", f"replay: {REPLAY}")

    def test_a_power_cut(self):
        self.expect("wrong: the base fell\n  again: power_cut --story 7\n", "wrong: the base fell; replay: power_cut --story 7")

    def test_the_first_test_that_failed(self):
        self.expect("  Test: test_a ...FAILED\n    1. test_a.c:7 - false\nThe following tests FAILED:\n"
                    "\t 12 - unit/base/test_a (Failed)\n\t 13 - unit/base/test_b (Timeout)\nErrors while running CTest\n",
                    "unit/base/test_a; 1. test_a.c:7 - false")

    def test_a_failed_check(self):
        self.expect("mini: 5 seeds\nraft/raft.c:3: check failed: a == b (left 1, right 2)\nthe end\n",
                    "raft/raft.c:3: check failed: a == b (left 1, right 2)")

    def test_the_reports_of_sanitizers_and_valgrind(self):
        for report in ("==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1",
                       "raft/raft.c:3:5: runtime error: signed integer overflow",
                       "==7== Invalid read of size 8",
                       "==7== 24 bytes in 1 blocks are definitely lost in loss record 1 of 2"):
            self.expect(f"mini: 5 seeds\n{report}\n==7==    at 0x1: main\n==7== \n", report)

    def test_the_last_line_of_others(self):
        self.expect("one\ntwo\n\n", "two")
        self.expect("", "no output")


class Programs:
    """In the place of a Run: programs that do nothing, but tell what they were called with."""
    jobs = 2

    def __init__(self, seconds=0.0, timed_seeds=5, bounds="quick\nlarge-deep\n"):
        self.seconds, self.timed_seeds, self.bounds = seconds, timed_seeds, bounds
        self.calls = []

    def side_by_side(self, tasks):
        return [task() for task in tasks]

    def must(self, *words, **_):
        words = [str(word) for word in words]
        self.calls.append(words)
        if words[0].endswith("explore"):
            return self.bounds if "--list" in words else "states 7 distinct: exhausted"
        seeds = self.timed_seeds
        if "--seeds" in words:
            first, last = map(int, words[words.index("--seeds") + 1].split(".."))
            seeds = last - first + 1
        profile = words[words.index("--profile") + 1]
        return f"{profile}: {seeds} seeds from 1 in 0.5 s of one core: {seeds * 2}.0 seeds and 9 events a second, 9 events a seed\n"


class Least(unittest.TestCase):
    def done(self, timed_seeds):
        run = Programs(timed_seeds=timed_seeds)
        done = verify.simulate_all(run, [("dev", True), ("release", False)], {"mini": 100, "soak": 8})
        return run, {kind: seeds for kind, (seeds, _) in done.items()}

    def test_seeds_that_time_did_not_reach_are_run_all_the_same(self):
        self.assertEqual(self.done(3)[1], {("mini", "dev"): 100, ("mini", "release"): 100,
                                           ("soak", "dev"): 8, ("soak", "release"): 8})

    def test_enough_seeds_are_enough(self):
        run, seeds = self.done(70)
        self.assertEqual(set(seeds.values()), {140})
        self.assertFalse([words for words in run.calls if "--seeds" in words])

    def test_a_simulation_that_tells_no_seeds_falls_short(self):
        run = Programs()
        run.must = lambda *words, **options: "nothing\n"
        with self.assertRaises(verify.Shortfall):
            verify.simulate_all(run, [("dev", True)], {"mini": 1})

    def test_all_profiles_have_their_least(self):
        usage = (ROOT / "tests/simulation/simulate.c").read_text()
        profiles = set(re.search(r'"profiles: (.*?)\\n"', usage)[1].split(", "))
        self.assertEqual((set(verify.SEEDS_MIN), set(verify.SANITIZED_SEEDS_MIN)), (profiles, profiles))

    def test_speed_is_that_of_a_processor(self):
        figure, _ = verify.simulation(Programs(timed_seeds=1000000))
        self.assertIn("one processor does 2000000 mini and 2000000 standard a second with marks", figure)

    def test_a_seed_that_runs_in_another_way_in_one_build_is_told(self):
        builds = (pathlib.Path("dev"), pathlib.Path("asan"))
        run = Programs()
        run.must = lambda program, *_: "  trace hash 00000000000000ab\n"
        self.assertEqual(verify.run_alike(run, builds), len(verify.ALIKE_SEEDS))
        run.must = lambda program, *_: f"  trace hash {'0' if 'asan' in str(program) else 'f'}0000000000000ab\n"
        with self.assertRaisesRegex(verify.Shortfall, "S23: mini seed 7 .*dev f0.*asan 00"):
            verify.run_alike(run, builds)

    def test_deep_bounds_get_their_seconds(self):
        run = Programs(seconds=0)
        with tempfile.TemporaryDirectory() as place:
            verify.LOGS, logs = pathlib.Path(place), verify.LOGS
            verify.explorer(run)
            verify.LOGS = logs
        deep = next(words for words in run.calls if "large-deep" in words)
        self.assertEqual(int(deep[deep.index("--seconds") + 1]), verify.DEEP_SECONDS_MIN)

    def test_fuzz_targets_get_their_seconds(self):
        self.assertEqual(verify.fuzz_seconds_each(10, 1, 24), verify.FUZZ_SECONDS_MIN)
        self.assertEqual(verify.fuzz_seconds_each(1e6, 1, 24), verify.FUZZ_SECONDS)
        self.assertEqual(verify.fuzz_seconds_each(1200, 2, 24), 100)

    def test_the_header_tells_how_long_a_run_fuzzes_in_full(self):
        alone = verify.FUZZ_SECONDS * verify.fuzz_shares() / 2 / 60
        weights = {stage.name: stage.weight for stage in verify.STAGES}
        whole = alone * sum(weights.values()) / weights["fuzz"]
        self.assertIn(f"--minutes {math.ceil(whole / 10) * 10}, or --minutes {math.ceil(alone)} --only fuzz", verify.__doc__)


class ClusterUnderFaults:
    """In the place of a Run for chaos: each seed gives one kind of fault, all seeds every kind in `given`."""

    def __init__(self, given, deaths=1):
        self.seconds, self.given, self.deaths = 0.0, given, deaths
        self.servers = []

    def schedule(self, words):
        seed = int(words[words.index("--seed") + 1])
        return f"  round 1\n     215..3871 ms {self.given[seed // 64 % len(self.given)]} leader (else 3)\n"

    def must(self, *words):
        return "loss\nkill\nmark\n" if "--list" in words else self.schedule(words)

    def call(self, *words):
        servers = words[words.index("--servers") + 1]
        self.servers.append(servers)
        return 0, f"{self.schedule(words)}  {servers} servers, 3 rounds, 3 faults, {self.deaths} deaths at marks: 9 calls, 2\n"


class Chaos(unittest.TestCase):
    def test_every_size_and_kind_of_fault_is_met_without_any_time(self):
        run = ClusterUnderFaults(("loss", "kill", "mark"))
        figure, limit = verify.chaos(run)
        self.assertEqual(run.servers, [3, 5, 7])
        self.assertEqual(figure, "9 rounds, 9 faults, 3 deaths at marks, 27 calls, on 3, 5, 7 servers")
        self.assertIn("3 kinds of faults", limit)

    def expect_short(self, run, reason):
        with self.assertRaises(verify.Shortfall) as caught:
            verify.chaos(run)
        self.assertIn(reason, str(caught.exception))
        self.assertEqual(len(run.servers), verify.CHAOS_RUNS_MAX)

    def test_a_kind_of_fault_that_never_comes_falls_short(self):
        self.expect_short(ClusterUnderFaults(("loss", "mark")), "no kill in 9 runs")

    def test_no_death_at_a_mark_falls_short(self):
        self.expect_short(ClusterUnderFaults(("loss", "kill", "mark"), deaths=0), "no death at a mark in 9 runs")


class Marks(unittest.TestCase):
    """What the simulation alone must pass, judged by marks.py over what it left."""

    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        for name in ("MARKS", "DEV"):
            self.addCleanup(setattr, verify, name, getattr(verify, name))
            setattr(verify, name, pathlib.Path(self.place.name, name))
        (verify.DEV / "marks").mkdir(parents=True)
        verify.MARKS.mkdir()
        places = verify.ROOT / "tests/coverage"
        self.must = [line for line in (places / "marks_must_simulation.txt").read_text().splitlines() if line[:1] not in ("", "#")]

    def figure(self, simulated):
        run = Programs()
        run.must = lambda *words, **_: ""

        def call(*words, **_):
            done = subprocess.run([str(word) for word in words], cwd=ROOT, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout + done.stderr

        run.call = call
        sys.path.insert(0, str(ROOT / "tests/lint"))
        import marks  # pylint: disable=import-outside-toplevel
        names = [name for name, *_ in marks.marks(marks.shipped(ROOT))]
        (verify.DEV / "marks/unit").write_text("".join(f"{name} 1\n" for name in names))
        if simulated is not None:
            (verify.MARKS / "simulate-mini-1").write_text("".join(f"{name} 2\n" for name in simulated))
        return verify.marks(run)[0], len(names)

    def test_what_it_passed_alone_is_told(self):
        figure, there = self.figure(self.must)
        self.assertEqual(figure, f"{there} of {there} marks, {len(self.must)} of them by the simulation alone")

    def test_what_only_other_tests_passed_falls_short(self):
        with self.assertRaisesRegex(verify.Shortfall, f"missed: {min(self.must)}"):
            self.figure(sorted(self.must)[1:])

    def test_without_a_simulation_it_falls_short(self):
        with self.assertRaisesRegex(verify.Shortfall, "did not run"):
            self.figure(None)


class Rows(unittest.TestCase):
    def row(self, function):
        with tempfile.TemporaryDirectory() as place:
            verify.LOGS, logs = pathlib.Path(place), verify.LOGS
            row = verify.perform(verify.Stage("one", "", 1, function), 1, 1)
            log = (pathlib.Path(place) / "one.log").read_text()
            verify.LOGS = logs
        return row[:4], log

    def test_a_stage_that_does_its_work_is_ok(self):
        self.assertEqual(self.row(lambda run: ("done", "all"))[0], ("one", "done", "all", "ok"))

    def test_a_fault_of_a_stage_itself_is_a_row_and_told(self):
        row, log = self.row(lambda run: {}["no such key"])
        self.assertEqual(row, ("one", "verify itself failed: KeyError('no such key')", "", "FAILED"))
        self.assertIn("Traceback", log)

    def test_a_missing_program_is_a_row(self):
        self.assertEqual(self.row(lambda run: run.must("/no/such/program"))[0][3], "SHORT")


class PowerCuts(unittest.TestCase):
    CUTS = ("images by where the power went: between steps 81, first start 39, log write 0, generation switch 0; 0 of them named as half a commit\n"
            "1 stories of 40 steps, 407 file operations; 408 images of power cuts: one at every cut, all right\n")
    FAILURES = "2370 of 2370 failures played, 4740 images after them: all right\n"

    def test_images_after_failing_calls_are_not_counted_as_power_cuts(self):
        self.assertEqual(verify.images_of(self.CUTS + self.FAILURES), 408)

    def test_a_kind_of_step_without_an_image_is_named(self):
        self.assertEqual(verify.steps_without_images(self.CUTS), ["log write", "generation switch"])

    def test_no_table_is_no_image(self):
        self.assertEqual(verify.steps_without_images(self.FAILURES), ["any step"])


if __name__ == "__main__":
    unittest.main()
