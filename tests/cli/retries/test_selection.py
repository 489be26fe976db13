"""Which retries `now` and `cancel` work on, and what they refuse."""

from __future__ import annotations

import pytest
import redis

from streamix_queue.core.keys import Keys
from tests.admin.waiting import EVENT, FAR_MS
from tests.cli.retries.waiting_set import due_times
from tests.support.command import streamix


@pytest.mark.parametrize("wrong", [[], ["first", "--all"], ["first", "--event", EVENT]], ids=str)
@pytest.mark.parametrize("verb", ["now", "cancel"])
def test_ids_or_all(env: dict[str, str], client: redis.Redis, verb: str, wrong: list[str]) -> None:
    assert streamix("retries", verb, *wrong, "--yes", env=env).code == 2


@pytest.mark.parametrize("verb", ["now", "cancel"])
def test_an_id_that_does_not_wait_is_not_found_and_one_like_it_is_offered(
    env: dict[str, str], client: redis.Redis, keys: Keys, verb: str
) -> None:
    ended = streamix("retries", verb, "thirdd", "--yes", env=env)

    assert (ended.code, ended.out) == (5, "")
    assert "Did you mean 'third'?" in ended.err
    assert due_times(client, keys) == [FAR_MS, FAR_MS + 1, FAR_MS + 2]


@pytest.mark.parametrize("arguments", [["now", "--all"], ["cancel", "first"], ["cancel", "first", "--drop"]])
def test_off_a_terminal_it_needs_yes_and_says_how_many(
    env: dict[str, str], client: redis.Redis, keys: Keys, arguments: list[str]
) -> None:
    ended = streamix("retries", *arguments, env=env)

    assert (ended.code, ended.out) == (6, "")
    assert "--yes" in ended.err
    assert "To be " in ended.err
    assert due_times(client, keys) == [FAR_MS, FAR_MS + 1, FAR_MS + 2]
