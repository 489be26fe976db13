"""Facts as metrics: a consumer's, a publisher's, and an operator's.

Two metrics that others have cannot exist here: duplicates dropped by an idempotency key (there
is no store of keys), and mailboxes by worker (a mailbox belongs to an event, and all of them
share one bound). ``worker_restarts`` has no ``drain``: what outlives the drain time is not started
anew but counted as abandoned. Events that have no handler here are counted as ``_OTHER``, for
anybody can write any name to a stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from streamix_queue.core import facts
from streamix_queue.core.outcome import Reason
from streamix_queue.core.retention import Pin
from streamix_queue.core.vitals import Vitals
from streamix_telemetry.catalogue import OTHER
from streamix_telemetry.cells import Gauge, Store
from streamix_telemetry.settlement_metrics import SettlementMetrics

__all__ = ["ConsumerMetrics", "PublisherMetrics", "ReplayMetrics", "consumer_gauges"]

_CAUSES: Final = ("retry", "reclaim", "restart", "replay")
_SOURCES: Final = {"new": "new", "inbox": "inbox", "reclaim": "reclaim", "recovered": "pending"}
_BROKER_ERRORS: Final = (
    "BrokerRefused",
    "BrokerUnavailable",
    "GroupMissing",
    "NotEnoughReplicas",
    "OutOfMemory",
    "WrongKeyType",
)


class ConsumerMetrics:
    """An observer: counts what one consumer does. Thread-safe."""

    def __init__(self, store: Store, stream: str, group: str) -> None:
        self._store = store
        self._stream, self._group = stream, group
        self._settlements = SettlementMetrics(store, stream, group)
        self._last_poll = 0.0
        self._outage_kind = ""
        self._pins: tuple[Pin, ...] = ()
        self._handlers: dict[type[facts.Fact], Callable[[Any], None]] = {
            facts.Settled: self._settlements.count,
            facts.ConsumerStarted: self._started,
            facts.Polled: self._polled,
            facts.Fetched: self._fetched,
            facts.Throttled: self._throttled,
            facts.Called: self._called,
            facts.Renewed: self._renewed,
            facts.LeaseLost: lambda _: self._add("leases_lost"),
            facts.Reclaimed: lambda fact: self._add("reclaimed_messages", "claimed", by=fact.count),
            facts.Trimmed: self._trimmed,
            facts.Unreadable: self._unreadable,
            facts.SettleFailed: lambda fact: self._failed(fact.error_type),
            facts.BrokerDown: self._down,
            facts.BrokerUp: self._up,
            facts.ActorCrashed: lambda _: self._of_group("worker_restarts", "crash"),
            facts.ActorStalled: lambda _: self._of_group("worker_restarts", "stuck"),
            facts.StreamTrimmed: self._removed,
            facts.PinsSeen: self._saw_pins,
            facts.Drained: lambda fact: self._of_group("shutdown_abandoned_messages", by=fact.abandoned),
        }
        with store.lock:
            self._backpressure = store.counter("streamix_backpressure_seconds_total", group)
            self._create_counters()

    def notice(self, fact: facts.Fact) -> None:
        """Count ``fact``."""
        handler = self._handlers.get(type(fact))
        if handler is not None:
            handler(fact)

    def gauges(self) -> Iterator[Gauge]:
        """What only this observer knows."""
        if self._last_poll:
            yield ("streamix_last_poll_timestamp_seconds", (self._group,), self._last_poll)
        for pin in self._pins:
            yield ("streamix_stream_pinned_seconds", (self._stream, pin.group), pin.age_s)

    # --- the other facts ------------------------------------------------------------------------

    def _started(self, fact: facts.ConsumerStarted) -> None:
        for registration in fact.registrations:
            self._settlements.create(registration.event)

    def _polled(self, fact: facts.Polled) -> None:
        result = "error" if fact.error_type else "messages" if fact.count else "empty"
        self._of_group("polls", result)
        if fact.error_type:
            self._failed(fact.error_type)
            return
        self._last_poll = time.time()
        if fact.count:
            with self._store.lock:
                cell = self._store.histogram("streamix_receive_batch_messages", self._stream, self._group)
                cell.observe(fact.count)

    def _fetched(self, fact: facts.Fetched) -> None:
        self._add("received_messages", _SOURCES.get(fact.source, OTHER), by=fact.count)

    def _throttled(self, fact: facts.Throttled) -> None:
        with self._store.lock:
            self._backpressure.value += fact.seconds

    def _called(self, fact: facts.Called) -> None:
        if not fact.unacked:
            count_call(self._store, fact)
            return
        self._add("acked_messages", "missing", by=fact.unacked)
        self._settlements.unacked(fact.unacked)

    def _renewed(self, fact: facts.Renewed) -> None:
        self._of_group("lease_renewals", self._store.error_type(fact.error_type), by=fact.count)

    def _trimmed(self, fact: facts.Trimmed) -> None:
        if not fact.held:
            self._add("reclaimed_messages", "deleted")
            self._add("dead_lettered_messages", Reason.TRIMMED)

    def _removed(self, fact: facts.StreamTrimmed) -> None:
        if fact.key == self._stream:
            with self._store.lock:
                self._store.counter("streamix_trimmed_entries_total", self._stream).value += fact.count

    def _saw_pins(self, fact: facts.PinsSeen) -> None:
        self._pins = fact.pins

    def _unreadable(self, fact: facts.Unreadable) -> None:
        self._add("dead_lettered_messages", Reason.MALFORMED)
        self._add("decode_errors")

    def _down(self, fact: facts.BrokerDown) -> None:
        self._outage_kind = fact.error_type

    def _up(self, fact: facts.BrokerUp) -> None:
        with self._store.lock:
            reason = self._store.error_type(self._outage_kind)
            self._store.counter("streamix_redis_reconnects_total", reason).value += 1

    def _failed(self, error_type: str) -> None:
        with self._store.lock:
            kind = self._store.error_type(error_type)
            self._store.counter("streamix_redis_errors_total", kind).value += 1

    # --- cells ----------------------------------------------------------------------------------

    def _add(self, name: str, *labels: str, by: float = 1) -> None:
        with self._store.lock:
            self._store.counter(f"streamix_{name}_total", self._stream, self._group, *labels).value += by

    def _of_group(self, name: str, *labels: str, by: float = 1) -> None:
        with self._store.lock:
            self._store.counter(f"streamix_{name}_total", self._group, *labels).value += by

    def _create_counters(self) -> None:
        """All of them at 0: ``increase()`` does not see that a series begins."""
        store, labels = self._store, (self._stream, self._group)
        known: dict[str, Sequence[str]] = {
            "received_messages": tuple(_SOURCES.values()),
            "redeliveries": _CAUSES,
            "dead_lettered_messages": Reason.ALL,
            "reclaimed_messages": ("claimed", "deleted"),
            "acked_messages": ("ok", "missing"),
            "retries": ("",),
        }
        for name, values in known.items():
            for value in values:
                store.counter(f"streamix_{name}_total", *labels, value)
        for name in ("leases_lost", "decode_errors"):
            store.counter(f"streamix_{name}_total", *labels)
        of_group: dict[str, Sequence[str]] = {
            "polls": ("messages", "empty", "error"),
            "lease_renewals": ("",),
            "worker_restarts": ("crash", "stuck"),
        }
        for name, values in of_group.items():
            for value in values:
                store.counter(f"streamix_{name}_total", self._group, value)
        store.counter("streamix_shutdown_abandoned_messages_total", self._group)
        store.counter("streamix_trimmed_entries_total", self._stream)
        store.histogram("streamix_receive_batch_messages", *labels)
        for error_type in _BROKER_ERRORS:
            store.counter("streamix_redis_errors_total", error_type)
            store.counter("streamix_redis_reconnects_total", error_type)


class PublisherMetrics:
    """An observer: counts what publishers write. Thread-safe."""

    def __init__(self, store: Store, stream: str) -> None:
        self._store = store
        self._stream = stream
        with store.lock:
            self._batch = store.histogram("streamix_publish_batch_messages", stream)
            self._size = store.histogram("streamix_message_size_bytes", stream)
            self._ok = store.counter("streamix_published_messages_total", stream, "")
            self._duration = store.histogram("streamix_publish_duration_seconds", stream, "")
            self._shed = store.counter("streamix_publish_shed_messages_total", stream)
            self._held_back = store.counter("streamix_publish_held_back_seconds_total", stream)
            for error_type in (*_BROKER_ERRORS, "PublishUnknown"):
                store.counter("streamix_published_messages_total", stream, error_type)

    def notice(self, fact: facts.Fact) -> None:
        """Count a publish, and what it asked of Redis."""
        if isinstance(fact, facts.Called):
            count_call(self._store, fact)
        elif isinstance(fact, facts.Shed):
            with self._store.lock:
                self._shed.value += fact.count
        elif isinstance(fact, facts.PublishFreed):
            with self._store.lock:
                self._held_back.value += fact.seconds
        elif isinstance(fact, facts.Published):
            store = self._store
            with store.lock:
                counter, duration = self._ok, self._duration
                if fact.error_type:
                    labels = (self._stream, store.error_type(fact.error_type))
                    counter = store.counter("streamix_published_messages_total", *labels)
                    duration = store.histogram("streamix_publish_duration_seconds", *labels)
                counter.value += fact.count
                duration.observe(fact.seconds)
                self._batch.observe(fact.count)
                self._size.observe_many(list(fact.sizes))


class ReplayMetrics:
    """An observer: counts the dead letters that an operator sends back."""

    def __init__(self, store: Store, stream: str) -> None:
        self._store = store
        with store.lock:
            self._replayed = store.counter("streamix_replayed_messages_total", stream, "dlq")

    def notice(self, fact: facts.Fact) -> None:
        """Count a replay."""
        if isinstance(fact, facts.DeadLetterReplayed):
            with self._store.lock:
                self._replayed.value += 1


def count_call(store: Store, fact: facts.Called) -> None:
    """Count a round trip to Redis."""
    with store.lock:
        error_type = store.error_type(fact.error_type)
        store.histogram("streamix_redis_command_duration_seconds", fact.command, error_type).observe(
            fact.seconds
        )
        if error_type:
            store.counter("streamix_redis_errors_total", error_type).value += 1


def consumer_gauges(stream: str, group: str, vitals: Vitals) -> Iterator[Gauge]:
    """How a running consumer is."""
    yield ("streamix_inflight_messages", (stream, group), vitals.running)
    for event, depth in vitals.mailboxes.items():
        yield ("streamix_mailbox_messages", (group, event), depth)
    yield ("streamix_mailbox_capacity_messages", (group,), vitals.capacity)
    stopped = sum(not actor.running for actor in vitals.actors if actor.name.startswith("worker-"))
    busy = min(vitals.running, vitals.workers)
    yield ("streamix_workers", (group, "busy"), busy)
    yield ("streamix_workers", (group, "idle"), vitals.workers - busy)
    yield ("streamix_workers", (group, "stopped"), stopped)
    yield ("streamix_oldest_inflight_seconds", (group,), vitals.oldest_running_s)
    yield ("streamix_redis_connected", (), 0.0 if vitals.outage_s else 1.0)
