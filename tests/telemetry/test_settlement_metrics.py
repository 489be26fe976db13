"""Settled messages as metrics."""

from __future__ import annotations

import time

import pytest
from prometheus_client import CollectorRegistry

from streamix_queue.core import facts
from streamix_queue.core.attempt import Attempt, unleased
from streamix_queue.core.entry import entry_of
from streamix_queue.core.message import StreamMessage, Timestamps
from streamix_queue.core.outcome import ACK
from streamix_telemetry.metrics import ConsumerMetrics
from streamix_telemetry.registry_store import store_for
from tests.telemetry.pages import Page


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


def _acked(n: int, later_ms: int = 0) -> Attempt:
    now = time.perf_counter()
    published = int((time.time() - 1.0) * 1000)
    entry = entry_of(b"s", f"{published + later_ms}-{n}".encode(), (), 1, "new", now - 0.01)
    attempt = unleased(entry)
    attempt.message = StreamMessage(str(n), "e", {}, 0, Timestamps("", ""))
    attempt.started_at, attempt.finished_at = now, now + 0.002
    attempt.outcome = ACK
    return attempt


def test_a_clock_that_runs_behind_redis_makes_no_negative_time() -> None:
    registry = CollectorRegistry()
    metrics = ConsumerMetrics(store_for(registry), "s", "g")
    attempt = _acked(0, later_ms=61_000)
    metrics.notice(facts.Settled([attempt] * 20, time.perf_counter()))
    metrics.notice(facts.Settled([attempt], time.perf_counter()))

    page = Page.of(registry)
    assert page.value("streamix_queue_time_seconds_sum") == 0
    assert page.value("streamix_end_to_end_seconds_sum") == 0
