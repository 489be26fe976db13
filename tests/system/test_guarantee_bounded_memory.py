"""Guarantee 10: what a member holds is bounded, and one slow event does not stop the others."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from streamix_queue import Publisher, StreamMessage
from streamix_queue.core.wire import build, encode
from tests.support.members import Handler, eventually, member, pending
from tests.support.processes import ConsumerProcess
from tests.support.servers import Server


def _memory_mb(pid: int, what: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no {what}")


def _publish(server: Server, stream: str, count: int, event: str = "thing", **data: Any) -> None:
    with Publisher(server.url, stream) as publisher:
        publisher.publish_many([(event, {"n": n, **data}) for n in range(count)])


def test_a_backlog_of_100_000_messages_is_not_held(any_server: Server, stream: str, tmp_path: Path) -> None:
    """Fails when reads ask for more than there are credits: the backlog would be in memory."""
    with Publisher(any_server.url, stream) as publisher:
        for _ in range(20):
            publisher.publish_many([("thing", {"do": "sleep", "s": 0.02, "x": "y" * 200})] * 5000)
    with (
        any_server.client() as client,
        ConsumerProcess.start(
            any_server.url, stream, "g", log=tmp_path / "log", concurrency=4, claim_idle_ms=60_000
        ) as process,
    ):
        process.wait_for(lambda r: len(process.records("finished")) >= 50)
        before, most = _memory_mb(process.pid, "VmRSS"), 0
        while len(process.records("finished")) < 400:
            most = max(most, pending(client, stream))
            time.sleep(0.02)  # between two samples
        after = _memory_mb(process.pid, "VmRSS")
        assert client.xlen(stream) == 100_000

    assert 4 <= most <= 100  # a quarter of a second of work is 50
    assert after - before < 10
    assert after < 110


@pytest.mark.parametrize("traced", [False, True])
def test_big_messages_are_held_in_small_numbers(
    any_server: Server, stream: str, tmp_path: Path, traced: bool
) -> None:
    """Fails when the bound counts messages only: a few thousand big ones would fill the memory.

    And when only the last field is measured, which is a trace context if the publisher traces.
    """
    trace = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"} if traced else {}
    with any_server.client() as client:
        for n in range(800):
            message = build("thing", {"x": "y" * 200_000}, f"m{n}", "2026-01-01T00:00:00+00:00")
            client.xadd(stream, {"message": encode(message, max_bytes=1_000_000), **trace})
    with (
        any_server.client() as client,
        ConsumerProcess.start(
            any_server.url,
            stream,
            "g",
            log=tmp_path / "log",
            handler="builtins:len",
            claim_idle_ms=60_000,
        ) as process,
    ):
        process.wait_until_ready()
        before = _memory_mb(process.pid, "VmRSS")
        eventually(lambda: _all_settled(client, stream), 60, "all are settled")
        most = _memory_mb(process.pid, "VmHWM")

    assert most - before < 90, f"{before:.0f} MB, then {most:.0f} MB"


def _all_settled(client: Any, stream: str) -> bool:
    (group,) = client.xinfo_groups(stream)
    last = client.xinfo_stream(stream)["last-generated-id"]
    return bool(group["last-delivered-id"] == last and group["pending"] == 0)


@pytest.mark.parametrize("slow_first", [True, False])
def test_a_slow_event_does_not_stop_a_fast_one(any_server: Server, stream: str, slow_first: bool) -> None:
    """Fails when the messages of one event may take all credits, all threads, or all the turns."""
    ended = threading.Event()
    slow = Handler(lambda data, message: ended.wait(2))
    waits: list[float] = []

    def note(data: dict[str, Any], message: StreamMessage) -> None:
        waits.append(time.monotonic() - data["sent"])

    fast = Handler(note)
    consumer = member(any_server.url, stream, concurrency=4, claim_idle_ms=60_000)
    consumer.on("slow", slow)
    consumer.on("fast", fast)
    if slow_first:
        _publish(any_server, stream, 5000, "slow")
    with consumer, Publisher(any_server.url, stream) as publisher:
        if slow_first:
            slow.wait_for(3)
        else:
            publisher.publish("fast", {"n": -1, "sent": time.monotonic()})
            fast.wait_for(1)
            _publish(any_server, stream, 5000, "slow")
        sent = 0 if slow_first else 1
        until = time.monotonic() + 5
        while time.monotonic() < until:
            publisher.publish_many([("fast", {"n": sent + i, "sent": time.monotonic()}) for i in range(10)])
            sent += 10
            time.sleep(0.1)  # the pace of what comes in
        fast.wait_for(sent, 5)
        slows = len(slow.calls)
        consumer.request_stop()
        ended.set()

    assert max(waits) < 3, sorted(waits)[-10:]
    assert slows >= 6  # three threads, two seconds each, for five seconds: nor is the slow one starved


def test_a_fast_handler_reads_hundreds_at_a_time(any_server: Server, stream: str) -> None:
    """Fails when the credits do not follow the pace of the handlers."""
    _publish(any_server, stream, 20_000)
    handler = Handler()
    consumer = member(any_server.url, stream, claim_idle_ms=60_000)
    consumer.on("thing", handler)
    with any_server.client() as client:
        client.config_resetstat()
        with consumer:
            handler.wait_for(20_000, 30)
        reads = client.info("commandstats")["cmdstat_xreadgroup"]["calls"]

    assert reads < 20_000 / 100


def test_a_slow_member_leaves_work_to_an_idle_one(any_server: Server, stream: str) -> None:
    """Fails when a busy member hoards what an idle one could do."""
    busy = Handler(lambda data, message: time.sleep(0.2))
    idle = Handler(lambda data, message: time.sleep(0.2))
    first = member(any_server.url, stream, claim_idle_ms=60_000)
    second = member(any_server.url, stream, claim_idle_ms=60_000)
    first.on("thing", busy)
    second.on("thing", idle)
    _publish(any_server, stream, 40)
    with any_server.client() as client, first:
        busy.wait_for(12)
        eventually(lambda: pending(client, stream) <= 6, what="little is held beyond what runs")
        with second:
            eventually(lambda: len(busy.calls) + len(idle.calls) == 40, 20, "all are started")

    assert len(idle.calls) >= 10  # of the 28 that were left
    assert sorted(busy.values() + idle.values()) == list(range(40))


def test_a_fixed_prefetch_is_never_exceeded(any_server: Server, stream: str) -> None:
    """Fails when a read may bring more than there are credits."""
    _publish(any_server, stream, 300)
    most = 0
    lock = threading.Lock()

    def look(data: dict[str, Any], message: StreamMessage) -> None:
        nonlocal most
        with lock:
            most = max(most, pending(client, stream))

    handler = Handler(look)
    consumer = member(any_server.url, stream, prefetch=7, concurrency=2, claim_idle_ms=60_000)
    consumer.on("thing", handler)
    with any_server.client() as client, consumer:
        handler.wait_for(300, 20)

    assert 2 <= most <= 7
