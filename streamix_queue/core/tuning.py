"""How much to hold: follows the handlers, so that nobody needs a performance page."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = [
    "EXPRESS_CREDITS",
    "FIRST_PREFETCH",
    "ReadPlan",
    "enough_queued",
    "plan_read",
    "prefetch_for",
    "resume_at",
    "share_of_turn",
]

FIRST_PREFETCH = 10
"""0.1.0's batch size: what is held before anything is known about the handlers."""

EXPRESS_CREDITS = 64
"""What may be held beyond the rest while idle workers wait for what stands behind a slow event on
the stream: it goes to that event's inbox as it comes, and its credits are free again at once."""

# Enough to hide a slow round trip, and little enough that members share a short backlog evenly.
_WORK_AHEAD_S = 0.25
_MAX_PREFETCH = 4096
_MAX_READ = 512
_MAX_HELD_BYTES = 16 * 1024 * 1024
_TURN_S = 0.001
_MAX_TURN = 64


def prefetch_for(pace_s: float | None, concurrency: int, mean_bytes: float, beyond: int = 0) -> int:
    """How many entries to hold, so that a slow member hoards nothing that an idle one could do.

    Args:
        pace_s: Mean time of a handler in seconds; None if none has ended yet.
        concurrency: Handlers that may run at once.
        mean_bytes: Mean size of an entry, 0 if none was seen yet; big ones are held in smaller numbers.
        beyond: Entries to hold beyond that quarter of a second, as far as their size allows.

    Returns:
        About a quarter of a second of work, at least one entry for each thread.
    """
    if pace_s is None:
        return max(FIRST_PREFETCH, concurrency)
    by_time = concurrency * _WORK_AHEAD_S / max(pace_s, 1e-9)
    if not mean_bytes:
        return max(concurrency, int(min(by_time, FIRST_PREFETCH)))
    by_size = _MAX_HELD_BYTES / mean_bytes
    return max(concurrency, int(min(min(by_time, _MAX_PREFETCH) + beyond, by_size)))


def enough_queued(limit: int, pace_s: float | None) -> int:
    """How many of one event may wait for its ``limit`` busy workers: a quarter of a second of work."""
    if pace_s is None:
        return FIRST_PREFETCH
    return max(1, int(min(limit * _WORK_AHEAD_S / max(pace_s, 1e-9), _MAX_PREFETCH)))


def resume_at(prefetch: int, concurrency: int) -> int:
    """How many free credits are worth a read.

    With plenty held, a quarter: a read for every settled entry would be a round trip for each.
    With little held, one: a thread must not wait until others are done as well.
    """
    return max(1, prefetch // 4) if prefetch >= 8 * concurrency else 1


@dataclass(frozen=True)
class ReadPlan:
    """What one read asks for: ``COUNT``, which Redis applies to every stream on its own."""

    count: int


def plan_read(free: int, streams: int, batch_size: int | None) -> ReadPlan:
    """Split the free credits over the streams of one read.

    With fewer credits than streams each gets ``COUNT 1``; if several have an entry at that very
    moment, up to ``streams - 1`` are held beyond the credits, and the next read waits for it.
    """
    return ReadPlan(max(1, min(free // streams, batch_size or _MAX_READ)))


def share_of_turn(queued: int, idle: int, pace_s: float | None) -> int:
    """How many deliveries a worker takes from a mailbox at once.

    About a millisecond of work, which makes the hand-over between threads cheap for quick
    handlers, and never so many that an idle worker would find nothing.
    """
    if pace_s is None:
        return 1
    by_time = _TURN_S / max(pace_s, 1e-9)
    return max(1, min(_MAX_TURN, int(by_time), math.ceil(queued / (idle + 1))))
