"""Log lines: one for each settled message, one for each change of state, and the handler's own."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog

from streamix_queue import BacklogFull, Publisher, Reject, StreamMessage
from streamix_queue.core import facts
from streamix_queue.core.keys import Keys
from streamix_queue.core.retention import Pin
from streamix_telemetry import configure_logging
from streamix_telemetry.logs import LogObserver, printable
from tests.support.members import Handler, eventually
from tests.support.servers import Server
from tests.telemetry.scenes import EVENT, consuming, fail_until, publish
from tests.telemetry.seen import Seen

ROOT = Path(__file__).parents[2]
HOSTILE = 'x\x1b[2J\r\n{"level":"info"}\u202e' + "y" * 500


class Lines(io.StringIO):
    """What was logged as JSON."""

    def all(self, event: str = "") -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.getvalue().splitlines()]
        return [line for line in lines if event in ("", line["event"])]

    def one(self, event: str) -> dict[str, Any]:
        eventually(lambda: self.all(event))
        (line,) = self.all(event)
        return line


@pytest.fixture
def lines() -> Lines:
    """All that is logged from debug on, as JSON; see conftest for how it is put back."""
    out = Lines()
    assert configure_logging("json", "debug", out)
    return out


def test_a_message_that_was_handled_is_one_line_at_debug(
    any_server: Server, stream: str, lines: Lines, spans: Seen
) -> None:
    (message,) = publish(any_server, stream)
    with consuming(any_server, stream, Handler()) as consumer:
        line = lines.one("message.processed")
        assert consumer.running

    span = spans.one("process")
    for key in ("timestamp", "duration_ms", "mailbox_ms", "consumer"):
        assert line.pop(key)
    assert line == {
        "event": "message.processed",
        "level": "debug",
        "logger": "streamix_queue",
        "stream": stream,
        "group": "g",
        "event_name": EVENT,
        "message_id": message.id,
        "entry_id": span.attributes["messaging.message.id"],
        "attempt": 1,
        "outcome": "ack",
        "trace_id": span.trace_id,
        "span_id": span.span_id,
    }


def test_a_retry_is_a_warning_and_a_dead_letter_an_error(
    any_server: Server, stream: str, lines: Lines, spans: Seen
) -> None:
    publish(any_server, stream)
    with consuming(any_server, stream, fail_until(9), retry_limit=1):
        dead = lines.one("message.dead_lettered")

    retry = lines.one("message.retry_scheduled")
    first, second = spans.all("process")
    assert (retry["level"], retry["error_type"], retry["error"]) == (
        "warning",
        "ValueError",
        "attempt 1 fails",
    )
    assert (retry["attempt"], retry["span_id"]) == (1, first.span_id)
    assert retry["delay_ms"] == pytest.approx(1000 * first.attributes["streamix.retry.delay"])
    assert (dead["level"], dead["reason"], dead["attempt"]) == ("error", "retries_exhausted", 2)
    assert dead["span_id"] == second.span_id
    assert dead["trace_id"] == retry["trace_id"]


def test_each_message_has_exactly_one_line(any_server: Server, stream: str, lines: Lines) -> None:
    messages = publish(any_server, stream, 30)
    with consuming(any_server, stream, Handler(), concurrency=3):
        eventually(lambda: len(lines.all("message.processed")) == 30)

    assert sorted(line["message_id"] for line in lines.all("message.processed")) == sorted(
        m.id for m in messages
    )


def test_without_a_tracer_the_ids_are_those_that_the_message_carries(
    any_server: Server, stream: str, lines: Lines, no_provider: None
) -> None:
    publish(any_server, stream)
    with any_server.client() as client:
        ((_, fields),) = client.xrange(stream)
        client.xtrim(stream, maxlen=0)
        fields[b"traceparent"] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        client.xadd(stream, fields)
    with consuming(any_server, stream, Handler(lambda data, message: structlog.get_logger().info("inside"))):
        line = lines.one("message.processed")

    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert lines.one("inside")["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_a_handlers_own_lines_have_the_ids_of_its_message(
    any_server: Server, stream: str, lines: Lines, spans: Seen
) -> None:
    def handler(data: dict[str, Any], message: StreamMessage) -> None:
        structlog.get_logger().info("by structlog", mine=1)
        logging.getLogger("shop").warning("by the %s library", "standard")

    (message,) = publish(any_server, stream)
    with consuming(any_server, stream, handler):
        spans.wait_for("ack")

    span = spans.one("process")
    for line in (lines.one("by structlog"), lines.one("by the standard library")):
        assert (line["stream"], line["group"], line["message_id"]) == (stream, "g", message.id)
        assert (line["event_name"], line["attempt"]) == (EVENT, 1)
        assert (line["trace_id"], line["span_id"]) == (span.trace_id, span.span_id)
    assert lines.one("by the standard library")["logger"] == "shop"


def test_also_in_an_async_handler_after_an_await(any_server: Server, stream: str, lines: Lines) -> None:
    async def handler(data: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        structlog.get_logger().info("inside", n=data["n"])

    messages = publish(any_server, stream, 4)
    with consuming(any_server, stream, handler, concurrency=4):
        eventually(lambda: len(lines.all("inside")) == 4)

    assert {line["n"]: line["message_id"] for line in lines.all("inside")} == {
        n: message.id for n, message in enumerate(messages)
    }


def test_what_a_handler_binds_ends_with_it_and_the_applications_own_stays(
    any_server: Server, stream: str, lines: Lines
) -> None:
    structlog.contextvars.bind_contextvars(request="outside")

    def handler(data: dict[str, Any]) -> None:
        structlog.get_logger().info("inside", n=data["n"])
        structlog.contextvars.bind_contextvars(leak=data["n"])

    publish(any_server, stream, 3)
    with consuming(any_server, stream, handler):
        eventually(lambda: len(lines.all("inside")) == 3)
    structlog.get_logger().info("outside")

    assert all("leak" not in line and "request" not in line for line in lines.all("inside"))
    assert lines.one("outside")["request"] == "outside"
    assert "message_id" not in lines.one("outside")
    structlog.contextvars.clear_contextvars()


def test_each_change_of_state_is_one_line_however_long_it_lasts(
    start_server: Any, stream: str, lines: Lines
) -> None:
    server: Server = start_server(appendonly=True)
    with consuming(server, stream, Handler()):
        server.stop()
        lines.one("redis.disconnected")
        server.restart()
        line = lines.one("redis.reconnected")

    assert line["level"] == "warning"
    events = [line["event"] for line in lines.all() if line["logger"] == "streamix_queue"]
    assert events.count("actor.started") == 7, "one worker, and six actors of the channel"
    assert [event for event in events if event != "actor.started"] == [
        "group.created",
        "consumer.started",
        "redis.disconnected",
        "redis.reconnected",
        "consumer.draining",
        "consumer.stopped",
    ]


def test_hostile_text_stays_on_its_line(any_server: Server, stream: str, lines: Lines) -> None:
    def handler(data: dict[str, Any], message: StreamMessage) -> None:
        structlog.get_logger().info("inside")
        raise Reject(HOSTILE)

    message = json.dumps(
        {
            "id": HOSTILE,
            "event": EVENT,
            "data": {},
            "retries": 0,
            "timestamps": {"created_at": "", "updated_at": ""},
        }
    )
    with any_server.client() as client:
        client.xadd(stream, {"message": message})
    with consuming(any_server, stream, handler):
        line = lines.one("message.dead_lettered")

    assert line["error_type"] == "streamix_queue.Reject"
    inside = lines.one("inside")
    for text in (line["message_id"], line["error"], inside["message_id"]):
        assert text.isprintable()
        assert len(text) < 300


def test_a_console_shows_hostile_text_escaped(any_server: Server, stream: str) -> None:
    out = io.StringIO()
    configure_logging("console", "debug", out)
    structlog.get_logger().info("hello\x1b[2J", value=HOSTILE)
    logging.getLogger("shop").warning("bad %s", HOSTILE)

    assert "\x1b" not in out.getvalue()
    assert len(out.getvalue().splitlines()) == 2


def test_printable_text_is_left_alone() -> None:
    assert printable("größer als 5 €") == "größer als 5 €"
    assert printable("a\nb\x00\ud800") == "a\\nb\\x00\\ud800"
    assert printable("x" * 300) == "x" * 200 + "…"


HOSTILE_GROUP = 'x\x1b[2J\r\n{"level":"info"}\u202e'


def line_of(lines: Lines, fact: facts.Fact) -> dict[str, Any]:
    LogObserver("orders", "billing").notice(fact)
    (line,) = lines.all()
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
            facts.GroupCreated("orders", "billing", "0-0", 3),
            {"event": "group.created", "level": "info", "start": "0-0", "existing_entries": 3},
        ),
        (
            facts.GroupCreated("orders", "billing", "0-0", 3, again=True),
            {"event": "group.created_again", "level": "error", "start": "0-0", "existing_entries": 3},
        ),
        (
            facts.Draining(2, 4.5),
            {"event": "consumer.draining", "level": "info", "running": 2, "timeout_s": 4.5},
        ),
        (
            facts.Drained(0, 1.23456),
            {"event": "consumer.stopped", "level": "info", "abandoned": 0, "after_s": 1.235},
        ),
        (
            facts.Drained(1, 1.0),
            {"event": "consumer.stopped", "level": "error", "abandoned": 1, "after_s": 1.0},
        ),
        (
            facts.BrokerDown("BrokerUnavailable", "no\nroute"),
            {
                "event": "redis.disconnected",
                "level": "error",
                "error_type": "BrokerUnavailable",
                "error": "no\\nroute",
            },
        ),
        (facts.BrokerUp(1.23456), {"event": "redis.reconnected", "level": "warning", "after_s": 1.235}),
        (facts.Reclaimed(3), {"event": "messages.reclaimed", "level": "warning", "count": 3}),
        (
            facts.Trimmed("orders", "1-1", held=True),
            {
                "event": "message.trimmed",
                "level": "error",
                "key": "orders",
                "entry_id": "1-1",
                "held": True,
            },
        ),
        (facts.Unreadable(), {"event": "retry.unreadable", "level": "error"}),
        (
            facts.ActorStarted("fetcher"),
            {"event": "actor.started", "level": "debug", "actor": "fetcher"},
        ),
        (
            facts.ActorCrashed("fetcher", "ValueError", "line 1\nline\x1b 2\n"),
            {
                "event": "actor.crashed",
                "level": "error",
                "actor": "fetcher",
                "error_type": "ValueError",
                "traceback": "line 1\nline\\x1b 2",
            },
        ),
        (
            facts.ActorRestarted("fetcher", 2),
            {"event": "actor.restarted", "level": "warning", "actor": "fetcher", "attempt": 2},
        ),
        (
            facts.ActorStalled("fetcher", 30.04),
            {"event": "actor.stalled", "level": "error", "actor": "fetcher", "after_s": 30.0},
        ),
        (
            facts.ActorOverran("fetcher", 10.04),
            {"event": "actor.overran", "level": "error", "actor": "fetcher", "after_s": 10.0},
        ),
        (
            facts.ActorOverran("worker-3", 10.0),
            {"event": "actor.overran", "level": "warning", "actor": "worker-3", "after_s": 10.0},
        ),
        (
            facts.StreamTrimmed("orders", 7, 3),
            {"event": "stream.trimmed", "level": "debug", "count": 7, "length": 3},
        ),
        (
            facts.StreamPinned("orders", (Pin(HOSTILE_GROUP, "1-1", 7200.4, 0),), 1),
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
        (facts.StreamUnpinned("orders"), {"event": "stream.unpinned", "level": "info"}),
        (
            facts.NamesRemoved(("a", "b\n")),
            {"event": "consumers.removed", "level": "info", "names": ["a", "b\\n"], "count": 2},
        ),
        (
            facts.UpkeepRefused("trim", "BrokerRefused", "NOPERM\n"),
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
def test_each_fact_has_its_line(lines: Lines, fact: facts.Fact, expected: dict[str, Any]) -> None:
    assert line_of(lines, fact) == expected


def test_a_pause_and_its_end_are_a_line_each(any_server: Server, stream: str, lines: Lines) -> None:
    paused = Keys(stream, "g").paused
    with any_server.client() as client, consuming(any_server, stream, Handler()) as consumer:
        client.hset(paused, EVENT, 1)
        eventually(lambda: lines.all("event.paused"))
        client.hdel(paused, EVENT)
        eventually(lambda: lines.all("event.resumed"))
        assert consumer.running

    line = lines.one("event.paused")
    assert (line["event_name"], line["level"], line["parked"], line["group"]) == (EVENT, "warning", 0, "g")
    assert line["consumer"]


def test_a_publisher_that_is_held_back_says_so_once(any_server: Server, stream: str, lines: Lines) -> None:
    with Publisher(any_server.url, stream, max_backlog=3, on_full="raise") as publisher:
        for _ in range(3):
            publisher.publish("thing", {}, group="slow")
        for _ in range(5):
            with pytest.raises(BacklogFull):
                publisher.publish("thing", {})

    line = lines.one("publish.held_back")
    assert (line["level"], line["behind"], line["backlog"], line["limit"]) == ("warning", "slow", 3, 3)
    assert line["stream"] == stream


UNCONFIGURED = """
import sys, threading
from streamix_queue import Consumer, Publisher
url, stream = sys.argv[1:]
ended = threading.Event()
def handler(data):
    if data["n"]:
        ended.set()
        raise ValueError("secret of the message")
