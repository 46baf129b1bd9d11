#!/usr/bin/env python3
"""compare.py passes what is equal or listed with its cause, and nothing else."""

import contextlib
import io
import json
import pathlib
import tempfile
import unittest

import compare

KERNEL = "== one {}\n#1/1     one/first:OK\n#1/2     one/second:{}\n#1       one:{}\n"
GO = "== cilium/link {}\n--- {}: TestOne (0.00s)\n    --- PASS: TestOne/part (0.00s)\n"
PASSED, FAILED = KERNEL.format(0, "OK", "OK"), KERNEL.format(1, "FAIL", "FAIL")
LISTED = {name: ("kernel-load", "why") for name in ("one", "one/second")}


class Compared(unittest.TestCase):
    def compare(self, audit: str, enforce: str, *, bare: str = PASSED, cause: str = "kernel-load",
                listed: dict = {}, least: str = "1") -> tuple[int, str]:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for phase, text in zip(compare.PHASES, (bare, audit, enforce)):
                (folder / phase).mkdir()
                (folder / phase / "suite").write_text(text)
            events = json.dumps({"test": "one", "cause": cause}) + "\n"
            (folder / "enforce/suite.events").write_text(events)
            with contextlib.redirect_stdout(io.StringIO()) as said:
                return compare.main(folder, listed, [["suite", least]]), said.getvalue()

    def test_what_is_equal(self):
        status, said = self.compare(PASSED, PASSED)
        self.assertEqual(status, 0)
        self.assertIn("1/1/0/0", said)
        self.assertIn("2/2/0/0", said)

    def test_what_fails_in_each_phase_is_equal(self):
        self.assertEqual(self.compare(FAILED, FAILED, bare=FAILED)[0], 0)

    def test_what_fails_under_audit(self):
        status, said = self.compare(FAILED, PASSED, listed=LISTED)
        self.assertEqual(status, 1)
        self.assertIn("audit: one/second failed, without bpfwarden passed", said)

    def test_what_fails_under_enforce(self):
        status, said = self.compare(PASSED, FAILED)
        self.assertEqual(status, 1)
        self.assertIn("enforce: one failed, without bpfwarden passed; refused meanwhile: kernel-load", said)

    def test_what_is_listed(self):
        self.assertEqual(self.compare(PASSED, FAILED, listed=LISTED)[0], 0)

    def test_what_is_listed_with_another_cause(self):
        self.assertEqual(self.compare(PASSED, FAILED, listed=LISTED, cause="rule")[0], 1)

    def test_what_is_listed_and_passes(self):
        self.assertEqual(self.compare(PASSED, PASSED, listed=LISTED)[0], 1)

    def test_what_does_not_run(self):
        self.assertEqual(self.compare(PASSED, "== one 143\n")[0], 1)
        self.assertEqual(self.compare("", PASSED)[0], 1)

    def test_what_passes_when_it_is_run_again(self):
        self.assertEqual(self.compare(FAILED + PASSED, PASSED)[0], 0)

    def test_too_few(self):
        self.assertEqual(self.compare(PASSED, PASSED, least="4")[0], 1)

    def test_go(self):
        passed, failed = GO.format(0, "PASS"), GO.format(1, "FAIL")
        self.assertEqual(self.compare(passed, passed, bare=passed)[0], 0)
        status, said = self.compare(passed, failed, bare=passed)
        self.assertEqual(status, 1)
        self.assertIn("cilium.link.TestOne failed", said)
        self.assertNotIn("TestOne/part failed", said)
        self.assertEqual(self.compare(passed, passed.replace(" 0\n", " 2\n", 1), bare=passed)[0], 1)


if __name__ == "__main__":
    unittest.main()
