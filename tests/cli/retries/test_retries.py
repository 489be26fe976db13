"""`streamix retries list`, `now` and `cancel`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from streamix_queue.core.keys import Keys
from tests.admin.waiting import EVENT, FAR_MS, GROUP, handled, letters_of, payload_of, put_retry
from tests.support.command import streamix
from tests.support.servers import Server

VERBS = ("list", "now", "cancel")


@pytest.fixture
def keys(stream: str) -> Keys:
    return Keys(stream, GROUP)


@pytest.fixture
def client(any_server: Server, keys: Keys) -> Iterator[redis.Redis]:
    """Of a group in which three retries wait: first, second (of another event), third."""
    with any_server.client() as client:
        handled(client, keys)
        put_retry(client, keys, "first")
        put_retry(client, keys, "second", due_ms=FAR_MS + 1, event="other")
        put_retry(client, keys, "third", due_ms=FAR_MS + 2)
        yield client


def _due(client: redis.Redis, keys: Keys) -> list[float]:
    found: Any = client.zrange(keys.delayed, 0, -1, withscores=True)
    return [due for _, due in found]


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_redis_that_is_not_there_is_told(nowhere: dict[str, str], verb: str) -> None:
    ended = streamix("retries", verb, *(["x"] if verb != "list" else []), env=nowhere)

    assert (ended.code, ended.out) == (3, "")
    assert "hunter2" not in ended.err


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_group_is_not_found(env: dict[str, str], client: redis.Redis, verb: str) -> None:
    ids = ["x"] if verb != "list" else []
    ended = streamix("retries", verb, *ids, "--group", "biling", env=env)

    assert (ended.code, ended.out) == (5, "")
    assert "Did you mean 'billing'?" in ended.err


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
    assert _due(client, keys) == [FAR_MS, FAR_MS + 1, FAR_MS + 2]


@pytest.mark.parametrize("arguments", [["now", "--all"], ["cancel", "first"], ["cancel", "first", "--drop"]])
def test_off_a_terminal_it_needs_yes_and_says_how_many(
    env: dict[str, str], client: redis.Redis, keys: Keys, arguments: list[str]
) -> None:
    ended = streamix("retries", *arguments, env=env)

    assert (ended.code, ended.out) == (6, "")
    assert "--yes" in ended.err
    assert "To be " in ended.err
    assert _due(client, keys) == [FAR_MS, FAR_MS + 1, FAR_MS + 2]


# --- what goes right ------------------------------------------------------------------------------


def test_no_retries_are_no_error(env: dict[str, str], any_server: Server, keys: Keys) -> None:
    with any_server.client() as client:
        handled(client, keys)

    ended = streamix("retries", "list", env=env)

    assert (ended.code, ended.out, ended.err) == (0, "", "No retries wait.\n")
    assert json.loads(streamix("retries", "list", "-o", "json", env=env).out) == []


def test_the_list_shows_the_next_due_first(env: dict[str, str], client: redis.Redis) -> None:
    ended = streamix("retries", "list", env=env)

    assert (ended.code, ended.err) == (0, "")
    heading, *rows = ended.out.splitlines()
    assert heading.split() == ["MESSAGE", "EVENT", "RETRY", "DUE", "AT", "ERROR"]
    assert [row.split()[0] for row in rows] == ["first", "second", "third"]
    assert "the network is silent" in rows[0]


def test_json_has_every_field_and_options_select(env: dict[str, str], client: redis.Redis) -> None:
    found = json.loads(streamix("retries", "list", "-o", "json", env=env).out)
    assert found[0] == {
        "message_id": "first", "group": GROUP, "event": EVENT, "retry": 2, "error_type": "TimeoutError",
        "due_at": "2096-10-02T07:06:40.000+00:00", "error": "the network is silent", "source_id": "7-0",
    }  # fmt: skip
    of_event = streamix("retries", "list", "-o", "ndjson", "--event", "other", env=env).out
    assert json.loads(of_event) == found[1]
    limited = streamix("retries", "list", "-o", "ndjson", "--limit", "1", env=env)
    assert json.loads(limited.out) == found[0]
    assert "3 wait" in limited.err
    looked = streamix("retries", "list", "--event", EVENT, "--look-at", "2", "-o", "ndjson", env=env)
    assert json.loads(looked.out) == found[0]
    assert "--look-at" in looked.err


def test_an_id_is_run_now_and_no_other(env: dict[str, str], client: redis.Redis, keys: Keys) -> None:
    ended = streamix("retries", "now", "third", "missing", "-o", "json", env=env)

    (line,) = json.loads(ended.out)
    assert (ended.code, line["message_id"], line["status"]) == (5, "third", "due now")
    assert "Due now: 1 of 2." in ended.err
    now_due, *others = _due(client, keys)
    assert now_due < FAR_MS
    assert others == [FAR_MS, FAR_MS + 1]


def test_all_of_an_event_are_run_now(env: dict[str, str], client: redis.Redis, keys: Keys) -> None:
    assert streamix("retries", "now", "--all", "--dry-run", env=env).err == "Would run 3 of 3.\n"
    assert _due(client, keys)[0] == FAR_MS

    ended = streamix("retries", "now", "--all", "--event", EVENT, "--yes", env=env)

    assert (ended.code, ended.err) == (0, "Due now: 2 of 2.\n")
    assert _due(client, keys)[2] == FAR_MS + 1


def test_a_cancelled_retry_becomes_a_dead_letter(
    env: dict[str, str], client: redis.Redis, keys: Keys
) -> None:
    dry = json.loads(streamix("retries", "cancel", "first", "--dry-run", "-o", "json", env=env).out)
    assert [line["status"] for line in dry] == ["would be cancelled"]
    assert client.zcard(keys.delayed) == 3

    ended = streamix("retries", "cancel", "first", "--yes", "-o", "ndjson", env=env)

    line = json.loads(ended.out)
    assert (ended.code, ended.err, line["status"]) == (0, "Cancelled 1 of 1.\n", "cancelled")
    ((letter_id, fields),) = letters_of(client, keys)
    assert line["letter_id"] == letter_id.decode()
    assert payload_of(fields)["original_id"] == "first"
    assert _due(client, keys) == [FAR_MS + 1, FAR_MS + 2]
    listed = json.loads(streamix("dlq", "ls", "--reason", "rejected", "-o", "ndjson", env=env).out)
    assert listed["message_id"] == "first"


def test_drop_removes_for_good(env: dict[str, str], client: redis.Redis, keys: Keys) -> None:
    ended = streamix("retries", "cancel", "--all", "--event", EVENT, "--drop", "--yes", env=env)

    assert (ended.code, ended.err) == (0, "Dropped 2 of 2.\n")
    assert _due(client, keys) == [FAR_MS + 1]
    assert letters_of(client, keys) == []


def test_hostile_text_reaches_no_terminal(env: dict[str, str], client: redis.Redis, keys: Keys) -> None:
    put_retry(client, keys, "\x1b[2J\x9b1m\u202e", due_ms=FAR_MS - 1)
    client.zadd(keys.delayed, {b"\x1b]0;owned\x07": FAR_MS - 2})

    for output in ("table", "json", "ndjson"):
        ended = streamix("retries", "list", "-o", output, env=env)
        assert ended.code == 0
        assert all(line.isprintable() for line in ended.out.split("\n"))
