"""`Control.trim`: what every group is done with goes, and nothing else, on every kind of server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from streamix_queue.admin import Control
from streamix_queue.core.keys import Keys
from tests.support.servers import Server

ENTRIES = 1000


@pytest.fixture
def client(server: Server) -> Iterator[redis.Redis]:
    with server.client() as client:
        yield client


@pytest.fixture
def control(server: Server, stream: str) -> Iterator[Control]:
    with Control(server.url, stream) as control:
        yield control


@pytest.fixture
def old(client: redis.Redis, stream: str) -> str:
    """A stream with entries that have been there for long."""
    pipe = client.pipeline(transaction=False)
    for n in range(1, ENTRIES + 1):
        pipe.xadd(stream, {"message": "x"}, id=f"{n}-0")
    pipe.execute()
    return stream


def _first(client: redis.Redis, stream: str) -> int:
    found: Any = client.xrange(stream, count=1)
    ((entry_id, _),) = found
    return int(entry_id.partition(b"-")[0])


def test_without_a_group_nothing_goes(control: Control, client: redis.Redis, old: str) -> None:
    assert control.trim(keep_ms=0).removed == 0
    assert client.xlen(old) == ENTRIES


def test_a_group_that_has_read_nothing_yet_lets_nothing_go(
    control: Control, client: redis.Redis, old: str
) -> None:
    """Fails when what stands below the very first id is asked for: Redis refuses that."""
    client.xgroup_create(old, "new", id="0")

    assert control.trim(keep_ms=0, dry_run=True).removed == 0
    assert control.trim(keep_ms=0).removed == 0
    assert client.xlen(old) == ENTRIES


def test_unread_and_pending_entries_stay_and_who_needs_them_is_named(
    control: Control, client: redis.Redis, old: str
) -> None:
    client.xgroup_create(old, "done", id=f"{ENTRIES}-0")
    client.xgroup_create(old, "behind", id="0")
    client.xreadgroup("behind", "c", {old: ">"}, count=700)
    client.xack(old, "behind", *(f"{n}-0" for n in range(1, 651)))

    planned = control.trim(dry_run=True)
    assert (planned.removed, planned.left, planned.floor) == (650, ENTRIES, "651-0")
    assert client.xlen(old) == ENTRIES
    report = control.trim()

    assert report.removed == ENTRIES - client.xlen(old) == ENTRIES - report.left
    assert 400 <= report.removed <= 650  # whole nodes of about a hundred
    assert _first(client, old) == report.removed + 1
    assert [(pin.group, pin.entry_id, pin.pending) for pin in report.pins] == [("behind", "651-0", 50)]


def test_the_longest_wish_counts_unless_another_is_given(
    control: Control, client: redis.Redis, old: str
) -> None:
    seconds, _ = client.time()
    client.xgroup_create(old, "done", id=f"{ENTRIES}-0")
    client.hset(Keys(old, "done").keeps, "done", seconds * 2000)

    assert control.trim().removed == 0
    assert control.trim(keep_ms=0).removed >= ENTRIES - 200


def test_without_a_wish_a_day_is_kept(control: Control, client: redis.Redis, stream: str) -> None:
    last = [client.xadd(stream, {"message": "x"}) for _ in range(300)][-1]
    client.xgroup_create(stream, "done", id=last)

    assert control.trim().removed == 0
    assert control.trim(keep_ms=60_000).removed == 0
    assert client.xlen(stream) == 300


def test_a_dry_run_counts_only_so_far(
    control: Control, client: redis.Redis, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamix_queue.admin.control._COUNTED_UP_TO", 500)
    client.xgroup_create(old, "done", id=f"{ENTRIES}-0")

    assert control.trim(dry_run=True).removed == 500


def test_every_step_is_told(
    control: Control, client: redis.Redis, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamix_queue.admin.control._PER_STEP", 200)
    client.xgroup_create(old, "done", id=f"{ENTRIES}-0")
    steps: list[int] = []

    report = control.trim(progress=steps.append)

    assert len(steps) > 1
    assert sum(steps) == report.removed == ENTRIES - client.xlen(old)
