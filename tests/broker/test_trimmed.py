"""Pending entries whose payload was trimmed away: reported once, settled from memory, never stuck.

XDEL stands for XTRIM: what they leave behind is the same.
"""

from __future__ import annotations

import pytest

from streamix_queue.broker.protocol import ConsumerBroker, Standing
from tests.broker.backends import Backend
from tests.broker.commands import DONE, FENCED, GONE, Fenced, ack, hand_back, one, or_absent, stale, written


@pytest.fixture
def leased(backend: Backend, me: ConsumerBroker) -> list[bytes]:
    """Three entries of ours that were idle for long; the payload of the second is gone."""
    ids = backend.leased(me, 3)
    for entry_id in ids:
        backend.make_idle(backend.keys.stream, entry_id, 70_000)
    backend.remove_entry(backend.keys.stream, ids[1])
    return ids


def test_reclaim_reports_what_was_trimmed_and_it_is_pending_no_more(
    backend: Backend, leased: list[bytes]
) -> None:
    got = backend.consumer("other").reclaim(backend.keys.stream, 60_000, b"0-0", 100)

    assert [i for i, _, _ in got.entries] == [leased[0], leased[2]]
    assert got.trimmed == [leased[1]]
    assert got.cursor == b"0-0"
    assert [p.entry_id for p in backend.pending(backend.keys.stream)] == [leased[0], leased[2]]


def test_reclaim_reports_each_trimmed_entry_once(backend: Backend, leased: list[bytes]) -> None:
    other = backend.consumer("other")

    assert other.reclaim(backend.keys.stream, 60_000, b"0-0", 100).trimmed == [leased[1]]
    assert other.reclaim(backend.keys.stream, 0, b"0-0", 100).trimmed == []


def test_a_stream_that_was_trimmed_to_nothing_is_reclaimed_in_steps(
    backend: Backend, me: ConsumerBroker
) -> None:
    ids = backend.leased(me, 25)
    for entry_id in ids:
        backend.make_idle(backend.keys.stream, entry_id, 70_000)
        backend.remove_entry(backend.keys.stream, entry_id)

    reported: list[bytes] = []
    cursor = b"0-0"
    for _ in range(10):
        got = backend.consumer("other").reclaim(backend.keys.stream, 60_000, cursor, 10)
        assert got.entries == []
        reported += got.trimmed
        cursor = got.cursor
        if cursor == b"0-0":
            break

    assert reported == ids
    assert backend.pending(backend.keys.stream) == []


def test_a_renewal_tells_the_holder_that_the_payload_is_gone(
    backend: Backend, me: ConsumerBroker, leased: list[bytes]
) -> None:
    got = me.renew(backend.keys.stream, [(i, 1) for i in leased])

    # Redis 6.2 does not notice, and keeps the lease: that is as good.
    trimmed = Standing.ORPHAN if backend.drops_trimmed_entries else Standing.OURS
    assert got == [Standing.OURS, trimmed, Standing.OURS]


@pytest.mark.parametrize("command", FENCED)
def test_the_holder_settles_from_its_own_copy(
    backend: Backend, me: ConsumerBroker, leased: list[bytes], command: Fenced
) -> None:
    me.renew(backend.keys.stream, [(leased[1], 1)])

    assert one(me, command(or_absent(backend.keys.stream, leased[1]))) == DONE
    assert len(written(backend)) == 1
    assert backend.owner(leased[1]) is None


def test_a_trimmed_entry_is_acked(backend: Backend, me: ConsumerBroker, leased: list[bytes]) -> None:
    assert one(me, ack(or_absent(backend.keys.stream, leased[1]))) == DONE
    assert backend.owner(leased[1]) is None


def test_what_nobody_else_could_read_is_not_handed_back(
    backend: Backend, me: ConsumerBroker, leased: list[bytes]
) -> None:
    leases = [or_absent(backend.keys.stream, i) for i in leased]

    assert one(me, hand_back(*leases)) == [DONE, GONE, DONE]

    # Its holder learns that, and can still write its own copy elsewhere.
    assert one(me, FENCED[0](leases[1])) == DONE
    assert backend.owner(leased[1]) is None


def test_take_leaves_a_trimmed_entry_for_reclaim_to_report(
    backend: Backend, me: ConsumerBroker, leased: list[bytes]
) -> None:
    taken = me.take(backend.keys.stream, [(i, 1) for i in leased])

    assert [i for i, _, _ in taken] == [leased[0], leased[2]]
    assert me.reclaim(backend.keys.stream, 60_000, b"0-0", 100).trimmed == [leased[1]]


def test_a_stale_lease_on_a_trimmed_entry_writes_at_most_once(
    backend: Backend, me: ConsumerBroker, leased: list[bytes]
) -> None:
    command = FENCED[1](stale(backend.keys.stream, leased[1]))

    assert one(me, command) == DONE, "it is pending for us still"
    assert one(me, command) == GONE
    assert len(written(backend)) == 1


def test_entries_deleted_before_they_were_read_are_never_seen(backend: Backend, me: ConsumerBroker) -> None:
    first = backend.add(backend.keys.stream, b"message", b"1")
    second = backend.add(backend.keys.stream, b"message", b"2")
    backend.remove_entry(backend.keys.stream, first)

    assert [i for i, _ in backend.read(me)] == [second]
    assert [p.entry_id for p in backend.pending(backend.keys.stream)] == [second]
