"""What a publish does after a try that failed. Pure, so that a thread or a coroutine can carry it out."""

from __future__ import annotations

from dataclasses import dataclass

from streamix_queue.core.errors import BrokerUnavailable, NotEnoughReplicas, PublishUnknown

__all__ = ["Again", "PublishAttempts"]

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 1.0


@dataclass(frozen=True)
class Again:
    """Try once more.

    Attributes:
        wait_s: How long to wait before that, in seconds.
        look_first: An earlier try may have been carried out, its reply lost: write only what is not
            on the stream yet, under the same message id. False: write, for Redis surely did nothing.
    """

    wait_s: float
    look_first: bool


class PublishAttempts:
    """The tries of one write. Owned by the call that makes it, and made when the first try failed.

    Args:
        deadline: No try begins later than this; in seconds of the caller's monotonic clock.
        message_id: Named in the error if the outcome stays unknown.
    """

    def __init__(self, deadline: float, message_id: str) -> None:
        self._deadline = deadline
        self._message_id = message_id
        self._failed = 0
        self._may_be_written = False

    def after(self, error: BrokerUnavailable, now: float, spread: float) -> Again:
        """What to do after a try that ended with ``error``.

        Args:
            error: What the broker raised.
            now: The caller's clock, as ``deadline``.
            spread: A random number from 0 to 1.

        Raises:
            NotEnoughReplicas: ``error`` itself; Redis wrote nothing, and a moment later has no more replicas.
            PublishUnknown: no time is left, and one of the tries may have been carried out.
            BrokerUnavailable: no time is left, and surely nothing was written.
        """
        if isinstance(error, NotEnoughReplicas):
            raise error
        self._failed += 1
        self._may_be_written = self._may_be_written or not error.nothing_done
        # Spread below the longest wait, too: publishers that failed together must not come back together.
        longest_s = min(_FIRST_WAIT_S * 2.0 ** min(self._failed - 1, 40), _LONGEST_WAIT_S)
        wait_s = longest_s * (0.5 + spread / 2)
        if now + wait_s <= self._deadline:
            return Again(wait_s, self._may_be_written)
        tried = f"{error}; tried {self._failed} times"
        if self._may_be_written:
            raise PublishUnknown(f"{tried}, the message may be in or out", self._message_id) from error
        raise BrokerUnavailable(f"{tried}, nothing was written") from error
