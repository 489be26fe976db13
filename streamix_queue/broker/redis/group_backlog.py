"""How far behind one group is: read in two round trips, bounded, and with nothing written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from streamix_queue.broker.redis.groups import MAX_EVENTS, event_names, groups
from streamix_queue.broker.redis.link import Link, load_script
from streamix_queue.core.entry_ids import added_at_s
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text

__all__ = ["BacklogReader", "GroupBacklog", "PendingList", "read_backlog"]

_INSPECT = load_script("inspect")


@dataclass(frozen=True)
class PendingList:
    """One stream as a group sees it. Ages are in seconds, by Redis' clock.

    Attributes:
        length: Entries on it; None if the key is no stream.
        exists: The group is there.
        pending: Delivered and not settled.
        lag: Entries not delivered; None if Redis does not know.
        undelivered_age_s: Of the oldest entry not delivered; None if there is none.
        pending_age_s: Of the oldest pending entry; None if there is none.
        max_idle_s: Longest idle time of the 100 oldest pending entries.
        max_deliveries: Most deliveries of one of them.
    """

    length: int | None
    exists: bool
    pending: int
    lag: int | None
    undelivered_age_s: float | None
    pending_age_s: float | None
    max_idle_s: float
    max_deliveries: int


@dataclass(frozen=True)
class GroupBacklog:
    """A stream and one group of it, at one moment. Ages are in seconds, by Redis' clock.

    Attributes:
        clock_skew_s: Redis' clock minus ours.
        shared: The shared stream.
        inboxes: Event → the group's private stream for it.
        entries_added: Ever; None if Redis does not count them (before 7.0).
        first_entry_s: When the oldest entry was added, Unix time; None if there is none.
        last_entry_s: The newest.
        members_idle_s: Since each member of the group last talked to Redis.
        dead_letters: Of all groups of the stream; None if the key is no stream.
        dead_letter_age_s: Of the oldest one; None if there is none.
        delayed: Retries that wait; None if the key is no sorted set.
        overdue_s: How long the first of them has been due; 0 if it is not.
        memory_bytes: Of the stream, if it was asked for.
        errors: What could not be read, in Redis' words.
    """

    clock_skew_s: float
    shared: PendingList
    inboxes: Mapping[str, PendingList]
    entries_added: int | None
    first_entry_s: float | None
    last_entry_s: float | None
    members_idle_s: tuple[float, ...]
    dead_letters: int | None
    dead_letter_age_s: float | None
    delayed: int | None
    overdue_s: float
    memory_bytes: int | None = None
    errors: tuple[str, ...] = field(default=())


def read_backlog(link: Link, keys: Keys, *, memory: bool = False) -> GroupBacklog:
    """The backlog of a group; of its inboxes at most 100, those whose events were handled last.

    Raises:
        BrokerError: Redis cannot be reached or refuses.
    """
    events = event_names(link, keys, MAX_EVENTS)
    asked = time.time()
    inboxes = [keys.inbox(event) for event in events]
    flat, errors = link.script(_INSPECT, [keys.stream, keys.failed, keys.delayed, *inboxes], keys.group)
    local = (asked + time.time()) / 2
    backlog = _backlog(flat, errors, events, local)
    if memory:
        return replace(backlog, memory_bytes=link.call("MEMORY", "USAGE", keys.stream, "SAMPLES", 5))
    return backlog


class BacklogReader:
    """Reads backlogs over one connection of its own, opened at first use. One thread at a time.

    Args:
        url: The server.
        timeout_s: How long connecting and each reply may take, in seconds.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._link = Link(url, timeout_s)

    def look(self, keys: Keys, *, memory: bool = False) -> GroupBacklog:
        """See `read_backlog`."""
        return read_backlog(self._link, keys, memory=memory)

    def has_group(self, keys: Keys) -> bool:
        """True if Redis answers and the group is there. Raises `BrokerError`."""
        return any(group.name == keys.group for group in groups(self._link, keys.stream))

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        self._link.close()


def _backlog(flat: list[Any], errors: list[bytes], events: list[str], local: float) -> GroupBacklog:
    found: dict[str, Any] = {}
    idle: list[float] = []
    for name, value in zip(flat[::2], flat[1::2], strict=True):
        if name == b"member.idle":
            idle.append(value / 1000)
        else:
            found[name.decode()] = value
    now = int(found["now_us"]) / 1e6
    due = found.get("delayed.due")
    return GroupBacklog(
        clock_skew_s=now - local,
        shared=_list(found, "stream", now),
        inboxes={event: _list(found, f"inbox.{n}", now) for n, event in enumerate(events, 1)},
        entries_added=found.get("stream.added"),
        first_entry_s=added_at_s(found.get("stream.first")),
        last_entry_s=added_at_s(found.get("stream.last")),
        members_idle_s=tuple(idle),
        dead_letters=found.get("failed.length"),
        dead_letter_age_s=_age(found.get("failed.first"), now),
        delayed=found.get("delayed.count"),
        overdue_s=0.0 if due is None else max(0.0, now - float(due) / 1000),
        errors=tuple(as_text(error)[:300] for error in errors),
    )


def _list(found: Mapping[str, Any], name: str, now: float) -> PendingList:
    return PendingList(
        length=found.get(f"{name}.length"),
        exists=f"{name}.group" in found,
        pending=found.get(f"{name}.pending", 0),
        lag=found.get(f"{name}.lag"),
        undelivered_age_s=_age(found.get(f"{name}.undelivered"), now),
        pending_age_s=_age(found.get(f"{name}.oldest_pending"), now),
        max_idle_s=found.get(f"{name}.max_idle", 0) / 1000,
        max_deliveries=found.get(f"{name}.max_deliveries", 0),
    )


def _age(entry_id: bytes | None, now: float) -> float | None:
    added = added_at_s(entry_id)
    return None if added is None else max(0.0, now - added)
