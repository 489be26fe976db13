"""Trace fields that others wrote: whatever they hold, the message is handled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from opentelemetry import baggage, propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator

from streamix_queue import Publisher
from streamix_telemetry import settings as telemetry_settings
from streamix_telemetry.trace_context import MAX_FIELD, CarriedContext, extract
from tests.support.members import Handler
from tests.support.servers import Server
from tests.telemetry.scenes import consuming, publish
from tests.telemetry.seen import Seen

GOOD = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"

MALFORMED = {
    "empty": b"",
    "no hex": b"00-zzf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "too short": b"00-0af7651916cd43dd-b7ad6b7169203331-01",
    "all zeros": b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "version ff": b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "not utf-8": b"\xff\xfe\x00",
    "a megabyte": b"0" * 1_000_000,
    "a line break": GOOD + b"\r\nX: y",
}


def write(server: Server, stream: str, **fields: bytes) -> None:
    """A message with these fields beside it."""
    publisher = Publisher(server.url, stream)
    raw = _envelope(server)
    publisher.close()
    with server.client() as client:
        client.xadd(stream, {b"message": raw, **{name.encode(): value for name, value in fields.items()}})


def _envelope(server: Server) -> bytes:
    before = telemetry_settings.current()
    telemetry_settings.change(telemetry_settings.Settings(traces=False, registry=before.registry))
    publish(server, "scratch")
    telemetry_settings.change(before)
    with server.client() as client:
        ((_, fields),) = client.xrange("scratch")
        client.delete("scratch")
    return bytes(fields[b"message"])


@pytest.mark.parametrize("field", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_traceparent_starts_a_new_trace(
    any_server: Server, stream: str, spans: Seen, field: bytes
) -> None:
    handler = Handler()
    write(any_server, stream, traceparent=field)
    with consuming(any_server, stream, handler):
        (span,) = spans.wait_for("process")

    assert len(handler.calls) == 1
    assert (span.parent_id, span.links, span.status) == ("", (), "UNSET")


@pytest.mark.parametrize("name", ["tracestate", "baggage"])
def test_an_oversized_field_makes_the_whole_context_untrustworthy(
    any_server: Server, stream: str, spans: Seen, name: str
) -> None:
    handler = Handler()
    telemetry_settings.change(
        telemetry_settings.Settings(
            registry=telemetry_settings.current().registry,
            trace=telemetry_settings.TraceOptions(baggage=True),
        )
    )
    write(any_server, stream, traceparent=GOOD, **{name: b"a=" + b"x" * (MAX_FIELD + 1)})
    with consuming(any_server, stream, handler):
        (span,) = spans.wait_for("process")

    assert (len(handler.calls), span.parent_id, span.links) == (1, "", ())


def test_a_tracestate_that_makes_no_sense_is_dropped_alone(
    any_server: Server, stream: str, spans: Seen
) -> None:
    """As W3C has it: the trace goes on."""
    write(any_server, stream, traceparent=GOOD, tracestate=b"===,,,\x01")
    with consuming(any_server, stream, Handler()):
        (span,) = spans.wait_for("process")

    assert span.trace_id == TRACE_ID


def test_fields_of_the_application_beside_the_message_disturb_nothing(
    any_server: Server, stream: str, spans: Seen
) -> None:
    write(any_server, stream, traceparent=GOOD, tenant=b"acme", blob=b"\xff" * 100_000)
    with consuming(any_server, stream, Handler()):
        (span,) = spans.wait_for("process")

    assert span.trace_id == TRACE_ID


def test_a_message_older_than_a_day_gets_a_trace_of_its_own(
    any_server: Server, stream: str, spans: Seen
) -> None:
    raw = _envelope(any_server)
    with any_server.client() as client:
        client.xadd(stream, {b"message": raw, b"traceparent": GOOD}, id="1700000000000-0")
    with consuming(any_server, stream, Handler()):
        (span,) = spans.wait_for("process")

    assert (span.parent_id, [link.trace_id for link in span.links]) == ("", [TRACE_ID])


def test_baggage_reaches_the_handler_only_when_it_was_asked_for(
    any_server: Server, stream: str, spans: Seen
) -> None:
    seen: list[object] = []
    write(any_server, stream, traceparent=GOOD, baggage=b"tenant=acme")
    with consuming(any_server, stream, lambda data: seen.append(baggage.get_baggage("tenant"))):
        spans.wait_for("process")
    telemetry_settings.change(
        telemetry_settings.Settings(
            registry=telemetry_settings.current().registry,
            trace=telemetry_settings.TraceOptions(baggage=True),
        )
    )
    with consuming(
        any_server, stream, lambda data: seen.append(baggage.get_baggage("tenant")), group="other"
    ):
        spans.wait_for("process", 2)

    assert seen == [None, "acme"]


class OneField(TextMapPropagator):
    """A propagator that has nothing to do with W3C; it breaks on demand."""

    @property
    def fields(self) -> set[str]:
        return {"x-trace"}

    def inject(self, carrier: Any, context: Context | None = None, setter: Any = None) -> None:
        span = trace.get_current_span(context).get_span_context()
        carrier["x-trace"] = f"{span.trace_id}/{span.span_id}"

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = None) -> Context:
        trace_id, span_id = carrier["x-trace"].split("/")
        parent = trace.SpanContext(int(trace_id), int(span_id), True, trace.TraceFlags(1))
        return trace.set_span_in_context(trace.NonRecordingSpan(parent), context)


@pytest.fixture
def one_field() -> Iterator[None]:
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(OneField())
    yield
    propagate.set_global_textmap(before)


@pytest.mark.usefixtures("one_field")
def test_any_global_propagator_is_used(any_server: Server, stream: str, spans: Seen) -> None:
    publish(any_server, stream)
    with consuming(any_server, stream, Handler()):
        (span,) = spans.wait_for("process")

    with any_server.client() as client:
        ((_, fields),) = client.xrange(stream)
    assert set(fields) == {b"message", b"x-trace"}
    assert span.child_of(spans.one("publish"))


@pytest.mark.usefixtures("one_field")
def test_a_propagator_that_breaks_costs_the_trace_and_not_the_message(
    any_server: Server, stream: str, spans: Seen
) -> None:
    handler = Handler()
    write(any_server, stream, **{"x-trace": b"no slash"})
    with consuming(any_server, stream, handler):
        (span,) = spans.wait_for("process")

    assert (len(handler.calls), span.parent_id) == (1, "")


NAMES = strategies.sampled_from([b"traceparent", b"tracestate", b"baggage", b"b3", b"\xff", b""])
VALUES = strategies.one_of(
    strategies.binary(max_size=200),
    strategies.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")),
    strategies.just(GOOD),
    strategies.integers(0, 54).map(lambda at: GOOD[:at] + b"\x00" + GOOD[at:]),
)


@given(strategies.lists(strategies.tuples(NAMES, VALUES), max_size=5))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_field_whatever_it_holds_raises_or_fills_the_log(
    caplog: pytest.LogCaptureFixture, fields: list[tuple[bytes, bytes]]
) -> None:
    extras = [part for pair in fields for part in pair]

    context = extract(extras, baggage=True)

    assert caplog.messages == []

    assert isinstance(context, Context)
    carried = CarriedContext(extras, baggage=True)
    one, other = trace.get_current_span(carried), trace.get_current_span(context)
    assert one.get_span_context() == other.get_span_context()
    assert dict(carried.copy()).keys() == context.keys()
