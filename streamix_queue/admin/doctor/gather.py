"""Gathers the facts: a fixed number of round trips, and a few for each group."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from streamix_queue.admin.doctor.facts import DoctorFacts, GroupFacts, MemberFacts
from streamix_queue.broker.redis.groups import Group, GroupMember
from streamix_queue.broker.redis.operator.connection import RedisOperator
from streamix_queue.core.entry_ids import added_at_s
from streamix_queue.core.errors import BrokerError, BrokerUnavailable
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text
from streamix_queue.core.retention import DEFAULT_KEEP_MS, Trimming

__all__ = ["gather"]

_T = TypeVar("_T")
_MAX_GROUPS = 50
_TYPES = {
    "stream": "stream",
    "failed": "stream",
    "keeps": "hash",
    "janitor": "string",
}
_GROUP_TYPES = {
    "delayed": "zset",
    "handlers": "zset",
    "suspects": "hash",
    "nudge": "string",
    "paused": "hash",
    "upkeep": "string",
}


def gather(operator: RedisOperator, stream: str, dead_after_s: float) -> DoctorFacts:
    """What is known now. Of very many groups the first 50. Raises `BrokerUnavailable`."""
    keys, checkup = Keys(stream, "streamix-doctor"), operator.checkup
    info = checkup.info()
    now, skew = checkup.clock_skew_s()
    user, refused = checkup.refused(keys.inbox("probe"))
    found = _or(list[Group](), operator.groups.all, keys.stream)[:_MAX_GROUPS]
    of_groups = [Keys(stream, as_text(group.name)) for group in found]
    events = [_or(list[str](), operator.groups.events, each) for each in of_groups]

    wanted: dict[bytes, str] = {getattr(keys, name): kind for name, kind in _TYPES.items()}
    for each, its_events in zip(of_groups, events, strict=True):
        wanted |= {getattr(each, part): kind for part, kind in _GROUP_TYPES.items()}
        wanted |= {each.inbox(event): "stream" for event in its_events}
    types = dict(zip(wanted, checkup.types(list(wanted)), strict=True))
    wrong = {
        as_text(key): (wanted[key], found_type)
        for key, found_type in types.items()
        if found_type not in ("", "none", wanted[key])
    }

    length, first, last = checkup.ends(keys)
    trimmed, keeps = checkup.retention(keys)
    look = _or(Trimming(), partial(operator.retention.trim, wishes=False), keys, DEFAULT_KEEP_MS, 0)
    return DoctorFacts(
        stream=stream,
        info=info,
        now_s=now,
        skew_s=skew,
        user=user,
        refused=tuple(refused),
        wrong_types=wrong,
        length=length if types[keys.stream] == "stream" else None,
        first_s=added_at_s(first),
        last_s=added_at_s(last),
        trimmed=trimmed,
        keeps=keeps,
        pins=look.pins,
        failed=_or(0, operator.entries.count, keys.failed),
        groups=tuple(
            _group(operator, each, group.pending, its_events, now, each.group_name in keeps)
            for group, each, its_events in zip(found, of_groups, events, strict=True)
        ),
        dead_after_s=dead_after_s,
    )


def _or(refused: _T, ask: Callable[..., _T], *args: object) -> _T:
    """The answer; ``refused`` if Redis refuses it: a key of another type, or a right that is missing."""
    try:
        return ask(*args)
    except BrokerUnavailable:
        raise
    except BrokerError:
        return refused


def _group(
    operator: RedisOperator, keys: Keys, pending: int, events: list[str], now_s: float, wishes: bool
) -> GroupFacts:
    found = operator.checkup.group(keys, [keys.inbox(event) for event in events])
    return GroupFacts(
        name=keys.group_name,
        pending=pending,
        members=tuple(
            MemberFacts(
                as_text(member.name),
                member.pending,
                member.idle_ms / 1000,
                _of_this_release(member, found.ours, used=wishes or bool(events)),
            )
            for member in found.members
        ),
        longest_idle_s=max((row.idle_ms for row in found.pending), default=0) / 1000,
        most_deliveries=max((row.deliveries for row in found.pending), default=0),
        delayed=found.delayed,
        overdue_s=0.0 if found.due_ms is None else max(0.0, now_s - found.due_ms / 1000),
        paused=found.paused,
    )


def _of_this_release(member: GroupMember, ours: set[bytes], *, used: bool) -> bool | None:
    if member.name in ours:
        return True
    # Only a server that tells ``inactive`` lists who asked an inbox and was given nothing yet.
    return None if used and member.inactive_ms is None else False
