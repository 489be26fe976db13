"""The wire: message ⇄ bytes ⇄ the fields of a stream entry. Owns the field names.

The envelope in field ``message`` is byte for byte what 0.1.0 writes. Everything else lives in
fields beside it, which 0.1.0 ignores: ``traceparent``, ``tracestate``, ``baggage`` and, on the
group's own streams and among dead letters only, ``streamix`` (the `History` of the message) and
``streamix.overflow`` (a `frame` of the fields that a script could not pass on one by one). Scripts
are given the names that they need. Only `dead_letter` makes more: ``raw.`` and a name, of an entry that
is kept whole because it cannot be decoded.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, cast

import msgspec

from streamix_queue.core.errors import Malformed, MessageTooLarge
from streamix_queue.core.message import StreamMessage, Timestamps
from streamix_queue.core.payload import MAX_DEPTH, check_data, check_event, encode_json

__all__ = [
    "BAGGAGE",
    "HISTORY",
    "MESSAGE",
    "OVERFLOW",
    "TRACEPARENT",
    "TRACESTATE",
    "FailedAttempt",
    "Fields",
    "History",
    "build",
    "carrier_fields",
    "decode",
    "decode_held",
    "encode",
    "envelope_of",
    "envelope_start",
    "for_retry",
    "frame",
    "history_of",
    "new_envelope",
    "outline",
    "trace_id",
    "unframe",
    "with_history",
]

MESSAGE = b"message"
TRACEPARENT = b"traceparent"
TRACESTATE = b"tracestate"
BAGGAGE = b"baggage"
HISTORY = b"streamix"
OVERFLOW = b"streamix.overflow"
_OWN_FIELDS = frozenset({MESSAGE, HISTORY})

Fields = Sequence[bytes]
"""The fields of an entry as Redis sends them: a flat ``[name, value, name, value, …]``."""

_MAX_ATTEMPTS_KEPT = 20
_pack_length = struct.Struct(">I").pack
_unpack_length = struct.Struct(">I").unpack_from


class FailedAttempt(msgspec.Struct, omit_defaults=True):
    """One failed attempt, as the dead letter shows it."""

    at: str
    seconds: float
    error_type: str
    error: str = ""
    consumer: str = ""


class History(msgspec.Struct, omit_defaults=True):
    """What happened to a message in this group before; kept beside it, never inside it.

    Attributes:
        source_id: Id of the entry on the shared stream that it came from.
        cause: Why it is on the group's own stream: ``retry``, ``handover`` or ``replay``.
        attempts: The failed attempts, oldest first; the newest 20 are kept.
        replays: How often an operator replayed it.
        previous: ``traceparent`` of the last attempt's span, so that the next can link to it.
    """

    source_id: str = ""
    cause: str = ""
    attempts: list[FailedAttempt] = []
    replays: int = 0
    previous: str = ""

    def after(self, attempt: FailedAttempt, *, cause: str, previous: str = "") -> History:
        """A copy with one more attempt."""
        attempts = [*self.attempts, attempt][-_MAX_ATTEMPTS_KEPT:]
        return History(self.source_id, cause, attempts, self.replays, previous)


class _RawEnvelope(msgspec.Struct):
    """The envelope with its payload left as bytes, so that a retry cannot change a comma of it."""

    id: str
    event: str
    data: msgspec.Raw
    retries: int
    timestamps: Timestamps


class _Held(StreamMessage, gc=False):
    """A message among the thousands that a consumer holds: the garbage collector need not visit them.

    It is in no cycle, since handlers get a copy: see `Executor`.
    """


_decode_message = msgspec.json.Decoder(StreamMessage).decode
_decode_held = msgspec.json.Decoder(_Held).decode
_decode_raw = msgspec.json.Decoder(_RawEnvelope).decode
_decode_history = msgspec.json.Decoder(History).decode
_encode = msgspec.json.Encoder().encode

# UnicodeDecodeError is a ValueError; RecursionError is what deep nesting gives.
_UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)


def build(event: str, data: dict[str, Any], message_id: str, now: str) -> StreamMessage:
    """A new message; ``now`` is ISO 8601 text. Raises as `check_event` does."""
    return StreamMessage(message_id, check_event(event), data, 0, Timestamps(now, now))


def encode(message: StreamMessage, *, max_bytes: int) -> bytes:
    """The envelope of ``message``, byte for byte as 0.1.0 writes it.

    Raises:
        InvalidMessage, InvalidMessageType: the data is not JSON; the text names the path.
        MessageTooLarge: more than ``max_bytes`` encoded bytes.
    """
    # msgspec does not know a subclass of str, which 0.1.0 took for an event.
    fast = check_data(message.data) and type(message.event) is str
    raw = encode_json(message if fast else message.to_dict(), fast=fast)
    if len(raw) > max_bytes:
        raise MessageTooLarge(
            f"event {message.event!r}: {len(raw)} bytes encoded, more than max_message_bytes={max_bytes}"
        )
    return raw


def decode(raw: bytes) -> StreamMessage:
    """The message in an envelope.

    Raises:
        Malformed: not JSON (NaN, bad UTF-8 and lone surrogates included), not the envelope, or
            nested deeper than `MAX_DEPTH`. Of a key that occurs twice the last one counts, as
            in ``json.loads``.
    """
    return _decoded(raw, _decode_message)


def decode_held(raw: bytes) -> StreamMessage:
    """The same for an `Attempt`, and for no user's hands: see `_Held`. Raises as `decode`."""
    return _decoded(raw, _decode_held)


