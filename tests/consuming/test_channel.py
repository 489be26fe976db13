"""Channels of one process: each stream has its own actors, and all share the workers and credits."""

from __future__ import annotations

import pytest

from streamix_queue.consuming.stages import Stage
from streamix_queue.core.facts import Settled, SuspectStarted
from streamix_queue.core.outcome import ACK
from tests.actors.workbench import EVENT, LEASE_S, Workbench


@pytest.fixture
def pair() -> tuple[Workbench, Workbench]:
    """Two streams on one crew."""
    orders = Workbench(prefetch=10, concurrency=4)
    return orders, Workbench(stream="invoices", beside=orders, server=orders.server)


def work(bench: Workbench) -> list[str]:
    """Let the one worker do all that waits, whosever it is; the streams in turn."""
    done: list[str] = []
    while (share := bench.crew.lanes.take(1, 0.0)) is not None:
        while (delivery := share.next()) is not None:
            share.lane.run(delivery)
            done.append(delivery.entry.key.decode())
            share.lane.endings.put([delivery])
        bench.crew.lanes.done(1, share, 1, 1.0)
    return done


def test_one_crew_serves_both_and_each_settles_its_own(pair: tuple[Workbench, Workbench]) -> None:
    orders, _ = pair
    for bench in pair:
        for _ in range(2):
            bench.publish()
        bench.fetcher().step()

    assert sorted(work(orders)) == ["invoices", "invoices", "orders", "orders"]

    for bench in pair:
        bench.settler().step()
        assert bench.pending() == []
        ((first, second),) = (fact.attempts for fact in bench.stated(Settled))
        assert (first.outcome, second.outcome) == (ACK, ACK)
        assert {first.entry.key, second.entry.key} == {bench.keys.stream}
    assert orders.credits.free == orders.credits.limit


def test_what_one_holds_the_other_may_not_hold_as_well(pair: tuple[Workbench, Workbench]) -> None:
    """Fails when each stream has a prefetch of its own: memory would grow with the streams."""
    orders, invoices = pair
    for bench in pair:
        for _ in range(30):
            bench.publish()
    fetchers = [bench.fetcher() for bench in pair]

    for _ in range(6):
        for fetcher in fetchers:
            fetcher.step()

    assert invoices.credits is orders.credits
    # One more for each further stream of a read, at the most.
    assert 10 <= len(orders.table) + len(invoices.table) <= 10 + 4


def test_an_event_is_paused_on_its_own_stream_only(pair: tuple[Workbench, Workbench]) -> None:
    orders, _ = pair
    orders.broker("operator").pause([EVENT])
    orders.scheduler().run_once()
    for bench in pair:
        bench.publish()
        bench.fetcher().step()

    assert work(orders) == ["invoices"]


def test_suspects_of_both_streams_run_one_at_a_time(pair: tuple[Workbench, Workbench]) -> None:
    reclaimers = []
    for bench in pair:
        bench.publish()
        bench.broker("dead").read([bench.keys.stream], 1, 1)
        bench.later(LEASE_S + 1)
        reclaimers.append(bench.reclaimer())
    for reclaimer in reclaimers:
        reclaimer.run_once()

    for bench, reclaimer in zip(pair, reclaimers, strict=True):
        bench.sweeps.ring()
        reclaimer.step()

    assert [len(bench.stated(SuspectStarted)) for bench in pair] == [1, 0]


def test_a_channel_can_leave_while_the_other_goes_on(pair: tuple[Workbench, Workbench]) -> None:
    orders, invoices = pair
    for bench in pair:
        bench.publish()
        bench.fetcher().step()

    invoices.lanes.drop()
    invoices.settler().step()

    assert work(orders) == ["orders"]
    assert [deliveries for _, deliveries in invoices.pending()] == [0], "handed back, and not counted"


def test_the_actors_of_a_channel_are_named_after_it_and_stop_in_their_stages() -> None:
    """Fails when what settles ends before what is taken is settled, or two channels share a name."""
    channel = Workbench().channel
    channel._suffix = ":invoices"

    specs = channel.specs()
    stages = {spec.name: spec.stage for spec in specs}

    assert all(spec.name.endswith(":invoices") for spec in specs)
    assert (stages["renewer:invoices"], stages["settler:invoices"]) == (Stage.LEASING, Stage.SETTLING)
    for taker in ("reclaimer", "fetcher"):
        assert stages[f"{taker}:invoices"] == Stage.TAKING
