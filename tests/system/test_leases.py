"""What a live process holds stays its own; what it lost, it can no longer harm (design, §5.3)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleet import Fleet
from tests.support.servers import Server

OK: dict[str, object] = {}


def test_a_handler_that_runs_for_five_leases_and_what_waits_behind_it_run_once(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when leases are not renewed (mutant renewals_off)."""
    with Fleet(any_server, stream, tmp_path, claim_idle_ms=500) as fleet:
        owner = fleet.start(prefetch=4)
        long = fleet.publish({"do": "sleep", "s": 2.5})
        behind = fleet.publish_many([OK] * 3)
        fleet.wait_for("started", long)
        fleet.wait_until_taken(4)
        peer = fleet.start()
        fleet.wait_for("settled", behind[-1], by=owner)
        fleet.rest()
        report = fleet.report(max_starts=1)
        assert report.ok
        assert report.groups["g"].starts == 4
        assert not fleet.records("lease_lost")
        assert all(record["pid"] == owner.pid for record in fleet.records("started")), peer.stderr()


@pytest.mark.parametrize("retry_limit", [3, 0], ids=["retry", "dead_letter"])
@pytest.mark.parametrize("peer_is", ["done", "at_it"])
def test_the_late_failure_of_a_process_that_was_frozen_writes_nothing(
    server: Server, stream: str, tmp_path: Path, retry_limit: int, peer_is: str
) -> None:
    """Fails when retries and dead letters are not fenced (mutant fence_off)."""
    with Fleet(server, stream, tmp_path, claim_idle_ms=600, retry_limit=retry_limit) as fleet:
        frozen_at, peer_at = fleet.gate(), fleet.gate()
        zombie = fleet.start()
        message = fleet.publish({"do": "nth", "acts": [frozen_at(then="fail"), peer_at()]})
        fleet.wait_for("started", message, by=zombie)
        zombie.freeze()
        peer = fleet.start()
        fleet.wait_for("started", message, by=peer)
        frozen_at.open()
        if peer_is == "done":
            peer_at.open()
            fleet.wait_for("settled", message, by=peer)
        zombie.thaw()
        fleet.wait_for("failed", message, by=zombie)
        fleet.wait_for("lease_lost", message, by=zombie)
        if peer_is == "at_it":
            (entry,) = fleet.pending()
            assert entry["times_delivered"] == 2, "the peer's own lease is as it was"
            peer_at.open()
        fleet.wait_for("settled", message, by=peer, where=lambda r: r["outcome"] == "ack")
        fleet.rest()
        report = fleet.report(max_starts=2, max_duplicates=0)
        assert report.ok
        assert not fleet.letters()


