"""Spans of what was settled, made from facts with the times at which it happened."""

from __future__ import annotations

import time
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Tracer

from streamix_queue.core.attempt import Attempt
from streamix_queue.core.facts import Reclaimed, Settled
from streamix_queue.core.keys import dead_letter_key
from streamix_queue.core.outcome import Ack, DeadLetter, RetryLater
from streamix_queue.core.wire import envelope_of, history_of
from streamix_telemetry import trace_names as names
from streamix_telemetry.kept_span import Kept
from streamix_telemetry.settings import TraceOptions
from streamix_telemetry.trace_context import extract
from streamix_telemetry.trace_names import Attributes

__all__ = ["SettleSpans"]

_NO_PARENT = Context()


class SettleSpans:
    """Makes the settle and reclaim spans of one consumer; holds no state.

    An ack that Redis confirmed alone is a child of its process span. Acks that went together are
    one span, a root with a link to each: it belongs to no single trace.
    """

    def __init__(self, options: TraceOptions, base: Attributes, stream: str) -> None:
        dlq = dead_letter_key(stream)
        self._options = options
        self._stream = stream
        self._ack = (f"ack {stream}", names.operation(base, "ack", "settle"))
        self._retry = (f"retry {stream}", names.operation(base, "retry", "settle"))
        moved = {**base, names.DESTINATION: dlq, names.SOURCE_STREAM: stream}
        self._dead_letter = (f"dead_letter {dlq}", names.operation(moved, "dead_letter", "send"))
        self._reclaim = (f"reclaim {stream}", names.operation(base, "reclaim"))

    def settled(self, tracer: Tracer, fact: Settled) -> None:
        """The spans of a batch, for those messages whose process span is recorded."""
        offset_ns = time.time_ns() - int(time.perf_counter() * 1e9)
        end = int(fact.at * 1e9) + offset_ns
        start = int(fact.sent_at * 1e9) + offset_ns if fact.sent_at else end
        acked: list[Attempt] = []
        for attempt in fact.attempts:
            outcome = attempt.outcome
            if isinstance(outcome, Ack):
                if _recorded(attempt):
                    acked.append(attempt)
            elif isinstance(outcome, RetryLater):
                if _recorded(attempt):
                    self._retried(tracer, attempt, outcome, start, end)
            elif isinstance(outcome, DeadLetter):
                self._dead_lettered(tracer, attempt, outcome, start, end)
        if acked:
            self._acked(tracer, acked, start, end)

    def _acked(self, tracer: Tracer, acked: Sequence[Attempt], start: int, end: int) -> None:
        name, base = self._ack
        if len(acked) == 1:
            attributes = {**base, names.MESSAGE_ID: acked[0].entry.id.decode()}
            if acked[0].lease.lost:
                attributes[names.SETTLE_OWNED] = False
            self._span(tracer, name, _process_context(acked[0]), attributes, (), start, end)
            return
        links = [
            Link(attempt.span.context)
            for attempt in acked[: names.MAX_LINKS]
            if isinstance(attempt.span, Kept)
        ]
        attributes = {**base, names.BATCH_COUNT: len(acked)}
        if len(acked) > names.MAX_LINKS:
            attributes[names.LINKS_DROPPED] = len(acked) - names.MAX_LINKS
        self._span(tracer, name, _NO_PARENT, attributes, links, start, end)

    def _retried(self, tracer: Tracer, attempt: Attempt, outcome: RetryLater, start: int, end: int) -> None:
        name, base = self._retry
        attributes = {
            **base,
            names.MESSAGE_ID: attempt.entry.id.decode(),
            names.RETRY_DELAY: outcome.delay_ms / 1000,
            names.ATTEMPT: attempt.number,
        }
        parent = _process_context(attempt)
        self._span(tracer, name, parent, attributes, _creation_link(attempt), start, end)

    def _dead_lettered(
        self, tracer: Tracer, attempt: Attempt, outcome: DeadLetter, start: int, end: int
    ) -> None:
        """Also of what was never handled (malformed, a crash): then it is a child of the publish."""
        if isinstance(attempt.span, Kept):
            if not _recorded(attempt):
                return
            parent, links = _process_context(attempt), _creation_link(attempt)
        else:
            parent = extract(attempt.extras, baggage=False)
            creation = trace.get_current_span(parent).get_span_context()
            links = [Link(creation)] if creation.is_valid else []
            if self._options.mode == "link":
                parent = _NO_PARENT
        name, base = self._dead_letter
        source_id = history_of(attempt.history).source_id if attempt.history is not None else ""
        attributes = {
            **base,
            names.SOURCE_MESSAGE_ID: source_id or attempt.entry.id.decode(),
            names.DEAD_LETTER_REASON: outcome.reason,
            names.ATTEMPT: attempt.number,
        }
        if attempt.message is not None:
            attributes[names.EVENT_ID] = attempt.message.id
            attributes[names.EVENT_TYPE] = attempt.message.event
        self._span(tracer, name, parent, attributes, links, start, end)

    def reclaimed(self, tracer: Tracer, fact: Reclaimed) -> None:
        """One span for a sweep that found something; the attempts that follow link to it."""
        links: list[Link] = []
        for attempt in fact.attempts[: names.MAX_LINKS]:
            creation = _creation_of(attempt)
            if creation is not None:
                links.append(Link(creation, {names.MESSAGE_ID: attempt.entry.id.decode()}))
        name, base = self._reclaim
        attributes = {
            **base,
            names.BATCH_COUNT: fact.count,
            names.RECLAIM_MIN_IDLE: fact.min_idle_s,
            names.RECLAIM_DELETED: fact.deleted,
        }
        now = time.time_ns()
        context = self._span(tracer, name, _NO_PARENT, attributes, links, now, now)
        for attempt in fact.attempts:
            attempt.span = context

    def _span(
        self,
        tracer: Tracer,
        name: str,
        parent: Context,
        attributes: Attributes,
        links: Sequence[Link],
        start: int,
        end: int,
    ) -> SpanContext:
        span = tracer.start_span(name, parent, SpanKind.CLIENT, attributes, links, start)
        span.end(end)
        return span.get_span_context()


def _recorded(attempt: Attempt) -> bool:
    kept = attempt.span
    return isinstance(kept, Kept) and kept.recorded


def _process_context(attempt: Attempt) -> Context:
    assert isinstance(attempt.span, Kept)  # callers have looked
    return trace.set_span_in_context(NonRecordingSpan(attempt.span.context), _NO_PARENT)


def _creation_link(attempt: Attempt) -> list[Link]:
    kept = attempt.span
    return [Link(kept.creation)] if isinstance(kept, Kept) and kept.creation is not None else []


def _creation_of(attempt: Attempt) -> SpanContext | None:
    """Of an attempt that is not decoded yet."""
    _, extras, _ = envelope_of(attempt.entry.all_fields)
    creation = trace.get_current_span(extract(extras, baggage=False)).get_span_context()
    return creation if creation.is_valid else None
