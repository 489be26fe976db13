"""`Inspector`: what an operator can see of one stream and its groups."""

from __future__ import annotations

from collections.abc import Iterator

from streamix_queue.admin.session import Session
from streamix_queue.admin.sights import (
    GroupLag,
    GroupProgress,
    GroupSight,
    InboxLag,
    Member,
    PendingEntry,
    PendingPage,
    StreamSight,
)
from streamix_queue.admin.stream_entries import StreamEntry, read_stream_entry
from streamix_queue.broker.redis.groups import Facts
from streamix_queue.broker.redis.inspect import Inspector as BacklogReader
from streamix_queue.broker.redis.inspect import PendingList
from streamix_queue.broker.redis.look import RedisLookBroker
from streamix_queue.core.config import DEFAULT_REDIS_URL, DEFAULT_STREAM, number, text
from streamix_queue.core.keys import Keys
from streamix_queue.core.texts import as_text

__all__ = ["Inspector"]

_PAGE = 500
_ENTRIES = 50
"""Entries with their payloads per read: one may hold a megabyte."""
_COUNT_STEP = 500
"""Entries that one script reads: a few milliseconds at the most."""
DEFAULT_SCAN = 20_000
DEFAULT_COUNT_TO = 10_000


class Inspector(Session):
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
        super().__init__(redis_url, stream, timeout_ms)
        self._broker = RedisLookBroker(redis_url, timeout_s=self._timeout_s)
        self._block_ms = max(1, min(1000, timeout_ms // 2))
        self._backlog = BacklogReader(redis_url, timeout_s=self._timeout_s)

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
        found = sorted(self._broker.groups(self._stream.encode()), key=lambda facts: bytes(facts["name"]))
        return [self._group(facts, count_to) for facts in found]

    def group_names(self) -> list[str]:
        """Names of the stream's groups. Raises `BrokerError`."""
        return sorted(as_text(facts["name"]) for facts in self._broker.groups(self._stream.encode()))

    def outline(self) -> StreamSight:
        """The stream and the progress of its groups, all of one moment; two of them give rates.

        Raises:
            BrokerError: Redis cannot be reached or refuses.
        """
        keys = Keys(self._stream, "")  # the names of no group are asked for
        stream, groups = self._broker.outline(keys.stream, keys.failed)
        first = stream.get("first-entry")
        return StreamSight(
            at_s=int(stream["now_us"]) / 1e6,
            entries=stream.get("length", 0),
            entries_added=stream.get("entries-added", None if "length" in stream else 0),
            first_id=None if first is None else as_text(first),
            last_id=as_text(stream.get("last-generated-id", b"0-0")),
            dead_letters=stream.get("dead-letters", 0),
            groups=tuple(_progress(facts) for facts in sorted(groups, key=lambda g: bytes(g["name"]))),
        )

    def events(self, group: str) -> list[str]:
        """Events that members of a group said they handle, at most 100. Raises `BrokerError`."""
        return self._broker.events(self._keys(group))

    def consumers(self, group: str) -> list[Member]:
        """The members of a group that Redis knows, by name; none if there is no such group.

        Raises:
            ConfigError: an argument is out of range.
            BrokerError: Redis cannot be reached or refuses.
        """
        keys = self._keys(group)
        inboxes = [keys.inbox(event) for event in self._broker.events(keys)]
        shared, *private = self._broker.consumers([keys.stream, *inboxes], keys.group)
        members: dict[bytes, Member] = {}
        for on_inbox, found in [(False, shared), *((True, each) for each in private)]:
            for facts in found:
                known = members.get(facts["name"]) or Member(as_text(facts["name"]), 0, 0, None, None)
                members[facts["name"]] = known.seen(facts, on_inbox=on_inbox)
        return [members[name] for name in sorted(members)]

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
        keys = self._keys(group)
        number("min_idle_ms", min_idle_ms, 0, 2**53, unit="ms")
        number("limit", limit, 1, 2**53)
        number("scan", scan, 1, 2**53)
        places: list[tuple[str | None, bytes]] = [] if event is not None else [(None, keys.stream)]
        events = self._broker.events(keys) if event is None else [event]
        places += [(name, keys.inbox(name)) for name in events]
        page = PendingPage()
        whose = None if consumer is None else consumer.encode()
        for name, key in places:
            for entry in self._scan(key, keys.group, name, whose, scan, page):
                if entry.idle_s * 1000 < min_idle_ms:
                    continue
                if len(page.entries) == limit:
                    page.more = True
                    return page
                page.entries.append(entry)
        return page

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
        keys = self._keys(group)
        found = self._backlog.look(keys)
        if not found.shared.exists:
            return None
        lag, exact = found.shared.lag, True
        if lag is None:
            sight = next((each for each in self.groups(count_to=count_to) if each.name == group), None)
            if sight is None:
                return None
            lag, exact = sight.lag, sight.lag_exact
        inboxes = tuple(_inbox(event, each) for event, each in found.inboxes.items() if each.exists)
        lists = [found.shared, *(each for each in found.inboxes.values() if each.exists)]
        ages = [each.undelivered_age_s for each in lists if each.undelivered_age_s is not None]
        idle = [each.max_idle_s for each in lists if each.pending]
        return GroupLag(
            group=group,
            lag=lag,
            lag_exact=exact,
            pending=found.shared.pending,
            delayed=found.delayed or 0,
            inboxes=inboxes,
            dead_letters=found.dead_letters or 0,
            undelivered_age_s=max(ages, default=None),
            pending_idle_s=max(idle, default=None),
            overdue_s=found.overdue_s,
            members=len(found.members_idle_s),
            errors=found.errors,
        )

    def newest(self, *, scan: int = DEFAULT_SCAN) -> Iterator[StreamEntry]:
        """The newest entries of the stream, newest first; read page by page, ``scan`` at most.

        Raises `BrokerError`, here and in the two below.
        """
        below, left = None, scan
        while left > 0:
            page = self._broker.newest(self._stream.encode(), below, min(_ENTRIES, left))
            yield from map(read_stream_entry, page)
            if len(page) < _ENTRIES:
                return
            below, left = page[-1][0], left - len(page)

    def entries(self, after: str, *, scan: int = DEFAULT_SCAN) -> Iterator[StreamEntry]:
        """The entries after an id, oldest first; read page by page, ``scan`` at most."""
        last, left = after.encode(), scan
        while left > 0:
            page = self._broker.entries_after(self._stream.encode(), last, min(_ENTRIES, left))
            yield from map(read_stream_entry, page)
            if len(page) < _ENTRIES:
                return
            last, left = page[-1][0], left - len(page)

    def follow(self, after: str) -> Iterator[StreamEntry]:
        """The entries after an id, without an end: it waits for more."""
        last = after.encode()
        while True:
            for entry in self._broker.wait(self._stream.encode(), last, _ENTRIES, self._block_ms):
                last = entry[0]
                yield read_stream_entry(entry)

    def last_id(self) -> str:
        """Id of the newest entry, ``0-0`` if there is none. Raises `BrokerError`."""
        page = self._broker.newest(self._stream.encode(), None, 1)
        return as_text(page[0][0]) if page else "0-0"

    def now_ms(self) -> int:
        """Redis' clock, Unix time in ms. Raises `BrokerError`."""
        return self._broker.now_ms()

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._broker.close()
        self._backlog.close()

    def _keys(self, group: str) -> Keys:
        text("group", group)
        return Keys(self._stream, group)

    def _group(self, facts: Facts, count_to: int) -> GroupSight:
        lag, exact = facts.get("lag"), True
        if lag is None:
            lag, exact = self._counted(facts["last-delivered-id"], count_to)
        return GroupSight(
            name=as_text(facts["name"]),
            consumers=facts["consumers"],
            pending=facts["pending"],
            lag=lag,
            lag_exact=exact,
            last_delivered_id=as_text(facts["last-delivered-id"]),
            entries_read=facts.get("entries-read"),
        )

    def _counted(self, after: bytes, count_to: int) -> tuple[int, bool]:
        counted = 0
        while counted < count_to:
            step = min(_COUNT_STEP, count_to - counted)
            found, after = self._broker.count_after(self._stream.encode(), after, step)
            counted += found
            if found < step:
                return counted, True
        return counted, False

    def _scan(
        self,
        key: bytes,
        group: bytes,
        event: str | None,
        consumer: bytes | None,
        scan: int,
        page: PendingPage,
    ) -> Iterator[PendingEntry]:
        last: bytes | None = None
        seen = 0
        while seen < scan:
            step = min(_PAGE, scan - seen)
            rows = self._broker.pending(key, group, last, step, consumer)
            for row in rows:
                yield PendingEntry(
                    as_text(row.entry_id), event, as_text(row.consumer), row.idle_ms / 1000, row.deliveries
                )
            seen += len(rows)
            if len(rows) < step:
                return
            last = rows[-1].entry_id
        page.complete = False


def _progress(facts: Facts) -> GroupProgress:
    return GroupProgress(
        name=as_text(facts["name"]),
        entries_read=facts.get("entries-read"),
        pending=facts["pending"],
        last_delivered_id=as_text(facts["last-delivered-id"]),
    )


def _inbox(event: str, found: PendingList) -> InboxLag:
    # An inbox entry is deleted with its ack, so what is there and not pending is not delivered.
    # Redis' own count is lost with the first deletion.
    return InboxLag(event, max(0, (found.length or 0) - found.pending), found.pending)
