"""An entry of the stream as an operator sees it, whatever is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streamix_queue.broker.protocol import Entry
from streamix_queue.core.errors import Malformed
from streamix_queue.core.message import StreamMessage
from streamix_queue.core.redis_names import as_text
from streamix_queue.core.wire import TRACEPARENT, decode, envelope_of

__all__ = ["StreamEntry", "message_in", "read_stream_entry"]


@dataclass(frozen=True)
class StreamEntry:
    """An entry of the stream.

    Attributes:
        id: Its id.
        event: Its event; None if it cannot be decoded, as the three below.
        message_id: Id of the message.
        data: The payload.
        created_at: When it was published, as the publisher said.
        traceparent: Its trace, None if there is none.
        error: Why it cannot be decoded; None if it can.
    """

    id: str
    event: str | None
    message_id: str | None
    data: dict[str, Any] | None
    created_at: str | None
    traceparent: str | None
    error: str | None = None


def message_in(raw: bytes | None) -> StreamMessage:
    """The message of an entry. Raises `Malformed`, also for an entry without an envelope (None)."""
    if raw is None:
        raise Malformed("the entry has no field 'message'")
    return decode(raw)


def read_stream_entry(entry: Entry) -> StreamEntry:
    """Read an entry; never raises for what is in it."""
    entry_id, fields = entry[0].decode(), entry[1] or ()
    raw, extras, _ = envelope_of(fields)
    beside = dict(zip(extras[::2], extras[1::2], strict=True))
    trace = as_text(beside[TRACEPARENT]) if TRACEPARENT in beside else None
    try:
        message = message_in(raw)
    except Malformed as error:
        return StreamEntry(entry_id, None, None, None, None, trace, f"malformed: {error}")
    created = message.timestamps.created_at
    return StreamEntry(entry_id, message.event, message.id, message.data, created, trace)
