"""Replays of dead letters: what is asked for, and the inbox entry that a letter becomes. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import msgspec

from streamix_queue.core.config import number, text
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
    new_envelope,
    with_history,
)

__all__ = ["DEFAULT_MAX_REPLAYS", "Edit", "InboxEntry", "ReplayRequest", "ReplayRun", "Resend", "inbox_entry"]

Edit = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes a payload another one."""
_EDITED_BYTES = 1024 * 1024
"""An edited message may be as large as one that is published by default, or as it was."""


DEFAULT_MAX_REPLAYS = 3


@dataclass(frozen=True)
class ReplayRequest:
    """How dead letters are to be replayed; which ones is said beside it. See `Admin.replay`.

    Attributes:
        group: Where those failed that name no group.
        limit: Of what a filter selects, the oldest so many.
        dry_run: Only tell what would be done.
        unhandled: Also replay what no member of the group is known to handle.
        rate: So many per second; None for as fast as it goes.
        max_replays: Refuse what was replayed so often before.
        edit: Makes the payload another one.
        canary: Watch the first so many before going on; 0 for none.
        canary_timeout_ms: How long they may take, ms.

    Raises:
        ConfigError: one of them is out of range.
    """

    group: str | None = None
    limit: int | None = None
    dry_run: bool = False
    unhandled: bool = False
    rate: float | None = None
    max_replays: int = DEFAULT_MAX_REPLAYS
    edit: Edit | None = None
    canary: int = 0
    canary_timeout_ms: int = 60_000

    def __post_init__(self) -> None:
        if self.limit is not None:
            number("limit", self.limit, 0, 2**53)
        if self.group is not None:
            text("group", self.group)
        if self.rate is not None:
            number("rate", self.rate, 0.001, 1_000_000, unit="per second", whole=False)
        number("max_replays", self.max_replays, 1, 2**53)
        number("canary", self.canary, 0, 1000)
        number("canary_timeout_ms", self.canary_timeout_ms, 1, 86_400_000, unit="ms")


@dataclass(frozen=True)
class InboxEntry:
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
        inbox_entry: What was written, None if nothing was.
        entry_id: Id of the new entry, None if there is none.
    """

    __slots__ = ("entry_id", "fields", "inbox_entry", "previous")

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.previous = ""
        self.inbox_entry: InboxEntry | None = None
        self.entry_id: bytes | None = None


class ReplayRun:
    """One call of `Admin.replay`, as an interceptor sees it.

    Attributes:
        count: Letters that were sent back so far.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


def inbox_entry(
    fields: Fields, *, group: str | None, now: str, previous: str = "", edit: Edit | None = None
) -> InboxEntry:
    """What the dead letter with these ``fields`` becomes.

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
    return InboxEntry(target, message, with_history(raw, _extras(fields), history))


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
        return new_envelope(data.original_id, data.original_event, data.original_data, timestamps)
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
