"""Logging for an application that wants the library to set it up: JSON lines, or a console.

Nothing here runs unless `configure` is called.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import msgspec
import structlog
from opentelemetry import trace
from structlog.typing import Processor

from streamix_queue.core.errors import ConfigError
from streamix_telemetry.logs import printable
from streamix_telemetry.trace_context import ids_as_text

__all__ = ["add_trace_context", "configure_logging"]

MODES: Final = ("auto", "json", "console", "off")
_LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_MULTILINE: Final = ("exception", "stack", "traceback")
_Event = MutableMapping[str, Any]


def add_trace_context(_logger: Any, _method: str, event: _Event) -> _Event:
    """A structlog processor: ids of the current span, for applications with a chain of their own.

    Place it after ``merge_contextvars``: inside a span of the handler's own, that one counts.
    """
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"], event["span_id"] = ids_as_text(context)
        event["trace_flags"] = f"{context.trace_flags:02x}"
    return event


def configure_logging(mode: str = "auto", level: str = "info", stream: TextIO | None = None) -> bool:
    """Set up structlog and the standard library's root logger; False if structlog has been already.

    Args:
        mode: ``json``, ``console``, ``auto`` (a console on a terminal, else JSON) or ``off``.
        level: Lowest level that is written.
        stream: Where to; stdout by default.

    Raises:
        ConfigError: no such mode or level.
    """
    if mode not in MODES:
        raise ConfigError(f"logs={mode!r}: expected one of {', '.join(MODES)}")
    if level not in _LEVELS:
        raise ConfigError(f"log_level={level!r}: expected one of {', '.join(_LEVELS)}")
    if mode == "off" or structlog.is_configured():
        return False
    out = stream if stream is not None else sys.stdout
    console = mode == "console" or (mode == "auto" and out.isatty())
    threshold = logging.getLevelName(level.upper())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_trace_context,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending = _console(out) if console else _json()
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _bridge(shared, ending, threshold, out)
    return True


def _json() -> list[Processor]:
    # Without the local variables that both renderers show by default: they hold payloads and secrets.
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        structlog.processors.ExceptionRenderer(tracebacks),
        structlog.processors.JSONRenderer(serializer=_dumps),
    ]


def _console(out: TextIO) -> list[Processor]:
    plain = structlog.dev.plain_traceback
    return [_escape, structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=plain)]


def _bridge(
    shared: list[Processor],
    ending: list[Processor],
    threshold: int,
    out: TextIO,
) -> None:
    """Lines of libraries that log the standard way (redis, opentelemetry) look like ours."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_logger_name,
                *shared,
                structlog.stdlib.PositionalArgumentsFormatter(),
                structlog.processors.StackInfoRenderer(),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(threshold)


def _dumps(value: Any, **_: Any) -> str:
    try:
        return msgspec.json.encode(value, enc_hook=str).decode()
    except (TypeError, ValueError, UnicodeEncodeError, RecursionError):
        # Keys that are no text, lone surrogates: slower, and it takes anything.
        return json.dumps(value, default=str, skipkeys=True)


def _escape(_logger: Any, _method: str, event: _Event) -> _Event:
    """Control characters in values would reach the terminal."""
    for key, value in event.items():
        if (
            isinstance(value, str)
            and not value.isprintable()
            and key not in ("traceback", "exception", "stack")
        ):
            event[key] = printable(value, 4096)
        elif isinstance(value, str) and key == "traceback":
            event[key] = "\n".join(printable(line, 4096) for line in value.split("\n"))
    return event
