"""The entries of a stream, read in pages and counted in steps."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from streamix_queue.broker.protocol import Entry
from streamix_queue.broker.redis.counting import count_between
from streamix_queue.broker.redis.groups import ask
from streamix_queue.broker.redis.link import Link

__all__ = ["Entries"]

_PAGE = 50
"""Entries with their payloads per read: one may hold a megabyte."""


class Entries:
    """Reads and removes entries of any stream. A bound that begins with ``(`` is left out."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def count(self, key: bytes) -> int:
        """Entries of a stream."""
        length: int = self._link.call("XLEN", key)
        return length

    def count_between(self, key: bytes, low: bytes, below: bytes | None = None, *, enough: int) -> int:
        """Entries from ``low`` to below an id, or to the end, counted no further than ``enough``."""
        return count_between(self._link, key, low, below, enough=enough)

    def last_id(self, key: bytes) -> bytes | None:
        """Id of the newest entry, None if there is none."""
        newest = self.newest(key, 1)
        return newest[0][0] if newest else None

    def oldest(self, key: bytes, count: int, *, low: bytes = b"-", high: bytes = b"+") -> list[Entry]:
        """Up to ``count`` entries from ``low`` on."""
        page: list[Entry] = self._link.call("XRANGE", key, low, high, "COUNT", count)
        return page

    def newest(self, key: bytes, count: int, *, low: bytes = b"-", high: bytes = b"+") -> list[Entry]:
        """Up to ``count`` entries from ``high`` backwards."""
        page: list[Entry] = self._link.call("XREVRANGE", key, high, low, "COUNT", count)
        return page

    def newest_of(self, key: bytes, scan: int) -> Generator[Entry, None, bytes | None]:
        """The newest ``scan`` entries, newest first, read page by page as they are taken.

        Returns the id of the last one if there may be older ones, None if there are none.
        """
        high = b"+"
        while scan > 0:
            count = min(_PAGE, scan)
            page = self.newest(key, count, high=high)
            yield from page
            if len(page) < count:
                return None
            high, scan = b"(" + page[-1][0], scan - count
        return high.removeprefix(b"(")

    def at(self, streams: Sequence[bytes], entry_id: bytes) -> list[Entry | None]:
        """The entry with this id of each of these streams; None where there is none."""
        replies = ask(self._link, [("XRANGE", key, entry_id, entry_id) for key in streams])
        return [reply[0] if reply else None for reply in replies]

    def wait(self, key: bytes, after: bytes, count: int, block_ms: int) -> list[Entry]:
        """Up to ``count`` entries after an id, waiting for the first; none if none came in time."""
        reply = self._link.call("XREAD", "COUNT", count, "BLOCK", block_ms, "STREAMS", key, after)
        page: list[Entry] = reply[0][1] if reply else []
        return page

    def remove(self, key: bytes, ids: Sequence[bytes]) -> int:
        """Remove entries; how many of them were there."""
        gone: int = self._link.call("XDEL", key, *ids)
        return gone
