#!/usr/bin/env python3
"""Holds what peers' tests said under bpfwarden to what they said without, and prints a table.

usage: compare.py RESULTS NEVER_ALLOWED SUITE=LEAST...

RESULTS/bare, audit and enforce each have a file for each suite, by tests/peers/in_guest. At least LEAST
tests of a suite must pass without bpfwarden. Under audit each test, and each part of one, must end as
it did without; under enforce all but those of NEVER_ALLOWED, whose lines name a test, the cause of
docs/policy.md, which an event must have given meanwhile, and why.
Exits with 1 otherwise.
"""

import json
import pathlib
import re
import sys

PHASES = ("bare", "audit", "enforce")
# A line says how one test, or a part of one, ended: that of the kernel's runner, and that of Go's.
KERNEL = re.compile(r"^#\d+(?:/\d+)?\s+([^:]+(?::[^:]+)*):(OK|FAIL|SKIP)")
GO = re.compile(r"^\s*--- (PASS|FAIL|SKIP): (\S+)")
RUN = re.compile(r"^== (\S+) (\d+)$")
WORDS = {"OK": "passed", "PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}
BETTER = ("passed", "skipped", "failed", "died")


def results(path: pathlib.Path) -> dict[str, str]:
    """How each test ended, at its best run: what fails is run again. A part of a test has a / in its name."""
    ended: dict[str, str] = {}
    run, before = "", set()

    def note(name: str, how: str) -> None:
        while name in before:  # parts of one test may share a name
            name += "'"
        before.add(name)
        ended[name] = min(how, ended.get(name, how), key=BETTER.index)

    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if found := RUN.match(line):
            run, before = found[1].replace("/", "."), set()
            if found[2] not in ("0", "1"):
                note(run, "died")
        elif found := KERNEL.match(line):
            if line not in before:  # what failed is printed twice
                note(found[1], WORDS[found[2]])
            before.add(line)
        elif found := GO.match(line):
            note(f"{run}.{found[2]}", WORDS[found[1]])
    return ended


def never_allowed(path: pathlib.Path) -> dict[str, tuple[str, str]]:
    """The cause of docs/policy.md, and why, by the test."""
    lines = [line.partition("#")[0].split(None, 2) for line in path.read_text(encoding="utf-8").splitlines()]
    return {line[0]: (line[1], line[2].strip()) for line in lines if line}


def refused(path: pathlib.Path) -> dict[str, set[str]]:
    """What `bpfwarden events` gave as causes, by the test during which."""
    causes: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        event = json.loads(line)
        causes.setdefault(event["test"].replace("/", "."), set()).add(event["cause"])
    return causes


def causes_of(name: str, causes: dict[str, set[str]]) -> set[str]:
    return {cause for test, found in causes.items() if re.match(re.escape(test) + r"([./]|$)", name) for cause in found}


def counts(ended: dict[str, str], parts: bool) -> str:
    told = [how for name, how in ended.items() if ("/" in name) == parts]
    sums = [len(told), told.count("passed"), told.count("failed") + told.count("died"), told.count("skipped")]
    return "/".join(map(str, sums)) if told else "-"


class Suite:
    """What became of one suite, in all three phases."""

    def __init__(self, folder: pathlib.Path, name: str, least: int) -> None:
        self.name, self.least = name, least
        self.ended = {phase: results(folder / phase / name) for phase in PHASES}
        self.causes = refused(folder / "enforce" / f"{name}.events")

    def differing(self, phase: str) -> list[str]:
        bare, here = self.ended["bare"], self.ended[phase]
        return sorted(name for name in bare.keys() | here.keys() if bare.get(name) != here.get(name))

    def tell(self, phase: str, name: str) -> str:
        bare, here = (self.ended[one].get(name, "not run") for one in ("bare", phase))
        causes = ", ".join(sorted(causes_of(name, self.causes))) or "nothing"
        return f"{self.name}, {phase}: {name} {here}, without bpfwarden {bare}; refused meanwhile: {causes}"

    def problems(self, excused: dict[str, tuple[str, str]]) -> list[str]:
        passed = list(self.ended["bare"].values()).count("passed")
        found = [] if passed >= self.least else [f"{self.name}: {passed} passed without bpfwarden, not {self.least}"]
        found += [self.tell("audit", name) for name in self.differing("audit")]
        differ = self.differing("enforce")
        found += [self.tell("enforce", name) for name in differ
                  if name not in excused or excused[name][0] not in causes_of(name, self.causes)]
        return found + [f"{self.name}: {name} ended as without bpfwarden, and is listed as never allowed"
                        for name in excused if name in self.ended["bare"] and name not in differ]


def print_table(suites: list[Suite]) -> None:
    table = [["run/passed/failed/skipped", *PHASES]]
    for suite in suites:
        for parts in (False, True):
            table.append([f"{suite.name}{', parts of tests' if parts else ''}",
                          *(counts(suite.ended[phase], parts) for phase in PHASES)])
    widths = [max(map(len, column)) for column in zip(*table)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def main(folder: pathlib.Path, excused: dict[str, tuple[str, str]], least: list[list[str]]) -> int:
    suites = [Suite(folder, name, int(number)) for name, number in least]
    print_table(suites)
    differ = [name for suite in suites for name in suite.differing("enforce") if name in excused]
    print(f"{len(differ)} differ under enforce by what no rule can allow:")
    for name in differ:
        print(f"  {name}: {': '.join(excused[name])}")
    problems = [problem for suite in suites for problem in suite.problems(excused)]
    print(*(problems or ["all others ended as without bpfwarden"]), sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]), never_allowed(pathlib.Path(sys.argv[2])),
                  [word.split("=") for word in sys.argv[3:]]))
