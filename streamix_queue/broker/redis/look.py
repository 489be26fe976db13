"""Looks at the groups of a stream, their members and what is pending: bounded, and nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from streamix_queue.broker.protocol import Entry
from streamix_queue.broker.redis.groups import Facts, event_names, facts_of
from streamix_queue.broker.redis.link import Argument, Link, load_script
from streamix_queue.core.errors import BrokerError
from streamix_queue.core.keys import Keys

__all__ = ["PendingRow", "RedisLookBroker"]

_COUNT = load_script("count")
_OUTLINE = load_script("outline")
_MAX_EVENTS = 100
_MISSING = ("NOKEY", "NOGROUP")


class PendingRow(NamedTuple):
    """One pending entry, without its payload."""

    entry_id: bytes
    consumer: bytes
    idle_ms: int
    deliveries: int


class RedisLookBroker:
    """One connection, opened at first use. Owned by one thread.

    Args:
        url: The server.
        timeout_s: How long to wait for a reply, in seconds.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        self._link = Link(url, timeout_s)

    def groups(self, key: bytes) -> list[Facts]:
        """The consumer groups of a stream; none if there is no stream."""
        return facts_of(self._ask([("XINFO", "GROUPS", key)])[0])

    def outline(self, key: bytes, failed: bytes) -> tuple[Facts, list[Facts]]:
        """A stream, and how far its groups are, at one moment."""
        stream, groups = self._link.script(_OUTLINE, [key, failed])
        return facts_of([stream])[0], facts_of(groups)

    def consumers(self, streams: Sequence[bytes], group: bytes) -> list[list[Facts]]:
        """The members of a group on each of these streams; none where the group is not."""
        replies = self._ask([("XINFO", "CONSUMERS", key, group) for key in streams])
        return [facts_of(reply) for reply in replies]

    def events(self, keys: Keys) -> list[str]:
        """Events of the group's inboxes, at most 100: those that were handled last."""
        return event_names(self._link, keys, _MAX_EVENTS)

    def pending(
        self, key: bytes, group: bytes, after: bytes | None, count: int, consumer: bytes | None
    ) -> list[PendingRow]:
        """Up to ``count`` pending entries of a group (or of one member), the oldest first.

        Those after ``after`` only. Never with IDLE, for which Redis would go through all of them.
        """
        low = b"-" if after is None else b"(" + after
        whose: tuple[Argument, ...] = () if consumer is None else (consumer,)
        reply = self._ask([("XPENDING", key, group, low, "+", count, *whose)])[0]
        return [PendingRow(*row) for row in reply or ()]

    def entries_after(self, key: bytes, after: bytes, count: int) -> list[Entry]:
        """Up to ``count`` entries after an id."""
        page: list[Entry] = self._link.call("XRANGE", key, b"(" + after, "+", "COUNT", count)
        return page

    def newest(self, key: bytes, below: bytes | None, count: int) -> list[Entry]:
        """Up to ``count`` entries backwards, below an id or from the end."""
        high = b"+" if below is None else b"(" + below
        page: list[Entry] = self._link.call("XREVRANGE", key, high, "-", "COUNT", count)
        return page

    def entries_at(self, streams: Sequence[bytes], entry_id: bytes) -> list[Entry | None]:
        """The entry with this id of each of these streams; None where there is none."""
        replies = self._ask([("XRANGE", key, entry_id, entry_id) for key in streams])
        return [reply[0] if reply else None for reply in replies]

    def held(self, places: Sequence[tuple[bytes, bytes, bytes]]) -> list[PendingRow | None]:
        """For each (stream, group, entry id) who holds the entry; None where nobody does."""
        replies = self._ask([("XPENDING", *place, place[2], 1) for place in places])
        return [PendingRow(*reply[0]) if reply else None for reply in replies]

    def wait(self, key: bytes, after: bytes, count: int, block_ms: int) -> list[Entry]:
        """Up to ``count`` entries after an id, waiting for the first; none if none came in time."""
        reply = self._link.call("XREAD", "COUNT", count, "BLOCK", block_ms, "STREAMS", key, after)
        page: list[Entry] = reply[0][1] if reply else []
        return page

    def now_ms(self) -> int:
        """Redis' clock, Unix time in ms."""
        seconds, micros = self._link.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def count_after(self, key: bytes, after: bytes, count: int) -> tuple[int, bytes]:
        """Entries after an id, counted up to ``count``; and the id of the last counted, if any."""
        found, last = self._link.script(_COUNT, [key], b"(" + after, "+", count)
        return found, last

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        self._link.close()

    def _ask(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        """The replies; None for a stream or group that is not there."""
        replies = self._link.calls(commands) if commands else []
        for n, reply in enumerate(replies):
            if isinstance(reply, BrokerError):
                if reply.code not in _MISSING:
                    raise reply
                replies[n] = None
        return replies
