"""What the janitor asks beside trimming: whose turn it is, idle names, and forgotten suspects."""

from __future__ import annotations

import pytest

from streamix_queue.broker.protocol import ConsumerBroker, Duty
from streamix_queue.core.errors import WrongKeyType
from tests.broker.backends import Backend, RedisBackend, eventually
from tests.broker.commands import EVENT, ack, or_absent

HOUR_MS = 3_600_000


# --- duties ----------------------------------------------------------------------------------------


def test_one_member_has_the_turn_of_the_stream_and_one_of_each_group(backend: Backend) -> None:
    first, second = backend.consumer("first"), backend.consumer("second")
    other = backend.consumer("third", group="other")

    duties = [member.take_duty(0, 60_000) for member in (first, second, other)]

    assert duties == [Duty(True, True), Duty(False, False), Duty(False, True)]


def test_who_has_the_turn_keeps_it_by_asking_again(backend: Backend) -> None:
    first, second = backend.consumer("first"), backend.consumer("second")

    duties = [member.take_duty(0, 60_000).stream for member in (first, second, first, second)]

    assert duties == [True, False, True, False]


def test_the_turn_of_a_member_that_died_is_another_s_soon(backend: Backend) -> None:
    second = backend.consumer("second")
    backend.consumer("first").take_duty(0, 30)

    eventually(lambda: second.take_duty(0, 60_000) == Duty(True, True))


def test_a_lock_of_another_type_is_no_obstacle(backend: Backend) -> None:
    member = backend.consumer()
    backend.add(backend.keys.janitor, b"a", b"b")
    backend.add(backend.keys.upkeep, b"a", b"b")

    assert member.take_duty(0, 60_000) == Duty(True, True)


def test_a_group_s_wish_is_noted_by_whoever_asks(backend: Backend) -> None:
    first, second = backend.consumer("first"), backend.consumer("second", group="h")
    first.take_duty(5000, 60_000)
    second.take_duty(None, 60_000)
    assert backend.mapping(backend.keys.keeps) == {b"g": b"5000", b"h": b"-1"}

    second.take_duty(0, 60_000)

    assert backend.mapping(backend.keys.keeps) == {b"g": b"5000", b"h": b"0"}


# --- names ----------------------------------------------------------------------------------------


def silent(backend: Backend, name: str, key: bytes) -> ConsumerBroker:
    """A member that Redis knows by name, and that has nothing pending."""
    member = backend.consumer(name)
    member.ensure_group(key, "0")
    backend.add(key, b"message", b"x")
    member.settle([ack(*(or_absent(key, i) for i, _ in backend.read(member, 100, key)))])
    return member


def test_names_that_were_silent_for_long_are_removed_everywhere(backend: Backend, me: ConsumerBroker) -> None:
    keys = [backend.keys.stream, backend.keys.inbox(EVENT)]
    for key in keys:
        silent(backend, "old", key)
    silent(backend, "older", keys[0])
    removed: list[str] = []

    def all_removed() -> bool:
        removed.extend(me.remove_idle(keys, 1))
        return not any(backend.consumers(key) for key in keys)

    eventually(all_removed)

    assert set(removed) == {"old", "older"}


def test_our_own_name_stays_however_silent_it_was(backend: Backend) -> None:
    me = silent(backend, "me", backend.keys.stream)
    silent(backend, "old", backend.keys.stream)

    eventually(lambda: me.remove_idle([backend.keys.stream], 1))

    assert backend.consumers(backend.keys.stream) == {b"me"}


