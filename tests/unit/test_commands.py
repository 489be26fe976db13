"""The values that settler and broker exchange: equal by content, and never changed in flight."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streamix_queue.core import commands
from streamix_queue.core.commands import Fence, Verdict

LEASE = Fence(b"s", b"1-0", 2, or_absent=True)
COMMANDS = [
    commands.Ack(b"s", [b"1-0"]),
    commands.RetryLater(LEASE, 1000, "e", [b"message", b"{}"]),
    commands.DeadLetter(LEASE, [b"message", b"{}"]),
    commands.HandOver(LEASE, "e", [b"message", b"{}"]),
    commands.Park(LEASE, "e", [b"message", b"{}"]),
    commands.HandBack([LEASE], 60_000),
    commands.Absolve([LEASE]),
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
