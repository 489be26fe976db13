"""The OpenTelemetry SDK, set up as the standard variables say. Only `configure` imports this."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

from streamix_queue.core.errors import ConfigError

__all__ = ["exporters_asked_for", "provide"]

_EXPORTERS: Final = "opentelemetry_traces_exporter"
_PROTOCOLS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
# A burst of messages overruns the SDK's queue of 2048 spans within 50 ms, and it drops the rest silently.
_QUEUE: Final = 16_384
_BATCH: Final = 2_048


def provide(
    service_name: str | None, sampler: Sampler | None, exporters: list[SpanExporter]
) -> TracerProvider:
    """A tracer provider with ``exporters``, in use from now on."""
    resource = Resource.create({SERVICE_NAME: service_name} if service_name else None)
    provider = TracerProvider(sampler=sampler, resource=resource)
    for exporter in exporters:
        provider.add_span_processor(_processor(exporter))
    trace.set_tracer_provider(provider)
    return provider


def _processor(exporter: SpanExporter) -> BatchSpanProcessor:
    own: dict[str, Any] = {}
    if "OTEL_BSP_MAX_QUEUE_SIZE" not in os.environ and "OTEL_BSP_MAX_EXPORT_BATCH_SIZE" not in os.environ:
        own = {"max_queue_size": _QUEUE, "max_export_batch_size": _BATCH}
    return BatchSpanProcessor(exporter, **own)


def exporters_asked_for(given: SpanExporter | None) -> list[SpanExporter]:
    """The exporters that the environment asks for; if it names none OTLP, if that is installed.

    Raises:
        ConfigError: one of them is not installed.
    """
    if given is not None:
        return [given]
    asked = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if asked:
        names = [name for part in asked.split(",") if (name := part.strip()) and name != "none"]
        return [_exporter(name) for name in names]
    if _found(_otlp_name()) is not None:
        return [_exporter("otlp")]
    if any(variable.startswith("OTEL_EXPORTER_OTLP_") for variable in os.environ):
        return [_exporter("otlp")]  # raises, and says what to install
    return []


def _exporter(name: str) -> SpanExporter:
    entry = _found(_otlp_name() if name == "otlp" else name)
    if entry is None:
        advice = "pip install 'streamix-queue[otlp]'" if name == "otlp" else "is its package installed?"
        raise ConfigError(f"OTEL_TRACES_EXPORTER={name!r}: there is no such exporter here: {advice}")
    made: SpanExporter = entry.load()()
    return made


def _otlp_name() -> str:
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", ""
    )
    if protocol.strip() in _PROTOCOLS:
        return _PROTOCOLS[protocol.strip()]
    # If none is named, what is installed: the extra brings HTTP.
    return "otlp_proto_http" if _found("otlp_proto_http") is not None else "otlp_proto_grpc"


def _found(name: str) -> EntryPoint | None:
    return next(iter(entry_points(group=_EXPORTERS, name=name)), None)
