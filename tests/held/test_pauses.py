"""A paused event: nothing of it begins here, what waits goes to its inbox, and others go on."""

from __future__ import annotations

import threading
from collections import deque

import pytest

from streamix_queue.core.attempt import Attempt, unleased
from streamix_queue.core.entry import entry_of
from streamix_queue.core.errors import BrokerUnavailable
from streamix_queue.core.facts import EventPaused, EventResumed, SuspectStarted
from streamix_queue.core.outcome import PARK
from streamix_queue.held.lanes import Lanes
from tests.actors.workbench import EVENT, LEASE_S, OTHER, Workbench
from tests.held.hall import Hall, delivery


def deliveries(*events: str) -> list[Attempt]:
    return [delivery(event, number) for number, event in enumerate(events)]


def names(taken: deque[Attempt] | list[Attempt]) -> list[tuple[str, str]]:
    return [(each.event, each.message.id) for each in taken if each.message is not None]


def begin_all(lanes: Lanes | Hall) -> list[Attempt]:
    """Begin all that there is to begin, in share."""
    begun: list[Attempt] = []
    while (share := lanes.take(1, 0.0)) is not None:
        taken = list(iter(share.next, None))
        assert taken, "an empty share"
        begun += taken
        lanes.done(1, share, len(taken), 0.0)
    return begun


PAUSED = frozenset({EVENT})


# --- the mailboxes --------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 2])
def test_what_waits_of_a_paused_event_is_taken_out(concurrency: int) -> None:
    hall = Hall({EVENT: concurrency, OTHER: concurrency}, concurrency)
    hall.put(deliveries(EVENT, OTHER, EVENT, OTHER))

    assert names(hall.pause(PAUSED)) == [(EVENT, "0"), (EVENT, "2")]

    assert names(begin_all(hall)) == [(OTHER, "1"), (OTHER, "3")]


@pytest.mark.parametrize("concurrency", [1, 2])
def test_what_a_worker_has_taken_and_not_begun_is_taken_out_too(concurrency: int) -> None:
    hall = Hall({EVENT: concurrency, OTHER: concurrency}, concurrency)
    hall.put([delivery(EVENT)])
    first = hall.take(1, 0.0)
    assert first is not None
    first.next()
    hall.done(1, first, 1, 0.0)  # quick handlers take several at once
    hall.put(deliveries(*[EVENT, OTHER] * 4))
    share = hall.take(1, 0.0)
    assert share is not None
    running = share.next()
    assert running is not None
    assert len(share.left) > 0

    withdrawn = hall.pause(PAUSED)

    assert share.next() is None
    assert names([running, *withdrawn]) == [(EVENT, str(number)) for number in (0, 2, 4, 6)]
    hall.done(1, share, 1, 0.0)
    assert names(begin_all(hall)) == [(OTHER, str(number)) for number in (1, 3, 5, 7)]


def test_nothing_is_lost_or_begun_twice_when_workers_are_at_it() -> None:
    hall = Hall({EVENT: 1, OTHER: 1}, concurrency=1)
    begun: list[Attempt] = []
    withdrawn: list[Attempt] = []
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            share = hall.take(1, 0.01)
            if share is None:
                continue
            ran = 0
            while (each := share.next()) is not None:
                begun.append(each)
                ran += 1
            hall.done(1, share, ran, 1e-9)

    worker = threading.Thread(target=work)
    worker.start()
    put = deliveries(*[EVENT, OTHER] * 5000)
    for start in range(0, len(put), 100):
        withdrawn += hall.put(put[start : start + 100])
        withdrawn += hall.pause(PAUSED if start % 300 else frozenset())
    withdrawn += hall.pause(frozenset())
    hall.put([])
    while len(begun) + len(withdrawn) < len(put):
        assert worker.is_alive()
    done.set()
    worker.join()

    assert sorted(map(id, [*begun, *withdrawn])) == sorted(map(id, put))
    assert {each.event for each in withdrawn} == {EVENT}


def test_new_ones_of_a_paused_event_are_not_taken() -> None:
    hall = Hall({EVENT: 2, OTHER: 2}, concurrency=2)
    hall.pause(PAUSED)

    assert names(list(hall.put(deliveries(EVENT, OTHER, EVENT)))) == [(EVENT, "0"), (EVENT, "2")]
    assert not hall.put_suspect(delivery(EVENT))
    assert hall.put_suspect(delivery(OTHER))


