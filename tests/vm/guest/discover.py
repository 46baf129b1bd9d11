#!/usr/bin/env python3
"""Makes one test of ctest out of each case of vm_tests on each kernel. Run after vm_tests is linked.

usage: discover.py VM_TESTS FOLDER_OF_SCRIPTS BUILD_FOLDER OUTPUT KERNEL... --all KERNEL... [--by EMULATOR...]

Each runs in a guest (FOLDER/case) that goes on from a saved one, which the fixture vm-KERNEL-bare or
vm-KERNEL-hooks makes, or in one of each. Up to eight cases of a file share it (FOLDER/group, a fixture as well).
On the first kernel all cases belong to ./test; on the last, the oldest, those whose outcome can depend on the
kernel, which say so by a tag, [kernel]; of the many that depend on how it verifies signatures and on nothing else,
those tagged [signing], which are all that those between are asked. Attacks, races and what else loads the hooks by
itself ([bare]) are tried on the others by ./test --all, and what is tagged [slow] on all: what takes half a minute
where another case shows the mechanism. On kernels after --all everything is.
"""

import itertools
import pathlib
import subprocess
import sys
import typing
import xml.etree.ElementTree as tree

# A case of one of these has its name, for ctest -R.
TOPICS = ("attach", "race", "keyring", "metrics", "replay", "rollout", "takeover", "crash", "policy-signature",
          "attack")
# What a kernel has that every signed load depends on.
SIGNING = {f"kernel:{name}" for name in ("signature_attr", "signature_verdict", "folded_maps")}
# These want a guest of their own, or the whole of its time.
ALONE = {"bare", "slow", "race", "metrics", "log", "crash", "differential", "takeover"}
SIZE_OF_GROUP = 8


class Case(typing.NamedTuple):
    name: str
    file: str
    tags: set[str]


def cases(program: str, emulator: list[str]):
    listed = subprocess.run([*emulator, program, "--list-tests", "--reporter", "xml"], check=True, capture_output=True)
    for case in tree.fromstring(listed.stdout).iter("TestCase"):
        yield Case(case.findtext("Name"), pathlib.Path(case.findtext("SourceInfo/File")).stem.removesuffix("_test"),
                   set(case.findtext("Tags")[1:-1].split("][")))


def asked_of_older(tags: set[str], is_last: bool) -> bool:
    by_more = {tag for tag in tags if tag.startswith("kernel:")} - SIGNING
    if "kernel" not in tags or tags & {"attack", "race"}:
        return False
    return "signing" in tags or is_last and bool(by_more) and "bare" not in tags


def batches(of: list[Case]):
    return (of[start:start + SIZE_OF_GROUP] for start in range(0, len(of), SIZE_OF_GROUP))


class Kernel(typing.NamedTuple):
    name: str
    is_first: bool
    is_last: bool
    is_of_all: bool
    scripts: str
    build: str

    def labels(self, tags: set[str]) -> str:
        asked = "slow" not in tags and not self.is_of_all and (self.is_first or asked_of_older(tags, self.is_last))
        return "vm" + (";differential" if "differential" in tags else "") + ("" if asked else ";all")

    def states(self, tags: set[str]) -> list[str]:
        kinds = ["bare"] if "bare" in tags else ["bare", "hooks"] if "control" in tags else ["hooks"]
        return [f"vm-{self.name}-{kind}" for kind in kinds]

    def case(self, case: Case, group: str | None) -> str:
        topics = [topic for topic in TOPICS if topic in case.tags]
        name = ": ".join([f"vm-{self.name}", *topics[-1:], case.name])
        needs = [group] if group else self.states(case.tags)
        keeps = f" FIXTURES_SETUP vm-{self.name}-kept" if "metrics" in case.tags else ""
        return (f'add_test("{name}" {self.scripts}/case {case.name} {self.name} {self.build} {group or ""})\n'
                f'set_tests_properties("{name}" PROPERTIES LABELS "{self.labels(case.tags)}" TIMEOUT 1200 '
                f'SKIP_RETURN_CODE 77 FIXTURES_REQUIRED "{";".join(needs)}"{keeps})\n')

    def group(self, name: str, of: list[Case]) -> str:
        tags = of[0].tags
        kind = "control" if "control" in tags else "whole"
        names = " ".join(case.name for case in of)
        return (f'add_test("{name}" {self.scripts}/group {name} {self.name} {self.build} {kind} {names})\n'
                f'set_tests_properties("{name}" PROPERTIES LABELS "{self.labels(tags)}" TIMEOUT 600 '
                f'FIXTURES_REQUIRED "{";".join(self.states(tags))}" FIXTURES_SETUP "{name}")\n')

    def tests(self, listed: list[Case]):
        def together(case: Case):
            return case.file, "control" in case.tags, self.labels(case.tags)

        yield from (self.case(case, None) for case in listed if case.tags & ALONE)
        shared = sorted((case for case in listed if not case.tags & ALONE), key=together)
        number = itertools.count(1)
        for _, of in itertools.groupby(shared, together):
            for some in batches(list(of)):
                name = f"vm-{self.name}-{some[0].file}-{next(number)}"
                yield self.group(name, some)
                yield from (self.case(case, name) for case in some)


def after(word: str, words: list[str]) -> tuple[list[str], list[str]]:
    """What is before the word, and what is after it."""
    at = words.index(word) if word in words else len(words)
    return words[:at], words[at + 1:]


def main() -> None:
    program, scripts, build, output, *kernels = sys.argv[1:]
    kernels, emulator = after("--by", kernels)
    asked, of_all = after("--all", kernels)
    listed = list(cases(program, emulator))
    with open(output, "w", encoding="utf-8") as file:
        for name in asked + of_all:
            kernel = Kernel(name, name == asked[0], name == asked[-1], name in of_all, scripts, build)
            file.writelines(kernel.tests(listed))


main()
