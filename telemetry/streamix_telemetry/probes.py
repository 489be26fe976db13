"""Whether a consumer makes progress and takes messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry import context as otel_context

from streamix_queue.broker.redis.group_backlog import BacklogReader
from streamix_queue.core.errors import BrokerError
from streamix_queue.core.keys import Keys
from streamix_queue.core.vitals import ActorVitals, Vitals
from streamix_telemetry.trace_context import suppressed

__all__ = ["ConsumerProbe", "Found"]

_REPLY_S = 1.0
_KEEP_S = 1.0
_SUPERVISOR_SILENT_S = 30.0


@dataclass(frozen=True)
class Found:
    """What a probe found."""

    name: str
    problems: tuple[str, ...]


class ConsumerProbe:
    """Looks after one consumer. Thread-safe.

    Args:
        redis_url: The server.
        stream: The stream.
        group: The group.
        vitals: Tells how the consumer is.
    """

    def __init__(self, redis_url: str, stream: str, group: str, vitals: Callable[[], Vitals]) -> None:
        self._keys = Keys(stream, group)
        self._vitals = vitals
        self._name = f"{stream}/{group}"
        self._lock = threading.Lock()  # one question at a time; guards what follows
        self._inspector = BacklogReader(redis_url, timeout_s=_REPLY_S)
        self._kept = ""
        self._kept_until = 0.0

    def live(self) -> Found:
        """Does every actor make progress? Asks nobody."""
        vitals = self._vitals()
        problems = [
            f"{actor.name}: no progress for {actor.silent_s:.0f} s"
            for actor in vitals.actors
            if _stalled(actor)
        ]
        if vitals.supervisor_silent_s > _SUPERVISOR_SILENT_S:
            problems.append(f"supervisor: no progress for {vitals.supervisor_silent_s:.0f} s")
        return Found(self._name, tuple(problems))

    def ready(self) -> Found:
        """Does it take messages? Asks Redis, once a second at most."""
        vitals = self._vitals()
        if vitals.draining:
            return Found(self._name, ("draining",))
        problem = "redis: cannot be reached" if vitals.outage_s else self._ask_redis()
        return Found(self._name, (problem,) if problem else ())

    @property
    def draining(self) -> bool:
        """Was it asked to stop? Asks nobody."""
        return self._vitals().draining

    def close(self) -> None:
        """Close the connection to Redis."""
        with self._lock:
            self._inspector.close()

    def _ask_redis(self) -> str:
        with self._lock:
            if time.monotonic() >= self._kept_until:
                self._kept = self._look()
                self._kept_until = time.monotonic() + _KEEP_S
            return self._kept

    def _look(self) -> str:
        token = otel_context.attach(suppressed())
        try:
            there = self._inspector.has_group(self._keys)
        except BrokerError as error:
            return f"redis: {type(error).__name__}"
        finally:
            otel_context.detach(token)
        return "" if there else "group: it is gone"


def _stalled(actor: ActorVitals) -> bool:
    """Silent for twice its deadline: the supervisor should have replaced it by now."""
    return actor.running and actor.deadline_s is not None and actor.silent_s > 2 * actor.deadline_s
