"""The spans of a publisher: the beginning of every message's trace.

``publish()`` is one span, whose context the message carries. ``publish_many()`` is one span that
links to a zero-length ``create`` span for each message, whose context that message carries.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import AbstractContextManager
from types import TracebackType

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer

from streamix_queue.core.message import StreamMessage
from streamix_queue.core.publication import Publication
from streamix_queue.core.redact import redact_text
from streamix_queue.forks import PerProcess
from streamix_telemetry import trace_names as names
from streamix_telemetry.settings import TraceOptions
from streamix_telemetry.trace_context import CarriedContext, inject
from streamix_telemetry.trace_names import Attributes

__all__ = ["PublisherTracing"]

_MAX_DESCRIPTION = 200


class PublisherTracing:
    """A `PublishInterceptor` of one publisher. Thread-safe, and safe after ``fork()``.

    Args:
        options: How to trace.
        server: Where Redis is.
        stream: The stream.
    """

    def __init__(self, options: TraceOptions, server: Attributes, stream: str) -> None:
        self.options = options
        host = socket.gethostname()
        self._base = PerProcess(lambda: names.base_attributes(server, stream, f"{host}-{os.getpid()}"))

    @property
    def base(self) -> Attributes:
        """What every span of this process says; the client's id has the process' number in it."""
        return self._base.get()

    def publishing(self, publication: Publication) -> AbstractContextManager[None] | None:
        """The span of a publish; without a tracer, only the context that there is goes along."""
        tracer = names.tracer_in_use()
        if tracer is None:
            self._pass_on(publication)
            return None
        return _Publish(self, tracer, publication)

    def _pass_on(self, publication: Publication) -> None:
        current = otel_context.get_current()
        if isinstance(current, CarriedContext) or current:
            for carrier in publication.carriers:
                inject(carrier, current, baggage=self.options.baggage)

    def about(self, message: StreamMessage, size: int) -> Attributes:
        """What a span says of one message."""
        about: Attributes = {
            names.CONVERSATION_ID: message.id,
            names.EVENT_ID: message.id,
            names.EVENT_TYPE: message.event,
        }
        if self.options.body_size:
            about[names.BODY_SIZE] = size
        return about


class _Publish:
    """One call of ``publish()`` or ``publish_many()``, from the start of its span to the end."""

    __slots__ = ("_created", "_created_ns", "_owner", "_publication", "_span", "_token", "_tracer")

    def __init__(self, owner: PublisherTracing, tracer: Tracer, publication: Publication) -> None:
        self._owner = owner
        self._tracer = tracer
        self._publication = publication
        self._created: list[Span] = []
        self._created_ns = 0

    def __enter__(self) -> None:
        owner, publication = self._owner, self._publication
        current = otel_context.get_current()
        attributes = names.operation(owner.base, "publish", "send")
        kind, links = SpanKind.PRODUCER, None
        if not publication.batch:
            attributes.update(owner.about(publication.messages[0], publication.sizes[0]))
        else:
            attributes[names.BATCH_COUNT] = len(publication.messages)
            if owner.options.batch == "create":
                self._create(current)
                kind = SpanKind.CLIENT
                links = [Link(span.get_span_context()) for span in self._created[: names.MAX_LINKS]]
                if len(self._created) > names.MAX_LINKS:
                    attributes[names.LINKS_DROPPED] = len(self._created) - names.MAX_LINKS
        self._span = self._start(f"publish {publication.stream}", current, kind, attributes, links)
        context = trace.set_span_in_context(self._span, current)
        for index, carrier in enumerate(publication.carriers):
            creation = trace.set_span_in_context(self._created[index], current) if self._created else context
            inject(carrier, creation, baggage=owner.options.baggage)
        self._token = otel_context.attach(context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        otel_context.detach(self._token)
        span, ids = self._span, self._publication.entry_ids
        for created, entry_id in zip(self._created, ids, strict=False):
            created.set_attribute(names.MESSAGE_ID, entry_id.decode())
        if not self._publication.batch and ids and span.is_recording():
            span.set_attribute(names.MESSAGE_ID, ids[0].decode())
        if kind is not None:
            span.set_attribute(names.ERROR_TYPE, kind.__qualname__)
            span.set_status(StatusCode.ERROR, redact_text(str(error))[:_MAX_DESCRIPTION])
        span.end()
        for created in self._created:
            created.end(self._created_ns)  # when it was made: the writing is the publish span's

    def _create(self, current: Context) -> None:
        owner, publication = self._owner, self._publication
        base = names.operation(owner.base, "create", "create")
        name = f"create {publication.stream}"
        for message, size in zip(publication.messages, publication.sizes, strict=True):
            attributes = {**base, **owner.about(message, size)}
            self._created.append(self._start(name, current, SpanKind.PRODUCER, attributes, None))
        self._created_ns = time.time_ns()

    def _start(
        self, name: str, parent: Context, kind: SpanKind, attributes: Attributes, links: list[Link] | None
    ) -> Span:
        return self._tracer.start_span(
            name,
            parent,
            kind,
            attributes,
            links,
            record_exception=False,
            set_status_on_exception=False,
        )
