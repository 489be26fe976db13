"""The mailboxes of the events and whose share it is."""

from __future__ import annotations

import threading

import pytest

from streamix_queue.core.attempt import Attempt
from streamix_queue.held.lanes import Share
from streamix_queue.runtime import Closed
from tests.held.hall import Hall, delivery


def deliveries(event: str, count: int) -> list[Attempt]:
    return [delivery(event, number) for number in range(count)]


def contents(share: Share) -> list[tuple[str, bytes]]:
    return [(each.event, each.entry.id) for each in share.left]


def fast(hall: Hall, event: str) -> None:
    """Let the hall see that handlers of ``event`` take a microsecond."""
    hall.put([delivery(event, 999)])
    share = hall.next_share(9)
    share.next()
    hall.done(9, share, 1000, 0.001)


def test_events_take_turns_so_that_none_waits_for_anothers_queue() -> None:
    hall = Hall({"a": 2, "b": 2}, concurrency=2)
    hall.put([*deliveries("a", 50), *deliveries("b", 1)])

    first, second = hall.next_share(1), hall.next_share(2)

    assert {first.lane.name, second.lane.name} == {"a", "b"}


def test_an_event_never_has_more_workers_than_its_limit() -> None:
    hall = Hall({"a": 1, "b": 4}, concurrency=4)
    hall.put(deliveries("a", 10))

    hall.next_share(1)

    assert hall.take(2, timeout=0.0) is None


def test_a_limited_event_goes_on_when_its_worker_is_done() -> None:
    hall = Hall({"a": 1, "b": 4}, concurrency=4)
    hall.put(deliveries("a", 2))
    share = hall.next_share(1)
    share.next()

    hall.done(1, share, 1, 0.5)

    assert contents(hall.next_share(2)) == [("a", b"1-0")]


def test_with_one_worker_all_events_keep_the_order_of_the_stream() -> None:
    hall = Hall({"a": 1, "b": 1}, concurrency=1)
    mixed = [delivery("a", 1), delivery("b", 2), delivery("a", 3), delivery("b", 4)]
    hall.put(mixed)

    order: list[bytes] = []
    while (share := hall.take(1, timeout=0.0)) is not None:
        while (each := share.next()) is not None:
            order.append(each.entry.id)
        hall.done(1, share, 1, 0.0001)

    assert order == [b"1-0", b"2-0", b"3-0", b"4-0"]


def test_a_first_turn_is_one_delivery_because_nothing_is_known_of_the_handler() -> None:
    hall = Hall({"a": 4}, concurrency=4)
    hall.put(deliveries("a", 100))

    assert len(hall.next_share().left) == 1


def test_quick_handlers_get_many_deliveries_a_turn_and_slow_ones_get_one() -> None:
    hall = Hall({"quick": 1, "slow": 1}, concurrency=2)
    fast(hall, "quick")
    hall.put(deliveries("quick", 100))
    assert len(hall.next_share().left) == 64

    hall.put([delivery("slow", 1)])
    share = hall.next_share(2)
    share.next()
    hall.done(2, share, 1, 0.2)
    hall.put(deliveries("slow", 100))
    assert len(hall.next_share(2).left) == 1


def test_an_idle_worker_takes_half_of_what_a_busy_one_has_not_begun() -> None:
    hall = Hall({"a": 4}, concurrency=4)
    fast(hall, "a")
    hall.put(deliveries("a", 10))
    busy = hall.next_share(1)
    in_hand = busy.next()
    assert in_hand is not None

    stolen = hall.next_share(2)

    assert sorted([*contents(busy), *contents(stolen)]) == sorted(("a", b"%d-0" % n) for n in range(1, 10))
    assert len(stolen.left) == 5


def test_a_worker_that_waits_is_woken_by_a_delivery() -> None:
    hall = Hall({"a": 1}, concurrency=2)
    got: list[Share | None] = []
    waiter = threading.Thread(target=lambda: got.append(hall.take(1, timeout=10.0)))
    waiter.start()

    hall.put([delivery("a")])
    waiter.join(5.0)

    assert got
    assert got[0] is not None


def test_close_gives_back_what_never_started_and_ends_the_workers() -> None:
    hall = Hall({"a": 2}, concurrency=2)
    fast(hall, "a")
    hall.put(deliveries("a", 10))
    share = hall.next_share()
    in_hand = share.next()

    left = hall.close()

    assert in_hand not in left
    assert len(left) == 9
    assert hall.close() == []
    with pytest.raises(Closed):
        hall.take(1, timeout=0.0)


