"""What was delivered to a group and is not settled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from streamix_queue.broker.redis.operator.connection import RedisOperator
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text

__all__ = ["PendingEntry", "PendingPage", "PendingQuery"]

_PAGE = 500


@dataclass(frozen=True)
class PendingEntry:
    """An entry that was delivered and is not settled.

    Attributes:
        id: Its id on its stream.
        event: Event of the inbox that it is on; None for the shared stream.
        consumer: Who holds it.
        idle_s: Since it was delivered, or its lease renewed.
        deliveries: How often it was delivered.
    """

    id: str
    event: str | None
    consumer: str
    idle_s: float
    deliveries: int


@dataclass
class PendingPage:
    """What `Inspector.pending` found.

    Attributes:
        entries: Oldest first.
        more: There are more that match.
        complete: False if not all pending entries were looked at.
    """

    entries: list[PendingEntry] = field(default_factory=list)
    more: bool = False
    complete: bool = True


@dataclass(frozen=True)
class PendingQuery:
    """Which pending entries of a group, see `Inspector.pending`."""

    event: str | None
    consumer: str | None
    min_idle_ms: int
    limit: int
    scan: int

    def answer(self, operator: RedisOperator, keys: Keys) -> PendingPage:
        """Those of the stream, then those of the inboxes, oldest first. Raises `BrokerError`."""
        page = PendingPage()
        for event, key in self._places(operator, keys):
            for entry in self._scan(operator, key, keys.group, event, page):
                if entry.idle_s * 1000 < self.min_idle_ms:
                    continue
                if len(page.entries) == self.limit:
                    page.more = True
                    return page
                page.entries.append(entry)
        return page

    def _places(self, operator: RedisOperator, keys: Keys) -> list[tuple[str | None, bytes]]:
        if self.event is not None:
            return [(self.event, keys.inbox(self.event))]
        events = operator.groups.events(keys)
        return [(None, keys.stream), *((event, keys.inbox(event)) for event in events)]

    def _scan(
        self, operator: RedisOperator, key: bytes, group: bytes, event: str | None, page: PendingPage
    ) -> Iterator[PendingEntry]:
        whose = None if self.consumer is None else self.consumer.encode()
        last: bytes | None = None
        seen = 0
        while seen < self.scan:
            step = min(_PAGE, self.scan - seen)
            rows = operator.groups.pending(key, group, last, step, whose)
            for row in rows:
                yield PendingEntry(
                    as_text(row.entry_id), event, as_text(row.consumer), row.idle_ms / 1000, row.deliveries
                )
            seen += len(rows)
            if len(rows) < step:
                return
            last = rows[-1].entry_id
        page.complete = False
