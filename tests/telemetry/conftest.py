"""Telemetry of a test's own: tracer provider, registry and settings, put back afterwards."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import opentelemetry.trace
import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once
from prometheus_client import CollectorRegistry

from streamix_queue.api import close_publishers
from streamix_telemetry import settings
from tests.telemetry.seen import Seen, from_sdk


@pytest.fixture(autouse=True)
def registry() -> Iterator[CollectorRegistry]:
    """What everything counts in unless told otherwise; no test sees another's counts."""
    before = settings.current()
    own = CollectorRegistry()
    settings.change(settings.Settings(registry=own))
    close_publishers()
    yield own
    close_publishers()
    settings.change(before)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process as if nobody had set a tracer provider, which can be done only once in its life."""
    monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER_SET_ONCE", Once())


@pytest.fixture
def provider(no_provider: None) -> Iterator[TracerProvider]:
    """A tracer provider that records everything."""
    own = TracerProvider()
    opentelemetry.trace.set_tracer_provider(own)
    yield own
    own.shutdown()


@pytest.fixture
def spans(provider: TracerProvider) -> Seen:
    """Every span that has ended."""
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Seen(lambda: [from_sdk(span) for span in exporter.get_finished_spans()])
