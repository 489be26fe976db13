"""How far the groups of a stream are behind: the answer that a publisher slows down by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamix_queue.broker.protocol import Backlog
from streamix_queue.broker.redis.counting import count_between
from streamix_queue.broker.redis.groups import MAX_EVENTS, Group, ask, latest_events, read_groups
from streamix_queue.broker.redis.link import Call, Link
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text

__all__ = ["slowest_group"]


@dataclass
class _Group:
    keys: Keys
    last_delivered: bytes
    lag: int | None
    count: int
    """All but what was not delivered."""


def slowest_group(link: Link, stream: str, enough: int) -> Backlog:
    """The group that has most to do yet, counted no further than ``enough`` has to be.

    Three round trips, whatever the number of groups, and more only to count for a group whose
    lag Redis does not know: before 7.0, or after entries were deleted from the middle.
    """
    key = stream.encode()
    found, length = ask(link, [("XINFO", "GROUPS", key), ("XLEN", key)])
    groups = [_read(stream, group) for group in read_groups(found)]
    if not groups:
        return Backlog("", length)
    _add_own_streams(link, groups)
    known = [
        Backlog(group.keys.group_name, group.count + min(group.lag, length))
        for group in groups
        if group.lag is not None
    ]
    slowest = max(known, key=lambda backlog: backlog.count, default=Backlog("", -1))
    for group in groups:
        if group.lag is None and slowest.count <= enough and group.count + length > slowest.count:
            after, most = b"(" + group.last_delivered, enough + 1 - group.count
            undelivered = count_between(link, key, after, None, enough=most)
            slowest = max(
                slowest,
                Backlog(group.keys.group_name, group.count + undelivered),
                key=lambda backlog: backlog.count,
            )
    return slowest


def _read(stream: str, group: Group) -> _Group:
    # A group of other software may have any name; its keys then are nobody's, and empty.
    keys = Keys(stream, as_text(group.name))
    return _Group(keys, group.last_delivered_id, group.lag, group.pending)


def _add_own_streams(link: Link, groups: Sequence[_Group]) -> None:
    """What groups of this library have put aside: waiting retries, and their inboxes."""
    asked: list[Call] = []
    for group in groups:
        asked += [("ZCARD", group.keys.delayed), latest_events(group.keys, MAX_EVENTS)]
    answers = link.calls(asked)
    owners: list[_Group] = []
    lengths: list[Call] = []
    for group, delayed, events in zip(groups, answers[::2], answers[1::2], strict=True):
        group.count += _number(delayed)
        for event in events if isinstance(events, list) else ():
            owners.append(group)
            lengths.append(("XLEN", group.keys.inbox(as_text(event))))
    if lengths:
        for group, answer in zip(owners, link.calls(lengths), strict=True):
            group.count += _number(answer)


def _number(answer: object) -> int:
    """A key of another type holds nothing of ours."""
    return answer if isinstance(answer, int) else 0
