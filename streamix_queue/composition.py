"""The composition root: the one place that picks implementations and wires telemetry in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamix_queue.actors.assembly import MakeBroker
from streamix_queue.broker.link import Link
from streamix_queue.broker.protocol import ConsumerBroker, PublisherBroker
from streamix_queue.broker.redis import RedisConsumerBroker
from streamix_queue.broker.redis_admin import RedisAdminBroker
from streamix_queue.broker.redis_publisher import RedisPublisherBroker
from streamix_queue.core.facts import Interceptor, Observer
from streamix_queue.core.keys import Keys

if TYPE_CHECKING:
    from streamix_queue.consumer import Consumer

__all__ = ["Telemetry", "redis_admin_broker", "redis_broker_factory", "redis_publisher_broker"]


def redis_broker_factory(url: str) -> MakeBroker:
    """Makes brokers for ``url``. Raises `ConfigError` now if the URL cannot be read."""
    Link(url, 5.0)

    def make(keys: Keys, consumer: str, timeout_s: float) -> ConsumerBroker:
        return RedisConsumerBroker(url, keys, consumer, timeout_s=timeout_s)

    return make


class Telemetry:
    """What watches one consumer: the library's own observers and the user's."""

    def __init__(
        self,
        observers: Sequence[Observer],
        interceptors: Sequence[Interceptor],
        metrics_port: int | None,
    ) -> None:
        self._observers = tuple(observers)
        self._interceptors = tuple(interceptors)
        self._metrics_port = metrics_port

    def observers(self) -> tuple[Observer, ...]:
        """The log lines, and the user's observers."""
        from streamix_telemetry.logs import LogObserver  # noqa: PLC0415 - not at import, see the layers

        return (LogObserver(), *self._observers)

    def interceptors(self) -> tuple[Interceptor, ...]:
        """The user's interceptors."""
        return self._interceptors

    def open(self, consumer: Consumer) -> None:
        """Open what serves ``consumer``; raises before any message is taken."""

    def close(self) -> None:
        """Close it."""


def redis_publisher_broker(url: str, timeout_s: float) -> PublisherBroker:
    """A publisher's broker for ``url``. Raises `ConfigError` if the URL cannot be read."""
    return RedisPublisherBroker(url, timeout_s=timeout_s)


def redis_admin_broker(url: str, timeout_s: float) -> RedisAdminBroker:
    """An operator's broker for ``url``. Raises `ConfigError` if the URL cannot be read."""
    return RedisAdminBroker(url, timeout_s=timeout_s)
