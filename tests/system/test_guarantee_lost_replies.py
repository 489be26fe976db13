"""Guarantee 1: nothing is lost, and nothing done twice, when a command or its reply is lost.

The lease is a minute long, so that what comes back within seconds was not merely reclaimed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from streamix_queue import Consumer, Publisher, StreamMessage
from tests.support.members import Handler, dead_letters, eventually, member, pending
from tests.support.proxy import Fault, Proxy
from tests.support.servers import Server

_AT_ONCE_S = 4.0  # far below the lease, with room for a busy machine
_MINUTE_MS = 60_000


@pytest.fixture
def proxy(any_server: Server) -> Iterator[Proxy]:
    with Proxy(any_server.port) as proxy:
        yield proxy


def _publish(server: Server, stream: str, count: int, event: str = "thing") -> list[StreamMessage]:
    with Publisher(server.url, stream) as publisher:
        return publisher.publish_many([(event, {"n": n}) for n in range(count)])


def _consumer(proxy: Proxy, stream: str, handler: Handler, **options: Any) -> Consumer:
    consumer = member(proxy.url, stream, **{"claim_idle_ms": _MINUTE_MS, **options})
    consumer.on("thing", handler)
    return consumer


def _lose(proxy: Proxy, what: str, command: str, holding: bytes = b"") -> Fault:
    return proxy.lose_request(command) if what == "request" else proxy.lose_reply(command, holding=holding)


def _nothing_is_left(server: Server, stream: str) -> None:
    with server.client() as client:
        eventually(lambda: pending(client, stream) == 0, what="no entry is pending")


def test_messages_of_a_lost_read_are_picked_up_at_once(server: Server, stream: str) -> None:
    """Fails when the fetcher does not look for its own pending entries after a broken read."""
    _publish(server, stream, 5)
    handler = Handler()
    with Proxy(server.port) as proxy:
        fault = proxy.lose_reply("XREADGROUP")
        with _consumer(proxy, stream, handler):
            fault.wait()
            handler.wait_for(5, _AT_ONCE_S)
            _nothing_is_left(server, stream)

    assert handler.values() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("let_through", [1, 5, 40, 200, 1 << 30])
def test_a_reply_that_ends_in_the_middle_is_no_reply(
    any_server: Server, proxy: Proxy, stream: str, let_through: int
) -> None:
    """Fails when a connection that broke inside a reply is used again."""
    _publish(any_server, stream, 20)
    handler = Handler()
    fault = proxy.lose_reply("XREADGROUP", let_through=let_through)
    with _consumer(proxy, stream, handler):
        fault.wait()
        handler.wait_for(20, _AT_ONCE_S)
        _nothing_is_left(any_server, stream)

    assert handler.values() == list(range(20))


def test_a_lost_read_is_found_behind_a_thousand_entries_in_hand(
    any_server: Server, proxy: Proxy, stream: str
) -> None:
    """Fails when only the first page of what is pending for us is looked at."""
    _publish(any_server, stream, 1500)
    opened = threading.Event()
    handler = Handler(lambda data, message: opened.wait(20))
    fault = proxy.lose_reply("XREADGROUP", nth=3)
    with _consumer(proxy, stream, handler, prefetch=4000):
        fault.wait()
        looks = proxy.seen("XPENDING")
        eventually(lambda: proxy.seen("XPENDING") >= looks + 2, what="the look for what is pending")
        opened.set()
        handler.wait_for(1500, 20)
        _nothing_is_left(any_server, stream)

    assert sorted(handler.values()) == list(range(1500))


def test_messages_of_a_lost_sweep_are_picked_up_at_once(server: Server, stream: str) -> None:
    """Fails when the reclaimer does not look for what its lost reply took over."""
    _publish(server, stream, 2)  # what one sweep takes over at the start
    handler = Handler()
    with server.client() as client, Proxy(server.port) as proxy:
        client.xgroup_create(stream, "g", "0")
        read: Any = client.xreadgroup("g", "dead", {stream: ">"}, count=2)
        for entry_id, _ in read[0][1]:
            client.xclaim(stream, "g", "dead", 0, [entry_id], idle=3_600_000, justid=True)
        fault = proxy.lose_reply("script:reclaim", holding=b'"data"')
        with _consumer(proxy, stream, handler):
            fault.wait()
            handler.wait_for(2, _AT_ONCE_S)
            _nothing_is_left(server, stream)
        assert not client.exists(f"{stream}:failed")

    assert sorted(handler.values()) == [0, 1]


@pytest.mark.parametrize("what", ["reply", "request"])
def test_a_lost_ack_is_sent_again_and_the_handler_does_not_run_again(
    any_server: Server, proxy: Proxy, stream: str, what: str
) -> None:
    """Fails when an ack that was lost is forgotten, its credits with it, or taken for a failure."""
    _publish(any_server, stream, 5)
    handler = Handler()
    fault = _lose(proxy, what, "XACK")
    with _consumer(proxy, stream, handler, prefetch=1):
        fault.wait()
        handler.wait_for(5)
        _nothing_is_left(any_server, stream)

    assert handler.values() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("script", ["retry_later", "promote"])
@pytest.mark.parametrize("what", ["reply", "request"])
def test_a_retry_that_was_lost_on_the_way_happens_once(
    any_server: Server, proxy: Proxy, stream: str, script: str, what: str
) -> None:
    """Fails when a script that was carried out writes again as it is sent again."""
    (published,) = _publish(any_server, stream, 1)

    def fail_once(data: dict[str, Any], message: StreamMessage) -> None:
        if message.retries == 0:
            raise ValueError("once")

    handler = Handler(fail_once)
    fault = _lose(proxy, what, f"script:{script}", holding=b":1\r\n")
    with _consumer(proxy, stream, handler):
        fault.wait()
        handler.wait_for(2)
        _nothing_is_left(any_server, stream)
        with any_server.client() as client:
            assert client.zcard(f"{stream}:g:delayed") == 0
            eventually(lambda: client.xlen(f"{stream}:g:inbox:thing") == 0, what="the inbox is empty")
        _publish(any_server, stream, 1)
        handler.wait_for(3)

    assert [(call.message.id == published.id, call.message.retries) for call in handler.calls] == [
        (True, 0),
        (True, 1),
        (False, 0),
    ]


@pytest.mark.parametrize("what", ["reply", "request"])
def test_a_dead_letter_that_was_lost_on_the_way_is_written_once(
    any_server: Server, proxy: Proxy, stream: str, what: str
) -> None:
    """Fails when a script that was carried out writes again as it is sent again."""
    (published,) = _publish(any_server, stream, 1)

    def fail(data: dict[str, Any], message: StreamMessage) -> None:
        raise ValueError("always")

    fault = _lose(proxy, what, "script:dead_letter")
    with _consumer(proxy, stream, Handler(fail), retry_limit=0):
        fault.wait()
        _nothing_is_left(any_server, stream)

    with any_server.client() as client:
        (letter,) = dead_letters(client, stream)
    assert letter.data["original_id"] == published.id


@pytest.mark.parametrize("what", ["reply", "request"])
def test_a_hand_over_that_was_lost_on_the_way_reaches_the_other_member_once(
    any_server: Server, proxy: Proxy, stream: str, what: str
) -> None:
    """Fails when a script that was carried out writes again as it is sent again."""
    theirs, ours = Handler(), Handler()
    other = member(any_server.url, stream, claim_idle_ms=_MINUTE_MS)
    other.on("other", theirs)
    with other:
        pass  # registered, and gone: what is read from here on is handed over to it
    _publish(any_server, stream, 1, event="other")
    fault = _lose(proxy, what, "script:hand_over")
    with _consumer(proxy, stream, ours):
        fault.wait()
        _nothing_is_left(any_server, stream)
    with any_server.client() as client:
        assert client.xlen(f"{stream}:g:inbox:other") == 1
    with other:
        theirs.wait_for(1)

    assert theirs.values() == [0]
    assert ours.calls == []


def test_connections_that_break_again_and_again_lose_nothing(
    any_server: Server, proxy: Proxy, stream: str
) -> None:
    """Fails when an entry is forgotten between a break and the look for what it held."""
    handler = Handler(lambda data, message: None)
    stopped = threading.Event()

    def break_them() -> None:
        while not stopped.wait(0.15):
            proxy.cut()

    breaker = threading.Thread(target=break_them)
    with _consumer(proxy, stream, handler, concurrency=4, claim_idle_ms=2000):
        breaker.start()
        try:
            for _ in range(30):
                _publish(any_server, stream, 20)
                stopped.wait(0.05)
        finally:
            stopped.set()
            breaker.join()
        handler.wait_until(lambda calls: len({call.message.id for call in calls}) == 600, 15)
        _nothing_is_left(any_server, stream)
        with any_server.client() as client:
            assert not client.exists(f"{stream}:failed")


def test_a_lost_read_under_a_name_of_the_users_waits_for_the_lease(
    any_server: Server, proxy: Proxy, stream: str
) -> None:
    """Fails when "pending under my name" is taken for "mine", though two may share the name."""
    _publish(any_server, stream, 2)
    handler = Handler()
    with any_server.client() as client:
        client.xgroup_create(stream, "g", "0")
        client.xreadgroup("g", "worker-1", {stream: ">"}, count=1)  # another process, and it works on it
        fault = proxy.lose_reply("XREADGROUP")
        began = time.monotonic()
        with _consumer(proxy, stream, handler, consumer="worker-1", claim_idle_ms=1500):
            fault.wait()
            calls = handler.wait_for(2, 10)
            _nothing_is_left(any_server, stream)
        assert [info["name"] for info in client.xinfo_consumers(stream, "g")] == [b"worker-1"]

    assert sorted(handler.values()) == [0, 1]
    assert calls[0].at - began > 1.2
