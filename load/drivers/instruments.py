"""Telemetry of a process under test, from none to every span recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

LEVELS = ("off", "metrics", "sampled", "spans")
SAMPLED_SHARE = 0.01


class Instruments:
    """Sets up this process; to be made before its consumer or publisher.

    Args:
        level: ``off``: nothing is counted, traced or logged. ``metrics``: as the library is when
            nobody configures anything (counting, API-only tracing, logging at its default level),
            and served. ``sampled``: also one in a hundred traces recorded by the OpenTelemetry
            SDK. ``spans``: all of them. The spans are thrown away, for what a collector costs is
            not ours.
    """

    def __init__(self, level: str) -> None:
        if level not in LEVELS:
            raise ValueError(f"telemetry={level!r}: expected one of {', '.join(LEVELS)}")
        self._level = level
        self._discarded = _Discard()
        self._provider: TracerProvider | None = None
        if level == "off":
            from streamix_telemetry import configure

            configure(logs="off", traces=False, metrics=False)
        elif level in ("sampled", "spans"):
            share = SAMPLED_SHARE if level == "sampled" else 1.0
            self._provider = TracerProvider(sampler=ParentBasedTraceIdRatio(share))
            # The SDK's own queue is overrun by a burst, and dropping spans would look like speed.
            queue = BatchSpanProcessor(self._discarded, max_queue_size=65_536, max_export_batch_size=2048)
            self._provider.add_span_processor(queue)
            trace.set_tracer_provider(self._provider)

    def consumer(self) -> dict[str, Any]:
        """Options for a `Consumer`."""
        return {} if self._level == "off" else {"metrics_port": 0}

    def close(self) -> int:
        """Flush; how many spans were exported."""
        if self._provider is not None:
            self._provider.shutdown()
        return self._discarded.count


class _Discard(SpanExporter):
    """What a collector would be behind."""

    def __init__(self) -> None:
        self.count = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.count += len(spans)
        return SpanExportResult.SUCCESS
