"""Retries of one round trip: they may travel together, and each is answered for itself."""

from __future__ import annotations

import pytest

from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core import commands
from streamix_queue.core.errors import OutOfMemory, WrongKeyType
from tests.broker.backends import Backend
from tests.broker.commands import DONE, EVENT, GONE, STOLEN, ack, dead_letter, or_absent, retry_later, stale


def retry(key: bytes, entry_id: bytes, text: bytes = b"{}", *, deliveries: int = 1) -> commands.RetryLater:
    return commands.RetryLater(
        stale(key, entry_id, deliveries), 60_000, EVENT, [b"message", text + key + entry_id]
    )


def test_each_retry_is_answered_for_itself(backend: Backend, me: ConsumerBroker) -> None:
    ours, stolen, settled, later, last = backend.leased(me, 5)
    key = backend.keys.stream
    backend.steal(stolen)
    me.settle([ack(or_absent(key, settled))])

    answers = me.settle(
        [
            retry(key, ours),
            retry(key, stolen),
            retry(key, settled),
            retry(key, later, deliveries=2),
            retry(key, last),
        ]
    )

    assert answers == [DONE, STOLEN, GONE, STOLEN, DONE]
    assert len(backend.scores(backend.keys.delayed)) == 2
    assert [pending.entry_id for pending in backend.pending(key)] == [stolen, later]


def test_retries_of_several_streams_beside_other_commands_get_their_own_answers(
    backend: Backend, me: ConsumerBroker
) -> None:
    key, inbox = backend.keys.stream, backend.keys.inbox(EVENT)
    first, dead, second, stolen = backend.leased(me, 4)
    third, fourth = backend.leased(me, 2, inbox)
    backend.steal(stolen)

    answers = me.settle(
        [
            retry(key, first),
            retry(inbox, third),
            dead_letter(or_absent(key, dead)),
            retry(key, stolen),
            retry(inbox, fourth),
            retry(inbox, b"1-1"),
            retry(key, second),
        ]
    )

    assert answers == [DONE, DONE, DONE, STOLEN, DONE, GONE, DONE]
    assert backend.entries(inbox) == [], "an entry of an inbox goes with its ack"
    assert len(backend.scores(backend.keys.delayed)) == 4


@pytest.mark.parametrize(("count", "bytes_each"), [(150, 1), (6, 200_000)], ids=["many", "big"])
def test_more_retries_than_one_script_should_carry(
    backend: Backend, me: ConsumerBroker, count: int, bytes_each: int
) -> None:
    key = backend.keys.stream
    *ours, stolen = backend.leased(me, count)
    backend.steal(stolen)

    answers = me.settle([retry(key, each, b"x" * bytes_each) for each in [*ours, stolen]])

    assert answers == [DONE] * len(ours) + [STOLEN]
    assert len(backend.scores(backend.keys.delayed)) == len(ours)


def test_of_retries_that_redis_refuses_each_stays_pending_and_is_told(
    backend: Backend, me: ConsumerBroker
) -> None:
    key = backend.keys.stream
    first, stolen, second = backend.leased(me, 3)
    backend.steal(stolen)
    backend.make_wrong_type(backend.keys.delayed)

    refused, not_ours, refused_too = me.settle(
        [retry_later(or_absent(key, each)) for each in (first, stolen, second)]
    )

    assert isinstance(refused, WrongKeyType)
    assert isinstance(refused_too, WrongKeyType)
    assert not_ours == STOLEN
    assert len(backend.pending(key)) == 3


def test_without_memory_for_retries_each_stays_pending_and_is_told(
    backend: Backend, me: ConsumerBroker
) -> None:
    key = backend.keys.stream
    ids = backend.leased(me, 3)
    backend.fill(True)
    try:
        answers = me.settle([retry(key, each) for each in ids])
    finally:
        backend.fill(False)

    assert all(isinstance(answer, OutOfMemory) for answer in answers)
    assert len(backend.pending(key)) == 3
