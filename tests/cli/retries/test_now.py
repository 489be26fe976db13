"""`streamix retries now`."""

from __future__ import annotations

import json

import redis

from streamix_queue.core.keys import Keys
from tests.admin.waiting import EVENT, FAR_MS
from tests.cli.retries.waiting_set import due_times
from tests.support.command import streamix


def test_an_id_is_run_now_and_no_other(env: dict[str, str], client: redis.Redis, keys: Keys) -> None:
    ended = streamix("retries", "now", "third", "missing", "-o", "json", env=env)

    (line,) = json.loads(ended.out)
    assert (ended.code, line["message_id"], line["status"]) == (5, "third", "due now")
    assert "Due now: 1 of 2." in ended.err
    now_due, *others = due_times(client, keys)
    assert now_due < FAR_MS
    assert others == [FAR_MS, FAR_MS + 1]


def test_all_of_an_event_are_run_now(env: dict[str, str], client: redis.Redis, keys: Keys) -> None:
    assert streamix("retries", "now", "--all", "--dry-run", env=env).err == "Would run 3 of 3.\n"
    assert due_times(client, keys)[0] == FAR_MS

    ended = streamix("retries", "now", "--all", "--event", EVENT, "--yes", env=env)

    assert (ended.code, ended.err) == (0, "Due now: 2 of 2.\n")
    assert due_times(client, keys)[2] == FAR_MS + 1
