#!/usr/bin/env python3
"""scripts/verify names what failed: the violation and its replay, not what a program happened to say last."""
import importlib.machinery
import importlib.util
import pathlib
import sys
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


if __name__ == "__main__":
    unittest.main()
