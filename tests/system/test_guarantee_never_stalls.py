"""Guarantee 9: what crashes or stalls is replaced, within limits; a consumer is alive or has ended."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamix_queue import Consumer, Publisher, RestartsExceeded, StreamMessage
from streamix_queue.actors.executor import Executor
from streamix_queue.actors.fetcher import Fetcher
from streamix_queue.actors.renewer import Renewer
from streamix_queue.actors.scheduler import Scheduler
from streamix_queue.broker.redis.consumer import RedisConsumerBroker
from tests.support.members import Handler, eventually, member, pending
from tests.support.processes import ConsumerProcess
from tests.support.proxy import Proxy
from tests.support.servers import Server


class Bug(Exception):
    """One of ours, that no code expects."""


def _publish(server: Server, stream: str, *numbers: int) -> None:
    with Publisher(server.url, stream) as publisher:
        publisher.publish_many([("thing", {"n": n}) for n in numbers])


def _fail_once(data: dict[str, Any], message: StreamMessage) -> None:
    if message.retries == 0:
        raise ValueError("once")


def _consumer(url: str, stream: str, handler: Handler, **options: Any) -> Consumer:
    consumer = member(url, stream, **options)
    consumer.on("thing", handler)
    return consumer


def _raise_once(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, *, when: Callable[[Any], bool] = lambda _: True
) -> threading.Event:
    """Let ``owner.name`` do its work and then raise, once, when its result is like that."""
    original = getattr(owner, name)
    happened = threading.Event()

    def broken(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if not happened.is_set() and when(result):
            happened.set()
            raise Bug(name)
        return result

    monkeypatch.setattr(owner, name, broken)
    return happened


def _told(caplog: pytest.LogCaptureFixture, what: str) -> int:
    return sum(what in record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)


@pytest.mark.parametrize(
    ("owner", "name", "when"),
    [
        pytest.param(RedisConsumerBroker, "read", bool, id="fetcher"),
        pytest.param(RedisConsumerBroker, "settle", bool, id="settler"),
        pytest.param(RedisConsumerBroker, "promote", bool, id="scheduler"),
        pytest.param(Renewer, "run_once", lambda _: True, id="renewer"),
        pytest.param(RedisConsumerBroker, "reclaim", lambda claimed: claimed.entries, id="reclaimer"),
        pytest.param(Executor, "run", lambda _: True, id="worker"),
    ],
)
def test_an_actor_that_crashes_is_built_anew_and_loses_nothing(
    any_server: Server,
    stream: str,
    owner: type,
    name: str,
    when: Callable[[Any], bool],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Fails when the supervisor is off, or when what an actor had in hand dies with it."""
    happened = _raise_once(monkeypatch, owner, name, when=when)
    handler = Handler(_fail_once)
    _publish(any_server, stream, 0, 1)
    with any_server.client() as client:
        client.xgroup_create(stream, "g", "0")
        read: Any = client.xreadgroup("g", "dead", {stream: ">"}, count=1)
        client.xclaim(stream, "g", "dead", 0, [read[0][1][0][0]], idle=3_600_000, justid=True)
        with _consumer(any_server.url, stream, handler, claim_idle_ms=900):
            assert happened.wait(10)
            _publish(any_server, stream, 2, 3)
            for n in range(4):
                handler.wait_until(lambda calls, n=n: (n, 1) in _attempts(calls))  # type: ignore[misc]
            eventually(lambda: pending(client, stream) == 0, what="nothing is pending")
        assert not client.exists(f"{stream}:failed")

    assert _told(caplog, "actor.crashed") == 1
    assert len(handler.calls) - 8 <= (name == "run")  # only what was in the worker's hands ran twice


def _attempts(calls: list[Any]) -> set[tuple[int, int]]:
    return {(call.data["n"], call.message.retries) for call in calls}


