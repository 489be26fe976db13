"""The retries of a group that wait for their time, read page by page."""

from __future__ import annotations

import math
from collections.abc import Iterator

from streamix_queue.broker.redis.operator.retries import Retries
from streamix_queue.core.delayed import Delayed, read_delayed
from streamix_queue.core.keys import Keys

__all__ = ["LATEST_MS", "waiting_retries"]

_PAGE = 50
"""Retries per read: one may hold a megabyte."""
LATEST_MS = 253_402_300_799_000.0
"""The end of the year 9999: who writes a later due time into Redis is shown this."""


def waiting_retries(retries: Retries, keys: Keys, event: str | None, look_at: int) -> Iterator[Delayed]:
    """The retries that wait, the next due first, read as they are taken.

    Args:
        retries: Of the server.
        keys: Of the group.
        event: Those of this event; None for all.
        look_at: Look at no more than so many.

    Raises:
        BrokerError: Redis cannot be reached or refuses.
    """
    # By due time and not by rank, which changes with every retry that leaves.
    since, skip = -math.inf, 0
    while look_at > 0:
        count = min(_PAGE, look_at)
        page = retries.due_from(keys, since, skip, count)
        look_at -= len(page)
        for member, due in page:
            since, skip = (since, skip + 1) if due == since else (due, 1)
            retry = read_delayed(member, int(max(0.0, min(due, LATEST_MS))))
            if event in (None, retry.event):
                yield retry
        if len(page) < count:
            return
