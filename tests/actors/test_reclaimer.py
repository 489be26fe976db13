"""The reclaimer: what others left behind, and suspects one at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from streamix_queue.actors.reclaimer import Reclaimer
from streamix_queue.broker.protocol import Answer, Claimed
from streamix_queue.core import commands
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.commands import Command, Fence
from streamix_queue.core.errors import BrokerUnavailable
from streamix_queue.core.facts import Fetched, SuspectStarted, Trimmed
from streamix_queue.core.outcome import ACK
from tests.actors.workbench import EVENT, LEASE_S, Workbench


def leave_behind(bench: Workbench, count: int, *, by: str = "dead") -> None:
    """``count`` messages, delivered to a member that died and whose leases have lapsed."""
    for _ in range(count):
        bench.publish()
    bench.broker(by).read([bench.keys.stream], count, 1)
    bench.later(LEASE_S + 1)


def settle_all(bench: Workbench) -> None:
    bench.settler().step()


def run_suspect(bench: Workbench, reclaimer: Reclaimer) -> Attempt:
    """Let the one suspect that may run end well."""
    bench.sweeps.ring()
    reclaimer.step()
    share = bench.crew.lanes.take(1, timeout=0.0)
    assert share is not None
    attempt = share.next()
    assert attempt is not None
    attempt.outcome = ACK
    bench.endings.put([attempt])
    bench.crew.lanes.done(1, share, 1, 0.001)
    settle_all(bench)
    return attempt


def test_messages_of_a_dead_member_run_one_at_a_time(bench: Workbench) -> None:
    leave_behind(bench, 5)
    reclaimer = bench.reclaimer()
    reclaimer.run_once()

    ran = {run_suspect(bench, reclaimer).entry.id for _ in range(5)}

    assert len(ran) == 5
    assert bench.pending() == []
    assert bench.pending(of="dead") == []
    assert bench.credits.free == bench.credits.limit


def test_a_message_that_its_process_never_survives_is_dead_lettered_as_a_crash(bench: Workbench) -> None:
    leave_behind(bench, 1)
    for name in ("first victim", "second victim"):  # they take it, start it, and die of it
        victim = Workbench(name=name, server=bench.server)
        reclaimer = victim.reclaimer(max_deliveries=3)
        reclaimer.run_once()
        victim.sweeps.ring()
        reclaimer.step()
        assert victim.crew.lanes.take(1, timeout=0.0) is not None
        bench.later(LEASE_S + 1)
    reclaimer = bench.reclaimer(max_deliveries=3)
    reclaimer.run_once()
    bench.sweeps.ring()
    reclaimer.step()
    settle_all(bench)

    (letter,) = bench.dead_letters()
    assert letter.data.reason == "crash"
    assert letter.data.original_event == EVENT
    assert bench.pending() == []


def test_what_was_handed_back_is_no_suspect(bench: Workbench) -> None:
    bench.publish()
    peer = bench.broker("peer")
    ((_, ((entry_id, _),)),) = peer.read([bench.keys.stream], 1, 1)
    peer.settle(
        [commands.HandBack([Fence(bench.keys.stream, entry_id, 1, or_absent=True)], round(LEASE_S * 1000))]
    )

    bench.reclaimer().run_once()

    share = bench.crew.lanes.take(1, timeout=0.0)
    assert share is not None
    assert not share.alone
    assert bench.stated(SuspectStarted) == []


def test_a_busy_head_does_not_hide_an_idle_tail(bench: Workbench) -> None:
    tail = [bench.publish() for _ in range(1500)][-1]
    bench.broker("dead").read([bench.keys.stream], 1500, 1)
    ids = [entry_id for entry_id, _ in bench.pending(of="dead")]
    bench.later(LEASE_S + 1)
    bench.broker("dead").renew(bench.keys.stream, [(entry_id, 1) for entry_id in ids[:-1]])
    reclaimer = bench.reclaimer()
    for _ in range(8):
        reclaimer.run_once()
    bench.sweeps.ring()
    reclaimer.step()

    (started,) = bench.stated(SuspectStarted)
    assert started.attempt.message is not None
    assert started.attempt.message.id == tail


def test_an_entry_whose_payload_was_trimmed_leaves_a_marker(bench: Workbench) -> None:
    leave_behind(bench, 1)
    ((entry_id, _),) = bench.pending(of="dead")
    with bench.server.data() as store:
        stream, _ = store.group(bench.keys.stream, bench.keys.group)
        stream.entries.clear()

    bench.reclaimer().run_once()

    (letter,) = bench.dead_letters()
    assert (letter.data.reason, letter.data.source_stream_id) == ("trimmed", entry_id.decode())
    assert [fact.held for fact in bench.stated(Trimmed)] == [False]
    assert bench.pending(of="dead") == []


def test_a_lost_reply_of_a_sweep_is_picked_up_at_the_next(bench: Workbench) -> None:
    leave_behind(bench, 3)
    reclaimer = bench.reclaimer()
    bench.server.fail_next("reclaim", BrokerUnavailable("lost"), after=True)
    with pytest.raises(BrokerUnavailable):
        reclaimer.run_once()

    reclaimer.run_once()

    assert len(bench.table) == 3


def test_suspects_never_take_more_than_a_quarter_of_the_credits(bench: Workbench) -> None:
    leave_behind(bench, 80)

    reclaimer = bench.reclaimer()
    reclaimer.run_once()
    reclaimer.run_once()

    assert len(bench.table) == bench.credits.limit // 4


def test_suspects_that_wait_are_handed_back_when_the_reclaimer_ends(bench: Workbench) -> None:
    leave_behind(bench, 3)
    reclaimer = bench.reclaimer()
    reclaimer.run_once()

    reclaimer.teardown()
    settle_all(bench)

    claimed = bench.broker("peer").reclaim(bench.keys.stream, round(LEASE_S * 1000), b"0-0", 10)
    assert [deliveries for _, deliveries, _ in claimed.entries] == [2, 2, 2]
    assert bench.credits.free == bench.credits.limit


def test_an_entry_in_hand_is_only_refreshed_when_it_is_reclaimed_by_ourselves(bench: Workbench) -> None:
    bench.publish()
    (mine,) = bench.deliver()
    bench.later(LEASE_S + 1)

    bench.reclaimer().run_once()

    assert mine.lease.token == 2
    assert bench.crew.lanes.take(1, timeout=0.0) is None
    assert bench.stated(SuspectStarted) == []


def test_a_suspect_waits_until_the_end_of_the_one_before_is_in_redis(bench: Workbench) -> None:
    """Fails when it begins earlier (mutant suspects_in_a_hurry).

    Were it to kill us, the one before would come back and be blamed as well.
    """
    leave_behind(bench, 2)
    reclaimer = bench.reclaimer()
    reclaimer.run_once()
    bench.sweeps.ring()
    reclaimer.step()
    share = bench.crew.lanes.take(1, timeout=0.0)
    assert share is not None
    first = share.next()
    assert first is not None
    first.outcome, first.finished_at = ACK, time.perf_counter()
    bench.endings.put([first])
    bench.crew.lanes.done(1, share, 1, 0.001)

    bench.sweeps.ring()
    reclaimer.step()
    assert len(bench.stated(SuspectStarted)) == 1

    settle_all(bench)
    bench.sweeps.ring()
    reclaimer.step()
    assert len(bench.stated(SuspectStarted)) == 2


def test_a_suspect_waits_until_the_dead_letter_of_the_one_before_is_in_redis(bench: Workbench) -> None:
    """Were it to kill us, the one before would be blamed once more, and its letter kept raw."""
    leave_behind(bench, 2)
    reclaimer = bench.reclaimer(max_deliveries=1)
    reclaimer.run_once()
    for _ in range(2):
        bench.sweeps.ring()
        reclaimer.step()
    settle_all(bench)
    assert len(bench.dead_letters()) == 1

    bench.sweeps.ring()
    reclaimer.step()
    settle_all(bench)
    assert len(bench.dead_letters()) == 1, "one more"


def test_a_suspect_whose_lease_may_have_lapsed_is_renewed_before_it_is_counted(bench: Workbench) -> None:
    leave_behind(bench, 1)
    reclaimer = bench.reclaimer()
    reclaimer.run_once()
    ((held,),) = bench.table.snapshot().values()
    held.lease.proved_at -= LEASE_S + 1

    bench.sweeps.ring()
    reclaimer.step()
    assert bench.stated(SuspectStarted) == []

    bench.sweeps.ring()
    reclaimer.step()
    assert [fact.starts for fact in bench.stated(SuspectStarted)] == [1]
    assert time.monotonic() - held.lease.proved_at < LEASE_S / 2


def test_a_start_whose_reply_was_lost_is_counted_once(bench: Workbench) -> None:
    leave_behind(bench, 1)
    reclaimer = bench.reclaimer()
    reclaimer.run_once()
    bench.server.fail_next("suspect", BrokerUnavailable("lost"), after=True)
    bench.sweeps.ring()
    with pytest.raises(BrokerUnavailable):
        reclaimer.step()

    bench.sweeps.ring()
    reclaimer.step()

    assert [fact.starts for fact in bench.stated(SuspectStarted)] == [1]


def test_after_an_outage_the_owners_of_entries_renew_before_anybody_reclaims(bench: Workbench) -> None:
    leave_behind(bench, 1)
    reclaimer = bench.reclaimer()
    reclaimer.on_transient(BrokerUnavailable("down"), 1)

    assert reclaimer.run_once() > 0
    assert len(bench.table) == 0

    reclaimer.run_once()
    assert len(bench.table) == 1


def slow_answers(monkeypatch: pytest.MonkeyPatch, reclaimer: Reclaimer) -> None:
    """Let each answer take a lease, by the clock."""
    ask, clock = reclaimer.broker.now_ms, time.monotonic
    late = 0.0

    def ask_for_long() -> int:
        nonlocal late
        answer = ask()
        late += LEASE_S
        return answer

    monkeypatch.setattr(reclaimer.broker, "now_ms", ask_for_long)
    monkeypatch.setattr(time, "monotonic", lambda: clock() + late)


def test_when_redis_stood_still_the_owners_of_entries_renew_before_anybody_reclaims(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_behind(bench, 1)
    reclaimer = bench.reclaimer()
    slow_answers(monkeypatch, reclaimer)

    reclaimer.run_once()

    assert len(bench.table) == 0


def test_over_a_link_that_is_always_slow_entries_are_reclaimed_all_the_same(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_behind(bench, 1)
    reclaimer = bench.reclaimer()
    slow_answers(monkeypatch, reclaimer)

    for _ in range(4):
        reclaimer.run_once()

    assert len(bench.table) == 1


def test_when_redis_stands_still_under_the_sweep_itself_nothing_is_reclaimed(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when only the question before it is looked at: the owners could not renew either."""
    bench.publish()
    bench.broker("dead").read([bench.keys.stream], 1, 1)
    reclaimer = bench.reclaimer()
    reclaim = reclaimer.broker.reclaim

    def reclaim_late(*args: Any) -> Claimed:
        bench.later(LEASE_S + 1)
        return reclaim(*args)

    monkeypatch.setattr(reclaimer.broker, "reclaim", reclaim_late)
    wait_s = reclaimer.run_once()
    assert wait_s > 0
    assert len(bench.table) == 0

    monkeypatch.undo()
    reclaimer.run_once()
    assert len(bench.table) == 1


