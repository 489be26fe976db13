"""The groups of a stream, their members and what is pending: bounded reads, and nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streamix_queue.broker.redis import groups as redis_groups
from streamix_queue.broker.redis.group_backlog import GroupBacklog, read_backlog
from streamix_queue.broker.redis.groups import (
    MAX_EVENTS,
    Group,
    GroupMember,
    Reply,
    ask,
    event_names,
    read_groups,
    read_members,
    replies_in,
)
from streamix_queue.broker.redis.link import Argument, Link, load_script
from streamix_queue.core.keys import Keys

__all__ = ["Groups", "PendingRow"]

_OUTLINE = load_script("outline")


class PendingRow(NamedTuple):
    """One pending entry, without its payload."""

    entry_id: bytes
    consumer: bytes
    idle_ms: int
    deliveries: int


class Groups:
    """Reads what Redis knows of groups."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def all(self, key: bytes) -> list[Group]:
        """The consumer groups of a stream; none if there is no stream."""
        return redis_groups.groups(self._link, key)

    def outline(self, keys: Keys) -> tuple[Reply, list[Group]]:
        """A stream as XINFO tells it, and its groups, both of one moment."""
        stream, groups = self._link.script(_OUTLINE, [keys.stream, keys.failed])
        return replies_in([stream])[0], read_groups(groups)

    def events(self, keys: Keys, limit: int = MAX_EVENTS) -> list[str]:
        """What members of a group handle or handled lately, by name; of very many the latest."""
        return event_names(self._link, keys, limit)

    def members(self, streams: Sequence[bytes], group: bytes) -> list[list[GroupMember]]:
        """The members of a group on each of these streams; none where the group is not."""
        replies = ask(self._link, [("XINFO", "CONSUMERS", key, group) for key in streams])
        return [read_members(reply) for reply in replies]

    def pending(
        self, key: bytes, group: bytes, after: bytes | None, count: int, consumer: bytes | None
    ) -> list[PendingRow]:
        """Up to ``count`` pending entries of a group (or of one member), the oldest first.

        Those after ``after`` only. Never with IDLE, for which Redis would go through all of them.
        """
        low = b"-" if after is None else b"(" + after
        whose: tuple[Argument, ...] = () if consumer is None else (consumer,)
        reply = ask(self._link, [("XPENDING", key, group, low, "+", count, *whose)])[0]
        return [PendingRow(*row) for row in reply or ()]

    def holders(self, places: Sequence[tuple[bytes, bytes, bytes]]) -> list[PendingRow | None]:
        """For each (stream, group, entry id) who holds the entry; None where nobody does."""
        replies = ask(self._link, [("XPENDING", *place, place[2], 1) for place in places])
        return [PendingRow(*reply[0]) if reply else None for reply in replies]

    def backlog(self, keys: Keys) -> GroupBacklog:
        """How far one group is behind."""
        return read_backlog(self._link, keys)
