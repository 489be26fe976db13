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

    Attributes:
        has_room: True if there is no suspect here.
        waits: True if there is one that has not begun.
    """

    def __init__(self, alone_s: float) -> None:
        self._alone_s = alone_s
        # Plain values: every share that a worker takes looks at them.
        self.has_room = True
        self.waits = False
        self._waiting: tuple[Attempt, L] | None = None
        self._since = 0.0  # when the one that is here came in, or began

    def enter(self, attempt: Attempt, lane: L, now: float) -> None:
        """It is to begin as soon as nothing else runs. Only if there is room."""
        assert self.has_room
        self._waiting, self._since = (attempt, lane), now
        self.has_room, self.waits = False, True

    def holds_others_back(self, now: float) -> bool:
        """Whether nothing may begin beside the one that is here."""
        return not self.has_room and now - self._since < self._alone_s

    def begin(self, now: float, *, others_run: bool) -> tuple[Attempt, L] | None:
        """The one that waits, if it may begin now."""
        if self._waiting is None or (others_run and now - self._since < self._alone_s):
            return None
        begun, self._waiting = self._waiting, None
        self.waits, self._since = False, now
        return begun

    def ended(self) -> None:
        """The one that ran has ended."""
        self.has_room = True

    def withdraw(self, wanted: Callable[[Attempt, L], bool]) -> list[Attempt]:
        """Take back the one that has not begun, if it is wanted."""
        if self._waiting is None or not wanted(*self._waiting):
            return []
        (attempt, _), self._waiting = self._waiting, None
        self.has_room, self.waits = True, False
        return [attempt]

    def late_in(self, now: float) -> float:
        """Seconds until it no longer keeps others waiting; an hour if there is none."""
        return 3600.0 if self.has_room else max(0.001, self._since + self._alone_s - now)
