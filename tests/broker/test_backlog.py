"""How far the slowest group is behind, by all that it has to do yet."""

from __future__ import annotations

import pytest

from streamix_queue.broker.protocol import Backlog, ConsumerBroker
from streamix_queue.core.errors import WrongKeyType
from tests.broker.backends import Backend
from tests.broker.commands import EVENT, FIELDS, ack, one, or_absent, park, retry_later

MANY = 1_000_000


def fill(backend: Backend, count: int) -> list[bytes]:
    answers = backend.publisher().add_many(backend.keys.stream, [FIELDS] * count)
    return [answer for answer in answers if isinstance(answer, bytes)]


def behind(backend: Backend, enough: int = MANY) -> Backlog:
    return backend.publisher().backlog(backend.stream, enough)


def test_a_missing_stream_has_no_backlog(backend: Backend) -> None:
    assert behind(backend) == Backlog("", 0)


def test_without_a_group_all_entries_wait_for_one(backend: Backend) -> None:
    fill(backend, 7)

    assert behind(backend) == Backlog("", 7)


def test_what_is_pending_counts_until_it_is_settled(backend: Backend, me: ConsumerBroker) -> None:
    ids = fill(backend, 7)
    assert behind(backend) == Backlog("g", 7)

    backend.read(me, 5)
    assert behind(backend) == Backlog("g", 7)

    me.settle([ack(*(or_absent(backend.keys.stream, i) for i in ids[:5]))])
    assert behind(backend) == Backlog("g", 2)


def test_the_slowest_group_is_told(backend: Backend, me: ConsumerBroker) -> None:
    slow = backend.consumer(group="slow")
    slow.ensure_group(backend.keys.stream, "0")
    ids = fill(backend, 9)
    backend.read(me, 9)
    me.settle([ack(*(or_absent(backend.keys.stream, i) for i in ids))])
    backend.read(slow, 3)
    slow.settle([ack(*(or_absent(backend.keys.stream, i) for i in ids[:2]))])

    assert behind(backend) == Backlog("slow", 7)


def test_waiting_retries_and_inboxes_count_too(backend: Backend, me: ConsumerBroker) -> None:
    me.register([EVENT])
    a, b, c = backend.leased(me, 3)

    one(me, retry_later(or_absent(backend.keys.stream, a)))
    one(me, park(or_absent(backend.keys.stream, b)))
    me.settle([ack(or_absent(backend.keys.stream, c))])

    assert behind(backend) == Backlog("g", 2)


def test_a_lag_that_redis_does_not_know_is_counted(backend: Backend, me: ConsumerBroker) -> None:
    """Redis 6.2 knows none; later ones lose it when an undelivered entry is deleted."""
    ids = fill(backend, 1300)
    backend.read(me, 10)
    me.settle([ack(*(or_absent(backend.keys.stream, i) for i in ids[:10]))])
    backend.remove_entry(backend.keys.stream, ids[20])

    assert behind(backend) == Backlog("g", 1289)
    assert 100 < behind(backend, 100).count <= 1289


def test_a_group_that_began_in_the_middle_is_counted_right(backend: Backend) -> None:
    ids = fill(backend, 30)
    backend.consumer().ensure_group(backend.keys.stream, ids[9].decode())

    assert behind(backend) == Backlog("g", 20)


def test_trimmed_entries_count_no_more(backend: Backend, me: ConsumerBroker) -> None:
    ids = fill(backend, 1000)
    backend.read(me, 600)
    me.settle([ack(*(or_absent(backend.keys.stream, i) for i in ids[:600]))])
    backend.consumer("janitor").trim(backend.keys.stream, 0, 10_000, 1000)

    assert behind(backend) == Backlog("g", 400)


def test_side_keys_of_another_type_hold_nothing(backend: Backend, me: ConsumerBroker) -> None:
    me.register([EVENT])
    fill(backend, 3)
    backend.make_wrong_type(backend.keys.delayed)
    backend.make_wrong_type(backend.keys.inbox(EVENT))

    assert behind(backend) == Backlog("g", 3)

    backend.make_wrong_type(backend.keys.handlers)

    assert behind(backend) == Backlog("g", 3)


def test_a_stream_of_another_type_is_told(backend: Backend) -> None:
    backend.make_wrong_type(backend.keys.stream)

    with pytest.raises(WrongKeyType):
        behind(backend)
