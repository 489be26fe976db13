"""What telemetry costs one message, in nanoseconds, beside the OpenTelemetry SDK on its own.

``python -m load.telemetry_cost`` runs deliveries through the executor and the observers of a
consumer, without Redis, so that nothing else is measured. ``--check`` fails beyond the budget.
"""

from __future__ import annotations

import argparse
import gc
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry import context, propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, SpanKind
from prometheus_client import CollectorRegistry
from prometheus_client import Counter as ClientCounter
from prometheus_client import Histogram as ClientHistogram

from streamix_queue import Consumer
from streamix_queue.actors.event_loop import EventLoop
from streamix_queue.actors.executor import Executor
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.entry import entry_of
from streamix_queue.core.facts import ConsumerStarted, Settled
from streamix_queue.core.lease import Lease, Terms
from streamix_queue.core.message import StreamMessage, Timestamps
from streamix_queue.core.registration import Registration
from streamix_queue.telling.observers import fan_out
from streamix_telemetry import settings
from streamix_telemetry.process_telemetry import ConsumerTelemetry

CARRIED = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
BATCH = 200
ROUNDS = 25
METRICS_BUDGET_NS = 3000
API_ONLY_BUDGET_NS = 2000
SDK_FACTOR = 1.3

TERMS = Terms(60.0, threading.Lock())
Work = Callable[[Sequence[Attempt]], None]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m load.telemetry_cost", description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 1 beyond the budget")
    options = parser.parse_args(arguments)

    without = costs(
        {
            "off": (consumer(), True, BATCH),
            "off, one": (consumer(), True, 1),
            "metrics": (consumer(metrics=True), True, BATCH),
            "metrics, one": (consumer(metrics=True), True, 1),
            "api": (consumer(traces=True), False, BATCH),
            "api, carried": (consumer(traces=True), True, BATCH),
            "everything": (consumer(logs=True, metrics=True, traces=True), True, BATCH),
            "client": (prometheus_client_alone, True, BATCH),
        }
    )
    trace.set_tracer_provider(TracerProvider())  # records, and hands the spans to nobody
    recorded = costs(
        {
            "off": (consumer(), True, BATCH),
            "sdk": (sdk_alone(), True, BATCH),
            "spans": (consumer(traces=True), True, BATCH),
            "everything": (consumer(logs=True, metrics=True, traces=True), True, BATCH),
        }
    )
    off, sdk = without["off"], recorded["sdk"]
    metrics, metrics_one = without["metrics"] - off, without["metrics, one"] - without["off, one"]
    api, api_carried = without["api"] - off, without["api, carried"] - off
    everything = without["everything"] - off
    spans, spans_and_all = recorded["spans"] - recorded["off"], recorded["everything"] - recorded["off"]

    print(f"{'ns a message, the least of ' + str(ROUNDS) + ' rounds':52}{'cost':>8}{'budget':>9}")
    row("handler alone, through the executor", off)
    row("metrics, settled by 200", metrics, METRICS_BUDGET_NS)
    row("metrics, settled one by one", metrics_one, METRICS_BUDGET_NS)
    row("  beside: a counter, four prometheus_client histograms", without["client"])
    row("tracing without an SDK, message without a context", api, API_ONLY_BUDGET_NS)
    row("tracing without an SDK, message with a context", api_carried, API_ONLY_BUDGET_NS)
    row("all of it without an SDK (the default)", everything)
    row("every span recorded", spans, round(SDK_FACTOR * sdk))
    row("  beside: the SDK alone, the same spans", sdk)
    row("every span recorded, metrics with exemplars, logs", spans_and_all)
    print(f"every span recorded costs {spans / sdk:.2f} times the SDK alone (budget {SDK_FACTOR})")
    within = (
        max(metrics, metrics_one) <= METRICS_BUDGET_NS
        and max(api, api_carried) <= API_ONLY_BUDGET_NS
        and spans <= SDK_FACTOR * sdk
    )
    return 0 if within or not options.check else 1


def row(what: str, cost_ns: float, budget_ns: int | None = None) -> None:
    print(f"{what:52}{cost_ns:8.0f}{budget_ns if budget_ns is not None else '':>9}")


