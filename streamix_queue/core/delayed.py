"""A retry that waits, as it is in the group's delayed set: read for people, and its dead letter."""

from __future__ import annotations

from dataclasses import dataclass, field

from streamix_queue.core.attempt import Failure, unleased
from streamix_queue.core.dead_letter import Origin, dead_letter, unreadable_member
from streamix_queue.core.entry import entry_of
from streamix_queue.core.errors import Malformed
from streamix_queue.core.outcome import Reason
from streamix_queue.core.wire import FailedAttempt, decode, envelope_of, history_of, unframe

__all__ = ["Delayed", "cancelled_letter", "read_delayed"]


@dataclass(frozen=True)
class Delayed:
    """A retry that waits for its time.

    Attributes:
        message_id: Id of the message, ``""`` if it cannot be read.
        event: Its event, ``"unknown"`` if it cannot be read.
        retries: Which retry this will be, from 1.
        due_ms: When it is due, Unix time by Redis' clock, ms.
        source_id: Id of the entry on the stream that first held it.
        attempts: The failed attempts, oldest first; at most 20 are kept.
        member: The retry as it is in Redis.
    """

    message_id: str
    event: str
    retries: int
    due_ms: int
    source_id: str
    attempts: tuple[FailedAttempt, ...] = field(repr=False)
    member: bytes = field(repr=False)


def read_delayed(member: bytes, due_ms: int) -> Delayed:
    """The retry in a member of the delayed set; one that cannot be read is shown as unknown."""
    try:
        fields = unframe(member)[1:]  # without the event
        raw, _, history_field = envelope_of(fields)
        message = decode(raw or b"")
    except Malformed:
        return Delayed("", "unknown", 0, due_ms, "", (), member)
    history = history_of(history_field)
    return Delayed(
        message.id,
        message.event,
        message.retries,
        due_ms,
        history.source_id,
        tuple(history.attempts),
        member,
    )


def cancelled_letter(retry: Delayed, origin: Origin, letter_id: str, now: str) -> list[bytes]:
    """The fields of the dead letter of a retry that an operator cancelled.

    Its reason is ``rejected``: the list of reasons is closed, and a person said no.
    """
    if not retry.message_id:
        return unreadable_member(retry.member, origin, letter_id, now)
    entry = entry_of(b"", retry.source_id.encode(), unframe(retry.member)[1:], 1, "inbox", 0.0)
    attempt = unleased(entry)
    attempt.open({})
    attempt.failure = Failure("Cancelled", f"retry {retry.retries} was cancelled by an operator")
    return dead_letter(attempt, Reason.REJECTED, origin, list(retry.attempts), letter_id, now)
