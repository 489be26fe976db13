"""Decoding is total: bytes give a message or `Malformed`, whatever they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamix_queue.core.errors import Malformed
from streamix_queue.core.message import StreamMessage
from streamix_queue.core.wire import decode, for_retry
from tests.support.json_values import CREATED, MESSAGE_ID, payloads, spelled_envelopes
from tests.support.refusals import refusal

VALID = {
    "id": MESSAGE_ID,
    "event": "user.created",
    "data": {"user_id": "123"},
    "retries": 0,
    "timestamps": {"created_at": CREATED, "updated_at": CREATED},
}
STRUCTURE = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b",",
    b":",
    b"\\u",
    b"null",
    b"-",
    b"1e999",
    b"\xff",
    b"\x00",
]


def enveloped(**changes: Any) -> bytes:
    return json.dumps({**VALID, **changes}).encode()


def without(key: str) -> bytes:
    return json.dumps({k: v for k, v in VALID.items() if k != key}).encode()


def is_a_message_or_malformed(raw: bytes) -> bool:
    """True if it is a message, and then a sound one; any error but `Malformed` goes through."""
    text = refusal(Malformed, decode, raw)
    if text is not None:
        assert 0 < len(text) <= 300
        return False
    message = decode(raw)
    assert type(message) is StreamMessage
    assert message.id
    assert message.event
    assert type(message.data) is dict
    assert type(message.retries) is int
    assert message.retries >= 0
    assert isinstance(message.timestamps.created_at, str)
    assert isinstance(message.timestamps.updated_at, str)
    # What can be read can be tried again, and is read the same the next time.
    again = decode(for_retry(raw, message.retries + 1, "now"))
    assert (again.id, again.event, again.retries) == (message.id, message.event, message.retries + 1)
    assert repr(again.data) == repr(message.data)
    return True


# --- everything -----------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_a_message_or_malformed(raw: bytes) -> None:
    is_a_message_or_malformed(raw)


_edits = st.lists(
    st.tuples(
        st.sampled_from(["delete", "insert", "replace", "repeat", "cut"]),
        st.floats(0, 1),
        st.integers(1, 8),
        st.one_of(st.sampled_from(STRUCTURE), st.binary(min_size=1, max_size=2)),
    ),
    min_size=1,
    max_size=4,
)


def edited(raw: bytes, edits: list[tuple[str, float, int, bytes]]) -> bytes:
    for kind, where, length, piece in edits:
        start = int(where * len(raw))
        end = start + length
        middle = {
            "delete": b"",
            "insert": piece + raw[start:end],
            "replace": piece,
            "repeat": raw[start:end] * 2,
            "cut": b"",
        }[kind]
        raw = raw[:start] + middle + (b"" if kind == "cut" else raw[end:])
    return raw


@given(spelled_envelopes(), _edits)
def test_a_damaged_envelope_is_a_message_or_malformed(
    drawn: tuple[bytes, bytes], edits: list[tuple[str, float, int, bytes]]
) -> None:
    is_a_message_or_malformed(edited(drawn[0], edits))


_anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
_members = {key: st.one_of(st.just(value), _anything) for key, value in VALID.items()}


@given(st.fixed_dictionaries({}, optional=_members))
def test_an_envelope_with_values_of_any_type_is_a_message_or_malformed(envelope: dict[str, Any]) -> None:
    is_a_message_or_malformed(json.dumps(envelope).encode())


@given(payloads)
def test_every_payload_of_0_1_0_is_read(data: dict[str, Any]) -> None:
    raw = json.dumps({**VALID, "data": data}, separators=(",", ":"), ensure_ascii=False).encode()

    assert is_a_message_or_malformed(raw)
    assert repr(decode(raw).data) == repr(json.loads(raw)["data"])


# --- what is a message, and what is not --------------------------------------------------------------


def test_a_field_that_we_do_not_know_is_passed_over() -> None:
    assert decode(enveloped(later_addition={"x": [1, {"y": None}]})) == decode(enveloped())


@pytest.mark.parametrize("member", ["id", "event", "data", "retries", "timestamps"])
def test_an_envelope_without_one_of_its_members_is_malformed(member: str) -> None:
    with pytest.raises(Malformed, match=member):
        decode(without(member))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": 7},
        {"id": None},
        {"event": ""},
        {"event": ["user.created"]},
        {"data": None},
        {"data": [1, 2]},
        {"data": "{}"},
        {"retries": -1},
        {"retries": "1"},
        {"retries": 1.5},
        {"retries": True},
        {"retries": None},
        {"timestamps": None},
        {"timestamps": {"created_at": CREATED}},
        {"timestamps": {"created_at": CREATED, "updated_at": 1713982500}},
        {"data": {"a": float("nan")}},
        {"data": {"a": float("inf")}},
        {"data": {"a": "\ud800"}},
    ],
    ids=repr,
)
def test_a_member_of_the_wrong_kind_is_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        decode(enveloped(**changes))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{not json",
        enveloped()[:-1],
        enveloped() + b"x",
        b"\xef\xbb\xbf" + enveloped(),
        enveloped().replace(b"123", b"\xff"),
        enveloped().replace(b"123", b"\xed\xa0\x80"),
        enveloped().replace(b"123", b"\x00"),
        enveloped().replace(b'"123"', b"1e999"),
        enveloped().replace(b'"123"', b"1" * 5000),
        enveloped().replace(b'"', b"'"),
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_what_is_no_envelope_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        decode(raw)


def test_of_a_key_that_occurs_twice_the_last_one_counts() -> None:
    raw = enveloped()[:-1] + b', "data": {"user_id": "456", "user_id": "789"}, "event": "other"}'

    message = decode(raw)

    assert (message.event, message.data) == ("other", {"user_id": "789"})
    assert b'"data":{"user_id": "456", "user_id": "789"},' in for_retry(raw, 1, "now")


@given(st.integers(-(10**40), 10**40), st.floats(allow_nan=False, allow_infinity=False))
@example(1 << 63, -0.0)
@example(-(1 << 63) - 1, 5e-324)
@example((1 << 64) + 1, 1.7976931348623157e308)
def test_numbers_arrive_exactly(whole: int, real: float) -> None:
    data = decode(enveloped(data={"whole": whole, "real": real})).data

    assert (data["whole"], repr(data["real"])) == (whole, repr(real))
    assert type(data["whole"]) is int
