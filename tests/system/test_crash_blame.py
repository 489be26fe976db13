"""A message that kills its process is found and put aside, and no other with it (design, §5.5, §5.1)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleet import Fleet
from tests.support.processes import ConsumerProcess
from tests.support.servers import Server

MAX_DELIVERIES = 5  # the default
GOOD = {"do": "sleep", "s": 0.02}
POISON: dict[str, dict[str, Any]] = {"os._exit": {"do": "exit"}, "segfault": {"do": "segfault"}}


def keep_alive(fleet: Fleet, count: int, done: Callable[[], bool], **options: Any) -> list[int]:
    """Run ``count`` processes and restart each that dies until ``done()``; the exit codes."""
    codes: list[int] = []
    alive: list[ConsumerProcess] = []
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, f"not done after {len(codes)} deaths: {codes}"
        codes += [process.wait(0) for process in alive if process.exited]
        alive = [process for process in alive if not process.exited]
        alive += [fleet.launch(**options) for _ in range(count - len(alive))]
        time.sleep(0.01)
    return codes


@pytest.mark.parametrize(
    ("poison", "processes", "concurrency"),
    [("os._exit", 1, 1), ("os._exit", 1, 4), ("os._exit", 2, 4), ("segfault", 1, 4)],
)
def test_a_message_that_kills_its_process_is_buried_and_its_neighbours_are_handled(
    any_server: Server, stream: str, tmp_path: Path, poison: str, processes: int, concurrency: int
) -> None:
    """Fails when suspects are not told apart, run together, follow too closely or go uncounted.

    (Mutants suspects_off, suspects_together, suspects_in_a_hurry, starts_uncounted.)
    """
    with Fleet(any_server, stream, tmp_path, claim_idle_ms=600, concurrency=concurrency) as fleet:
        neighbours = fleet.publish_many([GOOD] * 7)
        killer = fleet.publish(POISON[poison])
        neighbours += fleet.publish_many([GOOD] * 8)
        fleet.doom(killer, "crash")
        codes = keep_alive(fleet, processes, lambda: bool(fleet.letters()), prefetch=16)
        fleet.rest()
        assert fleet.report(max_starts=MAX_DELIVERIES, published=16).ok
        assert set(codes) == ({9} if poison == "os._exit" else {-11})
        assert len(codes) <= MAX_DELIVERIES
        assert len(fleet.records("started", killer)) == len(codes), "each start of it was a death"
        assert [letter.message_id for letter in fleet.letters()] == [killer]


def test_what_is_published_while_a_message_kills_its_processes_is_handled(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when suspects go uncounted (mutant starts_uncounted), or are none (mutant suspects_off)."""
    with Fleet(any_server, stream, tmp_path, claim_idle_ms=600, concurrency=4) as fleet:
        killer = fleet.publish({"do": "exit"})
        fleet.doom(killer, "crash")

        def buried() -> bool:
            if len(fleet.published.ok) < 400:
                fleet.publish(GOOD)
            return bool(fleet.letters())

        codes = keep_alive(fleet, 2, buried)
        fleet.rest()
        assert fleet.report(max_starts=MAX_DELIVERIES, struck=len(codes), faults=1).ok
        assert len(codes) <= MAX_DELIVERIES


def test_several_messages_that_kill_are_each_buried(any_server: Server, stream: str, tmp_path: Path) -> None:
    """Fails when suspects run together (mutant suspects_together)."""
    with Fleet(any_server, stream, tmp_path, claim_idle_ms=500, concurrency=4, max_deliveries=3) as fleet:
        killers = []
        for _ in range(3):
            fleet.publish_many([GOOD] * 5)
            killers.append(fleet.publish({"do": "exit"}))
        for killer in killers:
            fleet.doom(killer, "crash")
        codes = keep_alive(fleet, 2, lambda: len(fleet.letters()) == 3, prefetch=18)
        fleet.rest()
        assert fleet.report(max_starts=3).ok
        assert len(codes) <= 3 * 3


