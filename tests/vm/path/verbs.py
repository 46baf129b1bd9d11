"""Holds every verb to what docs/exit.md says of exit statuses, its help to 80 columns, and all that prints
to this: a result that cannot be written is no result. Prints a table; exits 1 if anything is amiss.

The steps are taken in order: what one leaves, the next finds. No verb of `bpfwarden --help` may lack a
step for each status, unless NEVER says why. With --json each has that option, must exit as without it, and what it
prints is a line `JSON {...}` for tests/json/answers.py. usage: verbs.py anywhere|guest FOLDER OBJECT.bpf.o [--json]
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

POLICY = """schema = 1
name = "verbs"
version = {version}
mode = "{mode}"
default = "deny"

[keys.netops]
certificates = ["netops.pem"]

[[rules]]
name = "all of the team"
allow = ["{allow}"]
signed-by = ["netops"]
"""
TESTS = """policy = "one.toml"
[[tests]]
name = "the team's XDP"
attach = "xdp@eth0"
key = "netops"
expect = "{expect}"
"""

# Arguments as a shell takes them, and the exit statuses that the verb must have, by what they mean: what
# is done or yes, failed or no, wrong use or a file that is none. `!`: again with its output to /dev/full and into
# a closed pipe. `@nobody`: not as root.
ANYWHERE = """
0 !--help
0 !--version
0 !help check
2 frobnicate
2 --frobnicate

0 !completion bash
2 completion frobnicate
0 !schema
2 schema frobnicate
0 !recipes
0 !recipes systemd
2 recipes frobnicate

