"""Executes the blocks of documents, command by command, in order, in this guest.

What a block shows must be printed, and each command must succeed unless the document says otherwise. Lists
what was executed, and what was not. Exits 1 if anything is amiss, REBOOT where the documents reboot: it is
then to be called again, in a guest that has just booted, with what it has left in RESULTS.
usage: main.py DOCUMENT...
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field

import answers
import blocks
from shell import Shell, Stuck

RESULTS, EARLIER = "/tmp/path", "/opt/path/earlier"
REBOOT = 77
DISK = ["/root", "/var/lib", "/var/log"]  # what outlives a reboot
EXECUTED = ("sh", "console", "toml")


@dataclass
class Done:
    """What has come of the blocks so far; it outlives a reboot."""

    blocks: int = 0  # seen, whether executed or not
    commands: int = 0
    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    outputs: dict[str, list[list[str]]] = field(default_factory=dict)  # of a console block, a command each

    def save(self) -> None:
        with open(f"{RESULTS}/done.json", "w", encoding="utf-8") as file:
            json.dump(dataclasses.asdict(self), file)


def come_back() -> Done:
    os.makedirs(RESULTS, exist_ok=True)
    for folder in DISK:
        os.makedirs(folder, exist_ok=True)
    if not os.path.exists(EARLIER):
        return Done()
    subprocess.run(["tar", "-xf", f"{EARLIER}/disk.tar", "-C", "/"], check=True)
    with open(f"{EARLIER}/done.json", encoding="utf-8") as file:
        return Done(**json.load(file))


class Reboot(Exception):
    """The document reboots here."""


class Path:
    def __init__(self, done: Done) -> None:
        self.done = done
        self.shell = Shell()

    def play(self, block: blocks.Block) -> None:
        self.done.blocks += 1
        if block.kind not in EXECUTED or (block.kind == "toml" and "file" not in block.notes):
            self.done.left_out.append(f"{block.name()} ({block.kind or 'of no kind'})")
            return
        for command in block.notes.get("before", []):
            self.execute(block, blocks.Command(command, block.line))
        if block.kind == "toml":
            with open(block.notes["file"][0], "w", encoding="utf-8") as file:
                file.write("\n".join(block.content) + "\n")
            return
        for command in block.commands():
            self.done.commands += 1
            if block.has("reboot", command.text):
                raise Reboot
            self.compare(block, command, self.execute(block, command))

    def execute(self, block: blocks.Block, command: blocks.Command) -> list[str]:
        """The lines that it printed."""
        try:
            status, printed = self.shell.run(command.text, block.has("interrupt", command.text))
        except Stuck as stuck:
            self.complain(block, command, str(stuck))
            self.shell = Shell()
            return []
        is_interrupted = status == 130 and block.has("interrupt", command.text)
        if (status == 0 or is_interrupted) == block.has("fails", command.text):
            self.complain(block, command, f"ended with {status}: {printed.strip()}")
        return [line.rstrip() for line in printed.rstrip().split("\n")] if printed.strip() else []

    def compare(self, block: blocks.Block, command: blocks.Command, printed: list[str]) -> None:
        if command.prints is None:
            return
        self.done.outputs.setdefault(block.name(), []).append(printed)
        if not answers.fits(command.prints, printed):
            self.complain(block, command, "\n".join(["does not print what is shown, but", *printed]))

    def complain(self, block: blocks.Block, command: blocks.Command, what: str) -> None:
        self.done.problems.append(f"{block.document}:{command.line}: `{command.text}` {what}")
        print(f"AMISS {self.done.problems[-1]}", flush=True)


def play_rest(path: Path, found: list[blocks.Block]) -> None:
    for block in found[path.done.blocks:]:
        begin = time.monotonic()
        path.play(block)
        print(f"{block.name()}: {block.kind or 'of no kind'}, {time.monotonic() - begin:.1f} s", flush=True)


def read_all(files: list[str]) -> list[blocks.Block]:
    found = []
    for file in files:
        with open(file, encoding="utf-8") as opened:
            found += blocks.read(os.path.basename(file), opened.read())
    return found


def main() -> int:
    done = come_back()
    try:
        play_rest(Path(done), read_all(sys.argv[1:]))
    except Reboot:
        print("reboot", flush=True)
        done.save()
        subprocess.run(["tar", "-cf", f"{RESULTS}/disk.tar", *DISK], stderr=subprocess.DEVNULL, check=True)
        return REBOOT
    done.save()
    print(*done.problems, sep="\n")
    print(f"{done.blocks - len(done.left_out)} blocks executed, {done.commands} commands; "
          f"not executed: {len(done.left_out)}", *done.left_out, sep="\n  ")
    return 1 if done.problems or done.left_out else 0


if __name__ == "__main__":
    sys.exit(main())
