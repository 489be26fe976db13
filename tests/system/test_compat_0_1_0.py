"""Side by side with the real 0.1.0: on one stream, in one group, in both directions."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from streamix_queue import Publisher, Reject, StreamMessage
from streamix_queue.core.dead_letter import read_letter
from streamix_queue.core.message import Timestamps
from streamix_queue.core.publication import Publication
from streamix_queue.core.wire import decode, encode
from tests.support.json_values import envelope_of_0_1_0, message_with
from tests.support.members import Handler, eventually, member, pending
from tests.support.old_release import OldRelease
from tests.support.servers import Server

old = OldRelease()

PAYLOADS: list[dict[str, Any]] = [
    {},
    {"user_id": "123", "email": "alice@example.com"},
    {"numbers": [0, -1, 1 << 63, -(10**30), 0.1, -0.0, 1e16, 1e-7, 5e-324, 1.7976931348623157e308]},
    {"text": '"\\/\b\f\n\r\t\x00\x1f\x7f\u0080\u2028\u2029 \u00e9 \u4e2d \U0001f600', "\u00fc": None},
    {"deep": {"er": [[[]], {"": {}}, [True, False, None]]}},
]


class Tracing:
    """Puts trace fields beside the envelope, as tracing does."""

    @contextlib.contextmanager
    def publishing(self, publication: Publication) -> Iterator[None]:
        for carrier in publication.carriers:
            carrier["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            carrier["tracestate"] = "vendor=\u00fc"
            carrier["baggage"] = "tenant=7"
        yield


def entries_of(client: redis.Redis, stream: str) -> list[dict[bytes, bytes]]:
    entries: Any = client.xrange(stream)
    return [fields for _, fields in entries]


def as_message(plain: dict[str, Any]) -> StreamMessage:
    return StreamMessage(**{**plain, "timestamps": Timestamps(**plain["timestamps"])})


def group_exists(client: redis.Redis, stream: str, group: str) -> bool:
    try:
        groups: Any = client.xinfo_groups(stream)
    except redis.ResponseError:
        return False
    return group.encode() in [info["name"] for info in groups]


# --- the envelope ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("retries", [0, 3])
def test_both_write_the_same_bytes(retries: int) -> None:
    messages = [message_with(data, event="\u00fcser.created", retries=retries) for data in PAYLOADS]

    written = old.encode([message.to_dict() for message in messages])

    assert [encode(message, max_bytes=1 << 20) for message in messages] == written
    assert [envelope_of_0_1_0(message) for message in messages] == written, "what the unit tests hold on to"


# --- from one to the other ----------------------------------------------------------------------------------


def test_what_0_1_0_publishes_is_handled_here(server: Server, stream: str) -> None:
    handler = Handler()
    consumer = member(server.url, stream)
    consumer.on("thing", handler)
    sent = old.publish(server.url, stream, *(("thing", data) for data in PAYLOADS))

    with consumer:
        calls = handler.wait_for(len(PAYLOADS))

    assert [repr(call.message.to_dict()) for call in calls] == [repr(message) for message in sent]
    assert [call.data for call in calls] == [call.message.data for call in calls]
    with server.client() as client:
        raws = [fields[b"message"] for fields in entries_of(client, stream)]
        assert [encode(call.message, max_bytes=1 << 20) for call in calls] == raws, "byte for byte"
        assert pending(client, stream) == 0


@pytest.mark.parametrize("interceptors", [[], [Tracing()]], ids=["plain", "traced"])
def test_what_is_published_here_is_handled_by_0_1_0(
    server: Server, stream: str, tmp_path: Path, interceptors: list[Tracing]
) -> None:
    with (
        server.client() as client,
        Publisher(server.url, stream, interceptors=interceptors) as publisher,
        old.consumer(server.url, stream, tmp_path) as theirs,
    ):
        eventually(lambda: group_exists(client, stream, "g"))  # it begins at the end of the stream

        one = publisher.publish("thing", PAYLOADS[0])
        many = publisher.publish_many([("thing", data) for data in PAYLOADS[1:]])
        last = [one, *many][-1]
        theirs.wait_for(lambda message: message["id"] == last.id)

        assert [as_message(call) for call in theirs.calls] == [one, *many]
        entries = entries_of(client, stream)
        assert theirs.encoded == [fields[b"message"] for fields in entries], "byte for byte"
        beside = {b"traceparent", b"tracestate", b"baggage"} if interceptors else set()
        assert [set(fields) - {b"message"} for fields in entries] == [beside] * len(PAYLOADS)
        eventually(lambda: pending(client, stream) == 0)


# --- side by side -------------------------------------------------------------------------------------------


def test_both_share_a_group_and_nothing_is_lost(server: Server, stream: str, tmp_path: Path) -> None:
    handler = Handler()
    ours = member(server.url, stream)
    ours.on("thing", handler)
    numbers = itertools.count()
    sent: list[str] = []
    with (
        server.client() as client,
        Publisher(server.url, stream) as publisher,
        old.consumer(server.url, stream, tmp_path, block_ms=200) as theirs,
        ours,
    ):
        deadline = time.monotonic() + 30
        # Who gets an entry is up to Redis: until each has had a good share, and both have sent some.
        while len(sent) < 120 or min(len(handler.calls), len(theirs.calls)) < 20:
            assert time.monotonic() < deadline, (
                f"{len(sent)} sent, {len(handler.calls)} here, {len(theirs.calls)} there"
            )
            sent += [publisher.publish("thing", {"n": next(numbers)}).id for _ in range(20)]
            theirs_too = old.publish(
                server.url, stream, *(("thing", {"n": next(numbers)}) for _ in range(20))
            )
            sent += [message["id"] for message in theirs_too]

        def handled() -> list[str]:
            return [call.message.id for call in handler.calls] + [call["id"] for call in theirs.calls]

        eventually(lambda: len(handled()) >= len(sent))
        eventually(lambda: pending(client, stream) == 0)

        assert sorted(handled()) == sorted(sent), "each once"
        assert client.xlen(f"{stream}:failed") == 0


def test_a_retry_that_0_1_0_published_again_goes_on_here_where_it_was(
    server: Server, stream: str, tmp_path: Path
) -> None:
    """It is on the shared stream, with a count; ours then go through the group's own inbox."""
    with server.client() as client:
        client.xgroup_create(stream, "g", "0", mkstream=True)
        (sent,) = old.publish(server.url, stream, ("thing", {"failures": 99}))
        with old.consumer(server.url, stream, tmp_path, rounds=1) as theirs:
            assert theirs.wait() == 0
        assert [call["retries"] for call in theirs.calls] == [0]
        assert client.xlen(stream) == 2

        def fail(data: dict[str, Any], message: StreamMessage) -> None:
            raise RuntimeError("still failing")

        handler = Handler(fail)
        ours = member(server.url, stream, retry_limit=3)
        ours.on("thing", handler)
        with ours:
            calls = handler.wait_for(3)
            eventually(lambda: client.xlen(f"{stream}:failed") == 1)

        assert [call.message.retries for call in calls] == [1, 2, 3], "1 + 3 attempts in all"
        assert {call.message.id for call in calls} == {sent["id"]}
        assert {call.message.timestamps.created_at for call in calls} == {sent["timestamps"]["created_at"]}
        assert client.xlen(stream) == 2, "no other group saw our retries"
        (letter,) = entries_of(client, f"{stream}:failed")
        assert json.loads(letter[b"message"])["data"]["retries"] == 3


