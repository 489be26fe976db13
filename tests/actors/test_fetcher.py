"""The fetcher: as many entries as there are credits, and none lost with a reply."""

from __future__ import annotations

import gc

import pytest

from streamix_queue.core.errors import BrokerUnavailable
from streamix_queue.core.facts import BrokerDown, BrokerUp, Fetched, GroupCreated
from tests.actors.workbench import EVENT, OTHER, Workbench

LOST = BrokerUnavailable("the reply was lost")


def test_no_more_is_held_than_there_are_credits() -> None:
    bench = Workbench(prefetch=12)
    for _ in range(50):
        bench.publish()
    fetcher = bench.fetcher()

    for _ in range(4):
        fetcher.step()

    assert len(bench.table) <= 12 + 2  # one more for each further stream, at the most


def test_without_credits_redis_is_not_asked() -> None:
    bench = Workbench(prefetch=3)
    for _ in range(9):
        bench.publish()
    fetcher = bench.fetcher()
    while bench.credits.free > 0:
        fetcher.step()
    held = len(bench.table)

    fetcher.step()

    assert len(bench.table) == held


def test_a_fixed_batch_size_is_never_exceeded() -> None:
    bench = Workbench()
    for _ in range(50):
        bench.publish()

    bench.fetcher(batch_size=7).step()

    assert len(bench.table) == 7


def test_the_inboxes_are_read_beside_the_stream(bench: Workbench) -> None:
    bench.publish()
    bench.publish(EVENT, key=bench.keys.inbox(EVENT))
    bench.publish(OTHER, key=bench.keys.inbox(OTHER))

    bench.fetcher().step()

    assert {fact.source: fact.count for fact in bench.stated(Fetched)} == {"new": 1, "inbox": 1}
    assert len(bench.table) == 3


def test_a_lost_reply_is_picked_up_at_once(bench: Workbench) -> None:
    for _ in range(5):
        bench.publish()
    fetcher = bench.fetcher()
    bench.server.fail_next("read", LOST, after=True)
    with pytest.raises(BrokerUnavailable):
        fetcher.step()

    fetcher.step()

    assert len(bench.table) == 5
    assert [delivery.lease.token for delivery in bench.waiting()] == [1] * 5


def test_nothing_is_inferred_from_a_name_that_another_process_may_have(bench: Workbench) -> None:
    bench.publish()
    bench.broker("me").read([bench.keys.stream], 1, 1)  # another process under the same name
    fetcher = bench.fetcher(name_is_unique=False)

    fetcher.step()

    assert len(bench.table) == 0


def test_what_is_held_already_is_not_taken_for_a_lost_reply(bench: Workbench) -> None:
    bench.publish()
    fetcher = bench.fetcher()
    fetcher.step()
    bench.server.fail_next("read", LOST)
    with pytest.raises(BrokerUnavailable):
        fetcher.step()

    fetcher.step()

    assert len(bench.waiting()) == 1


def test_a_group_that_was_destroyed_is_made_anew_from_the_beginning(bench: Workbench) -> None:
    with bench.server.data() as store:
        stream, _ = store.group(bench.keys.stream, bench.keys.group)
        stream.groups.clear()
    bench.publish()
    fetcher = bench.fetcher()

    fetcher.step()
    fetcher.step()

    assert len(bench.table) == 1
    assert [fact.again for fact in bench.stated(GroupCreated)] == [False, True]


def test_an_outage_is_told_once_and_its_end_once(bench: Workbench) -> None:
    fetcher, renewer = bench.fetcher(), bench.renewer()
    bench.server.down(True)
    for actor in (fetcher, renewer, fetcher, renewer):
        with pytest.raises(BrokerUnavailable) as raised:
            actor.step() if actor is fetcher else renewer.run_once()
        actor.on_transient(raised.value, 1)
    bench.server.down(False)

    fetcher.step()
    assert bench.stated(BrokerUp) == []
    renewer.run_once()

    assert len(bench.stated(BrokerDown)) == 1
    assert len(bench.stated(BrokerUp)) == 1


def test_a_malformed_entry_does_not_stop_its_batch(bench: Workbench) -> None:
    bench.publish()
    bench.add([b"message", b"{not json"])
    bench.add([b"nothing", b"here"])
    bench.publish()

    bench.fetcher().step()
    bench.settler().step()

    assert [letter.data.reason for letter in bench.dead_letters()] == ["malformed", "malformed"]
    assert len(bench.waiting()) == 2


def test_entries_that_come_after_the_stop_are_handed_back(bench: Workbench) -> None:
    bench.publish()
    bench.waiting()

    bench.fetcher().step()
    bench.settler().step()

    assert bench.credits.free == bench.credits.limit
    assert [deliveries for _, deliveries in bench.pending()] == [0]


def test_the_garbage_collector_need_not_visit_what_is_held(bench: Workbench) -> None:
    """Thousands are held at once; to look at them over and over would cost more than to decode them."""
    for _ in range(3):
        bench.publish()
    bench.fetcher().step()

    (held,) = bench.table.snapshot().values()
    gc.collect(0)  # a tuple of bytes is let go when it is looked at for the first time
    parts = [(each, each.entry, each.lease, each.message, each.entry.fields) for each in held]

    assert len(parts) == 3
    assert not any(gc.is_tracked(part) for entry in parts for part in entry)
    assert all(each.message is not None and not gc.is_tracked(each.message.timestamps) for each in held)


def test_an_entry_that_cannot_be_decoded_is_kept_whole(bench: Workbench) -> None:
    bench.add([b"message", b"{", b"beside", b"it"])
    bench.fetcher().step()

    ((held,),) = bench.table.snapshot().values()

    assert list(held.entry.fields) == [b"message", b"{", b"beside", b"it"]
