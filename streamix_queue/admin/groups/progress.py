"""How far the groups have come on the stream itself, and what is left for them, by Redis' clock."""

from __future__ import annotations

from dataclasses import dataclass

from streamix_queue.broker.redis.groups import Group
from streamix_queue.broker.redis.operator.connection import RedisOperator
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text

__all__ = ["GroupProgress", "GroupSight", "StreamSight", "outline", "sights"]


@dataclass(frozen=True)
class GroupSight:
    """A consumer group of the stream.

    Attributes:
        name: Its name.
        consumers: How many members Redis knows; those that are gone are among them for a while.
        pending: Entries of the stream that were delivered and not settled.
        lag: Entries of the stream that were not delivered.
        lag_exact: False if there may be more: the lag had to be counted, and was not to the end.
        last_delivered_id: The newest entry that was delivered.
        entries_read: How many ever were; None if Redis does not know.
    """

    name: str
    consumers: int
    pending: int
    lag: int
    lag_exact: bool
    last_delivered_id: str
    entries_read: int | None


@dataclass(frozen=True)
class GroupProgress:
    """How far a group has come on the stream itself, its inboxes left out.

    Attributes:
        name: Its name.
        entries_read: How many entries were ever delivered; None if Redis does not know.
        pending: Entries that were delivered and not settled.
        last_delivered_id: The newest entry that was delivered.
    """

    name: str
    entries_read: int | None
    pending: int
    last_delivered_id: str


@dataclass(frozen=True)
class StreamSight:
    """A stream and the progress of its groups, all of one moment.

    Attributes:
        at_s: The moment, Unix time in seconds.
        entries: Entries on it.
        entries_added: Entries ever added; None if Redis does not count them (before 7.0).
        first_id: The oldest entry; None if there is none.
        last_id: The newest entry that there ever was.
        dead_letters: Of all groups of the stream.
        groups: By name.
    """

    at_s: float
    entries: int
    entries_added: int | None
    first_id: str | None
    last_id: str
    dead_letters: int
    groups: tuple[GroupProgress, ...]


def sights(operator: RedisOperator, key: bytes, count_to: int) -> list[GroupSight]:
    """The groups of a stream, by name; a lag that Redis does not know is counted up to ``count_to``."""
    found = sorted(operator.groups.all(key), key=lambda group: group.name)
    return [_sight(operator, key, group, count_to) for group in found]


def _sight(operator: RedisOperator, key: bytes, group: Group, count_to: int) -> GroupSight:
    lag, exact = group.lag, True
    if lag is None:
        lag = operator.entries.count_between(key, b"(" + group.last_delivered_id, enough=count_to)
        exact = lag < count_to
    return GroupSight(
        name=as_text(group.name),
        consumers=group.consumers,
        pending=group.pending,
        lag=lag,
        lag_exact=exact,
        last_delivered_id=as_text(group.last_delivered_id),
        entries_read=group.entries_read,
    )


def outline(operator: RedisOperator, keys: Keys) -> StreamSight:
    """The stream and the progress of its groups, all of one moment."""
    stream, groups = operator.groups.outline(keys)
    first = stream.get("first-entry")
    return StreamSight(
        at_s=int(stream["now_us"]) / 1e6,
        entries=stream.get("length", 0),
        entries_added=stream.get("entries-added", None if "length" in stream else 0),
        first_id=None if first is None else as_text(first),
        last_id=as_text(stream.get("last-generated-id", b"0-0")),
        dead_letters=stream.get("dead-letters", 0),
        groups=tuple(_progress(group) for group in sorted(groups, key=lambda group: group.name)),
    )


def _progress(group: Group) -> GroupProgress:
    return GroupProgress(
        name=as_text(group.name),
        entries_read=group.entries_read,
        pending=group.pending,
        last_delivered_id=as_text(group.last_delivered_id),
    )
