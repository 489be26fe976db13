"""How long to wait before the next attempt."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Backoff"]


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with jitter and a cap: ``base · 2^n``, at most ``maximum``.

    Attributes:
        base_ms: Wait after the first failure, ms.
        maximum_ms: Longest wait, ms, jitter included.
        jitter: Share by which a wait is spread either way, 0 to 1, so that what failed
            together does not come back together.
    """

    base_ms: int
    maximum_ms: int
    jitter: float

    def delay_ms(self, failures: int, spread: float) -> int:
        """The wait in ms after ``failures`` (≥ 1) failed attempts.

        Args:
            failures: Failed attempts so far.
            spread: A random number from 0 to 1, given by the caller.
        """
        # Beyond 2^40 ms (35 years) the cap has long decided; a huge power would only cost time.
        wait = self.base_ms * 2.0 ** min(failures - 1, 40)
        capped = min(wait, self.maximum_ms)
        return int(min(capped * (1 + self.jitter * (2 * spread - 1)), self.maximum_ms))
