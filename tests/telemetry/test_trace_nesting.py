"""What is current while a handler runs, and what is in nobody's trace."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from opentelemetry import context, propagate, trace
from opentelemetry.instrumentation.redis import RedisInstrumentor

from streamix_queue import Publisher, StreamMessage
from tests.support.members import Handler, eventually
from tests.support.servers import Server
from tests.telemetry.scenes import consuming, publish
from tests.telemetry.seen import Seen


def shop() -> trace.Tracer:
    """A tracer of the application's; asked for anew, since it belongs to the provider of the test."""
    return trace.get_tracer("shop")


def test_a_span_of_the_handlers_own_is_a_child_of_its_attempt(
    any_server: Server, stream: str, spans: Seen
) -> None:
    def handler(data: dict[str, Any]) -> None:
        with shop().start_as_current_span("charge"):
            pass

    publish(any_server, stream)
    with consuming(any_server, stream, handler):
        spans.wait_for("ack")

    assert spans.one("charge").child_of(spans.one("process"))


def test_in_an_async_handler_the_attempt_is_current_also_after_an_await(
    any_server: Server, stream: str, spans: Seen
) -> None:
    async def step() -> None:
        with shop().start_as_current_span("step"):
            await asyncio.sleep(0)

    async def handler(data: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        with shop().start_as_current_span("charge"):
            await asyncio.gather(step(), step())

    publish(any_server, stream, 5)
    with consuming(any_server, stream, handler, concurrency=5):
        spans.wait_for("process", 5)

    attempts = {span.span_id: span for span in spans.all("process")}
    charges = spans.all("charge")
    assert {charge.parent_id for charge in charges} == set(attempts)
    assert all(span.name == "process" or attempts[span.parent_id].end >= span.end for span in charges)
    steps = spans.all("step")
    assert sorted(step.parent_id for step in steps) == sorted(2 * [charge.span_id for charge in charges])


def test_handlers_at_the_same_time_do_not_see_each_others_spans(
    any_server: Server, stream: str, spans: Seen
) -> None:
    meeting = threading.Barrier(4, timeout=10)
    current: dict[int, str] = {}

    def handler(data: dict[str, Any]) -> None:
        meeting.wait()
        current[data["n"]] = f"{trace.get_current_span().get_span_context().span_id:016x}"
        meeting.wait()

    publish(any_server, stream, 4)
    with consuming(any_server, stream, handler, concurrency=4):
        spans.wait_for("process", 4)

    assert set(current.values()) == {span.span_id for span in spans.all("process")}


def test_what_a_handler_publishes_goes_on_in_the_same_trace(
    any_server: Server, stream: str, spans: Seen
) -> None:
    def handler(data: dict[str, Any]) -> None:
        with Publisher(any_server.url, f"{stream}.next") as publisher:
            publisher.publish("order.paid", {})

    publish(any_server, stream)
    with consuming(any_server, stream, handler):
        spans.wait_for("ack")

    assert spans.one(f"publish {stream}.next").child_of(spans.one("process"))


def test_nothing_of_a_span_is_left_on_the_thread_after_it(
    any_server: Server, stream: str, spans: Seen
) -> None:
    def leaky(data: dict[str, Any]) -> None:
        context.attach(trace.set_span_in_context(shop().start_span("never ended")))
        raise ValueError("and never detached")

    publish(any_server, stream, 3)
    with consuming(any_server, stream, leaky, retry_limit=0):
        spans.wait_for("dead_letter", 3)

    published = {span.span_id for span in spans.all("publish")}
    assert {span.parent_id for span in spans.all("process")} == published


def test_a_consumer_that_is_started_inside_a_span_does_not_prolong_its_trace(
    any_server: Server, stream: str, spans: Seen
) -> None:
    with shop().start_as_current_span("start-up"), consuming(any_server, stream, Handler()):
        token = context.attach(context.Context())
        publish(any_server, stream)
        context.detach(token)
        spans.wait_for("ack")

    assert [span.name for span in spans.trace_of(spans.one("start-up"))] == ["start-up"]


def test_the_librarys_own_talk_with_redis_is_in_no_trace(
    any_server: Server, stream: str, spans: Seen
) -> None:
    """An application that instruments redis-py sees its own commands, and none of ours."""
    handler = Handler(lambda data, message: client.get("mine"))
    RedisInstrumentor().instrument()
    try:
        client = any_server.client()
        with consuming(any_server, stream, handler, metrics_port=0):
            publish(any_server, stream, 3)
            handler.wait_for(3)
            spans.wait_for("process", 3)
    finally:
        RedisInstrumentor().uninstrument()

    commands = [span for span in spans.all() if span.scope != "streamix_queue"]
    assert [span.name for span in commands] == ["GET"] * 3
    assert {span.parent_id for span in commands} == {span.span_id for span in spans.all("process")}


def test_a_provider_that_is_set_after_the_start_is_taken_up(
    any_server: Server, stream: str, no_provider: None
) -> None:
    from opentelemetry.sdk.trace import TracerProvider

    seen: list[bool] = []
    handler = Handler(lambda data, message: seen.append(trace.get_current_span().is_recording()))
    with consuming(any_server, stream, handler):
        publish(any_server, stream)
        handler.wait_for(1)
        trace.set_tracer_provider(TracerProvider())

        def recording() -> bool:
            publish(any_server, stream)
            return seen[-1]

        eventually(recording)


@pytest.mark.usefixtures("no_provider")
class TestWithoutAProvider:
    """Nobody records here, but what came from elsewhere goes on to the next."""

    CONTEXT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    def handle(self, server: Server, stream: str, handler: Any) -> None:
        publish(server, stream)
        with server.client() as client:
            ((entry_id, fields),) = client.xrange(stream)
            client.xdel(stream, entry_id)
            client.xadd(stream, {**fields, b"traceparent": self.CONTEXT, b"tracestate": b"a=b"})
        ended = threading.Event()

        def and_tell(data: dict[str, Any], message: StreamMessage) -> None:
            handler(data, message)
            ended.set()

        with consuming(server, stream, and_tell):
            assert ended.wait(10)

    def test_what_a_handler_publishes_carries_the_context_on(self, any_server: Server, stream: str) -> None:
        def handler(data: dict[str, Any], message: StreamMessage) -> None:
            publish(any_server, f"{stream}.next")

        self.handle(any_server, stream, handler)

        with any_server.client() as client:
            ((_, fields),) = client.xrange(f"{stream}.next")
        assert fields[b"traceparent"] == self.CONTEXT
        assert fields[b"tracestate"] == b"a=b"

    def test_so_does_what_a_handler_calls_by_itself(self, any_server: Server, stream: str) -> None:
        headers: dict[str, str] = {}
        self.handle(any_server, stream, lambda data, message: propagate.inject(headers))

        assert headers["traceparent"].encode() == self.CONTEXT

    def test_and_a_value_that_is_set_on_top_of_it(self, any_server: Server, stream: str) -> None:
        headers: dict[str, str] = {}

        def handler(data: dict[str, Any], message: StreamMessage) -> None:
            token = context.attach(context.set_value("mine", 1))
            propagate.inject(headers)
            assert context.get_value("mine") == 1
            context.detach(token)

        self.handle(any_server, stream, handler)

        assert headers["traceparent"].encode() == self.CONTEXT

    def test_and_what_an_async_handler_calls(self, any_server: Server, stream: str) -> None:
        headers: dict[str, str] = {}
        ended = threading.Event()

        async def handler(data: dict[str, Any]) -> None:
            await asyncio.sleep(0)
            propagate.inject(headers)
            ended.set()

        publish(any_server, stream)
        with any_server.client() as client:
            ((_, fields),) = client.xrange(stream)
            client.xtrim(stream, maxlen=0)
            client.xadd(stream, {**fields, b"traceparent": self.CONTEXT})
        with consuming(any_server, stream, handler):
            assert ended.wait(10)

        assert headers["traceparent"].encode() == self.CONTEXT
