"""What watches one consumer or publisher, put together as the settings of the process say."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextvars import Context
from dataclasses import replace
from typing import TypeVar

from prometheus_client import CollectorRegistry

from streamix_queue.core.facts import (
    Fact,
    Observer,
    ProcessInterceptor,
    PublishInterceptor,
    ReplayInterceptor,
)
from streamix_queue.core.vitals import Vitals
from streamix_telemetry import settings
from streamix_telemetry.collector import Target, backlog_for
from streamix_telemetry.health import HealthServer, port_of_process
from streamix_telemetry.logs import LogContext, LogObserver
from streamix_telemetry.metric_kinds import Sample
from streamix_telemetry.metrics import ConsumerMetrics, PublisherMetrics, ReplayMetrics, consumer_gauges
from streamix_telemetry.probes import ConsumerProbe
from streamix_telemetry.publish_tracing import PublisherTracing
from streamix_telemetry.registry_store import store_for
from streamix_telemetry.replay_tracing import ReplayTracing
from streamix_telemetry.trace_names import server_attributes
from streamix_telemetry.tracing import ConsumerTracing
from streamix_telemetry.watched_broker import watched

__all__ = [
    "AdminTelemetry",
    "ConsumerTelemetry",
    "PublisherTelemetry",
    "running_probes",
    "watch",
    "watch_backlog",
]

_Broker = TypeVar("_Broker")
_running: list[ConsumerProbe] = []
_lock = threading.Lock()  # guards the list


def running_probes() -> list[ConsumerProbe]:
    """Probes of the consumers that run in this process."""
    with _lock:
        return list(_running)


class ConsumerTelemetry:
    """Of one start of a consumer.

    Args:
        redis_url: The server.
        stream: The stream.
        group: The group.
        lease_s: How long a member may be silent.
        trace_mode: ``continue`` or ``link``; None takes the settings'.
        metrics_host: Address for ``metrics_port``.
        metrics_port: Serve metrics and probes here, the backlog included.
        registry: Where metrics go; None takes the settings'.

    Attributes:
        observers, interceptors, new_context: For the consumer.
    """

    def __init__(
        self,
        redis_url: str,
        stream: str,
        group: str,
        *,
        lease_s: float,
        trace_mode: str | None = None,
        metrics_host: str = "127.0.0.1",
        metrics_port: int | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        chosen = settings.current()
        self._url, self._stream, self._group, self._lease_s = redis_url, stream, group, lease_s
        self._host, self._port = metrics_host, metrics_port
        self._registry = registry if registry is not None else chosen.registry
        self._vitals: Callable[[], Vitals] | None = None
        self._probe: ConsumerProbe | None = None
        self._server: HealthServer | None = None
        self._target: Target | None = None
        self._metrics: ConsumerMetrics | None = None
        self.observers: list[Observer] = []
        self.interceptors: list[ProcessInterceptor] = []
        self.new_context: Callable[[], Context] = Context
        if chosen.metrics:
            self._metrics = ConsumerMetrics(store_for(self._registry), stream, group)
            self.observers.append(self._metrics)
        if chosen.traces:
            options = chosen.trace if trace_mode is None else replace(chosen.trace, mode=trace_mode)
            tracing = ConsumerTracing(options, server_attributes(redis_url), stream, group)
            self.observers.append(tracing)
            self.interceptors.append(tracing)
        if chosen.logs:
            # Within the span, whose ids it binds.
            context = LogContext(stream, group)
            self.interceptors.append(context)
            self.observers += (context, LogObserver(stream, group))
            self.new_context = context.new_context

    @property
    def port(self) -> int | None:
        """The port that metrics and probes are served on."""
        return self._server.port if self._server is not None else None

    def open(self, vitals: Callable[[], Vitals]) -> None:
        """Serve, and show gauges.

        Raises:
            ConfigError: the port cannot be had.
        """
        self._vitals = vitals
        self._probe = ConsumerProbe(self._url, self._stream, self._group, vitals)
        if self._port is not None:
            probe = self._probe
            port = port_of_process(self._port)
            self._server = HealthServer(self._host, port, self._registry, lambda: [probe])
            self._target = Target(self._url, self._stream, self._group, self._lease_s)
            backlog_for(self._registry).watch(self._target)
        if self._metrics is not None:
            store_for(self._registry).add_source(self._gauges)
        with _lock:
            _running.append(self._probe)

    def close(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._target is not None:
            backlog_for(self._registry).forget(self._target)
            self._target = None
        if self._metrics is not None:
            store_for(self._registry).remove_source(self._gauges)
        if self._probe is not None:
            with _lock:
                if self._probe in _running:
                    _running.remove(self._probe)
            self._probe.close()
            self._probe = None

    def _gauges(self) -> Iterator[Sample]:
        if self._metrics is not None and self._vitals is not None:
            yield from consumer_gauges(self._stream, self._group, self._vitals())
            yield from self._metrics.gauges()


class PublisherTelemetry:
    """Of one publisher; made once, used by every thread.

    Attributes:
        observers, interceptors: For the publisher.
    """

    def __init__(self, redis_url: str, stream: str) -> None:
        chosen = settings.current()
        self.observers: list[Observer] = []
        self.interceptors: list[PublishInterceptor] = []
        if chosen.metrics:
            self.observers.append(PublisherMetrics(store_for(chosen.registry), stream))
        if chosen.traces:
            self.interceptors.append(PublisherTracing(chosen.trace, server_attributes(redis_url), stream))
        if chosen.logs:
            self.observers.append(LogObserver(stream))


class AdminTelemetry:
    """Of one operator's client.

    Attributes:
        observers, interceptors: For its replays.
    """

    def __init__(self, redis_url: str, stream: str) -> None:
        chosen = settings.current()
        self.observers: list[Observer] = []
        self.interceptors: list[ReplayInterceptor] = []
        if chosen.metrics:
            self.observers.append(ReplayMetrics(store_for(chosen.registry), stream))
        if chosen.traces:
            self.interceptors.append(ReplayTracing(server_attributes(redis_url), stream))


def watch(broker: _Broker, notice: Callable[[Fact], None]) -> _Broker:
    """``broker``, stating its round trips, if anybody counts them."""
    return watched(broker, notice) if settings.current().metrics else broker


def watch_backlog(
    redis_url: str,
    stream: str,
    group: str,
    *,
    lease_s: float = 60.0,
    memory: bool = False,
    registry: CollectorRegistry | None = None,
) -> Callable[[], None]:
    """Show the backlog of a group on a page that the application serves itself.

    Reading that page then asks Redis, for two seconds at most. A consumer with a ``metrics_port``
    shows its own; one process of a service is enough.

    Args:
        redis_url: The server.
        stream: The stream.
        group: The group.
        lease_s: A member that is silent for longer counts as stale.
        memory: Also show the memory of the stream.
        registry: None takes the settings'.

    Returns:
        A function that ends it.
    """
    collector = backlog_for(registry if registry is not None else settings.current().registry)
    target = Target(redis_url, stream, group, lease_s, memory)
    collector.watch(target)
    return lambda: collector.forget(target)


def _forked() -> None:
    # The consumers run in the parent; another thread may have held the lock.
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _running.clear()


os.register_at_fork(after_in_child=_forked)
