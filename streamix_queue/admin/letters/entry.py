"""A dead letter as an operator sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from streamix_queue.core.dead_letter import RAW_PREFIX, Letter, read_letter
from streamix_queue.core.errors import Malformed
from streamix_queue.core.fingerprint import fingerprint
from streamix_queue.core.outcome import Reason
from streamix_queue.core.wire import TRACEPARENT, FailedAttempt, trace_id

__all__ = ["DeadLetterEntry", "read_entry"]


@dataclass(frozen=True)
class DeadLetterEntry:
    """One entry of the dead-letter stream.

    Attributes:
        id: Its id there; what `Admin.replay` takes.
        message_id: Id of the message, ``""`` if it could not be decoded.
        event: Event of the message, ``"unknown"`` if it could not be decoded.
        group: The consumer group in which it failed; ``""`` in what 0.1.0 wrote.
        consumer: The member of the group that gave it up.
        reason: Why; one of the reasons of the wire format, such as ``retries_exhausted``.
        error_type: Class of the last exception.
        error: Its text.
        traceback: Its traceback, bounded.
        retries: How many attempts came before the last one.
        attempts: The failed attempts, oldest first.
        failed_at: When it was dead-lettered, ISO 8601 text.
        source_id: Id of the entry on the stream that first held it.
        replays: How often it was replayed before it failed again.
        fields: The entry as it is in Redis, a flat sequence of names and values.
    """

    id: str
    message_id: str
    event: str
    group: str
    consumer: str
    reason: str
    error_type: str
    error: str
    retries: int
    failed_at: str
    source_id: str
    replays: int
    attempts: tuple[FailedAttempt, ...] = field(repr=False)
    traceback: str = field(repr=False)
    fields: tuple[bytes, ...] = field(repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """The same for letters that failed alike: 10 hex digits, see `Admin.fingerprints`."""
        return fingerprint(self.event, self.error_type, self.error)

    @property
    def trace_id(self) -> str:
        """The trace in which the message was published, 32 hex digits; ``""`` if there is none."""
        for name, value in zip(self.fields[::2], self.fields[1::2], strict=False):
            if name.removeprefix(RAW_PREFIX) == TRACEPARENT:
                return trace_id(value)
        return ""

    @property
    def data(self) -> dict[str, Any] | None:
        """The payload of the message; None if it could not be decoded."""
        try:
            payload: object = msgspec.json.decode(read_letter(self.fields).data.original_data)
        except (Malformed, msgspec.MsgspecError, ValueError, RecursionError):
            return None
        return payload if isinstance(payload, dict) else None


def read_entry(entry_id: bytes, fields: Sequence[bytes]) -> DeadLetterEntry:
    """The dead letter in an entry; one that is none is shown as malformed, not skipped."""
    try:
        letter = read_letter(fields)
    except Malformed as error:
        return _entry(entry_id, fields, None, str(error))
    return _entry(entry_id, fields, letter, letter.data.error)


def _entry(entry_id: bytes, fields: Sequence[bytes], letter: Letter | None, error: str) -> DeadLetterEntry:
    data = letter.data if letter else None
    return DeadLetterEntry(
        id=entry_id.decode(),
        message_id=data.original_id if data else "",
        event=(data.original_event if data else "") or "unknown",
        group=data.group if data else "",
        consumer=data.consumer if data else "",
        reason=data.reason if data else Reason.MALFORMED,
        error_type=data.error_type if data else "Malformed",
        error=error,
        retries=data.retries if data else 0,
        failed_at=(data.failed_at or letter.timestamps.created_at) if data and letter else "",
        source_id=data.source_stream_id if data else "",
        replays=data.replays if data else 0,
        attempts=tuple(data.attempts) if data else (),
        traceback=data.traceback if data else "",
        fields=tuple(fields),
    )
