"""How many entries a process holds: as the user says, or following its handlers."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from streamix_queue.core.entry import Entry
from streamix_queue.core.prefetch_rules import EXPRESS_CREDITS, prefetch_for, resume_at
from streamix_queue.runtime import Credits

__all__ = ["PrefetchTuner"]


class PrefetchTuner:
    """Sets the limit of the credits. Thread-safe: the fetchers of all channels share it.

    It outlives them: a fetcher that is made anew must not forget how big the entries are.

    Args:
        credits_: Of the process.
        concurrency: Handlers that may run at once.
        fixed: The user's limit; None follows the handlers.
    """

    def __init__(self, credits_: Credits, concurrency: int, fixed: int | None) -> None:
        self._credits = credits_
        self._concurrency = concurrency
        self._fixed = fixed
        self._lock = threading.Lock()
        self._mean_bytes = 0.0  # guarded by the lock

    def saw(self, entries: Sequence[Entry]) -> None:
        """Note the sizes of entries. The first ones count as they are: there may be few of them."""
        mean = sum([len(e.message) if e.message is not None else e.size for e in entries]) / len(entries)
        with self._lock:
            # Bigger ones than before count at once, smaller ones little by little: memory comes first.
            self._mean_bytes += (mean - self._mean_bytes) * (0.1 if mean < self._mean_bytes else 1.0)

    def adjust(self, pace_s: float | None, *, express: bool = False) -> int:
        """Set the limit of the credits; how many free ones are worth a read.

        Args:
            pace_s: Mean time of a handler lately (s); None if none has ended yet.
            express: Hold more than the rest would allow, see `Appetite`.
        """
        if self._fixed is None:
            beyond = EXPRESS_CREDITS if express else 0
            with self._lock:
                wanted = prefetch_for(pace_s, self._concurrency, self._mean_bytes, beyond)
            # A twentieth either way is noise, and not worth a lock.
            if abs(wanted - self._credits.limit) * 20 > self._credits.limit:
                self._credits.resize(wanted)
        return resume_at(self._credits.limit, self._concurrency)
