"""How much to hold: follows the handlers, so that nobody needs a performance page."""

from __future__ import annotations

__all__ = [
    "EXPRESS_CREDITS",
    "FIRST_PREFETCH",
    "MAX_PREFETCH",
    "WORK_AHEAD_S",
    "prefetch_for",
    "resume_at",
]

FIRST_PREFETCH = 10
"""0.1.0's batch size: what is held before anything is known about the handlers."""

EXPRESS_CREDITS = 64
"""What the fetcher may hold beyond the rest while workers are idle and a slow event has work enough:
the entries of the slow event go to its inbox as they are read, and give their credits back, until
something comes that the idle workers can do."""

WORK_AHEAD_S = 0.25
"""Enough to hide a slow round trip, and little enough that members share a short backlog evenly (s)."""

MAX_PREFETCH = 4096

_MAX_HELD_BYTES = 16 * 1024 * 1024


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
    by_time = concurrency * WORK_AHEAD_S / max(pace_s, 1e-9)
    if not mean_bytes:
        return max(concurrency, int(min(by_time, FIRST_PREFETCH)))
    by_size = _MAX_HELD_BYTES / mean_bytes
    return max(concurrency, int(min(min(by_time, MAX_PREFETCH) + beyond, by_size)))


def resume_at(prefetch: int, concurrency: int) -> int:
    """How many free credits are worth a read.

    With plenty held, a quarter: a read for every settled entry would be a round trip for each.
    With little held, one: a thread must not wait until others are done as well.
    """
    return max(1, prefetch // 4) if prefetch >= 8 * concurrency else 1
