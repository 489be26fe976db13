"""Guarantee 6: Redis at its maxmemory, or a place that takes no letters. Acks go on, nothing is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from streamix_queue import OutOfMemory, Publisher, StreamMessage
from tests.support.members import Handler, dead_letters, eventually, member, pending
from tests.support.servers import Server


@contextmanager
def full(client: redis.Redis) -> Iterator[Callable[[], None]]:
    """Redis at its limit; call what is given to relieve it."""

    def relieve() -> None:
        client.config_set("maxmemory", "0")

    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")
    try:
        yield relieve
    finally:
        relieve()


def _act(data: dict[str, Any], message: StreamMessage) -> None:
    if message.retries < data.get("fail", 0):
        raise ValueError("as planned")


def _publish(server: Server, stream: str, *data: dict[str, Any]) -> None:
    with Publisher(server.url, stream) as publisher:
        publisher.publish_many([("thing", each) for each in data])


def _refused(client: redis.Redis) -> int:
    """How often Redis has refused something; 6.2 counts what a script was refused as ``ERR``."""
    stats: Any = client.info("errorstats")
    return sum(int(stats.get(f"errorstat_{code}", {}).get("count", 0)) for code in ("OOM", "ERR"))


def test_acks_go_on_at_maxmemory_and_retries_and_letters_are_written_after_relief(
    server: Server, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when a refused retry is dropped or acked, when acks wait for it, or each try is logged."""
    handler = Handler(_act)
    consumer = member(server.url, stream, retry_limit=1, concurrency=2, claim_idle_ms=60_000)
    consumer.on("thing", handler)
    _publish(server, stream, {"n": 0, "fail": 1}, {"n": 1, "fail": 2}, *({"n": n} for n in range(2, 40)))
    with server.client() as client:
        client.xgroup_create(stream, "g", "0")  # of a service that was there before
        client.xgroup_create(f"{stream}:g:inbox:thing", "g", "0", mkstream=True)
        with full(client) as relieve, consumer:
            handler.wait_for(40)
            eventually(lambda: pending(client, stream) == 2, what="all but the failed ones are acked")
            before = _refused(client)
            eventually(lambda: _refused(client) >= before + 4, 20, "they are tried again")
            assert pending(client, stream) == 2
            relieve()
            handler.wait_for(42)
            eventually(lambda: dead_letters(client, stream), what="the dead letter")
            eventually(lambda: pending(client, stream) == 0, what="nothing is pending")
        (letter,) = dead_letters(client, stream)

    assert letter.data["original_data"]["n"] == 1
    assert letter.reason == "retries_exhausted"
    assert sorted(call.data["n"] for call in handler.calls if call.message.retries == 1) == [0, 1]
    complaints = [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("streamix_queue")
        and record.levelno >= logging.WARNING
        and not record.getMessage().startswith(("message.retry_scheduled", "message.dead_lettered"))
    ]
    assert len(complaints) <= 6, complaints


def test_a_publish_at_maxmemory_is_refused_and_nothing_is_written(server: Server, stream: str) -> None:
    """Fails when the refusal is retried until the deadline, or is not told apart."""
    with server.client() as client, Publisher(server.url, stream) as publisher:
        publisher.publish("thing", {"n": 0})
        with full(client):
            with pytest.raises(OutOfMemory, match="maxmemory"):
                publisher.publish("thing", {"n": 1})
            with pytest.raises(OutOfMemory):
                publisher.publish_many([("thing", {"n": 2}), ("thing", {"n": 3})])
            assert client.xlen(stream) == 1
        publisher.publish("thing", {"n": 4})
        assert client.xlen(stream) == 2


def test_what_was_never_started_is_handed_back_at_maxmemory(server: Server, stream: str) -> None:
    """Fails when a hand-back needs memory, for the nudge or for anything else."""
    going = threading.Event()
    busy, idle = Handler(lambda data, message: going.wait(30)), Handler()
    first = member(server.url, stream, claim_idle_ms=60_000, prefetch=5)
    first.on("thing", busy)
    peer = member(server.url, stream, claim_idle_ms=60_000)
    peer.on("thing", idle)
    _publish(server, stream, *({"n": n} for n in range(4)))
    with server.client() as client, full_later(client) as fill:
        first.start()
        busy.wait_for(1)
        eventually(lambda: pending(client, stream) == 4, what="all are in hand")
        with peer:
            fill()
            first.request_stop()
            idle.wait_for(3, 5)
            going.set()
            assert first.stop()
        assert pending(client, stream) == 0

    assert sorted(idle.values()) == [1, 2, 3]
    assert {call.message.retries for call in idle.calls} == {0}


@contextmanager
def full_later(client: redis.Redis) -> Iterator[Callable[[], None]]:
    """As `full`, from when it is called."""

    def fill() -> None:
        client.config_set("maxmemory", "1")

    try:
        yield fill
    finally:
        client.config_set("maxmemory", "0")


def test_letters_that_cannot_be_written_blame_no_crash(any_server: Server, stream: str) -> None:
    """Fails when messages that were let go to make room come back as if they had killed a process."""
    handler = Handler(_act)
    consumer = member(any_server.url, stream, retry_limit=0, prefetch=4, claim_idle_ms=300, max_deliveries=2)
    consumer.on("thing", handler)
    _publish(any_server, stream, *({"n": n, "fail": 1} for n in range(6)))
    with any_server.client() as client:
        client.set(f"{stream}:failed", "oops")
        with consumer:
            # more than may be held, through more leases than a message that kills would get
            handler.wait_until(lambda calls: any(handler.values().count(n) >= 4 for n in range(6)), 20)
            client.delete(f"{stream}:failed")
            eventually(lambda: len(dead_letters(client, stream)) == 6, 20, "all letters")
            eventually(lambda: pending(client, stream) == 0, what="nothing is pending")
        letters = dead_letters(client, stream)

    assert sorted(letter.data["original_data"]["n"] for letter in letters) == list(range(6))
    assert {letter.reason for letter in letters} == {"retries_exhausted"}
