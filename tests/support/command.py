"""The `streamix` command in a process of its own, seen from a test."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["Ended", "Running", "environment", "streamix"]

REPO = Path(__file__).resolve().parents[2]
# Strict, so that what the command leaves open or uses wrongly is seen on its stderr. Not with -X dev,
# which shows no more of that and takes twice as long, a hundred times.
COMMAND = (sys.executable, "-W", "error", "-m", "streamix_queue")
_OURS = re.compile(r"(STREAMIX_.*|REDIS_URL|STREAM|GROUP|NO_COLOR|FORCE_COLOR|COLUMNS|TERM)\Z")
_WITHIN_S = 60.0


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def environment(**variables: str) -> dict[str, str]:
    """This process' environment without what the command looks at, and with ``variables``."""
    kept = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
    path = os.pathsep.join([str(REPO), str(REPO / "telemetry"), kept.get("PYTHONPATH", "")])
    return {**kept, "PYTHONPATH": path.rstrip(os.pathsep), **variables}


def streamix(
    *arguments: str,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    command: Sequence[str] = COMMAND,
    stdin: int = subprocess.DEVNULL,
) -> Ended:
    """Run the command to its end."""
    done = subprocess.run(
        [*command, *arguments],
        env=environment(**(env or {})),
        cwd=cwd,
        stdin=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=_WITHIN_S,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


class Running:
    """A command that runs: what it prints can be waited for, and it can be given signals."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=environment(**(env or {})),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            # As a shell would start it: Ctrl-C goes to the whole group.
            start_new_session=True,
        )
        self._changed = threading.Condition()
        self.out: list[str] = []
        self.err: list[str] = []
        self._ended = 0  # of the two
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            self._read(self._process.stdout, self.out),
            self._read(self._process.stderr, self.err),
        ]

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for_out(self, pattern: str, count: int = 1) -> list[str]:
        """Wait until so many lines of stdout match; what their first groups hold."""
        return self._wait_for(self.out, pattern, count)

    def wait_for_err(self, pattern: str, count: int = 1) -> list[str]:
        """As `wait_for_out`, on stderr."""
        return self._wait_for(self.err, pattern, count)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def press_ctrl_c(self) -> None:
        """SIGINT to every process of the terminal's foreground group."""
        os.killpg(self.pid, signal.SIGINT)

    def wait(self, timeout_s: float = _WITHIN_S) -> Ended:
        """Wait for its end; how it ended."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {timeout_s:g} s: {self._said()}") from None
        for reader in self._readers:
            reader.join(10)
        return Ended(code, "\n".join(self.out), "\n".join(self.err))

    def close(self) -> None:
        """End it, whatever it does. Its children, if it has any, end with it."""
        self._process.kill()
        self._process.wait()
        for reader, stream in zip(self._readers, (self._process.stdout, self._process.stderr), strict=True):
            reader.join(10)
            if stream is not None and not reader.is_alive():
                stream.close()

    def _read(self, stream: IO[str], lines: list[str]) -> threading.Thread:
        def read() -> None:
            for line in stream:
                with self._changed:
                    lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
            with self._changed:
                self._ended += 1
                self._changed.notify_all()

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def _wait_for(self, lines: list[str], pattern: str, count: int) -> list[str]:
        def found() -> list[str]:
            matches = (re.search(pattern, line) for line in lines)
            return [match[match.re.groups and 1] for match in matches if match]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= count or self._ended == 2, _WITHIN_S)
            assert len(found()) >= count, f"{len(found())} of {count} lines match {pattern!r}: {self._said()}"
            return found()

    def _said(self) -> str:
        return "\n".join(["stdout:", *self.out[-20:], "stderr:", *self.err[-40:]])
