#!/usr/bin/env python3
"""Leaves of the kernel's selftests/bpf only what the tests of a list need, and prints the variables that
its makefile needs then, one a line.

usage: choose.py SELFTESTS_BPF NAME...

Tests lie in prog_tests, programs in progs; all there are lie in prog_tests.all and progs.all, which
this makes at its first run. A file of tests is taken if it defines a test of that name, a program if a
taken file includes its skeleton or names its object.
"""

import os
import pathlib
import re
import shutil
import sys

TEST = re.compile(r"^void (?:serial_)?test_(\w+)\((?:void)?\)", re.M)
SKELETON = re.compile(r'#include "(\w+)\.(?:l|sub)?skel\.h"')
OBJECT = re.compile(r'"(?:\./)?(\w+)\.bpf\.o"')
VARIABLE = re.compile(r"^(\w+) :=((?:.*\\\n)*.*)", re.M)
LINKED = re.compile(r"^(\w+)\.skel\.h-deps := (.*)", re.M)
# A skeleton of each of these is light, signed, or of several objects: the makefile names them.
NAMED = ("LSKELS", "LSKELS_SIGNED", "LSKELS_EXTRA", "LINKED_SKELS")


def stem(name: str) -> str:
    return name.partition(".")[0]


def text_of(path: pathlib.Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def words(text: str) -> list[str]:
    return text.replace("\\\n", " ").split()


def fill(folder: pathlib.Path, names: set[str]) -> None:
    """Only these sources, and all headers; what is there already stays, for make looks at dates."""
    everything = folder.with_suffix(".all")
    if not everything.exists():
        shutil.move(folder, everything)
        folder.mkdir()
    for path in everything.iterdir():
        target = folder / path.name
        wanted = path.suffix != ".c" or path.stem in names
        if wanted and not target.exists():
            os.symlink(path, target)
        elif not wanted:
            target.unlink(missing_ok=True)


def main(tree: pathlib.Path, names: set[str]) -> None:
    makefile = text_of(tree / "Makefile")
    linked = {skeleton: [stem(word) for word in words(parts)] for skeleton, parts in LINKED.findall(makefile)}
    listed = {name: words(value) for name, value in VARIABLE.findall(makefile) if name in NAMED}
    tests = tree / ("prog_tests.all" if (tree / "prog_tests.all").exists() else "prog_tests")
    files, programs, found = set(), set(), set()
    for path in sorted(tests.glob("*.c")):
        text = text_of(path)
        here = names & set(TEST.findall(text))
        if not here:
            continue
        found |= here
        files.add(path.stem)
        for skeleton in SKELETON.findall(text) + OBJECT.findall(text):
            programs.update(linked.get(skeleton, [skeleton]))
    if names - found:
        sys.exit("this kernel's source has no such tests: " + " ".join(sorted(names - found)))
    dumped = {path.stem for path in tree.glob("progs*/btf_dump_test_case_*.c")} if "btf_dump" in files else set()
    fill(tree / "prog_tests", files)
    fill(tree / "progs", programs | dumped)
    for name in NAMED:
        there = [word for word in listed[name]
                 if set(linked.get(stem(word), [stem(word)])) <= programs]
        print(f"{name}={' '.join(there)}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]).resolve(), set(sys.argv[2:]))
