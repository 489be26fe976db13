"""What operators ask of Redis: the same answer on every kind of server, and one connection for all of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamix_queue.broker.protocol import Entry
from streamix_queue.broker.redis.operator.connection import RedisOperator
from streamix_queue.broker.redis.operator.letters import NotMoved
from streamix_queue.core.errors import WrongKeyType
from streamix_queue.core.keys import Keys
from tests.support.servers import Server

MANY = 1203
"""More than two steps of counting."""


@pytest.fixture
def operator(server: Server) -> Iterator[RedisOperator]:
    operator = RedisOperator(server.url, timeout_s=5.0)
    yield operator
    operator.close()


@pytest.fixture
def keys(stream: str) -> Keys:
    return Keys(stream, "billing")


@pytest.fixture
def filled(server: Server, keys: Keys) -> Keys:
    with server.client() as client:
        pipe = client.pipeline()
        for n in range(1, MANY + 1):
            pipe.xadd(keys.stream, {"message": "x"}, id=f"{n}-0")
        pipe.execute()
        client.xgroup_create(keys.stream, keys.group, id="3-0")
    return keys


def test_a_stream_or_a_group_that_is_not_there_has_nothing(
    operator: RedisOperator, server: Server, keys: Keys
) -> None:
    assert operator.groups.all(keys.stream) == []
    assert operator.groups.members([keys.stream], keys.group) == [[]]
    assert operator.groups.pending(keys.stream, keys.group, None, 10, None) == []
    with server.client() as client:
        client.xadd(keys.stream, {"message": "x"})
    assert operator.groups.all(keys.stream) == []
    assert operator.groups.holders([(keys.stream, keys.group, b"1-0")]) == [None]


def test_a_key_of_another_type_is_told(operator: RedisOperator, server: Server, keys: Keys) -> None:
    with server.client() as client:
        client.set(keys.stream, "x")

    with pytest.raises(WrongKeyType):
        operator.groups.all(keys.stream)


def test_a_group_is_told_with_what_the_server_knows(
    operator: RedisOperator, server: Server, filled: Keys
) -> None:
    with server.client() as client:
        client.xreadgroup(filled.group, "w1", {filled.stream: ">"}, count=2)

    (group,) = operator.groups.all(filled.stream)

    assert (group.name, group.consumers, group.pending) == (filled.group, 1, 2)
    assert group.last_delivered_id == b"5-0"
    assert group.lag in (None, MANY - 5)
    (member,) = operator.groups.members([filled.stream], filled.group)[0]
    assert (member.name, member.pending) == (b"w1", 2)
    first, second = operator.groups.pending(filled.stream, filled.group, None, 10, None)
    assert (first.entry_id, first.consumer, first.deliveries) == (b"4-0", b"w1", 1)
    (after,) = operator.groups.pending(filled.stream, filled.group, b"4-0", 10, b"w1")
    assert after.entry_id == second.entry_id == b"5-0"
    assert operator.groups.pending(filled.stream, filled.group, None, 10, b"w2") == []


@pytest.mark.parametrize(
    ("low", "below", "enough", "count"),
    [
        (b"-", b"1204-0", 10_000, MANY),
        (b"-", b"1203-0", 10_000, MANY - 1),
        (b"(3-0", b"1203-0", 10_000, MANY - 4),
        (b"-", b"1203-0", 501, 501),
        (b"-", b"1203-0", 500, 500),
        (b"(1203-0", b"2000-0", 10, 0),
    ],
)
def test_entries_are_counted_over_many_steps(
    operator: RedisOperator, filled: Keys, low: bytes, below: bytes, enough: int, count: int
) -> None:
    assert operator.entries.count_between(filled.stream, low, below, enough=enough) == count


def test_all_entries_after_an_id_are_counted(operator: RedisOperator, filled: Keys) -> None:
    assert operator.entries.count_between(filled.stream, b"(3-0", enough=10_000) == MANY - 3


@pytest.mark.parametrize(
    ("scan", "last"), [(MANY + 1, None), (MANY, b"1-0"), (120, b"1084-0"), (50, b"1154-0")]
)
def test_the_newest_come_first_and_where_they_end_is_told(
    operator: RedisOperator, filled: Keys, scan: int, last: bytes | None
) -> None:
    lasts: list[bytes | None] = []

    def read() -> Iterator[Entry]:
        lasts.append((yield from operator.entries.newest_of(filled.stream, scan)))

    found = [entry_id for entry_id, _ in read()]

    assert lasts == [last]
    expected = [b"%d-0" % n for n in range(MANY, 0, -1)]
    assert found == expected[:scan]


def test_a_letter_that_is_not_there_is_gone(operator: RedisOperator, keys: Keys) -> None:
    answer = operator.letters.replay(keys, b"1-0", "order.placed", [b"message", b"x"], always=True)

    assert answer is NotMoved.GONE


def test_a_letter_is_moved_once_and_only_to_who_reads_it(
    operator: RedisOperator, server: Server, keys: Keys
) -> None:
    with server.client() as client:
        client.xadd(keys.failed, {"message": "x"}, id="1-0")

        def ask(*, always: bool) -> bytes | NotMoved:
            return operator.letters.replay(keys, b"1-0", "order.placed", [b"message", b"x"], always=always)

        assert ask(always=False) is NotMoved.UNHANDLED
        moved = ask(always=True)
        assert ask(always=True) is NotMoved.GONE
        ((entry_id, _),) = client.xrange(keys.inbox("order.placed"))

    assert moved == entry_id
