#!/usr/bin/env python3
"""Makes one test of ctest out of each case of vm_tests on each kernel. Run after vm_tests is linked.

usage: discover.py VM_TESTS CASE_SCRIPT BUILD_FOLDER OUTPUT KERNEL...

Each runs in a guest of its own (tests/vm/case) that goes on from a saved one, which the fixture
vm-KERNEL-bare or vm-KERNEL-hooks makes, or in one of each. On the first kernel all cases belong to ./test; on the
others those whose outcome can depend on the kernel, which say so by a tag, [kernel]. Attacks are
tried on the others by ./test --all, and what is tagged [slow] on all.
"""

import subprocess
import sys
import xml.etree.ElementTree as tree

# A case of one of these has its name, for ctest -R.
TOPICS = ("attach", "race", "keyring", "metrics", "replay", "rollout", "attack")


def cases(program: str):
    listed = subprocess.run([program, "--list-tests", "--reporter", "xml"], check=True, capture_output=True)
    for case in tree.fromstring(listed.stdout).iter("TestCase"):
        yield case.findtext("Name"), set(case.findtext("Tags")[1:-1].split("]["))


def test(case: str, tags: set[str], kernel: str, everywhere: bool, script: str, build: str) -> str:
    topics = [topic for topic in TOPICS if topic in tags]
    name = ": ".join([f"vm-{kernel}", *topics[-1:], case])
    labels = ["vm"] + (["differential"] if "differential" in tags else [])
    if "slow" in tags or (not everywhere and ("kernel" not in tags or "attack" in tags)):
        labels.append("all")
    kinds = ["bare"] if "bare" in tags else ["bare", "hooks"] if "control" in tags else ["hooks"]
    saved = ";".join(f"vm-{kernel}-{kind}" for kind in kinds)
    keeps = f" FIXTURES_SETUP vm-{kernel}-kept" if "metrics" in tags else ""
    return (f'add_test("{name}" {script} {case} {kernel} {build})\n'
            f'set_tests_properties("{name}" PROPERTIES LABELS "{";".join(labels)}" TIMEOUT 1200 '
            f'SKIP_RETURN_CODE 77 FIXTURES_REQUIRED "{saved}"{keeps})\n')


def main() -> None:
    program, script, build, output, *kernels = sys.argv[1:]
    listed = list(cases(program))
    with open(output, "w", encoding="utf-8") as file:
        for kernel in kernels:
            for case, tags in listed:
                file.write(test(case, tags, kernel, kernel == kernels[0], script, build))


main()
