"""The settler: every ending, in batches, with nothing forgotten."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from streamix_queue.broker.protocol import Answer
from streamix_queue.core import commands
from streamix_queue.core.attempt import Attempt, Failure
from streamix_queue.core.commands import Command
from streamix_queue.core.errors import BrokerUnavailable, OutOfMemory
from streamix_queue.core.facts import LeaseLost, Settled, SettleFailed
from streamix_queue.core.outcome import (
    ACK,
    DROPPED,
    HAND_BACK,
    HAND_OVER,
    PARK,
    DeadLetter,
    Outcome,
    Reason,
    RetryLater,
)
from streamix_queue.runtime import Closed
from tests.actors.workbench import EVENT, LEASE_S, OTHER, Workbench

LOST = BrokerUnavailable("the reply was lost")


def settle(bench: Workbench, deliveries: list[Attempt], outcome: Outcome) -> None:
    for attempt in deliveries:
        attempt.outcome = outcome
        attempt.failure = attempt.failure or Failure("ValueError", "boom")
    bench.endings.put(deliveries)
    bench.settler().step()


def settled(bench: Workbench) -> int:
    return sum(len(fact.attempts) for fact in bench.stated(Settled))


def test_successes_are_acked_together_and_give_their_credits_back(bench: Workbench) -> None:
    for _ in range(30):
        bench.publish()

    settle(bench, bench.deliver(), ACK)

    assert bench.pending() == []
    assert bench.credits.free == bench.credits.limit
    assert settled(bench) == 30


def test_a_retry_waits_in_redis_and_comes_back_with_its_id_and_one_retry_more(bench: Workbench) -> None:
    message_id = bench.publish(data={"amount": 3})

    settle(bench, bench.deliver(), RetryLater(5000))

    assert bench.pending() == []
    assert bench.me.due(10).members == []
    bench.later(5.0)
    bench.scheduler().run_once()
    bench.fetcher().step()
    (retried,) = bench.waiting()
    assert retried.message is not None
    assert (retried.message.id, retried.message.retries) == (message_id, 1)
    assert retried.message.data == {"amount": 3}


def test_a_dead_letter_is_written_before_its_ack(bench: Workbench) -> None:
    bench.publish()

    settle(bench, bench.deliver(), DeadLetter(Reason.REJECTED))

    (letter,) = bench.dead_letters()
    assert (letter.data.reason, letter.data.error, letter.data.group) == ("rejected", "boom", "billing")
    assert bench.pending() == []


def test_an_event_that_another_member_handles_reaches_its_inbox(bench: Workbench) -> None:
    bench.publish("shipped")
    bench.broker("other").register(["shipped"])
    inbox = bench.keys.inbox("shipped")
    bench.me.ensure_group(inbox, "0")

    settle(bench, bench.deliver(), HAND_OVER)

    ((_, entries),) = bench.broker("other").read([inbox], 10, 1)
    assert len(entries) == 1
    assert bench.pending() == []


def test_an_event_that_nobody_handles_is_acked_and_marked_as_dropped(bench: Workbench) -> None:
    bench.publish("unknown")

    settle(bench, bench.deliver(), HAND_OVER)

    ((attempt,),) = (fact.attempts for fact in bench.stated(Settled))
    assert attempt.outcome is DROPPED
    assert bench.pending() == []


def test_a_parked_message_goes_to_the_inbox_of_its_event(bench: Workbench) -> None:
    bench.publish()

    settle(bench, bench.deliver(), PARK)

    ((_, entries),) = bench.me.read([bench.keys.inbox(EVENT)], 10, 1)
    assert len(entries) == 1


def test_what_never_started_is_handed_back_without_counting_a_delivery(bench: Workbench) -> None:
    bench.publish()

    settle(bench, bench.deliver(), HAND_BACK)

    claimed = bench.broker("peer").reclaim(bench.keys.stream, round(LEASE_S * 1000), b"0-0", 10)
    assert [deliveries for _, deliveries, _ in claimed.entries] == [1]
    assert bench.credits.free == bench.credits.limit


def test_the_failure_of_a_message_that_a_peer_owns_now_writes_nothing(bench: Workbench) -> None:
    bench.publish()
    mine = bench.deliver()
    bench.later(LEASE_S + 1)
    bench.broker("peer").reclaim(bench.keys.stream, round(LEASE_S * 1000), b"0-0", 10)

    settle(bench, mine, DeadLetter(Reason.RETRIES_EXHAUSTED))

    assert bench.dead_letters() == []
    assert len(bench.pending(of="peer")) == 1
    assert len(bench.stated(LeaseLost)) == 1
    assert bench.credits.free == bench.credits.limit


def test_a_success_acks_even_when_the_lease_was_lost(bench: Workbench) -> None:
    bench.publish()
    mine = bench.deliver()
    bench.later(LEASE_S + 1)
    bench.broker("peer").reclaim(bench.keys.stream, round(LEASE_S * 1000), b"0-0", 10)
    mine[0].lease.lost = True

    settle(bench, mine, ACK)

    assert bench.pending(of="peer") == []


@pytest.mark.parametrize("after", [True, False], ids=["carried out", "not carried out"])
def test_a_lost_reply_writes_neither_twice_nor_never(bench: Workbench, after: bool) -> None:
    bench.publish()
    bench.publish()
    first, second = bench.deliver()
    first.outcome, second.outcome = DeadLetter(Reason.REJECTED), RetryLater(1000)
    bench.endings.put([first, second])
    settler = bench.settler()
    bench.server.fail_next("settle", LOST, after=after)

    with pytest.raises(BrokerUnavailable):
        settler.step()
    settler.step()

    assert len(bench.dead_letters()) == 1
    bench.later(2.0)
    assert len(bench.me.due(10).members) == 1
    assert bench.pending() == []
    assert settled(bench) == 2
    assert bench.stated(LeaseLost) == []


def test_a_settler_that_crashes_leaves_what_is_unconfirmed_to_the_next(bench: Workbench) -> None:
    bench.publish()
    (attempt,) = bench.deliver()
    attempt.outcome = RetryLater(1000)
    bench.endings.put([attempt])
    bench.server.fail_next("settle", LOST)
    with pytest.raises(BrokerUnavailable):
        bench.settler().step()

    bench.settler().step()

    assert bench.pending() == []
    assert settled(bench) == 1


def test_what_redis_refuses_stays_pending_and_is_told_once(bench: Workbench) -> None:
    bench.publish()
    bench.publish()
    bad, good = bench.deliver()
    bad.outcome, good.outcome = DeadLetter(Reason.REJECTED), ACK
    bad.failure = Failure("ValueError", "boom")
    bench.endings.put([bad, good])
    settler = bench.settler()
    bench.server.full()

    settler.step()

    assert [entry_id for entry_id, _ in bench.pending()] == [bad.entry.id]
    assert [fact.error_type for fact in bench.stated(SettleFailed)] == [OutOfMemory.__name__]
    bench.server.full(False)
    settler.stop()
    settler.step()
    assert bench.pending() == []
    assert len(bench.dead_letters()) == 1
    assert len(bench.stated(SettleFailed)) == 1


def test_what_redis_refuses_for_long_gives_its_credits_to_healthy_messages(bench: Workbench) -> None:
    for _ in range(60):
        bench.publish()
    bench.server.full()

    settle(bench, bench.deliver(), DeadLetter(Reason.REJECTED))

    assert bench.credits.free >= bench.credits.limit // 2
    assert len(bench.pending()) == 60


def test_the_failure_of_a_message_whose_group_was_destroyed_is_still_retried(bench: Workbench) -> None:
    bench.publish()
    (attempt,) = bench.deliver()
    with bench.server.data() as store:
        stream, _ = store.group(bench.keys.stream, bench.keys.group)
        stream.groups.clear()
    attempt.outcome = RetryLater(0)
    attempt.failure = Failure("ValueError", "boom")
    bench.endings.put([attempt])
    settler = bench.settler()

    settler.step()  # pending for nobody, says Redis
    settler.step()  # and our lease ran then: so we hold the only copy

    assert len(bench.me.due(10).members) == 1


def test_the_failure_of_a_message_that_another_has_handled_meanwhile_is_not_retried(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is frozen past its lease at the worst moment: it has decided, and not yet sent."""
    bench.publish()
    (attempt,) = bench.deliver()
    attempt.outcome = RetryLater(0)
    attempt.failure = Failure("ValueError", "boom")
    bench.endings.put([attempt])
    settler, peer = bench.settler(), bench.broker("peer")
    send = settler.broker.settle

    def frozen_before_it_sends(asked: Sequence[Command]) -> list[Answer]:
        bench.later(LEASE_S + 1)
        attempt.lease.proved_at -= LEASE_S + 1
        (taken,) = peer.reclaim(attempt.entry.key, 1, b"0-0", 9).entries
        peer.settle([commands.Ack(attempt.entry.key, [taken[0]])])
        return send(asked)

    monkeypatch.setattr(settler.broker, "settle", frozen_before_it_sends)
    settler.step()

    assert bench.me.due(10).members == []
    assert bench.stated(LeaseLost) != []
    assert len(bench.table) == 0


def test_a_closed_mailbox_is_emptied_before_the_settler_ends(bench: Workbench) -> None:
    bench.publish()
    bench.publish(OTHER)
    settler = bench.settler()
    for attempt in bench.deliver():
        attempt.outcome = ACK
        bench.endings.put([attempt])
    settler.stop()

    settler.step()
    settler.step()
    with pytest.raises(Closed):
        settler.step()

    assert bench.pending() == []
