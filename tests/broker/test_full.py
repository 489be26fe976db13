"""At ``maxmemory``: what adds data is refused and stays ours; what frees data goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamix_queue.broker.protocol import ConsumerBroker, Standing
from streamix_queue.core import commands
from streamix_queue.core.errors import OutOfMemory
from tests.broker.backends import Backend
from tests.broker.commands import (
    DONE,
    DROPPED,
    EVENT,
    FENCED,
    FIELDS,
    Fenced,
    absolve,
    ack,
    hand_back,
    one,
    or_absent,
    written,
)


@pytest.fixture
def leased(backend: Backend, me: ConsumerBroker) -> Iterator[list[bytes]]:
    """Five entries of ours, on a server that is full now."""
    ids = backend.leased(me, 5)
    backend.fill(True)
    yield ids
    backend.fill(False)


@pytest.mark.parametrize("command", FENCED)
def test_what_adds_data_is_refused_and_stays_ours(
    backend: Backend, me: ConsumerBroker, leased: list[bytes], command: Fenced
) -> None:
    assert isinstance(one(me, command(or_absent(backend.keys.stream, leased[0]))), OutOfMemory)
    assert backend.owner(leased[0]) == (b"me", 1)

    backend.fill(False)

    assert written(backend) == []
    assert one(me, command(or_absent(backend.keys.stream, leased[0]))) == DONE


def test_what_frees_data_goes_on(backend: Backend, me: ConsumerBroker, leased: list[bytes]) -> None:
    acked, refused, back, dropped, absolved = (or_absent(backend.keys.stream, i) for i in leased)

    answers = me.settle(
        [
            ack(acked),
            FENCED[0](refused),
            hand_back(back),
            commands.HandOver(dropped, "nobody's", FIELDS),
            absolve(absolved),
        ]
    )

    assert isinstance(answers.pop(1), OutOfMemory)
    assert answers == [DONE, [DONE], DROPPED, DONE]
    assert backend.owner(back.entry_id) == (b"me", 0)


def test_consumers_can_still_read_and_hold(backend: Backend, me: ConsumerBroker, leased: list[bytes]) -> None:
    backend.make_idle(backend.keys.stream, leased[0], 70_000)

    assert backend.read(me) == []
    assert me.renew(backend.keys.stream, [(leased[1], 1)]) == [Standing.OURS]
    assert [i for i, _, _ in me.reclaim(backend.keys.stream, 60_000, b"0-0", 10).entries] == [leased[0]]
    assert len(me.own_pending(backend.keys.stream, 10)) == 5
    assert [i for i, _, _ in me.take(backend.keys.stream, [(leased[1], 1)])] == [leased[1]]
    assert me.due(10).members == []
    me.depart([backend.keys.stream])


def test_publishers_are_told(backend: Backend, leased: list[bytes]) -> None:
    publisher = backend.publisher()

    with pytest.raises(OutOfMemory):
        publisher.add(backend.keys.stream, FIELDS)
    with pytest.raises(OutOfMemory):
        publisher.add_unless_there(backend.keys.stream, b"1", FIELDS)
    with pytest.raises(OutOfMemory):
        publisher.ensure_group(backend.keys.stream, b"another", "0")
    assert [type(a) for a in publisher.add_many(backend.keys.stream, [FIELDS] * 3)] == [OutOfMemory] * 3
    assert publisher.ensure_group(backend.keys.stream, b"g", "0") is None, "that one is there"


def test_bookkeeping_that_adds_data_is_refused(
    backend: Backend, me: ConsumerBroker, leased: list[bytes]
) -> None:
    with pytest.raises(OutOfMemory):
        me.suspect(or_absent(backend.keys.stream, leased[0]))
    with pytest.raises(OutOfMemory):
        me.register([EVENT])


def test_retries_wait_on_and_keep_their_time(backend: Backend, me: ConsumerBroker) -> None:
    ids = backend.leased(me, 2)
    me.settle([FENCED[0](or_absent(backend.keys.stream, ids[0]))])
    before = backend.scores(backend.keys.delayed)
    (member,) = before
    backend.fill(True)
    try:
        with pytest.raises(OutOfMemory):
            me.promote([member])
        with pytest.raises(OutOfMemory):
            me.discard_delayed(member, FIELDS)
    finally:
        backend.fill(False)

    assert backend.scores(backend.keys.delayed) == before
    assert me.promote([member]) == 1