with Publisher(url, stream) as publisher:
    publisher.publish("e", {"n": 0})
    publisher.publish("e", {"n": 1})
consumer = Consumer(url, stream, "g", retry_limit=0)
consumer.on("e", handler)
with consumer:
    ended.wait(10)
import logging, structlog
assert not structlog.is_configured()
assert not logging.getLogger().handlers
"""


def test_when_nobody_configured_logging_stdout_stays_empty_and_stderr_tells_of_failures(
    any_server: Server, stream: str
) -> None:
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'telemetry'}"}
    answer = subprocess.run(
        [sys.executable, "-c", UNCONFIGURED, any_server.url, stream],
        capture_output=True,
        text=True,
        timeout=60,
        env=path,
        check=False,
    )

    assert (answer.returncode, answer.stdout) == (0, ""), answer.stderr
    (line,) = answer.stderr.splitlines()
    assert line.startswith("message.dead_lettered ")
    assert "reason='retries_exhausted'" in line


def test_lines_at_the_level_of_the_standard_library_are_kept_when_structlog_is_not_used(
    any_server: Server, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "streamix_queue")
    with consuming(any_server, stream, Handler()):
        pass

    assert [message.split()[0] for message in caplog.messages] == [
        "group.created",
        "consumer.started",
        "consumer.draining",
        "consumer.stopped",
    ]


def test_an_application_with_a_chain_of_its_own_gets_the_ids_as_well(
    any_server: Server, stream: str, spans: Seen
) -> None:
    out = Lines()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(out),
    )
    (message,) = publish(any_server, stream)
    with consuming(any_server, stream, Handler(lambda data, message: structlog.get_logger().info("inside"))):
        spans.wait_for("ack")

    span, line = spans.one("process"), out.one("inside")
    assert (line["trace_id"], line["span_id"]) == (span.trace_id, span.span_id)
    assert (line["message_id"], line["consumer"]) == (message.id, span.attributes["messaging.client.id"])
