"""Guarantee 4: retries wait in Redis, come back on time, and stand in nobody's way."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from streamix_queue import Publisher, Reject, Retry, StreamMessage
from streamix_queue.core.facts import Fact, Settled
from streamix_queue.core.outcome import RetryLater
from tests.support.members import Handler, dead_letters, eventually, member, pending
from tests.support.processes import ConsumerProcess
from tests.support.servers import Server


def _always(data: dict[str, Any], message: StreamMessage) -> None:
    raise ValueError("always")


class Planned:
    """The waits that were planned after first failures."""

    def __init__(self) -> None:
        self.first_waits: list[int] = []

    def notice(self, fact: Fact) -> None:
        for attempt in fact.attempts if isinstance(fact, Settled) else ():
            if isinstance(attempt.outcome, RetryLater) and attempt.number == 1:
                self.first_waits.append(attempt.outcome.delay_ms)


def _publish(server: Server, stream: str, *data: dict[str, Any], event: str = "thing") -> list[StreamMessage]:
    with Publisher(server.url, stream) as publisher:
        return publisher.publish_many([(event, each) for each in data])


@pytest.mark.parametrize("retry_limit", [0, 1, 3])
def test_a_retry_limit_of_n_means_n_attempts_after_the_first(
    server: Server, stream: str, retry_limit: int
) -> None:
    """Fails when the first attempt counts as a retry, or the last one does not."""
    handler = Handler(_always)
    consumer = member(server.url, stream, retry_limit=retry_limit)
    consumer.on("thing", handler)
    (published,) = _publish(server, stream, {"n": 0})
    with consumer, server.client() as client:
        handler.wait_for(retry_limit + 1)
        eventually(lambda: dead_letters(client, stream), what="the dead letter")
        _publish(server, stream, {"n": 1})
        handler.wait_until(lambda calls: calls[-1].data == {"n": 1})
        eventually(lambda: len(dead_letters(client, stream)) == 2, what="the other dead letter")
        letter = dead_letters(client, stream)[0]

    calls = handler.of(n=0)
    assert [call.message.retries for call in calls] == list(range(retry_limit + 1))
    assert {call.message.id for call in calls} == {published.id}
    assert {call.message.timestamps.created_at for call in calls} == {published.timestamps.created_at}
    assert letter.reason == "retries_exhausted"
    assert letter.data["retries"] == retry_limit
    assert len(letter.data["attempts"]) == retry_limit + 1


def test_waits_grow_by_a_power_of_two_within_the_jitter_up_to_the_cap(
    any_server: Server, stream: str
) -> None:
    """Fails when the wait does not double, the cap is not held, or a retry comes too early."""
    base, cap, jitter = 100, 400, 0.2
    handler, planned = Handler(_always), Planned()
    consumer = member(
        any_server.url,
        stream,
        observers=[planned],
        concurrency=4,
        retry_limit=4,
        backoff_base_ms=base,
        backoff_max_ms=cap,
        backoff_jitter=jitter,
    )
    consumer.on("thing", handler)
    _publish(any_server, stream, *({"n": n} for n in range(8)))
    with consumer, any_server.client() as client:
        handler.wait_for(40)
        eventually(lambda: len(dead_letters(client, stream)) == 8, what="all dead letters")

    for n in range(8):
        starts = [call.at for call in handler.of(n=n)]
        waits = [1000 * (later - earlier) for earlier, later in pairwise(starts)]
        for k, wait in enumerate(waits):
            middle = min(base * 2**k, cap)
            assert wait >= middle * (1 - jitter) - 2  # (the clocks are the server's and ours)
            assert wait < middle * (1 + jitter) + 400, f"wait {k} took {wait:.0f} ms"
    # Spread: what failed together does not come back together.
    assert len(set(planned.first_waits)) > 3, planned.first_waits


def test_a_retry_survives_the_death_of_every_member(server: Server, stream: str, tmp_path: Path) -> None:
    """Fails when a retry waits in a thread, or its id and count do."""
    options: dict[str, Any] = {
        "log": tmp_path / "log",
        "claim_idle_ms": 60_000,
        "backoff_base_ms": 1000,
        "backoff_max_ms": 1000,
        "backoff_jitter": 0,
        "concurrency": 3,
    }
    published = _publish(server, stream, *({"do": "fail_times", "n": 1} for _ in range(3)))
    with (
        ConsumerProcess.start(server.url, stream, "g", **options) as one,
        ConsumerProcess.start(server.url, stream, "g", **options) as two,
        server.client() as client,
    ):
        eventually(lambda: client.zcard(f"{stream}:g:delayed") == 3, 20, "three retries wait")
        assert pending(client, stream) == 0
        one.kill()
        two.kill()
        assert client.zcard(f"{stream}:g:delayed") == 3
        with ConsumerProcess.start(server.url, stream, "g", **options) as three:
            three.wait_for(lambda r: len(three.records("finished")) == 3)
            started = [r for r in three.records("started") if r["pid"] == three.pid]
            failed = {r["message_id"]: r["monotonic"] for r in three.records("failed")}

    assert {(r["message_id"], r["retries"]) for r in started} == {(m.id, 1) for m in published}
    assert len(started) == 3
    for record in started:
        assert record["monotonic"] - failed[record["message_id"]] >= 0.99


def test_failing_messages_stand_in_nobodys_way(any_server: Server, stream: str) -> None:
    """Fails when a backoff is slept in a worker, or a waiting retry costs a credit."""

    def fail_if_bad(data: dict[str, Any], message: StreamMessage) -> None:
        if data["bad"]:
            raise ValueError("bad")

    handler = Handler(fail_if_bad)
    consumer = member(any_server.url, stream, prefetch=5, backoff_base_ms=30_000, backoff_max_ms=30_000)
    consumer.on("thing", handler)
    _publish(any_server, stream, *({"bad": n < 100, "n": n} for n in range(200)))
    with consumer:
        handler.wait_for(200, 5)

    assert handler.values() == list(range(200))


def test_a_retry_does_not_change_a_byte_of_the_data(any_server: Server, stream: str) -> None:
    """Fails when the payload goes through Python objects on its way back."""
    raw = (
        b'{"id":"x1","event":"thing","data":{"f":1.10,"big":123456789012345678901234567890,'
        b'"e":1E5,"u":"\\u00e9\xc3\xa9","k":{"b":1,"a":2}},"retries":0,'
        b'"timestamps":{"created_at":"a","updated_at":"b"}}'
    )
    handler = Handler(_always)
    consumer = member(any_server.url, stream, retry_limit=1)
    consumer.on("thing", handler)
    with consumer, any_server.client() as client:
        client.xadd(stream, {"message": raw, "traceparent": "00-1-2-01", "x": b"\xff"})
        eventually(lambda: dead_letters(client, stream), what="the dead letter")
        (letter,) = dead_letters(client, stream)

    data = raw[raw.index(b'"data":') + 7 : raw.index(b',"retries"')]
    assert b'"original_data":' + data in letter.fields[b"message"]
    assert letter.fields[b"traceparent"] == b"00-1-2-01"
    assert letter.fields[b"x"] == b"\xff"
    first, second = handler.calls
    assert first.data == second.data == json.loads(data)


@pytest.mark.parametrize("after", [0, 0.0, timedelta(0)])
def test_retry_zero_means_at_once(any_server: Server, stream: str, after: Any) -> None:
    """Fails when ``Retry(0)`` waits for the backoff, or for the scheduler's next look."""

    def act(data: dict[str, Any], message: StreamMessage) -> None:
        if message.retries < 3:
            raise Retry(after)

    handler = Handler(act)
    consumer = member(any_server.url, stream, backoff_base_ms=60_000, backoff_max_ms=60_000)
    consumer.on("thing", handler)
    _publish(any_server, stream, {"n": 0})
    with consumer:
        calls = handler.wait_for(4)

    assert calls[-1].at - calls[0].at < 1.0


