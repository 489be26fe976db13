"""When a publisher is held back. Pure, so that a thread or a coroutine can carry it out."""

from __future__ import annotations

from dataclasses import dataclass

from streamix_queue.core.errors import BacklogFull
from streamix_queue.core.facts import PublishFreed, PublishHeldBack

__all__ = ["Gate", "Wait", "allowance", "low_watermark"]

_LOOK_EVERY_S = 1.0
_LOOK_EVERY_WHEN_FULL_S = 0.1
_ANOTHER_LOOKS_S = 0.001
# A look takes long where the server does not count a group's lag itself: then it is taken less often.
_SHARE_OF_TIME = 10


def low_watermark(limit: int) -> int:
    """How far the backlog has to fall before publishing goes on: well below where it stopped."""
    return limit * 4 // 5


def allowance(backlog: int, limit: int) -> int:
    """How many messages may be published before it is worth to look again.

    A twentieth of the room that is left, for others publish as well; but near the limit no more
    looks than one in a hundredth of it, by which it may so be exceeded.
    """
    return max(1, (limit - backlog) // 20, limit // 100)


@dataclass(frozen=True)
class Wait:
    """Ask again after so many seconds."""

    seconds: float


class Gate:
    """Whether messages may be published, by the backlog of the slowest group at the last look.

    It looks at nothing itself. Whoever publishes goes on if it `passes`; else looks, if that
    `is_due` and nobody else is at it, reports what it `found`, and then does what `decide` says.
    All times are in seconds of the caller's monotonic clock.

    Several threads may use it without a lock if one at a time looks: ``found`` and ``away`` are
    its alone. How many messages are left until the next look is counted by all, not exactly.

    Args:
        stream: The stream; for what is told.
        limit: The high watermark.
        on_full: ``block``, ``raise`` or ``shed``.
        timeout_s: How long to block.
    """

    def __init__(self, stream: str, limit: int, on_full: str, timeout_s: float) -> None:
        self._stream = stream
        self._limit = limit
        self._low = low_watermark(limit)
        self._sheds = on_full == "shed"
        self._timeout_s = timeout_s if on_full == "block" else 0.0
        self._group, self._backlog = "", 0
        self._left = self._allowance = 0
        self._next_look = 0.0
        self._full_since: float | None = None

    # --- asked for every message ----------------------------------------------------------------

    def passes(self, count: int, now: float) -> bool:
        """Take ``count`` messages off the allowance; False if it is used up, or no longer holds."""
        if self._full_since is None and self._left > 0 and now < self._next_look:
            self._left -= count
            return True
        return False

    # --- looking --------------------------------------------------------------------------------

    def is_due(self, now: float) -> bool:
        """True if it is time to look."""
        return now >= self._next_look or (self._left <= 0 and self._full_since is None)

    @property
    def enough(self) -> int:
        """How far a look has to count: what is beyond changes nothing."""
        return self._limit if self._full_since is None else self._low

    def found(
        self, group: str, backlog: int, began: float, now: float
    ) -> PublishHeldBack | PublishFreed | None:
        """Note what a look that ``began`` then has found; the fact to tell, if it changes anything."""
        self._group, self._backlog = group, backlog
        fact: PublishHeldBack | PublishFreed | None = None
        if self._full_since is None:
            if backlog >= self._limit:
                self._full_since = now
                fact = PublishHeldBack(self._stream, group, backlog, self._limit)
        elif backlog <= self._low:
            fact = PublishFreed(self._stream, group, backlog, now - self._full_since)
            self._full_since = None
        self._left = self._allowance = allowance(backlog, self._limit)
        every = _LOOK_EVERY_S if self._full_since is None else _LOOK_EVERY_WHEN_FULL_S
        self._next_look = now + max(every, (now - began) * _SHARE_OF_TIME)
        return fact

    def away(self, now: float) -> None:
        """Note that a look failed, because the server could not be reached."""
        if self._full_since is None:  # or each write would wait for it twice
            self._left = self._allowance = allowance(self._limit, self._limit)
            self._next_look = now + _LOOK_EVERY_S

    # --- deciding -------------------------------------------------------------------------------

    def decide(
        self, count: int, waited_s: float, now: float, spread: float, *, is_known: bool
    ) -> bool | Wait:
        """Whether ``count`` messages may be published: True, False if they are to be shed, or later.

        Args:
            count: How many.
            waited_s: How long they have waited already.
            now: The caller's clock.
            spread: A random number from 0 to 1, so that those that wait do not come back together.
            is_known: False if a look is due, and somebody else has begun it and found nothing yet.
                As many as were allowed at the last look go on meanwhile.

        Raises:
            BacklogFull: they may not.
        """
        if self._full_since is None:
            if is_known or self._left > -self._allowance:
                self._left -= count
                return True
            return Wait(_ANOTHER_LOOKS_S)  # for no longer than the other's look may take
        if self._sheds:
            return False
        left_s = self._timeout_s - waited_s
        if left_s <= 0:
            raise self._refusal()
        until_next_s = max(self._next_look - now, _LOOK_EVERY_WHEN_FULL_S / 10)
        return Wait(min(left_s, until_next_s * (1 + spread / 2)))

    def _refusal(self) -> BacklogFull:
        who = f"group {self._group!r} of stream" if self._group else "no group reads stream"
        waited = f" after {self._timeout_s:g} s" if self._timeout_s else ""
        return BacklogFull(
            f"{who} {self._stream!r}: at least {self._backlog} messages to be handled{waited}, "
            f"max_backlog={self._limit}; nothing was written",
            self._group,
            self._backlog,
        )