def test_the_late_success_of_a_process_that_was_frozen_acks_and_does_no_harm(
    server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when a success is thrown away with its lease (mutant late_success_dropped)."""
    with Fleet(server, stream, tmp_path, claim_idle_ms=600) as fleet:
        frozen_at, peer_at = fleet.gate(), fleet.gate()
        zombie = fleet.start()
        message = fleet.publish({"do": "nth", "acts": [frozen_at(), peer_at()]})
        fleet.wait_for("started", message, by=zombie)
        zombie.freeze()
        peer = fleet.start()
        fleet.wait_for("started", message, by=peer)
        frozen_at.open()
        zombie.thaw()
        fleet.wait_for("settled", message, by=zombie)
        assert not fleet.pending(), "it is handled, though the peer is still at it"
        peer_at.open()
        fleet.wait_for("settled", message, by=peer)
        fleet.rest()
        assert fleet.report(max_starts=2, max_duplicates=1, deaths=None).ok


def test_an_entry_that_was_handed_to_a_frozen_process_reaches_another(
    server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when that process still runs it, thawed (mutant held_on), and when nobody reclaims it.

    Redis gives an entry to a client that is blocked in a read, frozen or not.
    """
    with Fleet(server, stream, tmp_path, claim_idle_ms=600, block_ms=2000) as fleet:
        frozen = fleet.start()
        first = fleet.publish(OK)
        fleet.wait_for("settled", first, by=frozen)
        frozen.freeze()
        messages = fleet.publish_many([OK] * 5)
        peer = fleet.start()
        for message in messages:
            fleet.wait_for("settled", message, by=peer)
        frozen.thaw()
        last = fleet.publish(OK)
        fleet.wait_for("settled", last)
        fleet.rest()
        assert fleet.report(max_starts=1).ok


@pytest.mark.parametrize("then", [{}, {"then": "fail"}], ids=["success", "failure"])
def test_a_handler_that_holds_the_gil_for_five_leases_costs_one_duplicate_at_most(
    any_server: Server, stream: str, tmp_path: Path, then: dict[str, str]
) -> None:
    """Fails when the failure is not fenced (mutant fence_off).

    No thread of the process can renew meanwhile: its leases are lost, as the documentation says.
    """
    with Fleet(any_server, stream, tmp_path, claim_idle_ms=600, retry_limit=0) as fleet:
        gate = fleet.gate()
        holder = fleet.start(prefetch=4)
        holding = gate(then={"do": "hold_gil", "s": 3.0, **then})
        message = fleet.publish({"do": "nth", "acts": [holding, OK]})
        fleet.wait_for("started", message, by=holder)
        behind = fleet.publish_many([OK] * 3)
        fleet.wait_until_taken(4)
        peer = fleet.start()
        gate.open()
        fleet.wait_for("settled", message, by=peer)
        fleet.wait_for("failed" if then else "finished", message, by=holder, timeout=30)
        for other in behind:
            fleet.wait_for("settled", other)
        fleet.rest()
        report = fleet.report(max_starts=2, max_duplicates=0 if then else 1, deaths=None)
        assert report.ok
        starts = {m: len(fleet.records("started", m)) for m in [message, *behind]}
        assert starts == {message: 2, **dict.fromkeys(behind, 1)}
        assert not fleet.records("actor_stalled"), "a held GIL is no fault of an actor"
        assert not fleet.letters()


def test_two_processes_that_share_a_name_lose_nothing_and_run_nothing_twice_at_once(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when what is pending under a name is taken for one's own (mutant name_trusted)."""
    with Fleet(any_server, stream, tmp_path, claim_idle_ms=600, consumer="worker-1", concurrency=4) as fleet:
        fleet.start()
        first = fleet.publish_many([{"do": "sleep", "s": 1.5}] * 4 + [{"do": "sleep", "s": 0.02}] * 100)
        for message in first[:4]:
            fleet.wait_for("started", message)
        fleet.start()
        fleet.publish_many([{"do": "sleep", "s": 0.02}] * 100)
        fleet.rest()
        assert fleet.report(max_starts=1, overlaps=False).ok


def test_a_process_killed_beside_its_namesake_loses_nothing(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when what a process left behind is not reclaimed (mutant reclaim_off)."""
    options: dict[str, Any] = {"consumer": "worker-1", "concurrency": 4, "prefetch": 8}
    with Fleet(any_server, stream, tmp_path, claim_idle_ms=600, **options) as fleet:
        victim, survivor = fleet.start(), fleet.start()
        fleet.publish_many([{"do": "sleep", "s": 0.02}] * 200)
        for _ in range(3):
            fleet.wait_for("settled", by=victim)
            victim.kill()
            victim = fleet.start()
            fleet.publish_many([{"do": "sleep", "s": 0.02}] * 50)
        fleet.rest()
        assert not survivor.exited
        assert fleet.report(max_starts=5, overlaps=False).ok


def test_a_server_that_stands_still_for_three_leases_costs_nobody_a_lease(
    start_server: Callable[..., Server], stream: str, tmp_path: Path
) -> None:
    """Fails when members reclaim before the owners could renew (mutant no_grace)."""
    server = start_server()
    with Fleet(server, stream, tmp_path, claim_idle_ms=600, concurrency=12, prefetch=24) as fleet:
        gate = fleet.gate()
        for _ in range(3):
            fleet.start()
        messages = fleet.publish_many([gate()] * 12)
        for message in messages:
            fleet.wait_for("started", message)
        for _ in range(3):
            server.pause()
            time.sleep(1.8)  # it is the time itself that is tested
            server.resume()
            time.sleep(0.6)
        gate.open()
        fleet.rest()
        assert fleet.report(max_starts=1).ok
        assert not fleet.records("lease_lost")
