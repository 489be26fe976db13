"""What a dead letter tells, whoever wrote it and whatever it is."""

from __future__ import annotations

from typing import Any

import pytest

from streamix_queue import Publisher
from streamix_queue.admin import Admin, DeadLetterEntry
from tests.admin.services import EVENT, Service, letter_of_0_1_0, letters, running
from tests.support.servers import Server

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_letter_tells_what_happened(server: Server, stream: str) -> None:
    billing = Service(server.url, stream, "billing", broken=True)
    with Publisher(server.url, stream) as publisher, Admin(server.url, stream) as admin, running(billing):
        message = publisher.publish(EVENT, {"n": 1})
        (letter,) = letters(admin, 1)

    assert (letter.message_id, letter.event, letter.group) == (message.id, EVENT, "billing")
    assert (letter.reason, letter.error_type) == ("retries_exhausted", "RuntimeError")
    assert letter.error == "{'n': 1} does not suit us"
    assert "in _act" in letter.traceback
    assert letter.data == {"n": 1}
    assert letter.failed_at > message.timestamps.created_at
    assert len(letter.attempts) == 1


def test_a_letter_of_0_1_0_is_read_as_well(any_server: Server, stream: str) -> None:
    letter_of_0_1_0(any_server.client(), stream, "1775037600000-0", {"n": 1})
    with Admin(any_server.url, stream) as admin:
        (letter,) = admin.dead_letters()

    assert (letter.group, letter.event, letter.retries) == ("", EVENT, 3)
    assert letter.error == "no such user"
    assert letter.failed_at == "2026-04-01T10:00:00+00:00"


@pytest.mark.parametrize(
    "fields",
    [
        {"message": "no json"},
        {"message": '{"id":1}'},
        {"message": "[" * 5000},
        {"other": "field"},
        {b"message": b"\xff"},
    ],
)
def test_what_is_no_letter_is_shown_and_not_skipped(
    any_server: Server, stream: str, fields: dict[Any, Any]
) -> None:
    any_server.client().xadd(f"{stream}:failed", fields)
    with Admin(any_server.url, stream) as admin:
        (letter,) = admin.dead_letters()

    assert (letter.reason, letter.event, letter.group) == ("malformed", "unknown", "")
    assert letter.error
    assert letter.data is None


def test_a_letter_tells_its_trace(server: Server, stream: str) -> None:
    fields: Any = {"message": "x", "raw.traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    entry_id: Any = server.client().xadd(f"{stream}:failed", fields)
    with Admin(server.url, stream) as admin:
        letter = admin.dead_letter(entry_id.decode())

    assert isinstance(letter, DeadLetterEntry)
    assert letter.trace_id == TRACE
