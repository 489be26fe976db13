"""The page of a real consumer that meets everything that can happen to a message."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from streamix_queue import Publisher, Reject, StreamMessage
from streamix_queue.admin import Admin, DeadLetterFilter
from tests.support.members import Handler, eventually, member
from tests.support.servers import Server
from tests.telemetry.pages import OPENMETRICS, Page, get, promtool_check
from tests.telemetry.scenes import EVENT, consuming, fail_until, publish
from tests.telemetry.seen import Seen


def settle(data: dict[str, Any], message: StreamMessage) -> None:
    """End as the message says."""
    if data["end"] == "retry" and message.retries == 0:
        raise ValueError("once")
    if data["end"] == "reject":
        raise Reject("never")


@pytest.fixture
def page(server: Server, stream: str, registry: CollectorRegistry) -> Page:
    """After: 3 acks, 1 retry that succeeds, 1 rejected, 1 malformed, 1 that nobody handles."""
    consumer = member(server.url, stream, "g", metrics_port=0)
    consumer.on(EVENT, Handler(settle))
    with Publisher(server.url, stream) as publisher, server.client() as client, consumer:
        publisher.publish_many([(EVENT, {"end": end}) for end in ("ack", "ack", "ack")])
        for end in ("retry", "reject"):
            publisher.publish(EVENT, {"end": end})
        publisher.publish("order.unknown", {})
        client.xadd(stream, {b"message": b"not json"})
        port = consumer.metrics_port
        assert port is not None

        def settled() -> float:
            final = ("ack", "dead_letter", "drop")
            found = [Page.at(port).value("streamix_message_attempts_count", outcome=o) for o in final]
            return sum(found) == 7

        eventually(settled)
        return Page.at(port)


def test_the_page_is_well_formed_and_complete(page: Page) -> None:
    assert promtool_check(page.text) == ""


def test_every_ending_is_counted_under_its_name(page: Page, stream: str) -> None:
    def processed(event: str, outcome: str) -> float:
        return page.value(
            "streamix_processed_messages_total", stream=stream, group="g", event=event, outcome=outcome
        )

    assert processed(EVENT, "ack") == 4
    assert processed(EVENT, "retry") == 1
    assert processed(EVENT, "dead_letter") == 1
    assert processed(EVENT, "drop") == 0
    assert processed("_OTHER", "drop") == 1  # anybody can write any name to a stream
    assert processed("_OTHER", "dead_letter") == 1
    assert page.value("streamix_retries_total", error_type="ValueError") == 1
    assert page.value("streamix_dead_lettered_messages_total", reason="rejected") == 1
    assert page.value("streamix_dead_lettered_messages_total", reason="malformed") == 1
    assert page.value("streamix_decode_errors_total", stream=stream, group="g") == 1
    assert page.value("streamix_redeliveries_total", cause="retry") == 1
    assert page.value("streamix_acked_messages_total", result="ok") == 4
    assert page.value("streamix_acked_messages_total", result="missing") == 0


def test_times_are_those_of_the_messages(page: Page, stream: str) -> None:
    def count(name: str, **labels: str) -> float:
        return page.value(f"streamix_{name}_count", **labels)

    assert count("queue_time_seconds", stream=stream, group="g") == 5  # first attempts only
    assert count("mailbox_wait_seconds", group="g") == 6
    assert count("process_duration_seconds", event=EVENT, error_type="") == 4
    assert count("process_duration_seconds", event=EVENT, error_type="ValueError") == 1
    assert count("end_to_end_seconds", outcome="ack") == 4
    assert page.value("streamix_message_attempts_sum", outcome="ack") == 1 + 1 + 1 + 2
    # From the publish on Redis' clock: a retry 40 ms later took at least that, and nobody an hour.
    assert 0.03 < page.value("streamix_end_to_end_seconds_sum", outcome="ack") < 60
    assert 0 <= page.value("streamix_queue_time_seconds_sum") < 60
    assert 0 < page.value("streamix_worker_busy_seconds_total", group="g") < 10


def test_the_publisher_counts_as_well(page: Page, stream: str) -> None:
    assert page.value("streamix_published_messages_total", stream=stream, error_type="") == 6
    assert page.value("streamix_publish_duration_seconds_count", stream=stream) == 4
    assert page.value("streamix_publish_batch_messages_sum", stream=stream) == 6
    assert page.value("streamix_message_size_bytes_count", stream=stream) == 6
    assert 100 * 6 < page.value("streamix_message_size_bytes_sum", stream=stream) < 400 * 6


def test_the_process_shows_how_it_is(page: Page, stream: str) -> None:
    assert page.value("streamix_workers", group="g") == 1
    assert page.value("streamix_redis_connected") == 1
    assert page.value("streamix_mailbox_messages", group="g", event="*") == 0
    assert page.value("streamix_mailbox_capacity_messages", group="g") >= 1
    assert page.value("streamix_received_messages_total", source="new") == 7
    assert page.value("streamix_received_messages_total", source="inbox") == 1
    assert page.value("streamix_polls_total", result="messages") >= 1
    assert page.value("streamix_last_poll_timestamp_seconds", group="g") > 1_700_000_000
    assert page.value("streamix_redis_command_duration_seconds_count", command="settle") >= 1
    assert not page.has("streamix_redis_command_duration_seconds_count", command="read")
    assert page.value("streamix_build_info") == 1


def test_every_counter_is_there_before_anything_happens(
    any_server: Server, stream: str, registry: CollectorRegistry
) -> None:
    """An alert on the first dead letter of all sees it only if there was a 0 before."""
    with consuming(any_server, stream, Handler()):
        page = Page.of(registry)

    for reason in ("retries_exhausted", "rejected", "invalid", "malformed", "crash", "timeout", "trimmed"):
        assert (
            page.value("streamix_dead_lettered_messages_total", stream=stream, group="g", reason=reason) == 0
        )
    for outcome in ("ack", "retry", "dead_letter", "drop", "requeue"):
        assert page.value("streamix_processed_messages_total", event=EVENT, outcome=outcome) == 0
    for name in ("leases_lost", "decode_errors", "shutdown_abandoned_messages", "backpressure_seconds"):
        assert page.value(f"streamix_{name}_total", group="g") == 0
    for reason in ("crash", "stuck"):
        assert page.value("streamix_worker_restarts_total", reason=reason) == 0


def test_two_consumers_of_one_process_are_on_one_page(
    any_server: Server, stream: str, registry: CollectorRegistry
) -> None:
    publish(any_server, stream, 3)
    one, other = Handler(), Handler()
    with (
        consuming(any_server, stream, one, group="billing"),
        consuming(any_server, stream, other, group="search", concurrency=3),
    ):
        one.wait_for(3)
        other.wait_for(3)
        eventually(lambda: Page.of(registry).value("streamix_acked_messages_total", result="ok") == 6)
        page = Page.of(registry)

    assert promtool_check(page.text) == ""
    for group, workers in (("billing", 1), ("search", 3)):
        assert page.value("streamix_processed_messages_total", group=group, outcome="ack") == 3
        assert page.value("streamix_workers", group=group) == workers


def test_two_members_of_one_group_in_one_process_add_up(
    any_server: Server, stream: str, registry: CollectorRegistry
) -> None:
    handler = Handler()
    with consuming(any_server, stream, handler), consuming(any_server, stream, handler, concurrency=2):
        publish(any_server, stream, 20)
        handler.wait_for(20)
        eventually(lambda: Page.of(registry).value("streamix_acked_messages_total", result="ok") == 20)
        page = Page.of(registry)

    assert page.value("streamix_workers", group="g") == 3
    assert page.value("streamix_processed_messages_total", outcome="ack") == 20


def test_counts_go_on_when_a_consumer_is_started_again_and_its_gauges_end(
    any_server: Server, stream: str, registry: CollectorRegistry
) -> None:
    for count in (1, 2):
        handler = Handler()
        with consuming(any_server, stream, handler):
            publish(any_server, stream)
            handler.wait_for(1)
        page = Page.of(registry)
        assert page.value("streamix_processed_messages_total", outcome="ack") == count
        assert not page.has("streamix_workers")
        assert not page.has("streamix_last_poll_timestamp_seconds")


def test_a_registry_of_the_consumers_own_is_used(
    any_server: Server, stream: str, registry: CollectorRegistry
) -> None:
    own, handler = CollectorRegistry(), Handler()
    with consuming(any_server, stream, handler, metrics_registry=own):
        publish(any_server, stream)
        handler.wait_for(1)

    assert Page.of(own).value("streamix_processed_messages_total", outcome="ack") == 1
    assert not Page.of(registry).has("streamix_processed_messages_total")


def test_exemplars_lead_to_traces_that_exist(
    any_server: Server, stream: str, spans: Seen, registry: CollectorRegistry
) -> None:
    publish(any_server, stream, 60)
    with consuming(any_server, stream, fail_until(1), metrics_port=0, prefetch=60) as consumer:
        spans.wait_for("process", 60)
        eventually(lambda: Page.of(registry).value("streamix_acked_messages_total", result="ok") == 60)
        assert consumer.metrics_port is not None
        page = Page(get(consumer.metrics_port, "/metrics", OPENMETRICS).body, openmetrics=True)

    attempts = {(span.trace_id, span.span_id) for span in spans.all("process")}
    for name in ("queue_time_seconds", "process_duration_seconds"):
        exemplars = [sample.exemplar for sample in page.samples(f"streamix_{name}_bucket") if sample.exemplar]
        assert exemplars
        for exemplar in exemplars:
            assert (exemplar.labels["trace_id"], exemplar.labels["span_id"]) in attempts


def test_the_running_handler_is_seen_while_it_runs(
    any_server: Server, stream: str, registry: CollectorRegistry
) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def handler(data: dict[str, Any]) -> None:
        inside.set()
        go_on.wait(10)

    publish(any_server, stream)
    with consuming(any_server, stream, handler):
        assert inside.wait(10)
        eventually(lambda: Page.of(registry).value("streamix_oldest_inflight_seconds", group="g") > 0.05)
        page = Page.of(registry)
        go_on.set()

    assert page.value("streamix_inflight_messages", stream=stream, group="g") == 1
    assert page.value("streamix_workers", group="g", state="busy") == 1
    assert page.value("streamix_workers", group="g", state="idle") == 0


def test_an_outage_shows_while_it_lasts_and_is_counted_when_it_ends(
    start_server: Any, stream: str, registry: CollectorRegistry
) -> None:
    server: Server = start_server()
    handler = Handler()
    with consuming(server, stream, handler):
        server.stop()
        eventually(lambda: Page.of(registry).value("streamix_redis_connected") == 0)
        server.restart()
        eventually(lambda: Page.of(registry).value("streamix_redis_connected") == 1, 20)
        page = Page.of(registry)

    assert page.value("streamix_redis_reconnects_total", reason="BrokerUnavailable") == 1
    assert page.value("streamix_redis_errors_total", error_type="BrokerUnavailable") >= 1
    assert page.value("streamix_polls_total", result="error") >= 1


def test_a_replay_is_counted_where_it_was_asked_for(
    any_server: Server, stream: str, registry: CollectorRegistry
) -> None:
    publish(any_server, stream, 2)
    with consuming(any_server, stream, fail_until(9), retry_limit=0), any_server.client() as client:
        eventually(lambda: client.xlen(f"{stream}:failed") == 2)
        with Admin(any_server.url, stream) as admin:
            admin.replay(DeadLetterFilter())
        eventually(lambda: client.xlen(f"{stream}:failed") == 2)
        eventually(lambda: Page.of(registry).value("streamix_redeliveries_total", cause="replay") == 2)
    page = Page.of(registry)

    assert page.value("streamix_replayed_messages_total", stream=stream, source="dlq") == 2
    # What waited in the dead-letter stream for an operator says nothing about the queue.
    assert page.value("streamix_end_to_end_seconds_count", outcome="dead_letter") == 2


def test_no_sample_is_ever_negative_or_no_number(page: Page) -> None:
    bad = [s for family in page.families for s in family.samples if math.isnan(s.value) or s.value < 0]
    assert [sample for sample in bad if sample.name != "streamix_redis_clock_skew_seconds"] == []
