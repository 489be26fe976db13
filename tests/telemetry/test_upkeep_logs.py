"""Log lines of retention, of pauses, and of publishers that are held back."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from streamix_queue import BacklogFull, Publisher
from streamix_queue.core.facts import (
    Fact,
    NamesRemoved,
    StreamPinned,
    StreamTrimmed,
    StreamUnpinned,
    UpkeepRefused,
)
from streamix_queue.core.keys import Keys
from streamix_queue.core.retention import Pin
from streamix_telemetry import configure_logging
from streamix_telemetry.upkeep_logs import UpkeepLogs
from tests.support.members import Handler, eventually
from tests.support.servers import Server
from tests.telemetry.scenes import EVENT, consuming

HOSTILE = 'x\x1b[2J\r\n{"level":"info"}\u202e'


@pytest.fixture
def out() -> io.StringIO:
    """All that is logged from debug on, as JSON."""
    stream = io.StringIO()
    assert configure_logging("json", "debug", stream)
    return stream


def lines(out: io.StringIO, event: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    return [line for line in found if line["event"] == event]


def line_of(out: io.StringIO, fact: Fact) -> dict[str, Any]:
    UpkeepLogs("orders", "billing").notice(fact)
    line: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    del line["timestamp"]
    assert (line.pop("stream"), line.pop("group"), line.pop("logger")) == (
        "orders",
        "billing",
        "streamix_queue",
    )
    return line


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (
            StreamTrimmed("orders", 7, 3),
            {"event": "stream.trimmed", "level": "debug", "count": 7, "length": 3},
        ),
        (
            StreamPinned("orders", (Pin(HOSTILE, "1-1", 7200.4, 0),), 1),
            {
                "event": "stream.pinned",
                "level": "warning",
                "pins": [
                    {
                        "group": 'x\\x1b[2J\\r\\n{"level":"info"}\\u202e',
                        "behind_s": 7200,
                        "pending": 0,
                    }
                ],
                "count": 1,
            },
        ),
        (StreamUnpinned("orders"), {"event": "stream.unpinned", "level": "info"}),
        (
            NamesRemoved(("a", "b\n")),
            {"event": "consumers.removed", "level": "info", "names": ["a", "b\\n"], "count": 2},
        ),
        (
            UpkeepRefused("trim", "BrokerRefused", "NOPERM\n"),
            {
                "event": "upkeep.refused",
                "level": "warning",
                "chore": "trim",
                "error_type": "BrokerRefused",
                "error": "NOPERM\\n",
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_fact_has_its_line(out: io.StringIO, fact: Fact, expected: dict[str, Any]) -> None:
    assert line_of(out, fact) == expected


def test_a_pause_and_its_end_are_a_line_each(any_server: Server, stream: str, out: io.StringIO) -> None:
    paused = Keys(stream, "g").paused
    with any_server.client() as client, consuming(any_server, stream, Handler()) as consumer:
        client.hset(paused, EVENT, 1)
        eventually(lambda: lines(out, "event.paused"))
        client.hdel(paused, EVENT)
        eventually(lambda: lines(out, "event.resumed"))
        assert consumer.running

    (line,) = lines(out, "event.paused")
    assert (line["event_name"], line["level"], line["parked"], line["group"]) == (EVENT, "warning", 0, "g")
    assert line["consumer"]


def test_a_publisher_that_is_held_back_says_so_once(
    any_server: Server, stream: str, out: io.StringIO
) -> None:
    with Publisher(any_server.url, stream, max_backlog=3, on_full="raise") as publisher:
        for _ in range(3):
            publisher.publish("thing", {}, group="slow")
        for _ in range(5):
            with pytest.raises(BacklogFull):
                publisher.publish("thing", {})

    (line,) = lines(out, "publish.held_back")
    assert (line["level"], line["behind"], line["backlog"], line["limit"]) == ("warning", "slow", 3, 3)
    assert line["stream"] == stream
