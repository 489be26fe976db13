"""The fields of an entry: the envelope, what is carried along beside it, and the history."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamix_queue.core.errors import Malformed
from streamix_queue.core.wire import (
    BAGGAGE,
    HISTORY,
    MESSAGE,
    TRACEPARENT,
    TRACESTATE,
    FailedAttempt,
    History,
    carrier_fields,
    envelope_of,
    frame,
    history_of,
    unframe,
    with_history,
)
from tests.support.refusals import refusal

attempts = st.builds(
    FailedAttempt,
    at=st.text(),
    seconds=st.floats(0, 1e9),
    error_type=st.text(),
    error=st.text(),
    consumer=st.text(),
)
histories = st.builds(
    History,
    source_id=st.text(),
    cause=st.sampled_from(["", "retry", "handover", "replay"]),
    attempts=st.lists(attempts, max_size=3),
    replays=st.integers(0, 1000),
    previous=st.text(),
)
extra_names = st.binary().filter(lambda name: name not in (MESSAGE, HISTORY))
extra_fields = st.lists(st.tuples(extra_names, st.binary()), max_size=4).map(
    lambda pairs: tuple(part for pair in pairs for part in pair)
)


# --- fields -----------------------------------------------------------------------------------------


def test_the_names_on_the_wire_are_these() -> None:
    names = (MESSAGE, TRACEPARENT, TRACESTATE, BAGGAGE, HISTORY)

    assert names == (b"message", b"traceparent", b"tracestate", b"baggage", b"streamix")


def test_an_entry_of_0_1_0_is_an_envelope_and_nothing_else() -> None:
    assert envelope_of([b"message", b"{}"]) == (b"{}", (), None)


@given(st.binary(), extra_fields, histories)
def test_what_is_put_beside_the_envelope_comes_out_unchanged(
    raw: bytes, extras: tuple[bytes, ...], history: History
) -> None:
    split = envelope_of(with_history(raw, extras, history))

    assert split[:2] == (raw, extras)
    assert history_of(split[2]) == history


def test_the_order_of_the_fields_does_not_matter() -> None:
    fields = [HISTORY, b"h", TRACEPARENT, b"t", MESSAGE, b"m", BAGGAGE, b"b"]

    assert envelope_of(fields) == (b"m", (TRACEPARENT, b"t", BAGGAGE, b"b"), b"h")


@pytest.mark.parametrize(
    "fields", [[], [b"other", b"x"], [b"Message", b"{}"], [TRACEPARENT, b"t", HISTORY, b"h"]]
)
def test_an_entry_without_a_message_field_has_no_envelope(fields: list[bytes]) -> None:
    assert envelope_of(fields)[0] is None


def test_an_interceptors_fields_go_beside_the_envelope() -> None:
    carrier = {"traceparent": "00-1-2-01", "baggage": "a=\u00fc"}

    assert carrier_fields(carrier) == [b"traceparent", b"00-1-2-01", b"baggage", "a=\u00fc".encode()]


def test_an_interceptor_cannot_take_our_own_fields_nor_break_a_publish() -> None:
    carrier: dict[Any, Any] = {
        "message": "x",
        "streamix": "x",
        "lone": "\ud800",
        "\ud800": "x",
        "number": 7,
        7: "x",
    }

    assert carrier_fields({**carrier, "traceparent": "t"}) == [b"traceparent", b"t"]


# --- history ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw", [None, b"", b"{", b"[]", b'{"attempts": 7}', b'{"replays":"1"}', b"\xff", b"[" * 99_999]
)
def test_a_history_that_is_not_ours_counts_as_none(raw: bytes | None) -> None:
    assert history_of(raw) == History()


@given(st.binary(max_size=100))
def test_no_history_field_makes_an_error(raw: bytes) -> None:
    assert isinstance(history_of(raw), History)


def test_the_next_history_has_one_attempt_more_and_the_old_one_is_as_it_was() -> None:
    first, second = FailedAttempt("t1", 0.5, "ValueError"), FailedAttempt("t2", 1.5, "KeyError")
    before = History("1-0", "replay", [first], replays=2)

    after = before.after(second, cause="retry", previous="00-a-b-01")

    assert after == History("1-0", "retry", [first, second], 2, "00-a-b-01")
    assert before == History("1-0", "replay", [first], replays=2)


def test_a_history_says_only_what_there_is_to_say() -> None:
    """It is written with every retry."""
    fields = with_history(b"{}", (), History("1-0", "retry", [FailedAttempt("t", 0.5, "ValueError")]))

    assert fields[-1] == (
        b'{"source_id":"1-0","cause":"retry","attempts":[{"at":"t","seconds":0.5,"error_type":"ValueError"}]}'
    )
    assert with_history(b"{}", (), History("", "", [], 0, ""))[-1] == b"{}"


def test_the_newest_20_attempts_are_kept() -> None:
    history = History()
    for number in range(50):
        history = history.after(FailedAttempt(str(number), 0.0, "E"), cause="retry")

    assert [attempt.at for attempt in history.attempts] == [str(number) for number in range(30, 50)]


# --- frames -----------------------------------------------------------------------------------------


@given(st.lists(st.binary()))
def test_a_frame_gives_its_parts_back(parts: list[bytes]) -> None:
    assert unframe(frame(parts)) == parts


def test_a_frame_is_lengths_and_bytes() -> None:
    """The scripts read it with ``struct.unpack('>I4c0')``."""
    assert frame([b"", b"ab", b"\x00" * 256]) == b"\0\0\0\0" + b"\0\0\0\2ab" + b"\0\0\1\0" + b"\0" * 256


@given(st.binary())
def test_bytes_of_any_kind_are_a_frame_or_malformed(raw: bytes) -> None:
    text = refusal(Malformed, unframe, raw)

    assert text in (None, "a frame ends inside a length", "a frame ends inside a part")
    assert text is not None or frame(unframe(raw)) == raw


@given(st.lists(st.binary(min_size=1), min_size=1), st.data())
def test_a_frame_that_was_cut_short_is_malformed(parts: list[bytes], data: st.DataObject) -> None:
    whole = frame(parts)
    ends = {len(frame(parts[:count])) for count in range(len(parts) + 1)}
    cut = data.draw(st.integers(1, len(whole) - 1).filter(lambda position: position not in ends))

    with pytest.raises(Malformed):
        unframe(whole[:cut])
