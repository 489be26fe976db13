"""Gathers the facts: a fixed number of round trips, and a few for each group."""

from __future__ import annotations

from typing import Any

from streamix_queue.admin.doctor.facts import Facts, GroupFacts, MemberFacts
from streamix_queue.broker.redis.doctor import RedisDoctorBroker
from streamix_queue.core.entry_ids import added_at_s
from streamix_queue.core.keys import Keys
from streamix_queue.core.texts import as_text

__all__ = ["gather"]

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


def gather(broker: RedisDoctorBroker, stream: str, dead_after_s: float) -> Facts:
    """What is known now. Of very many groups the first 50. Raises `BrokerUnavailable`."""
    keys = Keys(stream, "streamix-doctor")
    info = broker.info()
    now, skew = broker.clock_skew_s()
    user, refused = broker.refused(keys.inbox("probe"))
    found = broker.groups(keys)[:_MAX_GROUPS]
    of_groups = {name: Keys(stream, name) for name in (as_text(raw["name"]) for raw in found)}
    events = {name: broker.events(each) for name, each in of_groups.items()}

    wanted: dict[bytes, str] = {getattr(keys, name): kind for name, kind in _TYPES.items()}
    for name, each in of_groups.items():
        wanted |= {getattr(each, part): kind for part, kind in _GROUP_TYPES.items()}
        wanted |= {each.inbox(event): "stream" for event in events[name]}
    types = dict(zip(wanted, broker.types(list(wanted)), strict=True))
    wrong = {
        as_text(key): (wanted[key], found_type)
        for key, found_type in types.items()
        if found_type not in ("", "none", wanted[key])
    }

    length, first, last = broker.ends(keys)
    trimmed, keeps = broker.retention(keys)
    return Facts(
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
        pins=broker.pins(keys).pins,
        failed=broker.count_failed(keys),
        groups=tuple(
            _group(broker, each, int(raw["pending"]), events[each.group_name], now, each.group_name in keeps)
            for raw, each in zip(found, of_groups.values(), strict=True)
        ),
        dead_after_s=dead_after_s,
    )


def _group(
    broker: RedisDoctorBroker, keys: Keys, pending: int, events: list[str], now_s: float, wishes: bool
) -> GroupFacts:
    found = broker.group(keys, [keys.inbox(event) for event in events])
    due_ms = found["due_ms"]
    return GroupFacts(
        name=keys.group_name,
        pending=pending,
        members=tuple(
            MemberFacts(
                as_text(raw["name"]),
                raw["pending"],
                raw["idle"] / 1000,
                _of_this_release(raw, found["ours"], used=wishes or bool(events)),
            )
            for raw in found["members"]
        ),
        longest_idle_s=max((row[2] for row in found["pending"]), default=0) / 1000,
        most_deliveries=max((row[3] for row in found["pending"]), default=0),
        delayed=found["delayed"],
        overdue_s=0.0 if due_ms is None else max(0.0, now_s - due_ms / 1000),
        paused=found["paused"],
    )


def _of_this_release(member: dict[str, Any], ours: set[bytes], *, used: bool) -> bool | None:
    if member["name"] in ours:
        return True
    # Only a server that tells ``inactive`` lists who asked an inbox and was given nothing yet.
    return None if used and "inactive" not in member else False
