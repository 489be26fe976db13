"""Guarantee 8: a consumer inside somebody else's process takes nothing and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from streamix_queue import Consumer, Publisher, StreamixError, consume
from tests.support.members import Handler, eventually, member, pending
from tests.support.servers import Server


def _publish(server: Server, stream: str, *numbers: int) -> None:
    with Publisher(server.url, stream) as publisher:
        publisher.publish_many([("thing", {"n": n}) for n in numbers])


def _consumer(server: Server, stream: str, handler: Handler, **options: Any) -> Consumer:
    consumer = member(server.url, stream, **options)
    consumer.on("thing", handler)
    return consumer


def _signal_handlers() -> list[object]:
    return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]


def test_a_consumer_runs_in_any_thread_and_leaves_the_signals_alone(any_server: Server, stream: str) -> None:
    """Fails when run() installs signal handlers outside the main thread, which Python refuses."""
    before, handler = _signal_handlers(), Handler()
    consumer = _consumer(any_server, stream, handler)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            consumer.run()
        except BaseException as error:  # noqa: BLE001 - to be seen by the test's thread
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    _publish(any_server, stream, 1)
    handler.wait_for(1)
    assert _signal_handlers() == before
    assert consumer.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert errors == []


def test_consume_gives_the_signals_back_when_it_ends(any_server: Server, stream: str) -> None:
    """Fails when the application's own signal handlers are gone after consume()."""
    before = _signal_handlers()

    def stop(data: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    _publish(any_server, stream, 1)
    consume("thing", stop, redis_url=any_server.url, stream=stream, group="g")

    assert _signal_handlers() == before
    with any_server.client() as client:
        assert pending(client, stream) == 0


def test_starting_and_stopping_fifty_times_leaks_nothing(any_server: Server, stream: str) -> None:
    """Fails when a thread, a socket or a name in the group survives its consumer."""
    handler = Handler()
    consumer = _consumer(any_server, stream, handler, concurrency=3)

    def footprint(client: Any) -> tuple[int, int, int, int]:
        fds = len(list(Path("/proc/self/fd").iterdir()))
        names = len(client.xinfo_consumers(stream, "g"))
        return threading.active_count(), fds, len(client.client_list()), names

    with any_server.client() as client, Publisher(any_server.url, stream) as publisher:
        others = len(client.client_list())

        def start_and_stop(n: int) -> None:
            with consumer:
                publisher.publish("thing", {"n": n})
                handler.wait_for(n + 1)

        for n in range(5):
            start_and_stop(n)
        eventually(lambda: len(client.client_list()) == others + 1, what="all connections are closed")
        before = footprint(client)
        for n in range(5, 50):
            start_and_stop(n)
        eventually(lambda: footprint(client) == before, 5, f"{footprint(client)} is {before} again")

    assert handler.values() == list(range(50))
    assert before[3] == 0


def test_many_consumers_in_one_process_share_nothing(any_server: Server, stream: str) -> None:
    """Fails when consumers of one process share state that only one may have."""
    handlers = [Handler() for _ in range(6)]
    consumers = [member(any_server.url, stream, f"g{n}") for n in range(6)]
    for consumer, handler in zip(consumers, handlers, strict=True):
        consumer.on("thing", handler)
        consumer.start()
    _publish(any_server, stream, *range(30))
    for consumer, handler in zip(consumers, handlers, strict=True):
        handler.wait_for(30)
        assert consumer.stop()

    assert all(handler.values() == list(range(30)) for handler in handlers)


def test_stop_waits_for_what_runs_and_may_be_called_by_many(any_server: Server, stream: str) -> None:
    """Fails when a second stop() returns before the end, or breaks the first."""
    going = threading.Event()
    handler = Handler(lambda data, message: going.wait(20))
    consumer = _consumer(any_server, stream, handler)
    consumer.start()
    _publish(any_server, stream, 1)
    handler.wait_for(1)
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(consumer.stop())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert consumer.stop(timeout=0.1) is False
    going.set()
    for thread in threads:
        thread.join(10)

    assert answers == [True] * 4
    assert not consumer.running
    with any_server.client() as client:
        assert pending(client, stream) == 0


def test_a_handler_may_ask_for_the_stop(any_server: Server, stream: str) -> None:
    """Fails when a stop asked for inside a handler waits for that handler."""
    consumer = member(any_server.url, stream)
    handler = Handler(lambda data, message: consumer.request_stop())
    consumer.on("thing", handler)
    _publish(any_server, stream, 1, 2, 3)
    consumer.start()
    handler.wait_for(1)
    assert consumer.wait(5)

    assert handler.values() == [1]
    with any_server.client() as client:
        (group,) = client.xinfo_groups(stream)
        (info,) = client.xinfo_consumers(stream, "g")
        assert info["pending"] == group["pending"] == 2  # handed back, and the first one is acked


def test_a_stop_under_load_loses_and_doubles_nothing(server: Server, stream: str) -> None:
    """Fails when an entry is lost between two threads of a consumer that is stopping."""
    seen: list[int] = []
    with Publisher(server.url, stream) as publisher:
        publisher.publish_many([("thing", {"n": n}) for n in range(6000)])
    deadline = time.monotonic() + 30
    while len(seen) < 6000:
        assert time.monotonic() < deadline, f"{len(seen)} of 6000"
        handler = Handler(lambda data, message: seen.append(data["n"]))
        consumer = _consumer(server, stream, handler, concurrency=3, claim_idle_ms=60_000)
        consumer.start()
        handler.wait_until(lambda calls: len(calls) >= min(700, 6000 - len(seen)), 10)
        assert consumer.stop()

    assert sorted(seen) == list(range(6000))
    with server.client() as client:
        assert pending(client, stream) == 0


def test_a_consumer_refuses_what_it_cannot_do(any_server: Server, stream: str) -> None:
    """Fails when a consumer is started twice at once, or changed under way."""
    consumer = _consumer(any_server, stream, Handler())
    assert consumer.stop()  # never started
    with consumer:
        with pytest.raises(StreamixError, match="running already"):
            consumer.start()
        with pytest.raises(StreamixError, match="before the consumer is started"):
            consumer.on("other", Handler())


def test_a_consumer_refuses_to_be_used_in_a_forked_child(any_server: Server, stream: str) -> None:
    """Fails when a child starts threads over its parent's locks and sockets."""
    import warnings

    consumer = _consumer(any_server, stream, Handler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork() beside threads, from 3.12 on
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            consumer.start()
        except StreamixError as error:
            code = 0 if "fork" in str(error) else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
