"""Facts as metrics: a consumer's, a publisher's, and an operator's.

Two metrics that others have cannot exist here: duplicates dropped by an idempotency key (there
is no store of keys), and mailboxes by worker (a mailbox belongs to an event, and all of them
share one bound). ``worker_restarts`` has no ``drain``: what outlives the drain time is not started
anew but counted as abandoned. Events that have no handler here are counted as ``_OTHER``, for
anybody can write any name to a stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from streamix_queue.core import facts
from streamix_queue.core.outcome import Reason
from streamix_queue.core.retention import Pin
from streamix_queue.core.vitals import Vitals, is_worker
from streamix_telemetry import catalogue
from streamix_telemetry.catalogue import OTHER, SOURCES
from streamix_telemetry.metric_kinds import Sample
from streamix_telemetry.registry_store import OwnCells, Store
from streamix_telemetry.settlement_metrics import SettlementMetrics

__all__ = ["ConsumerMetrics", "PublisherMetrics", "ReplayMetrics", "consumer_gauges"]


class ConsumerMetrics:
    """An observer: counts what one consumer does. Thread-safe."""

    def __init__(self, store: Store, stream: str, group: str) -> None:
        self._store = store
        self._stream, self._group = stream, group
        self._cells = OwnCells(store, stream=stream, group=group)
        self._last_poll = 0.0
        self._outage_kind = ""
        self._pins: tuple[Pin, ...] = ()
        with store.lock:
            self._cells.start("consumer")
            self._settlements = SettlementMetrics(self._cells)
            self._receive_batch = self._cells.at(catalogue.RECEIVE_BATCH_MESSAGES)
        add = self._cells.add
        self._handlers: dict[type[facts.Fact], Callable[[Any], None]] = {
            facts.Settled: self._settlements.count,
            facts.ConsumerStarted: self._started,
            facts.Polled: self._polled,
            facts.Fetched: self._fetched,
            facts.Throttled: lambda fact: add(catalogue.BACKPRESSURE_SECONDS, fact.seconds),
            facts.Called: self._called,
            facts.Renewed: self._renewed,
            facts.LeaseLost: lambda _: add(catalogue.LEASES_LOST),
            facts.Reclaimed: lambda fact: add(catalogue.RECLAIMED_MESSAGES, fact.count, result="claimed"),
            facts.Trimmed: self._trimmed,
            facts.Unreadable: self._unreadable,
            facts.SettleFailed: lambda fact: self._failed(fact.error_type),
            facts.BrokerDown: self._down,
            facts.BrokerUp: self._up,
            facts.ActorCrashed: lambda _: add(catalogue.WORKER_RESTARTS, reason="crash"),
            facts.ActorStalled: lambda _: add(catalogue.WORKER_RESTARTS, reason="stuck"),
            facts.StreamTrimmed: self._removed,
            facts.PinsSeen: self._saw_pins,
            facts.Drained: lambda fact: add(catalogue.SHUTDOWN_ABANDONED_MESSAGES, fact.overran),
        }

    def notice(self, fact: facts.Fact) -> None:
        """Count ``fact``."""
        handler = self._handlers.get(type(fact))
        if handler is not None:
            handler(fact)

    def gauges(self) -> Iterator[Sample]:
        """What only this observer knows."""
        if self._last_poll:
            yield catalogue.LAST_POLL_TIMESTAMP_SECONDS.sample(self._last_poll, group=self._group)
        for pin in self._pins:
            yield catalogue.STREAM_PINNED_SECONDS.sample(pin.age_s, stream=self._stream, group=pin.group)

    # --- facts that need more than a count --------------------------------------------------------

    def _started(self, fact: facts.ConsumerStarted) -> None:
        for registration in fact.registrations:
            self._settlements.create(registration.event)

    def _polled(self, fact: facts.Polled) -> None:
        result = "error" if fact.error_type else "messages" if fact.count else "empty"
        self._cells.add(catalogue.POLLS, result=result)
        if fact.error_type:
            self._failed(fact.error_type)
            return
        self._last_poll = time.time()
        if fact.count:
            with self._store.lock:
                self._receive_batch.observe(fact.count)

    def _fetched(self, fact: facts.Fetched) -> None:
        source = SOURCES.get(fact.source, OTHER)
        self._cells.add(catalogue.RECEIVED_MESSAGES, fact.count, source=source)

    def _called(self, fact: facts.Called) -> None:
        if not fact.unacked:
            count_call(self._store, fact)
            return
        self._cells.add(catalogue.ACKED_MESSAGES, fact.unacked, result="missing")
        self._settlements.unacked(fact.unacked)

    def _renewed(self, fact: facts.Renewed) -> None:
        error_type = self._store.error_type(fact.error_type)
        self._cells.add(catalogue.LEASE_RENEWALS, fact.count, error_type=error_type)

    def _trimmed(self, fact: facts.Trimmed) -> None:
        if not fact.held:
            self._cells.add(catalogue.RECLAIMED_MESSAGES, result="deleted")
            self._cells.add(catalogue.DEAD_LETTERED_MESSAGES, reason=Reason.TRIMMED)

    def _removed(self, fact: facts.StreamTrimmed) -> None:
        if fact.key == self._stream:
            self._cells.add(catalogue.TRIMMED_ENTRIES, fact.count)

    def _saw_pins(self, fact: facts.PinsSeen) -> None:
        self._pins = fact.pins

    def _unreadable(self, fact: facts.Unreadable) -> None:
        self._cells.add(catalogue.DEAD_LETTERED_MESSAGES, reason=Reason.MALFORMED)
        self._cells.add(catalogue.DECODE_ERRORS)

    def _down(self, fact: facts.BrokerDown) -> None:
        self._outage_kind = fact.error_type

    def _up(self, fact: facts.BrokerUp) -> None:
        self._cells.add(catalogue.REDIS_RECONNECTS, reason=self._store.error_type(self._outage_kind))

    def _failed(self, error_type: str) -> None:
        self._cells.add(catalogue.REDIS_ERRORS, error_type=self._store.error_type(error_type))


class PublisherMetrics:
    """An observer: counts what publishers write. Thread-safe."""

    def __init__(self, store: Store, stream: str) -> None:
        self._store = store
        self._cells = OwnCells(store, stream=stream)
        with store.lock:
            self._cells.start("publisher")
            self._batch = self._cells.at(catalogue.PUBLISH_BATCH_MESSAGES)
            self._size = self._cells.at(catalogue.MESSAGE_SIZE_BYTES)
            self._ok = self._cells.at(catalogue.PUBLISHED_MESSAGES, error_type="")
            self._duration = self._cells.at(catalogue.PUBLISH_DURATION_SECONDS, error_type="")

    def notice(self, fact: facts.Fact) -> None:
        """Count a publish, and what it asked of Redis."""
        if isinstance(fact, facts.Published):
            self._published(fact)
        elif isinstance(fact, facts.Called):
            count_call(self._store, fact)
        elif isinstance(fact, facts.Shed):
            self._cells.add(catalogue.PUBLISH_SHED_MESSAGES, fact.count)
        elif isinstance(fact, facts.PublishFreed):
            self._cells.add(catalogue.PUBLISH_HELD_BACK_SECONDS, fact.seconds)

    def _published(self, fact: facts.Published) -> None:
        with self._store.lock:
            counter, duration = self._ok, self._duration
            if fact.error_type:
                error_type = self._store.error_type(fact.error_type)
                counter = self._cells.at(catalogue.PUBLISHED_MESSAGES, error_type=error_type)
                duration = self._cells.at(catalogue.PUBLISH_DURATION_SECONDS, error_type=error_type)
            counter.value += fact.count
            duration.observe(fact.seconds)
            self._batch.observe(fact.count)
            self._size.observe_many(list(fact.sizes))


class ReplayMetrics:
    """An observer: counts the dead letters that an operator sends back."""

    def __init__(self, store: Store, stream: str) -> None:
        self._cells = OwnCells(store, stream=stream)
        with store.lock:
            self._cells.start("operator")

    def notice(self, fact: facts.Fact) -> None:
        """Count a replay."""
        if isinstance(fact, facts.DeadLetterReplayed):
            self._cells.add(catalogue.REPLAYED_MESSAGES, source="dlq")


def count_call(store: Store, fact: facts.Called) -> None:
    """Count a round trip to Redis."""
    with store.lock:
        error_type = store.error_type(fact.error_type)
        labels = (fact.command, error_type)  # by place and not by name: this is for every round trip
        store.cell(catalogue.REDIS_COMMAND_DURATION_SECONDS, labels).observe(fact.seconds)
        if error_type:
            store.cell(catalogue.REDIS_ERRORS, (error_type,)).value += 1


def consumer_gauges(stream: str, group: str, vitals: Vitals) -> Iterator[Sample]:
    """How a running consumer is."""
    yield catalogue.INFLIGHT_MESSAGES.sample(vitals.running, stream=stream, group=group)
    for event, depth in vitals.mailboxes.items():
        yield catalogue.MAILBOX_MESSAGES.sample(depth, group=group, event=event)
    yield catalogue.MAILBOX_CAPACITY_MESSAGES.sample(vitals.capacity, group=group)
    stopped = sum(not actor.running for actor in vitals.actors if is_worker(actor.name))
    busy = min(vitals.running, vitals.workers)
    yield catalogue.WORKERS.sample(busy, group=group, state="busy")
    yield catalogue.WORKERS.sample(vitals.workers - busy, group=group, state="idle")
    yield catalogue.WORKERS.sample(stopped, group=group, state="stopped")
    yield catalogue.OLDEST_INFLIGHT_SECONDS.sample(vitals.oldest_running_s, group=group)
    yield catalogue.REDIS_CONNECTED.sample(0.0 if vitals.outage_s else 1.0)
