"""Steps at a given rate, without a burst after a long one."""

from __future__ import annotations

import time

__all__ = ["Pace"]

_CATCHES_UP_S = 0.1
"""What a sleep that took too long may be made up for; a longer stop starts the schedule anew."""


class Pace:
    """A schedule of steps on the monotonic clock.

    Args:
        rate: Steps per second; None for as fast as it goes.
    """

    def __init__(self, rate: float | None) -> None:
        self._step_s = 0.0 if rate is None else 1 / rate
        self._due = time.monotonic()

    def wait(self) -> None:
        """Return when the next step is due."""
        if not self._step_s:
            return
        now = time.monotonic()
        if self._due > now:
            time.sleep(self._due - now)
        self._due = max(self._due, now - _CATCHES_UP_S) + self._step_s
