"""Writes into documents what their console blocks printed, where that is not what they show.
usage: update.py DONE.json DOCUMENT..."""

import json
import os
import sys

import answers
import blocks


def shown(block: blocks.Block, printed: list[list[str]]) -> list[str]:
    lines = []
    for command, output in zip(block.commands(), printed):
        lines += ["$ " + command.text.replace("\n", "\n> ")]
        lines += command.prints if answers.fits(command.prints, output) else output
    return lines


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        outputs = json.load(file)["outputs"]
    for document in sys.argv[2:]:
        with open(document, encoding="utf-8") as file:
            text = file.read()
        lines = text.splitlines()
        for block in reversed(blocks.read(os.path.basename(document), text)):
            printed = outputs.get(block.name())
            if printed and len(printed) == len(block.commands()):
                lines[block.line:block.line + len(block.content)] = shown(block, printed)
        with open(document, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
