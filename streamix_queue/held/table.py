"""The entries that this process holds, from the read to the confirmed settlement."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from streamix_queue.core.attempt import Attempt
from streamix_queue.core.entry import Entry
from streamix_queue.core.lease import Lease, Terms
from streamix_queue.core.outcome import HandBack
from streamix_queue.runtime import Credits

__all__ = ["HeldTable"]


class HeldTable:
    """Thread-safe: one lock, taken once per batch.

    The credits follow it: an entry in the table costs one, and there is no other way to get it
    back than to leave the table.

    Fetcher and reclaimer add, the settler removes, the renewer looks.

    Args:
        credits_: What may be held; shared with the other tables of the process.
        lease_s: How long a lease lasts (s).
        on_suspect_gone: Called when a suspect has left, on the thread that removed it.

    Attributes:
        arriving: Held by the reclaimer from asking for entries until they are in the table, and
            by whoever looks for entries of a lost reply (see `pick_up_lost`): what the one has
            claimed and not entered yet would look to the other like an entry that nobody here
            knows of, and would run twice.
    """

    def __init__(
        self, credits_: Credits, lease_s: float, on_suspect_gone: Callable[[], None] = lambda: None
    ) -> None:
        self.arriving = threading.Lock()
        self._lock = threading.Lock()
        self._terms = Terms(lease_s, threading.Lock())
        self._on_suspect_gone = on_suspect_gone
        self._held: dict[bytes, dict[bytes, Attempt]] = {}
        self._credits = credits_

    def hold(self, entries: Sequence[Entry], proved_at: float) -> list[Attempt]:
        """Hold these from now on; the attempts at those that were not held already.

        An entry that is held and delivered again (reclaimed by ourselves after a late renewal,
        or read again from a group that was made anew) is not to run twice at once: the attempt
        in hand takes over the new lease. Unless that is on its way back: when our own sweep is
        quicker than the reply, this is a new attempt, which takes over the credit.

        Args:
            entries: As Redis delivered them.
            proved_at: ``time.monotonic()`` before Redis was asked for them (s).
        """
        terms = self._terms
        made: list[Attempt] = []
        replaced = 0
        key: bytes | None = None
        held: dict[bytes, Attempt] = {}
        with self._lock:
            for entry in entries:
                if entry.key is not key:  # mostly all are of one stream
                    key = entry.key
                    held = self._held.setdefault(key, {})
                entry_id = entry.id
                first = held.get(entry_id)
                if first is not None:
                    if not isinstance(first.outcome, HandBack):
                        first.lease.take_over(entry, proved_at)
                        continue
                    replaced += 1
                attempt = Attempt(entry, Lease(entry, terms, entry.deliveries, proved_at))
                held[entry_id] = attempt
                made.append(attempt)
        self._credits.take(len(made) - replaced)
        return made

    def remove(self, attempts: Iterable[Attempt]) -> None:
        """These are settled, or another's; removing one twice gives no second credit."""
        removed, suspects = 0, False
        key: bytes | None = None
        held: dict[bytes, Attempt] = {}
        with self._lock:
            for attempt in attempts:
                entry = attempt.entry
                if entry.key is not key:
                    key = entry.key
                    held = self._held.get(key, {})
                entry_id = entry.id
                if held.get(entry_id) is attempt:
                    del held[entry_id]
                    removed += 1
                    suspects |= entry.deliveries > 1
        if removed:
            self._credits.give(removed)
        if suspects:
            self._on_suspect_gone()

    @property
    def limit(self) -> int:
        """How many may be held."""
        return self._credits.limit

    def get(self, key: bytes, entry_id: bytes) -> Attempt | None:
        """The attempt at an entry that is held, else None."""
        with self._lock:
            return self._held.get(key, {}).get(entry_id)

    def holds(self, attempt: Attempt) -> bool:
        """True while ``attempt`` is not settled, and no later one at its entry has replaced it."""
        return self.get(attempt.entry.key, attempt.entry.id) is attempt

    def snapshot(self) -> dict[bytes, list[Attempt]]:
        """What is held now, by stream."""
        with self._lock:
            return {key: list(held.values()) for key, held in self._held.items() if held}

    def __len__(self) -> int:
        with self._lock:
            return sum(len(held) for held in self._held.values())