def test_what_is_being_reclaimed_is_not_taken_for_a_lost_reply(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it comes from both, and when the first is quick it runs twice."""
    bench.publish()
    peer, key = bench.broker("peer"), bench.keys.stream
    ((_, ((entry_id, _),)),) = peer.read([key], 1, 1)
    peer.settle([commands.HandBack([Fence(key, entry_id, 1, or_absent=True)], round(LEASE_S * 1000))])
    fetcher, reclaimer = bench.fetcher(), bench.reclaimer()
    reclaim = reclaimer.broker.reclaim
    looking = threading.Thread(target=fetcher.step)

    def reclaim_while_the_fetcher_looks(*args: Any) -> Claimed:
        claimed = reclaim(*args)  # it is ours now, and nobody here knows it
        if claimed.entries:
            looking.start()
            looking.join(0.2)  # (if nothing held it back, it would have found it by now)
        return claimed

    monkeypatch.setattr(reclaimer.broker, "reclaim", reclaim_while_the_fetcher_looks)
    reclaimer.run_once()
    looking.join(5.0)

    sources = [fact.source for fact in bench.stated(Fetched)]
    assert sources == ["reclaim"]


def test_what_we_have_handed_back_and_find_again_is_not_forgotten(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep of a member that is stopping may be quicker than the reply to its own hand-back."""
    bench.publish()
    (mine,) = bench.deliver()
    settler, reclaimer = bench.settler(), bench.reclaimer()
    settle = settler.broker.settle

    def settle_and_sweep(commands: Sequence[Command]) -> list[Answer]:
        answers = settle(commands)
        reclaimer.run_once()
        return answers

    monkeypatch.setattr(settler.broker, "settle", settle_and_sweep)
    bench.endings.hand_back([mine])
    settler.step()

    assert [deliveries for _, deliveries in bench.pending()] == [1], "it is ours again"
    assert len(bench.table) == 1
    assert bench.credits.free == bench.credits.limit - 1


def test_a_member_that_is_stopping_takes_nothing_over(bench: Workbench) -> None:
    leave_behind(bench, 3)
    bench.waiting()

    bench.reclaimer().run_once()

    assert bench.pending() == []
    assert len(bench.pending(of="dead")) == 3
