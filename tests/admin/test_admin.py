"""`Admin`: its options, and what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest

from streamix_queue import BrokerUnavailable, ConfigError, WrongKeyType
from streamix_queue.admin import Admin, DeadLetterFilter
from tests.support.servers import Server


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


def test_every_question_tells_that_redis_is_not_there() -> None:
    with Admin("redis://127.0.0.1:1", "s", timeout_ms=200) as admin:
        for ask in (
            admin.fingerprints,
            lambda: admin.purge(DeadLetterFilter()),
            lambda: list(admin.export()),
        ):
            with pytest.raises(BrokerUnavailable):
                ask()


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


def test_options_out_of_range_are_refused(any_server: Server, stream: str) -> None:
    with Admin(any_server.url, stream) as admin:
        with pytest.raises(ConfigError, match="scan"):
            admin.fingerprints(scan=0)
        with pytest.raises(ConfigError, match="limit"):
            admin.export(limit=-1)
        with pytest.raises(ConfigError, match="id of a dead letter"):
            admin.purge(DeadLetterFilter(), up_to="x")
        with pytest.raises(ConfigError, match="id of a dead letter"):
            admin.dead_letter("x")