def test_retry_after_waits_that_long_and_counts_as_an_attempt(any_server: Server, stream: str) -> None:
    """Fails when ``after`` is ignored, cut by the cap of the backoff, or free of charge."""

    def act(data: dict[str, Any], message: StreamMessage) -> None:
        raise Retry(after=0.8, reason="not yet")

    handler = Handler(act)
    consumer = member(any_server.url, stream, retry_limit=1, backoff_base_ms=1, backoff_max_ms=10)
    consumer.on("thing", handler)
    _publish(any_server, stream, {"n": 0})
    with consumer, any_server.client() as client:
        first, second = handler.wait_for(2)
        eventually(lambda: dead_letters(client, stream), what="the dead letter")
        (letter,) = dead_letters(client, stream)

    assert 0.79 <= second.at - first.at < 2.5
    assert letter.reason == "retries_exhausted"
    assert letter.data["error"] == "not yet"


def test_reject_goes_to_the_dead_letters_at_once(any_server: Server, stream: str) -> None:
    """Fails when a rejection is retried."""

    def act(data: dict[str, Any], message: StreamMessage) -> None:
        raise Reject("no such user")

    handler = Handler(act)
    consumer = member(any_server.url, stream)
    consumer.on("thing", handler)
    _publish(any_server, stream, {"n": 0})
    with consumer, any_server.client() as client:
        eventually(lambda: dead_letters(client, stream), what="the dead letter")
        (letter,) = dead_letters(client, stream)
        assert client.zcard(f"{stream}:g:delayed") == 0

    assert len(handler.calls) == 1
    assert (letter.reason, letter.data["error"], letter.data["retries"]) == ("rejected", "no such user", 0)
