"""One message, one trace: from the publish through retries to the ack, to the dead letter and back."""

from __future__ import annotations

from opentelemetry import trace

from streamix_queue import StreamMessage
from streamix_queue.admin import Admin, DeadLetterFilter
from tests.support.members import dead_letters
from tests.support.servers import Server
from tests.telemetry.expected import Expected
from tests.telemetry.scenes import HANDLER, consuming, fail_until, publish
from tests.telemetry.seen import Seen


def publish_from_an_application(server: Server, stream: str) -> StreamMessage:
    with trace.get_tracer("shop").start_as_current_span("checkout"):
        return publish(server, stream)[0]


def test_a_message_that_fails_twice_and_then_succeeds_is_one_trace(
    server: Server, stream: str, spans: Seen
) -> None:
    message = publish_from_an_application(server, stream)
    with consuming(server, stream, fail_until(3)):
        spans.wait_for("ack")

    expected = Expected(server.port, stream, "g", message, HANDLER)
    checkout, published = spans.one("checkout"), spans.one("publish")
    first, second, third = spans.all("process")
    expected.publish(published)
    expected.process(first, attempt=1, outcome="retry")
    expected.process(second, attempt=2, outcome="retry", cause="retry")
    expected.process(third, attempt=3, outcome="ack", cause="retry")
    assert first.description == "attempt 1 fails"
    assert published.child_of(checkout)
    for attempt in (first, second, third):  # siblings under the publish, and linked to it
        assert attempt.child_of(published)
        assert attempt.links_to(published).attributes == {}
    assert second.links_to(first).attributes == {"streamix.link.kind": "previous_attempt"}
    assert third.links_to(second).attributes == {"streamix.link.kind": "previous_attempt"}
    assert [len(attempt.links) for attempt in (first, second, third)] == [1, 2, 2]
    for number, (retry, attempt) in enumerate(zip(spans.all("retry"), (first, second), strict=True), start=1):
        expected.retry(retry, attempt=number)
        assert retry.child_of(attempt)
        assert [link.span_id for link in retry.links] == [published.span_id]
        assert retry.attributes["streamix.retry.delay"] == attempt.attributes["streamix.retry.delay"]
    ack = spans.one("ack")
    expected.ack(ack)
    assert ack.child_of(third)
    assert ack.attributes["messaging.message.id"] == third.attributes["messaging.message.id"]
    assert {span.trace_id for span in spans.all()} == {checkout.trace_id}
    assert len(spans.all()) == 8


def test_a_dead_letter_that_is_replayed_stays_in_its_trace(server: Server, stream: str, spans: Seen) -> None:
    message = publish_from_an_application(server, stream)
    with consuming(server, stream, fail_until(4), retry_limit=1):
        spans.wait_for("dead_letter")
        with Admin(server.url, stream) as admin:
            assert admin.replay(DeadLetterFilter()).ok
        # Replayed it starts anew: attempts 1 and 2, and with the limit of one retry it fails again.
        spans.wait_for("dead_letter", 2)

    expected = Expected(server.port, stream, "g", message, HANDLER)
    checkout, published = spans.one("checkout"), spans.one("publish")
    first, last, again, last_again = spans.all("process")
    buried, buried_again = spans.all("dead_letter")
    run, letter = spans.one(f"replay {stream}:failed"), spans.all(f"replay {stream}")[1]
    expected.process(first, attempt=1, outcome="retry")
    expected.process(last, attempt=2, outcome="dead_letter", cause="retry")
    expected.process(again, attempt=1, outcome="retry", cause="replay")
    expected.process(last_again, attempt=2, outcome="dead_letter", cause="retry")
    expected.dead_letter(buried, attempt=2, reason="retries_exhausted")
    assert buried.child_of(last)
    assert [link.span_id for link in buried.links] == [published.span_id]
    assert buried_again.child_of(last_again)
    source = first.attributes["messaging.message.id"]
    assert buried.attributes["streamix.source.message.id"] == source
    assert buried_again.attributes["streamix.source.message.id"] == source
    assert again.child_of(published)  # still in the trace of its publish
    assert again.links_to(letter).attributes == {"streamix.link.kind": "replay"}
    expected.replay_run(run, count=1)
    expected.replay(letter)
    assert (run.parent_id, letter.child_of(run)) == ("", True)
    assert [link.span_id for link in letter.links] == [published.span_id]
    assert letter.attributes["messaging.message.id"] == again.attributes["messaging.message.id"]
    the_operators = {run.span_id, letter.span_id}
    assert {s.trace_id for s in spans.all() if s.span_id not in the_operators} == {checkout.trace_id}


def test_two_groups_are_two_branches_of_one_trace(any_server: Server, stream: str, spans: Seen) -> None:
    publish(any_server, stream)
    with (
        consuming(any_server, stream, fail_until(1), group="billing"),
        consuming(any_server, stream, fail_until(1), group="search"),
    ):
        spans.wait_for("ack", 2)

    published = spans.one("publish")
    branches = spans.all("process")
    assert {span.attributes["messaging.consumer.group.name"] for span in branches} == {"billing", "search"}
    assert all(span.child_of(published) for span in branches)


def test_the_trace_fields_are_copied_unchanged_through_every_hop(
    any_server: Server, stream: str, spans: Seen
) -> None:
    publish(any_server, stream)
    with any_server.client() as client:
        ((_, published),) = client.xrange(stream)
        with consuming(any_server, stream, fail_until(9), retry_limit=1):
            spans.wait_for("dead_letter")
            (letter,) = dead_letters(client, stream)

    span = spans.one("publish")
    assert published[b"traceparent"].startswith(f"00-{span.trace_id}-{span.span_id}-".encode())
    assert set(published) == {b"message", b"traceparent"}
    assert letter.fields[b"traceparent"] == published[b"traceparent"]


def test_in_link_mode_each_attempt_is_a_trace_of_its_own(
    any_server: Server, stream: str, spans: Seen
) -> None:
    publish(any_server, stream)
    with consuming(any_server, stream, fail_until(2), trace_mode="link"):
        spans.wait_for("ack")

    published = spans.one("publish")
    first, second = spans.all("process")
    assert (first.parent_id, second.parent_id) == ("", "")
    assert len({published.trace_id, first.trace_id, second.trace_id}) == 3
    assert [link.span_id for link in first.links] == [published.span_id]
    assert [link.span_id for link in second.links] == [published.span_id, first.span_id]
    assert second.links_to(first).attributes == {"streamix.link.kind": "previous_attempt"}
    assert spans.one("retry").child_of(first)


def test_acks_that_went_together_are_one_root_that_links_to_each(
    any_server: Server, stream: str, spans: Seen
) -> None:
    publish(any_server, stream, 300)
    with consuming(any_server, stream, lambda data: None, prefetch=300, batch_size=300):
        spans.wait_for("process", 300)

    acks = spans.all("ack")
    acked = sum(span.attributes.get("messaging.batch.message_count", 1) for span in acks)
    assert acked == 300
    many = max(acks, key=lambda span: len(span.links))
    count = many.attributes["messaging.batch.message_count"]
    assert (many.parent_id, len(many.links)) == ("", min(count, 128))
    assert many.attributes.get("streamix.links.dropped", 0) == max(0, count - 128)
    assert {link.span_id for link in many.links} <= {span.span_id for span in spans.all("process")}
