"""One store of counts for each registry: its page, its cells by metric and labels, and its lock."""

from __future__ import annotations

import os
import random
import signal
import threading

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as Reference
from prometheus_client.samples import Sample

from streamix_queue.core import facts
from streamix_telemetry import catalogue
from streamix_telemetry.catalogue import OTHER
from streamix_telemetry.metrics import PublisherMetrics
from streamix_telemetry.registry_store import OwnCells, Store, store_for
from tests.telemetry.pages import Page


@pytest.fixture
def cells() -> OwnCells:
    """Those of a consumer."""
    return OwnCells(Store(), stream="s", group="g")


@pytest.mark.parametrize(
    "labels",
    [{}, {"rsult": "empty"}, {"result": "empty", "source": "new"}, {"result": "empty", "event": "e"}],
    ids=["missing", "misspelled", "unknown", "of another metric"],
)
def test_a_label_that_is_missing_or_unknown_raises_where_it_is_counted(
    cells: OwnCells, labels: dict[str, str]
) -> None:
    for count in (cells.at, cells.add):
        with pytest.raises(ValueError, match=r"streamix_polls_total has the labels \('group', 'result'\)"):
            count(catalogue.POLLS, **labels)

    assert list(cells.store.collect()) == list(Store().collect()), "nothing of it is on the page"


def test_a_label_that_neither_is_given_nor_the_owners_own_raises() -> None:
    publishers = OwnCells(Store(), stream="s")

    with pytest.raises(ValueError, match="streamix_leases_lost_total"):
        publishers.add(catalogue.LEASES_LOST)


@pytest.mark.parametrize("labels", [(), ("g",), ("g", "empty", "more")])
def test_a_wrong_number_of_labels_raises(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="streamix_polls_total"):
        Store().cell(catalogue.POLLS, labels)


def test_labels_are_told_apart_by_their_names_whatever_their_order(cells: OwnCells) -> None:
    first = cells.at(catalogue.PROCESSED_MESSAGES, event="a", outcome="b")

    assert cells.at(catalogue.PROCESSED_MESSAGES, outcome="b", event="a") is first
    assert cells.at(catalogue.PROCESSED_MESSAGES, outcome="a", event="b") is not first
    assert cells.store.cell(catalogue.PROCESSED_MESSAGES, ("s", "g", "a", "b")) is first


def test_a_gauge_with_a_label_that_is_missing_or_unknown_raises() -> None:
    for labels in ({"group": "g"}, {"group": "g", "stat": "busy"}, {"group": "g", "state": "busy", "x": "y"}):
        with pytest.raises(ValueError, match="streamix_workers"):
            catalogue.WORKERS.sample(1, **labels)


def test_a_histogram_is_on_the_page_as_prometheus_own_would_be() -> None:
    metric = catalogue.MESSAGE_SIZE_BYTES
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


def test_a_child_after_a_fork_counts_on_though_a_lock_was_held() -> None:
    registry = CollectorRegistry()
    store = store_for(registry)
    metrics = PublisherMetrics(store, "s")
    store.add_source(lambda: [catalogue.REDIS_CONNECTED.sample(1.0)])
    with store.lock:
        pid = os.fork()
        if pid == 0:
            signal.alarm(10)  # a child that waits for the lock is not to wait for ever
            metrics.notice(facts.Published("s", 1, 0.0, 1, "", (1,)))
            page = Page.of(registry)
            counted = page.value("streamix_published_messages_total", error_type="") == 1
            os._exit(0 if counted and not page.has("streamix_redis_connected") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
