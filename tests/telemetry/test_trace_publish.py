"""The spans of a publisher."""

from __future__ import annotations

import pytest
from opentelemetry import baggage, context, trace

from streamix_queue import Publisher
from streamix_queue.core.errors import PublishUnknown
from streamix_telemetry import settings
from tests.support.servers import Server
from tests.telemetry.scenes import EVENT, publish
from tests.telemetry.seen import Seen


def trace_with(**options: object) -> None:
    """Publishers made from now on trace like this."""
    chosen = settings.TraceOptions(**options)  # type: ignore[arg-type]
    settings.change(settings.Settings(registry=settings.current().registry, trace=chosen))


def traceparents(server: Server, stream: str) -> list[bytes]:
    with server.client() as client:
        return [fields[b"traceparent"] for _, fields in client.xrange(stream)]


def test_a_batch_is_a_span_that_links_to_the_creation_of_each_message(
    any_server: Server, stream: str, spans: Seen
) -> None:
    with (
        Publisher(any_server.url, stream) as publisher,
        trace.get_tracer("shop").start_as_current_span("import"),
    ):
        messages = publisher.publish_many([(EVENT, {"n": n}) for n in range(3)])

    outer, batch, created = spans.one("import"), spans.one("publish"), spans.all("create")
    assert (batch.kind, batch.child_of(outer)) == ("CLIENT", True)
    assert batch.attributes["messaging.operation.type"] == "send"
    assert batch.attributes["messaging.batch.message_count"] == 3
    assert "messaging.message.id" not in batch.attributes
    assert [link.span_id for link in batch.links] == [span.span_id for span in created]
    for span, message in zip(created, messages, strict=True):
        assert (span.kind, span.child_of(outer), span.name) == ("PRODUCER", True, f"create {stream}")
        assert span.attributes["messaging.operation.type"] == "create"
        assert span.attributes["streamix.event.id"] == message.id
        assert span.end <= batch.end
    with any_server.client() as client:
        ids = [entry_id.decode() for entry_id, _ in client.xrange(stream)]
    assert [span.attributes["messaging.message.id"] for span in created] == ids
    carried = [field.decode().split("-")[2] for field in traceparents(any_server, stream)]
    assert carried == [span.span_id for span in created]


def test_a_large_batch_links_to_no_more_than_the_sdk_keeps(
    any_server: Server, stream: str, spans: Seen
) -> None:
    with Publisher(any_server.url, stream) as publisher:
        publisher.publish_many([(EVENT, {})] * 200)

    batch = spans.one("publish")
    assert (len(batch.links), batch.attributes["streamix.links.dropped"]) == (128, 72)
    assert len(spans.all("create")) == 200


def test_a_batch_can_share_one_span(any_server: Server, stream: str, spans: Seen) -> None:
    trace_with(batch="send")
    with Publisher(any_server.url, stream) as publisher:
        publisher.publish_many([(EVENT, {})] * 3)

    batch = spans.one("publish")
    assert (batch.kind, batch.links, spans.all("create")) == ("PRODUCER", (), [])
    assert {field.decode().split("-")[2] for field in traceparents(any_server, stream)} == {batch.span_id}


def test_a_publish_that_fails_is_an_error_with_its_type_and_no_secret(
    any_server: Server, stream: str, spans: Seen
) -> None:
    url = any_server.url.replace("redis://", "redis://:hunter2@")
    publisher = Publisher(url, stream, timeout_ms=300)

    with pytest.raises(Exception) as raised:  # noqa: PT011 - which one depends on the server
        publisher.publish(EVENT, {})
    publisher.close()

    span = spans.one("publish")
    assert span.status == "ERROR"
    assert span.attributes["error.type"] == type(raised.value).__name__
    assert span.description
    assert "hunter2" not in repr(span)
    assert "messaging.message.id" not in span.attributes


def test_a_span_that_is_not_sampled_is_still_carried(
    any_server: Server, stream: str, no_provider: None
) -> None:
    """Else the consumer would begin a trace of its own, and sample it."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    trace.set_tracer_provider(TracerProvider(sampler=ALWAYS_OFF))
    publish(any_server, stream)

    (field,) = traceparents(any_server, stream)
    assert int(field.decode().split("-")[3], 16) & 1 == 0


def test_without_a_provider_nothing_is_carried_and_nothing_is_made_up(
    any_server: Server, stream: str, no_provider: None
) -> None:
    publish(any_server, stream)

    with any_server.client() as client:
        ((_, fields),) = client.xrange(stream)
    assert list(fields) == [b"message"]


def test_baggage_goes_along_only_when_it_was_asked_for(any_server: Server, stream: str, spans: Seen) -> None:
    token = context.attach(baggage.set_baggage("tenant", "acme"))
    try:
        publish(any_server, stream)
        trace_with(baggage=True)
        publish(any_server, stream)
    finally:
        context.detach(token)

    with any_server.client() as client:
        (_, without), (_, with_it) = client.xrange(stream)
    assert b"baggage" not in without
    assert with_it[b"baggage"] == b"tenant=acme"


def test_no_more_baggage_goes_along_than_w3c_allows(any_server: Server, stream: str, spans: Seen) -> None:
    trace_with(baggage=True)
    current = context.get_current()
    for n in range(9):
        current = baggage.set_baggage(f"k{n}", "x" * 1000, current)
    token = context.attach(current)
    try:
        publish(any_server, stream)
    finally:
        context.detach(token)

    with any_server.client() as client:
        ((_, fields),) = client.xrange(stream)
    assert len(fields.get(b"baggage", b"")) <= 8192
    assert b"traceparent" in fields


def test_the_size_of_a_message_is_recorded_only_when_it_was_asked_for(
    any_server: Server, stream: str, spans: Seen
) -> None:
    trace_with(body_size=True)
    publish(any_server, stream)

    with any_server.client() as client:
        ((_, fields),) = client.xrange(stream)
    assert spans.one("publish").attributes["messaging.message.body.size"] == len(fields[b"message"])


def test_an_unknown_outcome_is_an_error(start_server: object, stream: str, spans: Seen) -> None:
    server: Server = start_server()  # type: ignore[operator]
    publisher = Publisher(server.url, stream, timeout_ms=400)
    publisher.publish(EVENT, {})
    server.pause()
    with pytest.raises(PublishUnknown):
        publisher.publish(EVENT, {})
    server.resume()
    publisher.close()

    last = spans.all("publish")[-1]
    assert (last.attributes["error.type"], last.status) == ("PublishUnknown", "ERROR")
