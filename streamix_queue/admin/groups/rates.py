"""How fast a stream and its groups go: the difference of two looks. Pure; what is not known is None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamix_queue.admin.groups.progress import GroupProgress, StreamSight
from streamix_queue.core.entry_ids import id_order

__all__ = ["GroupRates", "StreamRates", "rates_between"]


@dataclass(frozen=True)
class GroupRates:
    """How fast a group goes on the stream itself, its inboxes left out.

    Attributes:
        read: Entries delivered for the first time, per second; None if Redis does not know.
        handled: Entries settled per second: handled, put off for a retry, or made a dead letter;
            None if Redis does not know.
    """

    read: float | None = None
    handled: float | None = None


@dataclass(frozen=True)
class StreamRates:
    """How fast a stream goes.

    Attributes:
        published: Entries added per second; None if Redis does not know.
        groups: Name → how fast the group goes.
    """

    published: float | None = None
    groups: Mapping[str, GroupRates] = field(default_factory=dict)


def rates_between(before: StreamSight | None, after: StreamSight) -> StreamRates:
    """What happened between two looks, per second.

    Nothing is known without a first look, or if the clock or a count went back: somebody put the
    stream or the group anew, or the server came back with other data.
    """
    elapsed_s = 0.0 if before is None else after.at_s - before.at_s
    if before is None or elapsed_s <= 0 or id_order(after.last_id) < id_order(before.last_id):
        return StreamRates(groups={group.name: GroupRates() for group in after.groups})
    added = _added(before, after)
    known = {group.name: group for group in before.groups}
    groups: dict[str, GroupRates] = {}
    for group in after.groups:
        earlier = known.get(group.name)
        if earlier is None:
            groups[group.name] = GroupRates()
            continue
        read = _read(earlier, group)
        if read is None and _up_to_date(earlier, before) and _up_to_date(group, after):
            read = added
        groups[group.name] = _group(read, group.pending - earlier.pending, elapsed_s)
    return StreamRates(published=_per_second(added, elapsed_s), groups=groups)


def _added(before: StreamSight, after: StreamSight) -> int | None:
    if before.entries_added is not None and after.entries_added is not None:
        return after.entries_added - before.entries_added
    if before.last_id == after.last_id:
        return 0
    if before.first_id is not None and before.first_id == after.first_id:
        return after.entries - before.entries  # nothing was trimmed, so all of it was added
    return None


def _read(before: GroupProgress, after: GroupProgress) -> int | None:
    if before.entries_read is not None and after.entries_read is not None:
        return after.entries_read - before.entries_read
    return 0 if before.last_delivered_id == after.last_delivered_id else None


def _up_to_date(group: GroupProgress, stream: StreamSight) -> bool:
    return group.last_delivered_id == stream.last_id


def _group(read: int | None, more_pending: int, elapsed_s: float) -> GroupRates:
    if read is None or read < 0:
        return GroupRates()
    return GroupRates(read / elapsed_s, _per_second(read - more_pending, elapsed_s))


def _per_second(count: int | None, elapsed_s: float) -> float | None:
    return None if count is None or count < 0 else count / elapsed_s
