"""Brokers that state how long their round trips took, and that no instrumentation records."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar, cast

from opentelemetry import context as otel_context

from streamix_queue.core.facts import Called, Fact
from streamix_telemetry.trace_context import suppressed

__all__ = ["watched"]

_SUPPRESSED: Final = suppressed()
# Called from other threads, and no round trips.
_UNWATCHED: Final = frozenset({"abort", "close", "interrupt"})
_Broker = TypeVar("_Broker")
Notice = Callable[[Fact], None]


def watched(broker: _Broker, notice: Notice) -> _Broker:
    """``broker``, whose every round trip is stated to ``notice`` under the name of its method."""
    return cast("_Broker", _Watched(broker, notice))


class _Watched:
    """Stands in for a broker of any kind: what a method is called with goes on to it unchanged."""

    def __init__(self, broker: Any, notice: Notice) -> None:
        self._broker = broker
        self._notice = notice

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._broker, name)
        if callable(method) and name not in _UNWATCHED:
            method = partial(self._call, name, method)
            setattr(self, name, method)  # looked up once
        return method

    def _call(self, command: str, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        token = otel_context.attach(_SUPPRESSED)
        error_type, started = "", time.perf_counter()
        try:
            return method(*args, **options)
        except BaseException as error:
            error_type = type(error).__name__
            raise
        finally:
            seconds = time.perf_counter() - started
            otel_context.detach(token)
            self._notice(Called(command, seconds, error_type))

    def read(self, *args: Any) -> Any:
        """Not stated here but as `Polled`: most of its time is waiting."""
        token = otel_context.attach(_SUPPRESSED)
        try:
            return self._broker.read(*args)
        finally:
            otel_context.detach(token)

    def settle(self, *args: Any) -> Any:
        """Stated with the acks that found nothing."""
        answers = self._call("settle", self._broker.settle, *args)
        if unacked := getattr(self._broker, "unacked", 0):
            self._notice(Called("ack", 0.0, unacked=unacked))
        return answers
