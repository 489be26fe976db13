"""Consumers in the test's own process, what their handlers saw, and what Redis holds after it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from streamix_queue import Consumer, StreamMessage

__all__ = ["Call", "Handler", "Letter", "dead_letters", "eventually", "member", "pending"]

Data = dict[str, Any]
Act = Callable[[Data, StreamMessage], object]


@dataclass(frozen=True)
class Call:
    """One call of a handler."""

    data: Data
    message: StreamMessage
    at: float  # time.monotonic()


class Handler:
    """A handler that writes down each call, then does what it was given to do. Thread-safe."""

    def __init__(self, act: Act | None = None) -> None:
        self._act = act
        self._changed = threading.Condition()
        self._calls: list[Call] = []
        self._ended = 0

    def __call__(self, data: Data, message: StreamMessage) -> None:
        with self._changed:
            self._calls.append(Call(data, message, time.monotonic()))
            self._changed.notify_all()
        try:
            if self._act is not None:
                self._act(data, message)
        finally:
            with self._changed:
                self._ended += 1
                self._changed.notify_all()

    @property
    def calls(self) -> list[Call]:
        with self._changed:
            return list(self._calls)

    def of(self, **data: Any) -> list[Call]:
        """The calls whose data holds these values."""
        return [call for call in self.calls if data.items() <= call.data.items()]

    def values(self, key: str = "n") -> list[Any]:
        """``data[key]`` of each call, in order."""
        return [call.data.get(key) for call in self.calls]

    def wait_for(self, calls: int, timeout_s: float = 10.0) -> list[Call]:
        """Wait until it was called so often; what it was called with."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self._calls) >= calls, timeout_s)
            assert enough, f"{len(self._calls)} of {calls} calls within {timeout_s} s: {self._calls[-5:]}"
            return list(self._calls)

    def wait_until(self, predicate: Callable[[list[Call]], bool], timeout_s: float = 10.0) -> list[Call]:
        """Wait until ``predicate`` of the calls holds; the calls."""
        with self._changed:
            held = self._changed.wait_for(lambda: predicate(self._calls), timeout_s)
            assert held, f"not within {timeout_s} s: {len(self._calls)} calls, {self._calls[-5:]}"
            return list(self._calls)


def member(url: str, stream: str, group: str = "g", **options: Any) -> Consumer:
    """A consumer with short leases and waits; ``options`` go first."""
    short: dict[str, Any] = {
        "claim_idle_ms": 1500,
        "block_ms": 300,
        "backoff_base_ms": 40,
        "backoff_max_ms": 400,
        "drain_timeout_ms": 5000,
    }
    return Consumer(url, stream, group, **{**short, **options})


def eventually(check: Callable[[], object], timeout_s: float = 10.0, what: str = "") -> None:
    """Wait until ``check()`` is true. For what Redis holds: there is nothing to wait on."""
    deadline = time.monotonic() + timeout_s
    while not (last := check()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what or check} ({last!r})"
        time.sleep(0.005)


@dataclass(frozen=True)
class Letter:
    """One dead letter: its raw fields, and the data of its envelope."""

    fields: dict[bytes, bytes]
    data: dict[str, Any]

    @property
    def reason(self) -> str:
        return str(self.data["reason"])


def dead_letters(client: redis.Redis, stream: str) -> list[Letter]:
    """All dead letters of ``stream``, oldest first."""
    entries: Any = client.xrange(f"{stream}:failed")
    return [Letter(fields, json.loads(fields[b"message"])["data"]) for _, fields in entries]


def pending(client: redis.Redis, stream: str, group: str = "g") -> int:
    """How many entries of ``stream`` are pending for ``group``."""
    summary: Any = client.xpending(stream, group)
    return int(summary["pending"])
