"""Holding entries: renewing leases, finding lost ones, handing back, counting suspects."""

from __future__ import annotations

from streamix_queue.broker.protocol import ConsumerBroker, Standing
from tests.broker.backends import Backend
from tests.broker.commands import DONE, FIELDS, absolve, ack, hand_back, one, or_absent, stale

LONG_MS = 50_000


def idle(backend: Backend) -> dict[bytes, int]:
    return {p.entry_id: p.idle_ms for p in backend.pending(backend.keys.stream)}


# --- renewing -----------------------------------------------------------------------------------


def test_a_renewal_starts_the_lease_anew_and_counts_nothing(backend: Backend, me: ConsumerBroker) -> None:
    ours, not_asked = backend.leased(me, 2)
    for entry_id in (ours, not_asked):
        backend.make_idle(backend.keys.stream, entry_id, LONG_MS)

    assert me.renew(backend.keys.stream, [(ours, 1)]) == [Standing.OURS]

    assert backend.owner(ours) == (b"me", 1)
    assert idle(backend)[ours] < LONG_MS <= idle(backend)[not_asked]


def test_renewals_are_answered_one_by_one_in_order(backend: Backend, me: ConsumerBroker) -> None:
    a, b, c = backend.leased(me, 3)
    backend.steal(b)
    me.settle([ack(or_absent(backend.keys.stream, c))])

    assert me.renew(backend.keys.stream, [(c, 1), (b, 1), (a, 1), (b"9-9", 1)]) == [
        Standing.ORPHAN,
        Standing.STOLEN,
        Standing.OURS,
        Standing.ORPHAN,
    ]


def test_a_renewal_of_five_hundred(backend: Backend, me: ConsumerBroker) -> None:
    ids = backend.leased(me, 500)

    assert me.renew(backend.keys.stream, [(i, 1) for i in ids]) == [Standing.OURS] * 500