def test_a_closed_dispatch_refuses_deliveries() -> None:
    hall = Hall({"a": 2}, concurrency=2)
    hall.close()
    refused = deliveries("a", 3)

    assert hall.put(refused) == refused


def test_a_suspect_waits_until_nothing_else_runs_and_nothing_begins_beside_it() -> None:
    done = threading.Event()
    hall = Hall({"a": 4}, concurrency=4, alone_s=60.0, on_suspect_done=done.set)
    hall.put(deliveries("a", 3))
    running = hall.next_share(1)
    running.next()
    suspect = delivery("a", 77)

    assert hall.put_suspect(suspect)
    assert hall.take(2, timeout=0.0) is None
    hall.done(1, running, 1, 0.1)

    alone = hall.next_share(2)
    assert alone.next() is suspect
    assert hall.take(1, timeout=0.0) is None
    hall.done(2, alone, 1, 0.1)
    assert done.is_set()
    assert hall.next_share(1).left


def test_there_is_room_for_one_suspect_at_a_time() -> None:
    hall = Hall({"a": 4}, concurrency=4)

    assert hall.put_suspect(delivery("a", 1))
    assert not hall.put_suspect(delivery("a", 2))
    share = hall.next_share()
    assert not hall.put_suspect(delivery("a", 2))
    hall.done(1, share, 1, 0.1)
    assert hall.put_suspect(delivery("a", 2))


def test_a_suspect_does_not_wait_for_ever_for_a_long_handler() -> None:
    hall = Hall({"a": 4}, concurrency=4, alone_s=0.05)
    hall.put([delivery("a", 1)])
    hall.next_share(1)
    suspect = delivery("a", 2)
    hall.put_suspect(suspect)

    share = hall.take(2, timeout=5.0)

    assert share is not None
    assert share.next() is suspect


def test_a_long_suspect_does_not_keep_the_others_waiting_for_ever() -> None:
    hall = Hall({"a": 4}, concurrency=4, alone_s=0.05)
    hall.put_suspect(delivery("a", 1))
    hall.next_share(1)
    hall.put([delivery("a", 2)])

    assert hall.take(2, timeout=5.0) is not None
    assert not hall.room_for_suspect()


def test_what_keeps_idle_workers_from_other_events_makes_room_newest_first() -> None:
    hall = Hall({"slow": 1, "fast": 4}, concurrency=4)
    hall.put(deliveries("slow", 9))
    hall.next_share(1)
    waiter = threading.Thread(target=lambda: hall.take(2, timeout=5.0))
    waiter.start()
    while not hall.idle():
        threading.Event().wait(0.001)

    removed = hall.make_room()

    assert [each.entry.id for each in removed] == [b"5-0", b"6-0", b"7-0", b"8-0"]
    assert hall.crowded("slow")
    assert not hall.crowded("fast")
    hall.put([delivery("fast")])
    waiter.join(5.0)


def test_nothing_makes_room_while_every_worker_is_busy() -> None:
    hall = Hall({"slow": 1, "fast": 4}, concurrency=4)
    hall.put(deliveries("slow", 9))

    assert hall.make_room() == []


def test_nothing_makes_room_when_all_events_share_one_mailbox() -> None:
    hall = Hall({"slow": 1, "fast": 1}, concurrency=1)
    hall.put(deliveries("slow", 9))

    assert hall.make_room() == []


def test_an_event_is_not_crowded_any_more_once_its_mailbox_is_short() -> None:
    hall = Hall({"slow": 2, "fast": 4}, concurrency=4)
    hall.put(deliveries("slow", 8))
    waiter = threading.Thread(target=lambda: hall.take(2, timeout=5.0))
    hall.next_share(1)
    hall.next_share(3)
    waiter.start()
    while not hall.idle():
        threading.Event().wait(0.001)

    hall.make_room()
    hall.make_room()

    assert not hall.crowded("slow")
    hall.put([delivery("fast")])
    waiter.join(5.0)


# --- lanes come and go, and channels share them ---------------------------------------------------