def test_a_retry_that_kills_its_process_is_buried_with_the_attempts_before(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when what comes back to an inbox goes uncounted (mutant starts_uncounted)."""
    with Fleet(any_server, stream, tmp_path, claim_idle_ms=600, concurrency=4) as fleet:
        killer = fleet.publish({"do": "nth", "acts": [{"do": "fail"}, {"do": "exit"}]})
        fleet.publish_many([GOOD] * 15)
        fleet.doom(killer, "crash")
        codes = keep_alive(fleet, 1, lambda: bool(fleet.letters()))
        fleet.rest()
        assert fleet.report(max_starts=1 + MAX_DELIVERIES).ok
        assert len(codes) <= MAX_DELIVERIES
        assert {record["retries"] for record in fleet.records("started", killer)} == {0, 1}


def test_those_that_wait_behind_a_suspect_are_not_blamed_for_its_deaths(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when those that wait are counted, too (mutant suspects_together)."""
    with Fleet(any_server, stream, tmp_path, claim_idle_ms=500, concurrency=4) as fleet:
        at_it = fleet.publish(fleet.gate()())
        waiting = fleet.publish_many([GOOD] * 15)
        fleet.doom(at_it, "crash")
        process = fleet.start(prefetch=16, concurrency=1)
        fleet.wait_until_taken(16)
        for _ in range(MAX_DELIVERIES):
            fleet.wait_for("started", at_it, by=process)
            time.sleep(0.2)  # a chance for what must not happen: that the others are counted, too
            process.kill()
            process = fleet.start(prefetch=16, concurrency=1)
        for message in waiting:
            fleet.wait_for("settled", message, where=lambda r: r["outcome"] == "ack")
        fleet.rest()
        assert fleet.report(max_starts=MAX_DELIVERIES, struck=MAX_DELIVERIES, faults=5).ok


def test_a_suspect_that_was_handed_back_unstarted_is_not_blamed(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when a suspect is counted each time it is taken (mutant counted_when_taken)."""
    with Fleet(any_server, stream, tmp_path, claim_idle_ms=2000, concurrency=2, max_deliveries=2) as fleet:
        busy = fleet.gate()
        first = fleet.start(prefetch=1)
        suspect = fleet.publish({"do": "nth", "acts": [fleet.gate()(), GOOD]})
        fleet.wait_for("started", suspect, by=first)
        second = fleet.start()
        long = fleet.publish(busy())
        fleet.wait_for("started", long, by=second)
        first.kill()
        fleet.wait_for("suspect_started", by=second)  # it waits for the long one to end
        second.terminate()
        fleet.wait_for("draining", by=second)
        busy.open()
        assert second.wait(10) == 0
        assert len(fleet.records("started", suspect)) == 1
        fleet.start()
        fleet.wait_for("settled", suspect, where=lambda r: r["outcome"] == "ack")
        fleet.rest()
        assert fleet.report(max_starts=2).ok


def test_a_server_that_stands_still_blames_no_message(
    start_server: Callable[..., Server], stream: str, tmp_path: Path
) -> None:
    """Fails when a start is counted that a worker then declines (mutant stale_counted)."""
    server = start_server()
    with Fleet(server, stream, tmp_path, claim_idle_ms=600, max_deliveries=2) as fleet:
        gate = fleet.gate()
        first = fleet.start(prefetch=2)
        running = fleet.publish({"do": "nth", "acts": [fleet.gate()(), gate()]})
        innocent = fleet.publish(GOOD)
        fleet.wait_for("started", running, by=first)
        fleet.wait_until_taken(2)
        first.kill()
        second = fleet.start()
        fleet.wait_for("started", running, by=second)
        server.pause()
        gate.open()
        fleet.wait_for("finished", running, by=second)
        time.sleep(6.5)  # longer than a caller waits for a reply: it asks again
        server.resume()
        fleet.wait_for("settled", innocent, where=lambda r: r["outcome"] == "ack")
        fleet.rest()
        assert fleet.report(max_starts=2).ok
