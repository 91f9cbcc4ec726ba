#!/usr/bin/env python3
"""The lint must find planted faults: small trees, each with one, checked by layers.py against layers.txt."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent


def lint(files):
    """The exit code and the output for a tree of {path: included headers}."""
    with tempfile.TemporaryDirectory() as root:
        for path, headers in files.items():
            file = pathlib.Path(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"#include {header}\n" for header in headers))
        run = subprocess.run([sys.executable, HERE / "layers.py", root, HERE / "layers.txt"],
                             capture_output=True, text=True, check=False)
        return run.returncode, run.stdout + run.stderr


class Layers(unittest.TestCase):
    def expect_clean(self, files):
        self.assertEqual(lint(files), (0, f"{len(files)} files stand on their floors\n"))

    def expect_fault(self, files, text):
        code, output = lint(files)
        self.assertEqual(code, 1, output)
        self.assertIn(text, output)
        self.assertEqual(output.count("\n"), 1, output)

    def test_a_sound_tree_passes(self):
        self.expect_clean({
            "base/bytes.h": [], "base/bytes.c": ['"base/bytes.h"', "<unistd.h>"],
            "proto/frame.c": ['"base/bytes.h"', "<string.h>"],
            "server/front/front.c": ['"server/node/node.h"', "<event2/event.h>"],
            "server/node/node.h": ['"proto/peer.pb-c.h"'],
            "client/include/confer.h": [], "cli/main.c": ["<confer.h>"]})

    def test_a_wrong_edge_between_folders_is_found(self):
        self.expect_fault({"base/bytes.c": ['"proto/frame.h"']}, "base may include only: nothing")
        self.expect_fault({"raft/raft.c": ["<stdint.h>", '"proto/frame.h"']}, "raft/raft.c:2: includes proto/frame.h")
        self.expect_fault({"server/net/link.c": ['"server/node/node.h"']}, "server/net may include only: base proto")
        self.expect_fault({"examples/a.c": ['"base/bytes.h"']}, "examples may include only: client")
        self.expect_fault({"proto/frame.h": ["<confer.h>"]}, "proto may include only: base")
        self.expect_fault({"server/state/tree.c": ['"server/config.h"']}, "server/state may include only")

    def test_a_generated_header_belongs_to_its_folder(self):
        self.expect_fault({"raft/raft.c": ['"proto/peer.pb-c.h"']}, "raft may include only: base")

    def test_an_include_that_is_no_path_from_the_root_is_found(self):
        self.expect_fault({"base/map.c": ['"map.h"']}, "no path from the root")
        self.expect_fault({"base/map.c": ['"../base/map.h"']}, "no path from the root")

    def test_impure_headers_are_found_in_pure_folders(self):
        for folder in ("proto", "raft", "server/state"):
            for header in ('"base/clock.h"', '"base/log.h"', "<time.h>", "<pthread.h>", "<sys/socket.h>",
                           "<event2/event.h>", "<unistd.h>", "<lmdb.h>"):
                self.expect_fault({f"{folder}/unit.c": [header]}, f"but {folder} is pure")

    def test_lmdb_is_for_persistence_alone(self):
        self.expect_clean({"persistence/store.c": ["<lmdb.h>"]})
        self.expect_fault({"server/main.c": ["<lmdb.h>"]}, "for persistence tests alone")

    def test_a_circle_of_units_inside_a_folder_is_printed(self):
        self.expect_fault({"raft/a.c": ['"raft/b.h"'], "raft/b.h": [], "raft/b.c": ['"raft/c.h"'],
                           "raft/c.h": ['"raft/a.h"'], "raft/a.h": []},
                          "circle: raft/a -> raft/b -> raft/c -> raft/a")

    def test_a_circle_across_folders_is_printed(self):
        code, output = lint({"server/net/a.h": ['"proto/b.h"'], "proto/b.h": [], "proto/b.c": ['"server/net/a.h"']})
        self.assertEqual(code, 1)
        self.assertIn("circle: proto/b -> server/net/a -> proto/b", output)

    def test_a_contract_stands_below_its_units_and_its_source_above(self):
        files = {"raft/raft.h": [], "raft/raft.c": ['"raft/raft.h"', '"raft/log.h"'], "raft/log.h": ['"raft/raft.h"']}
        self.expect_clean(files)
        files["raft/raft.h"] = ['"raft/log.h"']
        self.expect_fault(files, "circle: raft/log -> raft/raft.h -> raft/log")

    def test_an_unknown_folder_is_found(self):
        self.expect_fault({"server/main.c": ['"util/help.h"']}, "no path from the root")

    def test_an_empty_tree_is_a_fault(self):
        self.expect_fault({}, "no sources")


unittest.main()
