"""The same traces once more, between two processes and over the wire, as a collector gets them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamix_queue import StreamMessage, Timestamps
from tests.support.members import eventually, pending
from tests.support.servers import Server
from tests.telemetry.expected import SCHEMA_URL, Expected
from tests.telemetry.otlp import Receiver

ROOT = Path(__file__).parents[2]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def start(role: str, server: Server, stream: str, receiver: Receiver) -> subprocess.Popen[str]:
    variables = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "telemetry")]),
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
    }
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.telemetry.traced_service", role, server.url, stream],
        env={**os.environ, **variables},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_make_one_trace_for_each_message(
    any_server: Server, stream: str, receiver: Receiver
) -> None:
    with start("publish", any_server, stream, receiver) as publisher:
        ids = publisher.communicate(timeout=30)[0].split()
    with start("consume", any_server, stream, receiver) as consumer:
        try:
            receiver.spans.wait_for("ack")
            receiver.spans.wait_for("dead_letter")
        finally:
            consumer.send_signal(signal.SIGTERM)
        assert consumer.wait(20) == 0

    spans = receiver.spans
    for message_id, (published, checkout) in zip(
        ids, zip(spans.all("publish"), spans.all("checkout"), strict=True), strict=True
    ):
        message = StreamMessage(message_id, "order.placed", {}, 0, Timestamps("", ""))
        # Exporters before 1.28 leave the schema out.
        schemas = (SCHEMA_URL, "")
        expected = Expected(any_server.port, stream, "g", message, "__main__.on_order", schemas)
        own = [span for span in spans.trace_of(checkout) if span.scope == "streamix_queue"]
        first, second, third = (span for span in own if span.name.startswith("process"))
        retries = [span for span in own if span.name.startswith("retry")]
        end = own[-1]
        expected.publish(published)
        assert published.child_of(checkout)
        expected.process(first, attempt=1, outcome="retry")
        expected.process(second, attempt=2, outcome="retry", cause="retry")
        assert second.links_to(first).attributes == {"streamix.link.kind": "previous_attempt"}
        assert [attempt.child_of(published) for attempt in (first, second, third)] == [True] * 3
        assert [retry.child_of(a) for retry, a in zip(retries, (first, second), strict=True)] == [True] * 2
        assert end.child_of(third)
        if message_id == ids[0]:
            expected.process(third, attempt=3, outcome="ack", cause="retry")
            expected.ack(end)
        else:
            expected.process(third, attempt=3, outcome="dead_letter", cause="retry")
            expected.dead_letter(end, attempt=3, reason="retries_exhausted")
        assert len(own) == 7
    services = {resource["service.name"] for resource in receiver.resources}
    assert services == {"orders-publish", "orders-consume"}
    assert {resource["deployment.environment.name"] for resource in receiver.resources} == {"test"}


@pytest.mark.parametrize("status", [500, 400])
def test_a_collector_that_refuses_everything_costs_no_message(
    any_server: Server, stream: str, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    # Killed in the end: how long the exporter goes on asking is its own affair.
    with start("publish", any_server, stream, receiver) as publisher:
        assert publisher.stdout is not None
        assert [bool(publisher.stdout.readline().strip()) for _ in range(2)] == [True, True]
        publisher.kill()
    with start("consume", any_server, stream, receiver) as consumer, any_server.client() as client:
        try:
            eventually(lambda: client.xlen(f"{stream}:failed") == 1, 20)
            eventually(lambda: not pending(client, stream))
            eventually(lambda: not client.xlen(f"{stream}:g:inbox:order.placed"))
        finally:
            consumer.kill()