def _decoded(raw: bytes, decoder: Callable[[bytes], StreamMessage]) -> StreamMessage:
    # Counting is cheap and almost always settles it; only then is the depth itself measured.
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _depth(raw) > MAX_DEPTH + 1:
        raise Malformed(f"nested deeper than {MAX_DEPTH} levels")
    try:
        return decoder(raw)
    except _UNDECODABLE as error:
        raise Malformed(f"{type(error).__name__}: {error}"[:300]) from None


_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_STRING = re.compile(rb'"[^"]*"?')  # without escapes; an unfinished one cannot make it slow
_ALL_BUT_STRUCTURE = bytes(set(range(256)) - set(b'"{}[]'))
_STEP = [(byte in b"{[") - (byte in b"}]") for byte in range(256)]


def _depth(raw: bytes) -> int:
    """Nesting of JSON. A loop over the bytes would take thirty times as long as decoding them."""
    if b"\\" in raw:
        raw = _ESCAPE.sub(b"", raw)
    brackets = _STRING.sub(b"", raw.translate(None, _ALL_BUT_STRUCTURE))
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def for_retry(raw: bytes, retries: int, now: str) -> bytes:
    """The same envelope with ``retries`` and ``updated_at`` moved on; the data byte for byte."""
    envelope = _decode_raw(raw)
    envelope.retries = retries
    envelope.timestamps.updated_at = now
    return _encode(envelope)


def new_envelope(message_id: str, event: str, data: msgspec.Raw, timestamps: Timestamps) -> bytes:
    """An envelope with no retries around a payload that is encoded already, kept byte for byte."""
    return _encode(_RawEnvelope(message_id, event, data, 0, timestamps))


def carrier_fields(carrier: Mapping[str, str]) -> list[bytes]:
    """The fields that an interceptor asked for, flat.

    What UTF-8 cannot carry is left out, and so is what is named like a field of ours: a trace context
    that does not fit must not keep a message from being sent.
    """
    fields: list[bytes] = []
    for name, value in carrier.items():
        try:
            pair = (name.encode(), value.encode())
        except (AttributeError, UnicodeEncodeError):
            continue
        if pair[0] not in _OWN_FIELDS:
            fields += pair
    return fields


def envelope_of(fields: Fields) -> tuple[bytes | None, tuple[bytes, ...], bytes | None]:
    """Split an entry's fields into (envelope, fields to carry along unchanged, history).

    The envelope is None when the entry has no ``message`` field.
    """
    if len(fields) == 2 and fields[0] == MESSAGE:
        return fields[1], (), None
    raw: bytes | None = None
    history: bytes | None = None
    extras: list[bytes] = []
    for name, value in zip(fields[::2], fields[1::2], strict=False):
        if name == MESSAGE:
            raw = value
        elif name == HISTORY:
            history = value
        else:
            extras += (name, value)
    return raw, tuple(extras), history


def trace_id(traceparent: bytes) -> str:
    """The trace id in a ``traceparent``, 32 hex digits; ``""`` if there is none."""
    parts = traceparent.decode(errors="replace").split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else ""


def history_of(raw: bytes | None) -> History:
    """Decode a ``streamix`` field; one that is not ours counts as absent."""
    if raw is None:
        return History()
    try:
        return _decode_history(raw)
    except _UNDECODABLE:
        return History()


def envelope_start(message_id: bytes) -> bytes:
    """How the envelope of a message with this id begins: told by the id, without decoding it."""
    return b'{"id":"' + message_id + b'"'


def with_history(raw: bytes, extras: Fields, history: History) -> list[bytes]:
    """The fields of an entry on one of the group's own streams.

    Ours come first: of thousands of fields the broker folds the last ones into one.
    """
    return [MESSAGE, raw, HISTORY, _encode(history), *extras]


def frame(parts: Sequence[bytes]) -> bytes:
    """Pack byte strings into one: each as a 4-byte big-endian length and its bytes.

    Lua reads it back with ``struct.unpack('>I4c0')`` on every server, which holds for no richer
    format: cmsgpack there does not know binary strings.
    """
    return b"".join([piece for part in parts for piece in (_pack_length(len(part)), part)])


def unframe(framed: bytes) -> list[bytes]:
    """The byte strings in a frame.

    Raises:
        Malformed: not a frame.
    """
    return [framed[start:end] for start, end in _spans(framed)]


def outline(framed: bytes) -> tuple[bytes, int]:
    """The first byte string in a frame and how many there are: what can be had without copying the rest.

    Raises:
        Malformed: not a frame, or an empty one.
    """
    spans = _spans(framed)
    if not spans:
        raise Malformed("a frame without parts")
    start, end = spans[0]
    return framed[start:end], len(spans)


def _spans(framed: bytes) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    position, end = 0, len(framed)
    while position < end:
        if position + 4 > end:
            raise Malformed("a frame ends inside a length")
        (length,) = cast("tuple[int]", _unpack_length(framed, position))
        position += 4
        if position + length > end:
            raise Malformed("a frame ends inside a part")
        spans.append((position, position + length))
        position += length
    return spans
