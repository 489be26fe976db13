"""Entries that a lost reply delivered: pending under our name, and unknown to us."""

from __future__ import annotations

import time

from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core.entry import Entry, entry_of
from streamix_queue.held.table import HeldTable

__all__ = ["pick_up_lost"]

# More than one read or sweep can deliver, so that it is found behind all that we hold.
_MARGIN = 2048


def pick_up_lost(
    broker: ConsumerBroker, key: bytes, table: HeldTable, *, most_deliveries: int | None
) -> tuple[list[Entry], float]:
    """Fetch what is pending for us on ``key`` and not held. Two round trips; counts no delivery.

    Only sound under a name that no other process has. An entry leaves the table after its ack
    was confirmed, so one that is acked meanwhile is not fetched.

    Args:
        broker: Of the actor that asks.
        key: The stream.
        table: What is held.
        most_deliveries: Leave out what was delivered more often than this: it may be a suspect
            that the reclaimer is just about to hold.

    Returns:
        The entries, and ``time.monotonic()`` before Redis was asked (s).
    """
    asked_at = time.monotonic()
    pending = broker.own_pending(key, table.limit + _MARGIN)
    unknown = [
        (entry_id, deliveries)
        for entry_id, deliveries in pending
        # (A count of 0 means that we have handed it back ourselves.)
        if deliveries > 0
        and table.get(key, entry_id) is None
        and (most_deliveries is None or deliveries <= most_deliveries)
    ]
    if not unknown:
        return [], asked_at
    read_at = time.perf_counter()
    found = [
        entry_of(key, entry_id, fields, deliveries, "recovered", read_at)
        for entry_id, deliveries, fields in broker.take(key, unknown)
    ]
    return found, asked_at
