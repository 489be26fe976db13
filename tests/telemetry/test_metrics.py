"""Facts as metrics: retention, and publishers that are held back."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from streamix_queue import BacklogFull, Publisher
from streamix_queue.core.facts import PublishFreed, StreamTrimmed
from streamix_telemetry.metrics import ConsumerMetrics, PublisherMetrics
from streamix_telemetry.registry_store import store_for
from tests.support.servers import Server
from tests.telemetry.pages import Page
from tests.telemetry.scenes import EVENT


def test_removed_entries_of_the_stream_are_counted_and_those_of_inboxes_are_not(
    registry: CollectorRegistry,
) -> None:
    metrics = ConsumerMetrics(store_for(registry), "orders", "g")
    assert Page.of(registry).value("streamix_trimmed_entries_total", stream="orders") == 0

    metrics.notice(StreamTrimmed("orders", 7, 3))
    metrics.notice(StreamTrimmed("orders:g:inbox:a", 100, 0))

    assert Page.of(registry).value("streamix_trimmed_entries_total", stream="orders") == 7


def test_the_time_that_publishing_was_held_back_is_counted(registry: CollectorRegistry) -> None:
    metrics = PublisherMetrics(store_for(registry), "orders")

    for _ in range(2):
        metrics.notice(PublishFreed("orders", "g", 10, 1.5))

    assert Page.of(registry).value("streamix_publish_held_back_seconds_total", stream="orders") == 3


def test_what_a_publisher_sheds_is_counted(
    any_server: Server, stream: str, registry: CollectorRegistry
) -> None:
    with any_server.client() as client:
        client.xadd(stream, {"message": "x"})
    with Publisher(any_server.url, stream, max_backlog=1, on_full="raise") as strict:
        with pytest.raises(BacklogFull):
            strict.publish(EVENT, {})
        assert Page.of(registry).value("streamix_publish_shed_messages_total", stream=stream) == 0
    with Publisher(any_server.url, stream, max_backlog=1, on_full="shed") as shedding:
        shedding.publish(EVENT, {})
        shedding.publish_many([(EVENT, {}), (EVENT, {})])

    assert Page.of(registry).value("streamix_publish_shed_messages_total", stream=stream) == 3
