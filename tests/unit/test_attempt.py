"""An attempt: opened once, closed once."""

from __future__ import annotations

from streamix_queue.core.attempt import Attempt, Failure, unleased
from streamix_queue.core.entry import entry_of
from streamix_queue.core.message import StreamMessage, Timestamps
from streamix_queue.core.outcome import ACK, HAND_OVER, DeadLetter, Reason, RetryLater
from streamix_queue.core.wire import MESSAGE
from tests.support.json_values import envelope_of_0_1_0, message_with

TRACE = (b"traceparent", b"00-1-2-01")
RAW = envelope_of_0_1_0(message_with({"user_id": "123"}, retries=2))


def attempt_at(*fields: bytes, deliveries: int = 1) -> Attempt:
    return unleased(entry_of(b"s", b"1-0", fields, deliveries, "new", 0.0))


def test_one_that_was_not_opened_has_no_event_and_is_the_first() -> None:
    attempt = attempt_at()

    assert (attempt.event, attempt.number, attempt.outcome) == ("", 1, None)
    assert repr(attempt) == "<Attempt 1 at '' 1-0>"


def test_opened_it_has_the_message_and_what_is_to_be_carried_along() -> None:
    attempt = attempt_at(MESSAGE, RAW, *TRACE)

    assert attempt.open({}) is HAND_OVER, "nobody handles it here"
    assert (attempt.event, attempt.number) == ("user.created", 3)
    assert (attempt.raw, attempt.extras, attempt.history) == (RAW, TRACE, None)


def test_what_cannot_be_opened_is_malformed_and_says_why() -> None:
    for fields in [(b"other", b"1"), (MESSAGE, b"{not json")]:
        attempt = attempt_at(*fields)

        assert attempt.open({}) == DeadLetter(Reason.MALFORMED)
        assert attempt.failure is not None
        assert attempt.failure.error_type == "Malformed"
        assert attempt.message is None


def test_the_payload_is_not_in_its_text() -> None:
    attempt = attempt_at()
    attempt.message = StreamMessage("1", "e", {"password": "s3cret"}, 0, Timestamps("", ""))

    assert "s3cret" not in repr(attempt)


def test_what_ends_after_it_was_closed_is_ignored() -> None:
    """Fails when a handler that was given up may still decide what becomes of its message."""
    attempt = attempt_at()

    assert attempt.close(RetryLater(1000), Failure("TimeoutError", "too long"))
    assert not attempt.close(ACK, Failure("ValueError", "late"))

    assert attempt.outcome == RetryLater(1000)
    assert attempt.failure == Failure("TimeoutError", "too long")


def test_an_entry_that_comes_again_without_an_outcome_is_a_suspect() -> None:
    assert not attempt_at(deliveries=1).entry.suspect
    assert attempt_at(deliveries=2).entry.suspect
