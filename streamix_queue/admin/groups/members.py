"""The members of a group, each with what it holds of the stream and of the group's inboxes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from streamix_queue.broker.redis.groups import GroupMember
from streamix_queue.broker.redis.operator.connection import RedisOperator
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text

__all__ = ["Member", "added", "members"]


@dataclass(frozen=True)
class Member:
    """A member of a group.

    Attributes:
        name: Its consumer name.
        pending: Entries of the stream that it holds.
        inbox_pending: Entries of the group's inboxes that it holds.
        idle_s: Since it last asked for anything; None if never.
        inactive_s: Since it last got something; None if never, or if Redis does not know (before 7.2).
    """

    name: str
    pending: int
    inbox_pending: int
    idle_s: float | None
    inactive_s: float | None


def members(operator: RedisOperator, keys: Keys) -> list[Member]:
    """The members of a group that Redis knows, by name; none if there is no such group."""
    inboxes = [keys.inbox(event) for event in operator.groups.events(keys)]
    shared, *private = operator.groups.members([keys.stream, *inboxes], keys.group)
    known: dict[bytes, Member] = {}
    for on_inbox, found in [(False, shared), *((True, each) for each in private)]:
        for each in found:
            member = known.get(each.name) or Member(as_text(each.name), 0, 0, None, None)
            known[each.name] = added(member, each, on_inbox=on_inbox)
    return [known[name] for name in sorted(known)]


def added(member: Member, found: GroupMember, *, on_inbox: bool) -> Member:
    """The member with what one more of its streams tells."""
    return replace(
        member,
        pending=member.pending + (0 if on_inbox else found.pending),
        inbox_pending=member.inbox_pending + (found.pending if on_inbox else 0),
        idle_s=_shorter(member.idle_s, found.idle_ms),
        inactive_s=_shorter(member.inactive_s, found.inactive_ms),
    )


def _shorter(known_s: float | None, milliseconds: int | None) -> float | None:
    if milliseconds is None or milliseconds < 0:  # below zero is Redis' way to say never
        return known_s
    return milliseconds / 1000 if known_s is None else min(known_s, milliseconds / 1000)
