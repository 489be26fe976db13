"""A process under test, as the harness sees it: started, pinned, listened to, ended. See `load.job`."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import IO, Any

from load.machine import ROOT

_START_DEADLINE_S = 60.0
_OUR_DRIVERS = "load.drivers."
# The tree goes to the end of the path: a peer's own packages come first, among them 0.1.0 of ours.
# For our own drivers PYTHONPATH puts it to the front as well.
_LAUNCH = """
import os, runpy, sys
root, cores, driver = sys.argv[1], sys.argv[2], sys.argv[3]
if cores:
    os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
sys.path.append(root)
del sys.argv[1:4]
runpy.run_module(driver, run_name="__main__", alter_sys=True)
"""


class ChildFailed(Exception):
    """The process ended, or was silent for too long, without a result; the text says what it wrote."""


class Child:
    """One process of one contestant; use it in ``with``, which ends it.

    Args:
        driver: Module under `load` that drives the contestant.
        job: Fields of `load.job.Job`.
        python: The interpreter; None for this one.
        cores: Where to run; empty for anywhere.
    """

    def __init__(
        self, driver: str, job: dict[str, Any], *, python: str | None = None, cores: Sequence[int] = ()
    ) -> None:
        self._deadline_s = job.get("deadline_s", 60.0)
        self._answers, theirs = os.pipe()
        self._unread = b""
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._scratch = tempfile.TemporaryDirectory(prefix="streamix-load-")
        command = [python or sys.executable, "-c", _LAUNCH, str(ROOT), ",".join(map(str, cores)), driver]
        try:
            self._process = subprocess.Popen(
                [*command, json.dumps({**job, "answer_fd": theirs})],
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                pass_fds=(theirs,),
                cwd=self._scratch.name,
                env=_environment(ours=driver.startswith(_OUR_DRIVERS)),
                start_new_session=True,  # a Ctrl-C is for the harness, which then ends its children
            )
        finally:
            os.close(theirs)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self) -> None:
        """Until the consumer is up. Raises `ChildFailed`."""
        self._await("ready", _START_DEADLINE_S)

    def result(self) -> dict[str, Any]:
        """What it reports at its end. Raises `ChildFailed`."""
        result: dict[str, Any] = self._await("result", self._deadline_s + _START_DEADLINE_S)
        return result

    def answered(self, within_s: float) -> bool:
        """True if it has something to say, or has ended; waits for that a while."""
        return b"\n" in self._unread or bool(select.select([self._answers], [], [], within_s)[0])

    def ask_to_stop(self) -> None:
        """Ask an orderly consumer to end and report."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """End it, whatever it does."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._process.poll() is None:
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        os.close(self._answers)
        self._log.close()
        self._scratch.cleanup()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside -----------------------------------------------------------------------------

    def _await(self, key: str, seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            line, newline, rest = self._unread.partition(b"\n")
            if newline:
                self._unread = rest
                answer = json.loads(line)
                if key in answer:
                    return answer[key]
                continue
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                raise ChildFailed(f"no {key} within {seconds:g} s{self._last_words()}")
            chunk = os.read(self._answers, 1 << 20)
            if not chunk:
                self._process.wait()
                status = self._process.returncode
                raise ChildFailed(f"ended with {status} before its {key}{self._last_words()}")
            self._unread += chunk

    def _last_words(self) -> str:
        """The end of what it wrote, the very last line first: of a traceback that is the error."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()[-15:]
        return "".join([f": {line.strip()}" for line in lines[-1:]] + [f"\n    {line}" for line in lines])


def _environment(*, ours: bool) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    if ours:
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "telemetry")])
    return environment
