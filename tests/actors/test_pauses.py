"""A paused event: nothing of it begins here, what waits goes to its inbox, and others go on."""

from __future__ import annotations

import threading
from collections import deque

import pytest

from streamix_queue import Consumer
from streamix_queue.broker.memory.consumer import MemoryConsumerBroker
from streamix_queue.consuming.assembly import Assembly
from streamix_queue.core.delivery import Delivery
from streamix_queue.core.errors import BrokerUnavailable
from streamix_queue.core.facts import EventPaused, EventResumed, SuspectStarted
from streamix_queue.core.message import StreamMessage, Timestamps
from streamix_queue.core.outcome import PARK
from streamix_queue.held.dispatch import Dispatch
from tests.actors.workbench import EVENT, LEASE_S, OTHER, Workbench, registration


def delivery(event: str, number: int = 0) -> Delivery:
    made = Delivery(b"s", b"1-%d" % number, [], 0.0, 0.0)
    made.message = StreamMessage(str(number), event, {}, 0, Timestamps("", ""))
    return made


def deliveries(*events: str) -> list[Delivery]:
    return [delivery(event, number) for number, event in enumerate(events)]


def names(taken: deque[Delivery] | list[Delivery]) -> list[tuple[str, str]]:
    return [(each.event, each.message.id) for each in taken if each.message is not None]


def begin_all(dispatch: Dispatch) -> list[Delivery]:
    """Begin all that there is to begin, in turn."""
    begun: list[Delivery] = []
    while (turn := dispatch.take(1, 0.0)) is not None:
        taken = list(iter(turn.next, None))
        assert taken, "an empty turn"
        begun += taken
        dispatch.done(1, turn, len(taken), 0.0)
    return begun


PAUSED = frozenset({EVENT})


# --- the mailboxes --------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 2])
def test_what_waits_of_a_paused_event_is_taken_out(concurrency: int) -> None:
    dispatch = Dispatch({EVENT: concurrency, OTHER: concurrency}, concurrency)
    dispatch.put(deliveries(EVENT, OTHER, EVENT, OTHER))

    assert names(dispatch.pause(PAUSED)) == [(EVENT, "0"), (EVENT, "2")]

    assert names(begin_all(dispatch)) == [(OTHER, "1"), (OTHER, "3")]


@pytest.mark.parametrize("concurrency", [1, 2])
def test_what_a_worker_has_taken_and_not_begun_is_taken_out_too(concurrency: int) -> None:
    dispatch = Dispatch({EVENT: concurrency, OTHER: concurrency}, concurrency)
    dispatch.put([delivery(EVENT)])
    first = dispatch.take(1, 0.0)
    assert first is not None
    first.next()
    dispatch.done(1, first, 1, 0.0)  # quick handlers take several at once
    dispatch.put(deliveries(*[EVENT, OTHER] * 4))
    turn = dispatch.take(1, 0.0)
    assert turn is not None
    running = turn.next()
    assert running is not None
    assert len(turn.left) > 0

    withdrawn = dispatch.pause(PAUSED)

    assert turn.next() is None
    assert names([running, *withdrawn]) == [(EVENT, str(number)) for number in (0, 2, 4, 6)]
    dispatch.done(1, turn, 1, 0.0)
    assert names(begin_all(dispatch)) == [(OTHER, str(number)) for number in (1, 3, 5, 7)]


def test_nothing_is_lost_or_begun_twice_when_workers_are_at_it() -> None:
    dispatch = Dispatch({EVENT: 1, OTHER: 1}, concurrency=1)
    begun: list[Delivery] = []
    withdrawn: list[Delivery] = []
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            turn = dispatch.take(1, 0.01)
            if turn is None:
                continue
            ran = 0
            while (each := turn.next()) is not None:
                begun.append(each)
                ran += 1
            dispatch.done(1, turn, ran, 1e-9)

    worker = threading.Thread(target=work)
    worker.start()
    put = deliveries(*[EVENT, OTHER] * 5000)
    for start in range(0, len(put), 100):
        withdrawn += dispatch.put(put[start : start + 100])
        withdrawn += dispatch.pause(PAUSED if start % 300 else frozenset())
    withdrawn += dispatch.pause(frozenset())
    dispatch.put([])
    while len(begun) + len(withdrawn) < len(put):
        assert worker.is_alive()
    done.set()
    worker.join()

    assert sorted(map(id, [*begun, *withdrawn])) == sorted(map(id, put))
    assert {each.event for each in withdrawn} == {EVENT}


def test_new_ones_of_a_paused_event_are_not_taken() -> None:
    dispatch = Dispatch({EVENT: 2, OTHER: 2}, concurrency=2)
    dispatch.pause(PAUSED)

    assert names(list(dispatch.put(deliveries(EVENT, OTHER, EVENT)))) == [(EVENT, "0"), (EVENT, "2")]
    assert not dispatch.put_suspect(delivery(EVENT))
    assert dispatch.put_suspect(delivery(OTHER))


def test_a_suspect_that_waits_for_others_to_end_is_taken_out() -> None:
    dispatch = Dispatch({EVENT: 2, OTHER: 2}, concurrency=2)
    dispatch.put([delivery(OTHER)])
    turn = dispatch.take(1, 0.0)
    assert turn is not None
    assert dispatch.put_suspect(delivery(EVENT, 7))

    assert names(dispatch.pause(PAUSED)) == [(EVENT, "7")]
    assert dispatch.room_for_suspect()


