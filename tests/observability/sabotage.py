"""Faults that only a bug could cause, planted in the library of the process that asks for them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streamix_queue.broker.redis.consumer import RedisConsumerBroker

__all__ = ["crash_the_scheduler", "hang_the_reading"]


def crash_the_scheduler(stream: str, *, times: int, after: Path) -> None:
    """The scheduler of ``stream`` meets an error that nobody thought of, so many times.

    Not before the file ``after`` is there.
    """
    left = threading.Semaphore(times)
    due = RedisConsumerBroker.due

    def crash(self: RedisConsumerBroker, limit: int) -> Any:
        theirs = self._keys.stream_name == stream and after.exists()
        if theirs and left.acquire(blocking=False):
            raise RuntimeError("sabotage")
        return due(self, limit)

    RedisConsumerBroker.due = crash  # type: ignore[method-assign]


def hang_the_reading(stream: str, *, for_s: float, after: Path) -> None:
    """The fetcher of ``stream`` hangs in one read, while Redis is there for everybody else.

    Not before the file ``after`` is there.
    """
    once = threading.Semaphore(1)
    read = RedisConsumerBroker.read

    def hang(self: RedisConsumerBroker, keys: Sequence[bytes], count: int, block_ms: int) -> Any:
        theirs = self._keys.stream_name == stream and after.exists()
        if theirs and once.acquire(blocking=False):
            threading.Event().wait(for_s)
        return read(self, keys, count, block_ms)

    RedisConsumerBroker.read = hang  # type: ignore[method-assign]
