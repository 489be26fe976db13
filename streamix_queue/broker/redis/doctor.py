"""Reads what `streamix doctor` judges: bounded, pipelined, and with nothing written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from streamix_queue.broker.redis import retention
from streamix_queue.broker.redis.groups import Facts, facts_of, latest_events
from streamix_queue.broker.redis.link import Argument, Link
from streamix_queue.core.acl_probes import probes
from streamix_queue.core.errors import BrokerError, BrokerUnavailable
from streamix_queue.core.keys import Keys
from streamix_queue.core.retention import DEFAULT_KEEP_MS, PINNED_AFTER_MS, Trimming

__all__ = ["RedisDoctorBroker"]

_OLDEST = 100
_MAX_EVENTS = 100


class RedisDoctorBroker:
    """One connection, opened at first use. Owned by one thread. Raises `BrokerUnavailable`.

    Args:
        url: The server.
        timeout_s: How long to wait for a reply, in seconds.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        self._link = Link(url, timeout_s)

    def info(self) -> dict[str, str]:
        """What INFO tells; nothing if it may not be asked."""
        reply = self._ask([("INFO",)])[0]
        text = reply.decode(errors="replace") if isinstance(reply, bytes) else ""
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
        user = whoami.decode(errors="replace") if isinstance(whoami, bytes) else ""
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

    def groups(self, keys: Keys) -> list[Facts]:
        """The groups of the stream, as XINFO tells."""
        return facts_of(self._ask([("XINFO", "GROUPS", keys.stream)])[0])

    def retention(self, keys: Keys) -> tuple[bool, dict[str, int]]:
        """Whether somebody trims the stream, and how long each group wants it kept (ms)."""
        holder, flat = self._ask([("GET", keys.janitor), ("HGETALL", keys.keeps)])
        wishes = flat if isinstance(flat, list) else []
        pairs = zip(wishes[::2], wishes[1::2], strict=True)
        keeps = {name.decode(errors="replace"): int(keep) for name, keep in pairs if _whole(keep)}
        return isinstance(holder, bytes), keeps

    def pins(self, keys: Keys) -> Trimming:
        """The groups that hold the stream back. Nothing is trimmed."""
        try:
            return retention.trim(self._link, keys.stream, DEFAULT_KEEP_MS, 0, PINNED_AFTER_MS)
        except BrokerUnavailable:
            raise
        except BrokerError:
            return Trimming()

    def group(self, keys: Keys, inboxes: Sequence[bytes]) -> dict[str, Any]:
        """Members, who of them is surely of this release, the oldest 100 pending, retries, pauses."""
        members, pending, count, first, paused, holder, *others = self._ask(
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
        return {
            "members": facts_of(members),
            "pending": pending if isinstance(pending, list) else [],
            "delayed": count if isinstance(count, int) else 0,
            "due_ms": float(first[1]) if isinstance(first, list) and first else None,
            "paused": paused if isinstance(paused, int) else 0,
            # Who reads an inbox or clears up after the group. 0.1.0 does neither.
            "ours": {
                *([holder] if isinstance(holder, bytes) else []),
                *(member["name"] for reply in others for member in facts_of(reply)),
            },
        }

    def events(self, keys: Keys) -> list[str]:
        """Events of the group's inboxes, at most 100."""
        reply = self._ask([latest_events(keys, _MAX_EVENTS)])[0]
        return [name.decode(errors="replace") for name in reply] if isinstance(reply, list) else []

    def count_failed(self, keys: Keys) -> int:
        """Dead letters of the stream."""
        reply = self._ask([("XLEN", keys.failed)])[0]
        return reply if isinstance(reply, int) else 0

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        self._link.close()

    def _ask(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        """The replies. What Redis refuses is a fact, too: its error stands in its place."""
        return self._link.calls(commands) if commands else []


def _code(reply: object) -> str:
    return reply.code if isinstance(reply, BrokerError) else ""


def _whole(text: bytes) -> bool:
    return text.removeprefix(b"-").isdigit() and len(text) < 20
