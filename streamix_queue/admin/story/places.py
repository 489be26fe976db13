"""What each place tells of a message: an entry, an inbox, a delayed retry, a dead letter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streamix_queue.admin.letters.entry import DeadLetterEntry
from streamix_queue.admin.story.story import Sighting
from streamix_queue.admin.stream_entry import message_in
from streamix_queue.broker.redis.operator.groups import PendingRow
from streamix_queue.core.delayed import Delayed
from streamix_queue.core.errors import Malformed
from streamix_queue.core.redis_names import as_text
from streamix_queue.core.wire import (
    TRACEPARENT,
    Fields,
    History,
    envelope_of,
    history_of,
    trace_id,
)

__all__ = ["Telling", "dead", "delayed", "in_inbox", "of_fields", "of_letter"]


@dataclass(frozen=True)
class Telling:
    """What one place tells of the message."""

    message_id: str = ""
    event: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    retries: int | None = None
    data: dict[str, Any] | None = None
    trace_id: str = ""
    error: str | None = None


def of_fields(fields: Fields) -> tuple[Telling, History]:
    """What an entry tells; never raises for what is in it."""
    raw, extras, history = envelope_of(fields)
    trace = trace_id(dict(zip(extras[::2], extras[1::2], strict=False)).get(TRACEPARENT, b""))
    try:
        message = message_in(raw)
    except Malformed as error:
        return Telling(trace_id=trace, error=f"malformed: {error}"), history_of(history)
    times = message.timestamps
    return (
        Telling(
            message.id,
            message.event,
            times.created_at,
            times.updated_at,
            message.retries,
            message.data,
            trace,
        ),
        history_of(history),
    )


def of_letter(letter: DeadLetterEntry) -> Telling:
    """What a dead letter tells of the message that it was."""
    data = letter.data
    error = None if data is not None else "the dead letter holds no payload that can be decoded"
    event = None if letter.event == "unknown" else letter.event
    return Telling(
        letter.message_id, event, retries=letter.retries, data=data, trace_id=letter.trace_id, error=error
    )


def dead(letter: DeadLetterEntry) -> Sighting:
    """A dead letter."""
    return Sighting(
        state="dead",
        id=letter.id,
        source_id=letter.source_id,
        consumer=letter.consumer,
        reason=letter.reason,
        error_type=letter.error_type,
        error=letter.error,
        retries=letter.retries,
        replays=letter.replays,
        attempts=letter.attempts,
    )


def delayed(retry: Delayed, history: History) -> Sighting:
    """A retry that waits for its time."""
    last = retry.attempts[-1] if retry.attempts else None
    return Sighting(
        state="delayed",
        source_id=retry.source_id,
        due_ms=retry.due_ms,
        error_type=last.error_type if last else "",
        error=last.error if last else "",
        retries=retry.retries,
        replays=history.replays,
        attempts=retry.attempts,
    )


def in_inbox(
    event: str, entry_id: bytes, row: PendingRow | None, message: Telling, history: History
) -> Sighting:
    """An entry of the inbox of ``event``, which is pending if ``row`` is there."""
    last = history.attempts[-1] if history.attempts else None
    return Sighting(
        state="waiting" if row is None else "pending",
        id=entry_id.decode(),
        inbox_of=event,
        source_id=history.source_id,
        consumer="" if row is None else as_text(row.consumer),
        idle_s=None if row is None else row.idle_ms / 1000,
        deliveries=None if row is None else row.deliveries,
        error_type=last.error_type if last else "",
        error=last.error if last else "",
        retries=message.retries or 0,
        replays=history.replays,
        attempts=tuple(history.attempts),
    )
