"""Handled or dead-lettered, whichever process or server dies, and at whatever instant (design, §5.1)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamix_queue import BrokerError, Publisher, PublishUnknown
from tests.support.fleet import Fleet
from tests.support.history import Published
from tests.support.servers import KINDS, Server

LEASE_MS = 1000
# A lease, the sweep after it, and what a busy machine needs; not two leases.
RECOVERED_WITHIN_S = LEASE_MS / 1000 + LEASE_MS / 3000 * 1.2 + 1.5


def test_what_all_processes_were_at_when_they_were_killed_runs_again_within_a_lease(
    server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when what a process left behind is not reclaimed (mutant reclaim_off)."""
    with Fleet(server, stream, tmp_path, claim_idle_ms=LEASE_MS, concurrency=2, prefetch=2) as fleet:
        never = fleet.gate()
        victims = [fleet.start() for _ in range(3)]
        messages = fleet.publish_many([{"do": "nth", "acts": [never(), {}]}] * 6)
        for message in messages:
            fleet.wait_for("started", message)
        killed_at = time.monotonic()
        for victim in victims:
            victim.kill()
        heirs = [fleet.launch() for _ in range(3)]
        ready_at = max(fleet.wait_for("consumer_started", by=heir)["monotonic"] for heir in heirs)
        for message in messages:
            ended = fleet.wait_for("settled", message)
            assert ended["monotonic"] <= max(killed_at, ready_at) + RECOVERED_WITHIN_S
        fleet.rest()
        assert fleet.report(max_starts=2, max_duplicates=0).ok


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_killed_around_its_ack_costs_one_duplicate_of_what_was_not_acked(
    any_server: Server, stream: str, tmp_path: Path, when: str
) -> None:
    """Fails when the ack comes before the handler ends (mutant ack_first)."""
    with Fleet(any_server, stream, tmp_path, claim_idle_ms=600) as fleet:
        gate = fleet.gate()
        messages = fleet.publish_many([gate(), *[{}] * 9])  # the first is still running when it is killed
        victim = fleet.launch(failpoint=f"{when}_ack", prefetch=10, concurrency=2)
        assert victim.wait(20) == -9
        done = {record["message_id"] for record in fleet.records("finished")}
        gate.open()
        fleet.start()
        fleet.rest()
        report = fleet.report(max_starts=2, max_duplicates=len(done))
        assert report.ok
        assert report.groups["g"].ok == set(messages)
        assert done, "it did handle something"
        if when == "before":
            assert report.groups["g"].duplicated == len(done)
        else:
            assert report.groups["g"].duplicated < len(done), "what Redis has acked is not repeated"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["retry", "dead_letter"])
def test_a_process_killed_around_the_end_of_a_failure_neither_loses_nor_repeats_it(
    any_server: Server, stream: str, tmp_path: Path, when: str, what: str
) -> None:
    """Fails when a retry or dead letter and its ack are two steps (mutant ack_apart)."""
    with Fleet(any_server, stream, tmp_path, claim_idle_ms=600, retry_limit=1) as fleet:
        act = {"do": "fail_times", "n": 1} if what == "retry" else {"do": "reject"}
        message = fleet.publish(act)
        if what == "dead_letter":
            fleet.doom(message, "rejected")
        victim = fleet.launch(failpoint=f"{when}_{what}")
        assert victim.wait(20) == -9
        fleet.start()
        fleet.rest()
        assert fleet.report(max_starts=3, max_duplicates=0).ok
        repeated = 1 if when == "before" else 0
        attempts = 2 if what == "retry" else 1
        assert len(fleet.records("started", message)) == attempts + repeated


def test_a_process_killed_while_it_hands_back_at_the_end_loses_nothing(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when what a process left behind is not reclaimed (mutant reclaim_off)."""
    with Fleet(any_server, stream, tmp_path, claim_idle_ms=600) as fleet:
        gate = fleet.gate()
        victim = fleet.start(failpoint="before_hand_back", prefetch=8)
        messages = fleet.publish_many([gate()] + [{}] * 7)
        fleet.wait_for("started", messages[0])
        fleet.wait_until_taken(8)
        victim.terminate()
        assert victim.wait(20) == -9
        gate.open()
        fleet.start()
        fleet.rest()
        assert fleet.report(max_starts=2).ok


class Producer(threading.Thread):
    """Publishes one at a time until told to stop, and notes what it was told of each."""

    def __init__(self, url: str, stream: str, told: Published) -> None:
        super().__init__(name="producer", daemon=True)
        self._publisher = Publisher(url, stream, timeout_ms=3000)
        self._told = told
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.wait(0.001):
            try:
                self._told.ok.add(self._publisher.publish("thing", self._next()).id)
            except PublishUnknown as error:
                self._told.indeterminate.add(error.message_id)
            except BrokerError:
                self._told.refused += 1
        self._publisher.close()

    def _next(self) -> dict[str, Any]:
        return {"do": "fail_times", "n": 1} if len(self._told.ok) % 10 == 0 else {}


@pytest.mark.parametrize(("kind", "fsync"), [*((kind, "everysec") for kind in KINDS), ("valkey9", "always")])
def test_a_server_that_is_killed_and_restarted_under_load_loses_nothing(
    start_server: Callable[..., Server], stream: str, tmp_path: Path, kind: str, fsync: str
) -> None:
    """Fails when what Redis has not confirmed is forgotten (mutant unconfirmed_forgotten).

    What the server had answered is with the kernel, which outlives it; a power cut is another matter.
    """
    server = start_server(kind, appendonly=True, extra_args=["--appendfsync", fsync])
    with Fleet(server, stream, tmp_path, claim_idle_ms=3000, concurrency=4) as fleet:
        for _ in range(2):
            fleet.start()
        producer = Producer(server.url, stream, fleet.published)
        producer.start()
        for _ in range(3):
            settled = len(fleet.records("settled"))
            deadline = time.monotonic() + 20
            while len(fleet.records("settled")) < settled + 200:
                assert time.monotonic() < deadline, "no progress"
                time.sleep(0.005)
            server.kill()
            server.restart()
        last = fleet.publish()
        fleet.wait_for("settled", last)
        producer.enough.set()
        producer.join(20)
        fleet.rest()
        assert fleet.report(struck=3, faults=3, published=400, max_starts=2 + 5).ok
        assert not any(process.exited for process in fleet.processes)
