"""Guarantee 7: a service may split its events over processes of one group."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from streamix_queue import Publisher, StreamMessage
from streamix_queue.core.facts import Fact, Settled
from streamix_queue.core.outcome import DROPPED
from tests.support.members import Handler, eventually, member, pending
from tests.support.processes import ConsumerProcess
from tests.support.servers import Server


def _publish(server: Server, stream: str, event: str, *numbers: int) -> None:
    with Publisher(server.url, stream) as publisher:
        publisher.publish_many([(event, {"n": n}) for n in numbers])


class Dropped:
    """Counts what was acked because nobody handles it."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def notice(self, fact: Fact) -> None:
        if isinstance(fact, Settled):
            self.events += [a.event for a in fact.attempts if a.outcome is DROPPED]


def test_each_event_reaches_the_process_that_handles_it_whoever_reads_it(
    server: Server, stream: str, tmp_path: Path
) -> None:
    """Fails when a member acks, keeps or runs what only another member handles."""
    options: dict[str, Any] = {"log": tmp_path / "log", "claim_idle_ms": 60_000}
    with (
        ConsumerProcess.start(server.url, stream, "g", events=("a",), **options) as one,
        ConsumerProcess.start(server.url, stream, "g", events=("b",), **options) as two,
        server.client() as client,
    ):
        one.wait_until_ready()
        two.wait_until_ready()
        with Publisher(server.url, stream) as publisher:
            sent = publisher.publish_many([("ab"[n % 2], {"n": n}) for n in range(400)])
        one.wait_for(lambda r: len(one.records("finished")) >= 400)
        eventually(lambda: pending(client, stream) == 0, what="nothing is pending")
        finished = one.records("finished")

    expected = {m.id: {"a": one.pid, "b": two.pid}[m.event] for m in sent}
    assert len(finished) == 400
    assert {r["message_id"]: r["pid"] for r in finished} == expected
    assert {r["retries"] for r in finished} == {0}


def test_an_event_that_nobody_handles_is_acked_and_counted(server: Server, stream: str) -> None:
    """Fails when an unknown event is pending for ever, dead-lettered, or dropped in silence."""
    dropped, handler = Dropped(), Handler()
    consumer = member(server.url, stream, observers=[dropped])
    consumer.on("a", handler)
    with consumer, server.client() as client:
        _publish(server, stream, "nobody's", 1, 2, 3)
        _publish(server, stream, "a", 4)
        handler.wait_for(1)
        eventually(lambda: pending(client, stream) == 0, what="nothing is pending")
        assert not client.exists(f"{stream}:failed", f"{stream}:g:inbox:nobody's")

    assert dropped.events == ["nobody's"] * 3
    assert handler.values() == [4]


def test_a_member_that_is_away_gets_what_was_handed_over_when_it_comes_back(
    server: Server, stream: str
) -> None:
    """Fails when an event is dropped because its handler is not running at the moment."""
    ours, theirs = Handler(), Handler()
    first, second = member(server.url, stream), member(server.url, stream)
    first.on("a", ours)
    second.on("b", theirs)
    with server.client() as client:
        with second:
            pass
        with first:
            _publish(server, stream, "b", 1, 2, 3)
            _publish(server, stream, "a", 4)
            ours.wait_for(1)
            eventually(lambda: client.xlen(f"{stream}:g:inbox:b") == 3, what="all were handed over")
            client.xtrim(stream, maxlen=0, approximate=False)
            with second:
                theirs.wait_for(3)
                eventually(lambda: client.xlen(f"{stream}:g:inbox:b") == 0, what="the inbox is empty")

    assert (ours.values(), theirs.values()) == ([4], [1, 2, 3])


def test_a_handler_registered_a_moment_later_gets_what_is_published_from_then_on(
    any_server: Server, stream: str
) -> None:
    """Fails when a running member goes on dropping an event that somebody handles by now."""
    ours, theirs = Handler(), Handler()
    first, second = member(any_server.url, stream), member(any_server.url, stream)
    first.on("a", ours)
    second.on("b", theirs)
    with first, any_server.client() as client:
        _publish(any_server, stream, "b", 0)
        _publish(any_server, stream, "a", 1)
        ours.wait_for(1)
        eventually(lambda: pending(client, stream) == 0, what="the first b is dropped")
        with second:
            _publish(any_server, stream, "b", *range(2, 40))
            theirs.wait_for(38)

    assert sorted(theirs.values()) == list(range(2, 40))


def test_a_retry_comes_back_to_a_member_that_handles_it(server: Server, stream: str) -> None:
    """Fails when a retry may be read by a member without a handler for it."""

    def fail_twice(data: dict[str, Any], message: StreamMessage) -> None:
        if message.retries < 2:
            raise ValueError("twice")

    dropped, ours, theirs = Dropped(), Handler(), Handler(fail_twice)
    first = member(server.url, stream, observers=[dropped])
    second = member(server.url, stream)
    first.on("a", ours)
    second.on("b", theirs)
    with first, second:
        _publish(server, stream, "b", *range(20))
        theirs.wait_for(60)

    assert ours.calls == []
    assert sorted(call.data["n"] for call in theirs.calls if call.message.retries == 2) == list(range(20))
    assert dropped.events == []


def test_two_processes_that_share_a_name_still_split_their_events(any_server: Server, stream: str) -> None:
    """Fails when what is pending under a name is taken to be in this process's hands."""
    ours, theirs = Handler(), Handler()
    first = member(any_server.url, stream, consumer="worker-1", claim_idle_ms=800)
    second = member(any_server.url, stream, consumer="worker-1", claim_idle_ms=800)
    first.on("a", ours)
    second.on("b", theirs)
    with first, second, any_server.client() as client:
        for n in range(50):
            _publish(any_server, stream, "ab"[n % 2], n)
        ours.wait_for(25)
        theirs.wait_for(25)
        eventually(lambda: pending(client, stream) == 0, what="nothing is pending")

    assert sorted(ours.values()) == list(range(0, 50, 2))
    assert sorted(theirs.values()) == list(range(1, 50, 2))


def test_an_event_of_another_member_is_not_dropped_after_a_flush(any_server: Server, stream: str) -> None:
    """Fails when the registry comes back only with the next renewal, a third of a lease later."""
    ours, theirs = Handler(), Handler()
    first = member(any_server.url, stream, claim_idle_ms=60_000)
    second = member(any_server.url, stream, claim_idle_ms=60_000)
    first.on("a", ours)
    second.on("b", theirs)
    with first, second, any_server.client() as client:
        _publish(any_server, stream, "a", 0)
        ours.wait_for(1)
        client.flushall()
        eventually(lambda: client.zcard(f"{stream}:g:handlers") == 2, 5, "both are registered again")
        for n in range(1, 20):
            _publish(any_server, stream, "b", n)
        theirs.wait_for(19)


def test_both_members_of_an_event_share_its_work(any_server: Server, stream: str) -> None:
    """Fails when hand-overs go to one member only, or a message to both."""
    going = threading.Event()
    handlers = [Handler(lambda data, message: going.wait(20)) for _ in range(2)]
    members = [member(any_server.url, stream, prefetch=1) for _ in handlers]
    for each, handler in zip(members, handlers, strict=True):
        each.on("b", handler)
    reader = member(any_server.url, stream)
    reader.on("a", Handler())
    with reader, members[0], members[1]:
        _publish(any_server, stream, "b", *range(10))
        for handler in handlers:
            handler.wait_for(1)
        going.set()
        eventually(lambda: sum(len(handler.calls) for handler in handlers) == 10, what="all ten")

    assert sorted(handlers[0].values() + handlers[1].values()) == list(range(10))
