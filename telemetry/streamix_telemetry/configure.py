"""`configure`: the one place that sets up the OpenTelemetry SDK, structlog, or a port.

Whatever the application has set up already stays as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from opentelemetry import trace
from opentelemetry.trace import ProxyTracerProvider

from streamix_queue.core.config import number
from streamix_telemetry import settings
from streamix_telemetry.health import HealthServer, port_of_process
from streamix_telemetry.log_setup import configure_logging
from streamix_telemetry.process_telemetry import running_probes

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.sampling import Sampler
    from prometheus_client import CollectorRegistry

__all__ = ["Handle", "configure"]


class Handle:
    """What `configure` set up, to be flushed and shut down. May be used as a context manager."""

    def __init__(self, provider: TracerProvider | None, server: HealthServer | None) -> None:
        self._provider = provider
        self._server = server

    @property
    def port(self) -> int | None:
        """The port that metrics and probes are served on; None if they are not."""
        return self._server.port if self._server is not None else None

    def force_flush(self, timeout_s: float = 10.0) -> bool:
        """Send the spans that wait; True if they were sent in time. Call it after a drain."""
        return self._provider is None or self._provider.force_flush(round(timeout_s * 1000))

    def shutdown(self) -> None:
        """Send the spans that wait, and serve no more. Harmless the second time."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        provider, self._provider = self._provider, None
        if provider is not None:
            provider.shutdown()

    def __enter__(self) -> Handle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        self.shutdown()


def configure(
    service_name: str | None = None,
    *,
    logs: str = "auto",
    log_level: str = "info",
    log_stream: TextIO | None = None,
    traces: bool = True,
    metrics: bool = True,
    metrics_port: int | None = None,
    metrics_host: str = "127.0.0.1",
    registry: CollectorRegistry | None = None,
    sampler: Sampler | None = None,
    exporter: SpanExporter | None = None,
    trace_mode: str = "continue",
    trace_batch: str = "create",
    baggage: bool = False,
) -> Handle:
    """Set up traces, metrics and logs for this process. Call it once, before anything else here.

    Traces go where the standard variables say (``OTEL_TRACES_EXPORTER``, ``OTEL_EXPORTER_OTLP_*``,
    ``OTEL_TRACES_SAMPLER``, ``OTEL_PROPAGATORS``, ``OTEL_BSP_*``, ``OTEL_RESOURCE_ATTRIBUTES``,
    ``OTEL_SDK_DISABLED``). A tracer provider or a structlog configuration that is there already is
    left alone.

    Args:
        service_name: Name of the service; ``OTEL_SERVICE_NAME`` if None.
        logs: ``json``, ``console``, ``auto`` (a console on a terminal, else JSON) or ``off``.
        log_level: Lowest level that is written.
        log_stream: Where logs go; stdout by default.
        traces: False leaves spans and trace context out altogether.
        metrics: False leaves counting out.
        metrics_port: Serve ``/metrics``, ``/livez`` and ``/readyz`` for the whole process: what a
            service that only publishes has need of. A consumer can also serve its own.
        metrics_host: Address for it.
        registry: The prometheus_client registry to count in; None takes the global one.
        sampler: Instead of what ``OTEL_TRACES_SAMPLER`` says.
        exporter: Instead of what ``OTEL_TRACES_EXPORTER`` says.
        trace_mode: ``continue`` or ``link``, see `TraceOptions`.
        trace_batch: ``create`` or ``send``, see `TraceOptions`.
        baggage: Also send and take baggage.

    Returns:
        A handle to flush and shut down what was set up.

    Raises:
        ConfigError: an option is out of range, a port is taken, or an exporter is not installed.
    """
    if metrics_port is not None:
        number("metrics_port", metrics_port, 0, 65_535)
    options = settings.TraceOptions(mode=trace_mode, batch=trace_batch, baggage=baggage)
    chosen = replace(settings.current(), metrics=metrics, traces=traces, trace=options)
    if registry is not None:
        chosen = replace(chosen, registry=registry)
    provide: Callable[[], TracerProvider] | None = None
    if traces and _provider_wanted():
        from streamix_telemetry import sdk_setup  # noqa: PLC0415 - nobody else needs the SDK

        exporters = sdk_setup.exporters_asked_for(exporter)
        provide = partial(sdk_setup.provide, service_name, sampler, exporters)
    server = None
    if metrics_port is not None:
        port = port_of_process(metrics_port)
        server = HealthServer(metrics_host, port, chosen.registry, running_probes)
    # Nothing is changed before all that can fail has been done.
    configure_logging(logs, log_level, log_stream)
    settings.change(chosen)
    return Handle(provide() if provide is not None else None, server)


def _provider_wanted() -> bool:
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not disabled and isinstance(trace.get_tracer_provider(), ProxyTracerProvider)
