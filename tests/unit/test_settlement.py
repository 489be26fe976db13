"""The values that settler and broker exchange: equal by content, and never changed in flight."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streamix_queue.core.commands import (
    Absolve,
    AckEntries,
    Bury,
    Forward,
    HandBack,
    Lease,
    Schedule,
    Verdict,
)

LEASE = Lease(b"s", b"1-0", 2, fresh=True)
COMMANDS = [
    AckEntries(b"s", [b"1-0"]),
    Schedule(LEASE, 1000, "e", [b"message", b"{}"]),
    Bury(LEASE, [b"message", b"{}"]),
    Forward(LEASE, "e", [b"message", b"{}"]),
    HandBack([LEASE], 60_000),
    Absolve([LEASE]),
]


def test_the_verdicts_are_the_numbers_that_the_scripts_return() -> None:
    assert {verdict.name: verdict.value for verdict in Verdict} == {
        "DONE": 1,
        "DROPPED": 2,
        "GONE": 0,
        "STOLEN": -1,
    }


@pytest.mark.parametrize("value", [LEASE, *COMMANDS], ids=lambda value: type(value).__name__)
def test_a_command_cannot_be_changed_after_it_was_made(value: Any) -> None:
    for field in msgspec.structs.fields(value):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(value, field.name, None)


def test_a_hand_over_asks_whether_somebody_handles_the_event() -> None:
    assert Forward(LEASE, "e", []).always is False
