"""The entries that this process holds, from the read to the confirmed settlement."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from streamix_queue.core.delivery import Delivery
from streamix_queue.core.outcome import HandBack
from streamix_queue.runtime import Credits

__all__ = ["LeaseTable"]


class LeaseTable:
    """Thread-safe: one lock, taken once per batch.

    The credits follow it: an entry in the table costs one, and there is no other way to get it
    back than to leave the table.

    Fetcher and reclaimer add, the settler removes, the renewer looks.

    Attributes:
        arriving: Held from asking for entries until they are in the table by whoever would else
            be taken for one that lost its reply (see `pick_up_lost`), and by whoever looks for
            lost replies. Else one entry could come from both, and run twice.
    """

    def __init__(self, credits_: Credits, on_suspect_gone: Callable[[], None] = lambda: None) -> None:
        self.arriving = threading.Lock()
        self._lock = threading.Lock()
        self._on_suspect_gone = on_suspect_gone
        self._held: dict[bytes, dict[bytes, Delivery]] = {}
        self._credits = credits_

    def add(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """Hold these from now on; returns those that were not held already.

        An entry that is held and delivered again (reclaimed by ourselves after a late renewal,
        or read again from a group that was made anew) is not to run twice at once: the delivery
        in hand takes over the new lease. Unless that is on its way back: when our own sweep is
        quicker than the reply, this is a new delivery, which takes over the credit.
        """
        again = 0
        with self._lock:
            for delivery in deliveries:
                held = self._held.setdefault(delivery.key, {})
                first = held.setdefault(delivery.entry_id, delivery)
                if first is delivery:
                    continue
                again += 1
                if isinstance(first.outcome, HandBack):
                    held[delivery.entry_id] = delivery
                else:
                    first.deliveries = delivery.deliveries
                    first.leased_at = delivery.leased_at
                    first.lost = False
        self._credits.take(len(deliveries) - again)
        if not again:
            return deliveries
        return [d for d in deliveries if self.get(d.key, d.entry_id) is d]

    def remove(self, deliveries: Iterable[Delivery]) -> None:
        """These are settled, or another's; removing one twice gives no second credit."""
        removed, suspects = 0, False
        with self._lock:
            for delivery in deliveries:
                held = self._held.get(delivery.key)
                if held is not None and held.get(delivery.entry_id) is delivery:
                    del held[delivery.entry_id]
                    removed += 1
                    suspects |= delivery.suspect
        if removed:
            self._credits.give(removed)
        if suspects:
            self._on_suspect_gone()

    @property
    def limit(self) -> int:
        """How many may be held."""
        return self._credits.limit

    def get(self, key: bytes, entry_id: bytes) -> Delivery | None:
        """The delivery of an entry that is held, else None."""
        with self._lock:
            return self._held.get(key, {}).get(entry_id)

    def snapshot(self) -> dict[bytes, list[Delivery]]:
        """What is held now, by stream."""
        with self._lock:
            return {key: list(held.values()) for key, held in self._held.items() if held}

    def __len__(self) -> int:
        with self._lock:
            return sum(len(held) for held in self._held.values())