def test_a_suspect_that_waits_for_others_to_end_is_taken_out() -> None:
    hall = Hall({EVENT: 2, OTHER: 2}, concurrency=2)
    hall.put([delivery(OTHER)])
    share = hall.take(1, 0.0)
    assert share is not None
    assert hall.put_suspect(delivery(EVENT, 7))

    assert names(hall.pause(PAUSED)) == [(EVENT, "7")]
    assert hall.room_for_suspect()


def test_a_suspect_of_another_event_still_runs_alone() -> None:
    hall = Hall({EVENT: 1, OTHER: 1}, concurrency=1)
    hall.put_suspect(delivery(OTHER, 7))
    share = hall.take(1, 0.0)
    assert share is not None

    assert hall.pause(PAUSED) == []
    assert share.alone
    assert names(share.left) == [(OTHER, "7")]


def test_a_resumed_event_is_begun_again() -> None:
    hall = Hall({EVENT: 2, OTHER: 2}, concurrency=2)
    hall.pause(PAUSED)
    hall.pause(frozenset())

    assert hall.put([delivery(EVENT)]) == []
    assert hall.take(1, 0.0) is not None


# --- a member -------------------------------------------------------------------------------------


def inbox_ids(bench: Workbench, event: str = EVENT) -> list[str]:
    """Ids of the messages that lie unread in the inbox; takes them."""
    peer = bench.broker("reader")
    found = []
    for key, entries in peer.read([bench.keys.inbox(event)], 1000, 1):
        for entry_id, fields in entries:
            assert fields is not None
            attempt = unleased(entry_of(key, entry_id, tuple(fields), 1, "inbox", 0.0))
            attempt.open({})
            assert attempt.message is not None
            assert attempt.message.retries == 0
            found.append(attempt.message.id)
    return found


def test_a_pause_is_heard_with_what_is_due_and_told_once(bench: Workbench) -> None:
    scheduler = bench.scheduler()
    bench.broker("operator").pause([EVENT, "nobody's"])

    scheduler.run_once()
    scheduler.run_once()

    assert bench.stated(EventPaused) == [EventPaused(EVENT, 0)]
    assert bench.lanes.is_paused(EVENT)
    assert not bench.lanes.is_paused(OTHER)


def test_what_waits_goes_back_to_the_inbox_without_an_attempt(bench: Workbench) -> None:
    ids = [bench.publish() for _ in range(5)]
    other = bench.publish(OTHER)
    bench.fetcher().step()
    bench.broker("operator").pause([EVENT])

    bench.scheduler().run_once()
    bench.settler().step()

    assert bench.stated(EventPaused) == [EventPaused(EVENT, 5)]
    assert [len(bench.pending()), len(bench.table)] == [1, 1], "only the other event is held"
    assert names(begin_all(bench.crew.lanes)) == [(OTHER, other)]
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
    assert len(bench.table) == 0
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
    assert names(begin_all(bench.crew.lanes)) == [(EVENT, message_id) for message_id in ids]


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
    assert bench.crew.lanes.take(1, 0.0) is None
    assert inbox_ids(bench) == [message_id]


def test_a_member_that_starts_knows_the_pauses_before_it_reads_anything(bench: Workbench) -> None:
    bench.broker("operator").pause([EVENT])

    starting = Workbench(name="starting", server=bench.server)

    assert (starting.lanes.is_paused(EVENT), starting.lanes.is_paused(OTHER)) == (True, False)


def test_an_outage_changes_no_pause(bench: Workbench) -> None:
    bench.broker("operator").pause([EVENT])
    scheduler = bench.scheduler()
    scheduler.run_once()
    bench.server.fail_next("due", BrokerUnavailable("gone"))
    with pytest.raises(BrokerUnavailable):
        scheduler.run_once()

    assert bench.lanes.is_paused(EVENT)


def test_the_outcome_of_what_is_withdrawn_is_park(bench: Workbench) -> None:
    bench.publish()
    bench.fetcher().step()

    bench.pauses.apply([EVENT])

    (parked,) = bench.endings.get_many(10, 0.0)
    assert [each.outcome for each in parked] == [PARK]
