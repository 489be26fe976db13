"""What may be published, and how the rest is refused: by the path to it, before anything is written."""

from __future__ import annotations

import decimal
import json
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given

from streamix_queue.core.errors import InvalidMessage, InvalidMessageType, StreamixError
from streamix_queue.core.payload import check_data, check_event, encode_json
from tests.support.json_values import Colour, Count, Items, Level, Name, Point, Share, payloads


@given(payloads)
def test_whatever_the_fast_encoder_is_used_for_it_writes_as_json_dumps_does(data: dict[str, Any]) -> None:
    expected = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()

    assert encode_json(data, fast=check_data(data)) == expected


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"a": None, "b": True, "c": "text", "d": 7, "e": -(1 << 63), "f": (1 << 63) - 1},
        {"list": [1, "two", [None, {}]], "tuple": (1, (2,)), "object": {"deep": {"er": []}}},
    ],
)
def test_ordinary_payloads_take_the_fast_way(data: dict[str, Any]) -> None:
    assert check_data(data) is True


@pytest.mark.parametrize(
    "value",
    [1.5, 0.0, 1 << 63, Colour.RED, Level.LOW, Name("n"), Count(1), Share(0.5), Items([1]), Point(1, 2)],
    ids=repr,
)
@pytest.mark.parametrize("place", [lambda v: v, lambda v: [v], lambda v: {"deep": ("x", {"er": v})}])
def test_what_the_two_encoders_may_spell_differently_does_not(value: Any, place: Any) -> None:
    assert check_data({"ok": 1, "value": place(value), "after": [1]}) is False


def test_keys_of_a_subclass_do_not_take_the_fast_way() -> None:
    assert check_data({Name("key"): 1}) is False
    assert check_data({"outer": {Colour.RED: 1}}) is False


# --- refused -----------------------------------------------------------------------------------------


class Opaque:
    pass


WRONG_TYPES: list[Any] = [
    b"bytes",
    bytearray(b"x"),
    {1, 2},
    frozenset(),
    1j,
    object(),
    Opaque(),
    Opaque,
    datetime.now(timezone.utc),
    decimal.Decimal("1.5"),
    uuid.UUID(int=0),
    range(3),
    iter([1]),
    len,
    msgspec.Raw(b"1"),
    msgspec.UNSET,
    ...,
]


@pytest.mark.parametrize("value", WRONG_TYPES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    ("place", "path"),
    [
        (lambda v: {"a": v}, "data.a"),
        (lambda v: {"a": {"b": v}}, "data.a.b"),
        (lambda v: {"a": [0, (1, v)]}, "data.a[1][1]"),
    ],
)
def test_a_value_that_json_does_not_have_is_refused_by_its_path(place: Any, path: str, value: Any) -> None:
    with pytest.raises(InvalidMessageType) as raised:
        check_data(place(value))

    assert str(raised.value) == f"{path}: {type(value).__name__} is not a JSON type"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), Share("nan")])
def test_a_number_that_json_does_not_have_is_refused_by_its_path(value: float) -> None:
    with pytest.raises(InvalidMessage, match=r"^data\.items\[2\]\.price: .* is not JSON$"):
        check_data({"items": [1, 2, {"price": value}]})


@pytest.mark.parametrize("key", [1, 1.5, None, True, b"key", ("a",), Level.LOW])
def test_a_key_that_is_not_a_string_is_refused(key: Any) -> None:
    with pytest.raises(InvalidMessageType) as raised:
        check_data({"a": [{key: 1}]})

    assert str(raised.value) == f"data.a[0]: key {key!r} is a {type(key).__name__}; JSON keys are strings"


@pytest.mark.parametrize("data", [None, [], "text", b"{}", 7, [("a", 1)], Opaque(), iter({})])
def test_data_that_is_no_dictionary_is_refused(data: Any) -> None:
    with pytest.raises(InvalidMessageType) as raised:
        check_data(data)

    assert str(raised.value) == f"data must be a dictionary, not {type(data).__name__}"


@pytest.mark.parametrize(
    "number", [10**4299, -(10**4299), 10**6000, Count(10**4299)], ids=["+", "-", "huge", "subclass"]
)
def test_an_integer_that_no_reader_could_read_is_refused(number: int) -> None:
    """Python and msgspec refuse to read what has more than 4300 characters."""
    with pytest.raises(InvalidMessage, match=r"^data\.a\[0\]: an integer of more than 4299 digits$"):
        check_data({"a": [number]})

    check_data({"a": [10**4299 - 1, 1 - 10**4299]})


@pytest.fixture
def _few_digits() -> Iterator[None]:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    yield
    sys.set_int_max_str_digits(before)


@pytest.mark.usefixtures("_few_digits")
def test_an_integer_that_this_process_may_not_spell_is_refused() -> None:
    data = {"a": 10**1000}

    with pytest.raises(InvalidMessage, match=r"^data: .*640"):
        encode_json(data, fast=check_data(data))


def test_a_long_path_is_shortened_in_the_middle() -> None:
    with pytest.raises(InvalidMessageType) as raised:
        check_data({"a" * 5000: {"b" * 5000: object()}})

    text = str(raised.value)
    assert len(text) < 250
    assert text.startswith("data.aaa")
    assert "bbb: object is not" in text


def test_every_refusal_is_also_the_error_that_0_1_0_raised() -> None:
    assert issubclass(InvalidMessage, ValueError)
    assert issubclass(InvalidMessageType, TypeError)
    assert issubclass(InvalidMessage, StreamixError)
    assert issubclass(InvalidMessageType, StreamixError)


# --- events ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event", ["e", "user.created", " ", "\u00fcber.\U0001f600", "a\x00b", Name("x"), Colour.RED]
)
def test_any_text_is_an_event(event: str) -> None:
    assert check_event(event) is event


@pytest.mark.parametrize("event", [None, 7, b"user.created", ["user.created"], Opaque()])
def test_an_event_that_is_no_text_is_refused(event: Any) -> None:
    with pytest.raises(InvalidMessageType) as raised:
        check_event(event)

    assert str(raised.value) == f"event must be a string, not {type(event).__name__}"


def test_an_empty_event_is_refused_in_the_words_of_0_1_0() -> None:
    with pytest.raises(ValueError, match=r"^event must be a non-empty string$"):
        check_event("")


def test_an_event_that_utf8_cannot_carry_is_refused() -> None:
    with pytest.raises(InvalidMessage, match="lone surrogate"):
        check_event("user.\ud800")
