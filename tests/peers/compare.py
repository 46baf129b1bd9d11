#!/usr/bin/env python3
"""Holds what peers' tests said under bpfwarden to what they said without, and prints a table.

usage: compare.py RESULTS NEVER_ALLOWED SUITE=LEAST...

RESULTS/bare, audit and enforce each have a file for each suite, by tests/peers/in_guest. At least LEAST
tests of a suite must pass without bpfwarden. Under audit each test, and each part of one, must end as
it did without; under enforce those of NEVER_ALLOWED alone may not, and must not, whose lines say why.
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
    """How each test ended, at its best run: what fails is run again."""
    ended: dict[str, str] = {}
    run, before = "", set()

    def note(name: str, how: str) -> None:
        while name in before:  # parts of one test may share a name
            name += "'"
        before.add(name)
        ended[name] = min(how, ended.get(name, how), key=BETTER.index)

    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if found := RUN.match(line):
            run, before = found[1], set()
            if found[2] not in ("0", "1"):
                note(run, "died")
        elif found := KERNEL.match(line):
            if line not in before:  # what failed is printed twice
                note(found[1], WORDS[found[2]])
            before.add(line)
        elif found := GO.match(line):
            note(f"{run}: {found[2]}", WORDS[found[1]])
    return ended


def never_allowed(path: pathlib.Path) -> dict[str, str]:
    """A line has a test, a cause of docs/policy.md, and why."""
    lines = [line.partition("#")[0].split(None, 1) for line in path.read_text(encoding="utf-8").splitlines()]
    return {line[0].replace("~", " "): line[1].strip() for line in lines if line}


def refused(path: pathlib.Path) -> dict[str, set[str]]:
    """What `bpfwarden events` gave as the cause, by the test during which."""
    causes: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        event = json.loads(line)
        causes.setdefault(event["test"], set()).add(f"{event['cause']} ({event['attach']})")
    return causes


def counts(ended: dict[str, str], parts: bool) -> str:
    told = [how for name, how in ended.items() if ("/" in name.rpartition(": ")[2]) == parts]
    sums = [len(told), told.count("passed"), told.count("failed") + told.count("died"), told.count("skipped")]
    return "/".join(map(str, sums)) if told else "-"


def main(folder: pathlib.Path, excused: dict[str, str], least: dict[str, int]) -> int:
    table = [["suite: run/passed/failed/skipped", *PHASES]]
    problems, told = [], set()
    for suite, wanted in least.items():
        ended = {phase: results(folder / phase / suite) for phase in PHASES}
        for parts in (False, True):
            table.append([f"{suite}, {'parts of tests' if parts else 'tests'}",
                          *(counts(ended[phase], parts) for phase in PHASES)])
        bare = ended["bare"]
        passed = sum(how == "passed" for name, how in bare.items())
        if passed < wanted:
            problems.append(f"{suite}: {passed} passed without bpfwarden, not {wanted}")
        causes = refused(folder / "enforce" / f"{suite}.events")
        for phase in PHASES[1:]:
            for name in sorted(bare.keys() | ended[phase].keys()):
                how, why = ended[phase].get(name, "not run"), excused.get(name)
                if how == bare.get(name, "not run"):
                    continue
                if phase == "enforce" and why:
                    told.add(name)
                    continue
                problems.append(f"{suite}, {phase}: {name}: {how}, without bpfwarden {bare.get(name, 'not run')}; "
                                f"refused: {', '.join(sorted(causes.get(name.split('/')[0], {'nothing'})))}")
        suites_own = {name for name in excused if name in bare}
        problems += [f"{suite}: {name} is as without bpfwarden, and {excused[name]} is listed"
                     for name in sorted(suites_own - told)]
    widths = [max(map(len, column)) for column in zip(*table)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    print(f"{len(told)} differ under enforce, each by what no rule can allow:")
    for name in sorted(told):
        print(f"  {name}: {excused[name]}")
    print(*problems, sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]), never_allowed(pathlib.Path(sys.argv[2])),
                  {name: int(least) for name, _, least in (word.partition("=") for word in sys.argv[3:])}))
