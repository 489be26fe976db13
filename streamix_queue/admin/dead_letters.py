"""A dead letter as an operator sees it, and which of them are meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any

import msgspec

from streamix_queue.core.dead_letter import RAW_PREFIX, Letter, read_letter
from streamix_queue.core.errors import ConfigError, Malformed
from streamix_queue.core.fingerprint import fingerprint
from streamix_queue.core.outcome import Reason
from streamix_queue.core.wire import TRACEPARENT, FailedAttempt

__all__ = ["DeadLetterEntry", "DeadLetterFilter", "read_entry"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FINGERPRINT = re.compile(r"[0-9a-f]{10}\Z")


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
                parts = value.decode(errors="replace").split("-")
                return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else ""
        return ""

    @property
    def data(self) -> dict[str, Any] | None:
        """The payload of the message; None if it could not be decoded."""
        try:
            payload: object = msgspec.json.decode(read_letter(self.fields).data.original_data)
        except (Malformed, msgspec.MsgspecError, ValueError, RecursionError):
            return None
        return payload if isinstance(payload, dict) else None


@dataclass(frozen=True)
class DeadLetterFilter:
    """Which dead letters; without arguments all of them.

    Attributes:
        group: Those of this consumer group; ``""`` for those that name none (0.1.0's).
        event: Those of this event.
        reason: Those with this reason.
        fingerprint: Those that failed in this way, see `Admin.fingerprints`.
        failed_after: Those that were written at this moment or later, by Redis' clock.
        failed_before: Those that were written before it.

    Raises:
        ConfigError: there is no such reason, no such fingerprint, or a moment lacks a time zone.
    """

    group: str | None = None
    event: str | None = None
    reason: str | None = None
    fingerprint: str | None = None
    failed_after: datetime | None = None
    failed_before: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("failed_after", "failed_before"):
            moment = getattr(self, name)
            if moment is not None and (not isinstance(moment, datetime) or moment.tzinfo is None):
                raise ConfigError(f"{name}={moment!r}: expected a datetime with a time zone")
        if self.fingerprint is not None and not _FINGERPRINT.match(self.fingerprint):
            raise ConfigError(f"fingerprint={self.fingerprint!r}: expected 10 hex digits, as stats show them")
        if self.reason is not None and self.reason not in Reason.ALL:
            raise ConfigError(f"reason={self.reason!r}: expected one of {', '.join(Reason.ALL)}")

    def matches(self, entry: DeadLetterEntry) -> bool:
        """Whether ``entry`` is one of them."""
        milliseconds, end_ms = int(entry.id.partition("-")[0]), self.end_ms()
        return (
            self.group in (None, entry.group)
            and self.event in (None, entry.event)
            and self.reason in (None, entry.reason)
            and self.first_ms() <= milliseconds
            and (end_ms is None or milliseconds < end_ms)
            and (self.fingerprint is None or self.fingerprint == entry.fingerprint)
        )

    def first_ms(self) -> int:
        """The earliest moment that is meant, ms since 1970; ids of entries begin with theirs."""
        return 0 if self.failed_after is None else max(0, _ceil_ms(self.failed_after))

    def end_ms(self) -> int | None:
        """The first moment that is not meant any more; None if there is no end."""
        return None if self.failed_before is None else max(0, _ceil_ms(self.failed_before))


def _ceil_ms(moment: datetime) -> int:
    return -((_EPOCH - moment) // timedelta(milliseconds=1))


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
