"""The envelope on the wire is 0.1.0's, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamix_queue.core.errors import InvalidMessage, InvalidMessageType, MessageTooLarge
from streamix_queue.core.message import StreamMessage
from streamix_queue.core.wire import build, decode, encode, envelope_start, for_retry, new_envelope
from tests.support.json_values import (
    CREATED,
    LATER,
    MESSAGE_ID,
    Colour,
    Level,
    Name,
    envelope_of_0_1_0,
    events,
    message_with,
    payloads,
    spelled_envelopes,
)

UNLIMITED = 1 << 30


def encoded(data: dict[str, Any], **more: Any) -> bytes:
    return encode(message_with(data, **more), max_bytes=UNLIMITED)


# --- encode -------------------------------------------------------------------------------------


@given(payloads, events)
def test_the_id_alone_tells_how_an_envelope_begins(data: dict[str, Any], event: str) -> None:
    """By this a publish whose reply was lost finds its message on the stream."""
    raw = encoded(data, event=event)

    assert raw.startswith(envelope_start(MESSAGE_ID.encode()))
    assert for_retry(raw, 1, LATER).startswith(envelope_start(MESSAGE_ID.encode()))
    assert not raw.startswith(envelope_start(MESSAGE_ID.encode()[:-1]))


@given(payloads, events, st.integers(0, 1_000_000))
@example({}, "e", 0)
@example({"a": 1}, Name("subclass"), 0)
@example({"a": 1e16, "b": 1e-7, "c": -0.0, "d": 1.0, "e": 123456789.123456789, "f": 5e-324}, "e", 0)
@example({"a": 1 << 63, "b": -(1 << 63), "c": (1 << 64) + 1, "d": 10**4299 - 1, "e": 1 - 10**4299}, "e", 0)
@example({"a": Colour.GREEN, Colour.RED: Level.HIGH, "t": (1, (2.5,)), "n": None, "b": [True, False]}, "e", 0)
@example({"".join(map(chr, range(0x20))): '\x7f\x80"\\/\u2028\u2029\ufeff\uffff\U0010ffff'}, "e\n\u00e9", 0)
def test_the_envelope_is_byte_for_byte_what_0_1_0_writes(
    data: dict[str, Any], event: str, retries: int
) -> None:
    message = message_with(data, event=event, retries=retries)

    assert encode(message, max_bytes=UNLIMITED) == envelope_of_0_1_0(message)


@given(payloads, events)
def test_what_is_published_arrives_as_json_would_have_it(data: dict[str, Any], event: str) -> None:
    raw = encoded(data, event=event)

    arrived = decode(raw)

    assert repr(arrived.data) == repr(json.loads(raw)["data"]), "repr tells 1 from True and -0.0 from 0.0"
    assert (arrived.id, arrived.event) == (MESSAGE_ID, str.__str__(event))
    assert (arrived.timestamps.created_at, arrived.timestamps.updated_at) == (CREATED, LATER)
    assert encode(arrived, max_bytes=UNLIMITED) == raw, "what was read is written the same way again"


def test_a_new_message_has_never_been_tried() -> None:
    message = build("user.created", {"user_id": "123"}, MESSAGE_ID, CREATED)

    assert message == StreamMessage(MESSAGE_ID, "user.created", {"user_id": "123"}, 0, message.timestamps)
    assert message.timestamps.created_at == message.timestamps.updated_at == CREATED


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("", InvalidMessage),
        (None, InvalidMessageType),
        (b"x", InvalidMessageType),
        ("\ud800", InvalidMessage),
    ],
)
def test_an_unusable_event_is_refused(event: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^event "):
        build(event, {}, MESSAGE_ID, CREATED)


def test_the_size_limit_counts_encoded_bytes() -> None:
    message = message_with({"text": "\u00e9" * 100})  # two bytes each
    size = len(envelope_of_0_1_0(message))

    assert len(encode(message, max_bytes=size)) == size
    with pytest.raises(
        MessageTooLarge, match=rf"'user.created': {size} bytes .* max_message_bytes={size - 1}$"
    ):
        encode(message, max_bytes=size - 1)


@pytest.mark.parametrize("data", [{"a": "x\ud800"}, {"\udfff": 1}, {"a": [1.5, "\ud800"]}])
def test_a_lone_surrogate_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage, match="surrogate"):
        encoded(data)


@given(spelled_envelopes())
def test_a_new_envelope_keeps_a_payload_that_is_encoded_already(drawn: tuple[bytes, bytes]) -> None:
    message = decode(drawn[0])

    raw = new_envelope("new", message.event, msgspec.Raw(drawn[1]), message.timestamps)

    assert b'"data":' + drawn[1] + b',"retries":0,' in raw
    assert repr(decode(raw)) == repr(StreamMessage("new", message.event, message.data, 0, message.timestamps))


# --- retries ------------------------------------------------------------------------------------


@given(spelled_envelopes(), st.integers(1, 1_000_000))
def test_a_retry_leaves_the_data_byte_for_byte(drawn: tuple[bytes, bytes], retries: int) -> None:
    raw, data = drawn
    before = decode(raw)

    again = for_retry(raw, retries, "now")

    assert b'"data":' + data + b',"retries":%d,' % retries in again
    after = decode(again)
    assert (after.id, after.event, after.retries) == (before.id, before.event, retries)
    assert (after.timestamps.created_at, after.timestamps.updated_at) == (CREATED, "now")
    assert repr(after.data) == repr(before.data)


@given(payloads, events, st.integers(1, 10))
def test_a_retry_is_byte_for_byte_what_0_1_0_writes(data: dict[str, Any], event: str, retries: int) -> None:
    raw = encoded(data, event=event)
    expected = message_with(data, event=event, retries=retries)

    assert for_retry(raw, retries, LATER) == envelope_of_0_1_0(expected)
