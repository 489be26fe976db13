"""What Redis refuses: a wrong password, a missing right, too few replicas."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from streamix_queue.broker.redis.consumer import RedisConsumerBroker
from streamix_queue.core.errors import BrokerRefused, NotEnoughReplicas
from tests.broker.backends import RedisBackend, eventually
from tests.broker.commands import DONE, EVENT, FIELDS, dead_letter, one, or_absent, retry_later
from tests.broker.test_read import in_thread


@pytest.fixture
def me(redis_backend: RedisBackend) -> RedisConsumerBroker:
    broker = redis_backend.consumer("me")
    assert isinstance(broker, RedisConsumerBroker)
    broker.ensure_group(redis_backend.keys.stream, "0")
    return broker


@pytest.fixture
def limited(redis_backend: RedisBackend) -> Iterator[Callable[..., RedisConsumerBroker]]:
    """Brokers of a user with the given rights."""
    made: list[RedisConsumerBroker] = []

    def make(*rights: str, password: str = "s3cret") -> RedisConsumerBroker:
        command = ("ACL", "SETUSER", "limited", "reset", "on", ">s3cret", *rights)
        redis_backend.client.execute_command(*command)
        url = redis_backend.server.url.replace("redis://", f"redis://limited:{password}@")
        made.append(RedisConsumerBroker(url, redis_backend.keys, "limited"))
        return made[-1]

    yield make
    for broker in made:
        broker.close()
    redis_backend.client.execute_command("ACL", "DELUSER", "limited")


def test_a_wrong_password_is_refused_at_connect(limited: Callable[..., RedisConsumerBroker]) -> None:
    broker = limited("+@all", "~*", password="wr0ng")

    with pytest.raises(BrokerRefused) as caught:
        broker.connect()
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize("rights", [("+@all", "-xreadgroup", "~*"), ("+@all", "~other*")])
def test_a_missing_right_is_refused(
    redis_backend: RedisBackend,
    me: RedisConsumerBroker,
    limited: Callable[..., RedisConsumerBroker],
    rights: tuple[str, ...],
) -> None:
    broker = limited(*rights)
    broker.connect()

    with pytest.raises(BrokerRefused):
        broker.read([redis_backend.keys.stream], 1, 0)


def test_a_right_that_a_script_lacks_refuses_that_command_alone(
    redis_backend: RedisBackend, me: RedisConsumerBroker, limited: Callable[..., RedisConsumerBroker]
) -> None:
    broker, key = limited("+@all", "-zadd", "~*"), redis_backend.keys.stream
    first, second = redis_backend.leased(broker, 2)

    answers = broker.settle([retry_later(or_absent(key, first)), dead_letter(or_absent(key, second))])

    assert [type(answers[0]), answers[1]] == [BrokerRefused, DONE]
    assert redis_backend.owner(first) == (b"limited", 1)


def test_a_user_that_may_not_make_groups_finds_one_that_is_there(
    redis_backend: RedisBackend, me: RedisConsumerBroker, limited: Callable[..., RedisConsumerBroker]
) -> None:
    broker = limited("+@all", "-xgroup", "~*")

    assert broker.ensure_group(redis_backend.keys.stream, "0") is None
    with pytest.raises(BrokerRefused):
        broker.ensure_group(redis_backend.keys.inbox(EVENT), "0")


def test_a_user_that_may_not_interrupt_waits_for_the_block_to_end(
    redis_backend: RedisBackend, me: RedisConsumerBroker, limited: Callable[..., RedisConsumerBroker]
) -> None:
    broker, key = limited("+@all", "-client", "~*"), redis_backend.keys.stream
    future = in_thread(lambda: broker.read([key], 10, 300))
    eventually(lambda: redis_backend.blocked_reads() == 1)

    broker.interrupt()

    assert not future.result(10)
    redis_backend.add(key, *FIELDS)
    assert redis_backend.read(broker)


def test_too_few_replicas(redis_backend: RedisBackend, me: RedisConsumerBroker) -> None:
    (entry_id,) = redis_backend.leased(me, 1)
    publisher = redis_backend.publisher()
    redis_backend.client.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(NotEnoughReplicas):
            publisher.add(redis_backend.keys.stream, FIELDS)
        answer = one(me, dead_letter(or_absent(redis_backend.keys.stream, entry_id)))
        assert isinstance(answer, NotEnoughReplicas)
    finally:
        redis_backend.client.config_set("min-replicas-to-write", 0)

    assert one(me, dead_letter(or_absent(redis_backend.keys.stream, entry_id))) == DONE
    assert len(redis_backend.entries(redis_backend.keys.failed)) == 1