def test_a_retry_from_here_is_not_in_the_way_of_0_1_0(server: Server, stream: str, tmp_path: Path) -> None:
    """It knows nothing of our inboxes and our delayed set, and goes on with the stream."""

    def fail_once(data: dict[str, Any], message: StreamMessage) -> None:
        if data.get("n") == 0 and message.retries == 0:
            raise RuntimeError("once")

    handler = Handler(fail_once)
    ours = member(server.url, stream)
    ours.on("thing", handler)
    with server.client() as client, Publisher(server.url, stream) as publisher:
        with ours:
            first = publisher.publish("thing", {"n": 0})
            handler.wait_for(1)
        with old.consumer(server.url, stream, tmp_path) as theirs:
            second = publisher.publish("thing", {"n": 1})
            theirs.wait_for(lambda message: message["id"] == second.id)
            eventually(lambda: pending(client, stream) == 0)
            assert first.id not in [call["id"] for call in theirs.calls if call["retries"]]
        again = member(server.url, stream)
        again.on("thing", handler)
        with again:
            eventually(
                lambda: first.id in [call.message.id for call in handler.calls if call.message.retries]
            )


# --- dead letters -------------------------------------------------------------------------------------------


def test_a_dead_letter_of_0_1_0_can_be_read(server: Server, stream: str, tmp_path: Path) -> None:
    with server.client() as client:
        client.xgroup_create(stream, "g", "0", mkstream=True)
        (sent,) = old.publish(server.url, stream, ("thing", {"failures": 9, "x": [1.5, "\u00fc"]}))
        with old.consumer(server.url, stream, tmp_path, rounds=2, retry_limit=1) as theirs:
            assert theirs.wait() == 0
        (source, _), (again, _) = client.xrange(stream)
        ((_, fields),) = client.xrange(f"{stream}:failed")

    letter = read_letter([part for pair in fields.items() for part in pair])

    assert (letter.event, letter.retries) == ("thing", 1)
    assert letter.id != sent["id"]
    assert (letter.data.original_id, letter.data.original_event) == (sent["id"], "thing")
    assert json.loads(bytes(letter.data.original_data)) == sent["data"]
    assert letter.data.source_stream_id == again.decode() != source.decode()
    assert letter.data.error == "attempt 2 of 9 that fail"
    assert letter.data.reason == "retries_exhausted"


