"""When a message was published, and why it came again."""

from __future__ import annotations

import time

import pytest

from streamix_queue.core.attempt import Attempt, unleased
from streamix_queue.core.entry import entry_of
from streamix_queue.core.wire import History
from streamix_telemetry.delivery_history import published_at, redelivery_cause


def attempt(entry_id: bytes = b"1700000000500-0", source: str = "new") -> Attempt:
    return unleased(entry_of(b"s", entry_id, (), 1, source, 0.0))


def test_the_first_entry_of_a_message_says_when_it_was_published() -> None:
    assert published_at(attempt(), History()) == 1_700_000_000.5
    assert published_at(attempt(), History(source_id="1600000000250-7")) == 1_600_000_000.25


@pytest.mark.parametrize("written", ["no id", "-1", "1.5-0"])
def test_an_id_that_others_wrote_and_is_none_counts_as_now(written: str) -> None:
    assert published_at(attempt(), History(source_id=written)) == pytest.approx(time.time(), abs=5)


@pytest.mark.parametrize(
    ("source", "cause", "expected"),
    [
        ("new", "", None),
        ("inbox", "retry", "retry"),
        ("inbox", "replay", "replay"),
        ("inbox", "handover", None),
        ("reclaim", "retry", "reclaim"),
        ("recovered", "", "restart"),
    ],
)
def test_the_last_reason_why_it_came_again_counts(source: str, cause: str, expected: str | None) -> None:
    assert redelivery_cause(attempt(source=source), History(cause=cause)) == expected
