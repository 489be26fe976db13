"""The actors that act by the clock: scheduler and renewer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from streamix_queue.broker.memory.store import SortedSet
from streamix_queue.core import commands
from streamix_queue.core.attempt import Failure
from streamix_queue.core.commands import Fence
from streamix_queue.core.errors import BrokerUnavailable
from streamix_queue.core.facts import LeaseLost, Promoted, Trimmed
from streamix_queue.core.outcome import ACK, RetryLater
from tests.actors.workbench import LEASE_S, Workbench


def schedule(bench: Workbench, delay_ms: int) -> None:
    bench.publish()
    (attempt,) = bench.deliver()
    attempt.outcome, attempt.failure = RetryLater(delay_ms), Failure("ValueError", "boom")
    bench.endings.put([attempt])
    bench.settler().step()


def test_only_what_is_due_is_promoted(bench: Workbench) -> None:
    schedule(bench, 1000)
    schedule(bench, 60_000)
    bench.later(2.0)

    bench.scheduler().run_once()

    assert [fact.count for fact in bench.stated(Promoted)] == [1]


def test_the_scheduler_sleeps_towards_the_next_due_time(bench: Workbench) -> None:
    schedule(bench, 400)

    wait_s = bench.scheduler().run_once()

    assert 0 < wait_s <= 0.4


def test_an_idle_scheduler_looks_about_once_a_second(bench: Workbench) -> None:
    assert 0.5 < bench.scheduler().run_once() <= 1.0


def test_a_member_of_the_delayed_set_that_is_none_of_ours_blocks_nobody(bench: Workbench) -> None:
    schedule(bench, 0)
    with bench.server.data() as store:
        store.grow(bench.keys.delayed, SortedSet)[b"\xff not a frame"] = 0

    bench.scheduler().run_once()

    assert [fact.count for fact in bench.stated(Promoted)] == [1]
    (letter,) = bench.dead_letters()
    assert letter.data.reason == "malformed"


def test_a_nudge_of_another_member_starts_one_sweep(bench: Workbench) -> None:
    peer, scheduler = bench.broker("peer"), bench.scheduler()
    bench.publish()
    ((_, ((entry_id, _),)),) = peer.read([bench.keys.stream], 1, 1)
    scheduler.run_once()
    assert not bench.sweep_asked.is_set()

    peer.settle([commands.HandBack([Fence(bench.keys.stream, entry_id, 1, or_absent=True)], 60_000)])
    scheduler.run_once()
    assert bench.sweep_asked.is_set()
    bench.sweep_asked.clear()
    scheduler.run_once()

    assert not bench.sweep_asked.is_set()


def test_a_nudge_between_the_first_sweep_and_the_first_look_is_not_missed(bench: Workbench) -> None:
    """Fails when a member that starts while another stops waits for its next sweep."""
    peer, reclaimer, scheduler = bench.broker("peer"), bench.reclaimer(), bench.scheduler()
    bench.publish()
    ((_, ((entry_id, _),)),) = peer.read([bench.keys.stream], 1, 1)
    reclaimer.run_once()
    peer.settle([commands.HandBack([Fence(bench.keys.stream, entry_id, 1, or_absent=True)], 60_000)])

    scheduler.run_once()

    assert bench.sweep_asked.is_set()


def test_all_that_is_held_is_renewed(bench: Workbench) -> None:
    bench.publish()
    bench.deliver()
    bench.later(LEASE_S - 1)

    bench.renewer().run_once()

    bench.later(LEASE_S - 1)
    claimed = bench.broker("peer").reclaim(bench.keys.stream, round(LEASE_S * 1000), b"0-0", 10)
    assert claimed.entries == []


def test_a_renewal_never_takes_back_what_a_peer_has_reclaimed(bench: Workbench) -> None:
    bench.publish()
    (mine,) = bench.deliver()
    bench.later(LEASE_S + 1)
    bench.broker("peer").reclaim(bench.keys.stream, round(LEASE_S * 1000), b"0-0", 10)

    bench.renewer().run_once()

    assert mine.lease.lost
    assert len(bench.stated(LeaseLost)) == 1
    assert len(bench.pending(of="peer")) == 1


def test_a_held_entry_that_is_trimmed_away_stays_ours_and_is_told_once(bench: Workbench) -> None:
    bench.publish()
    (mine,) = bench.deliver()
    with bench.server.data() as store:
        stream, _ = store.group(bench.keys.stream, bench.keys.group)
        stream.entries.clear()
    renewer = bench.renewer()

    renewer.run_once()
    renewer.run_once()

    assert not mine.lease.lost
    assert mine.lease.orphan
    assert [fact.held for fact in bench.stated(Trimmed)] == [True]


def test_an_entry_that_is_gone_after_the_lease_lapsed_was_anothers(bench: Workbench) -> None:
    """Frozen past the lease: a peer had it, and acked it. No copy of ours may be written now."""
    bench.publish()
    (mine,) = bench.deliver()
    bench.me.settle([commands.Ack(bench.keys.stream, [mine.entry.id])])
    mine.lease.proved_at -= LEASE_S

    bench.renewer().run_once()

    assert mine.lease.lost
    assert not mine.lease.orphan
    assert bench.stated(Trimmed) == []
    assert len(bench.stated(LeaseLost)) == 1


def test_the_answer_about_a_lease_that_was_renewed_otherwise_meanwhile_is_disregarded(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.publish()
    (mine,) = bench.deliver()
    renewer = bench.renewer()
    renew = renewer.broker.renew

    def reclaimed_just_before(key: bytes, leases: Sequence[tuple[bytes, int]]) -> list[int]:
        bench.later(LEASE_S + 1)
        bench.reclaimer().run_once()  # our own: we were frozen
        return renew(key, leases)

    monkeypatch.setattr(renewer.broker, "renew", reclaimed_just_before)
    renewer.run_once()

    assert mine.lease.token == 2
    assert not mine.lease.lost


def test_an_entry_that_was_just_acked_is_not_taken_for_a_trimmed_one(bench: Workbench) -> None:
    bench.publish()
    (mine,) = bench.deliver()
    mine.outcome = ACK
    bench.me.settle([commands.Ack(bench.keys.stream, [mine.entry.id])])

    bench.renewer().run_once()

    assert bench.stated(Trimmed) == []
    assert bench.stated(LeaseLost) == []


def test_a_failed_round_of_renewals_is_tried_again_at_once(bench: Workbench) -> None:
    bench.publish()
    (mine,) = bench.deliver()
    renewer = bench.renewer()
    bench.server.fail_next("renew", BrokerUnavailable("lost"))
    with pytest.raises(BrokerUnavailable):
        renewer.step()
    before = mine.lease.proved_at

    renewer.step()

    assert mine.lease.proved_at > before