def test_our_dead_letters_can_be_read_by_0_1_0(server: Server, stream: str) -> None:
    def act(data: dict[str, Any], message: StreamMessage) -> None:
        raise Reject("no such user") if data["how"] == "reject" else RuntimeError("boom \u00fc")

    ours = member(server.url, stream, retry_limit=1)
    ours.on("thing", Handler(act))
    with server.client() as client, Publisher(server.url, stream, interceptors=[Tracing()]) as publisher:
        fail, reject = (publisher.publish("thing", {"how": how, "x": [1.5]}) for how in ("fail", "reject"))
        client.xadd(stream, {"message": b"{not json", "other": b"\xff\x00"})
        client.xadd(stream, {"nothing": "of ours"})
        with ours:
            eventually(lambda: client.xlen(f"{stream}:failed") == 4)
        entries = entries_of(client, f"{stream}:failed")

    # As its client does: of an entry it looks at the field `message` alone.
    letters = old.decode([{b"message": fields[b"message"]} for fields in entries])

    by_reason: dict[str, list[dict[str, Any]]] = {}
    for letter in letters:
        by_reason.setdefault(letter["data"]["reason"], []).append(letter)
    assert {reason: len(each) for reason, each in by_reason.items()} == {
        "retries_exhausted": 1,
        "rejected": 1,
        "malformed": 2,
    }
    for reason, message, retries, error in (
        ("retries_exhausted", fail, 1, "boom \u00fc"),
        ("rejected", reject, 0, "no such user"),
    ):
        (letter,) = by_reason[reason]
        assert (letter["event"], letter["retries"]) == ("thing", retries)
        assert letter["data"]["original_id"] == message.id
        assert letter["data"]["original_event"] == "thing"
        assert letter["data"]["original_data"] == message.data
        assert (letter["data"]["retries"], letter["data"]["error"]) == (retries, error)
    assert all(letter["event"] == "unknown" for letter in by_reason["malformed"])
    whole = [fields for fields in entries if b"raw.message" in fields]
    assert [(f[b"raw.message"], f[b"raw.other"]) for f in whole] == [(b"{not json", b"\xff\x00")]


def test_what_0_1_0_can_read_is_read_here_the_same_way() -> None:
    """Envelopes as other programs may spell them."""
    times = b'"timestamps":{"updated_at":"u","by":null,"created_at":"c"}'
    raws = [
        b" { " + times + b',"retries":2 ,"data":{"b":1,"a":1E2},"event":"e","id":"i"}\n',
        b'{"id":"\\u0031","event":"\\ud83d\\ude00","data":{"x":"\\/"},"retries":0,"more":[{}],'
        + times
        + b"}",
        b'{"id":"1","event":"e","data":{},"data":{"last":1},"retries":0,' + times + b"}",
    ]

    theirs = old.decode([{b"message": raw} for raw in raws])

    assert [decode(raw).to_dict() for raw in raws] == theirs
