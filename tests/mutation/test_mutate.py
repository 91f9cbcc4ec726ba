#!/usr/bin/env python3
"""mutate.py: what counts as a find, and for which bugs."""
import contextlib
import io
import pathlib
import sys
import tempfile
import types
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True
import mutate  # noqa: E402

BUG = """number: -
bug: It does something wrong.
{fields}--- file {file}
old
--- new
new
--- end
"""


def bug(file="raft/raft.c", fields=""):
    with tempfile.TemporaryDirectory() as place:
        path = pathlib.Path(place, "one.txt")
        path.write_text(BUG.format(file=file, fields=fields))
        return mutate.Bug(path)


class Ends(unittest.TestCase):
    def test_a_program_beyond_its_time_is_told_apart_from_one_that_fails(self):
        self.assertEqual(mutate.run_program(["sh", "-c", "while :; do :; done"], 1, 300)[1], mutate.HANGS)
        self.assertEqual(mutate.run_program(["sleep", "300"], 1, 0.2)[1], mutate.HANGS)
        self.assertEqual(mutate.run_program(["false"], 1, 300)[1], "exit 1")
        self.assertIsNone(mutate.run_program(["true"], 1, 300)[1])

    def found(self, said, hangs):
        run = iter([(1.0, None), (2.0, mutate.Finding("walk", said))])
        return mutate.search(run, 100, hangs)[1] is not None

    def test_what_does_not_end_is_found_only_if_the_bug_hangs(self):
        self.assertEqual((self.found(mutate.HANGS, False), self.found(mutate.HANGS, True)), (False, True))
        self.assertEqual((self.found("violation", False), self.found("violation", True)), (True, True))

    def test_the_search_goes_on_behind_what_did_not_end(self):
        run = iter([(1.0, mutate.Finding("walk", mutate.HANGS)), (1.0, mutate.Finding("walk", "violation"))])
        self.assertEqual(mutate.search(run, 100, False)[1].text, "violation")


class Sound(unittest.TestCase):
    """A folder of programs as a build has it: one with a bug, one without."""

    def found(self, without, with_bug):
        with tempfile.TemporaryDirectory() as place:
            for name, text in (("sound", without), ("work", with_bug)):
                path = pathlib.Path(place, name, "program")
                path.parent.mkdir()
                path.write_text("#!/bin/sh\n" + text)
                path.chmod(0o700)
            build = types.SimpleNamespace(folder=pathlib.Path(place, "sound"), link=lambda work, path, objects: work / path)
            detectors = mutate.Detectors(build, pathlib.Path(place, "work"), ["an object"], ["raft"])
            with contextlib.redirect_stdout(io.StringIO()):
                return detectors.call("program", "walk", 7)[1]

    def test_what_fails_without_the_bug_too_is_not_found(self):
        self.assertIsNone(self.found("exit 1", "exit 1"))

    def test_what_fails_with_the_bug_alone_is(self):
        self.assertEqual(self.found("[ $1 = 7 ]", "echo violation 3; exit 1").text, "violation 3")
        self.assertIsNone(self.found("exit 0", "exit 0"))


class Fields(unittest.TestCase):
    def test_a_bug_hangs_when_its_file_says_so(self):
        self.assertEqual((bug().hangs, bug(fields="hangs: the loop has no end\n").hangs), (False, True))

    def test_unit_tests_count_outside_the_cluster_and_for_exceptions(self):
        self.assertEqual([bug(file).counts_unit_tests for file in
                          ("raft/raft.c", "server/node/node.c", "server/state/acl.c", "persistence/seal.c", "server/net/peers.c")],
                         [False, False, False, True, True])
        self.assertTrue(bug(fields="unit tests alone: nothing else can see it\n").counts_unit_tests)

    def test_an_unknown_field_is_a_fault(self):
        with self.assertRaises(mutate.Fault):
            bug(fields="hang: yes\n")


if __name__ == "__main__":
    unittest.main()
