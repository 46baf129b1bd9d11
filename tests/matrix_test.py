#!/usr/bin/env python3
"""What tests/matrix makes of results, and of a later one of the same test. usage: matrix_test.py"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

MATRIX = pathlib.Path(__file__).with_name("matrix")


def junit_of(cases: dict[str, str]) -> str:
    """By name of the test: what ctest writes below its <testcase>."""
    return "<testsuite>" + "".join(f'<testcase name="{name}" status="run">{said}</testcase>'
                                   for name, said in cases.items()) + "</testsuite>"


class Matrix(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.book = pathlib.Path(self.folder.name) / "book.json"

    def note(self, cases: dict[str, str], labels: dict[str, list[str]], preset: str = "release") -> None:
        junit = pathlib.Path(self.folder.name) / preset / "junit.xml"
        junit.parent.mkdir(exist_ok=True)
        junit.write_text(junit_of(cases), encoding="utf-8")
        tests = [{"name": name, "properties": [{"name": "LABELS", "value": of}]} for name, of in labels.items()]
        junit.with_name("tests.json").write_text(json.dumps({"tests": tests}), encoding="utf-8")
        subprocess.run([MATRIX, "note", self.book, junit], check=True)

    def show(self, *document) -> subprocess.CompletedProcess:
        return subprocess.run([MATRIX, "show", self.book, *document], capture_output=True, text=True, check=False)

    def test_a_test_has_its_place_by_name_and_label(self):
        self.note({"vm-7.2: attack: it": "", "vm-6.12: plain": "", "vm-demo-arm64-7.3": "", "vm-lockdown": "", "unit": ""},
                  {"vm-7.2: attack: it": ["vm", "all"], "vm-6.12: plain": ["vm"], "vm-demo-arm64-7.3": ["vm", "all"],
                   "vm-lockdown": ["all", "vm"], "unit": ["unit"]})
        shown = self.show()
        self.assertEqual(shown.returncode, 0)
        for row in ("| x86-64 | 7.3 | vm | 1 | 0 | 0 |", "| x86-64 | 7.2 | attack | 1 | 0 | 0 |",
                    "| x86-64 | 6.12 | vm | 1 | 0 | 0 |", "| x86-64 | of the host | unit | 1 | 0 | 0 |",
                    "| arm64 | 7.3 | vm | 1 | 0 | 0 |", "| all | | | 5 | 0 | 0 |"):
            self.assertIn(row, shown.stdout)

    def test_what_prepares_guests_is_no_test(self):
        self.note({"vm-7.3-hooks": "", "vm-arm64-7.3-bare": "", "vm-7.3-keyring-12": "", "vm-7.3: it": ""}, {"vm-7.3: it": ["vm"]})
        self.assertIn("| all | | | 1 | 0 | 0 |", self.show().stdout)

    def test_one_that_failed_is_named_and_the_status_is_1(self):
        self.note({"vm-7.3: it": "<failure/>"}, {"vm-7.3: it": ["vm"]})
        shown = self.show()
        self.assertEqual(shown.returncode, 1)
        self.assertIn("failed: release: vm-7.3: it", shown.stdout)

    def test_a_later_result_takes_the_place_of_an_earlier_one(self):
        self.note({"vm-7.3: it": "<failure/>"}, {"vm-7.3: it": ["vm"]})
        self.note({"vm-7.3: it": ""}, {"vm-7.3: it": ["vm"]})
        self.assertEqual(self.show().returncode, 0)

    def test_the_reason_of_one_that_was_skipped_is_told(self):
        said = "<skipped/><system-out>skipped: none there\n</system-out>"
        self.note({"vm-6.12: it": said}, {"vm-6.12: it": ["vm"]})
        self.assertIn("- x86-64, 6.12: 1 skipped: none there", self.show().stdout)

    def test_what_a_build_for_arm64_ran_is_of_arm64(self):
        self.note({"unit": ""}, {"unit": ["unit"]}, "arm64")
        self.assertIn("| arm64 | of the host | unit | 1 | 0 | 0 |", self.show().stdout)

    def test_a_document_gets_the_table_and_keeps_the_rest(self):
        document = pathlib.Path(self.folder.name) / "document.md"
        document.write_text("a\n<!-- matrix -->\nold\n<!-- end -->\nb\n", encoding="utf-8")
        self.note({"unit": ""}, {"unit": ["unit"]})
        self.show(document)
        text = document.read_text(encoding="utf-8")
        self.assertTrue(text.startswith("a\n<!-- matrix -->\n1 tests, ") and text.endswith("<!-- end -->\nb\n"))
        self.assertNotIn("old", text)

    def test_an_empty_book_is_an_error(self):
        shown = self.show()
        self.assertEqual((shown.returncode, shown.stdout), (1, ""))
        self.assertIn("what to do: ./test --all", shown.stderr)


if __name__ == "__main__":
    sys.exit(unittest.main())
