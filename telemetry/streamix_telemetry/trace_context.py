"""The trace context of a message: into and out of the fields beside it.

By the propagator that the process has (W3C unless ``OTEL_PROPAGATORS`` says otherwise). What
others wrote is not trusted: a context that is malformed or too large is as good as none.
"""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from streamix_queue.core.wire import TRACEPARENT

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_FIELD",
    "CarriedContext",
    "Ids",
    "extract",
    "ids_as_text",
    "inject",
    "parse_traceparent",
    "suppressed",
    "traceparent_of",
    "without_span",
]

MAX_FIELD: Final = 8192
"""Longest trace field that is read or written, bytes: the limit that W3C sets for baggage."""

_MAX_FIELDS = 64
_BAGGAGE = "baggage"

# Checked here first: the W3C propagators would log each field that is malformed, message by message.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-[\x21-\x7e]*)?")
_KEY = r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
_MEMBERS: Final = {
    "tracestate": re.compile(rf"{_KEY}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"),
    _BAGGAGE: re.compile(r"[\x21-\x2b\x2d-\x3a\x3c\x3e-\x7e]+=[\x20-\x2b\x2d-\x7e]*"),
}
_EMPTY: Final = Context()
_log = logging.getLogger("streamix_queue")

# The key is the API's own; older instrumentations look for the plain word.
_SUPPRESS = (getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation"),)
_SUPPRESS_KEYS: Final = tuple(dict.fromkeys((*_SUPPRESS, "suppress_instrumentation")))


def extract(extras: Sequence[bytes], *, baggage: bool) -> Context:
    """The context in the fields of a message; an empty one if it is missing, malformed or too large.

    Args:
        extras: Flat names and values, as Redis sent them.
        baggage: Also take baggage from it.
    """
    carrier = _carrier(extras, baggage=baggage)
    if not carrier:
        return _EMPTY
    try:
        # Into an empty context and never into the current one, which may belong to something else.
        return propagate.extract(carrier, context=_EMPTY)
    except Exception:  # noqa: BLE001 - any propagator may be installed, and must not cost a message
        _log.debug("trace fields could not be read", exc_info=True)
        return _EMPTY


def _carrier(extras: Sequence[bytes], *, baggage: bool) -> dict[str, str]:
    if len(extras) == 2 and extras[0] == TRACEPARENT and len(extras[1]) <= MAX_FIELD:  # nearly always
        text = extras[1].decode("latin-1")
        return {"traceparent": text} if _TRACEPARENT.fullmatch(text) else {}
    carrier: dict[str, str] = {}
    for name, value in zip(extras[: 2 * _MAX_FIELDS : 2], extras[1 : 2 * _MAX_FIELDS : 2], strict=False):
        try:
            key = name.decode("ascii")
            if len(value) <= MAX_FIELD:
                carrier[key] = value.decode()
                continue
        except UnicodeDecodeError:
            key = name.decode("ascii", "replace")
        if key in propagate.get_global_textmap().fields:
            return {}  # else it is some field of the application's
    if not baggage:
        carrier.pop(_BAGGAGE, None)
    if "traceparent" in carrier and not _TRACEPARENT.fullmatch(carrier["traceparent"]):
        return {}
    for key, member in _MEMBERS.items():
        # W3C: without them the trace goes on.
        if key in carrier and not _well_formed(carrier[key], member):
            del carrier[key]
    return carrier


def _well_formed(text: str, member: re.Pattern[str]) -> bool:
    parts = [part.strip(" \t") for part in text.split(",")]
    return all(member.fullmatch(part) for part in parts if part)


def inject(carrier: MutableMapping[str, str], context: Context, *, baggage: bool) -> None:
    """Write ``context`` into the fields of a message; what is too large is left out."""
    written: dict[str, str] = {}
    propagate.inject(written, context=context)
    for name, value in written.items():
        if len(value) <= MAX_FIELD and value and (baggage or name != _BAGGAGE):
            carrier[name] = value


class CarriedContext(Context):
    """The context of a message, read from its fields only when somebody asks for it.

    For a process without the SDK: nobody records, yet what a handler publishes or calls should
    stay in the trace. Most handlers never ask, and reading costs more than all else together.
    """

    __slots__ = ("_baggage", "_extras", "_read")

    def __init__(self, extras: Sequence[bytes], *, baggage: bool) -> None:
        self._extras = extras
        self._baggage = baggage
        self._read: Context | None = None

    def _resolved(self) -> Context:
        if self._read is None:
            self._read = extract(self._extras, baggage=self._baggage)
        return self._read

    def get(self, key: str, default: Any = None) -> Any:
        """As of the context in the fields."""
        return self._resolved().get(key, default)

    def __getitem__(self, key: str) -> object:
        return self._resolved()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._resolved()

    def __iter__(self) -> Iterator[str]:
        return iter(self._resolved())

    def __len__(self) -> int:
        return len(self._resolved())

    def copy(self) -> dict[str, object]:
        """A plain copy of the context in the fields: what the API adds a value to."""
        return self._resolved().copy()


class Ids(NamedTuple):
    """A span's ids as hexadecimal text: in trace fields, in log lines and in exemplars."""

    trace_id: str
    span_id: str


def ids_as_text(context: SpanContext) -> Ids:
    """The ids of a span."""
    return Ids(f"{context.trace_id:032x}", f"{context.span_id:016x}")


def traceparent_of(context: SpanContext) -> str:
    """``context`` as W3C text, whatever the propagator: for links that we keep ourselves."""
    trace_id, span_id = ids_as_text(context)
    return f"00-{trace_id}-{span_id}-{int(context.trace_flags) & 0xFF:02x}"


def parse_traceparent(text: str) -> SpanContext | None:
    """What `traceparent_of` wrote; None if it is anything else."""
    parts = text.split("-")
    if len(parts) != 4 or [len(part) for part in parts] != [2, 32, 16, 2]:
        return None
    try:
        trace_id, span_id, flags = (int(part, 16) for part in parts[1:])
    except ValueError:
        return None
    context = SpanContext(
        trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags), trace_state=TraceState()
    )
    return context if context.is_valid else None


def without_span(context: Context) -> Context:
    """``context`` without its span, so that what starts in it is a new trace; baggage stays."""
    return trace.set_span_in_context(NonRecordingSpan(trace.INVALID_SPAN_CONTEXT), context)


def suppressed() -> Context:
    """A context in which no instrumentation records: our own polling is nobody's trace."""
    context = Context()
    for key in _SUPPRESS_KEYS:
        context = otel_context.set_value(key, True, context)
    return context
