"""What only the server in memory can do: faults on demand, and a clock of the test's own."""

from __future__ import annotations

import pytest

import streamix_queue.testing
from streamix_queue.broker.memory.consumer import MemoryConsumerBroker, MemoryPublisherBroker, MemoryServer
from streamix_queue.broker.protocol import Standing
from streamix_queue.core.errors import BrokerUnavailable, OutOfMemory
from streamix_queue.core.keys import Keys
from tests.broker.backends import eventually
from tests.broker.commands import DONE, GONE, dead_letter, one, or_absent, retry_later, stale
from tests.broker.test_read import in_thread

KEYS = Keys("s", "g")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> MemoryServer:
    return MemoryServer(clock)


@pytest.fixture
def me(server: MemoryServer) -> MemoryConsumerBroker:
    broker = MemoryConsumerBroker(server, KEYS, "me")
    broker.ensure_group(KEYS.stream, "0")
    return broker


def lease_one(server: MemoryServer, me: MemoryConsumerBroker) -> bytes:
    entry_id = MemoryPublisherBroker(server).add(KEYS.stream, [b"message", b"x"])
    assert me.read([KEYS.stream], 1, 0)
    return entry_id


def test_an_error_before_the_work_leaves_it_undone(server: MemoryServer, me: MemoryConsumerBroker) -> None:
    entry_id = lease_one(server, me)
    server.fail_next("settle", BrokerUnavailable("refused"))

    with pytest.raises(BrokerUnavailable, match="refused"):
        me.settle([dead_letter(or_absent(KEYS.stream, entry_id))])

    assert one(me, dead_letter(stale(KEYS.stream, entry_id))) == DONE


def test_an_error_after_the_work_is_a_lost_reply(server: MemoryServer, me: MemoryConsumerBroker) -> None:
    entry_id = lease_one(server, me)
    server.fail_next("settle", BrokerUnavailable("reset"), after=True)

    with pytest.raises(BrokerUnavailable, match="reset"):
        me.settle([dead_letter(or_absent(KEYS.stream, entry_id))])

    assert one(me, dead_letter(stale(KEYS.stream, entry_id))) == GONE


def test_faults_queue_up_per_operation(server: MemoryServer, me: MemoryConsumerBroker) -> None:
    server.fail_next("renew", BrokerUnavailable("first"))
    server.fail_next("renew", OutOfMemory("second"))
    entry_id = lease_one(server, me)

    with pytest.raises(BrokerUnavailable):
        me.renew(KEYS.stream, [(entry_id, 1)])
    with pytest.raises(OutOfMemory):
        me.renew(KEYS.stream, [(entry_id, 1)])
    assert me.renew(KEYS.stream, [(entry_id, 1)]) == [Standing.OURS]


def test_a_server_that_is_down_refuses_everything_and_forgets_nothing(
    server: MemoryServer, me: MemoryConsumerBroker
) -> None:
    entry_id = lease_one(server, me)
    server.down()

    with pytest.raises(BrokerUnavailable):
        me.connect()
    with pytest.raises(BrokerUnavailable):
        me.now_ms()
    with pytest.raises(BrokerUnavailable):
        me.settle([dead_letter(or_absent(KEYS.stream, entry_id))])
    with pytest.raises(BrokerUnavailable):
        MemoryPublisherBroker(server).add(KEYS.stream, [b"message", b"x"])

    server.down(False)
    assert me.own_pending(KEYS.stream, 10) == [(entry_id, 1)]


def test_a_blocked_read_notices_that_the_server_goes_down(
    server: MemoryServer, me: MemoryConsumerBroker
) -> None:
    future = in_thread(lambda: me.read([KEYS.stream], 1, 20_000))
    eventually(lambda: server.blocked == 1)

    server.down()

    with pytest.raises(BrokerUnavailable):
        future.result(10)


def test_idle_time_follows_the_clock(server: MemoryServer, me: MemoryConsumerBroker, clock: Clock) -> None:
    entry_id = lease_one(server, me)
    other = MemoryConsumerBroker(server, KEYS, "other")

    clock.now += 59.999
    assert other.reclaim(KEYS.stream, 60_000, b"0-0", 10).entries == []
    clock.now += 0.001
    assert [i for i, _, _ in other.reclaim(KEYS.stream, 60_000, b"0-0", 10).entries] == [entry_id]


def test_retries_follow_the_clock(server: MemoryServer, me: MemoryConsumerBroker, clock: Clock) -> None:
    me.settle([retry_later(or_absent(KEYS.stream, lease_one(server, me)), delay_ms=5000)])

    assert (me.due(10).members, me.due(10).next_in_ms) == ([], 5000)
    clock.now += 4.9
    assert (me.due(10).members, me.due(10).next_in_ms) == ([], 100)
    clock.now += 0.1
    assert len(me.due(10).members) == 1
    assert me.due(10).next_in_ms is None


def test_ids_go_on_when_the_clock_steps_back(
    server: MemoryServer, me: MemoryConsumerBroker, clock: Clock
) -> None:
    first = lease_one(server, me)
    clock.now -= 3600
    second = lease_one(server, me)

    assert (first, second) == (b"1000000000-0", b"1000000000-1")


def test_a_publisher_looks_back_for_a_minute(server: MemoryServer, clock: Clock) -> None:
    publisher = MemoryPublisherBroker(server)
    fields = [b"message", b'{"id":"m1"}']
    first = publisher.add(KEYS.stream, fields)

    clock.now += 60
    assert publisher.add_unless_there(KEYS.stream, b"m1", fields) == first
    clock.now += 1
    assert publisher.add_unless_there(KEYS.stream, b"m1", fields) != first


def test_what_a_caller_does_to_its_fields_does_not_change_the_entry(
    server: MemoryServer, me: MemoryConsumerBroker
) -> None:
    fields = [b"message", b"x"]
    MemoryPublisherBroker(server).add(KEYS.stream, fields)
    fields[1] = b"y"

    ((_, entries),) = me.read([KEYS.stream], 1, 0)
    ((entry_id, got),) = entries
    assert got == [b"message", b"x"]
    got[1] = b"z"
    assert me.take(KEYS.stream, [(entry_id, 1)])[0][2] == [b"message", b"x"]


def test_it_is_there_for_the_tests_of_services() -> None:
    assert streamix_queue.testing.MemoryServer is MemoryServer
