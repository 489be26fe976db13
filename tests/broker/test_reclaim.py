"""Taking over what another member left behind."""

from __future__ import annotations

import pytest

from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core.errors import WrongKeyType
from tests.broker.backends import Backend
from tests.broker.commands import FIELDS

LEASE_MS = 60_000


@pytest.fixture
def other(backend: Backend) -> ConsumerBroker:
    return backend.consumer("other")


def test_reclaim_takes_over_what_was_idle_and_counts_a_delivery(
    backend: Backend, me: ConsumerBroker, other: ConsumerBroker
) -> None:
    backend.publisher().add(backend.keys.stream, FIELDS)
    ((idle, _),) = backend.read(other)
    (busy,) = backend.leased(other, 1)
    backend.make_idle(backend.keys.stream, idle, LEASE_MS)

    got = me.reclaim(backend.keys.stream, LEASE_MS, b"0-0", 10)

    assert [tuple(entry) for entry in got.entries] == [(idle, 2, FIELDS)]
    assert got.cursor == b"0-0"
    assert got.trimmed == []
    assert backend.owner(idle) == (b"me", 2)
    assert backend.owner(busy) == (b"other", 1)


def test_a_reclaimed_entry_is_leased_anew(
    backend: Backend, me: ConsumerBroker, other: ConsumerBroker
) -> None:
    (entry_id,) = backend.leased(other, 1)
    backend.make_idle(backend.keys.stream, entry_id, LEASE_MS)
    me.reclaim(backend.keys.stream, LEASE_MS, b"0-0", 10)

    assert other.reclaim(backend.keys.stream, LEASE_MS, b"0-0", 10).entries == []


def test_reclaim_takes_our_own_entries_too(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.make_idle(backend.keys.stream, entry_id, LEASE_MS)

    assert [(i, n) for i, n, _ in me.reclaim(backend.keys.stream, LEASE_MS, b"0-0", 10).entries] == [
        (entry_id, 2)
    ]


def test_each_reclaim_counts(backend: Backend, me: ConsumerBroker, other: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    counts = []
    for broker in (other, me, other, me):
        backend.make_idle(backend.keys.stream, entry_id, LEASE_MS)
        ((_, count, _),) = broker.reclaim(backend.keys.stream, LEASE_MS, b"0-0", 10).entries
        counts.append(count)

    assert counts == [2, 3, 4, 5]


def test_reclaim_goes_on_at_the_cursor(backend: Backend, me: ConsumerBroker, other: ConsumerBroker) -> None:
    ids = backend.leased(other, 25)
    for entry_id in ids:
        backend.make_idle(backend.keys.stream, entry_id, LEASE_MS)

    seen: list[list[bytes]] = []
    cursor = b"0-0"
    while not seen or cursor != b"0-0":
        got = me.reclaim(backend.keys.stream, LEASE_MS, cursor, 10)
        seen.append([i for i, _, _ in got.entries])
        cursor = got.cursor

    assert seen == [ids[:10], ids[10:20], ids[20:]]


def test_a_busy_head_does_not_hide_an_idle_tail(
    backend: Backend, me: ConsumerBroker, other: ConsumerBroker
) -> None:
    ids = backend.leased(other, 251)
    backend.make_idle(backend.keys.stream, ids[-1], LEASE_MS)

    first = me.reclaim(backend.keys.stream, LEASE_MS, b"0-0", 10)
    assert first.entries == []
    assert first.cursor == ids[100], "ten times the count was looked at"

    again = me.reclaim(backend.keys.stream, LEASE_MS, b"0-0", 10)
    assert (again.cursor, again.entries) == (first.cursor, []), "from the start it is found never"

    second = me.reclaim(backend.keys.stream, LEASE_MS, first.cursor, 10)
    third = me.reclaim(backend.keys.stream, LEASE_MS, second.cursor, 10)
    assert [i for i, _, _ in third.entries] == [ids[-1]]
    assert third.cursor == b"0-0"


def test_a_cursor_may_point_at_what_is_pending_no_more(
    backend: Backend, me: ConsumerBroker, other: ConsumerBroker
) -> None:
    ids = backend.leased(other, 3)
    for entry_id in ids:
        backend.make_idle(backend.keys.stream, entry_id, LEASE_MS)
    cursor = me.reclaim(backend.keys.stream, LEASE_MS, b"0-0", 1).cursor
    assert cursor == ids[1]
    backend.remove_consumer(backend.keys.stream, b"me")
    backend.consumer("third").reclaim(backend.keys.stream, LEASE_MS, ids[1], 1)
    backend.remove_consumer(backend.keys.stream, b"third")

    got = me.reclaim(backend.keys.stream, LEASE_MS, cursor, 10)

    assert [i for i, _, _ in got.entries] == [ids[2]]


def test_what_the_server_comes_to_too_late_is_not_taken(
    backend: Backend, me: ConsumerBroker, other: ConsumerBroker
) -> None:
    (entry_id,) = backend.leased(other, 1)
    backend.make_idle(backend.keys.stream, entry_id, LEASE_MS)
    now = me.now_ms()

    late = me.reclaim(backend.keys.stream, LEASE_MS, b"0-0", 10, now - 1)
    assert (late.late, late.cursor, late.entries, late.trimmed) == (True, b"0-0", [], [])
    assert [i for i, _ in other.own_pending(backend.keys.stream, 10)] == [entry_id]

    in_time = me.reclaim(backend.keys.stream, LEASE_MS, b"0-0", 10, now + 60_000)
    assert [i for i, _, _ in in_time.entries] == [entry_id]
    assert not in_time.late


def test_reclaim_of_an_empty_pending_list(backend: Backend, me: ConsumerBroker) -> None:
    got = me.reclaim(backend.keys.stream, 0, b"0-0", 10)

    assert (got.cursor, got.entries, got.trimmed) == (b"0-0", [], [])


def test_reclaim_on_a_key_of_another_type_says_so(backend: Backend, me: ConsumerBroker) -> None:
    backend.make_wrong_type(backend.keys.stream)

    with pytest.raises(WrongKeyType):
        me.reclaim(backend.keys.stream, 0, b"0-0", 10)


def test_reclaim_reads_an_inbox_like_any_stream(
    backend: Backend, me: ConsumerBroker, other: ConsumerBroker
) -> None:
    inbox = backend.keys.inbox("user.created")
    (entry_id,) = backend.leased(other, 1, inbox)
    backend.make_idle(inbox, entry_id, LEASE_MS)

    assert [i for i, _, _ in me.reclaim(inbox, LEASE_MS, b"0-0", 10).entries] == [entry_id]
    assert me.reclaim(backend.keys.stream, 0, b"0-0", 10).entries == []
