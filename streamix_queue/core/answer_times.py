"""Whether the server answers as it usually does."""

from __future__ import annotations

from collections import deque

__all__ = ["AnswerTimes"]

_AS_USUAL = 3  # so many in a row are no exception but how the link is


class AnswerTimes:
    """What the latest answers took, and whether the server stood still meanwhile.

    While it stands still nobody can renew, and every lease then looks lapsed. Owned by one thread.

    Args:
        at_least_s: What an answer may take in any case, in seconds.
    """

    def __init__(self, at_least_s: float) -> None:
        self._at_least_s = at_least_s
        self._took = deque([0.0] * _AS_USUAL, maxlen=_AS_USUAL)
        self._answered_at, self._server_ms = 0.0, 0

    def note(self, asked_at: float, answered_at: float, server_ms: int) -> bool:
        """Take down one answer, times in seconds of one clock; True if it came as usual."""
        took = answered_at - asked_at
        as_usual = took <= self._allowed_s()
        self._took.append(took)
        self._answered_at, self._server_ms = answered_at, server_ms
        return as_usual

    def latest_ms(self, now: float) -> int:
        """By when the server works off what is sent now if it does not stand still, in ms of its clock."""
        return self._server_ms + round((now - self._answered_at + self._allowed_s()) * 1000)

    def _allowed_s(self) -> float:
        # By the quickest of the latest: one that stood still says nothing of the others, but over a
        # link that is always slow somebody has to reclaim as well.
        return max(self._at_least_s, 3 * min(self._took))
