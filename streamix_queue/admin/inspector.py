"""`Inspector`: what an operator can see of one stream and its groups."""

from __future__ import annotations

from collections.abc import Iterator

from streamix_queue.admin.groups.lag import GroupLag, group_lag
from streamix_queue.admin.groups.members import Member, members
from streamix_queue.admin.groups.pending import PendingPage, PendingQuery
from streamix_queue.admin.groups.progress import GroupSight, StreamSight, outline, sights
from streamix_queue.admin.stream_client import StreamClient
from streamix_queue.admin.stream_entry import StreamEntry, read_stream_entry
from streamix_queue.core.config import DEFAULT_REDIS_URL, DEFAULT_STREAM, number, text
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text

__all__ = ["Inspector"]

_PAGE = 50
"""Entries with their payloads per read: one may hold a megabyte."""
DEFAULT_SCAN = 20_000
DEFAULT_COUNT_TO = 10_000


class Inspector(StreamClient):
    """Reads of one stream; never writes. Not thread-safe: one for each thread.

    Every read is bounded, whatever the size of the stream. May be used as a context manager.

    Args:
        redis_url: ``redis://``, ``rediss://`` or ``unix://``.
        stream: The stream, not its dead-letter stream.
        timeout_ms: How long one request may take, ms.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(
        self, redis_url: str = DEFAULT_REDIS_URL, stream: str = DEFAULT_STREAM, *, timeout_ms: int = 5000
    ) -> None:
        super().__init__(redis_url, stream, timeout_ms=timeout_ms)
        self._block_ms = max(1, min(1000, timeout_ms // 2))

    def groups(self, *, count_to: int = DEFAULT_COUNT_TO) -> list[GroupSight]:
        """The stream's consumer groups, by name; none if there is no stream.

        Args:
            count_to: Count the lag up to this where Redis does not know it (before 7.0, and
                after somebody deleted entries).

        Raises:
            ConfigError: an argument is out of range.
            BrokerError: Redis cannot be reached or refuses.
        """
        number("count_to", count_to, 1, 2**53)
        return sights(self._operator, self._keys.stream, count_to)

    def group_names(self) -> list[str]:
        """Names of the stream's groups. Raises `BrokerError`."""
        return sorted(self._group_names())

    def outline(self) -> StreamSight:
        """The stream and the progress of its groups, all of one moment; two of them give rates.

        Raises:
            BrokerError: Redis cannot be reached or refuses.
        """
        return outline(self._operator, self._keys)

    def events(self, group: str) -> list[str]:
        """Events that members of a group said they handle, at most 100. Raises `BrokerError`."""
        return self._operator.groups.events(self._keys_of(group))

    def consumers(self, group: str) -> list[Member]:
        """The members of a group that Redis knows, by name; none if there is no such group.

        Raises:
            ConfigError: an argument is out of range.
            BrokerError: Redis cannot be reached or refuses.
        """
        return members(self._operator, self._keys_of(group))

    def pending(
        self,
        group: str,
        *,
        event: str | None = None,
        consumer: str | None = None,
        min_idle_ms: int = 0,
        limit: int = 100,
        scan: int = DEFAULT_SCAN,
    ) -> PendingPage:
        """What was delivered to a group and is not settled, oldest first: stream, then inboxes.

        Args:
            group: The group.
            event: Of the inbox of this event only.
            consumer: Held by this member.
            min_idle_ms: Not touched for so long, ms.
            limit: At most so many.
            scan: Look at so many pending entries of the stream and of each inbox, at most.

        Raises:
            ConfigError: an argument is out of range.
            BrokerError: Redis cannot be reached or refuses.
        """
        keys = self._keys_of(group)
        number("min_idle_ms", min_idle_ms, 0, 2**53, unit="ms")
        number("limit", limit, 1, 2**53)
        number("scan", scan, 1, 2**53)
        return PendingQuery(event, consumer, min_idle_ms, limit, scan).answer(self._operator, keys)

    def lag(self, group: str, *, count_to: int = DEFAULT_COUNT_TO) -> GroupLag | None:
        """How far behind a group is; None if there is no such group.

        Args:
            group: The group.
            count_to: See `groups`.

        Raises:
            ConfigError: an argument is out of range.
            BrokerError: Redis cannot be reached or refuses.
        """
        number("count_to", count_to, 1, 2**53)
        return group_lag(self._operator, self._keys_of(group), count_to)

    def newest(self, *, scan: int = DEFAULT_SCAN) -> Iterator[StreamEntry]:
        """The newest entries of the stream, newest first; read page by page, ``scan`` at most.

        Raises `BrokerError`, here and in the two below.
        """
        return map(read_stream_entry, self._operator.entries.newest_of(self._keys.stream, scan))

    def entries(self, after: str, *, scan: int = DEFAULT_SCAN) -> Iterator[StreamEntry]:
        """The entries after an id, oldest first; read page by page, ``scan`` at most."""
        last, left = after.encode(), scan
        while left > 0:
            page = self._operator.entries.oldest(self._keys.stream, min(_PAGE, left), low=b"(" + last)
            yield from map(read_stream_entry, page)
            if len(page) < _PAGE:
                return
            last, left = page[-1][0], left - len(page)

    def follow(self, after: str) -> Iterator[StreamEntry]:
        """The entries after an id, without an end: it waits for more."""
        last = after.encode()
        while True:
            for entry in self._operator.entries.wait(self._keys.stream, last, _PAGE, self._block_ms):
                last = entry[0]
                yield read_stream_entry(entry)

    def last_id(self) -> str:
        """Id of the newest entry, ``0-0`` if there is none. Raises `BrokerError`."""
        return as_text(self._operator.entries.last_id(self._keys.stream) or b"0-0")

    def now_ms(self) -> int:
        """Redis' clock, Unix time in ms. Raises `BrokerError`."""
        return self._operator.now_ms()

    def _keys_of(self, group: str) -> Keys:
        text("group", group)
        return Keys(self._stream, group)
