"""Telemetry of Streamix Queue: traces, metrics, logs and probes, made from the facts of the core.

Importing it sets nothing up. A consumer and a publisher count in prometheus_client's global
registry, trace if the process has a tracer provider, and log through structlog or the standard
library, whichever is configured; `configure` sets all of that up for a process that has nothing.
"""

from streamix_telemetry.configure import Handle, configure
from streamix_telemetry.log_setup import add_trace_context, configure_logging
from streamix_telemetry.process_telemetry import watch_backlog
from streamix_telemetry.settings import Settings, TraceOptions

__all__ = [
    "Handle",
    "Settings",
    "TraceOptions",
    "add_trace_context",
    "configure",
    "configure_logging",
    "watch_backlog",
]
