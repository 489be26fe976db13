"""The table of what is held, and the credits that follow it."""

from __future__ import annotations

import time

from streamix_queue.core.delivery import Delivery
from streamix_queue.core.outcome import HAND_BACK
from streamix_queue.held.table import LeaseTable
from streamix_queue.runtime import Credits


def held(entry: int, *, deliveries: int = 1, key: bytes = b"s") -> Delivery:
    return Delivery(key, b"%d-0" % entry, [], 0.0, time.monotonic(), deliveries)


def test_an_entry_costs_one_credit_until_it_leaves_the_table() -> None:
    credits_ = Credits(10)
    table = LeaseTable(credits_)
    three = [held(1), held(2), held(3)]

    table.add(three)
    assert credits_.free == 7
    table.remove(three[:2])
    assert credits_.free == 9
    table.remove(three)

    assert credits_.free == 10


def test_removing_an_entry_twice_gives_no_second_credit() -> None:
    credits_ = Credits(10)
    table = LeaseTable(credits_)
    one = held(1)
    table.add([one])

    table.remove([one])
    table.remove([one])

    assert credits_.free == 10


def test_the_same_id_on_two_streams_is_two_entries() -> None:
    table = LeaseTable(Credits(10))

    table.add([held(1), held(1, key=b"inbox")])

    assert len(table) == 2


def test_an_entry_that_is_held_and_delivered_again_is_not_run_twice_but_takes_the_new_lease() -> None:
    credits_ = Credits(10)
    table = LeaseTable(credits_)
    first, again = held(1), held(1, deliveries=2)
    first.lost = True
    table.add([first])

    accepted = table.add([again, held(2)])

    assert [each.entry_id for each in accepted] == [b"2-0"]
    assert (first.deliveries, first.lost, first.leased_at) == (2, False, again.leased_at)
    assert credits_.free == 8


def test_an_entry_that_is_on_its_way_back_and_comes_again_is_a_new_delivery() -> None:
    """Its hand-back is done and not confirmed yet; what is removed then is not what is held now."""
    credits_ = Credits(10)
    table = LeaseTable(credits_)
    first, again = held(1), held(1)
    table.add([first])
    first.outcome = HAND_BACK

    assert table.add([again]) == [again]
    table.remove([first])
    assert table.get(b"s", b"1-0") is again
    assert credits_.free == 9
    table.remove([again])

    assert credits_.free == 10


def test_a_snapshot_holds_what_is_held_by_stream() -> None:
    table = LeaseTable(Credits(10))
    one, two = held(1), held(2, key=b"inbox")
    table.add([one, two])

    assert table.snapshot() == {b"s": [one], b"inbox": [two]}
    table.remove([two])
    assert table.snapshot() == {b"s": [one]}
