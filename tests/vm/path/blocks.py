"""The fenced blocks of a document, in order, with what a comment before each tells the test.

  sh       commands, one a line; a backslash at the end of a line goes on in the next
  console  `$ ` before each command, and what it prints at a terminal
  toml     a file

A comment right before the block, which readers of the page do not see, has one of these a line:

  <!-- path
  file: NAME            where a toml block goes
  before: COMMAND       what a reader has done beforehand; it must succeed
  interrupt: COMMAND    the command that begins so ends by Ctrl-C, once it has printed something
  fails: COMMAND        the command that begins so must fail; all others must not
  reboot: COMMAND       the command that begins so is played as a reboot
  -->
"""

import re
from dataclasses import dataclass, field

FENCE = re.compile(r"^\s*```\s*([\w-]*)\s*$")
NOTE = re.compile(r"<!-- path\n(.*?)-->\s*\Z", re.DOTALL)
NOTES = ("file", "before", "interrupt", "fails", "reboot")


class Wrong(Exception):
    """The document is not written as this module says."""


@dataclass
class Command:
    text: str
    line: int
    prints: list[str] | None = None  # None: nobody says


@dataclass
class Block:
    document: str
    line: int  # of the fence
    kind: str
    content: list[str] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def name(self) -> str:
        return f"{self.document}:{self.line}"

    def has(self, note: str, command: str) -> bool:
        return any(command.startswith(one) for one in self.notes.get(note, []))

    def commands(self) -> list[Command]:
        return console(self) if self.kind == "console" else shell(self)


def shell(block: Block) -> list[Command]:
    found: list[Command] = []
    goes_on = False
    for number, line in enumerate(block.content, block.line + 1):
        if goes_on:
            found[-1].text += "\n" + line
        elif line.strip() and not line.lstrip().startswith("#"):
            found.append(Command(line, number))
        goes_on = line.endswith("\\")
    return found


def console(block: Block) -> list[Command]:
    found: list[Command] = []
    for number, line in enumerate(block.content, block.line + 1):
        if line.startswith("$ "):
            found.append(Command(line[2:], number, []))
        elif not found:
            raise Wrong(f"{block.name()}: a console block begins with `$ `")
        elif found[-1].text.endswith("\\"):
            found[-1].text += "\n" + line.removeprefix("> ")
        else:
            found[-1].prints.append(line)
    return found


def read_notes(before: str, where: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if comment := NOTE.search(before):
        for line in comment[1].splitlines():
            name, colon, value = line.partition(":")
            if not colon or name not in NOTES:
                raise Wrong(f"{where}: '{line}' in the comment is none of: {', '.join(NOTES)}")
            found.setdefault(name, []).append(value.strip())
    return found


def read(document: str, text: str) -> list[Block]:
    found: list[Block] = []
    outside: list[str] = []
    is_open = False
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if is_open and fence:
            is_open, outside = False, []
        elif is_open:
            found[-1].content.append(line)
        elif fence:
            where = f"{document}:{number}"
            found.append(Block(document, number, fence[1], notes=read_notes("\n".join(outside), where)))
            is_open = True
        else:
            outside.append(line)
    if is_open:
        raise Wrong(f"{document}: the block of line {found[-1].line} has no end")
    return found
