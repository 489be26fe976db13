"""Where counts are kept."""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import pytest
from hypothesis import given, strategies
from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as Reference
from prometheus_client.samples import Sample

from streamix_queue.core import facts
from streamix_queue.core.delivery import Delivery
from streamix_queue.core.message import StreamMessage, Timestamps
from streamix_queue.core.outcome import ACK
from streamix_telemetry.catalogue import BY_NAME, CATALOGUE, OTHER
from streamix_telemetry.cells import Histogram, Store, store_for
from streamix_telemetry.metrics import ConsumerMetrics, PublisherMetrics
from tests.telemetry.pages import Page

BOUNDS = BY_NAME["streamix_queue_time_seconds"].buckets
VALUES = strategies.one_of(
    strategies.floats(0, 5000),
    strategies.sampled_from(BOUNDS),
    strategies.floats(0.9, 1.1),
    strategies.just(0.0),
)


@given(strategies.lists(VALUES, max_size=200))
def test_many_values_at_once_are_counted_like_each_alone(values: list[float]) -> None:
    one, many = Histogram(BOUNDS), Histogram(BOUNDS)
    for value in values:
        one.observe(value)
    many.observe_many(list(values))

    assert many.counts == one.counts
    assert many.total == pytest.approx(one.total)


def test_a_histogram_is_on_the_page_as_prometheus_own_would_be() -> None:
    metric = BY_NAME["streamix_message_size_bytes"]
    values = [random.uniform(0, 2e7) for _ in range(500)] + list(metric.buckets)
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    PublisherMetrics(store_for(ours), "s").notice(facts.Published("s", len(values), 0.0, 0, "", values))  # type: ignore[arg-type]
    reference = Reference(metric.name, "x", ["stream"], buckets=metric.buckets, registry=theirs).labels("s")
    for value in values:
        reference.observe(value)

    def samples(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
        page = Page.of(registry)
        found: list[Sample] = [
            s for end in ("bucket", "count", "sum") for s in page.samples(f"{metric.name}_{end}")
        ]
        return {(s.name, s.labels.get("le", "")): s.value for s in found}

    assert samples(ours) == pytest.approx(samples(theirs))


def test_an_unbounded_number_of_error_types_becomes_other() -> None:
    store = Store()
    kept = {store.error_type(f"Error{n}") for n in range(1000)}

    assert len(kept) == 51
    assert OTHER in kept
    assert store.error_type("Error0") == "Error0"  # a known one stays
    assert store.error_type("x" * 1000) == OTHER


def test_a_store_is_made_once_for_each_registry() -> None:
    one, other = CollectorRegistry(), CollectorRegistry()

    assert store_for(one) is store_for(one)
    assert store_for(one) is not store_for(other)


def test_many_threads_lose_no_count() -> None:
    registry = CollectorRegistry()
    metrics = [PublisherMetrics(store_for(registry), "s") for _ in range(4)]
    go = threading.Barrier(4)

    def work(own: PublisherMetrics) -> None:
        go.wait()
        for _ in range(2000):
            own.notice(facts.Published("s", 1, 0.001, 10, "", (10,)))

    threads = [threading.Thread(target=work, args=(own,)) for own in metrics]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        Page.of(registry)  # and a scrape in between disturbs nothing
    for thread in threads:
        thread.join()

    assert Page.of(registry).value("streamix_published_messages_total", error_type="") == 8000
    assert Page.of(registry).value("streamix_message_size_bytes_sum") == 80_000


def test_acks_that_found_nothing_are_counted_as_missing() -> None:
    registry = CollectorRegistry()
    metrics = ConsumerMetrics(store_for(registry), "s", "g")
    metrics.notice(facts.Called("ack", 0.0, unacked=2))
    metrics.notice(facts.Settled([_acked(n) for n in range(10)], time.perf_counter()))

    page = Page.of(registry)
    assert page.value("streamix_acked_messages_total", result="missing") == 2
    assert page.value("streamix_acked_messages_total", result="ok") == 8
    assert not page.has("streamix_redis_command_duration_seconds_count", command="ack")


@pytest.mark.parametrize("count", [1, 3, 7, 60])
def test_few_and_many_that_are_settled_together_are_counted_alike(count: int) -> None:
    registry = CollectorRegistry()
    metrics = ConsumerMetrics(store_for(registry), "s", "g")
    metrics.notice(facts.Settled([_acked(n) for n in range(count)], time.perf_counter()))

    page = Page.of(registry)
    assert page.value("streamix_processed_messages_total", outcome="ack") == count
    for name in ("queue_time", "process_duration", "mailbox_wait", "end_to_end"):
        assert page.value(f"streamix_{name}_seconds_count") == count, name
    assert page.value("streamix_process_duration_seconds_sum") == pytest.approx(0.002 * count)
    assert page.value("streamix_mailbox_wait_seconds_sum") == pytest.approx(0.01 * count)
    assert page.value("streamix_queue_time_seconds_sum") == pytest.approx(1.0 * count, rel=0.1)
    assert page.value("streamix_message_attempts_sum", outcome="ack") == count


def _acked(n: int) -> Delivery:
    now = time.perf_counter()
    published = int((time.time() - 1.0) * 1000)
    delivery = Delivery(b"s", f"{published}-{n}".encode(), [], now - 0.01, 0.0)
    delivery.message = StreamMessage(str(n), "e", {}, 0, Timestamps("", ""))
    delivery.started_at, delivery.finished_at = now, now + 0.002
    delivery.outcome = ACK
    return delivery


def test_a_clock_that_runs_behind_redis_makes_no_negative_time() -> None:
    registry = CollectorRegistry()
    metrics = ConsumerMetrics(store_for(registry), "s", "g")
    delivery = _acked(0)
    delivery.entry_id = f"{int(time.time() * 1000) + 60_000}-0".encode()
    metrics.notice(facts.Settled([delivery] * 20, time.perf_counter()))
    metrics.notice(facts.Settled([delivery], time.perf_counter()))

    page = Page.of(registry)
    assert page.value("streamix_queue_time_seconds_sum") == 0
    assert page.value("streamix_end_to_end_seconds_sum") == 0


def test_a_child_after_a_fork_counts_on_though_a_lock_was_held() -> None:
    registry = CollectorRegistry()
    store = store_for(registry)
    metrics = PublisherMetrics(store, "s")
    store.add_source(lambda: [("streamix_redis_connected", (), 1.0)])
    with store.lock:
        pid = os.fork()
        if pid == 0:
            signal.alarm(10)  # a child that waits for the lock is not to wait for ever
            metrics.notice(facts.Published("s", 1, 0.0, 1, "", (1,)))
            page = Page.of(registry)
            counted = page.value("streamix_published_messages_total", error_type="") == 1
            os._exit(0 if counted and not page.has("streamix_redis_connected") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_every_metric_of_the_catalogue_can_be_made() -> None:
    for metric in CATALOGUE:
        assert metric.kind in ("counter", "gauge", "histogram", "info")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert list(metric.buckets) == sorted(metric.buckets)
        assert metric.help.endswith((".", "(Unix time)."))
        assert metric.name.endswith("_total") == (metric.kind == "counter")
