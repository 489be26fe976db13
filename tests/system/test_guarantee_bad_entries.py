"""Guarantee 6: every entry has an exit, whatever is in it, and the next good one is handled.

One consumer for each server takes all of them, as it would in life: what one entry breaks, the
next test finds broken.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from streamix_queue import StreamMessage
from streamix_queue.core.wire import unframe
from tests.support.members import Handler, Letter, dead_letters, eventually, member
from tests.support.servers import KINDS, Server, require

_TIMES = '"timestamps":{"created_at":"a","updated_at":"b"}'


def envelope(data: str = "{}", *, event: str = '"thing"', retries: str = "0", times: str = _TIMES) -> bytes:
    text = f'{{"id":"x","event":{event},"data":{data},"retries":{retries},{times}}}'
    return text.encode("utf-8", "surrogatepass")


def without(key: str) -> bytes:
    whole = json.loads(envelope())
    del whole[key]
    return json.dumps(whole).encode()


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"{not json",
    "half a JSON": envelope()[:-20],
    "two JSONs": envelope() + envelope(),
    "a list": b"[]",
    "a number": b"42",
    "a string": b'"x"',
    "null": b"null",
    "no id": without("id"),
    "no event": without("event"),
    "no data": without("data"),
    "no retries": without("retries"),
    "no timestamps": without("timestamps"),
    "an empty id": envelope().replace(b'"x"', b'""'),
    "an id that is a number": envelope().replace(b'"x"', b"7"),
    "an empty event": envelope(event='""'),
    "an event that is null": envelope(event="null"),
    "data that is a list": envelope("[1]"),
    "data that is null": envelope("null"),
    "data that is a string": envelope('"{}"'),
    "retries that are text": envelope(retries='"0"'),
    "retries that are negative": envelope(retries="-5"),
    "retries that are a fraction": envelope(retries="1.5"),
    "retries that are true": envelope(retries="true"),
    "retries of 5000 digits": envelope(retries="9" * 5000),
    "timestamps that are a list": envelope(times='"timestamps":[]'),
    "timestamps that are numbers": envelope(times='"timestamps":{"created_at":1,"updated_at":2}'),
    "bytes that are not UTF-8": envelope('{"a":"%"}').replace(b"%", b"\xff\xfe"),
    "an overlong NUL": envelope('{"a":"%"}').replace(b"%", b"\xc0\x80"),
    "bytes of a surrogate": envelope('{"a":"\ud800"}'),
    "an escaped lone surrogate": envelope(r'{"a":"\ud800"}'),
    "a surrogate pair the wrong way round": envelope(r'{"a":"\udc00\ud800"}'),
    "a lone surrogate in the event": envelope(event=r'"thing\ud800"'),
    "a byte order mark": b"\xef\xbb\xbf" + envelope(),
    "UTF-16": envelope().decode().encode("utf-16"),
    "NaN": envelope('{"a":NaN}'),
    "Infinity": envelope('{"a":-Infinity}'),
    "a raw newline in a string": envelope('{"a":"\n"}'),
    "a raw NUL in a string": envelope('{"a":"\0"}'),
    "200 levels": envelope('{"a":' + "[" * 200 + "]" * 200 + "}"),
    "100,000 levels": envelope('{"a":' + "[" * 100_000 + "]" * 100_000 + "}"),
    "100,000 levels that never end": envelope('{"a":' + '{"a":' * 100_000)[:-60],
    "an integer of 10,000 digits": envelope('{"a":' + "9" * 10_000 + "}"),
}

# Each fails, is retried, fails again and becomes a dead letter: the whole way of a failure.
HANDLED: dict[str, bytes] = {
    "a duplicate key": envelope('{"fail":0,"fail":1}'),
    "a whole envelope twice": envelope('{"fail":0}')[:-1] + b"," + envelope('{"fail":1}')[1:],
    "unknown keys": envelope('{"fail":1}')[:-1] + b',"more":{"a":[1]}}',
    "an integer of 4,000 digits": envelope('{"fail":1,"a":' + "9" * 4000 + "}"),
    "a float of 400 digits": envelope('{"fail":1,"a":1e300,"b":' + "1." + "1" * 400 + "}"),
    "100 levels": envelope('{"fail":1,"a":' + "[" * 100 + "]" * 100 + "}"),
    "escaped control characters": envelope(r'{"fail":1,"\u0000\u001b[31m\r\n":"\u202e\u0007\u0000"}'),
    "a key of nothing": envelope('{"fail":1,"":""}'),
    "a megabyte of data": envelope('{"fail":1,"a":"' + "x" * 1_000_000 + '"}'),
    "an id with newlines": envelope('{"fail":1}').replace(b'"x"', rb'"a\nb\u0000\u001b[2J"'),
    "timestamps of nonsense": envelope(
        '{"fail":1}', times='"timestamps":{"created_at":"","updated_at":"\\n"}'
    ),
}

DROPPED: dict[str, bytes] = {
    "an event of a megabyte": envelope(event='"' + "e" * 1_000_000 + '"'),
    "an event of control characters": envelope(event=r'"\u0000\n\r\u001b[31m\u202e"'),
    "an event of another service": envelope(event='"other"'),
}


@dataclass
class Lane:
    """A server, a stream on it and the consumer of that stream."""

    server: Server
    stream: str
    handler: Handler
    sent: int = 0

    def send(self, fields: dict[Any, Any]) -> str:
        """Add an entry, and a good one behind it that has to be handled; the id of the first."""
        with self.server.client() as client:
            entry_id: Any = client.xadd(self.stream, fields)
            self.sent += 1
            number = self.sent
            client.xadd(self.stream, {"message": envelope(f'{{"good":{number}}}')})
            self.handler.wait_until(lambda calls: any(c.data.get("good") == number for c in calls))
            eventually(lambda: self._settled(client), what="nothing is pending or waiting")
        return str(entry_id.decode())

    def letter(self, entry_id: str) -> Letter:
        (letter,) = self.letters(entry_id)
        return letter

    def letters(self, entry_id: str) -> list[Letter]:
        with self.server.client() as client:
            return [x for x in dead_letters(client, self.stream) if x.data["source_stream_id"] == entry_id]

    def _settled(self, client: redis.Redis) -> bool:
        """In one look, for a message may be on its way from one place to the next."""
        look: Any = client.pipeline(transaction=True)
        look.xpending(self.stream, "g").zcard(f"{self.stream}:g:delayed").xlen(f"{self.stream}:g:inbox:thing")
        summary, delayed, inbox = look.execute()
        return not (summary["pending"] or delayed or inbox)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kinds = metafunc.config.getoption("--server") or KINDS
    metafunc.parametrize("lane", kinds, indirect=True, scope="module")


@pytest.fixture(scope="module")
def lane(request: pytest.FixtureRequest, shared_servers: Callable[[str], Server]) -> Iterator[Lane]:
    require(request.param)

    def act(data: dict[str, Any], message: StreamMessage) -> None:
        if data.get("fail"):
            raise ValueError(f"{message.id} failed")

    lane = Lane(shared_servers(request.param), f"test.bad.{request.param}", Handler(act))
    with lane.server.client() as client:
        client.flushall()
    consumer = member(lane.server.url, lane.stream, retry_limit=1, backoff_base_ms=0, claim_idle_ms=60_000)
    consumer.on("thing", lane.handler)
    with consumer:
        yield lane


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_entry_is_kept_whole_among_the_dead_letters(lane: Lane, kind: str) -> None:
    """Fails when an entry that cannot be decoded ends the fetcher, blocks others or is cut."""
    fields = {b"message": MALFORMED[kind], b"traceparent": b"00-1", b"\xff\x00": b"\xfe"}
    letter = lane.letter(lane.send(fields))

    assert letter.reason == "malformed"
    assert letter.data["group"] == "g"
    assert {name: letter.fields[b"raw." + name] for name in fields} == fields


@pytest.mark.parametrize("kind", HANDLED)
def test_an_odd_entry_goes_the_whole_way_of_a_failure(lane: Lane, kind: str) -> None:
    """Fails when the way of a failed message cannot carry what the handler could be given."""
    letter = lane.letter(lane.send({"message": HANDLED[kind]}))

    assert letter.reason == "retries_exhausted"
    assert letter.data["retries"] == 1
    assert len(letter.data["attempts"]) == 2
    assert letter.data["original_data"]["fail"] == 1


@pytest.mark.parametrize("kind", DROPPED)
def test_an_event_that_nobody_handles_is_acked(lane: Lane, kind: str) -> None:
    """Fails when an unknown event stays pending, or its name is too odd for a key."""
    assert lane.letters(lane.send({"message": DROPPED[kind]})) == []


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"other": "x"}, id="no message"),
        pytest.param({"": ""}, id="a field of nothing"),
        pytest.param({b"\xff" * 70_000: b"\x00"}, id="a long name"),
        pytest.param({b"Message": envelope()}, id="another case"),
        pytest.param({b"f%d" % n: b"v" for n in range(20_000)}, id="20,000 fields"),
    ],
)
def test_an_entry_without_a_message_is_kept_whole(lane: Lane, fields: dict[Any, Any]) -> None:
    """Fails when the number or the names of the fields are too much for the script."""
    letter = lane.letter(lane.send(fields))

    folded = unframe(letter.fields.get(b"streamix.overflow", b""))
    kept = letter.fields | dict(zip(folded[::2], folded[1::2], strict=True))
    assert letter.reason == "malformed"
    for name, value in fields.items():
        raw = name if isinstance(name, bytes) else name.encode()
        assert kept[b"raw." + raw] == (value if isinstance(value, bytes) else value.encode())


@pytest.mark.parametrize("count", [1, 300, 20_000])
def test_fields_beside_a_message_do_not_stop_its_retries(lane: Lane, count: int) -> None:
    """Fails when a script cannot carry that many fields, and all retries wait behind it."""
    extras = {b"f%d" % n: b"\xff" for n in range(count)}
    letter = lane.letter(lane.send({b"message": envelope('{"fail":1}'), **extras}))

    folded = unframe(letter.fields.get(b"streamix.overflow", b""))
    kept = letter.fields | dict(zip(folded[::2], folded[1::2], strict=True))
    assert letter.reason == "retries_exhausted"
    assert {name: kept[name] for name in extras} == extras
    again = lane.letter(lane.send({b"message": envelope('{"fail":1}')}))
    assert again.reason == "retries_exhausted"


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{not json", id="not JSON"),
        pytest.param(b'{"attempts":7}', id="wrong types"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param(b'{"attempts":[' + b"[" * 50_000, id="deep"),
        pytest.param(b'{"source_id":"\\u0000","replays":99999999999999999999999}', id="huge"),
        pytest.param(b'{"replays":' + b"9" * 4000 + b"}", id="4,000 digits"),
    ],
)
def test_a_forged_history_does_no_harm(lane: Lane, history: bytes) -> None:
    """Fails when a field that a producer may set is trusted like one of our own."""
    before = len(lane.handler.of(fail=1))
    lane.send({b"message": envelope('{"fail":1}'), b"streamix": history})

    assert len(lane.handler.of(fail=1)) == before + 2


@pytest.mark.parametrize("retries", ["1000000000", "9" * 19, "9" * 40, "9" * 4000])
def test_a_message_with_forged_retries_is_tried_once_and_ends(lane: Lane, retries: str) -> None:
    """Fails when a number that Redis or JSON cannot hold ends the settler."""
    before = len(lane.handler.of(fail=1))
    entry_id = lane.send({b"message": envelope('{"fail":1}', retries=retries)})

    assert lane.letter(entry_id).reason in ("retries_exhausted", "malformed")
    assert len(lane.handler.of(fail=1)) - before <= 1
