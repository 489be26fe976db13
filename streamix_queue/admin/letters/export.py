"""A dead letter as data that JSON can carry, and back, byte for byte."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from streamix_queue.admin.letters.entry import DeadLetterEntry

__all__ = ["exported", "fields_of"]


def exported(entry: DeadLetterEntry) -> dict[str, Any]:
    """All of a letter."""
    names = iter(entry.fields)
    return {
        "id": entry.id,
        "fingerprint": entry.fingerprint,
        "group": entry.group or None,
        "event": entry.event,
        "consumer": entry.consumer or None,
        "reason": entry.reason,
        "error_type": entry.error_type or None,
        "error": entry.error,
        "traceback": entry.traceback or None,
        "retries": entry.retries,
        "replays": entry.replays,
        "failed_at": entry.failed_at or None,
        "message_id": entry.message_id or None,
        "source_id": entry.source_id or None,
        "trace_id": entry.trace_id or None,
        "attempts": [
            {
                "at": attempt.at,
                "seconds": attempt.seconds,
                "error_type": attempt.error_type,
                "error": attempt.error,
                "consumer": attempt.consumer,
            }
            for attempt in entry.attempts
        ],
        "data": entry.data,
        "fields": [[_text(name), _text(value)] for name, value in zip(names, names, strict=True)],
    }


def fields_of(letter: dict[str, Any]) -> list[bytes]:
    """The entry's names and values, flat, of a letter that `Admin.export` gave."""
    pairs: Iterable[list[Any]] = letter["fields"]
    return [_bytes(each) for pair in pairs for each in pair]


def _text(raw: bytes) -> str | dict[str, str]:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def _bytes(value: str | dict[str, str]) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])
