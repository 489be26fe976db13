"""How an attempt ends: one value for every ending, and the policy that picks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from streamix_queue.core.backoff import Backoff
from streamix_queue.core.errors import HandlerTimeout, Reject, Retry

__all__ = [
    "ACK",
    "DROPPED",
    "HAND_BACK",
    "HAND_OVER",
    "PARK",
    "Ack",
    "DeadLetter",
    "Dropped",
    "HandBack",
    "HandOver",
    "Outcome",
    "Park",
    "Policy",
    "Reason",
    "RetryLater",
    "decide",
]


class Reason:
    """Why a message is in the dead-letter stream (the closed list of the wire format)."""

    RETRIES_EXHAUSTED: Final = "retries_exhausted"
    REJECTED: Final = "rejected"
    INVALID: Final = "invalid"
    MALFORMED: Final = "malformed"
    CRASH: Final = "crash"
    TIMEOUT: Final = "timeout"
    TRIMMED: Final = "trimmed"

    ALL: Final = (RETRIES_EXHAUSTED, REJECTED, INVALID, MALFORMED, CRASH, TIMEOUT, TRIMMED)


@dataclass(frozen=True, slots=True)
class Ack:
    """Handled."""

    name: str = "ack"


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Failed, and will be tried again after ``delay_ms``."""

    delay_ms: int
    name: str = "retry"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Will not be tried again."""

    reason: str
    name: str = "dead_letter"


@dataclass(frozen=True, slots=True)
class HandOver:
    """No handler here: to the member of the group that has one."""

    name: str = "hand_over"


@dataclass(frozen=True, slots=True)
class Dropped:
    """It was to be handed over, and nobody in the group handles its event: acked."""

    name: str = "drop"


@dataclass(frozen=True, slots=True)
class Park:
    """Its event is saturated here, or paused: back to the event's inbox."""

    name: str = "park"


@dataclass(frozen=True, slots=True)
class HandBack:
    """Never started, or its worker crashed: handed back at once, without counting an attempt."""

    name: str = "hand_back"


Outcome = Ack | RetryLater | DeadLetter | HandOver | Dropped | Park | HandBack

ACK: Final = Ack()
DROPPED: Final = Dropped()
HAND_OVER: Final = HandOver()
PARK: Final = Park()
HAND_BACK: Final = HandBack()


@dataclass(frozen=True)
class Policy:
    """What to do about failures of one event.

    Attributes:
        retry_limit: Attempts after the first one; 3 means 1 + 3, as in 0.1.0.
        backoff: The wait before each of them.
    """

    retry_limit: int
    backoff: Backoff


def decide(policy: Policy, retries: int, error: BaseException, spread: float) -> Outcome:
    """The outcome of an attempt that raised ``error``.

    Args:
        policy: The event's.
        retries: Attempts that failed before this one.
        error: What the handler raised; `SystemExit` and its like are failures too.
        spread: A random number from 0 to 1 for the jitter.
    """
    if isinstance(error, Reject):
        return DeadLetter(Reason.REJECTED)
    if retries >= policy.retry_limit:
        timed_out = isinstance(error, HandlerTimeout)
        return DeadLetter(Reason.TIMEOUT if timed_out else Reason.RETRIES_EXHAUSTED)
    if isinstance(error, Retry) and error.after is not None:
        return RetryLater(round(error.after * 1000))
    return RetryLater(policy.backoff.delay_ms(retries + 1, spread))
