"""What `bpfwarden events` writes to a file while tools run."""

import json
import signal
import subprocess
import time

RESULTS = "/tmp/realtools"
EVENTS = f"{RESULTS}/events.jsonl"


def events(path: str) -> list[dict]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def start(path: str) -> subprocess.Popen:
    return subprocess.Popen(["bpfwarden", "events", "--follow", "--output", path])


def end(recorder: subprocess.Popen, path: str) -> list[str]:
    """Whether nothing is missing: the sequence numbers have no gap."""
    time.sleep(2)
    recorder.send_signal(signal.SIGTERM)
    if recorder.wait(30) != 0:
        return [f"bpfwarden events ended with {recorder.returncode}"]
    numbers = [event["sequence"] for event in events(path)]
    print(f"{len(numbers)} events recorded", flush=True)
    if not numbers or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return [f"{path} has a gap, or nothing at all"]
    return []
