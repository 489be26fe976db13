"""The spans of an operator's replay: one for the whole, one for each letter that goes back.

A letter's span is in the operator's trace and links to the publish. The message goes on in the
trace of its publish, and its next attempt links back to the letter's span.
"""

from __future__ import annotations

import os
import socket
from contextlib import AbstractContextManager
from types import TracebackType

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer

from streamix_queue.core.dead_letter import RAW_PREFIX
from streamix_queue.core.keys import dead_letter_key
from streamix_queue.core.redact import redact_text
from streamix_queue.core.replay import ReplayRun, Resend
from streamix_telemetry import trace_names as names
from streamix_telemetry.trace_context import extract, traceparent_of
from streamix_telemetry.trace_names import Attributes

__all__ = ["ReplayTracing"]

_MAX_DESCRIPTION = 200


class ReplayTracing:
    """A `ReplayInterceptor`. Not thread-safe, as `Admin` is not."""

    def __init__(self, server: Attributes, stream: str) -> None:
        self.stream = stream
        self.dead_letters: str = dead_letter_key(stream)
        client = f"{socket.gethostname()}-{os.getpid()}"
        self.base: Attributes = names.base_attributes(server, stream, client)

    def replaying(self, run: ReplayRun) -> AbstractContextManager[None] | None:
        """The span of the whole; a root unless the operator has one."""
        tracer = names.tracer_in_use()
        return None if tracer is None else _Run(self, tracer, run)

    def resending(self, resend: Resend) -> AbstractContextManager[None] | None:
        """The span of one letter."""
        tracer = names.tracer_in_use()
        return None if tracer is None else _Letter(self, tracer, resend)


class _Run:
    def __init__(self, owner: ReplayTracing, tracer: Tracer, run: ReplayRun) -> None:
        self._owner, self._tracer, self._run = owner, tracer, run

    def __enter__(self) -> None:
        attributes = names.operation(self._owner.base, "replay")
        attributes[names.DESTINATION] = self._owner.dead_letters
        self._span = self._tracer.start_span(
            f"replay {self._owner.dead_letters}",
            kind=SpanKind.INTERNAL,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )
        self._token = otel_context.attach(trace.set_span_in_context(self._span))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        otel_context.detach(self._token)
        self._span.set_attribute(names.BATCH_COUNT, self._run.count)
        _fail(self._span, error)
        self._span.end()


class _Letter:
    def __init__(self, owner: ReplayTracing, tracer: Tracer, resend: Resend) -> None:
        self._owner, self._tracer, self._resend = owner, tracer, resend

    def __enter__(self) -> None:
        creation = trace.get_current_span(extract(_published_fields(self._resend), baggage=False))
        context = creation.get_span_context()
        attributes = names.operation(self._owner.base, "replay", "send")
        attributes[names.REPLAY_SOURCE] = self._owner.dead_letters
        self._span = self._tracer.start_span(
            f"replay {self._owner.stream}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            links=[Link(context)] if context.is_valid else None,
            record_exception=False,
            set_status_on_exception=False,
        )
        self._resend.previous = traceparent_of(self._span.get_span_context())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        span, resend = self._span, self._resend
        if resend.inbox_entry is not None:
            message = resend.inbox_entry.message
            about: Attributes = {
                names.GROUP: resend.inbox_entry.group,
                names.CONVERSATION_ID: message.id,
                names.EVENT_ID: message.id,
                names.EVENT_TYPE: message.event,
            }
            if resend.entry_id is not None:
                about[names.MESSAGE_ID] = resend.entry_id.decode()
            span.set_attributes(about)
        elif error is None:
            span.set_attribute(names.ERROR_TYPE, "refused")
            span.set_status(StatusCode.ERROR, "refused")
        _fail(span, error)
        span.end()


def _fail(span: Span, error: BaseException | None) -> None:
    if error is not None:
        span.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
        span.set_status(StatusCode.ERROR, redact_text(str(error))[:_MAX_DESCRIPTION])


def _published_fields(resend: Resend) -> list[bytes]:
    """As they were beside the message; those of an entry that could not be read have a prefix."""
    fields = resend.fields
    named = zip(fields[::2], fields[1::2], strict=False)
    return [part for name, value in named for part in (name.removeprefix(RAW_PREFIX), value)]
