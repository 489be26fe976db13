"""Guarantee 6: keys deleted, replaced or emptied under a running consumer. It goes on, and says so once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from streamix_queue import Consumer, Publisher, StreamMessage
from tests.support.members import Handler, dead_letters, eventually, member, pending
from tests.support.servers import Server

_HANDFUL = 8


class Gate:
    """A handler's body that waits to be let go on, and then fails if it is told to."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self, data: dict[str, Any], message: StreamMessage) -> None:
        if data.get("gate") and message.retries == 0:
            assert self.opened.wait(30)
        if data.get("fail") and message.retries < data["fail"]:
            raise ValueError("as planned")


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def handler(gate: Gate) -> Handler:
    return Handler(gate)


@pytest.fixture
def client(server: Server) -> Iterator[redis.Redis]:
    with server.client() as client:
        yield client


def _consumer(server: Server, stream: str, handler: Handler, **options: Any) -> Consumer:
    consumer = member(server.url, stream, **{"concurrency": 2, "claim_idle_ms": 60_000, **options})
    consumer.on("thing", handler)
    return consumer


def _publish(server: Server, stream: str, **data: Any) -> None:
    with Publisher(server.url, stream) as publisher:
        publisher.publish("thing", data)


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged as a warning or worse, but for the lines that each message has of its own."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("streamix_queue")
        and record.levelno >= logging.WARNING
        and not record.getMessage().startswith(("message.retry_scheduled", "message.dead_lettered"))
    ]


def _errors(client: redis.Redis, code: str) -> int:
    stats: Any = client.info("errorstats").get(f"errorstat_{code}", {})
    return int(stats.get("count", 0))


def _many_more_errors(client: redis.Redis, code: str, more: int = 5) -> None:
    """Wait until Redis has refused so often that a line for each would be seen."""
    before = _errors(client, code)
    eventually(lambda: _errors(client, code) >= before + more, 20, f"{more} times {code}")


