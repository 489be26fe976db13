"""The mailboxes of the events and whose turn it is."""

from __future__ import annotations

import threading
import time

import pytest

from streamix_queue.core.delivery import Delivery
from streamix_queue.core.wire import build
from streamix_queue.held.dispatch import Dispatch, Turn
from streamix_queue.runtime import Closed


def delivery(event: str, number: int = 0) -> Delivery:
    made = Delivery(b"s", b"%d-0" % number, [], time.perf_counter(), time.monotonic())
    made.message = build(event, {}, f"id-{number}", "now")
    return made


def deliveries(event: str, count: int) -> list[Delivery]:
    return [delivery(event, number) for number in range(count)]


def take(dispatch: Dispatch, worker: int = 1) -> Turn:
    turn = dispatch.take(worker, timeout=0.0)
    assert turn is not None
    return turn


def contents(turn: Turn) -> list[tuple[str, bytes]]:
    return [(each.event, each.entry_id) for each in turn.left]


def fast(dispatch: Dispatch, event: str) -> None:
    """Let the dispatch see that handlers of ``event`` take a microsecond."""
    dispatch.put([delivery(event, 999)])
    turn = take(dispatch, 9)
    turn.next()
    dispatch.done(9, turn, 1000, 0.001)


def test_events_take_turns_so_that_none_waits_for_anothers_queue() -> None:
    dispatch = Dispatch({"a": 2, "b": 2}, concurrency=2)
    dispatch.put([*deliveries("a", 50), *deliveries("b", 1)])

    first, second = take(dispatch, 1), take(dispatch, 2)

    assert {first.box.name, second.box.name} == {"a", "b"}


def test_an_event_never_has_more_workers_than_its_limit() -> None:
    dispatch = Dispatch({"a": 1, "b": 4}, concurrency=4)
    dispatch.put(deliveries("a", 10))

    take(dispatch, 1)

    assert dispatch.take(2, timeout=0.0) is None


def test_a_limited_event_goes_on_when_its_worker_is_done() -> None:
    dispatch = Dispatch({"a": 1, "b": 4}, concurrency=4)
    dispatch.put(deliveries("a", 2))
    turn = take(dispatch, 1)
    turn.next()

    dispatch.done(1, turn, 1, 0.5)

    assert contents(take(dispatch, 2)) == [("a", b"1-0")]


def test_with_one_worker_all_events_keep_the_order_of_the_stream() -> None:
    dispatch = Dispatch({"a": 1, "b": 1}, concurrency=1)
    mixed = [delivery("a", 1), delivery("b", 2), delivery("a", 3), delivery("b", 4)]
    dispatch.put(mixed)

    order: list[bytes] = []
    while (turn := dispatch.take(1, timeout=0.0)) is not None:
        while (each := turn.next()) is not None:
            order.append(each.entry_id)
        dispatch.done(1, turn, 1, 0.0001)

    assert order == [b"1-0", b"2-0", b"3-0", b"4-0"]


def test_a_first_turn_is_one_delivery_because_nothing_is_known_of_the_handler() -> None:
    dispatch = Dispatch({"a": 4}, concurrency=4)
    dispatch.put(deliveries("a", 100))

    assert len(take(dispatch).left) == 1


def test_quick_handlers_get_many_deliveries_a_turn_and_slow_ones_get_one() -> None:
    dispatch = Dispatch({"quick": 1, "slow": 1}, concurrency=2)
    fast(dispatch, "quick")
    dispatch.put(deliveries("quick", 100))
    assert len(take(dispatch).left) == 64

    dispatch.put([delivery("slow", 1)])
    turn = take(dispatch, 2)
    turn.next()
    dispatch.done(2, turn, 1, 0.2)
    dispatch.put(deliveries("slow", 100))
    assert len(take(dispatch, 2).left) == 1


def test_an_idle_worker_takes_half_of_what_a_busy_one_has_not_begun() -> None:
    dispatch = Dispatch({"a": 4}, concurrency=4)
    fast(dispatch, "a")
    dispatch.put(deliveries("a", 10))
    busy = take(dispatch, 1)
    in_hand = busy.next()
    assert in_hand is not None

    stolen = take(dispatch, 2)

    assert sorted([*contents(busy), *contents(stolen)]) == sorted(("a", b"%d-0" % n) for n in range(1, 10))
    assert len(stolen.left) == 5


def test_a_worker_that_waits_is_woken_by_a_delivery() -> None:
    dispatch = Dispatch({"a": 1}, concurrency=2)
    got: list[Turn | None] = []
    waiter = threading.Thread(target=lambda: got.append(dispatch.take(1, timeout=10.0)))
    waiter.start()

    dispatch.put([delivery("a")])
    waiter.join(5.0)

    assert got
    assert got[0] is not None


