"""What a report of a recording must say, counted from the recording's lines and from nothing else."""

import collections
import datetime
import json
import re

UNIT = re.compile(r"/([^/]+\.(?:service|scope|socket|mount|swap|automount))(?=/|$)")


def outcome(event):
    if event["hook"] in ("observed", "staged"):
        return {"observed": "rejected", "staged": "staged"}[event["hook"]]
    return "refused" if event["refused"] else "would_deny" if event["decision"] == "deny" else "allowed"


def vouch(event):
    return event["signer"] or ("unsigned" if event["signature"] == "unsigned" else "a key the policy does not know")


def unit(event):
    units = UNIT.findall(event["cgroup"] or "")
    return units[-1] if units else event["exe"] or event["comm"]


class Expected:
    def __init__(self, path):
        with open(path) as file:
            self.events = [json.loads(line) for line in file]
        self.counts = collections.Counter(map(outcome, self.events))
        denials = [event for event in self.events if outcome(event) in ("would_deny", "refused")]
        self.programs = collections.Counter((event["program"], event["attach"], (event["digest"] or "")[7:19]) for event in denials)
        self.units = collections.Counter(map(unit, denials))
        loads = [event for event in self.events if event["hook"] in ("bpf_prog_load", "bpf_prog")]
        self.matrix = collections.Counter((vouch(event), re.split("[/@]", event["attach"])[0]) for event in loads)
        numbers = [event["sequence"] for event in self.events]
        self.missing = numbers[-1] - numbers[0] + 1 - len(numbers) if numbers else 0

    def bins(self, step):
        """By outcome and by start: how many."""
        found = collections.Counter()
        for event in self.events:
            at = datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()
            start = datetime.datetime.fromtimestamp(at // step * step, datetime.timezone.utc)
            found[start.strftime("%Y-%m-%d %H:%M:%S"), outcome(event)] += 1
        return found

    def newest(self, fits, count):
        return [event["sequence"] for event in reversed(self.events) if fits(event)][:count]
