"""Guarantee 6: a pending entry whose payload somebody trimmed away is told of, and goes."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
import redis

from streamix_queue import Publisher
from tests.support.members import Handler, dead_letters, eventually, member, pending
from tests.support.servers import Server


def _left_behind(client: redis.Redis, server: Server, stream: str, count: int) -> list[str]:
    """Entries pending for a member that is gone, and trimmed away since; their ids."""
    with Publisher(server.url, stream) as publisher:
        publisher.publish_many([("thing", {"n": n}) for n in range(count)])
    client.xgroup_create(stream, "g", "0")
    read: Any = client.xreadgroup("g", "dead", {stream: ">"}, count=count)
    ids = [entry_id for entry_id, _ in read[0][1]]
    client.xclaim(stream, "g", "dead", 0, ids, idle=3_600_000, justid=True)
    client.xtrim(stream, maxlen=0, approximate=False)
    return [entry_id.decode() for entry_id in ids]


def test_each_trimmed_entry_leaves_one_marker(
    server: Server, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when Redis drops such an entry without a word and nobody reports the loss."""
    handler = Handler()
    consumer = member(server.url, stream, claim_idle_ms=600)
    consumer.on("thing", handler)
    with server.client() as client:
        ids = _left_behind(client, server, stream, 5)
        with consumer:
            eventually(lambda: len(dead_letters(client, stream)) >= 5, what="a marker for each")
            eventually(lambda: pending(client, stream) == 0, what="nothing is pending")
            with Publisher(server.url, stream) as publisher:
                publisher.publish("thing", {"n": 5})
            handler.wait_for(1)
        letters = dead_letters(client, stream)

    assert [letter.data["source_stream_id"] for letter in letters] == ids
    assert {letter.reason for letter in letters} == {"trimmed"}
    assert handler.values() == [5]
    told = [r for r in caplog.records if r.levelno >= logging.ERROR and "message.trimmed" in r.getMessage()]
    assert len(told) == 5


def test_a_marker_waits_until_it_can_be_written(server: Server, stream: str) -> None:
    """Fails when the answer of the dead-letter stream is not looked at."""
    consumer = member(server.url, stream, claim_idle_ms=600)
    consumer.on("thing", Handler())
    with server.client() as client:
        ids = _left_behind(client, server, stream, 2)
        client.set(f"{stream}:failed", "oops")
        with consumer:
            eventually(lambda: pending(client, stream) == 0, what="nothing is pending")
            client.delete(f"{stream}:failed")
            eventually(lambda: len(dead_letters(client, stream)) == 2, what="a marker for each")
        letters = dead_letters(client, stream)

    assert [letter.data["source_stream_id"] for letter in letters] == ids


def test_what_is_in_hand_is_handled_once_though_a_peer_sweeps(server: Server, stream: str) -> None:
    """Fails when an entry that its holder still has is dropped by it, or run by a peer.

    (From Redis 7 on the peer's sweep takes it out of the pending list whatever its lease, and
    can only tell of it: a marker may be there, and says more than happened.)
    """
    going = threading.Event()
    handler = Handler(lambda data, message: going.wait(20))
    holder = member(server.url, stream, claim_idle_ms=600)
    holder.on("thing", handler)
    peer = member(server.url, stream, claim_idle_ms=600)
    peer.on("thing", handler)
    with server.client() as client, Publisher(server.url, stream) as publisher:
        publisher.publish_many([("thing", {"n": n}) for n in range(4)])
        with holder:
            handler.wait_for(1)
            eventually(lambda: pending(client, stream) == 4, what="all are in hand")
            client.xtrim(stream, maxlen=0, approximate=False)
            with peer:
                # some sweeps long: each asks for what was idle for a lease
                before = client.info("commandstats")["cmdstat_xautoclaim"]["calls"]
                eventually(
                    lambda: client.info("commandstats")["cmdstat_xautoclaim"]["calls"] >= before + 16,
                    what="some sweeps",
                )
                going.set()
                handler.wait_for(4)
        assert {letter.reason for letter in dead_letters(client, stream)} <= {"trimmed"}

    assert handler.values() == [0, 1, 2, 3]
