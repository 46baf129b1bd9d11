"""Holds what a command printed to what the document shows.

A `…` alone on a line stands for any number of lines, elsewhere for the rest that varies in a line.
Times, process and program numbers, digests and serial numbers differ from run to run: each stands for
any other of its kind.
"""

import re

# The order counts: what is replaced first is not looked at again.
KINDS = [
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(Z| ?[+-]\d\d:?\d\d| [A-Z]{3,4}\b)?", "<time>"),
    (r"\d{4}-\d\d-\d\d", "<date>"),
    (r"\b(just now|(\d+ (second|minute|hour|day)s? ago))", "<ago>"),
    (r"\b\d+ (second|minute|hour|day)s?\b", "<span>"),
    (r"sha256:(?!0{64})[0-9a-f]{8,64}", "<digest>"),
    (r"\b[0-9a-f]{40,64}\b", "<hex>"),
    (r"\b(pid|program|link|keyring|loader|serial|id) \d+", r"\1 <number>"),
    (r"^\d+ more kinds: `bpfwarden why --last \d+`", "<more>"),
    (r"\b\d+ (?=(of )?bpfwarden\b|programs:)", "<number> "),
    (r"^\d+ +(?=\S)", "<number> "),
]


def by_kind(line: str) -> str:
    for pattern, kind in KINDS:
        line = re.sub(pattern, kind, line)
    return re.sub(r" +", " ", line).strip()


def line_fits(wanted: str, printed: str) -> bool:
    if "…" not in wanted:
        return by_kind(wanted) == by_kind(printed)
    parts = [re.escape(part) for part in by_kind(wanted).split("…")]
    return re.fullmatch(".*".join(parts), by_kind(printed)) is not None


def fits(wanted: list[str], printed: list[str]) -> bool:
    if not wanted:
        return not printed
    if wanted[0].strip() == "…":
        return any(fits(wanted[1:], printed[i:]) for i in range(len(printed) + 1))
    return bool(printed) and line_fits(wanted[0], printed[0]) and fits(wanted[1:], printed[1:])
