"""What the history of an attempt says: when its message was published, and why it came again."""

from __future__ import annotations

import time

from streamix_queue.core.attempt import Attempt
from streamix_queue.core.wire import History

__all__ = ["published_at", "redelivery_cause"]


def published_at(attempt: Attempt, history: History) -> float:
    """Unix time of the publish (s): Redis' clock, from the id of the message's first entry."""
    try:
        first = history.source_id.encode() or attempt.entry.id
        return int(first.partition(b"-")[0]) / 1000
    except ValueError:  # others can write any text there
        return time.time()


def redelivery_cause(attempt: Attempt, history: History) -> str | None:
    """Why this was not the first attempt of its message; None if it was."""
    if attempt.entry.source == "reclaim":
        return "reclaim"
    if attempt.entry.source == "recovered":
        return "restart"
    return history.cause if history.cause in ("retry", "replay") else None
