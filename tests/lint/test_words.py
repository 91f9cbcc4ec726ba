#!/usr/bin/env python3
"""words.py must find planted faults."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent
SOUND = {"README.md": "Confer\n", "base/README.md": "base\n", "base/map.h": "/* A map. */\n", "base/map.c": "int a;\n"}


def check(files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            file = pathlib.Path(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
        run = subprocess.run([sys.executable, HERE / "words.py", root], capture_output=True, text=True, check=False)
        return run.returncode, run.stdout + run.stderr


class Words(unittest.TestCase):
    def expect(self, changes, output):
        files = {path: text for path, text in {**SOUND, **changes}.items() if text is not None}
        self.assertEqual(check(files), (1 if output else 0, output or "no fault found\n"))

    def test_a_sound_tree_passes(self):
        self.expect({}, "")

    def test_marks_of_unfinished_work_are_found(self):
        for mark in ("TO" "DO", "FIX" "ME", "XX" "X", "HA" "CK"):
            self.expect({"base/map.c": f"int a;\n/* {mark}: later */\n"}, f"base/map.c:2: '{mark}' does not belong here\n")
        self.expect({"base/map.c": "int xxx; /* confer-test-XXXXXX */\n"}, "")

    def test_paths_of_a_machine_are_found(self):
        for place in ("/wo" "rk/main", "/ro" "ot/", "/ho" "me/j"):
            self.expect({"docs/a.md": f"see {place}\n"}, f"docs/a.md:1: '{place}' does not belong here\n")

    def test_a_folder_without_readme_is_found(self):
        self.expect({"base/README.md": None}, "base: has no README.md\n")
        self.expect({"server/net/link.c": "\n"}, "server/net: has no README.md\n")
        self.expect({"scripts/check": "\n"}, "scripts: has no README.md\n")
        self.expect({"tests/unit/base/test_map.c": "\n"}, "")

    def test_a_header_without_a_comment_is_found(self):
        self.expect({"base/map.h": "#ifndef MAP\n"}, "base/map.h: starts without a comment that says what it is\n")

    def test_what_is_built_or_no_text_is_left_alone(self):
        self.expect({"build/dev/a.h": "/ro" "ot/\n", "a.bin": b"\xff\x00/ro" b"ot/"}, "")


unittest.main()
