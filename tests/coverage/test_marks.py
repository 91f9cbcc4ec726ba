#!/usr/bin/env python3
"""marks.py must miss what was not passed, and nothing else."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent
SOURCE = "void a(void)\n{\n    MARK(vote_held);\n    MARK_IF(b, vote_dropped);\n    MARK(vote_lost);\n}\n"


class Marks(unittest.TestCase):
    def run_tool(self, outputs, *options, must=None):
        with tempfile.TemporaryDirectory() as place:
            root = pathlib.Path(place)
            (root / "raft").mkdir()
            (root / "raft/a.c").write_text(SOURCE)
            (root / "out").mkdir()
            for name, text in outputs.items():
                (root / "out" / name).write_text(text)
            if must is not None:
                (root / "must.txt").write_text(must)
                options = (*options, "--must", root / "must.txt")
            run = subprocess.run([sys.executable, HERE / "marks.py", "--root", root, *options, root / "out"],
                                 capture_output=True, text=True, check=False)
            return run.returncode, (run.stdout + run.stderr).replace(place, "")

    def test_counts_of_all_programs_are_added(self):
        outputs = {"one": "vote_held 1\nvote_dropped 0\nvote_lost 2\n", "two": "vote_dropped 3\nvote_held 0\n"}
        self.assertEqual(self.run_tool(outputs), (0, "3 marks, 3 of them passed 1 times or more\n"))

    def test_a_mark_that_no_program_lists_is_missed(self):
        self.assertEqual(self.run_tool({"one": "vote_held 1\nvote_dropped 1\n"}),
                         (1, "missed: vote_lost (0 times) raft/a.c:5\n3 marks, 2 of them passed 1 times or more\n"))

    def test_of_some_programs_the_others_do_not_count(self):
        outputs = {"unit_a": "vote_held 1\nvote_dropped 1\nvote_lost 1\n", "walk": "vote_held 1\nvote_dropped 1\n"}
        self.assertEqual(self.run_tool(outputs, "--of", "walk"),
                         (1, "missed: vote_lost (0 times) raft/a.c:5\n3 marks, 2 of them passed 1 times or more\n"))

    def test_seldom_may_be_too_seldom(self):
        outputs = {"one": "vote_held 9\nvote_dropped 10\nvote_lost 11\n"}
        self.assertEqual(self.run_tool(outputs, "--at-least", "10"),
                         (1, "missed: vote_held (9 times) raft/a.c:3\n3 marks, 2 of them passed 10 times or more\n"))

    def test_only_what_must_be_passed_fails(self):
        outputs = {"one": "vote_held 1\nvote_dropped 0\n"}
        status, text = self.run_tool(outputs, must="# a comment\nvote_held\n")
        self.assertEqual(status, 0, text)
        status, text = self.run_tool(outputs, must="vote_held\nvote_lost\n")
        self.assertEqual(status, 1)
        self.assertIn("missed: vote_lost (0 times) raft/a.c:5\n", text)
        self.assertIn("2 must be, 1 were not", text)

    def test_a_must_that_is_no_mark_fails(self):
        self.assertEqual(self.run_tool({"one": "vote_held 1\n"}, must="vote_found\n")[0], 1)

    def test_what_is_no_list_of_marks_is_refused(self):
        self.assertEqual(self.run_tool({"one": "hello\n"}), (1, "/out/one:1: not a line NAME COUNT: hello\n"))


unittest.main()
