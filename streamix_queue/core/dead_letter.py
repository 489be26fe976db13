"""What a dead letter holds: 0.1.0's keys, and what an operator wants to know beside them."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from streamix_queue.core.attempt import Attempt
from streamix_queue.core.errors import Malformed
from streamix_queue.core.message import Timestamps
from streamix_queue.core.outcome import Reason
from streamix_queue.core.wire import MESSAGE, FailedAttempt, Fields, history_of

__all__ = [
    "RAW_PREFIX",
    "Letter",
    "Origin",
    "dead_letter",
    "read_letter",
    "trimmed_letter",
    "unreadable_member",
]

RAW_PREFIX = b"raw."
"""Before the names of the fields of an entry that could not be decoded: they are kept whole,
byte for byte, beside a readable envelope."""

_UNKNOWN_EVENT = "unknown"
_encode = msgspec.json.Encoder().encode
_NO_DATA = msgspec.Raw(b"null")


@dataclass(frozen=True)
class Origin:
    """Who writes dead letters."""

    stream: str
    group: str
    consumer: str


class LetterData(msgspec.Struct):
    """``data`` of a dead letter. The first six keys are 0.1.0's, whose letters lack the others."""

    original_id: str
    original_event: str
    original_data: msgspec.Raw
    source_stream_id: str
    retries: int
    error: str
    group: str = ""
    consumer: str = ""
    reason: str = Reason.RETRIES_EXHAUSTED
    error_type: str = ""
    traceback: str = ""
    failed_at: str = ""
    attempts: list[FailedAttempt] = []
    replays: int = 0
    original_created_at: str = ""


class Letter(msgspec.Struct):
    """The envelope of a dead letter."""

    id: str
    event: str
    data: LetterData
    retries: int
    timestamps: Timestamps


class _RawData(msgspec.Struct):
    data: msgspec.Raw


_raw_data = msgspec.json.Decoder(_RawData).decode
_decode_letter = msgspec.json.Decoder(Letter).decode


def dead_letter(
    attempt: Attempt,
    reason: str,
    origin: Origin,
    attempts: list[FailedAttempt],
    letter_id: str,
    now: str,
) -> list[bytes]:
    """The fields of the dead letter of a message.

    Args:
        attempt: The last one at it; its ``failure`` tells the error. Without a message, because it
            was not opened or could not be decoded, the fields of the entry are kept whole.
        reason: One of `Reason.ALL`.
        origin: Who writes it.
        attempts: The failed attempts, oldest first.
        letter_id: A new UUID: a dead letter is a message of its own.
        now: ISO 8601 text.
    """
    entry, failure, message, raw = attempt.entry, attempt.failure, attempt.message, attempt.raw
    history = history_of(attempt.history)
    data = LetterData(
        original_id=message.id if message else "",
        original_event=message.event if message else "",
        original_data=_raw_data(raw).data if message and raw else _NO_DATA,
        source_stream_id=history.source_id or entry.id.decode(),
        retries=message.retries if message else 0,
        error=failure.error if failure else "",
        group=origin.group,
        consumer=origin.consumer,
        reason=reason,
        error_type=failure.error_type if failure else "",
        traceback=failure.traceback if failure else "",
        failed_at=now,
        attempts=attempts,
        replays=history.replays,
        original_created_at=message.timestamps.created_at if message else "",
    )
    fields = _fields(data, letter_id, now)
    if message is None:
        kept = entry.all_fields
        for name, value in zip(kept[::2], kept[1::2], strict=False):
            fields += (RAW_PREFIX + name, value)
        return fields
    return [*fields, *attempt.extras]


def trimmed_letter(entry_id: bytes, origin: Origin, letter_id: str, now: str) -> list[bytes]:
    """The marker for a pending entry whose payload somebody trimmed away: the message is lost."""
    error = "the entry was trimmed or deleted from the stream while it was pending"
    return _fields(_without_message(Reason.TRIMMED, error, entry_id, origin, now), letter_id, now)


def unreadable_member(member: bytes, origin: Origin, letter_id: str, now: str) -> list[bytes]:
    """The dead letter of a member of the delayed set that is none of ours."""
    data = _without_message(
        Reason.MALFORMED, "a member of the delayed set could not be read", b"", origin, now
    )
    return [*_fields(data, letter_id, now), RAW_PREFIX + b"member", member]


def _without_message(reason: str, error: str, entry_id: bytes, origin: Origin, now: str) -> LetterData:
    """What can be told of an entry of which no message is at hand."""
    return LetterData(
        original_id="",
        original_event="",
        original_data=_NO_DATA,
        source_stream_id=entry_id.decode(),
        retries=0,
        error=error,
        group=origin.group,
        consumer=origin.consumer,
        reason=reason,
        failed_at=now,
    )


def _fields(data: LetterData, letter_id: str, now: str) -> list[bytes]:
    event = data.original_event or _UNKNOWN_EVENT
    letter = Letter(letter_id, event, data, data.retries, Timestamps(now, now))
    return [MESSAGE, _encode(letter)]


def read_letter(fields: Fields) -> Letter:
    """The letter in a dead-letter entry, ours or 0.1.0's.

    Raises:
        Malformed: no letter.
    """
    for name, value in zip(fields[::2], fields[1::2], strict=False):
        if name == MESSAGE:
            try:
                return _decode_letter(value)
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                raise Malformed(f"{type(error).__name__}: {error}"[:300]) from None
    raise Malformed("the entry has no field 'message'")
