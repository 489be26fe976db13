"""One trace for each message: the spans of a consumer.

An interceptor makes the process span, an observer the spans of what Redis confirmed: ack, retry,
dead letter. Attempts are siblings under the publish, each linked to the one before. Reading ahead is
no span (the conventions forbid it for prefetched messages), and neither is polling.

Spans of the conventions that cannot exist here: ``receive`` (there is no pull interface), batch
handlers, and ``poll``. Facts that are known only to metrics and logs get no span.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, Tracer

from streamix_queue.core import facts
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.outcome import RetryLater
from streamix_queue.core.registration import Registration
from streamix_queue.core.wire import History, history_of
from streamix_telemetry import trace_names as names
from streamix_telemetry.delivery_history import published_at, redelivery_cause
from streamix_telemetry.kept_span import Kept
from streamix_telemetry.settings import TraceOptions
from streamix_telemetry.settle_spans import SettleSpans
from streamix_telemetry.trace_context import (
    CarriedContext,
    extract,
    parse_traceparent,
    traceparent_of,
    without_span,
)
from streamix_telemetry.trace_names import Attributes

__all__ = ["ConsumerTracing"]

_MAX_DESCRIPTION = 200
_PREVIOUS = {names.LINK_KIND: "previous_attempt"}
_REPLAY = {names.LINK_KIND: "replay"}
_RECLAIM = {names.LINK_KIND: "reclaim"}


class ConsumerTracing:
    """A `ProcessInterceptor` and observer of one consumer. Thread-safe.

    Args:
        options: How to trace.
        server: Where Redis is.
        stream: The stream.
        group: The consumer group.
    """

    def __init__(self, options: TraceOptions, server: Attributes, stream: str, group: str) -> None:
        self._options = options
        self._server = server
        self._stream, self._group = stream, group
        self._span_name = f"process {stream}"
        self._handlers: dict[str, str] = {}
        self.tracer: Tracer | None = None
        self._base: Attributes = {}
        self._settle_spans: SettleSpans | None = None
        self._notices: dict[type[facts.Fact], Callable[[Any], None]] = {
            facts.ConsumerStarted: self._started,
            facts.Polled: self._polled,
            facts.Settled: self._settled,
            facts.Reclaimed: self._reclaimed,
        }

    # --- observer -------------------------------------------------------------------------------

    def notice(self, fact: facts.Fact) -> None:
        """Record what Redis confirmed."""
        handler = self._notices.get(type(fact))
        if handler is not None:
            handler(fact)

    def _started(self, fact: facts.ConsumerStarted) -> None:
        base = names.base_attributes(self._server, self._stream, fact.consumer, self._group)
        self._base = names.operation(base, "process", "process")
        self._handlers = {r.event: _name_of(r) for r in fact.registrations}
        self._settle_spans = SettleSpans(self._options, base, self._stream)
        self.tracer = names.tracer_in_use()

    def _polled(self, fact: facts.Polled) -> None:
        # An application may set its provider after the consumer is up. To ask for each message would
        # cost more than all else here.
        if self.tracer is None:
            self.tracer = names.tracer_in_use()

    def _settled(self, fact: facts.Settled) -> None:
        if self.tracer is not None and self._settle_spans is not None and self._options.settle_spans:
            self._settle_spans.settled(self.tracer, fact)

    def _reclaimed(self, fact: facts.Reclaimed) -> None:
        if self.tracer is not None and self._settle_spans is not None:
            self._settle_spans.reclaimed(self.tracer, fact)

    # --- interceptor ----------------------------------------------------------------------------

    def processing(self, attempt: Attempt) -> AbstractContextManager[None] | None:
        """The process span, current while the handler runs.

        Nothing is detached at the end: the attempt runs in a context of its own, which ends
        with it.
        """
        tracer = self.tracer
        if tracer is not None:
            return _Attempt(self, tracer, attempt)
        if attempt.extras:
            otel_context.attach(CarriedContext(attempt.extras, baggage=self._options.baggage))
        return None

    def start(self, tracer: Tracer, attempt: Attempt, now_ns: int) -> Span:
        """Start the process span and make it current."""
        extras = attempt.extras
        carried = extract(extras, baggage=self._options.baggage) if extras else Context()
        creation = trace.get_current_span(carried).get_span_context() if carried else None
        if creation is not None and not creation.is_valid:
            creation = None
        history = history_of(attempt.history)
        queue_s = now_ns / 1e9 - published_at(attempt, history)
        parent = carried
        if creation is not None and (
            self._options.mode == "link" or queue_s > self._options.continue_max_age_s
        ):
            parent = without_span(carried)
        span = tracer.start_span(
            self._span_name,
            parent,
            SpanKind.CONSUMER,
            self._attributes(attempt, history, queue_s),
            _links(attempt, creation, history),
            now_ns,
            record_exception=False,
            set_status_on_exception=False,
        )
        attempt.span = Kept(span, creation)
        otel_context.attach(trace.set_span_in_context(span, parent))
        return span

    def _attributes(self, attempt: Attempt, history: History, queue_s: float) -> Attributes:
        message = attempt.message
        assert message is not None  # it is about to be handled
        attributes: Attributes = {
            **self._base,
            names.MESSAGE_ID: attempt.entry.id.decode(),
            names.CONVERSATION_ID: message.id,
            names.EVENT_ID: message.id,
            names.EVENT_TYPE: message.event,
            names.HANDLER: self._handlers.get(message.event, ""),
            names.ATTEMPT: message.retries + 1,
            names.DELIVERY_COUNT: attempt.entry.deliveries,
            names.QUEUE_TIME: queue_s if queue_s > 0 else 0.0,
            names.MAILBOX_WAIT: attempt.started_at - attempt.entry.read_at,
        }
        if attempt.entry.source != "new":
            cause = redelivery_cause(attempt, history)
            if cause is not None:
                attributes[names.REDELIVERY_CAUSE] = cause
        return attributes


class _Attempt:
    """One attempt, from the start of its span to the end."""

    __slots__ = ("_attempt", "_owner", "_span", "_start_ns", "_tracer")

    def __init__(self, owner: ConsumerTracing, tracer: Tracer, attempt: Attempt) -> None:
        self._owner = owner
        self._tracer = tracer
        self._attempt = attempt

    def __enter__(self) -> None:
        # The very interval that the metrics have.
        since_start = time.perf_counter() - self._attempt.started_at
        self._start_ns = time.time_ns() - int(since_start * 1e9)
        self._span = self._owner.start(self._tracer, self._attempt, self._start_ns)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        span, attempt = self._span, self._attempt
        outcome = attempt.outcome
        if isinstance(outcome, RetryLater):
            attempt.trace = traceparent_of(span.get_span_context())
        if not span.is_recording():
            return
        ending: Attributes = {
            names.OUTCOME: outcome.name if outcome is not None else "",
            names.FINAL: not isinstance(outcome, RetryLater),
        }
        if isinstance(outcome, RetryLater):
            ending[names.RETRY_DELAY] = outcome.delay_ms / 1000
        failure = attempt.failure
        if failure is not None:
            ending[names.ERROR_TYPE] = failure.error_type
            span.set_status(StatusCode.ERROR, failure.error[:_MAX_DESCRIPTION])
        span.set_attributes(ending)
        span.end(self._start_ns + int((attempt.finished_at - attempt.started_at) * 1e9))


def _links(attempt: Attempt, creation: SpanContext | None, history: History) -> Sequence[Link]:
    links = [] if creation is None else [Link(creation)]
    if history.previous:
        previous = parse_traceparent(history.previous)
        if previous is not None:
            links.append(Link(previous, _REPLAY if history.cause == "replay" else _PREVIOUS))
    if isinstance(attempt.span, SpanContext):
        links.append(Link(attempt.span, _RECLAIM))
    return links


def _name_of(registration: Registration) -> str:
    handler = registration.handler
    handler = getattr(handler, "func", handler)  # functools.partial
    module = getattr(handler, "__module__", "") or ""
    name = getattr(handler, "__qualname__", None) or type(handler).__qualname__
    return f"{module}.{name}" if module else name
