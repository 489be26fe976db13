"""What `streamix publish` reads: lines as they come, and the message that is in each."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from streamix_queue.core.errors import InvalidMessage, InvalidMessageType
from streamix_queue.core.wire import build, encode

__all__ = ["BadInput", "Item", "Line", "NoInputYet", "items", "lines", "message_in"]

_CHUNK = 65_536
_MAX_LINE = 16 * 1024 * 1024
"""Far above what a message may hold, so that the message's own limit is what people run into."""
_SAMPLE_ID = "00000000-0000-4000-8000-000000000000"
_SAMPLE_TIME = "2026-01-01T00:00:00.000000+00:00"


class BadInput(Exception):
    """Cannot be published; the text says why."""


@dataclass(frozen=True)
class Line:
    """A line and its number, from 1. ``text`` is None if it was too long to be kept."""

    number: int
    text: bytes | None


class NoInputYet:
    """No more input is there yet: what was read is to be published without waiting for it."""


@dataclass(frozen=True)
class Item:
    """A message to publish, or why it cannot be (``problem``), and the line it stands on."""

    number: int
    event: str = ""
    data: dict[str, Any] | None = None
    problem: str = ""


def lines(descriptor: int) -> Iterator[Line | NoInputYet]:
    """The lines of a file or pipe, also the last one if it does not end; empty ones are counted."""
    number, size = 1, 0
    kept: list[bytes] = []
    while True:
        if not select.select([descriptor], [], [], 0)[0]:
            yield NoInputYet()
        chunk = os.read(descriptor, _CHUNK)
        parts = chunk.split(b"\n") if chunk else [b"", b""] if size else [b""]
        for index, part in enumerate(parts):
            if index:
                yield Line(number, b"".join(kept) if size <= _MAX_LINE else None)
                number, kept, size = number + 1, [], 0
            size += len(part)
            if size <= _MAX_LINE:
                kept.append(part)
        if not chunk:
            return


def items(
    found: Iterator[Line | NoInputYet], event: str | None, max_bytes: int
) -> Iterator[Item | NoInputYet]:
    """The message on each line that is not empty."""
    for line in found:
        if isinstance(line, NoInputYet):
            yield line
        elif line.text is None:
            yield Item(line.number, problem=f"longer than {_MAX_LINE} bytes")
        elif line.text.strip():
            try:
                name, data = message_in(line.text, event, max_bytes)
            except BadInput as error:
                yield Item(line.number, problem=str(error))
            else:
                yield Item(line.number, name, data)


def message_in(text: bytes, event: str | None, max_bytes: int) -> tuple[str, dict[str, Any]]:
    """The event and the payload in JSON text; without ``event`` it has to name its own.

    Raises:
        BadInput: it cannot be published.
    """
    try:
        value: object = msgspec.json.decode(text)
    except RecursionError:
        raise BadInput("nested too deep") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadInput(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadInput(f"expected a JSON object, not {_kind(value)}")
    if event is None:
        if value.keys() != {"event", "data"}:
            raise BadInput('expected {"event": ..., "data": {...}}, because no EVENT is given')
        event, value = value["event"], value["data"]
    try:
        # Here and not only where it is published: there it would no longer be known which line it is.
        encode(build(event, value, _SAMPLE_ID, _SAMPLE_TIME), max_bytes=max_bytes)  # type: ignore[arg-type]
    except (InvalidMessage, InvalidMessageType) as error:
        raise BadInput(str(error)) from None
    return event, value  # type: ignore[return-value]


def _kind(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
