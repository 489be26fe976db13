"""An event that an operator pauses is not started by any member, and nothing of it is lost or counted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from streamix_queue.broker.redis.consumer import RedisConsumerBroker
from streamix_queue.core.keys import Keys
from tests.support.fleet import Fleet
from tests.support.servers import Server

NOTICED_S = 2.0
EVENTS = ("thing", "other")


@pytest.fixture
def operator(server: Server, stream: str) -> Any:
    broker = RedisConsumerBroker(server.url, Keys(stream, "g"), "operator")
    yield broker
    broker.close()


def wait_for_all(fleet: Fleet, kind: str, event: str) -> None:
    """Every process has said so."""
    for process in fleet.processes:
        if not process.exited:
            fleet.wait_for(kind, by=process, where=lambda record: record["event"] == event)


def started_after(fleet: Fleet, moment: float, event: str) -> list[Any]:
    records = fleet.records("started")
    return [r for r in records if r["monotonic"] > moment and r["event"] == event]


def test_a_paused_event_is_started_by_no_member_until_it_is_resumed(
    server: Server, stream: str, tmp_path: Path, operator: RedisConsumerBroker
) -> None:
    slow = {"do": "sleep", "s": 0.02}
    with Fleet(server, stream, tmp_path, events=EVENTS, concurrency=2, retry_limit=0) as fleet:
        fleet.start()
        fleet.start()
        ids = fleet.publish_many([slow] * 300)
        fleet.wait_for("finished", where=lambda record: record["event"] == "thing")
        operator.pause(["thing"])
        paused_at = time.monotonic()
        wait_for_all(fleet, "event_paused", "thing")
        last = max(r["monotonic"] for r in fleet.records("event_paused"))
        assert last - paused_at < NOTICED_S
        ids += fleet.publish_many([slow] * 20)
        others = fleet.publish_many([{}] * 20, event="other")
        for message_id in others:
            fleet.wait_for("settled", message_id)

        # (A handler that was being called in that very moment may have begun.)
        assert started_after(fleet, last + 0.1, "thing") == []

        operator.resume(["thing"])
        fleet.rest()

        settled = [r for r in fleet.records("settled") if r["outcome"] == "ack"]
        assert {r["message_id"] for r in settled} == {*ids, *others}
        assert {r["retries"] for r in fleet.records("started")} == {0}, "a pause is no attempt"
        report = fleet.report()
        assert report.ok, report


def test_a_pause_outlives_members_and_those_that_start_later_keep_it(
    server: Server, stream: str, tmp_path: Path, operator: RedisConsumerBroker
) -> None:
    with Fleet(server, stream, tmp_path, events=EVENTS) as fleet:
        operator.pause(["thing"])
        paused = fleet.publish_many([{}] * 10)
        first = fleet.start()
        wait_for_all(fleet, "event_paused", "thing")
        others = [fleet.publish(event="other")]
        fleet.wait_for("settled", others[0])
        first.kill()
        fleet.start()
        others.append(fleet.publish(event="other"))
        fleet.wait_for("settled", others[1])

        assert {r["message_id"] for r in fleet.records("started")} == set(others)

        operator.resume(["thing"])
        fleet.rest()

        finished = {r["message_id"] for r in fleet.records("finished")}
        assert finished == {*paused, *others}


def test_what_a_dead_member_held_of_a_paused_event_waits_as_well(
    server: Server, stream: str, tmp_path: Path, operator: RedisConsumerBroker
) -> None:
    with Fleet(server, stream, tmp_path, events=EVENTS) as fleet:
        gate = fleet.gate()
        victim = fleet.start()
        held = fleet.publish(gate())
        fleet.wait_for("started", held)
        operator.pause(["thing"])
        victim.kill()
        fleet.start()
        taken = fleet.wait_for("reclaimed")
        other = fleet.publish(event="other")
        fleet.wait_for("settled", other)
        fleet.wait_for("settled", held, where=lambda record: record["outcome"] == "park")
        assert started_after(fleet, taken["monotonic"], "thing") == []

        gate.open()
        operator.resume(["thing"])
        fleet.rest()

        assert [r["retries"] for r in fleet.records("finished", held)] == [0]
