"""Looking at dead letters: bounded reads, filters, and whatever else lies in that stream."""

from __future__ import annotations

from typing import Any

import pytest

from streamix_queue import BrokerUnavailable, ConfigError, Publisher, WrongKeyType
from streamix_queue.admin import Admin, DeadLetterFilter
from tests.admin.services import EVENT, Service, letter_of_0_1_0, letters, running
from tests.support.servers import Server


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


def test_letters_are_selected_and_ordered_over_many_pages(any_server: Server, stream: str) -> None:
    client = any_server.client()
    ids = [letter_of_0_1_0(client, stream, f"{n}-0", {"n": n}) for n in range(130)]
    with Admin(any_server.url, stream) as admin:
        assert [letter.id for letter in admin.dead_letters()] == ids
        assert [letter.id for letter in admin.dead_letters(newest_first=True)] == ids[::-1]
        assert [letter.id for letter in admin.dead_letters(limit=70)] == ids[:70]
        assert [letter.id for letter in admin.dead_letters(limit=70, newest_first=True)] == ids[:59:-1]
        assert [letter.id for letter in admin.dead_letters(group="", event=EVENT)] == ids
        assert list(admin.dead_letters(group="billing")) == []
        assert list(admin.dead_letters(event="other")) == []
        assert list(admin.dead_letters(reason="crash")) == []
        assert list(admin.dead_letters(limit=0)) == []


def test_no_more_is_read_than_is_taken(any_server: Server, stream: str) -> None:
    client = any_server.client()
    for n in range(400):
        letter_of_0_1_0(client, stream, f"{n}-0", {})

    def calls() -> int:
        stats: Any = client.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("xrange", "xrevrange"))

    with Admin(any_server.url, stream) as admin:
        before = calls()
        assert len(list(admin.dead_letters(limit=10))) == 10

        assert calls() - before <= 2


def test_a_stream_that_is_not_there_has_no_letters_and_no_groups(server: Server, stream: str) -> None:
    with Admin(server.url, stream) as admin:
        assert admin.count_dead_letters() == 0
        assert list(admin.dead_letters()) == []
        assert list(admin.dead_letters(newest_first=True)) == []
        assert admin.groups() == []
        assert admin.replay(DeadLetterFilter()).ok


def test_a_key_of_another_type_is_told(any_server: Server, stream: str) -> None:
    any_server.client().set(f"{stream}:failed", "something else")
    with Admin(any_server.url, stream) as admin, pytest.raises(WrongKeyType):
        list(admin.dead_letters())


def test_redis_that_is_not_there_is_told() -> None:
    with Admin("redis://me:hunter2@127.0.0.1:1/0") as admin, pytest.raises(BrokerUnavailable) as raised:
        list(admin.dead_letters())

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "bad", ["", "x", "1", "1-", "-", "+", "1-0 ", "1-0\n", "99999999999999999999999-0", None, 5]
)
def test_what_is_no_id_is_wrong_usage(bad: Any) -> None:
    with Admin() as admin, pytest.raises(ConfigError, match="id of a dead letter"):
        admin.replay(["1-0", bad])


def test_options_are_checked_at_the_call() -> None:
    with pytest.raises(ConfigError, match="stream"):
        Admin(stream="")
    with pytest.raises(ConfigError, match="timeout_ms"):
        Admin(timeout_ms=0)
    with Admin() as admin:
        with pytest.raises(ConfigError, match="reason='whatever': expected one of retries_exhausted"):
            admin.dead_letters(reason="whatever")
        with pytest.raises(ConfigError, match="limit"):
            admin.dead_letters(limit=-1)
        with pytest.raises(ConfigError, match="group"):
            admin.replay(["1-0"], group="")
