"""The fact log: what happened in consumer processes, one JSON object a line, in the order of time.

It is a checker's only truth, so a record is written before what it tells can be undone: one
``write`` to a file opened with ``O_APPEND``, which a SIGKILL right after it cannot take back. A
SIGKILL in the middle of it can cut it at the end of a page; so each begins on a line of its own, and
a line that is no record was never written, as when its process had died a moment earlier.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["FactLog", "LogReader", "Record"]

Record = dict[str, Any]
"""``kind, pid, boot, monotonic`` and what belongs to the kind."""

_POLL_S = 0.005


class FactLog:
    """The writing end, one for a process. Thread-safe: the kernel appends each write whole.

    ``stamp`` goes into every record, beside ``pid``, ``boot`` (one for each start of a process)
    and ``monotonic``, which processes of one machine share.
    """

    def __init__(self, path: Path, **stamp: Any) -> None:
        self._path = path
        self._stamp = {**stamp, "boot": uuid.uuid4().hex[:8]}
        self._fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)

    def write(self, *records: Record) -> None:
        """Append records, all with one ``write``."""
        stamp = {**self._stamp, "pid": os.getpid(), "monotonic": time.monotonic()}
        lines = b"\n" + b"".join(json.dumps({**stamp, **record}).encode() + b"\n" for record in records)
        written = os.write(self._fd, lines)
        if written != len(lines):
            raise OSError(f"{self._path}: {written} of {len(lines)} bytes were written")

    def read(self) -> list[Record]:
        """Return what all processes wrote to it up to now."""
        return LogReader(self._path).records()


class LogReader:
    """The reading end: reads on from where it was, and can wait for a record to come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self._records: list[Record] = []

    def records(self) -> list[Record]:
        """Every record up to now, oldest first. The list is the reader's own: do not change it."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError:  # nobody has written yet
            new = b""
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        self._records += filter(None, map(_record, lines))
        return self._records

    def wait_for(self, predicate: Callable[[Record], bool], timeout: float) -> Record | None:
        """The first record, old or new, for which ``predicate`` is true; None after ``timeout`` s."""
        deadline, seen = time.monotonic() + timeout, 0
        while True:
            records = self.records()
            for record in records[seen:]:
                if predicate(record):
                    return record
            seen = len(records)
            if time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_S)


def _record(line: bytes) -> Record | None:
    """None for an empty line, and for one that a SIGKILL has cut."""
    try:
        record: Record = json.loads(line)
    except json.JSONDecodeError:
        return None
    return record