def costs(works: Mapping[str, tuple[Work, bool, int]]) -> dict[str, float]:
    """Nanoseconds for each delivery, by name of the work.

    They take turns, so that a busy minute of the machine is everybody's; of several rounds the
    least counts, for others only add to it.

    Args:
        works: What to do with a batch, whether its messages carry a context, and its size.
    """
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, (work, carried, size) in works.items():
            batches = [deliveries(size, carried=carried) for _ in range(max(1, 1000 // size))]
            gc.collect()
            # Of this thread: what else runs on the machine does not count.
            started = time.thread_time_ns()
            for each in batches:
                work(each)
            best[name] = min(best[name], (time.thread_time_ns() - started) / (len(batches) * size))
    return best


def deliveries(count: int, *, carried: bool) -> list[Attempt]:
    now, published = time.perf_counter(), int(time.time() * 1000) - 20
    made: list[Attempt] = []
    for n in range(count):
        entry = entry_of(b"s", b"%d-%d" % (published, n), (), 1, "new", now)
        attempt = Attempt(entry, Lease(entry, TERMS, 1, 0.0))
        attempt.message = StreamMessage(
            "c0ffee00-0000-4000-8000-000000000000", "e", {}, 0, Timestamps("", "")
        )
        attempt.registration = REGISTRATION
        attempt.extras = CARRIED if carried else ()
        made.append(attempt)
    return made


def _registration() -> Registration:
    consumer = Consumer()
    seen: list[Registration] = []

    def handler(data: dict[str, Any]) -> None:
        pass

    consumer.on("e", handler)
    seen += consumer._registrations.values()
    return seen[0]


def consumer(*, logs: bool = False, metrics: bool = False, traces: bool = False) -> Work:
    """A consumer's executor and observers: everything of telemetry that a message meets."""
    own = settings.Settings(logs=logs, metrics=metrics, traces=traces, registry=CollectorRegistry())
    settings.change(own)
    telemetry = ConsumerTelemetry("redis://localhost", "s", "g", lease_s=60.0)
    executor = Executor(tuple(telemetry.interceptors), EventLoop(), new_context=telemetry.new_context)
    notice = fan_out(telemetry.observers)
    notice(ConsumerStarted("s", "g", "c", 1, (REGISTRATION,)))
    run = executor.run

    def work(batch: Sequence[Attempt]) -> None:
        for delivery in batch:
            run(delivery)
        now = time.perf_counter()
        notice(Settled(batch, now, now))

    return work


def sdk_alone() -> Work:
    """The same spans with the same attributes and links, made by the SDK's own interface."""
    tracer = trace.get_tracer("bare")
    base = {f"attribute.{n}": "a value of usual length" for n in range(9)}
    carrier = {name.decode(): value.decode() for name, value in [CARRIED]}

    def work(batch: Sequence[Attempt]) -> None:
        ended: list[Link] = []
        for delivery in batch:
            parent = propagate.extract(carrier, context=context.Context())
            link = Link(trace.get_current_span(parent).get_span_context())
            own: dict[str, str | int | float] = {
                **base,
                "messaging.message.id": delivery.entry.id.decode(),
                "messaging.message.conversation_id": "c0ffee00-0000-4000-8000-000000000000",
                "streamix.event.id": "c0ffee00-0000-4000-8000-000000000000",
                "streamix.event.type": "e",
                "streamix.handler": "handler",
                "streamix.message.attempt": 1,
                "streamix.message.delivery_count": 1,
                "streamix.message.queue_time": 0.02,
                "streamix.mailbox.wait": 0.001,
            }
            span = tracer.start_span("process s", parent, SpanKind.CONSUMER, own, [link])
            token = context.attach(trace.set_span_in_context(span, parent))
            context.detach(token)
            span.set_attributes({"streamix.outcome": "ack", "streamix.message.final": True})
            span.end()
            ended.append(Link(span.get_span_context()))
        tracer.start_span("ack s", context.Context(), SpanKind.CLIENT, base, ended[:128]).end()

    return work


def prometheus_client_alone(batch: Sequence[Attempt]) -> None:
    """What the same counts cost one by one, with children that are looked up once."""
    for _ in batch:
        COUNTER.inc()
        for histogram in HISTOGRAMS:
            histogram.observe(0.02)


REGISTRATION = _registration()
_registry = CollectorRegistry()
COUNTER = ClientCounter("c", "c", ["a", "b"], registry=_registry).labels("a", "b")
HISTOGRAMS = [ClientHistogram(f"h{n}", "h", ["a"], registry=_registry).labels("a") for n in range(4)]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
