"""``async def`` handlers: the same limits, the same endings, and no coroutine dropped un-awaited."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from streamix_queue import Consumer, Publisher, Retry
from tests.support.members import dead_letters, eventually, member, pending
from tests.support.servers import Server


def _publish(server: Server, stream: str, count: int) -> None:
    with Publisher(server.url, stream) as publisher:
        publisher.publish_many([("thing", {"n": n}) for n in range(count)])


def _consumer(
    server: Server, stream: str, handler: Any, *, timeout_ms: int | None = None, **options: Any
) -> Consumer:
    consumer = member(server.url, stream, **options)
    consumer.on("thing", handler, timeout_ms=timeout_ms)
    return consumer


def test_coroutines_run_side_by_side_up_to_the_concurrency(any_server: Server, stream: str) -> None:
    """Fails when coroutines are run one at a time, or without a limit."""
    running = most = done = 0
    threads: set[int] = set()

    async def handler(data: dict[str, Any]) -> None:
        nonlocal running, most, done
        threads.add(threading.get_ident())
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        done += 1

    with _consumer(any_server, stream, handler, concurrency=5):
        _publish(any_server, stream, 40)
        eventually(lambda: done == 40, what="all are handled")

    assert most == 5
    assert len(threads) == 1


def test_a_coroutine_that_takes_too_long_is_cancelled_retried_and_dead_lettered(
    any_server: Server, stream: str
) -> None:
    """Fails when a time limit does not end the handler, or its reason is not told."""
    cancelled: list[int] = []

    async def handler(data: dict[str, Any]) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(data["n"])
            raise

    began = time.monotonic()
    with _consumer(any_server, stream, handler, timeout_ms=100, retry_limit=2), any_server.client() as client:
        _publish(any_server, stream, 1)
        eventually(lambda: dead_letters(client, stream), what="the dead letter")
        (letter,) = dead_letters(client, stream)

    assert cancelled == [0, 0, 0]
    assert (letter.reason, letter.data["retries"]) == ("timeout", 2)
    assert "0.1 s" in letter.data["error"]
    assert time.monotonic() - began < 8


def test_a_timeout_of_the_handlers_own_is_no_time_limit_of_ours(any_server: Server, stream: str) -> None:
    """Fails when every TimeoutError is taken for the time limit."""

    async def handler(data: dict[str, Any]) -> None:
        raise TimeoutError("the bank does not answer")

    with (
        _consumer(any_server, stream, handler, timeout_ms=5000, retry_limit=0),
        any_server.client() as client,
    ):
        _publish(any_server, stream, 1)
        eventually(lambda: dead_letters(client, stream), what="the dead letter")
        (letter,) = dead_letters(client, stream)

    assert letter.reason == "retries_exhausted"
    assert letter.data["error"] == "the bank does not answer"


def test_a_coroutine_that_a_plain_function_returns_is_awaited(any_server: Server, stream: str) -> None:
    """Fails when a coroutine is dropped, and its message acked as if it had been handled."""
    seen: list[int] = []

    async def work(n: int) -> None:
        await asyncio.sleep(0)
        seen.append(n)

    with _consumer(any_server, stream, lambda data: work(data["n"])), any_server.client() as client:
        _publish(any_server, stream, 5)
        eventually(lambda: pending(client, stream) == 0 and len(seen) == 5, what="all are handled")

    assert sorted(seen) == [0, 1, 2, 3, 4]


def test_a_coroutine_may_ask_for_a_retry(any_server: Server, stream: str) -> None:
    """Fails when an exception loses its meaning on the way from the loop to the worker."""
    tries: list[float] = []

    async def handler(data: dict[str, Any]) -> None:
        tries.append(time.monotonic())
        if len(tries) == 1:
            raise Retry(after=0.3)

    with _consumer(any_server, stream, handler):
        _publish(any_server, stream, 1)
        eventually(lambda: len(tries) == 2, what="the second try")

    assert tries[1] - tries[0] >= 0.29


def test_a_stop_waits_for_coroutines_too(any_server: Server, stream: str) -> None:
    """Fails when the loop is stopped while coroutines are in it."""
    started, ended = threading.Event(), threading.Event()

    async def handler(data: dict[str, Any]) -> None:
        started.set()
        await asyncio.sleep(0.5)
        ended.set()

    consumer = _consumer(any_server, stream, handler)
    consumer.start()
    _publish(any_server, stream, 1)
    assert started.wait(10)
    assert consumer.stop()

    assert ended.is_set()
    with any_server.client() as client:
        assert pending(client, stream) == 0


def test_a_coroutine_that_stops_the_loop_stops_nothing_else(any_server: Server, stream: str) -> None:
    """Fails when every other coroutine hangs from then on."""
    seen: list[int] = []

    async def handler(data: dict[str, Any]) -> None:
        if data["n"] % 3 == 0:
            asyncio.get_running_loop().stop()
        await asyncio.sleep(0.01)
        seen.append(data["n"])

    with _consumer(any_server, stream, handler, concurrency=2), any_server.client() as client:
        _publish(any_server, stream, 9)
        eventually(lambda: pending(client, stream) == 0 and len(seen) == 9, what="all are handled")


def test_a_time_limit_needs_a_coroutine(any_server: Server, stream: str) -> None:
    """Fails when a time limit is accepted that could not be kept."""
    with pytest.raises(ValueError, match="timeout_ms"):
        _consumer(any_server, stream, lambda data: None, timeout_ms=100)
