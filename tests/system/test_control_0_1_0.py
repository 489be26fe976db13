"""Negative control: what 0.1.0 loses and repeats, so that a test that finds nothing here is no proof.

Each scenario is run with the old release, where it has to go wrong, and with ours (a message that
kills its process in `test_crash_blame`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streamix_queue import Publisher, StreamMessage
from tests.support.members import Handler, eventually, member, pending
from tests.support.old_release import OldRelease
from tests.support.servers import Server

old = OldRelease()


def group_names(client: Any, stream: str) -> set[str]:
    return {info["name"].decode() for info in client.xinfo_groups(stream)} if client.exists(stream) else set()


# --- published before the first consumer --------------------------------------------------------------------


def test_0_1_0_loses_what_was_published_before_its_first_consumer(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    with any_server.client() as client:
        (early,) = old.publish(any_server.url, stream, ("thing", {}))
        with old.consumer(any_server.url, stream, tmp_path) as consumer:
            eventually(lambda: "g" in group_names(client, stream))
            (late,) = old.publish(any_server.url, stream, ("thing", {}))
            consumer.wait_for(lambda message: message["id"] == late["id"])

            assert early["id"] not in [call["id"] for call in consumer.calls]
            (group,) = client.xinfo_groups(stream)
            (_, last) = client.xrange(stream)
            assert group["last-delivered-id"] == last[0], "and it will never look back"


def test_ours_loses_none(any_server: Server, stream: str) -> None:
    handler = Handler()
    consumer = member(any_server.url, stream)
    consumer.on("thing", handler)
    with Publisher(any_server.url, stream) as publisher:
        early = publisher.publish("thing", {})
        with consumer:
            late = publisher.publish("thing", {})
            handler.wait_for(2)

    assert [call.message.id for call in handler.calls] == [early.id, late.id]


# --- retries and other groups ------------------------------------------------------------------------------


def test_0_1_0_shows_a_groups_retries_to_every_other_group(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    """The healthy one is our consumer: how often it is given the event is 0.1.0's doing."""
    healthy = Handler()
    other = member(any_server.url, stream, "healthy")
    other.on("thing", healthy)
    with any_server.client() as client:
        client.xgroup_create(stream, "failing", "0", mkstream=True)
        with other, old.consumer(any_server.url, stream, tmp_path, group="failing") as failing:
            (sent,) = old.publish(any_server.url, stream, ("thing", {"failures": 2}))
            failing.wait_for(lambda message: message["retries"] == 2)
            healthy.wait_for(3)

    assert [call.message.id for call in healthy.calls] == [sent["id"]] * 3


def test_ours_keeps_a_groups_retries_to_itself(any_server: Server, stream: str, tmp_path: Path) -> None:
    """The healthy one is 0.1.0: how often it is given the event is our doing."""

    def fail_twice(data: dict[str, Any], message: StreamMessage) -> None:
        if message.retries < data["failures_here"]:
            raise RuntimeError

    failing = Handler(fail_twice)
    ours = member(any_server.url, stream, "failing")
    ours.on("thing", failing)
    with any_server.client() as client, Publisher(any_server.url, stream) as publisher:
        client.xgroup_create(stream, "healthy", "0", mkstream=True)
        with ours, old.consumer(any_server.url, stream, tmp_path, group="healthy") as healthy:
            sent = publisher.publish("thing", {"failures_here": 2})
            failing.wait_for(3)
            marker = publisher.publish("thing", {"failures_here": 0})
            healthy.wait_for(lambda message: message["id"] == marker.id)

            assert [call["id"] for call in healthy.calls] == [sent.id, marker.id]
            assert client.xlen(stream) == 2


# --- a message that kills its process ----------------------------------------------------------------------

RESTARTS = 6


def test_0_1_0_gives_a_message_that_kills_to_every_process_for_ever(
    any_server: Server, stream: str, tmp_path: Path
) -> None:
    with any_server.client() as client:
        client.xgroup_create(stream, "g", "0", mkstream=True)
        (poison,) = old.publish(any_server.url, stream, ("thing", {"die": True}))
        for _ in range(RESTARTS):
            # Nobody has renewed the lease of the one that died, so it is over at once.
            with old.consumer(any_server.url, stream, tmp_path, claim_idle_ms=1, block_ms=1) as consumer:
                assert consumer.wait() == -9
                assert [call["id"] for call in consumer.calls] == [poison["id"]]

        assert client.xlen(f"{stream}:failed") == 0
        assert pending(client, stream) == 1
        ((*_, deliveries),) = [
            list(each.values()) for each in client.xpending_range(stream, "g", "-", "+", 9)
        ]
        assert deliveries == RESTARTS
