"""The composition root: the one place of the library that picks implementations and wires telemetry in.

Only the collector and the probes of `streamix_telemetry` have a connection that is not made here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Protocol

from streamix_queue.broker.protocol import ConsumerBroker, MakeBroker, PublisherBroker
from streamix_queue.broker.redis.consumer import RedisConsumerBroker
from streamix_queue.broker.redis.link import Link
from streamix_queue.broker.redis.publisher import RedisPublisherBroker
from streamix_queue.core.config import ConsumerConfig
from streamix_queue.core.facts import Observer, ProcessInterceptor, PublishInterceptor, ReplayInterceptor
from streamix_queue.core.keys import Keys
from streamix_queue.core.vitals import Vitals
from streamix_queue.telling.observers import fan_out

if TYPE_CHECKING:
    from streamix_queue.broker.redis.operator.connection import RedisOperator

__all__ = [
    "Session",
    "Telemetry",
    "admin_telemetry",
    "probe_this_process",
    "publisher_telemetry",
    "redis_broker_factory",
    "redis_operator",
    "redis_publisher_broker",
    "watched",
]


def redis_broker_factory(url: str) -> MakeBroker:
    """Makes brokers for ``url``. Raises `ConfigError` now if the URL cannot be read."""
    Link(url, 5.0)

    def make(keys: Keys, consumer: str, timeout_s: float) -> ConsumerBroker:
        return RedisConsumerBroker(url, keys, consumer, timeout_s=timeout_s)

    return make


class Session(Protocol):
    """What watches one start of a consumer."""

    observers: list[Observer]
    interceptors: list[ProcessInterceptor]
    new_context: Callable[[], Context]

    @property
    def port(self) -> int | None:
        """The port that metrics and probes are served on, if they are."""
        ...

    def open(self, vitals: Callable[[], Vitals]) -> None:
        """Serve; raises `ConfigError` if the port cannot be had."""
        ...

    def close(self) -> None:
        """Serve no more."""
        ...


class Telemetry:
    """What watches one consumer: the library's own telemetry, then the user's."""

    def __init__(self, config: ConsumerConfig) -> None:
        self._config = config
        self._observers = tuple(config.observers)
        self._interceptors = tuple(config.interceptors)

    def session(self) -> Session:
        """A new one for each start."""
        from streamix_telemetry.process_telemetry import ConsumerTelemetry  # noqa: PLC0415 - not at import, see the layers

        config = self._config
        session = ConsumerTelemetry(
            config.redis_url,
            config.stream,
            config.group,
            lease_s=config.claim_idle_ms / 1000,
            trace_mode=config.trace_mode,
            metrics_host=config.metrics_host,
            metrics_port=config.metrics_port,
            registry=config.metrics_registry,
        )
        session.observers += self._observers
        session.interceptors += self._interceptors
        return session


def watched(make_broker: MakeBroker, observers: Sequence[Observer]) -> MakeBroker:
    """Brokers whose round trips are stated to ``observers``."""
    from streamix_telemetry.process_telemetry import watch  # noqa: PLC0415 - not at import, see the layers

    notice = fan_out(observers)
    return lambda keys, consumer, timeout_s: watch(make_broker(keys, consumer, timeout_s), notice)


def probe_this_process() -> tuple[Sequence[str], bool]:
    """What is wrong with the consumers that run in this process, and whether one was asked to stop."""
    from streamix_telemetry.process_telemetry import running_probes  # noqa: PLC0415 - not at import, see the layers

    probes = running_probes()
    problems = [problem for probe in probes for problem in probe.live().problems]
    return problems, any(probe.draining for probe in probes)


def publisher_telemetry(url: str, stream: str) -> tuple[list[Observer], list[PublishInterceptor]]:
    """The library's own observers and interceptors for one publisher."""
    from streamix_telemetry.process_telemetry import PublisherTelemetry  # noqa: PLC0415 - not at import, see the layers

    telemetry = PublisherTelemetry(url, stream)
    return telemetry.observers, telemetry.interceptors


def admin_telemetry(url: str, stream: str) -> tuple[list[Observer], list[ReplayInterceptor]]:
    """The library's own observers and interceptors for an operator's replays."""
    from streamix_telemetry.process_telemetry import AdminTelemetry  # noqa: PLC0415 - not at import, see the layers

    telemetry = AdminTelemetry(url, stream)
    return telemetry.observers, telemetry.interceptors


def redis_publisher_broker(url: str, timeout_s: float, observers: Sequence[Observer] = ()) -> PublisherBroker:
    """A publisher's broker for ``url``. Raises `ConfigError` if the URL cannot be read."""
    from streamix_telemetry.process_telemetry import watch  # noqa: PLC0415 - not at import, see the layers

    return watch(RedisPublisherBroker(url, timeout_s=timeout_s), fan_out(observers))


def redis_operator(url: str, timeout_s: float) -> RedisOperator:
    """An operator's connection to ``url``. Raises `ConfigError` if the URL cannot be read."""
    from streamix_queue.broker.redis.operator.connection import RedisOperator  # noqa: PLC0415 - no service needs it

    return RedisOperator(url, timeout_s=timeout_s)
