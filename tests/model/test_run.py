#!/usr/bin/env python3
"""run.py fails when an instance that was to be searched was not, however it came about."""
import contextlib
import importlib.util
import io
import pathlib
import sys
import types
import unittest

sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("model_run", pathlib.Path(__file__).with_name("run.py"))
run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run)


class Instances(unittest.TestCase):
    def outcome(self, large, small=None, seconds=0):
        """The exit code and last line when each search of a larger instance ends as `large` says."""
        self.given = []
        result = {"whole": True, "broken": False, "violated": "-", "states": 5, "depth": 1, "factor": "9", "memory": "1",
                  "seconds": 0.1, "text": ""}

        def search(_, limit, bitstate, __):
            if not bitstate:
                return {**result, **(small or {})}
            self.given.append(limit)
            return {**result, "whole": False, "seconds": limit, **large}

        run.search, run.compiled = search, lambda *_: "/nowhere/pan"
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = run.run_instances(types.SimpleNamespace(seconds=seconds, only=None, require_exhausted=True, jobs=1), "")
        return code, said.getvalue().splitlines()[-1]

    def test_larger_instances_get_their_seconds_when_none_are_left(self):
        code, last = self.outcome({})
        self.assertEqual((code, set(self.given), len(self.given)), (0, {run.LARGE_SECONDS_MIN}, len(run.LARGE)))
        self.assertIn(f"{len(run.LARGE)} of {len(run.LARGE)} larger ones", last)

    def test_they_share_what_is_left(self):
        self.outcome({}, seconds=1000)
        self.assertAlmostEqual(self.given[0], 1000 / len(run.LARGE), delta=5)

    def test_one_that_tells_no_states_or_ends_early_was_not_searched(self):
        for large in ({"states": 0}, {"seconds": run.LARGE_SECONDS_MIN - 1}):
            code, last = self.outcome(large)
            self.assertEqual(code, 1, large)
            self.assertIn(f"0 of {len(run.LARGE)} larger ones", last)

    def test_one_that_ended_whole_was(self):
        self.assertEqual(self.outcome({"whole": True, "seconds": 1})[0], 0)

    def test_a_violation_and_a_small_one_left_fail(self):
        self.assertEqual(self.outcome({"violated": "one_leader"})[0], 1)
        self.assertEqual(self.outcome({}, small={"whole": False})[0], 1)


if __name__ == "__main__":
    unittest.main()
