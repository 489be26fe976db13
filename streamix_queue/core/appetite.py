"""What is welcome at the next read: from the state of the lanes to one answer for the fetcher."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from streamix_queue.core.prefetch_rules import FIRST_PREFETCH, MAX_PREFETCH, WORK_AHEAD_S

__all__ = ["PLENTY", "Appetite", "LaneState", "appetite_of", "enough_queued", "plan_read", "share_of_lane"]

PLENTY = 1 << 30
"""As many as the credits allow."""

# After so long without an end, how long the handlers took before tells nothing any more.
_SILENT_S = 0.5
_FEW = 64
_MAX_READ = 512
_SHARE_S = 0.001
_MAX_SHARE = 64
_LOOK_AROUND_S = 0.1


class LaneState(NamedTuple):
    """One lane at one moment.

    Attributes:
        name: The event.
        limit: Workers it may have at once.
        running: Workers it has.
        queued: Attempts that wait in it.
        pace_s: Mean time of a handler lately (s); None if none has ended yet.
        silent_s: Since a share of it ended, or its last worker got busy (s).
        crowded: It had to make room for other lanes, and is still long.
    """

    name: str
    limit: int
    running: int
    queued: int
    pace_s: float | None
    silent_s: float
    crowded: bool

    @property
    def busy(self) -> bool:
        """True while it has all the workers that it may have."""
        return self.running >= self.limit

    @property
    def enough(self) -> int:
        """How long its queue may be while it is busy: a quarter of a second of work."""
        if self.silent_s < _SILENT_S:
            return enough_queued(self.limit, self.pace_s)
        return enough_queued(self.limit, max(self.silent_s, self.pace_s or 0.0))

    @property
    def saturated(self) -> bool:
        """True while it is busy and has enough before it."""
        return self.busy and self.queued >= self.enough


class Appetite(NamedTuple):
    """The answer to the fetcher's one question.

    Attributes:
        closed: Events whose inbox is not to be read: paused, or with work enough.
        most: Entries of one stream that are welcome at once. Few only while a slow event keeps its
            workers busy, for what the read brings of it would wait here; else `PLENTY`.
        express: Workers are idle while an event has work enough: what they need stands behind it
            on the stream, so it is worth to hold more than the rest would allow.
        pace_s: Mean time of a handler lately, of all events (s); None if none has ended yet.
    """

    closed: frozenset[str]
    most: int
    express: bool
    pace_s: float | None


def appetite_of(
    states: Iterable[LaneState], *, paused: frozenset[str], several: bool, idle: bool, pace_s: float | None
) -> Appetite:
    """What a channel wants.

    Args:
        states: Its lanes that are busy or crowded; any other lane wants all it can get.
        paused: Events that are not to be begun.
        several: Whether the process has more than one lane: with one, nothing waits for another.
        idle: Whether workers wait for work.
        pace_s: Mean time of a handler lately (s).
    """
    if not several:
        return Appetite(paused, PLENTY, False, pace_s)
    closed = set(paused)
    most = PLENTY
    saturated = False
    for state in states:
        saturated |= state.saturated
        if state.crowded or state.saturated:
            closed.add(state.name)
        elif state.busy and state.name not in paused and state.enough <= _FEW:
            most = min(most, state.enough - state.queued)
    return Appetite(frozenset(closed), most, saturated and idle, pace_s)


def enough_queued(limit: int, pace_s: float | None) -> int:
    """How many of one event may wait for its ``limit`` busy workers: a quarter of a second of work."""
    if pace_s is None:
        return FIRST_PREFETCH
    return max(1, int(min(limit * WORK_AHEAD_S / max(pace_s, 1e-9), MAX_PREFETCH)))


def share_of_lane(queued: int, idle: int, pace_s: float | None) -> int:
    """How many attempts a worker takes from a lane at once.

    About a millisecond of work, which makes the hand-over between threads cheap for quick
    handlers, and never so many that an idle worker would find nothing.
    """
    if pace_s is None:
        return 1
    by_time = _SHARE_S / max(pace_s, 1e-9)
    return max(1, min(_MAX_SHARE, int(by_time), math.ceil(queued / (idle + 1))))


def plan_read(
    free: int,
    streams: int,
    full: int,
    *,
    batch_size: int | None,
    most: int,
    since_all_s: float,
) -> tuple[int, bool]:
    """Split the free credits over the streams of one read: ``COUNT``, and whether all are read.

    Redis applies ``COUNT`` to every stream on its own.

    With fewer credits than streams each gets ``COUNT 1``; if several have an entry at that very
    moment, up to ``streams - 1`` are held beyond the credits, and the next read waits for it.

    So a consumer of a thousand events would read a long stream a few entries at a time. With so
    many, the streams that had more than was asked for are read alone, with all that is free,
    and the others ten times a second.

    Args:
        free: Credits that are free, at least 1.
        streams: Open streams: the shared one and the inboxes.
        full: Those of them that the last read did not empty.
        batch_size: The user's limit, if any.
        most: Entries of one stream that are welcome.
        since_all_s: Since every open stream was read (s).
    """
    limit = min(batch_size or _MAX_READ, most)
    count = max(1, min(free // streams, limit))
    if full and streams > _FEW and count < min(limit, free // full) and since_all_s < _LOOK_AROUND_S:
        return max(1, min(free // full, limit)), False
    return count, True
