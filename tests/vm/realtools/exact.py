"""An enforcing policy that says where each tool may attach: there they work, elsewhere they are
refused. Loaders with threads attach where a rule lets them, and are watched."""

import errno
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import recording
import tools

POLICY, EVENTS = f"{recording.RESULTS}/exact.toml", f"{recording.RESULTS}/exact.jsonl"

TRYOUT = "what tools try out before they begin"
RULES = """schema = 1
name = "real tools, each at its place"
version = 1000
mode = "enforce"
default = "deny"

[[rules]]
name = "where loaders with threads belong"
allow = [{threaded}]
signature = "unsigned"
multithreaded-attach = "detect"

[[rules]]
name = "ply, which probes by events of tracefs: their target is not known"
allow = ["kprobe/*"]
exe = ["/tree/usr/sbin/ply"]
signature = "unsigned"

[[rules]]
name = "where the tools belong"
allow = [{places}]
signature = "unsigned"

[[rules]]
name = "{tryout}"
load-only = [{probes}]
signature = "unsigned"
"""


@dataclass
class Elsewhere:
    """A command that must be refused where it attaches its program."""

    command: list[str]
    attach: str
    cause: str = "default"

    def run(self) -> list[str]:
        done = subprocess.run(self.command, capture_output=True, text=True, check=False, timeout=tools.LONGEST)
        return [f"'{' '.join(self.command)}' is not refused"] if done.returncode == 0 else []


def all_elsewhere() -> list[Elsewhere]:
    drop_xdp, drop_tc = tools.object_file("drop_xdp"), tools.object_file("drop_tc")
    return [
        Elsewhere(["ip", "link", "set", "dev", "lo", "xdp", "obj", drop_xdp, "sec", "xdp"], "xdp@lo"),
        Elsewhere(["tc", "filter", "add", "dev", "lo", "ingress", "bpf", "da", "obj", drop_tc, "sec", "tc"], "tc@lo"),
        Elsewhere(["bpftool", "cgroup", "attach", tools.OTHER_CGROUP, "connect4", "pinned", tools.PIN],
                  "cgroup/connect4@/elsewhere"),
        Elsewhere(["bpftrace", "-e", "kprobe:do_exit { exit(); }"], "kprobe/do_exit", "rule"),
        Elsewhere(["goloader", "kprobe", "do_exit"], "kprobe/do_exit", "rule"),
        Elsewhere(["goloader", "kprobe", "tcp_v4_connect"], "kprobe/tcp_v4_connect", "shared-files"),
    ]


def quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in sorted(set(names)))


def apply_exact(threaded: list[str], places: list[str]) -> None:
    with open(POLICY, "w", encoding="utf-8") as file:
        file.write(RULES.format(tryout=TRYOUT, probes=quoted(tools.PROBES), threaded=quoted(threaded),
                                places=quoted(places)))
    tools.run("bpfwarden", "check", POLICY)
    tools.run("bpfwarden", "apply", POLICY, "--confirm-within", "0", "--accept-denials")


def run_elsewhere(refusals: list[Elsewhere]) -> list[str]:
    tools.run("tc", "qdisc", "add", "dev", "lo", "clsact")
    tools.run("bpftool", "prog", "load", tools.object_file("refuse_connect"), tools.PIN)
    problems = [problem for one in refusals for problem in one.run()]
    tools.run("rm", tools.PIN)
    tools.run("tc", "qdisc", "del", "dev", "lo", "clsact")
    return problems


def only_elsewhere_refused(refusals: list[Elsewhere]) -> list[str]:
    """But for what tools try out before they begin."""
    found = {(event["hook"], event["attach"], event["cause"], event["errno"]): event["rule"]
             for event in recording.events(EVENTS) if event["refused"]}
    wanted = {("attach", one.attach, one.cause, errno.EPERM) for one in refusals}
    for one in refusals:
        print(f"  {one.command[0]} at {one.attach}: EPERM ({one.cause})")
    return ([f"`bpfwarden events` does not tell of {one}" for one in wanted - found.keys()] +
            [f"refused although it is where it belongs: {one}"
             for one in found.keys() - wanted if found[one] != TRYOUT])


def run_exact(threaded: list[str], places: list[str], run_tools: Callable[[], None]) -> list[str]:
    refusals = all_elsewhere()
    try:
        apply_exact(threaded, places)
        recorder = recording.start(EVENTS)
        run_tools()
        problems = run_elsewhere(refusals)
        problems += recording.end(recorder, EVENTS)
    except (tools.Failed, subprocess.TimeoutExpired) as failed:
        return [f"exact: {failed}"]
    return problems + only_elsewhere_refused(refusals)
