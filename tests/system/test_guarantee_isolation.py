"""Guarantee 2: what happens on behalf of one group is never seen by another."""

from __future__ import annotations

from typing import Any

from streamix_queue import Publisher, Reject, Retry, StreamMessage
from streamix_queue.admin import Admin, DeadLetterFilter
from tests.support.members import Handler, dead_letters, eventually, member, pending
from tests.support.servers import Server

_COUNT = 40


def _fails_in_every_way(data: dict[str, Any], message: StreamMessage) -> None:
    """Of four messages one each: retried, retried at once, rejected, failing once."""
    kind = data["n"] % 4
    if kind == 0:
        raise ValueError("always")
    if kind == 1:
        raise Retry(0)
    if kind == 2:
        raise Reject("no")
    if message.retries == 0:
        raise ValueError("once")


def _publish(server: Server, stream: str, count: int = _COUNT, first: int = 0) -> None:
    with Publisher(server.url, stream) as publisher:
        publisher.publish_many([("thing", {"n": n}) for n in range(first, first + count)])


def test_a_group_whose_every_message_fails_leaves_another_group_alone(server: Server, stream: str) -> None:
    """Fails when a retry goes to the shared stream, as 0.1.0's did."""
    healthy, failing = Handler(), Handler(_fails_in_every_way)
    bad = member(server.url, stream, "bad", retry_limit=2, concurrency=4)
    good = member(server.url, stream, "good")
    bad.on("thing", failing)
    good.on("thing", healthy)
    with server.client() as client:
        with good, bad:
            _publish(server, stream)
            # 10 each: 3 tries, 3 tries, 1 try, 2 tries
            failing.wait_for(90, 15)
            healthy.wait_for(_COUNT)
            eventually(lambda: len(dead_letters(client, stream)) == 30, what="all dead letters")
            eventually(lambda: pending(client, stream, "bad") == 0, what="nothing is pending")
        letters = dead_letters(client, stream)
        assert client.xlen(stream) == _COUNT

    assert healthy.values() == list(range(_COUNT))
    assert {call.message.retries for call in healthy.calls} == {0}
    assert len(failing.calls) == 90
    assert {letter.data["group"] for letter in letters} == {"bad"}
    assert sorted(letter.data["original_data"]["n"] for letter in letters) == [
        n for n in range(_COUNT) if n % 4 != 3
    ]


def test_a_group_that_starts_later_sees_each_message_once_and_unchanged(
    any_server: Server, stream: str
) -> None:
    """Fails when the retries or the dead letters of a group leave a trace on the stream."""
    failing, late = Handler(_fails_in_every_way), Handler()
    bad = member(any_server.url, stream, "bad", retry_limit=1)
    bad.on("thing", failing)
    _publish(any_server, stream)
    with bad, any_server.client() as client:
        failing.wait_for(70, 15)
        eventually(lambda: len(dead_letters(client, stream)) == 30, what="all dead letters")
    good = member(any_server.url, stream, "late")
    good.on("thing", late)
    with good:
        late.wait_for(_COUNT)

    assert late.values() == list(range(_COUNT))
    assert {call.message.retries for call in late.calls} == {0}


def test_a_retry_survives_the_trimming_of_the_stream(server: Server, stream: str) -> None:
    """Fails when a retry needs its entry on the shared stream."""

    def fail_once(data: dict[str, Any], message: StreamMessage) -> None:
        if message.retries == 0:
            raise ValueError("once")

    handler, others = Handler(fail_once), Handler()
    consumer = member(server.url, stream, "bad", backoff_base_ms=500, backoff_max_ms=500, backoff_jitter=0)
    consumer.on("thing", handler)
    good = member(server.url, stream, "good")
    good.on("thing", others)
    _publish(server, stream, 10)
    with good, consumer, server.client() as client:
        handler.wait_for(10)
        others.wait_for(10)
        eventually(lambda: client.zcard(f"{stream}:bad:delayed") == 10, what="all ten wait for a retry")
        client.xtrim(stream, maxlen=0, approximate=False)
        handler.wait_for(20)
        eventually(lambda: pending(client, stream, "bad") == 0, what="nothing is pending")
        assert not client.exists(f"{stream}:failed")

    assert sorted(call.data["n"] for call in handler.calls if call.message.retries == 1) == list(range(10))
    assert len(others.calls) == 10


def test_a_replay_is_seen_by_the_group_that_failed_and_by_no_other(server: Server, stream: str) -> None:
    """Fails when groups share an inbox, or a replay goes to the shared stream."""
    mended = False

    def fail_until_mended(data: dict[str, Any], message: StreamMessage) -> None:
        if not mended:
            raise Reject("not yet")

    ours, theirs = Handler(fail_until_mended), Handler()
    one, other = member(server.url, stream, "one"), member(server.url, stream, "other")
    one.on("thing", ours)
    other.on("thing", theirs)
    with one, other, server.client() as client, Admin(server.url, stream) as admin:
        _publish(server, stream, 3)
        eventually(lambda: len(dead_letters(client, stream)) == 3, what="all dead letters")
        mended = True
        assert admin.replay(DeadLetterFilter()).ok
        ours.wait_for(6)
        _publish(server, stream, 1, first=3)
        ours.wait_for(7)
        theirs.wait_for(4)
        assert dead_letters(client, stream) == []
        assert client.xlen(stream) == 4

    assert sorted(ours.values()) == [0, 0, 1, 1, 2, 2, 3]
    assert theirs.values() == [0, 1, 2, 3]


def test_no_group_waits_for_a_group_that_stands_still(any_server: Server, stream: str) -> None:
    """Fails when a group without members holds up the others."""
    with any_server.client() as client:
        client.xgroup_create(stream, "stopped", "0", mkstream=True)
        handler = Handler()
        consumer = member(any_server.url, stream, "good")
        consumer.on("thing", handler)
        with consumer:
            _publish(any_server, stream)
            handler.wait_for(_COUNT)
        (info,) = [info for info in client.xinfo_groups(stream) if info["name"] == b"stopped"]
        assert info["pending"] == 0
        assert info["last-delivered-id"] == b"0-0"
