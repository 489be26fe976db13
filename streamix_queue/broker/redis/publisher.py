"""Adding entries to a stream: a few connections, shared by all threads of the process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from hiredis import pack_command

from streamix_queue.broker.protocol import Backlog
from streamix_queue.broker.redis.backlog import slowest_group
from streamix_queue.broker.redis.consumer import ensure_group, refuse_untagged
from streamix_queue.broker.redis.link import Call, Link, load_script
from streamix_queue.core.wire import MESSAGE, envelope_start
from streamix_queue.forks import PerProcess

__all__ = ["RedisPublisherBroker"]

_ADD_UNLESS_THERE = load_script("add_unless_there")
_WINDOW_MS = 60_000
_WINDOW_ENTRIES = 2000
_MAX_IDLE_LINKS = 64
_T = TypeVar("_T")


class RedisPublisherBroker:
    """`PublisherBroker` on redis-py connections. Thread-safe, and safe after ``fork()``.

    Args:
        url: The server.
        timeout_s: How long to wait for a reply, in seconds.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        self._url = url
        self._timeout_s = timeout_s
        # Last in, first out, so that few connections serve; append and pop are atomic.
        self._idle: PerProcess[deque[Link]] = PerProcess(deque)
        self._first = Link(url, timeout_s)  # tells a bad URL now and not at the first publish
        self._idle.get().append(self._first)

    @property
    def where(self) -> str:
        """The server, without secrets."""
        return self._first.where

    def add(self, key: bytes, fields: Sequence[bytes]) -> bytes:
        entry_id: bytes = self._use(lambda link: link.call("XADD", key, "*", *fields))
        return entry_id

    def add_many(self, key: bytes, entries: Sequence[Sequence[bytes]]) -> list[bytes | Exception]:
        # One join of C-packed commands; redis-py's own pipeline spends more than twice as long.
        packed = b"".join([pack_command((b"XADD", key, b"*", *fields)) for fields in entries])  # type: ignore[arg-type]
        return self._use(lambda link: link.send_packed([packed], len(entries)))

    def add_unless_there(self, key: bytes, message_id: bytes, fields: Sequence[bytes]) -> bytes:
        def call(link: Link) -> Any:
            how: Call = (MESSAGE, envelope_start(message_id), _WINDOW_MS, _WINDOW_ENTRIES)
            return link.script(_ADD_UNLESS_THERE, [key], *how, *fields)

        entry_id: bytes = self._use(call)
        return entry_id

    def check(self, key: bytes) -> None:
        self._use(lambda link: refuse_untagged(link, key.decode()))

    def ensure_group(self, key: bytes, group: bytes, start: str) -> int | None:
        return self._use(lambda link: ensure_group(link, key, group, start))

    def backlog(self, stream: str, enough: int) -> Backlog:
        return self._use(lambda link: slowest_group(link, stream, enough))

    def close(self) -> None:
        idle = self._idle.get()
        for _ in range(len(idle)):
            with suppress(IndexError):  # another thread has taken it
                idle.pop().close()

    def _use(self, work: Callable[[Link], _T]) -> _T:
        idle = self._idle.get()
        try:
            link = idle.pop()
        except IndexError:
            link = Link(self._url, self._timeout_s)
        try:
            return work(link)
        finally:
            if len(idle) < _MAX_IDLE_LINKS:
                idle.append(link)
            else:
                link.close()
