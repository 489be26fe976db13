"""`streamix show`: what it does not find, and how what it finds looks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from streamix_queue.core.keys import Keys
from streamix_queue.core.wire import FailedAttempt, History, build, encode, with_history
from tests.admin.services import EVENT
from tests.admin.waiting import TRACE, handled, put_retry
from tests.cli.stories import NOW, TRACE_ID, UUID, add, states, told
from tests.support.command import streamix
from tests.support.servers import Server

HOSTILE = "\x1b]0;owned\x07\u202e"


@pytest.fixture
def client(any_server: Server) -> redis.Redis:
    return any_server.client()


# --- what goes wrong ------------------------------------------------------------------------------


def test_redis_that_is_not_there_is_told_without_its_password(nowhere: dict[str, str]) -> None:
    ended = streamix("show", UUID, env=nowhere)

    assert (ended.code, ended.out) == (3, "")
    assert "streamix server" in ended.err
    assert "hunter2" not in ended.err


@pytest.mark.parametrize(
    "asked", ["1-1", "5-99", UUID, "x", HOSTILE, f"{2**64}-0", "99999999999999999999-0", "1" * 5000]
)
def test_an_unknown_id_is_not_found(
    env: dict[str, str], client: redis.Redis, stream: str, asked: str
) -> None:
    add(client, stream, "5-0", "another")
    handled(client, Keys(stream, "billing"))

    ended = streamix("show", asked, env=env)

    assert (ended.code, ended.out) == (5, "")
    assert "is known" in ended.err
    assert all(line.isprintable() for line in ended.err.split("\n"))
    assert "Traceback" not in ended.err


def test_a_stream_that_is_not_there_knows_no_message(env: dict[str, str]) -> None:
    for asked in ("1-1", UUID):
        assert streamix("show", asked, env=env).code == 5


def test_of_an_unknown_entry_id_its_neighbours_are_offered(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    for n in (5, 7, 9):
        add(client, stream, f"{n}-0")

    assert "Ids like it: 7-0, 9-0\n" in streamix("show", "8-0", env=env).err


@pytest.mark.parametrize("asked", [UUID[:8], UUID[:-1] + "f"])
def test_of_an_unknown_message_id_one_like_it_is_offered(
    env: dict[str, str], client: redis.Redis, stream: str, asked: str
) -> None:
    add(client, stream)

    ended = streamix("show", asked, env=env)

    assert ended.code == 5
    assert f"Ids like it: {UUID}\n" in ended.err


def test_a_message_beyond_the_window_is_not_found_until_it_looks_further(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    for n in range(1, 121):
        add(client, stream, f"{n}-0", f"m{n}")

    ended = streamix("show", "m1", "--scan", "119", env=env)

    assert ended.code == 5
    assert "Looked at 119 only of the stream; --scan looks further." in ended.err
    assert told("m1", "--scan", "120", env=env)["entry_id"] == "1-0"
    assert told("m2", "--scan", "119", env=env)["entry_id"] == "2-0"
    assert told("1-0", "--scan", "1", env=env)["message_id"] == "m1"


@pytest.mark.parametrize("wrong", [["--scan", "0"], ["-o", "xml"], []], ids=str)
def test_a_wrong_option_or_no_id_is_wrong_usage(env: dict[str, str], wrong: list[str]) -> None:
    assert streamix("show", *wrong, *([UUID] if wrong else []), env=env).code == 2


def test_what_was_not_all_looked_at_is_not_called_handled(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    keys, entry_id = Keys(stream, "billing"), add(client, stream)
    client.xgroup_create(stream, "billing", id="0")
    client.xreadgroup("billing", "w1", {stream: ">"})
    client.xack(stream, "billing", entry_id)
    assert states(told(entry_id, env=env)) == {"billing": "handled"}
    for n in range(3):
        put_retry(client, keys, f"another {n}")

    ended = streamix("show", entry_id, "--scan", "2", "-o", "json", env=env)

    assert states(json.loads(ended.out)) == {"billing": "settled"}
    assert "Looked at 2 only of the delayed retries of group 'billing'" in ended.err


def test_a_hostile_payload_reaches_no_terminal(env: dict[str, str], client: redis.Redis, stream: str) -> None:
    entry_id = add(client, stream, **{"text": HOSTILE, HOSTILE: "1"})
    client.xgroup_create(stream, HOSTILE, id="0")
    client.xreadgroup(HOSTILE, HOSTILE, {stream: ">"})

    for output in ("table", "wide", "json", "ndjson"):
        ended = streamix("show", entry_id, "-o", output, env=env)
        assert (ended.code, ended.err) == (0, "")
        assert "owned" in ended.out
        assert all(line.isprintable() for line in ended.out.split("\n"))


@pytest.mark.parametrize("fields", [{"message": "{"}, {"message": b"\xff"}, {"other": "\x1b[2J"}], ids=str)
def test_an_entry_that_cannot_be_decoded_is_shown_with_the_reason(
    env: dict[str, str], client: redis.Redis, stream: str, fields: dict[Any, Any]
) -> None:
    client.xadd(stream, fields, id="5-0")
    client.xgroup_create(stream, "billing", id="0")

    story = told("5-0", env=env)

    assert story["error"].startswith("malformed: ")
    assert (story["message_id"], story["event"], story["data"]) == (None, None, None)
    assert states(story) == {"billing": "undelivered"}
    assert "malformed: " in streamix("show", "5-0", env=env).out


def test_a_key_of_another_type_is_an_error_and_no_trace(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    client.set(stream, "x")

    ended = streamix("show", UUID, env=env)

    assert (ended.code, ended.out) == (1, "")
    assert "Traceback" not in ended.err


# --- how it looks ---------------------------------------------------------------------------------


def test_people_see_the_envelope_the_groups_the_attempts_and_the_payload(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    entry_id = add(client, stream, n=42)
    keys = Keys(stream, "billing")
    handled(client, keys)
    client.xgroup_setid(stream, "billing", entry_id)
    put_retry(client, keys, UUID)

    ended = streamix("show", entry_id, env=env)

    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert [line for line in lines if line in ("groups", "attempts in billing", "payload")] == [
        "groups",
        "attempts in billing",
        "payload",
    ]
    assert lines[0] == f"entry     {entry_id}"
    for label, value in (("message", UUID), ("event", EVENT), ("retries", "0"), ("trace", TRACE_ID)):
        assert f"{label:<9} {value}" in lines
    assert (
        "retry 2, due 2096-10-02T07:06:40.000+00:00, after TimeoutError: the network is silent" in ended.out
    )
    assert f"  {NOW}  0.100 s  c1  TimeoutError: the network is silent" in lines
    assert lines[-3:] == ["  {", '    "n": 42', "  }"]


def test_wide_shows_more_columns_and_ndjson_is_one_line(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    entry_id = add(client, stream)
    client.xgroup_create(stream, "billing", id="0")

    shown: Callable[[str], str] = lambda output: streamix("show", entry_id, "-o", output, env=env).out  # noqa: E731

    assert "REPLAYS" not in shown("table")
    assert "REPLAYS" in shown("wide")
    assert shown("ndjson").count("\n") == 1
    assert json.loads(shown("ndjson")) == json.loads(shown("json"))


def test_a_stream_without_groups_still_shows_the_entry(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    entry_id = add(client, stream)

    assert told(UUID, env=env)["groups"] == []
    assert "The stream has none." in streamix("show", entry_id, env=env).out


def test_an_error_that_holds_a_password_is_masked(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    keys, entry_id = Keys(stream, "billing"), add(client, stream)
    handled(client, keys)
    raw = encode(build(EVENT, {"n": 1}, UUID, NOW), max_bytes=10_000)
    attempt = FailedAttempt(NOW, 0.1, "OSError", "no route to redis://me:hunter2@db", "c1")
    fields = with_history(raw, TRACE, History(entry_id, "retry", [attempt]))
    client.xadd(keys.inbox(EVENT), dict(zip(fields[::2], fields[1::2], strict=True)))

    for output in ("table", "json"):
        out = streamix("show", entry_id, "-o", output, env=env).out
        assert "redis://***@db" in out
        assert "hunter2" not in out