def test_a_deleted_stream_is_made_again(
    server: Server, client: redis.Redis, stream: str, handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when a missing group ends the fetcher, or is made at the end of the new stream."""
    with _consumer(server, stream, handler):
        for n in range(3):
            _publish(server, stream, n=n)
            handler.wait_until(lambda calls, n=n: calls and calls[-1].data["n"] == n)  # type: ignore[misc]
            eventually(lambda: pending(client, stream) == 0, what="it is acked")
            # In one step, before the consumer can notice: a group that begins at $ would not see it.
            newest: Any = client.xrevrange(stream, count=1)
            entry = newest[0][1]
            again = entry[b"message"].replace(b'{"n":%d}' % n, b'{"n":%d}' % (100 + n))
            step: Any = client.pipeline(transaction=True)
            step.delete(stream).xadd(stream, {"message": again}).execute()
            handler.wait_until(lambda calls, n=n: calls[-1].data["n"] == 100 + n)  # type: ignore[misc]
            eventually(lambda: pending(client, stream) == 0, what="it is acked")

    assert handler.values() == [0, 100, 1, 101, 2, 102]
    assert len(_lines(caplog)) <= 3 + _HANDFUL


@pytest.mark.parametrize("deed", ["flushall", "delete", "destroy", "delconsumer", "trim"])
def test_a_failure_in_hand_is_retried_though_its_entry_is_gone(
    server: Server,
    client: redis.Redis,
    stream: str,
    handler: Handler,
    gate: Gate,
    deed: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Fails when an entry that is pending no more is taken for one that somebody else has settled."""
    with _consumer(server, stream, handler):
        _publish(server, stream, gate=1, fail=1, n=0)
        _publish(server, stream, gate=1, fail=0, n=1)
        handler.wait_for(2)
        _undo(client, stream, deed)
        gate.opened.set()
        handler.wait_until(lambda calls: any(c.data["n"] == 0 and c.message.retries == 1 for c in calls))
        _publish(server, stream, n=2)
        handler.wait_until(lambda calls: any(c.data["n"] == 2 for c in calls))
        eventually(lambda: pending(client, stream) == 0, what="nothing is pending")

    assert len(_lines(caplog)) <= _HANDFUL
    assert not client.exists(f"{stream}:failed")


@pytest.mark.parametrize("deed", ["flushall", "delconsumer", "trim"])
def test_a_message_in_hand_reaches_a_peer_though_its_entry_is_gone(
    server: Server, client: redis.Redis, stream: str, handler: Handler, gate: Gate, deed: str
) -> None:
    """Fails when handing back what is pending for nobody means dropping the only copy."""
    gate.opened.set()
    held, peers = threading.Event(), Handler()
    busy = Handler(lambda data, message: held.wait(30))
    consumer = _consumer(server, stream, busy, concurrency=1)
    for n in range(3):
        _publish(server, stream, n=n)
    consumer.start()
    try:
        busy.wait_for(1)
        eventually(lambda: pending(client, stream) == 3, what="all three are in hand")
        _undo(client, stream, deed)
        consumer.request_stop()
    finally:
        held.set()
        assert consumer.stop()
    with _consumer(server, stream, peers):
        peers.wait_for(2, 5)

    assert sorted(peers.values()) == [1, 2]


def _undo(client: redis.Redis, stream: str, deed: str) -> None:
    if deed == "flushall":
        client.flushall()
    elif deed == "delete":
        client.delete(stream)
    elif deed == "destroy":
        client.xgroup_destroy(stream, "g")
    elif deed == "delconsumer":
        consumers: Any = client.xinfo_consumers(stream, "g")
        for each in consumers:
            client.xgroup_delconsumer(stream, "g", each["name"])
    else:
        client.xtrim(stream, maxlen=0, approximate=False)


def test_a_stream_replaced_by_a_string_is_waited_out(
    server: Server,
    client: redis.Redis,
    stream: str,
    handler: Handler,
    gate: Gate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Fails when a wrong type ends the consumer, loses what is in hand, or is logged per attempt."""
    with _consumer(server, stream, handler):
        _publish(server, stream, gate=1, fail=1, n=0)
        handler.wait_for(1)
        client.set(stream, "oops")
        gate.opened.set()
        _many_more_errors(client, "WRONGTYPE", 4)
        assert client.get(stream) == b"oops"
        client.delete(stream)
        handler.wait_until(lambda calls: calls[-1].message.retries == 1)
        _publish(server, stream, n=1)
        handler.wait_until(lambda calls: calls[-1].data["n"] == 1)

    assert handler.values() == [0, 0, 1]
    assert len(_lines(caplog)) <= _HANDFUL


def test_a_dead_letter_key_of_a_wrong_type_holds_up_one_message_only(
    server: Server, client: redis.Redis, stream: str, handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when the ack goes through though the letter could not be written, or others wait."""
    client.set(f"{stream}:failed", "oops")
    with _consumer(server, stream, handler, retry_limit=0):
        _publish(server, stream, fail=1, n=0)
        handler.wait_for(1)
        _many_more_errors(client, "WRONGTYPE", 2)
        for n in range(1, 30):
            _publish(server, stream, n=n)
        handler.wait_for(30)
        eventually(lambda: pending(client, stream) == 1, what="only the failed one is pending")
        client.delete(f"{stream}:failed")
        eventually(lambda: dead_letters(client, stream), what="the dead letter")
        eventually(lambda: pending(client, stream) == 0, what="nothing is pending")
        (letter,) = dead_letters(client, stream)

    assert letter.reason == "retries_exhausted"
    assert letter.data["original_data"] == {"fail": 1, "n": 0}
    assert handler.values() == list(range(30))
    assert len(_lines(caplog)) <= _HANDFUL


@pytest.mark.parametrize("key", ["delayed", "handlers", "suspects", "nudge", "inbox:thing"])
def test_a_side_key_of_a_wrong_type_stops_nothing_that_can_do_without_it(
    any_server: Server,
    stream: str,
    handler: Handler,
    key: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Fails when one broken side key ends the consumer, or its message is lost or stays behind."""
    with any_server.client() as client, _consumer(any_server, stream, handler, claim_idle_ms=1500):
        _publish(any_server, stream, n=0)
        handler.wait_for(1)
        with client.pipeline() as both:  # in one step: the consumer would make the key anew in between
            both.delete(f"{stream}:g:{key}")
            both.rpush(f"{stream}:g:{key}", "oops")
            both.execute()
        _publish(any_server, stream, fail=int(key != "inbox:thing"), n=1)
        if key in ("delayed", "handlers", "inbox:thing"):
            _many_more_errors(client, "WRONGTYPE", 3)
        client.delete(f"{stream}:g:{key}")
        handler.wait_for(2 if key == "inbox:thing" else 3)
        _publish(any_server, stream, n=2)
        handler.wait_until(lambda calls: any(c.data["n"] == 2 for c in calls))
        eventually(lambda: pending(client, stream) == 0, what="nothing is pending")

    assert sorted(handler.values()) == ([0, 1, 2] if key == "inbox:thing" else [0, 1, 1, 2])
    assert len(_lines(caplog)) <= _HANDFUL
