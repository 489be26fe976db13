"""Streams are trimmed by default, and never of what a group still needs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from streamix_queue import Publisher
from streamix_queue.broker.redis.consumer import RedisConsumerBroker
from streamix_queue.core.facts import BrokerDown, Fact, UpkeepRefused
from streamix_queue.core.keys import Keys
from tests.support.fleet import Fleet
from tests.support.members import Handler, dead_letters, eventually, member
from tests.support.old_release import OldRelease
from tests.support.servers import Server

ROOT = Path(__file__).parents[2]
old = OldRelease()


def length(server: Server, stream: str) -> int:
    with server.client() as client:
        return int(client.xlen(stream))


@pytest.mark.slow
def test_with_its_default_a_consumer_keeps_a_day(any_server: Server, stream: str) -> None:
    """What everybody is done with goes when it is a day old, and not before."""
    with any_server.client() as client:
        now: Any = client.time()
        day_ago = now[0] * 1000 - 86_400_000
        for n in range(250):
            client.execute_command("XADD", stream, f"{day_ago - 60_000 + n}-1", "message", b"?" * 40)
        for n in range(250):
            client.execute_command("XADD", stream, f"{day_ago + 3_600_000 + n}-1", "message", b"?" * 40)
    consumer = member(any_server.url, stream)
    consumer.on("thing", Handler())
    with consumer:
        # (Trimming takes whole nodes of a stream, here of some 100 entries.)
        eventually(lambda: 250 <= length(any_server, stream) < 400, timeout_s=30)


def test_memory_follows_the_slowest_group_through_kills(server: Server, stream: str, tmp_path: Path) -> None:
    """Two processes of one group are killed in turn while another group stands still half-way."""
    with server.client() as client:
        client.config_set("stream-node-max-entries", 10)
    lagging = member(server.url, stream, "lagging", keep_ms=0, concurrency=4)
    seen = Handler()
    lagging.on("thing", seen)
    try:
        with Fleet(server, stream, tmp_path, keep_ms=0, concurrency=2) as fleet:
            fleet.start()
            with Publisher(server.url, stream) as publisher:
                publisher.publish("thing", {}, group="lagging")
            ids = fleet.publish_many([{"n": n} for n in range(300)])
            with lagging:
                seen.wait_for(100)
            eventually(lambda: fleet.processes, what="a member")
            for _ in range(2):
                victim = fleet.processes[-1]
                fleet.start()
                victim.kill()
                ids += fleet.publish_many([{"n": n} for n in range(300)])
            fleet.rest()
            done = len({call.message.id for call in seen.calls})
            assert length(server, stream) >= len(ids) + 1 - done

            with lagging:
                seen.wait_until(lambda calls: {call.message.id for call in calls} >= set(ids))
                eventually(lambda: length(server, stream) < 50, timeout_s=20)

            finished = {record["message_id"] for record in fleet.records("finished")}
            assert finished >= set(ids)
            with server.client() as client:
                assert [letter.reason for letter in dead_letters(client, stream)] == []
    finally:
        with server.client() as client:
            client.config_set("stream-node-max-entries", 100)


def test_members_of_0_1_0_in_the_group_lose_nothing_beside_a_janitor(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    handler = Handler(lambda data, message: time.sleep(0.002))
    consumer = member(any_server.url, stream, keep_ms=0, prefetch=10)
    consumer.on("thing", handler)
    janitor = RedisConsumerBroker(any_server.url, Keys(stream, "g"), "janitor")
    with consumer, Publisher(any_server.url, stream) as publisher, any_server.client() as client:
        with old.consumer(any_server.url, stream, tmp_path, consumer="worker-1") as theirs:
            ids: set[str] = set()

            def all_handled() -> bool:
                here = {call.message.id for call in handler.calls}
                return {message["id"] for message in theirs.calls} | here >= ids

            eventually(lambda: b"worker-1" in _names(client, stream))
            for _ in range(3):
                ids |= {m.id for m in publisher.publish_many([("thing", {"n": n}) for n in range(200)])}
                eventually(all_handled)
                janitor.remove_idle([stream.encode()], 0)  # also the names of members that live
        assert theirs.calls
        assert handler.calls
        eventually(lambda: int(client.xlen(stream)) < 200, timeout_s=20)
        assert dead_letters(client, stream) == []
    janitor.close()


def _names(client: redis.Redis, stream: str) -> set[bytes]:
    infos: Any = client.xinfo_consumers(stream, "g")
    return {info["name"] for info in infos}


def _number(entry_id: bytes) -> tuple[int, int]:
    ms, seq = entry_id.split(b"-")
    return int(ms), int(seq)


def test_a_group_of_other_software_loses_nothing(any_server: Server, stream: str) -> None:
    with any_server.client() as client, Publisher(any_server.url, stream) as publisher:
        client.xgroup_create(stream, "theirs", "0", mkstream=True)
        publisher.publish_many([("thing", {"n": n}) for n in range(1000)])
        theirs: Any = client.xreadgroup("theirs", "worker-1", {stream: ">"}, count=400)
        ids = [entry_id for entry_id, _ in theirs[0][1]]
        client.xack(stream, "theirs", *ids[:300])
        handler = Handler()
        consumer = member(any_server.url, stream, keep_ms=0, concurrency=4)
        consumer.on("thing", handler)
        with consumer:
            handler.wait_for(1000)
            eventually(lambda: length(any_server, stream) <= 800, timeout_s=20)

        first: Any = client.xrange(stream, count=1)
        assert _number(first[0][0]) <= _number(ids[300])
        pending: Any = client.xpending_range(stream, "theirs", "-", "+", 1000)
        assert [entry["message_id"] for entry in pending] == ids[300:]
        assert all(client.xrange(stream, entry_id, entry_id) for entry_id in ids[300:])
        rest: Any = client.xreadgroup("theirs", "worker-1", {stream: ">"}, count=1000)
        assert len(rest[0][1]) == 600


class Refusals:
    """An observer that keeps what the janitor was refused."""

    def __init__(self) -> None:
        self.chores: list[str] = []

    def notice(self, fact: Fact) -> None:
        assert not isinstance(fact, BrokerDown)
        if isinstance(fact, UpkeepRefused):
            self.chores.append(fact.chore)


def test_a_user_without_the_right_to_trim_still_consumes(any_server: Server, stream: str) -> None:
    with any_server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-xtrim", "-xinfo")
    url = any_server.url.replace("redis://", "redis://app:pw@")
    handler, refusals = Handler(), Refusals()
    consumer = member(url, stream, keep_ms=0, observers=[refusals])
    consumer.on("thing", handler)
    try:
        with consumer, Publisher(url, stream) as publisher:
            publisher.publish_many([("thing", {"n": n}) for n in range(300)])
            handler.wait_for(300)
            eventually(lambda: refusals.chores, what="the janitor says that it may not")
            assert consumer.running
        assert refusals.chores == ["trim", "inboxes", "names"]
    finally:
        with any_server.client() as client:
            client.execute_command("ACL", "DELUSER", "app")


def test_nothing_is_left_of_a_stop_in_the_keys_of_the_group(any_server: Server, stream: str) -> None:
    """The locks of the janitor expire, and its wish is one small hash."""
    consumer = member(any_server.url, stream, keep_ms=0)
    consumer.on("thing", Handler())
    keys = Keys(stream, "g")
    with consumer, any_server.client() as client:
        eventually(lambda: client.exists(keys.janitor, keys.upkeep) == 2)
        assert 0 < int(client.pttl(keys.janitor)) <= 2500
        assert 0 < int(client.pttl(keys.upkeep)) <= 2500
        assert client.hgetall(keys.keeps) == {b"g": b"0"}


@pytest.mark.timeout(120)
def test_three_groups_one_slow_one_stopped_half_way() -> None:
    """The load script's scenario in small, by the same code: see load/retention.py."""
    command = [sys.executable, "-m", "load.retention", "--messages", "12000", "--server", "valkey9"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "telemetry")])
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
