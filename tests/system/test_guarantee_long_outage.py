"""Guarantee 9: a minute without Redis, and half a minute without work, change nothing.

Both waits run side by side in one test, for they are long.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from streamix_queue import Publisher
from tests.support.members import Handler, eventually, member, pending
from tests.support.servers import Server

_OUTAGE_S = 60.0
_IDLE_S = 30.0


def _outage(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Redis is stopped for a minute, with handlers running, ending, and retries waiting."""
    going = threading.Event()
    handler = Handler(lambda data, message: going.wait(90))
    consumer = member(server.url, "outage", concurrency=3, claim_idle_ms=5000)
    consumer.on("thing", handler)
    with Publisher(server.url, "outage") as publisher, consumer:
        publisher.publish_many([("thing", {"n": n}) for n in range(6)])
        handler.wait_for(3)
        server.stop()
        threading.Event().wait(_OUTAGE_S / 2)  # the outage itself is what is tested
        going.set()
        threading.Event().wait(_OUTAGE_S / 2)
        server.restart()
        back = time.monotonic()
        publisher.publish("thing", {"n": 6})
        handler.wait_until(lambda calls: {call.data["n"] for call in calls} == set(range(7)), 10)
        assert time.monotonic() - back < 5
        with server.client() as client:
            eventually(lambda: pending(client, "outage") == 0, 5, "nothing is pending")
            assert not client.exists("outage:failed")

    assert sorted(handler.values()) == list(range(7))
    told = [r.getMessage() for r in caplog.records if str(server.port) in r.getMessage()]
    assert 1 <= len(told) <= 4, told
    assert sum(record.levelno >= logging.WARNING for record in caplog.records) <= 8


def _idle(server: Server) -> None:
    """Nothing comes for half a minute, over several blocking reads; the next message is taken at once."""
    handler = Handler()
    consumer = member(server.url, "idle", block_ms=5000, claim_idle_ms=60_000)
    consumer.on("thing", handler)
    with Publisher(server.url, "idle") as publisher, consumer:
        publisher.publish("thing", {"n": 0})
        handler.wait_for(1)
        threading.Event().wait(_IDLE_S)  # likewise
        waits = []
        for n in range(1, 201):
            sent = time.monotonic()
            publisher.publish("thing", {"n": n})
            waits.append(handler.wait_for(n + 1, 5)[-1].at - sent)

    assert waits[0] < 0.5
    assert sorted(waits)[198] < 0.1, f"p99 of {sorted(waits)[-5:]}"


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_minute_without_redis_and_half_a_minute_without_work(
    start_server: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when an outage uses up the restarts, is told per attempt, or an idle read times out."""
    stopped, idle = start_server(appendonly=True), start_server()
    with ThreadPoolExecutor(2) as both:
        for future in [both.submit(_outage, stopped, caplog), both.submit(_idle, idle)]:
            future.result()