def test_a_name_with_something_pending_stays(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(backend.consumer("crashed"), 1)
    silent(backend, "old", backend.keys.stream)  # after it, so less silent

    eventually(lambda: me.remove_idle([backend.keys.stream], 1))

    assert backend.consumers(backend.keys.stream) == {b"crashed"}
    assert backend.owner(entry_id) == (b"crashed", 1)


def test_a_name_that_was_heard_of_lately_stays(backend: Backend, me: ConsumerBroker) -> None:
    silent(backend, "peer", backend.keys.stream)

    assert me.remove_idle([backend.keys.stream], HOUR_MS) == []
    assert backend.consumers(backend.keys.stream) == {b"peer"}


def test_a_member_whose_name_was_removed_reads_on(backend: Backend, me: ConsumerBroker) -> None:
    peer = silent(backend, "peer", backend.keys.stream)
    eventually(lambda: me.remove_idle([backend.keys.stream], 1))

    entry_id = backend.add(backend.keys.stream, b"message", b"x")

    assert [i for i, _ in backend.read(peer)] == [entry_id]
    assert backend.owner(entry_id) == (b"peer", 1)


def test_names_of_other_groups_are_their_own_affair(backend: Backend, me: ConsumerBroker) -> None:
    other = backend.consumer("old", group="other")
    other.ensure_group(backend.keys.stream, "0")
    backend.add(backend.keys.stream, b"message", b"x")
    backend.read(other)
    silent(backend, "old", backend.keys.stream)

    eventually(lambda: me.remove_idle([backend.keys.stream], 1))

    assert len(other.own_pending(backend.keys.stream, 10)) == 1


def test_keys_without_the_group_are_passed_over(backend: Backend, me: ConsumerBroker) -> None:
    backend.add(backend.keys.inbox("no group"), b"message", b"x")

    keys = [backend.keys.inbox("no key"), backend.keys.inbox("no group"), backend.keys.stream]

    assert me.remove_idle(keys, HOUR_MS) == []


def test_before_redis_7_2_a_name_gets_24_times_as_long(redis_backend: RedisBackend) -> None:
    me = silent(redis_backend, "me", redis_backend.keys.stream)
    silent(redis_backend, "peer", redis_backend.keys.stream)
    (info, _) = redis_backend.client.xinfo_consumers(redis_backend.keys.stream, "g")
    if "inactive" in info:
        eventually(lambda: me.remove_idle([redis_backend.keys.stream], 500), 5)
        return

    def idle_ms() -> int:
        infos = redis_backend.client.xinfo_consumers(redis_backend.keys.stream, "g")
        return int(infos[-1]["idle"])

    eventually(lambda: idle_ms() >= 100)
    assert me.remove_idle([redis_backend.keys.stream], 100) == []
    eventually(lambda: idle_ms() >= 480)
    assert me.remove_idle([redis_backend.keys.stream], 20) == ["peer"]


# --- suspects -------------------------------------------------------------------------------------


def test_suspects_that_are_pending_for_nobody_are_forgotten(backend: Backend, me: ConsumerBroker) -> None:
    inbox = backend.keys.inbox("a/b")
    (kept,), (ended,) = backend.leased(me, 1), backend.leased(me, 1, inbox)
    lost = backend.leased(me, 1)[0]
    for key, entry_id in ((backend.keys.stream, kept), (inbox, ended), (backend.keys.stream, lost)):
        assert me.suspect(or_absent(key, entry_id)) == 1
    assert len(backend.mapping(backend.keys.suspects)) == 3
    me.settle([ack(or_absent(inbox, ended)), ack(or_absent(backend.keys.stream, lost))])

    assert me.forget_suspects(0, 100) == (0, 2)

    assert set(backend.mapping(backend.keys.suspects)) == {kept}


def test_a_suspect_of_a_peer_is_not_forgotten(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    me.suspect(or_absent(backend.keys.stream, entry_id))

    assert backend.consumer("peer").forget_suspects(0, 100) == (0, 0)
    assert set(backend.mapping(backend.keys.suspects)) == {entry_id}


def test_suspects_of_a_group_that_is_gone_are_forgotten(backend: Backend, me: ConsumerBroker) -> None:
    (entry_id,) = backend.leased(me, 1)
    me.suspect(or_absent(backend.keys.stream, entry_id))
    backend.destroy_group(backend.keys.stream)

    assert me.forget_suspects(0, 100) == (0, 1)


def test_many_suspects_are_looked_at_page_by_page(redis_backend: RedisBackend) -> None:
    me = redis_backend.consumer()
    me.ensure_group(redis_backend.keys.stream, "0")
    redis_backend.client.hset(redis_backend.keys.suspects, mapping={f"5-{n}": 1 for n in range(1, 2001)})
    cursor, pages, forgotten = 0, 0, 0
    while pages == 0 or cursor:
        cursor, count = me.forget_suspects(cursor, 50)
        pages, forgotten = pages + 1, forgotten + count

    assert forgotten == 2000
    assert pages > 10


def test_fields_that_are_none_of_ours_are_left_alone(backend: Backend, me: ConsumerBroker) -> None:
    if isinstance(backend, RedisBackend):
        for field in (b"no id", b"a/1", b"1-", b"99999999999999999999999-1", b"\xff"):
            backend.client.hset(backend.keys.suspects, field, 1)

        assert me.forget_suspects(0, 100) == (0, 0)
        assert len(backend.mapping(backend.keys.suspects)) == 5


def test_suspects_of_the_wrong_type_are_told(backend: Backend, me: ConsumerBroker) -> None:
    backend.make_wrong_type(backend.keys.suspects)

    with pytest.raises(WrongKeyType):
        me.forget_suspects(0, 100)


# --- the registry -----------------------------------------------------------------------------------


def test_the_events_of_the_group_are_known_the_latest_first(backend: Backend, me: ConsumerBroker) -> None:
    me.register(["a", "b", "c"])
    backend.set_score(backend.keys.handlers, b"b", backend.now_ms() + 5)

    assert me.registered(10)[0] == "b"
    assert sorted(me.registered(10)) == ["a", "b", "c"]
    assert me.registered(1) == ["b"]
    assert backend.consumer(group="other").registered(10) == []
