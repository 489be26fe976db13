"""The consumer groups of a stream as Redis tells them: XINFO's replies as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from streamix_queue.broker.redis.link import Call, Link
from streamix_queue.core.errors import BrokerError
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text

__all__ = [
    "MAX_EVENTS",
    "Group",
    "GroupMember",
    "Reply",
    "ask",
    "event_names",
    "groups",
    "latest_events",
    "read_groups",
    "read_members",
    "replies_in",
]

MAX_EVENTS = 100
"""So many inboxes of a group are looked at: of the events that were handled last."""

Reply = dict[str, Any]
"""What XINFO tells of one thing; which names there are depends on the server."""

_MISSING = ("NOKEY", "NOGROUP")


class Group(NamedTuple):
    """A consumer group of a stream."""

    name: bytes
    consumers: int
    pending: int
    lag: int | None
    """Entries not delivered; None if Redis does not know: before 7.0, or after deletions."""
    last_delivered_id: bytes
    entries_read: int | None
    """Entries ever delivered; None if Redis does not know."""


class GroupMember(NamedTuple):
    """A consumer of a group, on one stream. Negative times mean never."""

    name: bytes
    pending: int
    idle_ms: int
    """Since it last asked."""
    inactive_ms: int | None
    """Since it last got something; None before Redis 7.2, which does not tell."""


def ask(link: Link, commands: Sequence[Call]) -> list[Any]:
    """The replies, in one round trip; None for a stream or a group that is not there.

    Raises:
        BrokerError: Redis cannot be reached, or refuses one of the commands.
    """
    replies = link.calls(commands) if commands else []
    for n, reply in enumerate(replies):
        if isinstance(reply, BrokerError):
            if reply.code not in _MISSING:
                raise reply
            replies[n] = None
    return replies


def replies_in(reply: object) -> list[Reply]:
    """The replies in a list of flat lists of names and values; none in any other reply."""
    if not isinstance(reply, list):
        return []
    return [
        {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)} for flat in reply
    ]


def read_groups(reply: object) -> list[Group]:
    """The groups in the reply to XINFO GROUPS; none in any other reply."""
    return [
        Group(
            each["name"],
            each["consumers"],
            each["pending"],
            each.get("lag"),
            each["last-delivered-id"],
            each.get("entries-read"),
        )
        for each in replies_in(reply)
    ]


def read_members(reply: object) -> list[GroupMember]:
    """The members in the reply to XINFO CONSUMERS; none in any other reply."""
    return [
        GroupMember(each["name"], each["pending"], each["idle"], each.get("inactive"))
        for each in replies_in(reply)
    ]


def groups(link: Link, key: bytes) -> list[Group]:
    """The consumer groups of a stream; none if there is no stream. Raises `BrokerError`."""
    return read_groups(ask(link, [("XINFO", "GROUPS", key)])[0])


def latest_events(keys: Keys, limit: int) -> Call:
    """Asks for what members of a group handle or handled lately; of very many the latest."""
    return ("ZREVRANGE", keys.handlers, 0, limit - 1)


def event_names(link: Link, keys: Keys, limit: int) -> list[str]:
    """What `latest_events` asks for, by name. Raises `BrokerError`."""
    names: list[bytes] = link.call(*latest_events(keys, limit))
    return sorted(map(as_text, names))
