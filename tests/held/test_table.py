"""The table of what is held, and the credits that follow it."""

from __future__ import annotations

from streamix_queue.core.outcome import HAND_BACK
from streamix_queue.held.table import HeldTable
from streamix_queue.runtime import Credits
from tests.held.hall import entry

NOW = 1000.0


def test_an_entry_costs_one_credit_until_it_leaves_the_table() -> None:
    credits_ = Credits(10)
    table = HeldTable(credits_, 60.0)

    three = table.hold([entry(1), entry(2), entry(3)], NOW)
    assert credits_.free == 7
    table.remove(three[:2])
    assert credits_.free == 9
    table.remove(three)

    assert credits_.free == 10


def test_removing_an_entry_twice_gives_no_second_credit() -> None:
    credits_ = Credits(10)
    table = HeldTable(credits_, 60.0)
    (one,) = table.hold([entry(1)], NOW)

    table.remove([one])
    table.remove([one])

    assert credits_.free == 10


def test_the_same_id_on_two_streams_is_two_entries() -> None:
    table = HeldTable(Credits(10), 60.0)

    table.hold([entry(1), entry(1, key=b"inbox")], NOW)

    assert len(table) == 2


def test_an_entry_that_is_held_and_delivered_again_is_not_run_twice_but_takes_the_new_lease() -> None:
    """Fails when it is run a second time (mutant held_twice)."""
    credits_ = Credits(10)
    table = HeldTable(credits_, 60.0)
    (first,) = table.hold([entry(1)], NOW)
    first.lease.lose()

    accepted = table.hold([entry(1, deliveries=2), entry(2)], NOW + 5)

    assert [each.entry.id for each in accepted] == [b"2-0"]
    assert (first.lease.token, first.lease.lost, first.lease.proved_at) == (2, False, NOW + 5)
    assert credits_.free == 8


def test_an_entry_that_is_on_its_way_back_and_comes_again_is_a_new_delivery() -> None:
    """Its hand-back is done and not confirmed yet; what is removed then is not what is held now."""
    credits_ = Credits(10)
    table = HeldTable(credits_, 60.0)
    (first,) = table.hold([entry(1)], NOW)
    first.close(HAND_BACK)

    (again,) = table.hold([entry(1)], NOW)
    table.remove([first])
    assert table.get(b"s", b"1-0") is again
    assert credits_.free == 9
    table.remove([again])

    assert credits_.free == 10


def test_a_snapshot_holds_what_is_held_by_stream() -> None:
    table = HeldTable(Credits(10), 60.0)
    one, two = table.hold([entry(1), entry(2, key=b"inbox")], NOW)

    assert table.snapshot() == {b"s": [one], b"inbox": [two]}
    table.remove([two])
    assert table.snapshot() == {b"s": [one]}
