"""What operators ask of Redis: bounded reads of a stream and its groups, and replays."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from streamix_queue.broker.protocol import HANDLER_TTL_MS, Entry
from streamix_queue.broker.redis.groups import group_names
from streamix_queue.broker.redis.link import Argument, Link, load_script
from streamix_queue.core.keys import Keys

__all__ = ["RedisAdminBroker", "ReplayAnswer"]

_REPLAY = load_script("replay")


class ReplayAnswer(IntEnum):
    """What became of a replay."""

    DONE = 1
    GONE = 0
    """There is no such letter: replayed before, or purged."""
    UNHANDLED = 2
    """Nobody in the group handles the event, so nobody would read it; nothing was written."""


class RedisAdminBroker:
    """One connection, opened at first use. Owned by one thread.

    Args:
        url: The server.
        timeout_s: How long to wait for a reply, in seconds.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        self._link = Link(url, timeout_s)
        self.entry_id: bytes | None = None
        """Id of the entry that the last replay added; None if it added none."""

    def length(self, key: bytes) -> int:
        """Entries of a stream."""
        length: int = self._link.call("XLEN", key)
        return length

    def last_id(self, key: bytes) -> bytes | None:
        """Id of the newest entry, None if there is none."""
        newest: list[Entry] = self._link.call("XREVRANGE", key, "+", "-", "COUNT", 1)
        return newest[0][0] if newest else None

    def oldest(self, key: bytes, low: bytes, high: bytes, count: int) -> list[Entry]:
        """Up to ``count`` entries from ``low`` on; a bound after ``(`` is left out."""
        page: list[Entry] = self._link.call("XRANGE", key, low, high, "COUNT", count)
        return page

    def newest(self, key: bytes, high: bytes, count: int, low: bytes = b"-") -> list[Entry]:
        """Up to ``count`` entries from ``high`` backwards; a bound after ``(`` is left out."""
        page: list[Entry] = self._link.call("XREVRANGE", key, high, low, "COUNT", count)
        return page

    def delete(self, key: bytes, ids: Sequence[bytes]) -> int:
        """Remove entries of a stream; how many of them were there."""
        gone: int = self._link.call("XDEL", key, *ids)
        return gone

    def members(self, key: bytes, start: int, count: int) -> list[bytes]:
        """Up to ``count`` members of a sorted set, in its order."""
        page: list[bytes] = self._link.call("ZRANGE", key, start, start + count - 1)
        return page

    def groups(self, key: bytes) -> list[bytes]:
        """Names of the consumer groups of a stream; none if there is no stream."""
        return group_names(self._link, key)

    def replay(
        self, keys: Keys, letter_id: bytes, event: str, fields: Sequence[bytes], *, always: bool
    ) -> ReplayAnswer:
        """Move a dead letter to the inbox of ``event``, in one step; safe to ask again.

        With ``always`` also when no member of the group is known to handle the event.
        """
        arguments: list[Argument] = [letter_id, HANDLER_TTL_MS, event, int(always), *fields]
        reply: int | bytes = self._link.script(
            _REPLAY, [keys.failed, keys.inbox(event), keys.handlers], *arguments
        )
        self.entry_id = reply if isinstance(reply, bytes) else None
        return ReplayAnswer.DONE if isinstance(reply, bytes) else ReplayAnswer(reply)

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        self._link.close()
