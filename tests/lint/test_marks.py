#!/usr/bin/env python3
"""marks.py must find planted faults."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent
SOUND = {
    "base/mark.h": "#define MARK(name_) ((void)0)\n",
    "raft/raft_a.c": "void a(void)\n{\n    MARK(vote_held);\n    MARK_IF(b(1, 2) && c,\n            vote_dropped);\n}\n",
    "tests/coverage/marks_must.txt": "# these\nvote_held\nvote_dropped\n",
}


def check(files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            file = pathlib.Path(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        run = subprocess.run([sys.executable, HERE / "marks.py", root], capture_output=True, text=True, check=False)
        return run.returncode, run.stdout + run.stderr


class Marks(unittest.TestCase):
    def expect(self, changes, output):
        self.assertEqual(check({**SOUND, **changes}), (1 if output else 0, output or "no fault found\n"))

    def test_a_sound_tree_passes(self):
        self.expect({}, "")

    def test_a_name_at_two_places_is_found(self):
        self.expect({"server/node/b.c": "\nMARK(vote_held);\n"},
                    "server/node/b.c:2: mark 'vote_held' stands at raft/raft_a.c:3 already\n")
        self.expect({"server/node/b.c": "MARK_IF(x, vote_dropped);\n"},
                    "server/node/b.c:1: mark 'vote_dropped' stands at raft/raft_a.c:4 already\n")

    def test_a_name_that_does_not_speak_is_found(self):
        for name in ("voteHeld", "Vote_held", "vote", "vote__held"):
            self.expect({"raft/raft_b.c": f"MARK({name});\n"},
                        f"raft/raft_b.c:1: mark '{name}' is not in snake_case of two words or more\n")

    def test_a_mark_in_a_header_is_found(self):
        self.expect({"raft/raft_b.h": "MARK(vote_lost);\n"}, "raft/raft_b.h:1: mark 'vote_lost' stands in a header\n")

    def test_a_condition_that_may_change_something_is_found(self):
        function = "static bool leave(struct node *node, const char *reason)\n{\n}\n"
        self.expect({"server/node/b.c": function + "MARK_IF(leave(node, \"x\"), vote_left);\n"},
                    "server/node/b.c:4: the condition of mark 'vote_left' calls leave, which may change something\n")
        self.expect({"server/node/b.h": "bool leave(\n    const struct raft *raft,\n    struct node *node);\n",
                     "server/node/b.c": "MARK_IF(a &&\n    !leave(raft, node), vote_left);\n"},
                    "server/node/b.c:1: the condition of mark 'vote_left' calls leave, which may change something\n")
        self.expect({"server/node/b.c": function.replace("struct node", "const struct node") +
                     "MARK_IF(leave(node, 0) && a == b && c >= 1, vote_left);\n"}, "")
        for condition in ("a = b", "a++ > 0", "--a == 0"):
            self.expect({"server/node/b.c": f"MARK_IF({condition}, vote_left);\n"},
                        "server/node/b.c:1: the condition of mark 'vote_left' assigns something\n")

    def test_a_must_that_is_no_mark_is_found(self):
        self.expect({"tests/coverage/marks_must.txt": "vote_lost\n"},
                    "tests/coverage/marks_must.txt: there is no mark 'vote_lost'\n")

    def test_what_the_simulation_must_pass_all_tests_must(self):
        self.expect({"tests/coverage/marks_must_simulation.txt": "# of them\nvote_held\n"}, "")
        self.expect({"tests/coverage/marks_must_simulation.txt": "vote_lost\n"},
                    "tests/coverage/marks_must_simulation.txt: 'vote_lost' is not in marks_must.txt\n")

    def test_tests_may_use_marks_of_their_own(self):
        self.expect({"tests/unit/base/test_mark.c": "MARK(vote_held);\n"}, "")


unittest.main()
