"""The catalogue and the code say the same, both ways; and names are those of the conventions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.semconv._incubating.attributes import messaging_attributes
from opentelemetry.semconv.attributes import error_attributes, server_attributes
from prometheus_client import CollectorRegistry

from streamix_queue.admin import Admin, DeadLetterFilter
from streamix_telemetry import catalogue, trace_names, watch_backlog
from streamix_telemetry.catalogue import BY_NAME, CATALOGUE
from streamix_telemetry.metric_kinds import Counted, Counter, Histogram, Metric
from streamix_telemetry.metrics import ConsumerMetrics, PublisherMetrics, ReplayMetrics
from streamix_telemetry.registry_store import store_for
from tests.support.members import eventually
from tests.support.servers import Server
from tests.telemetry.pages import Page
from tests.telemetry.scenes import consuming, fail_until, publish

HISTOGRAM_ENDS = ("_bucket", "_count", "_sum")


@pytest.fixture
def page(start_server: Any, stream: str, registry: CollectorRegistry) -> Page:
    """Everything that can be on a page, on one."""
    server: Server = start_server(appendonly=True)
    end = watch_backlog(server.url, stream, "g", memory=True)
    with server.client() as client:
        client.xadd(stream, {"message": "of long ago"}, id="1-1")
        client.xgroup_create(stream, "g", "1-1")
        client.xgroup_create(stream, "abandoned", "0")
    publish(server, stream, 3)
    with consuming(server, stream, fail_until(2), retry_limit=1, keep_ms=0), server.client() as client:
        eventually(lambda: client.xlen(f"{stream}:g:inbox:order.placed") == 0)
        client.xadd(stream, {"message": "{"})
        eventually(lambda: client.xlen(f"{stream}:failed") == 1)
        server.restart()
        eventually(lambda: Page.of(registry).value("streamix_redis_reconnects_total") == 1, 20)
        with Admin(server.url, stream) as admin:
            admin.replay(DeadLetterFilter())
        eventually(lambda: Page.of(registry).value("streamix_collector_success") == 1)
        eventually(lambda: Page.of(registry).has("streamix_stream_pinned_seconds"))
        page = Page.of(registry)
    end()
    return page


def test_every_metric_on_the_page_is_in_the_catalogue_with_its_labels(page: Page) -> None:
    for family in page.families:
        for sample in family.samples:
            name, labels = sample.name, set(sample.labels)
            if name not in BY_NAME:
                name = next(name.removesuffix(end) for end in HISTOGRAM_ENDS if name.endswith(end))
                labels.discard("le")
            metric = BY_NAME[name]
            assert labels == set(metric.labels), sample
            assert metric.help == family.documentation
            assert family.type == ("gauge" if metric.kind == "info" else metric.kind)


def test_every_metric_of_the_catalogue_is_on_the_page(page: Page) -> None:
    on_the_page = {sample.name for family in page.families for sample in family.samples}
    on_the_page |= {name.removesuffix("_count") for name in on_the_page}

    assert {metric.name for metric in CATALOGUE} <= on_the_page


def test_labels_with_a_few_values_have_only_those_that_are_declared(page: Page) -> None:
    """A value with a slip in it would begin a series of its own, beside the one that stays at 0."""
    found: dict[str, set[str]] = {}
    for metric in CATALOGUE:
        if isinstance(metric, Counted) and metric.values and metric.labels[-1] != "error_type":
            samples = [sample for family in page.families for sample in family.samples]
            label = metric.labels[-1]
            found[metric.name] = {
                sample.labels[label] for sample in samples if BY_NAME.get(sample.name) is metric
            }
            assert found[metric.name] <= set(metric.values), metric.name
    assert found["streamix_received_messages_total"] == {"new", "inbox", "reclaim", "pending"}
    assert found["streamix_worker_restarts_total"] == {"crash", "stuck"}


def test_each_metric_is_an_object_that_is_called_as_it_is() -> None:
    declared = {name: value for name, value in vars(catalogue).items() if isinstance(value, Metric)}

    assert tuple(declared.values()) == CATALOGUE
    for name, metric in declared.items():
        assert f"streamix_{name.lower()}" == metric.name.removesuffix("_total")
    with pytest.raises(AttributeError):
        catalogue.LEASES_LOSST  # type: ignore[attr-defined]  # noqa: B018 - that it raises is the test


def test_each_metric_is_counted_or_read_somewhere() -> None:
    """One that is only declared would be on the page, at 0 for ever."""
    package = Path(catalogue.__file__).parent
    code = "\n".join(path.read_text(encoding="utf-8") for path in package.glob("*.py"))
    used = set(re.findall(r"\bcatalogue\.([A-Z_]+)", code))

    declared = {name for name, value in vars(catalogue).items() if isinstance(value, Metric)}
    assert declared - used == {"BUILD_INFO"}, "of that the store itself knows the value"


def test_no_name_occurs_twice() -> None:
    assert len(BY_NAME) == len(CATALOGUE)


def test_every_metric_of_the_catalogue_is_declared_in_full() -> None:
    for metric in CATALOGUE:
        assert metric.kind in ("counter", "gauge", "histogram", "info")
        if isinstance(metric, Histogram):
            assert metric.buckets
            assert list(metric.buckets) == sorted(metric.buckets)
        assert metric.help.endswith((".", "(Unix time)."))
        assert metric.name.endswith("_total") == (metric.kind == "counter")


def test_every_counter_of_the_process_begins_at_0_with_whoever_counts() -> None:
    """``increase()`` does not see that a series begins: the first event of all would not be seen."""
    counters = [metric for metric in CATALOGUE if isinstance(metric, Counter) and not metric.backlog]

    assert [metric.name for metric in counters if metric.owner is None] == []


def test_what_is_declared_to_begin_at_0_does(registry: CollectorRegistry) -> None:
    store = store_for(registry)
    ConsumerMetrics(store, "s", "g")
    PublisherMetrics(store, "s")
    ReplayMetrics(store, "s")
    page = Page.of(registry)

    for metric in CATALOGUE:
        if not isinstance(metric, Counted) or metric.owner in (None, "event"):
            continue
        name = f"{metric.name}_count" if isinstance(metric, Histogram) else metric.name
        for value in metric.values or ("s", "g"):
            series = list(page.samples(name, **({metric.labels[-1]: value} if metric.values else {})))
            assert [sample.value for sample in series] == [0], (metric.name, value)
            own = {"stream": "s", "group": "g"}
            assert all(own.get(label, value) == sample for label, sample in series[0].labels.items())


ATTRIBUTES = {
    trace_names.SYSTEM: messaging_attributes.MESSAGING_SYSTEM,
    trace_names.OPERATION_NAME: messaging_attributes.MESSAGING_OPERATION_NAME,
    trace_names.OPERATION_TYPE: messaging_attributes.MESSAGING_OPERATION_TYPE,
    trace_names.DESTINATION: messaging_attributes.MESSAGING_DESTINATION_NAME,
    trace_names.GROUP: messaging_attributes.MESSAGING_CONSUMER_GROUP_NAME,
    trace_names.CLIENT_ID: messaging_attributes.MESSAGING_CLIENT_ID,
    trace_names.MESSAGE_ID: messaging_attributes.MESSAGING_MESSAGE_ID,
    trace_names.CONVERSATION_ID: messaging_attributes.MESSAGING_MESSAGE_CONVERSATION_ID,
    trace_names.BODY_SIZE: messaging_attributes.MESSAGING_MESSAGE_BODY_SIZE,
    trace_names.BATCH_COUNT: messaging_attributes.MESSAGING_BATCH_MESSAGE_COUNT,
    trace_names.SERVER_ADDRESS: server_attributes.SERVER_ADDRESS,
    trace_names.SERVER_PORT: server_attributes.SERVER_PORT,
    trace_names.ERROR_TYPE: error_attributes.ERROR_TYPE,
}


def test_attribute_names_are_those_of_the_conventions() -> None:
    assert [ours for ours, theirs in ATTRIBUTES.items() if ours != theirs] == []
    constants = {
        value for name, value in vars(trace_names).items() if name.isupper() and isinstance(value, str)
    }
    foreign = {value for value in constants if "." in value and not value.startswith(("streamix.", "https:"))}
    assert foreign == set(ATTRIBUTES)


def test_operation_types_are_those_of_the_conventions() -> None:
    known = {each.value for each in messaging_attributes.MessagingOperationTypeValues}

    assert {"create", "process", "settle"} <= known
    assert known & {"send", "publish"}  # called publish before conventions 1.28
