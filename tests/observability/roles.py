"""The services of the scene, each a process of its own: ``python -m tests.observability.roles NAME FOLDER``.

A small shop on one Redis. `billing` is healthy; everything else has something wrong with it. What
has to be done from outside (killing, freezing, trimming) is done by `tests.observability.scene`.
Each process writes the port of its page into FOLDER, and the ids of the traces it sampled.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import redis
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from streamix_queue import Consumer, Publisher, Reject, Retry
from streamix_queue.admin import Admin, DeadLetterFilter
from streamix_queue.core.errors import StreamixError
from streamix_telemetry import configure, watch_backlog
from tests.observability import sabotage

__all__ = ["FAULTS", "GROUPS", "LEASE_MS"]

LEASE_MS = 1000
FAULTS = "faults-may-begin"
"""The file in FOLDER that says so."""
GROUPS = {
    "orders": "billing",
    "payments": "payments",
    "reports": "reports",
    "emails": "mailer",
    "invoices": "invoicing",
    "audit": "audit",
    "stock": "stock",
    "imports": "imports",
    "feeds": "feeds",
}
"""Stream → its group, as far as `shop` reports on it."""

_stop = threading.Event()
_random = random.Random(7)  # the same failures in every run


# --- who publishes -------------------------------------------------------------------------------


def shop(url: str) -> None:
    """Publishes to everybody, and reports on the backlog of everybody."""
    for stream, group in GROUPS.items():
        watch_backlog(url, stream, group, lease_s=LEASE_MS / 1000, memory=True)
    publishers = {stream: Publisher(url, stream) for stream in GROUPS}
    publishers["archive"] = Publisher(url, "archive")
    for count, stream, event in (
        (400, "emails", "user.welcomed"),
        (5, "invoices", "invoice.reminded"),
        (1500, "invoices", "invoice.drawn"),
    ):
        # The group is made, though its service has not started: what waits for it can be seen.
        publishers[stream].publish_many([(event, _order(n)) for n in range(count)], group=GROUPS[stream])
    threading.Thread(target=_replay_now_and_then, args=(url,), daemon=True).start()
    for n in itertools.count():
        if _stop.wait(0.1):
            return
        publishers["orders"].publish_many([("order.placed", _order(m)) for m in range(6)])
        publishers["orders"].publish("order.cancelled", _order(n))
        publishers["payments"].publish_many([("payment.requested", _order(m)) for m in range(4)])
        publishers["payments"].publish("refund.requested", {"amount": "much" if n % 5 == 0 else n})
        publishers["invoices"].publish_many([("invoice.drawn", _order(m)) for m in range(4)])
        for stream in ("reports", "audit", "imports", "feeds", "archive", "stock"):
            publishers[stream].publish(f"{stream}.event", _order(n))
        if n % 20 == 0:
            with redis.Redis.from_url(url) as foreign:
                foreign.xadd("payments", {"message": "no JSON at all"})


def _replay_now_and_then(url: str) -> None:
    while not _stop.wait(4.0):
        with Admin(url, "payments") as admin:
            admin.replay(DeadLetterFilter(None, None, "retries_exhausted"), limit=3)


def _order(n: int) -> dict[str, Any]:
    return {"order": n, "note": "x" * _random.randrange(20, 900)}


# --- who consumes --------------------------------------------------------------------------------


def billing(url: str) -> None:
    """Healthy, and serves its own page."""
    consumer = Consumer(url, "orders", "billing", concurrency=4, metrics_port=0, claim_idle_ms=LEASE_MS)
    consumer.on("order.placed", lambda data: time.sleep(_random.uniform(0.001, 0.02)))
    consumer.on("order.cancelled", lambda data: time.sleep(0.004))
    _run([consumer])


def faulty(url: str) -> None:
    """Fails, hangs, and crashes inside."""
    payments = Consumer(
        url, "payments", "payments", concurrency=4, retry_limit=1, backoff_base_ms=300, claim_idle_ms=LEASE_MS
    )
    payments.on("payment.requested", _pay)
    payments.on("refund.requested", _refund)
    reports = Consumer(url, "reports", "reports", concurrency=1, prefetch=4, claim_idle_ms=LEASE_MS)
    reports.on("reports.event", lambda data: _stop.wait())
    imports = Consumer(url, "imports", "imports", block_ms=500, claim_idle_ms=LEASE_MS)
    imports.on("imports.event", lambda data: None)
    feeds = Consumer(url, "feeds", "feeds", block_ms=500, claim_idle_ms=LEASE_MS)
    feeds.on("feeds.event", lambda data: None)
    sabotage.crash_the_scheduler("imports", times=5, after=_folder / FAULTS)
    sabotage.hang_the_reading("feeds", for_s=11.0, after=_folder / FAULTS)
    _run([payments, reports, imports, feeds])


def _pay(data: dict[str, Any]) -> None:
    time.sleep(_random.uniform(0.002, 0.03))
    luck = _random.random()
    if luck < 0.25:
        raise TimeoutError("the bank does not answer")
    if luck < 0.28:
        raise Reject("the card is stolen")


class _Refund(msgspec.Struct):
    amount: int


def _refund(data: _Refund) -> None:
    """Never gets an amount that is no number: that payload is invalid."""


def mailer(url: str) -> None:
    """Started late: it has a backlog to work off, slowly."""
    consumer = Consumer(url, "emails", "mailer", claim_idle_ms=LEASE_MS)
    consumer.on("user.welcomed", lambda data: time.sleep(0.02))
    _run([consumer])


def doomed(url: str) -> None:
    """To be killed: it holds messages of two streams, and is the only one to report on a third."""
    watch_backlog(url, "archive", "archive", lease_s=LEASE_MS / 1000)
    invoicing = Consumer(url, "invoices", "invoicing", concurrency=2, prefetch=20, claim_idle_ms=LEASE_MS)
    invoicing.on("invoice.drawn", lambda data: _stop.wait())
    invoicing.on("invoice.reminded", _remind, retry_limit=1000)
    stock = Consumer(url, "stock", "stock", prefetch=5, claim_idle_ms=LEASE_MS)
    stock.on("stock.event", lambda data: _stop.wait())
    archive = Consumer(url, "archive", "archive", claim_idle_ms=LEASE_MS)
    archive.on("archive.event", lambda data: None)
    _run([invoicing, stock, archive])


def _remind(data: dict[str, Any]) -> None:
    raise Retry(after=2.0)


def auditor(url: str) -> None:
    """One of two members. To be frozen for longer than its lease, while a long handler runs."""
    consumer = Consumer(url, "audit", "audit", prefetch=4, claim_idle_ms=LEASE_MS)
    consumer.on("audit.event", lambda data: _stop.wait(40))
    _run([consumer])


def successor(url: str) -> None:
    """The other member; also takes over from `doomed` what is left of the stock."""
    audit = Consumer(url, "audit", "audit", concurrency=2, claim_idle_ms=LEASE_MS)
    audit.on("audit.event", lambda data: time.sleep(0.01))
    stock = Consumer(url, "stock", "stock", claim_idle_ms=LEASE_MS)
    stock.on("stock.event", lambda data: None)
    _run([audit, stock])


def stranded(url: str) -> None:
    """On a Redis of its own, which is killed: it publishes and consumes all the same."""
    watch_backlog(url, "ledger", "ledger", lease_s=LEASE_MS / 1000)
    consumer = Consumer(url, "ledger", "ledger", block_ms=500, claim_idle_ms=LEASE_MS)
    consumer.on("ledger.event", lambda data: None)
    publisher = Publisher(url, "ledger", timeout_ms=200)

    def publish() -> None:
        while not _stop.wait(0.2):
            try:
                publisher.publish("ledger.event", {})
            except StreamixError:
                continue  # that is what is to be counted

    threading.Thread(target=publish, daemon=True).start()
    _run([consumer])


def _run(consumers: Sequence[Consumer]) -> None:
    """Until the process is asked to end."""
    for consumer in consumers:
        consumer.start()
    if port := consumers[0].metrics_port:
        _tell_port(port)
    _stop.wait()
    for consumer in consumers:
        consumer.stop(5)


# --- what every process does ---------------------------------------------------------------------

ROLES: dict[str, Callable[[str], None]] = {
    role.__name__: role for role in (shop, billing, faulty, mailer, doomed, auditor, successor, stranded)
}
_folder = Path()


class _TraceIds(SpanExporter):
    """Notes the trace of every span: what an exemplar has to lead to."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="ascii")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for trace_id in {span.context.trace_id for span in spans if span.context is not None}:
            self._file.write(f"{trace_id:032x}\n")
        self._file.flush()
        return SpanExportResult.SUCCESS


def _tell_port(port: int) -> None:
    path = _folder / f"{sys.argv[1]}.port"
    path.with_suffix(".new").write_text(json.dumps({"port": port, "pid": os.getpid()}))
    path.with_suffix(".new").rename(path)


def main(name: str, folder: str, url: str) -> None:
    global _folder  # noqa: PLW0603 - the one thing that every role needs
    _folder = Path(folder)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _stop.set())
    serves_itself = name == "billing"
    handle = configure(
        name,
        logs="off",
        metrics_port=None if serves_itself else 0,
        exporter=_TraceIds(_folder / "traces.txt"),
    )
    if handle.port is not None:
        _tell_port(handle.port)
    ROLES[name](url)
    handle.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
