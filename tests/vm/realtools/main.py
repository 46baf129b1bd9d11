"""Runs well-known BPF tools in a guest: without bpfwarden, under an audit policy, under the
enforcing policy that `bpfwarden suggest` makes of what was recorded, and under one that says where
each may attach.

Each must always work, and bpfwarden's inventory must say of each of its programs what bpftool says.
Prints a table; exits 1 if anything is amiss. Leaves /tmp/realtools/events.jsonl, the recording.
usage: main.py [PART-OF-A-TOOL'S-NAME...]
"""

import fnmatch
import os
import subprocess
import sys
import time
from collections.abc import Callable

import compare
import enforce
import exact
import kernel
import recording
import tools

AUDIT = """schema = 1
name = "real tools"
version = 1
mode = "audit"
default = "deny"
"""


WORKS = {True: "works", False: "FAILS", None: "-"}


class Row:
    """A line of the table: what became of one tool."""

    def __init__(self, tool: tools.Tracer | tools.Placed) -> None:
        self.tool = tool
        self.works: dict[str, bool] = {}
        self.programs = self.identified = 0
        self.problems: list[str] = []

    def run(self, phase: str, observe: Callable[[], None] = lambda: None) -> None:
        begin = time.monotonic()
        self.works[phase] = True
        try:
            self.tool(observe)
        except (tools.Failed, subprocess.CalledProcessError) as failed:
            self.works[phase] = False
            self.problems.append(f"{phase}: {failed}")
        print(f"  {self.tool.name}: {WORKS[self.works[phase]]} ({time.monotonic() - begin:.0f} s)", flush=True)

    def observe(self, before: set[int], standings: set[str]) -> None:
        """Compares what is new since `before`; called while the tool's programs are in the kernel."""
        ours, theirs = compare.inventory(), kernel.read(before)
        new = set(theirs) | set(ours) - before
        self.programs, self.identified = len(new), 0  # of the last phase; earlier problems stay
        for number in sorted(new):
            if number not in theirs:
                self.problems.append(f"program {number} is in the inventory, and bpftool does not know it")
                continue
            found = compare.differences(ours.get(number), theirs[number], standings)
            self.identified += not found
            self.problems += [f"program {number} ({theirs[number].info.get('name', '')}): {one}" for one in found]
        self.check_places([place for one in theirs.values() for place in one.attach])

    def check_places(self, found: list[str]) -> None:
        wanted = self.tool.attach
        unmet = [one for one in wanted if not fnmatch.filter(found, one)]
        extra = [one for one in found if not any(fnmatch.fnmatchcase(one, pattern) for pattern in wanted)]
        if unmet or extra:
            self.problems.append(f"attached at {sorted(found)}, where {sorted(wanted)} was expected")

    def good(self) -> bool:
        return all(self.works.values()) and not self.problems and 0 < self.programs == self.identified


def run_phase(phase: str, rows: list[Row], standings: set[str] | None = None) -> None:
    print(f"{phase}:", flush=True)
    for row in rows:
        before = kernel.program_ids()
        row.run(phase, (lambda: row.observe(before, standings)) if standings else (lambda: None))


def apply_audit() -> None:
    path = f"{recording.RESULTS}/audit.toml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(AUDIT)
    tools.run("bpfwarden", "apply", path)


def print_table(rows: list[Row]) -> None:
    phases = list(rows[0].works)
    lines = [["tool", "programs", "identified", *phases, "attach points"]]
    for row in rows:
        works = [WORKS[row.works.get(phase)] for phase in phases]
        lines.append([row.tool.name, str(row.programs), str(row.identified), *works, shorten(row.tool.attach)])
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def shorten(places: list[str]) -> str:
    return ", ".join(places[:2]) + (f" and {len(places) - 2} more" if len(places) > 2 else "")


def main() -> int:
    os.makedirs(recording.RESULTS, exist_ok=True)
    tools.prepare()
    parts = sys.argv[1:] or [""]
    rows = [Row(tool) for tool in tools.all_tools() if any(part in tool.name for part in parts)]
    run_phase("before", rows)
    apply_audit()
    recorder = recording.start(recording.EVENTS)
    run_phase("audit", rows, {"would be denied"})
    problems = recording.end(recorder, recording.EVENTS)
    problems += enforce.run_enforced(lambda: run_phase("enforced", rows, {"admitted"}))
    threaded = [place for row in rows if row.tool.has_threads for place in row.tool.attach]
    places = tools.TRIALS + [place for row in rows if not row.tool.has_threads
                             for place in row.tool.allow or row.tool.attach]
    problems += exact.run_exact(threaded, places, lambda: run_phase("exact", rows, {"admitted"}))
    print_table(rows)
    problems += [f"{row.tool.name}: {problem}" for row in rows for problem in row.problems]
    print(*problems, sep="\n")
    good = sum(row.good() for row in rows)
    print(f"{good} of {len(rows)} tools work and are identified; {sum(row.identified for row in rows)} programs")
    return 0 if good == len(rows) and not problems else 1


if __name__ == "__main__":
    sys.exit(main())
