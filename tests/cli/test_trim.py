"""`streamix trim`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.support.command import streamix
from tests.support.servers import Server

ENTRIES = 1000


@pytest.fixture
def client(any_server: Server, stream: str) -> Iterator[redis.Redis]:
    """Of a stream of old entries with the groups done and behind, which has read half of it."""
    with any_server.client() as client:
        pipe = client.pipeline(transaction=False)
        for n in range(1, ENTRIES + 1):
            pipe.xadd(stream, {"message": "x"}, id=f"{n}-0")
        pipe.xgroup_create(stream, "done", id=f"{ENTRIES}-0")
        pipe.xgroup_create(stream, "behind", id="500-0")
        pipe.execute()
        yield client


def test_redis_that_is_not_there_is_told(nowhere: dict[str, str]) -> None:
    ended = streamix("trim", "--yes", env=nowhere)

    assert (ended.code, ended.out) == (3, "")
    assert "hunter2" not in ended.err


@pytest.mark.parametrize("keep", ["", "x", "5", "-1s", "1w", "\uff11d", "1h30m"])
def test_a_time_that_cannot_be_is_wrong_usage(env: dict[str, str], keep: str) -> None:
    ended = streamix("trim", "--keep", keep, env=env)

    assert ended.code == 2
    assert "30m" in ended.err


def test_off_a_terminal_it_needs_yes_and_says_how_many(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    ended = streamix("trim", env=env)

    assert (ended.code, ended.out) == (6, "")
    assert f"up to 500 of {ENTRIES}" in ended.err or f"up to 499 of {ENTRIES}" in ended.err
    assert "--yes" in ended.err
    assert client.xlen(stream) == ENTRIES


def test_a_dry_run_removes_nothing_and_names_who_holds_the_stream_back(
    env: dict[str, str], client: redis.Redis, stream: str
) -> None:
    ended = streamix("trim", "--dry-run", env=env)

    assert ended.code == 0
    heading, row = ended.out.splitlines()
    assert heading.split()[:3] == ["GROUP", "NEEDS", "FROM"]
    assert row.split()[:2] == ["behind", "501-0"]
    assert "1 group(s) far behind" in ended.err
    assert client.xlen(stream) == ENTRIES


def test_what_is_needed_stays(env: dict[str, str], client: redis.Redis, stream: str) -> None:
    ended = streamix("trim", "--keep", "0", "--yes", "-o", "json", env=env)

    report = json.loads(ended.out)
    assert ended.code == 0
    assert 300 <= report["removed"] <= 500
    assert report["left"] == ENTRIES - report["removed"] == client.xlen(stream)
    assert (report["dry_run"], report["removable"], report["pinning"]) == (False, None, 1)
    assert [pin["group"] for pin in report["pins"]] == ["behind"]
    needed: Any = client.xrange(stream, "501-0", "+")
    assert len(needed) == 500


def test_json_of_a_dry_run_tells_what_may_go(env: dict[str, str], client: redis.Redis) -> None:
    report = json.loads(streamix("trim", "--dry-run", "-o", "ndjson", env=env).out)

    assert (report["removed"], report["dry_run"]) == (0, True)
    assert report["removable"] in (499, 500)


def test_nothing_to_remove_needs_no_yes(env: dict[str, str]) -> None:
    ended = streamix("trim", env=env)

    assert (ended.code, ended.out) == (0, "")
    assert "Nothing may go" in ended.err
