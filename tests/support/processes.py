"""Other processes, seen from a test."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from streamix_queue.local_server.process import OwnedProcess
from tests.support.fact_log import LogReader, Record

__all__ = ["ConsumerProcess", "gone", "wait_until_gone"]

_ROOT = Path(__file__).parents[2]
_numbers = itertools.count(1)


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet has, too."""
    if Path("/proc/self/status").exists():
        try:
            return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until_gone(pid: int, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.01)


class ConsumerProcess:
    """A real process that runs one `streamix_queue.Consumer`, made by `start`.

    What happens in it stands in the log that it was given (see `tests.support.fact_log`); several
    processes may share one. It dies with the test run, however that ends.
    """

    def __init__(self, process: OwnedProcess, log: Path, stdout: Path, stderr: Path) -> None:
        self.log = log
        self._process = process
        self._reader = LogReader(log)
        self._stdout, self._stderr = stdout, stderr

    @classmethod
    def start(
        cls,
        url: str,
        stream: str,
        group: str,
        *,
        handler: str = "tests.support.handlers:record",
        events: Sequence[str] = ("thing",),
        log: Path,
        env: dict[str, str] | None = None,
        failpoint: str | None = None,
        python: Sequence[str] = (sys.executable, "-X", "faulthandler", "-W", "error"),
        **consumer_options: Any,
    ) -> ConsumerProcess:
        """Start it; ``consumer_options`` go to the `Consumer`, ``failpoint`` to `failpoints`.

        Returns at once: `wait_until_ready` waits until it consumes.
        """
        name = f"{log.stem}.{next(_numbers)}"
        stdout, stderr = log.with_name(f"{name}.stdout"), log.with_name(f"{name}.stderr")
        plan = {
            "url": url,
            "stream": stream,
            "group": group,
            "handler": handler,
            "events": list(events),
            "log": str(log),
            "stdout": str(stdout),
            "failpoint": failpoint,
            "options": consumer_options,
        }
        path = os.pathsep.join([str(_ROOT), str(_ROOT / "telemetry"), os.environ.get("PYTHONPATH", "")])
        variables = {"PYTHONPATH": path.rstrip(os.pathsep), **(env or {})}
        command = ["/usr/bin/env", *(f"{key}={value}" for key, value in variables.items())]
        command += [*python, "-m", "tests.support.consumer_main", json.dumps(plan)]
        process = OwnedProcess(
            command, log=stderr, death_signal=signal.SIGKILL, thread_name=f"consumer-process-{name}"
        )
        return cls(process, log, stdout, stderr)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exited(self) -> bool:
        return self._process.exited

    # --- signals --------------------------------------------------------------------------------

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.send_signal(signal.SIGKILL)
        self.wait(10)

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """SIGINT, as Ctrl-C sends it."""
        self._process.send_signal(signal.SIGINT)

    def freeze(self) -> None:
        """SIGSTOP, and wait until every thread of it stands still."""
        self._process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 10
        tasks = Path(f"/proc/{self.pid}/task")
        while any("\nState:\tT" not in _status(task) for task in tasks.iterdir()):
            assert time.monotonic() < deadline, f"process {self.pid} does not stop"
            time.sleep(0.001)

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    # --- what came of it ------------------------------------------------------------------------

    def wait(self, timeout: float) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        if not self._process.wait(timeout):
            raise AssertionError(f"process {self.pid} still runs after {timeout} s{self._remains()}")
        code = self._process.returncode
        assert code is not None
        return code

    def wait_for(self, predicate: Callable[[Record], bool], timeout: float = 20) -> Record:
        """The first record in the log for which ``predicate`` is true, as soon as it is there."""
        record = self._reader.wait_for(predicate, timeout)
        if record is None:
            raise AssertionError(f"no such record within {timeout} s{self._remains()}")
        return record

    def wait_until_ready(self, timeout: float = 20) -> ConsumerProcess:
        """Wait until it consumes."""
        self.wait_for(lambda r: r["kind"] == "consumer_started" and r["pid"] == self.pid, timeout)
        return self

    def records(self, kind: str | None = None) -> list[Record]:
        """What is in the log up to now, of every process that shares it."""
        return [record for record in self._reader.records() if kind in (None, record["kind"])]

    def stderr(self) -> str:
        return self._stderr.read_text(errors="replace")

    def stdout(self) -> str:
        return self._stdout.read_text(errors="replace") if self._stdout.exists() else ""

    def _remains(self) -> str:
        """What helps to see why a wait was in vain."""
        state = f"exit code {self._process.returncode}" if self.exited else "running"
        last = "\n".join(json.dumps(record) for record in self.records()[-15:])
        return f" ({state})\n--- stderr\n{self.stderr()[-3000:]}\n--- log\n{last}"

    def __enter__(self) -> ConsumerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        """End it by its pid, frozen or not."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)


def _status(task: Path) -> str:
    try:
        return (task / "status").read_text()
    except OSError:  # a thread that has ended meanwhile stands still, too
        return "\nState:\tT"
