"""Holds what verbs print with --json to their schemas (docs/json.md). usage: answers.py RECORD... [--all]

A RECORD is what verbs.py wrote: lines `JSON {"words", "status", "stdout", "stderr"}`. Each answer must be valid
by `bpfwarden schema --json VERB`, and that a JSON Schema; each verb of `bpfwarden --help` must have one. With
--all each verb must have answered with a result, too. Prints a table; exits 1 if anything is amiss.
"""

import json
import pathlib
import subprocess
import sys

import jsonschema

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "vm/path"))
from verbs import verbs_of  # pylint: disable=wrong-import-position

WITHOUT = {"schema"}  # prints a schema itself


def run(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(["bpfwarden", *words], capture_output=True, text=True, check=False)


def all_verbs() -> list[str]:
    found = []
    for verb in verbs_of(run("--help").stdout):
        parts = verbs_of(run(verb, "--help").stdout)
        found += [f"{verb} {part}" for part in parts] or [verb]
    return [verb for verb in found if verb not in WITHOUT]


class Answers:
    def __init__(self, verbs: list[str]) -> None:
        self.problems: list[str] = []
        self.results = dict.fromkeys(verbs, 0)
        self.errors = dict.fromkeys(verbs, 0)
        self.validators = {verb: validator for verb in verbs if (validator := self.validator(verb))}

    def validator(self, verb: str):
        done = run("schema", "--json", *verb.split())
        if done.returncode != 0:
            self.problems.append(f"`{verb}` has no schema: add it to loader/text/json_shapes.cpp")
            return None
        schema = json.loads(done.stdout)
        jsonschema.Draft202012Validator.check_schema(schema)
        return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())

    def verb(self, words: list[str]) -> str | None:
        for length in (2, 1):
            if (name := " ".join(words[:length])) in self.results:
                return name
        return None

    def take(self, record: dict) -> None:
        words, status = record["words"], record["status"]
        command, verb = f"`bpfwarden {' '.join(words)}`", self.verb(words)
        text = record["stderr"] if any(pair == ("-o", "-") for pair in zip(words, words[1:])) else record["stdout"]
        try:
            is_lines = verb == "events" and status != 2  # how it was called is no event
            answers = [json.loads(line) for line in text.splitlines()] if is_lines else [json.loads(text)]
        except json.JSONDecodeError as error:
            self.problems.append(f"{command} (exit status {status}) prints no JSON: {error}: {text[:200]!r}")
            return
        for answer in answers:
            self.judge(command, verb, status, answer)

    def judge(self, command: str, verb: str | None, status: int, answer: dict) -> None:
        is_error = "error" in answer
        if is_error and answer["error"].get("exit_status") != status:
            self.problems.append(f"{command} exits {status} and says {answer['error'].get('exit_status')}")
        if is_error and status == 0:
            self.problems.append(f"{command} is done, and tells an error: {answer['error'].get('message')}")
        if verb is None:  # no such verb: any schema has the errors
            verb = next(iter(self.validators))
        else:
            (self.errors if is_error else self.results)[verb] += 1
        if verb not in self.validators:
            return
        for error in self.validators[verb].iter_errors(answer):
            nearest = jsonschema.exceptions.best_match([error])
            where = "/".join(map(str, nearest.absolute_path))
            self.problems.append(f"{command}: at `{where}`: {nearest.message[:300]}")


def main() -> int:
    wants_all = "--all" in sys.argv
    answers = Answers(all_verbs())
    for name in (name for name in sys.argv[1:] if name != "--all"):
        with open(name, encoding="utf-8") as file:
            for line in file:
                if line.startswith("JSON "):
                    answers.take(json.loads(line.removeprefix("JSON ")))
    print(f"{'verb':18}{'results':10}errors")
    for verb, count in answers.results.items():
        print(f"{verb:18}{count:<10}{answers.errors[verb]}")
        if wants_all and count == 0:
            answers.problems.append(f"`{verb}` was not seen to answer")
    print(*answers.problems, sep="\n")
    total = sum(answers.results.values()) + sum(answers.errors.values())
    print(f"{len(answers.results)} verbs; {total} answers; {len(answers.problems)} problems")
    return 1 if answers.problems or total == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
