"""What `streamix doctor` judges: read in pipelines, bounded, and with nothing written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from streamix_queue.broker.redis.groups import GroupMember, read_members
from streamix_queue.broker.redis.link import Call, Link
from streamix_queue.broker.redis.operator.groups import PendingRow
from streamix_queue.core.acl_probes import probes
from streamix_queue.core.errors import BrokerError
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text

__all__ = ["Checkup", "GroupState"]

_OLDEST = 100


class GroupState(NamedTuple):
    """A group as the doctor sees it; empty where Redis refused to tell."""

    members: list[GroupMember]
    ours: set[bytes]
    """Names of those that are surely of this release: they read an inbox, or clear up after the group."""
    pending: list[PendingRow]
    """The oldest 100."""
    delayed: int
    due_ms: float | None
    """When the first retry is due, Unix time in ms; None if none waits."""
    paused: int


class Checkup:
    """Reads what the doctor judges. What Redis refuses is a fact, too: no refusal is raised here.

    Only a connection that breaks raises `BrokerUnavailable`.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    def info(self) -> dict[str, str]:
        """What INFO tells; nothing if it may not be asked."""
        reply = self._ask([("INFO",)])[0]
        text = as_text(reply) if isinstance(reply, bytes) else ""
        lines = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
        return {name: value for name, _, value in lines if name}

    def clock_skew_s(self) -> tuple[float, float]:
        """Redis' clock as Unix time, and how far it is ahead of ours, seconds."""
        asked = time.time()
        reply = self._ask([("TIME",)])[0]
        ours = (asked + time.time()) / 2
        if not isinstance(reply, list):
            return ours, 0.0
        theirs = int(reply[0]) + int(reply[1]) / 1e6
        return theirs, theirs - ours

    def refused(self, key: bytes) -> tuple[str, list[str]]:
        """Our user, and the commands that it may not call. ``key`` must not exist."""
        calls = probes(key)
        whoami, *replies = self._ask([("ACL", "WHOAMI"), *calls.values()])
        user = as_text(whoami) if isinstance(whoami, bytes) else ""
        refused = zip(calls, replies, strict=True)
        return user, [name for name, reply in refused if _code(reply) == "NOPERM"]

    def types(self, keys: Sequence[bytes]) -> list[str]:
        """The type of each key: ``none``, ``stream``, … or ``""`` if it may not be asked."""
        replies = self._ask([("TYPE", key) for key in keys])
        return [reply.decode() if isinstance(reply, bytes) else "" for reply in replies]

    def ends(self, keys: Keys) -> tuple[int, bytes | None, bytes | None]:
        """Length of the stream, and the ids of its oldest and its newest entry."""
        length, first, last = self._ask(
            [
                ("XLEN", keys.stream),
                ("XRANGE", keys.stream, "-", "+", "COUNT", 1),
                ("XREVRANGE", keys.stream, "+", "-", "COUNT", 1),
            ]
        )
        return (
            length if isinstance(length, int) else 0,
            first[0][0] if isinstance(first, list) and first else None,
            last[0][0] if isinstance(last, list) and last else None,
        )

    def retention(self, keys: Keys) -> tuple[bool, dict[str, int]]:
        """Whether somebody trims the stream, and how long each group wants it kept (ms)."""
        holder, flat = self._ask([("GET", keys.janitor), ("HGETALL", keys.keeps)])
        wishes = flat if isinstance(flat, list) else []
        pairs = zip(wishes[::2], wishes[1::2], strict=True)
        return isinstance(holder, bytes), {as_text(name): int(keep) for name, keep in pairs if _whole(keep)}

    def group(self, keys: Keys, inboxes: Sequence[bytes]) -> GroupState:
        """One group, and who reads its inboxes."""
        members, pending, count, first, paused, holder, *readers = self._ask(
            [
                ("XINFO", "CONSUMERS", keys.stream, keys.group),
                ("XPENDING", keys.stream, keys.group, "-", "+", _OLDEST),
                ("ZCARD", keys.delayed),
                ("ZRANGE", keys.delayed, 0, 0, "WITHSCORES"),
                ("HLEN", keys.paused),
                ("GET", keys.upkeep),
                *(("XINFO", "CONSUMERS", inbox, keys.group) for inbox in inboxes),
            ]
        )
        # 0.1.0 neither reads an inbox nor clears up after the group.
        ours = {member.name for reply in readers for member in read_members(reply)}
        return GroupState(
            members=read_members(members),
            ours=ours | {holder} if isinstance(holder, bytes) else ours,
            pending=[PendingRow(*row) for row in pending] if isinstance(pending, list) else [],
            delayed=count if isinstance(count, int) else 0,
            due_ms=float(first[1]) if isinstance(first, list) and first else None,
            paused=paused if isinstance(paused, int) else 0,
        )

    def _ask(self, commands: Sequence[Call]) -> list[Any]:
        """The replies; the error of what Redis refuses stands in its place."""
        return self._link.calls(commands) if commands else []


def _code(reply: object) -> str:
    return reply.code if isinstance(reply, BrokerError) else ""


def _whole(text: bytes) -> bool:
    return text.removeprefix(b"-").isdigit() and len(text) < 20