def test_a_suspect_of_another_event_still_runs_alone() -> None:
    dispatch = Dispatch({EVENT: 1, OTHER: 1}, concurrency=1)
    dispatch.put_suspect(delivery(OTHER, 7))
    turn = dispatch.take(1, 0.0)
    assert turn is not None

    assert dispatch.pause(PAUSED) == []
    assert turn.alone
    assert names(turn.left) == [(OTHER, "7")]


def test_a_resumed_event_is_begun_again() -> None:
    dispatch = Dispatch({EVENT: 2, OTHER: 2}, concurrency=2)
    dispatch.pause(PAUSED)
    dispatch.pause(frozenset())

    assert dispatch.put([delivery(EVENT)]) == []
    assert dispatch.take(1, 0.0) is not None


# --- a member -------------------------------------------------------------------------------------


def inbox_ids(bench: Workbench, event: str = EVENT) -> list[str]:
    """Ids of the messages that lie unread in the inbox; takes them."""
    peer = bench.broker("reader")
    found = []
    for key, entries in peer.read([bench.keys.inbox(event)], 1000, 1):
        for entry_id, fields in entries:
            assert fields is not None
            one = Delivery(key, entry_id, fields, 0.0, 0.0)
            bench.router.open(one)
            assert one.message is not None
            assert one.message.retries == 0
            found.append(one.message.id)
    return found


def test_a_pause_is_heard_with_what_is_due_and_told_once(bench: Workbench) -> None:
    scheduler = bench.scheduler()
    bench.broker("operator").pause([EVENT, "nobody's"])

    scheduler.run_once()
    scheduler.run_once()

    assert bench.stated(EventPaused) == [EventPaused(EVENT, 0)]
    assert bench.dispatch.is_paused(EVENT)
    assert not bench.dispatch.is_paused(OTHER)


def test_what_waits_goes_back_to_the_inbox_without_an_attempt(bench: Workbench) -> None:
    ids = [bench.publish() for _ in range(5)]
    other = bench.publish(OTHER)
    bench.fetcher().step()
    bench.broker("operator").pause([EVENT])

    bench.scheduler().run_once()
    bench.settler().step()

    assert bench.stated(EventPaused) == [EventPaused(EVENT, 5)]
    assert [len(bench.pending()), len(bench.leases)] == [1, 1], "only the other event is held"
    assert names(begin_all(bench.dispatch)) == [(OTHER, other)]
    assert inbox_ids(bench) == ids


def test_what_comes_meanwhile_is_put_into_the_inbox_which_is_not_read(bench: Workbench) -> None:
    fetcher, settler = bench.fetcher(), bench.settler()
    bench.pauses.apply([EVENT])
    ids = [bench.publish(), bench.publish()]
    fetcher.step()
    settler.step()
    ids.append(bench.publish())
    fetcher.step()
    settler.step()
    fetcher.step()

    assert bench.pending() == []
    assert len(bench.leases) == 0
    assert inbox_ids(bench) == ids


def test_after_the_resume_the_inbox_is_read_again(bench: Workbench) -> None:
    fetcher, scheduler = bench.fetcher(), bench.scheduler()
    operator = bench.broker("operator")
    operator.pause([EVENT])
    scheduler.run_once()
    ids = [bench.publish(), bench.publish()]
    fetcher.step()
    bench.settler().step()

    operator.resume([EVENT])
    scheduler.run_once()
    fetcher.step()

    assert bench.stated(EventResumed) == [EventResumed(EVENT)]
    assert names(begin_all(bench.dispatch)) == [(EVENT, message_id) for message_id in ids]


def test_a_suspect_of_a_paused_event_is_not_started(bench: Workbench) -> None:
    message_id = bench.publish()
    bench.broker("dead").read([bench.keys.stream], 1, 1)
    bench.later(LEASE_S + 1)
    bench.pauses.apply([EVENT])
    reclaimer = bench.reclaimer()
    reclaimer.run_once()

    reclaimer.step()
    bench.settler().step()

    assert len(bench.stated(SuspectStarted)) == 1
    assert bench.dispatch.take(1, 0.0) is None
    assert inbox_ids(bench) == [message_id]


def test_a_member_that_starts_knows_the_pauses_before_it_reads_anything(bench: Workbench) -> None:
    bench.broker("operator").pause([EVENT])
    config = Consumer(stream="orders", group="billing")._config
    events = {event: registration(event, concurrency=1) for event in (EVENT, OTHER)}
    assembly = Assembly(
        config, events, lambda keys, name, timeout_s: MemoryConsumerBroker(bench.server, keys, name)
    )

    assembly.prepare()

    assert (assembly.dispatch.is_paused(EVENT), assembly.dispatch.is_paused(OTHER)) == (True, False)


def test_an_outage_changes_no_pause(bench: Workbench) -> None:
    bench.broker("operator").pause([EVENT])
    scheduler = bench.scheduler()
    scheduler.run_once()
    bench.server.fail_next("due", BrokerUnavailable("gone"))
    with pytest.raises(BrokerUnavailable):
        scheduler.run_once()

    assert bench.dispatch.is_paused(EVENT)


def test_the_outcome_of_what_is_withdrawn_is_park(bench: Workbench) -> None:
    bench.publish()
    bench.fetcher().step()

    bench.pauses.apply([EVENT])

    (parked,) = bench.letters.get_many(10, 0.0)
    assert [each.outcome for each in parked] == [PARK]
