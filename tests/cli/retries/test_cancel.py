"""`streamix retries cancel`."""

from __future__ import annotations

import json

import redis

from streamix_queue.core.keys import Keys
from tests.admin.waiting import EVENT, FAR_MS, letters_of, payload_of
from tests.cli.retries.waiting_set import due_times
from tests.support.command import streamix


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
    assert due_times(client, keys) == [FAR_MS + 1, FAR_MS + 2]
    listed = json.loads(streamix("dlq", "ls", "--reason", "rejected", "-o", "ndjson", env=env).out)
    assert listed["message_id"] == "first"


def test_drop_removes_for_good(env: dict[str, str], client: redis.Redis, keys: Keys) -> None:
    ended = streamix("retries", "cancel", "--all", "--event", EVENT, "--drop", "--yes", env=env)

    assert (ended.code, ended.err) == (0, "Dropped 2 of 2.\n")
    assert due_times(client, keys) == [FAR_MS + 1]
    assert letters_of(client, keys) == []