def test_too_many_crashes_end_the_consumer_and_say_so(
    any_server: Server, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a crash loop goes on for ever, or ends the consumer without an error."""
    handler = Handler()
    consumer = _consumer(any_server.url, stream, handler)

    def always(scheduler: Scheduler) -> float:
        raise Bug("always")

    monkeypatch.setattr(Scheduler, "run_once", always)
    _publish(any_server, stream, 0)
    consumer.start()
    handler.wait_for(1)
    with pytest.raises(RestartsExceeded, match="scheduler"):
        consumer.wait(20)

    assert not consumer.running
    with any_server.client() as client:
        assert pending(client, stream) == 0


def test_a_process_whose_consumer_gave_up_exits_with_an_error(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when a consumer that ended by itself looks like one that was stopped."""
    with ConsumerProcess.start(
        any_server.url, stream, "g", log=tmp_path / "log", handler="tests.support.sabotage:record"
    ) as process:
        assert process.wait(20) not in (0, None)
        assert "RestartsExceeded" in process.stderr()


def test_a_fetcher_that_stalls_is_replaced_and_what_it_read_is_run_once(
    any_server: Server, stream: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when nobody watches the fetcher, or its late reply runs a second time."""
    read, step = RedisConsumerBroker.read, Fetcher.step
    stalled, released = threading.Event(), threading.Event()

    def read_and_stall(broker: RedisConsumerBroker, *args: Any) -> Any:
        reply = read(broker, *args)
        if reply and not stalled.is_set():
            stalled.set()
            released.wait(30)
        return reply

    def impatient_step(fetcher: Fetcher) -> None:
        fetcher.progress_deadline = 1.2
        step(fetcher)

    own_pending, looked = RedisConsumerBroker.own_pending, threading.Event()

    def noted_own_pending(broker: RedisConsumerBroker, *args: Any) -> Any:
        try:
            return own_pending(broker, *args)
        finally:
            looked.set()

    monkeypatch.setattr(RedisConsumerBroker, "own_pending", noted_own_pending)
    monkeypatch.setattr(RedisConsumerBroker, "read", read_and_stall)
    monkeypatch.setattr(Fetcher, "step", impatient_step)
    handler = Handler()
    with _consumer(any_server.url, stream, handler, claim_idle_ms=60_000):
        _publish(any_server, stream, 0, 1, 2)
        assert stalled.wait(10)
        handler.wait_for(3, 10)
        with any_server.client() as client:
            eventually(lambda: pending(client, stream) == 0, what="all are settled")
            looked.clear()
            released.set()
            assert looked.wait(10)  # the late one looks what became of its reply
            _publish(any_server, stream, 3)
            handler.wait_for(4)
            eventually(lambda: pending(client, stream) == 0, what="nothing is pending")

    assert handler.values() == [0, 1, 2, 3]
    assert _told(caplog, "actor.stalled") == 1


def test_a_connection_that_died_unseen_is_noticed_and_its_work_is_settled_later(
    any_server: Server, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when a read waits for ever on a half-open connection, or each try is logged."""
    going = threading.Event()
    handler = Handler(lambda data, message: going.wait(30))
    with Proxy(any_server.port) as proxy:
        with _consumer(proxy.url, stream, handler, claim_idle_ms=60_000):
            _publish(any_server, stream, 0)
            handler.wait_for(1)
            proxy.stall()
            going.set()
            eventually(lambda: _told(caplog, "redis.disconnected") == 1, 12, "it is noticed")
            proxy.cut()
            proxy.resume()
            _publish(any_server, stream, 1)
            handler.wait_for(2, 10)
            with any_server.client() as client:
                eventually(lambda: pending(client, stream) == 0, 10, "nothing is pending")
            eventually(lambda: _told(caplog, "redis.reconnected") == 1, 12, "its end is told")

    assert handler.values() == [0, 1]
    assert sum(record.levelno >= logging.WARNING for record in caplog.records) <= 4


def test_a_handler_that_never_ends_stops_only_its_own_thread(any_server: Server, stream: str) -> None:
    """Fails when one event may occupy every thread, or a hanging handler looks like a stall."""
    hanging, ended = Handler(lambda data, message: ended.wait(30)), threading.Event()
    healthy = Handler()
    consumer = member(any_server.url, stream, concurrency=3, claim_idle_ms=1000)
    consumer.on("hangs", hanging)
    consumer.on("thing", healthy)
    with consumer:
        with Publisher(any_server.url, stream) as publisher:
            publisher.publish_many([("hangs", {"n": n}) for n in range(50)])
        hanging.wait_for(2)
        _publish(any_server, stream, *range(100))
        healthy.wait_for(100, 10)
        assert len(hanging.calls) == 2
        consumer.request_stop()
        ended.set()
