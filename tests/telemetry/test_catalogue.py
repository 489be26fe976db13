"""The catalogue and the code say the same, both ways; and names are those of the conventions."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.semconv._incubating.attributes import messaging_attributes
from opentelemetry.semconv.attributes import error_attributes, server_attributes
from prometheus_client import CollectorRegistry

from streamix_queue.admin import Admin, DeadLetterFilter
from streamix_telemetry import trace_names, watch_backlog
from streamix_telemetry.catalogue import BY_NAME, CATALOGUE
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


def test_no_name_occurs_twice() -> None:
    assert len(BY_NAME) == len(CATALOGUE)


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
