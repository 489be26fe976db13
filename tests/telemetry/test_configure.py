"""`configure`: sets up what is not there, and leaves alone what is."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from streamix_queue.core.errors import ConfigError
from streamix_telemetry import configure, settings
from tests.support.members import Handler
from tests.support.servers import Server
from tests.telemetry.pages import Page, get
from tests.telemetry.scenes import consuming, publish
from tests.telemetry.seen import Seen, from_sdk

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_otel_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")


def test_traces_metrics_and_probes_of_a_service_that_only_publishes(
    any_server: Server, stream: str, no_provider: None
) -> None:
    exporter, registry = InMemorySpanExporter(), CollectorRegistry()
    with configure("shop", logs="off", exporter=exporter, registry=registry, metrics_port=0) as handle:
        publish(any_server, stream)
        assert handle.force_flush()
        assert handle.port is not None
        page, alive = Page.at(handle.port), get(handle.port, "/livez").status

    (span,) = exporter.get_finished_spans()
    assert from_sdk(span).name == f"publish {stream}"
    assert span.resource.attributes["service.name"] == "shop"
    assert page.value("streamix_published_messages_total", stream=stream, error_type="") == 1
    assert alive == 200
    handle.shutdown()  # harmless the second time


def test_its_probes_cover_every_consumer_of_the_process(
    any_server: Server, stream: str, registry: CollectorRegistry
) -> None:
    with (
        configure(logs="off", registry=registry, metrics_port=0) as handle,
        consuming(any_server, stream, Handler(), group="billing"),
        consuming(any_server, stream, Handler(), group="search"),
    ):
        assert handle.port is not None
        found = json.loads(get(handle.port, "/readyz").body)

    assert found["checks"] == {f"{stream}/billing": "ok", f"{stream}/search": "ok"}


def test_a_tracer_provider_that_is_there_is_left_alone(any_server: Server, stream: str, spans: Seen) -> None:
    provider = trace.get_tracer_provider()
    unused = InMemorySpanExporter()
    with configure("shop", logs="off", exporter=unused):
        assert trace.get_tracer_provider() is provider
        publish(any_server, stream)

    publish(any_server, stream)  # and the application's goes on when ours is shut down
    assert len(spans.all("publish")) == 2
    assert unused.get_finished_spans() == ()


def test_a_structlog_that_is_configured_is_left_alone() -> None:
    out = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.KeyValueRenderer()], logger_factory=structlog.WriteLoggerFactory(out)
    )
    configure(logs="json", traces=False).shutdown()

    structlog.get_logger().info("mine")
    assert out.getvalue() == "event='mine'\n"


@pytest.mark.usefixtures("no_provider")
def test_the_standard_variables_are_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from-the-environment")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=a")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with configure(logs="off"):
        provider = trace.get_tracer_provider()
        assert isinstance(provider, TracerProvider)
        recording = provider.get_tracer("x").start_span("x").is_recording()

    assert provider.resource.attributes["service.name"] == "from-the-environment"
    assert provider.resource.attributes["team"] == "a"
    assert not recording


@pytest.mark.usefixtures("no_provider")
def test_a_disabled_sdk_stays_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with configure(logs="off"):
        assert not isinstance(trace.get_tracer_provider(), TracerProvider)


CONSOLE = """
from opentelemetry import trace
from streamix_telemetry import configure
with configure("shop", logs="off"):
    trace.get_tracer("x").start_span("visible").end()
