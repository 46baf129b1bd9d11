"""Saves a running guest, or lets one begin where another was saved.

usage: migration.py save|restore QMP-SOCKET FILE

FILE holds the devices' state. The memory is a file of its own, which QEMU maps (x-ignore-shared):
written in place by the guest that is saved, copied on write by those that go on from it.
"""

import json
import shlex
import socket
import sys
import time


class Monitor:
    """QEMU's machine protocol (QMP)."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            try:
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.05)
        else:
            sys.exit(f"migration: QEMU does not listen at {path}")
        self.lines = self.socket.makefile("r")
        self.lines.readline()
        self.ask("qmp_capabilities")
        self.ask("migrate-set-capabilities",
                 capabilities=[{"capability": "x-ignore-shared", "state": True}])

    def ask(self, command: str, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        for line in self.lines:
            answer = json.loads(line)
            if "error" in answer:
                sys.exit(f"migration: {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        sys.exit(f"migration: QEMU ended before it answered {command}")

    def wait_until_migrated(self) -> None:
        while (state := self.ask("query-migrate").get("status")) != "completed":
            if state in ("failed", "cancelled"):
                sys.exit(f"migration: {state}")
            time.sleep(0.02)


def main() -> None:
    verb, path, file = sys.argv[1:]
    monitor = Monitor(path)
    if verb == "save":
        monitor.ask("migrate", uri=f"exec:cat >{shlex.quote(file)}")
        monitor.wait_until_migrated()
        monitor.ask("quit")
    else:
        monitor.ask("migrate-incoming", uri=f"exec:cat {shlex.quote(file)}")
        monitor.wait_until_migrated()


main()
