"""Blocks are found with what comments say of them, and output is compared by kind."""

import unittest

import answers
import blocks

PAGE = """# Page

<!-- path
file: a.toml
-->
```toml
x = 1
```

Text.

```sh
# only a comment
one   # with one
two \\
  goes on
```

<!-- path
fails: three
-->

```console
$ three
said
$ four \\
> goes on
```
"""


class Blocks(unittest.TestCase):
    def test_page(self) -> None:
        toml, sh, console = blocks.read("page.md", PAGE)
        self.assertEqual((toml.name(), toml.notes, toml.content), ("page.md:6", {"file": ["a.toml"]}, ["x = 1"]))
        self.assertEqual([(one.text, one.line) for one in sh.commands()], [("one   # with one", 14), ("two \\\n  goes on", 15)])
        three, four = console.commands()
        self.assertEqual((three.prints, four.text, four.prints), (["said"], "four \\\ngoes on", []))
        self.assertTrue(console.has("fails", "three"))
        self.assertFalse(sh.notes)  # a comment is about the next block only

    def test_what_is_wrong(self) -> None:
        for text in ("```sh\nno end\n", "<!-- path\nfrobnicate: x\n-->\n```sh\n```\n"):
            with self.assertRaises(blocks.Wrong):
                blocks.read("page.md", text)
        with self.assertRaises(blocks.Wrong):
            blocks.read("page.md", "```console\nno prompt\n```\n")[0].commands()


class Answers(unittest.TestCase):
    def test_fits(self) -> None:
        printed = ["at 2026-11-29 20:45:15 (2 minutes ago), pid 152", "", "sha256:d4f8542f2b42", "ran 224", "ran 333"]
        shown = ["at 2027-01-01 00:00:01 (just now), pid 9", "", "sha256:0123456789ab", "ran …", "…"]
        self.assertTrue(answers.fits(shown, printed))
        self.assertTrue(answers.fits([], []))
        self.assertTrue(answers.fits(["…"], []))

    def test_does_not_fit(self) -> None:
        for shown, printed in ((["a"], []), ([], ["a"]), (["a"], ["b"]), (["a …"], ["b c"]), (["a"], ["a", "b"]),
                               (["…", "z"], ["a"]), (["exit 1"], ["exit 2"]), (["sha256:" + "0" * 64], ["sha256:" + "1" * 64])):
            self.assertFalse(answers.fits(shown, printed), (shown, printed))


if __name__ == "__main__":
    unittest.main()
