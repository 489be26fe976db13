"""`streamix retries list`."""

from __future__ import annotations

import json

import redis

from streamix_queue.core.keys import Keys
from tests.admin.waiting import EVENT, FAR_MS, GROUP, handled, put_retry
from tests.support.command import streamix
from tests.support.servers import Server


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


def test_hostile_text_reaches_no_terminal(env: dict[str, str], client: redis.Redis, keys: Keys) -> None:
    put_retry(client, keys, "\x1b[2J\x9b1m\u202e", due_ms=FAR_MS - 1)
    client.zadd(keys.delayed, {b"\x1b]0;owned\x07": FAR_MS - 2})

    for output in ("table", "json", "ndjson"):
        ended = streamix("retries", "list", "-o", output, env=env)
        assert ended.code == 0
        assert all(line.isprintable() for line in ended.out.split("\n"))
