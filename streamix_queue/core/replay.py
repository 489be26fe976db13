"""A dead letter made a message again, for the group in which it failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import msgspec

from streamix_queue.core.dead_letter import RAW_PREFIX, Letter, read_letter
from streamix_queue.core.errors import InvalidMessage, InvalidMessageType, Malformed, NotReplayable
from streamix_queue.core.message import StreamMessage, Timestamps
from streamix_queue.core.outcome import Reason
from streamix_queue.core.wire import (
    HISTORY,
    MESSAGE,
    Fields,
    History,
    decode,
    encode,
    for_retry,
    fresh_envelope,
    with_history,
)

__all__ = ["Edit", "Replay", "ReplayRun", "Resend", "replay_of"]

Edit = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes a payload another one."""
_EDITED_BYTES = 1024 * 1024
"""An edited message may be as large as one that is published by default, or as it was."""


@dataclass(frozen=True)
class Replay:
    """What a replay adds to the group's inbox of the event.

    Attributes:
        group: The group in which the message failed.
        message: The message as it was published, ``retries`` 0.
        fields: The entry's fields: envelope, trace fields, history.
    """

    group: str
    message: StreamMessage
    fields: list[bytes]


class Resend:
    """The replay of one letter on its way, as an interceptor sees it. Owned by the calling thread.

    Attributes:
        fields: The letter's entry.
        previous: ``traceparent`` that the next attempt is to link to; for an interceptor to set.
        replay: What is written, None if it was refused before.
        entry_id: Id of the new entry, None if there is none.
    """

    __slots__ = ("entry_id", "fields", "previous", "replay")

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.previous = ""
        self.replay: Replay | None = None
        self.entry_id: bytes | None = None


class ReplayRun:
    """One call of `Admin.replay`, as an interceptor sees it.

    Attributes:
        count: Letters that were sent back so far.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


def replay_of(
    fields: Fields, *, group: str | None, now: str, previous: str = "", edit: Edit | None = None
) -> Replay:
    """The replay of the dead letter with these ``fields``.

    Args:
        fields: The letter's entry.
        group: Where it failed, for letters that name no group. Another one than the letter's
            own is refused: a replay is nobody else's business.
        now: ISO 8601 text.
        previous: ``traceparent`` that the next attempt is to link to.
        edit: Makes the payload another one.

    Raises:
        NotReplayable: the text says why.
    """
    try:
        letter = read_letter(fields)
    except Malformed as error:
        raise NotReplayable(f"it is no dead letter: {error}") from None
    raw = _original(letter, fields, now)
    try:
        message = decode(raw)  # what could not be handled must not take the place of what can be looked at
    except Malformed as error:
        raise NotReplayable(f"its payload cannot be read: {error}") from None
    if edit is not None:
        message, raw = _edited(message, edit, max_bytes=max(_EDITED_BYTES, len(raw)))
    data = letter.data
    if data.group and group and group != data.group:
        raise NotReplayable(f"it failed in group {data.group!r} and is never replayed to another ({group!r})")
    target = data.group or group
    if not target:
        raise NotReplayable("it names no group, as 0.1.0 wrote it: say with group= where it failed")
    history = History(data.source_stream_id, "replay", data.attempts, data.replays + 1, previous)
    return Replay(target, message, with_history(raw, _extras(fields), history))


def _edited(message: StreamMessage, edit: Edit, *, max_bytes: int) -> tuple[StreamMessage, bytes]:
    edited = StreamMessage(message.id, message.event, edit(message.data), 0, message.timestamps)
    try:
        return edited, encode(edited, max_bytes=max_bytes)
    except (InvalidMessage, InvalidMessageType) as error:
        raise NotReplayable(f"what it was made cannot be published: {error}") from None


def _original(letter: Letter, fields: Fields, now: str) -> bytes:
    data = letter.data
    if data.original_id:
        timestamps = Timestamps(_created_at(letter), now)
        return fresh_envelope(data.original_id, data.original_event, data.original_data, timestamps)
    if data.reason == Reason.TRIMMED:
        raise NotReplayable("its payload was trimmed away before it could be handled")
    kept = dict(zip(fields[::2], fields[1::2], strict=False)).get(RAW_PREFIX + MESSAGE)
    if kept is None:
        raise NotReplayable("it holds no message")
    try:
        return for_retry(kept, 0, now)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise NotReplayable(f"its message cannot be decoded: {error}"[:300]) from None


def _created_at(letter: Letter) -> str:
    """When the message was published; 0.1.0's letters only have the id of an entry that held it."""
    if letter.data.original_created_at:
        return letter.data.original_created_at
    try:
        seconds = int(letter.data.source_stream_id.partition("-")[0]) / 1000
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
    except (ValueError, OverflowError, OSError):
        return letter.timestamps.created_at


def _extras(fields: Fields) -> list[bytes]:
    """The fields beside the message, as they were published: the trace context."""
    extras: list[bytes] = []
    for name, value in zip(fields[::2], fields[1::2], strict=False):
        original = name.removeprefix(RAW_PREFIX)
        if original not in (MESSAGE, HISTORY):
            extras += (original, value)
    return extras
