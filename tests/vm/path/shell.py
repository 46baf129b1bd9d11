"""A shell at a terminal of 100 columns, which keeps what its commands change: folder, variables, files."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

COLUMNS, ROWS = 100, 50
LONGEST = 240  # seconds that a command may take: bpftrace under emulation needs 25
END = re.compile(rb"\x1e(\d+)\x1e")  # what the loop prints after each command
LOOP = r"""trap : INT
set -m  # what runs in the background gets no Ctrl-C
while IFS= read -r -d '' -u 3 command; do
  eval "$command" 3<&-
  printf '\036%d\036' $?
done"""


class Stuck(Exception):
    """A command did not end, or printed nothing that could be interrupted."""


class Shell:
    def __init__(self) -> None:
        self.terminal, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        settings = termios.tcgetattr(end)
        settings[3] &= ~termios.ECHO
        settings[1] &= ~termios.OPOST  # as it was printed: \n stays \n
        termios.tcsetattr(end, termios.TCSANOW, settings)
        commands, self.commands = os.pipe()

        def prepare() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            os.dup2(commands, 3)

        self.process = subprocess.Popen(["bash", "--norc", "--noprofile", "-c", LOOP], stdin=end, stdout=end,
                                        stderr=end, start_new_session=True, preexec_fn=prepare, pass_fds=[3, commands])
        os.close(end)
        os.close(commands)

    def run(self, command: str, interrupted: bool = False) -> tuple[int, str]:
        """Its exit status, and all that it printed."""
        os.write(self.commands, command.encode() + b"\0")
        printed = bytearray()
        until = time.monotonic() + LONGEST
        while not (ended := END.search(printed)):
            if time.monotonic() > until:
                self.end()
                raise Stuck(f"it has not ended after {LONGEST} s; it printed: {printed.decode(errors='replace')}")
            if not select.select([self.terminal], [], [], 1)[0]:
                continue
            printed += os.read(self.terminal, 65536)
            if interrupted and b"\n" in printed:
                time.sleep(1)  # what else it has to say
                os.write(self.terminal, b"\x03")
                interrupted = False
        return int(ended[1]), printed[:ended.start()].decode(errors="replace")

    def end(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
