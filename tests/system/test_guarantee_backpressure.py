"""A publisher with ``max_backlog`` never runs far ahead of the slowest group; and what full memory means."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
import redis

from streamix_queue import BacklogFull, OutOfMemory, Publisher, ShedMessage, publish
from streamix_queue.api import close_publishers
from streamix_queue.core.facts import Fact, Published, PublishFreed, PublishHeldBack, Shed
from tests.support.members import Handler, eventually, member
from tests.support.servers import Server


class Told:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def notice(self, fact: Fact) -> None:
        self.facts.append(fact)

    def of(self, kind: type[Fact]) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


def numbers(client: redis.Redis, stream: str) -> list[int]:
    """``data["n"]`` of what is on the stream."""
    entries: Any = client.xrange(stream)
    return [json.loads(fields[b"message"])["data"]["n"] for _, fields in entries]


def many(count: int, pad: str = "") -> list[tuple[str, dict[str, Any]]]:
    return [("thing", {"n": n, "pad": pad}) for n in range(count)]


def publish_until_full(publisher: Publisher, most: int) -> BacklogFull:
    for n in range(most):
        try:
            publisher.publish("thing", {"n": n})
        except BacklogFull as full:
            return full
    raise AssertionError(f"{most} were published")


def test_publishing_stops_at_the_limit_and_goes_on_when_the_group_has_caught_up(
    server: Server, stream: str
) -> None:
    told = Told()
    with Publisher(server.url, stream, max_backlog=100, on_full="raise", observers=[told]) as publisher:
        publisher.publish("thing", {"n": -1}, group="g")
        full = publish_until_full(publisher, 200)

        assert full.group == "g"
        with server.client() as client:
            assert 100 <= int(client.xlen(stream)) <= 106
        (began,) = told.of(PublishHeldBack)
        assert isinstance(began, PublishHeldBack)
        assert (began.group, began.limit) == ("g", 100)
        assert told.of(Published)[-1].error_type == "BacklogFull"

        calls = Handler()
        consumer = member(server.url, stream)
        consumer.on("thing", calls)
        with consumer:
            calls.wait_for(100)
            eventually(lambda: _goes_through(publisher), what="publishing goes on")
        assert len(told.of(PublishFreed)) == 1


def _goes_through(publisher: Publisher) -> bool:
    try:
        publisher.publish("thing", {"n": 0})
    except BacklogFull:
        return False
    return True


def test_blocked_publishers_lose_nothing_and_stay_near_the_limit(server: Server, stream: str) -> None:
    calls, most = Handler(lambda data, message: time.sleep(0.001)), 0
    consumer = member(server.url, stream, concurrency=2, prefetch=4)
    consumer.on("thing", calls)

    with (
        Publisher(server.url, stream, max_backlog=50, full_timeout_ms=30_000) as publisher,
        server.client() as client,
    ):
        publisher.publish("thing", {"n": 0}, group="g")

        def work(first: int) -> None:
            for n in range(first, first + 100):
                publisher.publish("thing", {"n": n})

        threads = [threading.Thread(target=work, args=(1 + 100 * k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda: int(client.xlen(stream)) >= 50)
        with consumer:
            while any(thread.is_alive() for thread in threads):
                info: Any = client.xinfo_groups(stream)
                lag = info[0].get("lag")
                most = max(most, info[0]["pending"] + (lag if lag is not None else 0))
            for thread in threads:
                thread.join()
            calls.wait_for(401)

    assert sorted(calls.values()) == list(range(401))
    assert most <= 50 + 20, "four threads may each be one look ahead"


def test_a_blocked_publish_gives_up_in_time_and_writes_nothing(any_server: Server, stream: str) -> None:
    with Publisher(any_server.url, stream, max_backlog=10, full_timeout_ms=300) as publisher:
        publisher.publish_many(many(10))
        began = time.monotonic()

        with pytest.raises(BacklogFull, match="no group"):
            publisher.publish("thing", {"n": 99})

    assert 0.3 <= time.monotonic() - began < 3
    with any_server.client() as client:
        assert numbers(client, stream) == list(range(10))


def test_what_is_shed_says_so_and_is_nowhere(any_server: Server, stream: str) -> None:
    told = Told()
    with Publisher(any_server.url, stream, max_backlog=50, on_full="shed", observers=[told]) as publisher:
        messages = [publisher.publish("thing", {"n": n}) for n in range(80)]

    written = [message.data["n"] for message in messages if message.published]
    with any_server.client() as client:
        assert numbers(client, stream) == written
    assert 50 <= len(written) < 60
    assert all(isinstance(message, ShedMessage) for message in messages if not message.published)
    assert sum(fact.count for fact in told.of(Shed)) == 80 - len(written)
    assert sum(fact.count for fact in told.of(Published)) == len(written)


def test_publish_many_sheds_the_rest(any_server: Server, stream: str) -> None:
    told = Told()
    with Publisher(any_server.url, stream, max_backlog=900, on_full="shed", observers=[told]) as publisher:
        messages = publisher.publish_many(many(2300))

    assert [message.published for message in messages] == [True] * 1000 + [False] * 1300
    assert [message.data["n"] for message in messages] == list(range(2300))
    with any_server.client() as client:
        assert numbers(client, stream) == list(range(1000))
    assert [fact.count for fact in told.of(Published)] == [1000]
    assert [fact.count for fact in told.of(Shed)] == [1300]


def test_publish_many_says_what_was_written_when_the_backlog_is_full(any_server: Server, stream: str) -> None:
    with (
        Publisher(any_server.url, stream, max_backlog=900, on_full="raise") as publisher,
        pytest.raises(BacklogFull) as caught,
    ):
        publisher.publish_many(many(2300))

    assert caught.value.written == tuple(range(1000))
    with any_server.client() as client:
        assert numbers(client, stream) == list(range(1000))


def test_publish_takes_the_limit_as_well(any_server: Server, stream: str) -> None:
    options: dict[str, Any] = {"redis_url": any_server.url, "stream": stream}
    try:
        for n in range(3):
            assert publish("thing", {"n": n}, max_backlog=3, on_full="shed", **options).published
        assert not publish("thing", {"n": 3}, max_backlog=3, on_full="shed", **options).published
        with pytest.raises(BacklogFull):
            publish("thing", {"n": 4}, max_backlog=3, on_full="raise", **options)
        assert publish("thing", {"n": 5}, **options).published, "without a limit there is none"
    finally:
        close_publishers()


def test_most_publishes_cost_no_round_trip_more(any_server: Server, stream: str) -> None:
    with Publisher(any_server.url, stream, max_backlog=1_000_000) as publisher, any_server.client() as client:
        publisher.publish("thing", {"n": 0}, group="g")
        client.config_resetstat()
        began = time.monotonic()
        for n in range(3000):
            publisher.publish("thing", {"n": n})
        seconds = time.monotonic() - began
        stats: Any = client.info("commandstats")

    looks = stats.get("cmdstat_xinfo|groups", stats.get("cmdstat_xinfo", {"calls": 0}))["calls"]
    assert stats["cmdstat_xadd"]["calls"] == 3000
    assert looks <= seconds + 2


# --- full memory -------------------------------------------------------------------------------------


def test_publish_many_says_what_was_written_when_memory_ran_out_half_way(server: Server, stream: str) -> None:
    events = many(6000, pad="x" * 900)
    with Publisher(server.url, stream) as publisher, server.client() as client:
        publisher.publish("thing", {"n": -1})
        memory: Any = client.info("memory")
        client.config_set("maxmemory", memory["used_memory"] + 2_500_000)
        try:
            with pytest.raises(OutOfMemory) as caught:
                publisher.publish_many(events)
            written = caught.value.written
            client.config_set("maxmemory", 1)  # what a broken round trip needed itself is free again
            with pytest.raises(OutOfMemory) as again:
                publisher.publish("thing", {"n": -2})
            assert again.value.written == ()
        finally:
            client.config_set("maxmemory", 0)

        assert 0 < len(written) < len(events)
        assert numbers(client, stream) == [-1, *written]
        there = set(written)
        publisher.publish_many([event for index, event in enumerate(events) if index not in there])

        assert sorted(numbers(client, stream)) == list(range(-1, 6000))


def test_full_memory_ends_no_publisher(server: Server, stream: str) -> None:
    with Publisher(server.url, stream, max_backlog=1000) as publisher, server.client() as client:
        publisher.publish("thing", {"n": 0}, group="g")
        client.config_set("maxmemory", 1)
        try:
            for _ in range(3):
                with pytest.raises(OutOfMemory):
                    publisher.publish("thing", {"n": 1})
        finally:
            client.config_set("maxmemory", 0)

        assert publisher.publish("thing", {"n": 2}).published
        assert numbers(client, stream) == [0, 2]
