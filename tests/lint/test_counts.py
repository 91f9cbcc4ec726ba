#!/usr/bin/env python3
"""counts.py must find a number and a row that have drifted."""
import pathlib
import re
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))
import counts  # noqa: E402


class Counts(unittest.TestCase):
    def expect(self, text, expected):
        with tempfile.TemporaryDirectory() as place:
            root = pathlib.Path(place)
            (root / "page.md").write_text(text)
            for name in ("one", "two"):
                (root / f"{name}.txt").write_text("")
            (root / "CMakeLists.txt").write_text("")
            found = counts.faults(root, [("page.md", r"(\d+) files", lambda r: counts.files(r, "*.txt"))],
                                  [("page.md", r"^\| (\w+) \|", lambda r: {"one", "two"})])
            self.assertEqual(list(found), expected)

    def test_what_agrees_passes(self):
        self.expect("2 files\n| one |\n| two |\n", [])

    def test_another_number_is_found(self):
        self.expect("2 files, 3 files\n| one |\n| two |\n", [r"page.md: counts 3 by '(\d+) files', there are 2"])

    def test_a_number_that_is_gone_is_found(self):
        self.expect("files\n| one |\n| two |\n", [r"page.md: nothing is counted by '(\d+) files'"])

    def test_rows_that_are_missing_double_or_left_over_are_found(self):
        self.expect("2 files\n| one |\n| one |\n| three |\n",
                    ["page.md: has no row for two", "page.md: has a row for three, which is not there", "page.md: has 2 rows for one"])

    def test_each_count_of_the_tree_is_one_of_something(self):
        for document, pattern, count in counts.COUNTS:
            self.assertGreater(count(ROOT), 0, (document, pattern))
        for document, pattern, names in counts.TABLES:
            self.assertGreater(len(names(ROOT)), 1, (document, pattern))

    def test_each_number_of_the_tree_is_judged(self):
        """A document in which such a number is one too high has a fault for each."""
        for document, pattern, count in counts.COUNTS:
            with tempfile.TemporaryDirectory() as place:
                root = pathlib.Path(place)
                (root / document).parent.mkdir(parents=True)
                text = (ROOT / document).read_text()
                number = re.search(pattern, text)
                (root / document).write_text(text[:number.start(1)] + str(count(ROOT) + 1) + text[number.end(1):])
                self.assertTrue(list(counts.faults(root, [(document, pattern, lambda _, c=count: c(ROOT))], [])), pattern)


if __name__ == "__main__":
    unittest.main()