def test_a_lane_that_is_dropped_gives_back_what_never_started_and_the_others_go_on() -> None:
    hall = Hall({"a": 2}, concurrency=2)
    hall.put(deliveries("a", 4))
    other = Hall({"b": 2}, concurrency=2, lanes=hall.lanes)
    other.put([delivery("b", 7)])
    running = hall.next_share(1)
    in_hand = running.next()

    hall.own.drop()

    (left,) = hall.handed_back()
    late = deliveries("a", 2)
    assert hall.put(late) == late, "nothing more is taken"
    assert not hall.put_suspect(late[0])
    assert in_hand not in left
    assert len(left) == 3
    assert hall.lanes.count == 1
    of_other = other.next_share(2).next()
    assert of_other is not None
    assert of_other.event == "b"
    hall.done(1, running, 1, 0.1)
    assert hall.take(1, timeout=0.0) is None, "what runs may end, and brings nothing back"


def test_a_dropped_lane_takes_its_suspect_along_and_no_others() -> None:
    hall = Hall({"a": 2}, concurrency=2)
    other = Hall({"b": 2}, concurrency=2, lanes=hall.lanes)
    suspect = delivery("b", 7)
    assert other.put_suspect(suspect)

    hall.own.drop()
    assert not other.room_for_suspect()
    other.own.drop()

    assert other.handed_back() == [[suspect]]
    assert other.room_for_suspect()


def test_others_go_on_at_once_when_the_channel_of_a_waiting_suspect_is_dropped() -> None:
    """Fails when workers that wait for a suspect are not told that it is gone."""
    hall = Hall({"a": 2}, concurrency=2)
    other = Hall({"b": 2}, concurrency=2, lanes=hall.lanes)
    other.put([delivery("b", 1)])
    other.next_share(1)  # it runs on, so the suspect waits
    hall.put_suspect(delivery("a", 7))
    other.put([delivery("b", 2)])
    got: list[Share | None] = []
    waiter = threading.Thread(target=lambda: got.append(hall.take(2, timeout=20.0)))
    waiter.start()
    while not hall.idle():
        threading.Event().wait(0.001)

    hall.own.drop()
    waiter.join(10.0)

    assert got


def test_a_dropped_channel_hears_of_no_suspects_any_more() -> None:
    """Fails when each channel that was ever here is kept for the sake of its listener."""
    heard: list[str] = []
    hall = Hall({"a": 2}, concurrency=2, on_suspect_done=lambda: heard.append("a"))
    other = Hall({"b": 2}, concurrency=2, on_suspect_done=lambda: heard.append("b"), lanes=hall.lanes)
    hall.own.drop()
    other.put_suspect(delivery("b", 7))

    other.done(1, other.next_share(1), 1, 0.1)

    assert heard == ["b"]


def test_channels_take_turns_like_events_and_each_gets_its_own_back() -> None:
    first, second = two_channels()
    first.put(deliveries("a", 3))
    second.put(deliveries("a", 3))

    shares = [first.next_share(1), first.next_share(2)]
    begun = [share.next() for share in shares]
    left = first.close()

    assert None not in begun
    assert {share.lane.endings for share in shares} == {first.endings, second.endings}
    assert len(left) == 2
    assert [len(each) for each in second.handed_back()] == [2]


def test_a_suspect_of_one_channel_runs_alone_in_the_whole_process() -> None:
    first, second = two_channels()
    first.put_suspect(delivery("a", 1))
    second.put([delivery("a", 2)])

    assert first.next_share(1).alone
    assert first.take(2, timeout=0.0) is None
    assert not second.put_suspect(delivery("a", 3))


def test_the_fullest_lane_makes_room_by_its_own_channel_only() -> None:
    first, second = two_channels()
    first.put(deliveries("a", 9))
    for worker in (1, 3):
        first.next_share(worker)
    waiter = threading.Thread(target=lambda: first.take(2, timeout=5.0))
    waiter.start()
    while not first.idle():
        threading.Event().wait(0.001)

    assert second.make_room() == []
    assert len(first.make_room()) == 4
    second.put([delivery("a")])
    waiter.join(5.0)


def test_a_pause_is_of_one_channel() -> None:
    first, second = two_channels()
    first.put(deliveries("a", 2))
    second.put(deliveries("a", 2))

    assert len(first.pause(frozenset({"a"}))) == 2

    assert [first.is_paused("a"), second.is_paused("a")] == [True, False]
    assert second.put([delivery("a", 9)]) == []
    assert first.depths() == {"a": 0}


def two_channels() -> tuple[Hall, Hall]:
    """Of one process; each with an event of the same name."""
    first = Hall({"a": 2}, concurrency=4)
    return first, Hall({"a": 2}, concurrency=4, lanes=first.lanes)
