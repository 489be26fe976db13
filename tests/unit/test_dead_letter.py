"""What a dead letter holds, and that whatever could not be read is kept whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamix_queue.core.attempt import Attempt, Failure, unleased
from streamix_queue.core.dead_letter import (
    RAW_PREFIX,
    Letter,
    Origin,
    dead_letter,
    read_letter,
    trimmed_letter,
    unreadable_member,
)
from streamix_queue.core.entry import entry_of
from streamix_queue.core.errors import Malformed
from streamix_queue.core.outcome import Reason
from streamix_queue.core.wire import MESSAGE, FailedAttempt, History, with_history
from tests.support.json_values import (
    CREATED,
    LATER,
    MESSAGE_ID,
    envelope_of_0_1_0,
    message_with,
    spelled_envelopes,
)
from tests.support.refusals import refusal

ORIGIN = Origin("app.events", "service-a", "host-1-abc")
LETTER_ID = "7f000001-0000-4000-8000-000000000000"
KEYS_OF_0_1_0 = ["original_id", "original_event", "original_data", "source_stream_id", "retries", "error"]
TRACE = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"baggage", b"a=b")


def opened(fields: list[bytes], entry_id: bytes = b"1713982500001-0") -> Attempt:
    """An attempt as the router leaves it."""
    attempt = unopened(fields, entry_id)
    attempt.open({})
    attempt.failure = None
    return attempt


def unopened(fields: list[bytes], entry_id: bytes = b"1713982500001-0") -> Attempt:
    return unleased(entry_of(b"app.events", entry_id, tuple(fields), 1, "new", 0.0))


def failed(attempt: Attempt, error: str = "no such user") -> Attempt:
    attempt.failure = Failure("LookupError", error, "Traceback (most recent call last): ...")
    return attempt


def buried(
    attempt: Attempt, reason: str = Reason.RETRIES_EXHAUSTED, attempts: list[FailedAttempt] | None = None
) -> list[bytes]:
    return dead_letter(attempt, reason, ORIGIN, attempts or [], LETTER_ID, LATER)


def envelope(fields: list[bytes]) -> dict[str, Any]:
    assert fields[0] == MESSAGE
    value: dict[str, Any] = json.loads(fields[1])
    return value


RAW = envelope_of_0_1_0(message_with({"user_id": "123"}, retries=3))


# --- of a message ----------------------------------------------------------------------------------------


def test_a_letter_is_a_message_of_its_own_with_0_1_0s_keys_first() -> None:
    attempts = [FailedAttempt(CREATED, 0.25, "LookupError", "no such user", "host-1-abc")]

    letter = envelope(buried(failed(opened([MESSAGE, RAW])), attempts=attempts))

    assert list(letter) == ["id", "event", "data", "retries", "timestamps"]
    assert (letter["id"], letter["event"], letter["retries"]) == (LETTER_ID, "user.created", 3)
    assert letter["timestamps"] == {"created_at": LATER, "updated_at": LATER}
    data = letter["data"]
    assert list(data)[:6] == KEYS_OF_0_1_0
    assert {key: data[key] for key in KEYS_OF_0_1_0} == {
        "original_id": MESSAGE_ID,
        "original_event": "user.created",
        "original_data": {"user_id": "123"},
        "source_stream_id": "1713982500001-0",
        "retries": 3,
        "error": "no such user",
    }
    assert (data["group"], data["consumer"]) == ("service-a", "host-1-abc")
    assert (data["reason"], data["error_type"]) == ("retries_exhausted", "LookupError")
    assert data["traceback"].startswith("Traceback")
    assert data["failed_at"] == LATER
    (attempt,) = data["attempts"]
    assert attempt == {
        "at": CREATED,
        "seconds": 0.25,
        "error_type": "LookupError",
        "error": "no such user",
        "consumer": "host-1-abc",
    }


@given(spelled_envelopes())
def test_the_original_data_is_kept_byte_for_byte(drawn: tuple[bytes, bytes]) -> None:
    raw, data = drawn

    fields = buried(failed(opened([MESSAGE, raw])))

    assert b'"original_data":' + data + b',"source_stream_id":' in fields[1]
    assert bytes(read_letter(fields).data.original_data) == data


@pytest.mark.parametrize("reason", Reason.ALL)
def test_the_reason_is_the_one_given(reason: str) -> None:
    assert read_letter(buried(failed(opened([MESSAGE, RAW])), reason)).data.reason == reason


def test_the_trace_fields_go_along_unchanged_and_the_history_does_not() -> None:
    fields = with_history(RAW, TRACE, History("1-0"))

    assert tuple(buried(failed(opened(fields)))[2:]) == TRACE


def test_the_source_is_the_entry_on_the_shared_stream_also_after_retries() -> None:
    fields = with_history(RAW, (), History("1713982500000-7", "retry", replays=2))

    letter = read_letter(buried(failed(opened(fields, b"1713982999999-0"))))

    assert (letter.data.source_stream_id, letter.data.replays) == ("1713982500000-7", 2)


def test_a_letter_tells_when_its_message_was_made() -> None:
    assert read_letter(buried(opened([MESSAGE, RAW]))).data.original_created_at == CREATED


def test_without_a_failure_the_error_is_empty() -> None:
    data = read_letter(buried(opened([MESSAGE, RAW]))).data

    assert (data.error, data.error_type, data.traceback) == ("", "", "")


# --- of what could not be read -----------------------------------------------------------------------------

binary_fields = st.lists(st.tuples(st.binary(), st.binary()), max_size=5).map(
    lambda pairs: [part for pair in pairs for part in pair]
)


def kept_whole(fields: list[bytes], letter: list[bytes]) -> bool:
    kept = letter[2:]
    names, originals = kept[::2], fields[::2]
    return names == [RAW_PREFIX + name for name in originals] and kept[1::2] == fields[1::2]


@given(binary_fields)
def test_an_entry_that_cannot_be_read_is_kept_whole(fields: list[bytes]) -> None:
    attempt = failed(opened(fields), "not an envelope")

    letter = buried(attempt, Reason.MALFORMED)

    assert kept_whole(fields, letter)
    assert letter[0] == MESSAGE
    assert read_letter(letter).data.error == "not an envelope"


@given(st.binary().filter(lambda raw: not raw.startswith(b'{"id"')))
def test_raw_bytes_in_the_message_field_are_kept_whole(raw: bytes) -> None:
    fields = [*TRACE, MESSAGE, raw, b"streamix", b"{}"]

    for reason in (Reason.MALFORMED, Reason.CRASH):
        assert kept_whole(fields, buried(failed(opened(fields)), reason))


def test_the_letter_of_an_unreadable_entry_is_an_envelope_that_0_1_0_reads() -> None:
    letter = envelope(buried(failed(opened([MESSAGE, b"{not json"])), Reason.MALFORMED))

    assert (letter["event"], letter["retries"]) == ("unknown", 0), "0.1.0 refuses an empty event"
    data = letter["data"]
    assert (data["original_id"], data["original_event"], data["original_data"]) == ("", "", None)
    assert data["source_stream_id"] == "1713982500001-0"


def test_a_message_whose_decoding_kills_is_kept_raw() -> None:
    """The reclaimer does not open it when it has opened it in vain before."""
    fields = [MESSAGE, RAW, *TRACE]
    assert kept_whole(fields, buried(failed(unopened(fields)), Reason.CRASH))


def test_a_trimmed_entry_leaves_a_marker() -> None:
    fields = trimmed_letter(b"1713982500001-0", ORIGIN, LETTER_ID, LATER)
    letter = read_letter(fields)

    assert len(fields) == 2
    assert (letter.id, letter.event, letter.data.reason) == (LETTER_ID, "unknown", "trimmed")
    assert (letter.data.source_stream_id, letter.data.group) == ("1713982500001-0", "service-a")
    assert "trimmed or deleted" in letter.data.error
    assert (letter.retries, letter.data.retries, letter.data.replays) == (0, 0, 0)


@given(st.binary())
def test_a_delayed_member_that_cannot_be_read_is_kept_whole(member: bytes) -> None:
    fields = unreadable_member(member, ORIGIN, LETTER_ID, LATER)
    letter = read_letter(fields)

    assert fields[2:] == [b"raw.member", member]
    assert (letter.data.reason, letter.data.consumer) == ("malformed", "host-1-abc")
    assert "delayed set" in letter.data.error


# --- reading -----------------------------------------------------------------------------------------------


def letter_of_0_1_0() -> bytes:
    data = {
        "original_id": MESSAGE_ID,
        "original_event": "user.created",
        "original_data": {"user_id": "123"},
        "source_stream_id": "1713982500001-0",
        "retries": 3,
        "error": "Connection timeout",
    }
    return envelope_of_0_1_0(message_with(data, retries=3))


def test_a_letter_of_0_1_0_is_read_and_what_it_does_not_tell_is_empty() -> None:
    letter = read_letter([b"message", letter_of_0_1_0()])

    assert (letter.event, letter.retries, letter.data.original_id) == ("user.created", 3, MESSAGE_ID)
    assert json.loads(bytes(letter.data.original_data)) == {"user_id": "123"}
    assert (letter.data.error, letter.data.source_stream_id) == ("Connection timeout", "1713982500001-0")
    assert letter.data.reason == "retries_exhausted", "the only reason that 0.1.0 knew"
    assert (letter.data.group, letter.data.consumer, letter.data.attempts) == ("", "", [])
    assert letter.data.replays == 0


def test_the_message_field_of_a_letter_may_stand_anywhere() -> None:
    assert read_letter([*TRACE, b"message", letter_of_0_1_0()]).data.original_id == MESSAGE_ID


@pytest.mark.parametrize(
    "fields",
    [[], [b"raw.message", b"{}"], [b"message", b""], [b"message", RAW], [b"message", b"[" * 99_999]],
    ids=range(5),
)
def test_what_is_no_letter_is_malformed(fields: list[bytes]) -> None:
    with pytest.raises(Malformed):
        read_letter(fields)


@given(
    st.one_of(
        st.binary(max_size=100),
        st.integers(0, len(letter_of_0_1_0())).map(lambda end: letter_of_0_1_0()[:end]),
    )
)
def test_bytes_of_any_kind_are_a_letter_or_malformed(raw: bytes) -> None:
    text = refusal(Malformed, read_letter, [b"message", raw])

    assert len(text or "") <= 300
    assert text is not None or isinstance(read_letter([b"message", raw]), Letter)