0 keys new other
0 !keys show netops.pem
0 !keys fingerprint netops.pem
0 !keys list one.toml
1 keys new other
2 keys show none.pem
2 keys show text
2 keys fingerprint text
2 keys list text
2 keys list broken.toml
2 keys frobnicate
0 !check one.toml
2 check --frobnicate one.toml
1 check --fail-on-warn warned.toml
1 check broken.toml
1 check none.toml
1 check text
0 !fmt --stdout one.toml
0 fmt one.toml
1 fmt --check ugly.toml
2 fmt none.toml
2 fmt text
0 !explain one.toml --attach xdp@eth0 --key netops
1 explain one.toml --attach xdp@eth0
2 explain one.toml
2 explain text --attach xdp@eth0
2 explain broken.toml --attach xdp@eth0
0 !test good.test.toml
1 !test bad.test.toml
2 test text
2 test none.toml
0 !diff one.toml one.toml
1 !diff one.toml wide.toml
2 diff one.toml text
2 diff one.toml none.toml
0 !sign xdp_pass.bpf.o --key netops.key --cert netops.pem -o xdp.bpfsig
0 !sign xdp_pass.bpf.o --key netops.key --cert netops.pem -o -
1 sign xdp_pass.bpf.o --key other.key --cert netops.pem -o no.bpfsig
2 sign xdp_pass.bpf.o
2 sign text --key netops.key --cert netops.pem -o no.bpfsig
2 sign none.bpf.o --key netops.key --cert netops.pem -o no.bpfsig
2 sign xdp_pass.bpf.o --key text --cert netops.pem -o no.bpfsig
2 sign xdp_pass.bpf.o --key netops.key --cert text -o no.bpfsig
0 !compile one.toml -o one.bpfpolicy
0 compile one.bpfpolicy --key netops.key --cert netops.pem
0 !compile one.toml -o one.bpfpolicy --key netops.key --cert netops.pem --confirm-within 10m
1 compile one.toml -o netops.pem
1 compile one.toml -o no.bpfpolicy --key other.key --cert netops.pem
2 compile one.toml
2 compile text -o no.bpfpolicy
2 compile broken.toml -o no.bpfpolicy
2 compile none.toml -o no.bpfpolicy
2 compile one.toml -o no.bpfpolicy --key text --cert netops.pem
2 compile one.bpfpolicy
2 compile one.bpfpolicy --attach-signature none
1 compile one.bpfpolicy --attach-signature text
0 !verify one.bpfpolicy --cert netops.pem
1 verify one.bpfpolicy
2 verify one.bpfpolicy --policy one.toml
0 !inspect xdp.bpfsig
2 inspect text
2 inspect none
0 !verify xdp.bpfsig --policy one.toml
1 verify xdp.bpfsig --cert other.pem
2 verify text --policy one.toml
2 verify xdp.bpfsig --policy text
2 verify xdp.bpfsig --policy broken.toml
2 verify xdp.bpfsig --cert text
0 !enrol --list netops.pem
1 enrol --list
2 enrol --list text
2 enrol --frobnicate
0 keys revoke revoking.toml netops.pem
1 keys revoke revoking.toml netops.pem
2 keys revoke text netops.pem
2 keys revoke revoking.toml text
"""
GUEST = """
0 !doctor
1 @nobody doctor
2 doctor --frobnicate
0 !boot
2 boot --frobnicate
1 status
1 confirm
1 promote
1 seal
2 seal --frobnicate
1 upgrade
2 upgrade --frobnicate
0 enrol --saved
1 enrol netops.pem
2 enrol text
1 rollback
1 events
1 policy show
1 policy digest
1 run xdp.bpfsig
2 apply broken.toml
2 apply text
2 apply none.toml
2 apply
2 apply --check broken.toml
1 apply --check one.toml
1 apply --saved
0 !apply one.toml --confirm-within 0
0 apply one.toml
0 apply --check one.toml
0 boot
1 @nobody boot
1 apply old.toml
0 !apply --preflight two.toml
0 !status
2 status --frobnicate
0 !policy show
0 !policy digest
0 policy digest one.toml
2 policy digest text
2 policy frobnicate
0 !inventory
1 @nobody inventory
2 inventory --id frobnicate
0 !run xdp.bpfsig
1 run stranger.bpfsig
2 run text
2 run none
2 run xdp.bpfsig --frobnicate
0 events --output events.jsonl
1 run stranger.bpfsig
0 !events
2 events --keep 3
0 !why
0 !why --events events.jsonl
1 @nobody why
2 why --events text
2 why --events none
2 why --since frobnicate
0 !suggest
0 !suggest --events events.jsonl --no-inventory
1 @nobody suggest
2 suggest --events text --no-inventory
2 suggest --policy text --events events.jsonl --no-inventory
2 suggest --mode frobnicate
0 !report --json
0 report --html page.html
1 report --html none/page.html
2 report
2 report --json --events text
2 report --json --events none
2 report --json --inventory text
0 !metrics
1 @nobody metrics
2 metrics --listen frobnicate
0 !stage two.toml
0 stage --off
2 stage broken.toml
2 stage text
2 stage
1 stage old.toml
0 !promote
2 promote --frobnicate
0 !confirm
2 confirm --frobnicate
0 !rollback
2 rollback --frobnicate
0 !upgrade
0 !off
0 off
1 @nobody off
2 off --frobnicate
2 order frobnicate
2 order show text
2 order show none
2 order sign text --key netops.key --cert netops.pem
1 order off -o off.order
0 apply signed.toml --confirm-within 0
1 off
1 rollback
0 !order off -o off.order
1 order rollback -o back.order
1 off --order off.order
1 order sign off.order --key stranger.key --cert netops.pem
0 !order sign off.order --key netops.key --cert netops.pem
0 !order show off.order
1 rollback --order off.order
2 off --order text
0 off --order off.order
"""
SEALED = """
0 apply sealed.toml --confirm-within 0
0 !seal
"""
NOBODY = 65534  # the user
NEVER = {  # verb: status, and why
    ("schema", 1): "it asks nothing", ("recipes", 1): "it asks nothing", ("completion", 1): "it asks nothing",
    ("inspect", 1): "it shows what a file says, and judges nothing",
    ("seal", 0): "a sealed guest takes no other step: it is the last one, with --json",
}
BEFORE = {  # such a verb can do its work; next.toml has a new version each time
    "!promote": "stage next.toml", "!confirm": "apply next.toml --confirm-within 10m",
    "!off": "apply next.toml --confirm-within 0", "!events": "run xdp.bpfsig",
}


@dataclass
class Step:
    wanted: int
    words: list[str]
    asks_output: bool
    is_nobody: bool


def steps_of(text: str) -> list[Step]:
    found = []
    for line in filter(str.strip, text.splitlines()):
        wanted, rest = line.split(" ", 1)
        words = rest.removeprefix("@nobody ").removeprefix("!").split()
        found.append(Step(int(wanted), words, rest.startswith("!"), rest.startswith("@nobody ")))
    return found


# What has no --json, or does something else with it.
def in_json(steps: list[Step]) -> list[Step]:
    return [Step(step.wanted, [*step.words, "--json"], step.asks_output, step.is_nobody) for step in steps
            if step.words[0] not in ("schema", "help", "--help", "--version") and step.words != ["report"]]


class Table:
    def __init__(self) -> None:
        self.seen: dict[str, set[int]] = {}
        self.unwritten: dict[str, set[str]] = {}
        self.problems: list[str] = []
        self.version = 10

    def enable(self, verb: str, asks_output: bool) -> None:
        if asks_output and (command := BEFORE.get(f"!{verb}")):
            self.version += 1
            write("next.toml", POLICY.format(version=self.version, mode="enforce", allow="xdp"))
            if (ran := run(command.split()))[0] != 0:
                self.problems.append(f"`bpfwarden {command}`: {ran[1].strip()}")

    def step(self, step: Step) -> None:
        verb, command = step.words[0], f"`bpfwarden {' '.join(step.words)}`"
        self.enable(verb, step.asks_output)
        status, said = run(step.words, step.is_nobody, tells_json="--json" in step.words)
        print(f"{command}: {status}", flush=True)
        self.seen.setdefault(verb, set()).add(status)
        if status != step.wanted:
            self.problems.append(f"{command} exits {status}, not {step.wanted}: {said[-300:].strip()}")
        for name, target in (("/dev/full", "/dev/full"), ("a closed pipe", None)) if step.asks_output else ():
            self.enable(verb, True)
            status, said = run(step.words, target=target)
            self.unwritten.setdefault(verb, set()).add(f"{name}: {status}")
            if status != 1 or "cannot write to standard output" not in said:
                self.problems.append(f"{command} on {name} exits {status}: {said[-300:].strip()}")


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


# `target`: where its standard output goes: a file, or None, a closed pipe; left out, it is returned too.
def run(words: list[str], is_nobody: bool = False, tells_json: bool = False, **options: str | None) -> tuple[int, str]:
    out: int = subprocess.PIPE
    if "target" in options:
        out = os.open(options["target"], os.O_WRONLY) if options["target"] else closed_pipe()
    who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if is_nobody else {}
    done = subprocess.run(["bpfwarden", *words], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE,
                          text=True, timeout=300, check=False, errors="replace", **who)
    if "target" in options:
        os.close(out)
    if tells_json:
        told = {"words": words, "status": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
        print("JSON " + json.dumps(told), flush=True)
    return done.returncode, (done.stdout or "") + done.stderr


def write(name: str, text: str) -> None:
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)


def prepare(folder: str, program: str) -> None:
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    shutil.copy(program, "xdp_pass.bpf.o")
    for name, bundle in (("netops", "xdp"), ("stranger", "stranger")):
        run(["keys", "new", name])
        run(f"sign xdp_pass.bpf.o --key {name}.key --cert {name}.pem -o {bundle}.bpfsig".split())
    for number, name in enumerate(("old", "one", "two"), 1):
        write(f"{name}.toml", POLICY.format(version=number, mode="enforce", allow="xdp"))
    write("revoking.toml", POLICY.format(version=1, mode="enforce", allow="xdp"))
    write("wide.toml", POLICY.format(version=2, mode="enforce", allow="fentry/*"))
    write("warned.toml", POLICY.format(version=1, mode="enforce", allow="xdp").replace('default = "deny"', 'default = "allow"'))
    write("sealed.toml", "seal = true\n" + POLICY.format(version=1, mode="enforce", allow="xdp"))
    write("signed.toml", POLICY.format(version=1, mode="enforce", allow="xdp").replace("[keys", 'policy-signed-by = ["netops"]\n[keys', 1))
    write("broken.toml", POLICY.format(version=1, mode="enforced", allow="xdp"))
    write("ugly.toml", 'schema=1\nname =   "ugly"\nversion=1\nmode="audit"\ndefault="deny"\n')
    write("text", "this is a text, and nothing else\n")
    for name, expect in (("good", "allow"), ("bad", "deny")):
        write(f"{name}.test.toml", TESTS.format(expect=expect))


def check_help(verbs: list[str], problems: list[str]) -> int:
    parts = [[verb, part] for verb in verbs for part in verbs_of(run([verb, "--help"])[1])]
    for words in [[], *[[verb] for verb in verbs], *parts]:
        for line in run([*words, "--help"])[1].splitlines():
            if len(line) > 80:
                problems.append(f"`bpfwarden {' '.join(words)} --help` has {len(line)} columns: {line}")
    return 1 + len(verbs) + len(parts)


def verbs_of(text: str) -> list[str]:
    listed = text[text.find("\n\n"):].split("\n")
    begins = next((i for i, line in enumerate(listed) if line in ("Subcommands:", "Write a policy and try it:")), None)
    return re.findall(r"^  ([a-z]+)  ", "\n".join(listed[begins:]), re.MULTILINE) if begins is not None else []


def report(table: Table, verbs: list[str], helps: int, is_json: bool) -> None:
    print(f"{'verb':12}{'exit':10}nothing was written to")
    for verb in verbs:
        for status in {0, 1, 2} - table.seen[verb]:
            if (verb, status) not in NEVER and not is_json:
                table.problems.append(f"`{verb}` was not seen to exit with {status}")
        unwritten = ", ".join(sorted(table.unwritten.get(verb, {"NOTHING WAS ASKED"})))
        print(f"{verb:12}{' '.join(map(str, sorted(table.seen[verb]))):10}{unwritten}")
    print(*table.problems, sep="\n")
    print(f"{len(verbs)} verbs; {helps} helps fit 80 columns; {len(table.problems)} problems")


def main() -> int:
    prepare(sys.argv[2], os.path.realpath(sys.argv[3]))
    table = Table()
    verbs = verbs_of(run(["--help"])[1])
    helps = check_help(verbs, table.problems) if sys.argv[1] == "anywhere" else 0
    everywhere = {step.words[0] for step in steps_of(ANYWHERE + GUEST)}
    table.problems += [f"no step is about `{verb}`" for verb in verbs if verb not in everywhere]
    is_json = "--json" in sys.argv
    steps = steps_of({"anywhere": ANYWHERE, "guest": GUEST + (SEALED if is_json else "")}[sys.argv[1]])
    for step in in_json(steps) if is_json else steps:
        table.step(step)
    report(table, [verb for verb in verbs if verb in table.seen], helps, is_json)
    return 1 if table.problems or not table.seen else 0


if __name__ == "__main__":
    sys.exit(main())
