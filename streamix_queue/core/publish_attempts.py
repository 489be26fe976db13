"""What a publish does after a try that failed. Pure, so that a thread or a coroutine can carry it out."""

from __future__ import annotations

from dataclasses import dataclass

from streamix_queue.core.backoff import Backoff
from streamix_queue.core.errors import BrokerUnavailable, NotEnoughReplicas, PublishUnknown

__all__ = ["Again", "PublishAttempts"]

_BACKOFF = Backoff(base_ms=75, maximum_ms=1000, jitter=1 / 3)


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
        wait_s = _BACKOFF.delay_ms(self._failed, spread) / 1000
        if now + wait_s <= self._deadline:
            return Again(wait_s, self._may_be_written)
        tried = f"{error}; tried {self._failed} times"
        if self._may_be_written:
            raise PublishUnknown(f"{tried}, the message may be in or out", self._message_id) from error
        raise BrokerUnavailable(f"{tried}, nothing was written") from error