def test_close_gives_back_what_never_started_and_ends_the_workers() -> None:
    dispatch = Dispatch({"a": 2}, concurrency=2)
    fast(dispatch, "a")
    dispatch.put(deliveries("a", 10))
    turn = take(dispatch)
    in_hand = turn.next()

    left = dispatch.close()

    assert in_hand not in left
    assert len(left) == 9
    assert dispatch.close() == []
    with pytest.raises(Closed):
        dispatch.take(1, timeout=0.0)


def test_a_closed_dispatch_refuses_deliveries() -> None:
    dispatch = Dispatch({"a": 2}, concurrency=2)
    dispatch.close()
    refused = deliveries("a", 3)

    assert dispatch.put(refused) == refused


def test_a_suspect_waits_until_nothing_else_runs_and_nothing_begins_beside_it() -> None:
    done = threading.Event()
    dispatch = Dispatch({"a": 4}, concurrency=4, alone_s=60.0, on_suspect_done=done.set)
    dispatch.put(deliveries("a", 3))
    running = take(dispatch, 1)
    running.next()
    suspect = delivery("a", 77)

    assert dispatch.put_suspect(suspect)
    assert dispatch.take(2, timeout=0.0) is None
    dispatch.done(1, running, 1, 0.1)

    alone = take(dispatch, 2)
    assert alone.next() is suspect
    assert dispatch.take(1, timeout=0.0) is None
    dispatch.done(2, alone, 1, 0.1)
    assert done.is_set()
    assert take(dispatch, 1).left


def test_there_is_room_for_one_suspect_at_a_time() -> None:
    dispatch = Dispatch({"a": 4}, concurrency=4)

    assert dispatch.put_suspect(delivery("a", 1))
    assert not dispatch.put_suspect(delivery("a", 2))
    turn = take(dispatch)
    assert not dispatch.put_suspect(delivery("a", 2))
    dispatch.done(1, turn, 1, 0.1)
    assert dispatch.put_suspect(delivery("a", 2))


def test_a_suspect_does_not_wait_for_ever_for_a_long_handler() -> None:
    dispatch = Dispatch({"a": 4}, concurrency=4, alone_s=0.05)
    dispatch.put([delivery("a", 1)])
    take(dispatch, 1)
    suspect = delivery("a", 2)
    dispatch.put_suspect(suspect)

    turn = dispatch.take(2, timeout=5.0)

    assert turn is not None
    assert turn.next() is suspect


def test_a_long_suspect_does_not_keep_the_others_waiting_for_ever() -> None:
    dispatch = Dispatch({"a": 4}, concurrency=4, alone_s=0.05)
    dispatch.put_suspect(delivery("a", 1))
    take(dispatch, 1)
    dispatch.put([delivery("a", 2)])

    assert dispatch.take(2, timeout=5.0) is not None
    assert not dispatch.room_for_suspect()


def test_what_keeps_idle_workers_from_other_events_is_shed_newest_first() -> None:
    dispatch = Dispatch({"slow": 1, "fast": 4}, concurrency=4)
    dispatch.put(deliveries("slow", 9))
    take(dispatch, 1)
    waiter = threading.Thread(target=lambda: dispatch.take(2, timeout=5.0))
    waiter.start()
    while not dispatch.idle():
        threading.Event().wait(0.001)

    shed = dispatch.shed()

    assert [each.entry_id for each in shed] == [b"5-0", b"6-0", b"7-0", b"8-0"]
    assert dispatch.crowded("slow")
    assert not dispatch.crowded("fast")
    dispatch.put([delivery("fast")])
    waiter.join(5.0)


def test_nothing_is_shed_while_every_worker_is_busy() -> None:
    dispatch = Dispatch({"slow": 1, "fast": 4}, concurrency=4)
    dispatch.put(deliveries("slow", 9))

    assert dispatch.shed() == []


def test_nothing_is_shed_when_all_events_share_one_mailbox() -> None:
    dispatch = Dispatch({"slow": 1, "fast": 1}, concurrency=1)
    dispatch.put(deliveries("slow", 9))

    assert dispatch.shed() == []


def test_an_event_is_not_crowded_any_more_once_its_mailbox_is_short() -> None:
    dispatch = Dispatch({"slow": 2, "fast": 4}, concurrency=4)
    dispatch.put(deliveries("slow", 8))
    waiter = threading.Thread(target=lambda: dispatch.take(2, timeout=5.0))
    take(dispatch, 1)
    take(dispatch, 3)
    waiter.start()
    while not dispatch.idle():
        threading.Event().wait(0.001)

    dispatch.shed()
    dispatch.shed()

    assert not dispatch.crowded("slow")
    dispatch.put([delivery("fast")])
    waiter.join(5.0)
