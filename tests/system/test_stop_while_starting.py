"""A stop that comes while the consumer is still starting, and a start that cannot have its threads."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from streamix_queue import Consumer, Publisher
from streamix_queue.core.facts import ActorStarted, Fact
from tests.support.members import Handler, eventually, member, pending
from tests.support.servers import Server


class SlowToStart:
    """An observer that holds the start up when the first worker runs."""

    def __init__(self) -> None:
        self.starting, self.go_on = threading.Event(), threading.Event()

    def notice(self, fact: Fact) -> None:
        if isinstance(fact, ActorStarted) and fact.actor == "worker-1":
            self.starting.set()
            self.go_on.wait(10)


def _start(consumer: Consumer) -> threading.Thread:
    thread = threading.Thread(target=consumer.start, daemon=True)
    thread.start()
    return thread


def test_a_handler_may_ask_to_stop_before_start_has_returned(server: Server, stream: str) -> None:
    """Fails when the request is lost, and the consumer runs on."""
    with Publisher(server.url, stream) as publisher:
        publisher.publish("thing", {})
    for _ in range(3):
        consumer = member(server.url, stream, concurrency=32)
        asked = threading.Event()

        def handle(data: dict[str, Any], consumer: Consumer = consumer, asked: Any = asked) -> None:
            asked.set()
            consumer.request_stop()

        consumer.on("thing", handle)
        with Publisher(server.url, stream) as publisher:
            publisher.publish("thing", {})

        consumer.start()

        assert asked.wait(10)
        assert consumer.wait(10)


def test_a_stop_from_elsewhere_waits_for_the_start_and_then_stops_it(server: Server, stream: str) -> None:
    """Fails when stop() says that all has ended, and the consumer starts all the same."""
    slow = SlowToStart()
    consumer = member(server.url, stream, observers=[slow])
    consumer.on("thing", Handler())
    starting = _start(consumer)
    assert slow.starting.wait(10)
    stopped: list[bool] = []
    stopping = threading.Thread(target=lambda: stopped.append(consumer.stop()), daemon=True)
    stopping.start()

    slow.go_on.set()
    starting.join(10)
    stopping.join(20)

    assert stopped == [True]
    assert not consumer.running


@pytest.mark.parametrize("name", ["streamix.worker-1", "streamix.supervisor"])
def test_without_a_thread_to_be_had_nothing_is_taken_and_nothing_runs_on(
    server: Server, stream: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Fails when entries are read that nobody will handle, or when actors outlive a start that failed."""
    handler = Handler()
    consumer = member(server.url, stream, claim_idle_ms=60_000)
    consumer.on("thing", handler)
    with Publisher(server.url, stream) as publisher:
        publisher.publish_many([("thing", {"n": n}) for n in range(5)])
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="new thread"):
        consumer.start()
    monkeypatch.undo()

    assert not consumer.running
    eventually(
        lambda: not [t for t in threading.enumerate() if t.name.startswith("streamix.")],
        what="all threads have ended",
    )
    consumer.start()
    handler.wait_for(5)  # long before the lease of the first start lapses
    consumer.stop()
    with server.client() as client:
        assert pending(client, stream) == 0
