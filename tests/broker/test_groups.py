"""Groups and their members: made, found, and left."""

from __future__ import annotations

import pytest

from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core import commands
from streamix_queue.core.errors import GroupMissing, WrongKeyType
from streamix_queue.core.keys import Keys
from tests.broker.backends import Backend
from tests.broker.commands import DONE, FIELDS, or_absent


def test_a_broker_connects_and_has_an_answer(backend: Backend) -> None:
    broker = backend.consumer()

    broker.connect()
    before = broker.now_ms()
    broker.close()
    assert broker.now_ms() >= before


def test_ensure_group_makes_the_stream_too(backend: Backend) -> None:
    assert backend.consumer().ensure_group(backend.keys.stream, "0") == 0

    assert backend.pending(backend.keys.stream) == []


def test_ensure_group_tells_how_many_entries_are_there_already(backend: Backend) -> None:
    for _ in range(3):
        backend.add(backend.keys.stream, b"message", b"x")

    assert backend.consumer().ensure_group(backend.keys.stream, "0") == 3


def test_ensure_group_twice_keeps_the_group_as_it_is(backend: Backend) -> None:
    me = backend.consumer()
    ids = backend.leased(me, 2)

    assert me.ensure_group(backend.keys.stream, "0") is None
    assert [p.entry_id for p in backend.pending(backend.keys.stream)] == ids
    assert backend.read(me) == []


def test_a_publisher_makes_the_same_group(backend: Backend) -> None:
    publisher = backend.publisher()

    assert publisher.ensure_group(backend.keys.stream, b"g", "0") == 0
    assert publisher.ensure_group(backend.keys.stream, b"g", "0") is None
    assert backend.consumer().ensure_group(backend.keys.stream, "$") is None


@pytest.mark.parametrize(("start", "seen"), [("0", [0, 1, 2]), ("$", []), ("1-0", [0, 1, 2])])
def test_a_group_starts_where_it_is_told(backend: Backend, start: str, seen: list[int]) -> None:
    ids = [backend.add(backend.keys.stream, b"message", b"x") for _ in range(3)]
    me = backend.consumer()
    me.ensure_group(backend.keys.stream, start)

    assert [i for i, _ in backend.read(me)] == [ids[n] for n in seen]


def test_a_group_can_start_after_an_entry(backend: Backend) -> None:
    ids = [backend.add(backend.keys.stream, b"message", b"x") for _ in range(3)]
    me = backend.consumer()
    me.ensure_group(backend.keys.stream, ids[1].decode())

    assert [i for i, _ in backend.read(me)] == [ids[2]]


def test_a_group_that_starts_at_the_end_sees_what_comes_later(backend: Backend) -> None:
    backend.add(backend.keys.stream, b"message", b"x")
    me = backend.consumer()
    me.ensure_group(backend.keys.stream, "$")
    later = backend.add(backend.keys.stream, b"message", b"y")

    assert [i for i, _ in backend.read(me)] == [later]


def test_groups_do_not_see_each_other(backend: Backend) -> None:
    ours, theirs = backend.consumer(), backend.consumer("me", group="other")
    theirs.ensure_group(backend.keys.stream, "0")
    ids = backend.leased(ours, 2)

    assert [i for i, _ in backend.read(theirs)] == ids
    assert len(backend.pending(backend.keys.stream, b"other")) == 2
    assert len(backend.pending(backend.keys.stream)) == 2


def test_names_may_hold_any_text(backend: Backend) -> None:
    backend.keys = Keys(f"{backend.stream} événements {{x}}\n", "gr:oup *?")
    backend.stream = backend.keys.stream_name
    me = backend.consumer("mé \t", group="gr:oup *?")
    entry_id, other = backend.leased(me, 2)
    inbox = backend.keys.inbox("user created\0%s")

    forwarded = commands.Park(or_absent(backend.keys.stream, entry_id), "user created\0%s", FIELDS)
    assert me.settle([forwarded]) == [DONE]
    me.ensure_group(inbox, "0")

    assert [fields for _, fields in backend.read(me, 1, inbox)] == [FIELDS]
    assert me.own_pending(backend.keys.stream, 10) == [(other, 1)]


def test_ensure_group_on_a_key_of_another_type_says_so(backend: Backend) -> None:
    backend.make_wrong_type(backend.keys.stream)

    with pytest.raises(WrongKeyType):
        backend.consumer().ensure_group(backend.keys.stream, "0")


@pytest.mark.parametrize("how", ["group destroyed", "stream deleted", "never made"])
def test_what_needs_the_group_says_that_it_is_missing(backend: Backend, how: str) -> None:
    key = backend.keys.stream
    me = backend.consumer()
    if how != "never made":
        backend.leased(me, 1)
        backend.destroy_group(key) if how == "group destroyed" else backend.delete(key)

    with pytest.raises(GroupMissing):
        me.read([key], 1, 0)
    with pytest.raises(GroupMissing):
        me.reclaim(key, 0, b"0-0", 10)
    with pytest.raises(GroupMissing):
        me.own_pending(key, 10)


def test_a_group_that_was_destroyed_can_be_made_again(backend: Backend) -> None:
    me = backend.consumer()
    ids = backend.leased(me, 2)
    backend.destroy_group(backend.keys.stream)

    assert me.ensure_group(backend.keys.stream, "0") == 2
    assert [i for i, _ in backend.read(me)] == ids


def test_a_member_departs(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    me.settle([_ack(backend.keys.stream, entry_id)])
    assert backend.consumers(backend.keys.stream) == {b"me"}

    me.depart([backend.keys.stream])

    assert backend.consumers(backend.keys.stream) == set()


def test_a_member_with_pending_entries_stays_and_keeps_them(backend: Backend, me: ConsumerBroker) -> None:
    ids = backend.leased(me, 2)

    me.depart([backend.keys.stream])

    assert backend.consumers(backend.keys.stream) == {b"me"}
    assert [(p.entry_id, p.owner) for p in backend.pending(backend.keys.stream)] == [
        (ids[0], b"me"),
        (ids[1], b"me"),
    ]


def test_a_member_departs_from_each_key_on_its_own(backend: Backend, me: ConsumerBroker) -> None:
    inbox, missing = backend.keys.inbox("user.created"), backend.keys.inbox("never.made")
    backend.leased(me, 1)
    ids = backend.leased(me, 1, inbox)
    me.settle([_ack(inbox, ids[0])])

    me.depart([missing, backend.keys.stream, inbox])

    assert backend.consumers(backend.keys.stream) == {b"me"}
    assert backend.consumers(inbox) == set()


def test_a_member_that_departs_leaves_the_others(backend: Backend, me: ConsumerBroker) -> None:
    other = backend.consumer("other")
    backend.leased(other, 1)
    backend.read(me)

    me.depart([backend.keys.stream])

    assert backend.consumers(backend.keys.stream) == {b"other"}


def _ack(key: bytes, *ids: bytes) -> commands.Ack:
    return commands.Ack(key, ids)
