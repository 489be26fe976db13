"""Which suspect runs: at most one, alone, and for a bounded time. Decides; runs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from streamix_queue.core.attempt import Attempt

__all__ = ["Quarantine"]

L = TypeVar("L")


class Quarantine(Generic[L]):
    """Not thread-safe: every field is under the lock of the lanes that own it.

    A suspect begins when no other handler runs, and none begins beside it. Both waits are bounded
    by ``alone_s``: a handler that takes an hour must not stop a process for two, and what kills a
    process mostly does so at once. Two suspects never run side by side.

    ``L`` is what a suspect runs in. Times are of ``time.monotonic()`` (s).

    Args:
        alone_s: How long a suspect may keep others waiting: for it to begin, and while it runs.
    """

    def __init__(self, alone_s: float) -> None:
        self._alone_s = alone_s
        self._waiting: tuple[Attempt, L] | None = None
        self._running = False
        self._since = 0.0  # when the one that is here came in, or began

    @property
    def has_room(self) -> bool:
        """True if there is no suspect here."""
        return self._waiting is None and not self._running

    @property
    def waits(self) -> bool:
        """True if there is one that has not begun."""
        return self._waiting is not None

    def enter(self, attempt: Attempt, lane: L, now: float) -> None:
        """It is to begin as soon as nothing else runs. Only if there is room."""
        assert self.has_room
        self._waiting, self._since = (attempt, lane), now

    def holds_others_back(self, now: float) -> bool:
        """Whether nothing may begin beside the one that is here."""
        return not self.has_room and now - self._since < self._alone_s

    def begin(self, now: float, *, others_run: bool) -> tuple[Attempt, L] | None:
        """The one that waits, if it may begin now."""
        if self._waiting is None or (others_run and now - self._since < self._alone_s):
            return None
        begun, self._waiting = self._waiting, None
        self._running, self._since = True, now
        return begun

    def ended(self) -> None:
        """The one that ran has ended."""
        self._running = False

    def withdraw(self, wanted: Callable[[Attempt, L], bool]) -> list[Attempt]:
        """Take back the one that has not begun, if it is wanted."""
        if self._waiting is None or not wanted(*self._waiting):
            return []
        (attempt, _), self._waiting = self._waiting, None
        return [attempt]

    def late_in(self, now: float) -> float:
        """Seconds until it no longer keeps others waiting; an hour if there is none."""
        return 3600.0 if self.has_room else max(0.001, self._since + self._alone_s - now)
