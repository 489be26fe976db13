"""Whatever breaks in telemetry, no message is lost, delayed or handled differently."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from prometheus_client import CollectorRegistry

from streamix_queue import Publisher
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.facts import Fact
from streamix_queue.core.publication import Publication
from streamix_telemetry import configure_logging
from tests.support.members import Handler, eventually, member, pending
from tests.support.servers import Server
from tests.telemetry.pages import Page
from tests.telemetry.scenes import EVENT, consuming, fail_until, publish


class Broken:
    """An observer and interceptor that raises wherever it is asked."""

    def notice(self, fact: Fact) -> None:
        raise RuntimeError(f"at {type(fact).__name__}")

    def publishing(self, publication: Publication) -> Any:
        raise RuntimeError("at publishing")

    def processing(self, attempt: Attempt) -> Any:
        raise RuntimeError("at processing")


class BrokenScope(Broken):
    """One whose context managers raise when they are left."""

    def publishing(self, publication: Publication) -> Any:
        return self._scope()

    def processing(self, attempt: Attempt) -> Any:
        return self._scope()

    @contextmanager
    def _scope(self) -> Any:
        yield
        raise RuntimeError("at the end")


@pytest.mark.parametrize("kind", [Broken, BrokenScope])
def test_a_broken_observer_and_interceptor_change_nothing(
    any_server: Server, stream: str, caplog: pytest.LogCaptureFixture, kind: type[Broken]
) -> None:
    broken = kind()
    with Publisher(any_server.url, stream, observers=[broken], interceptors=[broken]) as publisher:
        publisher.publish(EVENT, {"n": 0})
        publisher.publish_many([(EVENT, {"n": n}) for n in range(1, 30)])
    handler = fail_until(2)
    consumer = member(any_server.url, stream, observers=[broken], interceptors=[broken], concurrency=3)
    consumer.on(EVENT, handler)
    with consumer, any_server.client() as client:
        handler.wait_for(60)
        eventually(lambda: not pending(client, stream) and not client.zcard(f"{stream}:g:delayed"))
        eventually(lambda: not client.xlen(f"{stream}:g:inbox:{EVENT}"))

    assert sorted(handler.values()) == sorted([*range(30)] * 2)
    complaints = [message for message in caplog.messages if "not reported again" in message]
    assert 0 < len(complaints) < 20  # once for each kind of trouble, and not for each of 60 attempts


class SlowExporter(SpanExporter):
    """Takes its time, and then fails."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        time.sleep(0.2)
        raise OSError("no route")


def test_an_exporter_that_is_slow_and_fails_delays_no_message(
    any_server: Server, stream: str, provider: TracerProvider
) -> None:
    processor = BatchSpanProcessor(
        SlowExporter(), max_queue_size=64, max_export_batch_size=8, schedule_delay_millis=10
    )
    provider.add_span_processor(processor)
    handler = Handler()
    publish(any_server, stream, 300)
    started = time.monotonic()
    with consuming(any_server, stream, handler):
        handler.wait_for(300)
        took = time.monotonic() - started

    assert took < 5  # 300 exports of 0.2 s each would be a minute


class BrokenProcessor(SpanProcessor):
    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise RuntimeError("at the start of a span")

    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("at the end of a span")


def test_a_span_processor_of_the_applications_that_raises_costs_no_message(
    any_server: Server, stream: str, provider: TracerProvider
) -> None:
    provider.add_span_processor(BrokenProcessor())
    handler = fail_until(2)
    publish(any_server, stream, 3)
    with consuming(any_server, stream, handler), any_server.client() as client:
        handler.wait_for(6)
        eventually(lambda: not pending(client, stream))

    assert sorted(handler.values()) == [0, 0, 1, 1, 2, 2]


def test_a_provider_that_was_shut_down_costs_no_message(
    any_server: Server, stream: str, provider: TracerProvider
) -> None:
    handler = Handler()
    with consuming(any_server, stream, handler):
        provider.shutdown()
        publish(any_server, stream, 3)
        handler.wait_for(3)


@pytest.fixture
def full_disk() -> Any:
    """A file on a disk that is full."""
    with open("/dev/full", "w", buffering=1) as file:  # noqa: PTH123
        yield file
        _give_up(file)


def _give_up(file: TextIO) -> None:
    with suppress(OSError):  # what is buffered can never be written
        file.close()


def test_a_full_disk_under_the_log_costs_no_message(
    any_server: Server, stream: str, full_disk: TextIO
) -> None:
    configure_logging("json", "debug", full_disk)
    handler = fail_until(2)
    publish(any_server, stream, 5)
    with consuming(any_server, stream, handler), any_server.client() as client:
        handler.wait_for(10)
        eventually(lambda: not pending(client, stream))
        eventually(lambda: not client.xlen(f"{stream}:g:inbox:{EVENT}"))


def test_a_log_processor_that_raises_costs_no_message(any_server: Server, stream: str) -> None:
    def broken(logger: Any, name: str, event: Any) -> Any:
        raise ValueError("my own processor")

    structlog.configure(processors=[broken], logger_factory=structlog.ReturnLoggerFactory())
    handler = fail_until(2)
    publish(any_server, stream, 5)
    with consuming(any_server, stream, handler), any_server.client() as client:
        handler.wait_for(10)
        eventually(lambda: not pending(client, stream))


def test_metrics_are_counted_on_beside_a_broken_observer(
    any_server: Server, stream: str, registry: CollectorRegistry
) -> None:
    handler = Handler()
    publish(any_server, stream, 5)
    consumer = member(any_server.url, stream, observers=[Broken()])
    consumer.on(EVENT, handler)
    with consumer:
        eventually(lambda: Page.of(registry).value("streamix_acked_messages_total", result="ok") == 5)


def test_an_exception_that_cannot_be_printed_is_still_a_failure(
    any_server: Server, stream: str, provider: TracerProvider, caplog: pytest.LogCaptureFixture
) -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def handler(data: dict[str, Any]) -> None:
        raise Unprintable

    caplog.set_level(logging.ERROR)
    provider.add_span_processor(SimpleSpanProcessor(SlowExporter()))
    publish(any_server, stream)
    with consuming(any_server, stream, handler, retry_limit=0), any_server.client() as client:
        eventually(lambda: client.xlen(f"{stream}:failed"))

    assert trace.get_tracer_provider() is provider
