"""The work is done and its reply is lost: what is sent again must not be done again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streamix_queue.broker.protocol import ConsumerBroker, Standing
from streamix_queue.core import commands
from streamix_queue.core.errors import BrokerUnavailable
from tests.broker.backends import Backend
from tests.broker.commands import (
    DONE,
    EVENT,
    FENCED,
    FIELDS,
    GONE,
    Fenced,
    ack,
    dead_letter,
    hand_back,
    one,
    or_absent,
    stale,
    written,
)

Lose = Callable[[str], None]


@pytest.fixture
def lossy(backend: Backend) -> tuple[ConsumerBroker, Lose]:
    broker, lose = backend.lossy_consumer("me")
    broker.ensure_group(backend.keys.stream, "0")
    return broker, lose


@pytest.mark.parametrize("command", FENCED)
def test_a_command_whose_reply_was_lost_is_gone_when_sent_again(
    backend: Backend, lossy: tuple[ConsumerBroker, Lose], command: Fenced
) -> None:
    me, lose = lossy
    (entry_id,) = backend.leased(me, 1)

    lose("settle")
    with pytest.raises(BrokerUnavailable):
        me.settle([command(or_absent(backend.keys.stream, entry_id))])

    assert one(me, command(stale(backend.keys.stream, entry_id))) == GONE
    assert len(written(backend)) == 1
    assert backend.pending(backend.keys.stream) == []


def test_an_ack_whose_reply_was_lost_is_sent_again(
    backend: Backend, lossy: tuple[ConsumerBroker, Lose]
) -> None:
    me, lose = lossy
    inbox = backend.keys.inbox(EVENT)
    ids, inbox_ids = backend.leased(me, 2), backend.leased(me, 2, inbox)
    batch = [commands.Ack(backend.keys.stream, ids), commands.Ack(inbox, inbox_ids)]

    lose("settle")
    with pytest.raises(BrokerUnavailable):
        me.settle(batch)

    assert me.settle(batch) == [DONE, DONE]
    assert backend.pending(backend.keys.stream) == backend.pending(inbox) == []
    assert backend.entries(inbox) == []


def test_a_whole_batch_is_sent_again(backend: Backend, lossy: tuple[ConsumerBroker, Lose]) -> None:
    me, lose = lossy
    a, b, c, d = backend.leased(me, 4)
    key = backend.keys.stream

    lose("settle")
    with pytest.raises(BrokerUnavailable):
        me.settle(
            [
                ack(or_absent(key, a)),
                dead_letter(or_absent(key, b)),
                hand_back(or_absent(key, c)),
                dead_letter(or_absent(key, d)),
            ]
        )

    assert me.settle([ack(stale(key, a)), dead_letter(stale(key, b)), dead_letter(stale(key, d))]) == [
        DONE,
        GONE,
        GONE,
    ]
    assert len(backend.entries(backend.keys.failed)) == 2
    assert backend.owner(c) == (b"me", 0)


def test_what_a_lost_reply_to_a_read_held_is_found_and_taken(
    backend: Backend, lossy: tuple[ConsumerBroker, Lose]
) -> None:
    me, lose = lossy
    ids = [backend.add(backend.keys.stream, *FIELDS) for _ in range(3)]
    backend.read(me, 1)  # so that whatever a first read asks is asked

    lose("read")
    with pytest.raises(BrokerUnavailable):
        me.read([backend.keys.stream], 10, 0)

    assert backend.read(me) == [], "Redis has delivered them, and does not do so again"
    lost = [lease for lease in me.own_pending(backend.keys.stream, 10) if lease[0] != ids[0]]
    taken = me.take(backend.keys.stream, lost)
    assert [tuple(entry) for entry in taken] == [(ids[1], 1, FIELDS), (ids[2], 1, FIELDS)]


def test_what_a_lost_reply_to_a_reclaim_held_is_found_and_taken(
    backend: Backend, lossy: tuple[ConsumerBroker, Lose]
) -> None:
    me, lose = lossy
    (entry_id,) = backend.leased(backend.consumer("other"), 1)
    backend.make_idle(backend.keys.stream, entry_id, 70_000)

    lose("reclaim")
    with pytest.raises(BrokerUnavailable):
        me.reclaim(backend.keys.stream, 60_000, b"0-0", 10)

    assert me.own_pending(backend.keys.stream, 10) == [(entry_id, 2)]
    assert [i for i, _, _ in me.take(backend.keys.stream, [(entry_id, 2)])] == [entry_id]


def test_a_take_whose_reply_was_lost_is_taken_again(
    backend: Backend, lossy: tuple[ConsumerBroker, Lose]
) -> None:
    me, lose = lossy
    (entry_id,) = backend.leased(me, 1)

    lose("take")
    with pytest.raises(BrokerUnavailable):
        me.take(backend.keys.stream, [(entry_id, 1)])

    assert [(i, n) for i, n, _ in me.take(backend.keys.stream, [(entry_id, 1)])] == [(entry_id, 1)]


def test_a_renewal_whose_reply_was_lost_is_sent_again(
    backend: Backend, lossy: tuple[ConsumerBroker, Lose]
) -> None:
    me, lose = lossy
    (entry_id,) = backend.leased(me, 1)

    lose("renew")
    with pytest.raises(BrokerUnavailable):
        me.renew(backend.keys.stream, [(entry_id, 1)])

    assert me.renew(backend.keys.stream, [(entry_id, 1)]) == [Standing.OURS]


def test_a_promotion_whose_reply_was_lost_moves_nothing_twice(
    backend: Backend, lossy: tuple[ConsumerBroker, Lose]
) -> None:
    me, lose = lossy
    (entry_id,) = backend.leased(me, 1)
    me.settle([FENCED[0](or_absent(backend.keys.stream, entry_id))])
    members = list(backend.scores(backend.keys.delayed))

    lose("promote")
    with pytest.raises(BrokerUnavailable):
        me.promote(members)

    assert me.promote(members) == 0
    assert len(written(backend)) == 1


def test_a_discard_whose_reply_was_lost_writes_once(
    backend: Backend, lossy: tuple[ConsumerBroker, Lose]
) -> None:
    me, lose = lossy
    backend.set_score(backend.keys.delayed, b"bad", 1)

    lose("discard_delayed")
    with pytest.raises(BrokerUnavailable):
        me.discard_delayed(b"bad", FIELDS)
    me.discard_delayed(b"bad", FIELDS)

    assert len(backend.entries(backend.keys.failed)) == 1


def test_making_a_group_whose_reply_was_lost_is_done_again(
    backend: Backend, lossy: tuple[ConsumerBroker, Lose]
) -> None:
    me, lose = lossy
    inbox = backend.keys.inbox(EVENT)

    lose("ensure_group")
    with pytest.raises(BrokerUnavailable):
        me.ensure_group(inbox, "0")

    assert me.ensure_group(inbox, "0") is None
    assert backend.pending(inbox) == []


def test_a_publish_whose_reply_was_lost_is_found_again(backend: Backend) -> None:
    publisher, lose = backend.lossy_publisher()
    fields = [b"message", b'{"id":"m1"}']

    lose("add")
    with pytest.raises(BrokerUnavailable):
        publisher.add(backend.keys.stream, fields)
    again = publisher.add_unless_there(backend.keys.stream, b"m1", fields)

    assert backend.entries(backend.keys.stream) == [(again, fields)]


def test_publishing_again_may_lose_its_reply_too(backend: Backend) -> None:
    publisher, lose = backend.lossy_publisher()
    fields = [b"message", b'{"id":"m1","event":"e"}']

    for _ in range(2):
        lose("add_unless_there")
        with pytest.raises(BrokerUnavailable):
            publisher.add_unless_there(backend.keys.stream, b"m1", fields)
    again = publisher.add_unless_there(backend.keys.stream, b"m1", fields)

    assert backend.entries(backend.keys.stream) == [(again, fields)]


def test_add_many_whose_reply_was_lost_tells_nothing(backend: Backend) -> None:
    publisher, lose = backend.lossy_publisher()

    lose("add_many")
    with pytest.raises(BrokerUnavailable):
        publisher.add_many(backend.keys.stream, [[b"message", b"%d" % n] for n in range(3)])

    assert len(backend.entries(backend.keys.stream)) == 3
