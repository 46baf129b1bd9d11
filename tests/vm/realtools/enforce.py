"""From the recording to an enforcing policy: it refuses nothing of what was recorded, and a stranger."""

import errno
import subprocess
from collections.abc import Callable

import recording
import tools

POLICY, TESTS = f"{recording.RESULTS}/suggested.toml", f"{recording.RESULTS}/suggested.test.toml"
ENFORCED = f"{recording.RESULTS}/enforced.jsonl"
STRANGER, STRANGER_PIN = "stranger", "/sys/fs/bpf/stranger"


def apply_suggestion() -> None:
    tools.run("bpfwarden", "suggest", "--events", recording.EVENTS, "--no-inventory", "--mode", "enforce",
              "--name", "real tools", "-o", POLICY, "--tests", TESTS)
    tools.run("bpfwarden", "check", POLICY)
    tools.run("bpfwarden", "test", TESTS)
    tools.run("bpfwarden", "apply", POLICY, "--confirm-within", "0")


def refuse_stranger() -> list[str]:
    """The same command that loads a recorded program, with one that was not."""
    load = ["bpftool", "prog", "load", tools.object_file(STRANGER), STRANGER_PIN]
    done = subprocess.run(load, capture_output=True, text=True, check=False)
    said = done.stderr + done.stdout  # libbpf has said it either way
    if done.returncode == 0 or not ("-EPERM" in said or "Operation not permitted" in said):
        return [f"the stranger is not refused with EPERM: {done.returncode}, {done.stderr.strip()}"]
    tools.run("bpftool", "prog", "load", tools.object_file("refuse_connect"), STRANGER_PIN)
    tools.run("rm", STRANGER_PIN)
    return []


def only_stranger_refused() -> list[str]:
    refused = [event for event in recording.events(ENFORCED) if event["refused"]]
    others = {(event["comm"], event["program"], event["attach"])
              for event in refused if event["program"] != STRANGER}
    problems = [f"refused although recorded: {comm} loading '{program}' at {attach}" for comm, program, attach in others]
    named = [event for event in refused if event["program"] == STRANGER]
    wanted = {"comm": "bpftool", "attach": "xdp", "errno": errno.EPERM, "mode": "enforce"}
    if not named or any({key: one[key] for key in wanted} != wanted for one in named):
        problems.append(f"`bpfwarden events` does not name the stranger: {named}")
    else:
        print(f"the stranger: EPERM; `events` names '{STRANGER}' of {named[0]['comm']} at {named[0]['attach']}")
    return problems


def run_enforced(run_tools: Callable[[], None]) -> list[str]:
    try:
        apply_suggestion()
        recorder = recording.start(ENFORCED)
        run_tools()
        problems = refuse_stranger()
        problems += recording.end(recorder, ENFORCED)
    except tools.Failed as failed:
        return [f"enforced: {failed}"]
    return problems + only_stranger_refused()
