"""A command on a terminal of its own, as a person at the keyboard has it."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["OnTerminal"]

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_LOOK_EVERY_S = 0.05
# Makes the terminal that is its stdin the one whose Ctrl-C it gets, as a login does.
_LOG_IN = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class OnTerminal:
    """A command that runs on a terminal: what it shows can be waited for, and keys be pressed.

    Args:
        command: The program and its arguments.
        env: Its whole environment, but for TERM.
        cwd: Where it runs.
        stdin: A file descriptor, or None for the terminal.
        stdout: The same.
        lines: The height of the terminal.
        columns: Its width.
        logged_in: Whether a Ctrl-C that is pressed interrupts it. When it ends, its terminal is lost then.
        within_s: How long each wait may take, in seconds.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        lines: int = 40,
        columns: int = 120,
        logged_in: bool = False,
        within_s: float = 30.0,
    ) -> None:
        self.shown = ""
        self._waited_for = 0
        self._within_s = within_s
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        # The command's end stays open here, too: what it leaves of it is looked at after its end.
        self._ours, self._theirs = pty.openpty()
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._modes = termios.tcgetattr(self._theirs)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LOG_IN, *command] if logged_in else command,
            env={**env, "TERM": "xterm"},
            cwd=cwd,
            stdin=self._theirs if stdin is None else stdin,
            stdout=self._theirs if stdout is None else stdout,
            stderr=self._theirs,
            start_new_session=True,
        )

    def wait_for(self, pattern: str) -> str:
        """Wait until something matches that was not waited for before, colours aside; all that is new."""
        deadline = time.monotonic() + self._within_s
        while not re.search(pattern, _STYLE.sub("", self.shown[self._waited_for :])):
            runs = self._process.poll() is None
            if not self._read(_LOOK_EVERY_S if runs else 0.0):
                assert runs, f"it ended without {pattern!r}: {self.shown[-3000:]!r}"
                assert time.monotonic() < deadline, f"it does not show {pattern!r}: {self.shown[-3000:]!r}"
        new = self.shown[self._waited_for :]
        self._waited_for = len(self.shown)
        return new

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end, and read all that it shows until then."""
        deadline = time.monotonic() + seconds
        while self._process.poll() is None:
            if time.monotonic() > deadline:
                return False
            self._read(_LOOK_EVERY_S)  # or it may wait for us to read
        while self._read(0.0):
            pass
        return True

    def end(self) -> int:
        """Wait for its end; the exit code."""
        assert self.ends_within(self._within_s), f"it does not end: {self.shown[-3000:]!r}"
        code: int = self._process.returncode
        return code

    @property
    def modes_are_as_before(self) -> bool:
        """Whether keys are echoed, and lines edited, as before the command."""
        return termios.tcgetattr(self._theirs) == self._modes

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._ours], [], [], timeout_s)[0]:
            return False
        try:
            chunk = os.read(self._ours, 65_536)
        except OSError:  # how Linux says that the other end is lost
            return False
        self.shown += self._text.decode(chunk)
        return True

    def __enter__(self) -> OnTerminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