"""


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'telemetry'}"}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env={**path, **variables}, capture_output=True, text=True, check=False)


def test_spans_go_to_the_console_when_the_environment_says_so() -> None:
    answer = run(CONSOLE, OTEL_TRACES_EXPORTER="console")

    assert json.loads(answer.stdout)["name"] == "visible", answer.stderr


@pytest.mark.usefixtures("no_provider")
def test_an_exporter_that_is_not_installed_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin_of_old")
    with pytest.raises(ConfigError, match=r"'zipkin_of_old'.*installed"):
        configure(logs="off")

    assert not isinstance(trace.get_tracer_provider(), TracerProvider)


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("logs", "xml", "expected one of auto, json, console, off"),
        ("log_level", "loud", "expected one of debug, info"),
        ("trace_mode", "both", "expected 'continue' or 'link'"),
        ("trace_batch", "none", "expected 'create' or 'send'"),
        ("metrics_port", 70_000, "from 0 to 65535"),
    ],
)
def test_a_wrong_option_is_refused_and_nothing_is_changed(option: str, value: Any, text: str) -> None:
    before = settings.current()
    with pytest.raises(ConfigError, match=text):
        configure(**{option: value, "traces": False})

    assert settings.current() is before
    assert not structlog.is_configured()


@pytest.mark.usefixtures("no_provider")
def test_a_port_that_is_taken_is_refused_and_nothing_is_changed() -> None:
    before = settings.current()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(ConfigError, match="cannot listen on"):
            configure(metrics_port=taken.getsockname()[1])

    assert settings.current() is before
    assert not structlog.is_configured()
    assert not isinstance(trace.get_tracer_provider(), TracerProvider)


def test_what_is_switched_off_is_off(
    any_server: Server, stream: str, spans: Seen, registry: CollectorRegistry
) -> None:
    handler = Handler()
    configure(logs="off", traces=False, metrics=False)
    publish(any_server, stream)
    with consuming(any_server, stream, handler):
        handler.wait_for(1)

    with any_server.client() as client:
        ((_, fields),) = client.xrange(stream)
    assert (spans.all(), list(fields)) == ([], [b"message"])
    assert Page.of(registry).families == []


def test_json_lines_have_a_time_a_level_and_no_local_variables() -> None:
    out = io.StringIO()
    configure(logs="json", log_level="info", log_stream=out, traces=False)
    try:
        secret = "hunter2"
        raise ValueError(f"of {len(secret)} letters")
    except ValueError:
        structlog.get_logger().exception("failed", value={1, 2}, bad="\ud800", key=b"\xff")
        logging.getLogger("redis").exception("failed as well")
    structlog.get_logger().debug("not wanted")
    logging.getLogger("redis").info("of the library")

    ours, bridged, info = map(json.loads, out.getvalue().splitlines())
    assert (ours["event"], ours["level"], ours["exception"][0]["exc_type"]) == (
        "failed",
        "error",
        "ValueError",
    )
    assert (bridged["logger"], bridged["exception"][0]["exc_value"]) == ("redis", "of 7 letters")
    assert (info["level"], info["event"]) == ("info", "of the library")
    assert ours["timestamp"].endswith("Z")
    assert "hunter2" not in out.getvalue()


def test_a_console_shows_tracebacks_without_local_variables() -> None:
    out = io.StringIO()
    configure(logs="console", log_stream=out, traces=False)
    try:
        secret = "hunter2"
        raise ValueError(f"of {len(secret)} letters")
    except ValueError:
        structlog.get_logger().exception("failed")

    assert "ValueError: of 7 letters" in out.getvalue()
    assert "= 'hunter2'" not in out.getvalue()


IMPORTS = """
import sys, logging
import streamix_queue, streamix_telemetry
import streamix_telemetry.process_telemetry
import structlog, opentelemetry.trace
assert not structlog.is_configured()
assert not logging.getLogger().handlers
assert logging.getLogger("streamix_queue").level == 0
assert "streamix_telemetry.sdk_setup" not in sys.modules
assert isinstance(opentelemetry.trace.get_tracer_provider(), opentelemetry.trace.ProxyTracerProvider)
import threading
assert threading.active_count() == 1
"""


def test_importing_it_sets_nothing_up() -> None:
    answer = run(IMPORTS)

    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def test_only_configure_imports_the_sdk() -> None:
    package = ROOT / "telemetry" / "streamix_telemetry"
    importing = [
        path.name for path in sorted(package.glob("*.py")) if "opentelemetry.sdk" in path.read_text()
    ]

    assert importing == ["configure.py", "sdk_setup.py"]
    lines = (package / "configure.py").read_text().splitlines()
    assert all(line.startswith("    from") for line in lines if "opentelemetry.sdk" in line)  # for types only


def test_a_provider_that_was_set_by_somebody_else_is_not_shut_down(spans: Seen) -> None:
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    configure(logs="off").shutdown()
    seen = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    trace.get_tracer("x").start_span("still recorded").end()

    assert len(seen.get_finished_spans()) == 1
