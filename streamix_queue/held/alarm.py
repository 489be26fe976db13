"""A wait that ends when it is due, or earlier when somebody says so."""

from __future__ import annotations

import threading
import time

__all__ = ["Alarm"]


class Alarm:
    """Thread-safe. One thread waits; any may ring."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._rings_at = float("inf")  # time.monotonic(), guarded by the condition

    def ring(self, within_s: float = 0.0) -> None:
        """End the wait ``within_s`` seconds from now, if it would last longer."""
        with self._changed:
            at = time.monotonic() + within_s
            if at < self._rings_at:
                self._rings_at = at
                self._changed.notify_all()

    def wait(self, at_most_s: float) -> None:
        """Wait until it rings or ``at_most_s`` seconds are over; what rang until then is forgotten."""
        until = time.monotonic() + at_most_s
        with self._changed:
            while (left := min(until, self._rings_at) - time.monotonic()) > 0:
                self._changed.wait(left)
            self._rings_at = float("inf")
