"""What the history of a delivery says: when its message was published, and why it came again."""

from __future__ import annotations

import time

from streamix_queue.core.delivery import Delivery
from streamix_queue.core.wire import History

__all__ = ["published_at", "redelivery_cause"]


def published_at(delivery: Delivery, history: History) -> float:
    """Unix time of the publish (s): Redis' clock, from the id of the message's first entry."""
    try:
        first = history.source_id.encode() or delivery.entry_id
        return int(first.partition(b"-")[0]) / 1000
    except ValueError:  # others can write any text there
        return time.time()


def redelivery_cause(delivery: Delivery, history: History) -> str | None:
    """Why this was not the first delivery of its message; None if it was."""
    if delivery.source == "reclaim":
        return "reclaim"
    if delivery.source == "recovered":
        return "restart"
    return history.cause if history.cause in ("retry", "replay") else None
