"""What is kept of a span on an attempt, until it is settled and told in metrics and log lines."""

from __future__ import annotations

from opentelemetry.trace import Span, SpanContext

from streamix_queue.core.attempt import Attempt
from streamix_queue.core.wire import TRACEPARENT
from streamix_telemetry.trace_context import Ids, ids_as_text

__all__ = ["Kept", "ids_of", "sampled_ids"]


class Kept:
    """What the tracing interceptor leaves in ``Attempt.span``.

    Attributes:
        context: Of the process span. The span itself is large, and is let go when it ends.
        creation: The context of the publish, for links; None if the message carried none.
        recorded: Somebody will see the process span.
    """

    __slots__ = ("context", "creation", "recorded")

    def __init__(self, span: Span, creation: SpanContext | None) -> None:
        self.context: SpanContext = span.get_span_context()
        self.creation: SpanContext | None = creation
        self.recorded: bool = span.is_recording()


def ids_of(attempt: Attempt) -> Ids | None:
    """The ids of the attempt's span; else the ids that the message carries; else None."""
    kept = attempt.span
    if isinstance(kept, Kept):
        return _ids(kept.context)
    return _carried(attempt)


def sampled_ids(attempt: Attempt) -> Ids | None:
    """The ids of the attempt's span if it was sampled: others lead nowhere."""
    kept = attempt.span
    if not isinstance(kept, Kept):
        return None
    context = kept.context
    return _ids(context) if context.trace_flags.sampled else None


def _ids(context: SpanContext) -> Ids | None:
    return ids_as_text(context) if context.is_valid else None


def _carried(attempt: Attempt) -> Ids | None:
    """Read from the W3C field, when nobody traces here but somebody did before."""
    extras = attempt.extras
    for name, value in zip(extras[::2], extras[1::2], strict=False):
        if name == TRACEPARENT:
            parts = value[:60].decode("ascii", "replace").split("-")
            if len(parts) >= 4 and _is_hex(parts[1], 32) and _is_hex(parts[2], 16):
                return Ids(parts[1], parts[2])
    return None


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and all(c in "0123456789abcdef" for c in text)