def test_a_renewal_of_a_later_delivery(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.steal(entry_id, "me")

    assert me.renew(backend.keys.stream, [(entry_id, 2)]) == [Standing.OURS]


# --- what is ours, though we never saw it -------------------------------------------------------


def test_own_pending_tells_what_redis_thinks_we_hold(backend: Backend, me: ConsumerBroker) -> None:
    other = backend.consumer("other")
    ids = backend.leased(me, 3)
    backend.leased(other, 2)
    backend.steal(ids[1], "me")

    assert me.own_pending(backend.keys.stream, 10) == [(ids[0], 1), (ids[1], 2), (ids[2], 1)]
    assert me.own_pending(backend.keys.stream, 2) == [(ids[0], 1), (ids[1], 2)]
    assert backend.consumer("newcomer").own_pending(backend.keys.stream, 10) == []


def test_own_pending_changes_nothing(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.make_idle(backend.keys.stream, entry_id, LONG_MS)

    me.own_pending(backend.keys.stream, 10)

    assert backend.owner(entry_id) == (b"me", 1)
    assert idle(backend)[entry_id] >= LONG_MS


def test_take_gives_the_fields_and_counts_no_delivery(backend: Backend, me: ConsumerBroker) -> None:
    backend.publisher().add(backend.keys.stream, FIELDS)
    ((entry_id, _),) = backend.read(me)
    backend.make_idle(backend.keys.stream, entry_id, LONG_MS)

    (taken,) = me.take(backend.keys.stream, [(entry_id, 1)])

    assert tuple(taken) == (entry_id, 1, FIELDS)
    assert backend.owner(entry_id) == (b"me", 1)
    assert idle(backend)[entry_id] < LONG_MS, "it is ours from now on"


def test_take_leaves_out_what_is_pending_for_nobody(backend: Backend, me: ConsumerBroker) -> None:
    acked, ours = backend.leased(me, 2)
    me.settle([ack(or_absent(backend.keys.stream, acked))])

    assert [i for i, _, _ in me.take(backend.keys.stream, [(acked, 1), (ours, 1)])] == [ours]


def test_take_three_hundred(backend: Backend, me: ConsumerBroker) -> None:
    ids = backend.leased(me, 300)

    taken = me.take(backend.keys.stream, me.own_pending(backend.keys.stream, 300))

    assert [(i, n) for i, n, _ in taken] == [(i, 1) for i in ids]


# --- handing back -------------------------------------------------------------------------------


def test_what_was_handed_back_is_reclaimed_at_once_as_if_never_taken(
    backend: Backend, me: ConsumerBroker
) -> None:
    ids = backend.leased(me, 2)

    answer = one(me, hand_back(*(or_absent(backend.keys.stream, i) for i in ids), idle_ms=60_000))

    assert answer == [DONE, DONE]
    got = backend.consumer("other").reclaim(backend.keys.stream, 60_000, b"0-0", 10)
    assert [(i, n) for i, n, _ in got.entries] == [(ids[0], 1), (ids[1], 1)]


def test_a_later_delivery_is_handed_back_with_its_own_count(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.steal(entry_id, "me")

    assert one(me, hand_back(or_absent(backend.keys.stream, entry_id, 2))) == [DONE]

    assert backend.owner(entry_id) == (b"me", 1)
    assert idle(backend)[entry_id] >= 60_000


def test_handing_back_again_after_a_lost_reply_changes_nothing(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    me.settle([hand_back(or_absent(backend.keys.stream, entry_id))])

    assert one(me, hand_back(stale(backend.keys.stream, entry_id))) == [-1]
    assert backend.owner(entry_id) == (b"me", 0)


def test_a_count_does_not_fall_below_zero(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    me.settle([hand_back(or_absent(backend.keys.stream, entry_id))])

    assert one(me, hand_back(or_absent(backend.keys.stream, entry_id, 0))) == [DONE]
    assert backend.owner(entry_id) == (b"me", 0)


def test_handing_back_nudges_the_group(backend: Backend, me: ConsumerBroker) -> None:
    other = backend.consumer("other")
    (entry_id,) = backend.leased(me, 1)
    assert other.due(10).nudge == b""

    me.settle([hand_back(or_absent(backend.keys.stream, entry_id))])

    assert other.due(10).nudge != b""
    assert backend.consumer(group="another").due(10).nudge == b""


def test_handing_back_what_is_not_ours_nudges_nobody(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    backend.steal(entry_id)

    me.settle([hand_back(or_absent(backend.keys.stream, entry_id))])

    assert me.due(10).nudge == b""


def test_three_hundred_are_handed_back(backend: Backend, me: ConsumerBroker) -> None:
    ids = backend.leased(me, 300)

    assert one(me, hand_back(*(or_absent(backend.keys.stream, i) for i in ids))) == [DONE] * 300
    assert {(p.deliveries, p.idle_ms >= 60_000) for p in backend.pending(backend.keys.stream)} == {(0, True)}


# --- suspects -----------------------------------------------------------------------------------


def test_each_delivery_of_a_suspect_counts_once(backend: Backend, me: ConsumerBroker) -> None:
    first, second = backend.leased(me, 2)

    assert me.suspect(or_absent(backend.keys.stream, first)) == 1
    assert me.suspect(or_absent(backend.keys.stream, first)) == 1, "asked again, for the reply was lost"
    assert me.suspect(or_absent(backend.keys.stream, second)) == 1
    assert backend.mapping(backend.keys.suspects) == {first: b"1 1", second: b"1 1"}


def test_the_starts_of_a_suspect_count_across_members(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    me.suspect(or_absent(backend.keys.stream, entry_id))
    backend.steal(entry_id)

    assert backend.consumer("thief").suspect(or_absent(backend.keys.stream, entry_id, 2)) == 2


def test_suspects_of_different_streams_are_kept_apart(backend: Backend, me: ConsumerBroker) -> None:
    one_inbox, other_inbox = backend.keys.inbox("a"), backend.keys.inbox("b")
    (first,), (second,) = backend.leased(me, 1, one_inbox), backend.leased(me, 1, other_inbox)

    me.suspect(or_absent(one_inbox, first))
    me.suspect(or_absent(other_inbox, second))

    assert backend.mapping(backend.keys.suspects) == {b"a/" + first: b"1 1", b"b/" + second: b"1 1"}


def test_absolved_suspects_are_forgotten(backend: Backend, me: ConsumerBroker) -> None:
    inbox = backend.keys.inbox("a")
    first, second = (or_absent(backend.keys.stream, i) for i in backend.leased(me, 2))
    (third,) = (or_absent(inbox, i) for i in backend.leased(me, 1, inbox))
    for lease in (first, second, third):
        me.suspect(lease)

    assert one(me, absolve(first, third)) == DONE
    assert one(me, absolve(first)) == DONE

    assert backend.mapping(backend.keys.suspects) == {second.entry_id: b"1 1"}
    assert me.suspect(first) == 1
