"""Facts as log lines: one per settled message, one per change of state. Never per attempt.

The library configures no logging. Unconfigured, structlog's lines go through the standard
logger ``streamix_queue``: nothing on stdout, warnings and errors on stderr.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import structlog

from streamix_queue.core import facts
from streamix_queue.core.delivery import Delivery
from streamix_queue.core.outcome import DeadLetter, HandOver, RetryLater

__all__ = ["LogObserver"]

_logger = logging.getLogger("streamix_queue")


def _render(logger: Any, method: str, event: dict[str, Any]) -> str:
    """``name key=value …``; values are quoted as Python would, so hostile text stays on its line."""
    name = event.pop("event")
    return " ".join([str(name), *(f"{key}={value!r}" for key, value in event.items())])


def _line(level: int, name: str, **values: Any) -> None:
    if not _logger.isEnabledFor(level):
        return
    if structlog.is_configured():
        structlog.get_logger("streamix_queue").log(level, name, **values)
    else:
        _logger.log(level, "%s", _render(None, "", {"event": name, **values}))


class LogObserver:
    """Writes log lines. Thread-safe."""

    def __init__(self) -> None:
        self._lines: dict[type[facts.Fact], Callable[[Any], None]] = {
            facts.Settled: self._settled,
            facts.ConsumerStarted: self._started,
            facts.GroupCreated: self._group_created,
            facts.BrokerDown: self._broker_down,
            facts.BrokerUp: self._broker_up,
            facts.LeaseLost: self._lease_lost,
            facts.Trimmed: self._trimmed,
            facts.SuspectStarted: self._suspect_started,
            facts.SettleFailed: self._settle_failed,
            facts.ActorCrashed: self._actor_crashed,
            facts.ActorStalled: self._actor_stalled,
            facts.Draining: self._draining,
            facts.Drained: self._drained,
            facts.Reclaimed: self._reclaimed,
        }

    def notice(self, fact: facts.Fact) -> None:
        """Write the lines of ``fact``, if it has any."""
        write = self._lines.get(type(fact))
        if write is not None:
            write(fact)

    def _settled(self, fact: facts.Settled) -> None:
        quiet = not _logger.isEnabledFor(logging.DEBUG)
        for delivery in fact.deliveries:
            outcome = delivery.outcome
            if isinstance(outcome, DeadLetter):
                _line(logging.ERROR, "message.dead_lettered", **_about(delivery), reason=outcome.reason)
            elif isinstance(outcome, RetryLater):
                _line(
                    logging.WARNING,
                    "message.retry_scheduled",
                    **_about(delivery),
                    delay_ms=outcome.delay_ms,
                )
            elif isinstance(outcome, HandOver) and delivery.source == "dropped":
                self._unhandled(delivery)
            elif not quiet:
                name = "message.processed" if outcome is not None and outcome.name == "ack" else "message.moved"
                _line(logging.DEBUG, name, **_about(delivery))

    def _unhandled(self, delivery: Delivery) -> None:
        _line(logging.DEBUG, "message.unhandled", **_about(delivery))

    def _started(self, fact: facts.ConsumerStarted) -> None:
        _line(
            logging.INFO,
            "consumer.started",
            stream=fact.stream,
            group=fact.group,
            consumer=fact.consumer,
            concurrency=fact.concurrency,
            events=[registration.event for registration in fact.registrations],
        )

    def _group_created(self, fact: facts.GroupCreated) -> None:
        level = logging.ERROR if fact.again else logging.INFO
        name = "group.created_again" if fact.again else "group.created"
        _line(
            level, name, stream=fact.stream, group=fact.group, start=fact.start, existing_entries=fact.existing
        )

    def _broker_down(self, fact: facts.BrokerDown) -> None:
        _line(logging.ERROR, "redis.disconnected", error_type=fact.error_type, error=fact.error)

    def _broker_up(self, fact: facts.BrokerUp) -> None:
        _line(logging.WARNING, "redis.reconnected", after_s=round(fact.seconds, 3))

    def _lease_lost(self, fact: facts.LeaseLost) -> None:
        _line(logging.WARNING, "lease.lost", **_about(fact.delivery))

    def _trimmed(self, fact: facts.Trimmed) -> None:
        _line(logging.ERROR, "message.trimmed", stream=fact.key, entry_id=fact.entry_id, held=fact.held)

    def _suspect_started(self, fact: facts.SuspectStarted) -> None:
        entry_id = fact.delivery.entry_id.decode()
        _line(logging.WARNING, "message.suspect_started", entry_id=entry_id, starts=fact.starts)

    def _settle_failed(self, fact: facts.SettleFailed) -> None:
        _line(
            logging.ERROR,
            "message.settle_failed",
            **_about(fact.delivery),
            refused_with=fact.error_type,
            refusal=fact.error,
        )

    def _actor_crashed(self, fact: facts.ActorCrashed) -> None:
        _line(
            logging.ERROR,
            "actor.crashed",
            actor=fact.actor,
            error_type=fact.error_type,
            traceback=fact.traceback,
        )

    def _actor_stalled(self, fact: facts.ActorStalled) -> None:
        _line(logging.ERROR, "actor.stalled", actor=fact.actor, after_s=round(fact.seconds, 1))

    def _draining(self, fact: facts.Draining) -> None:
        _line(logging.INFO, "consumer.draining", running=fact.running, timeout_s=fact.timeout_s)

    def _drained(self, fact: facts.Drained) -> None:
        level = logging.ERROR if fact.abandoned else logging.INFO
        _line(level, "consumer.stopped", abandoned=fact.abandoned, after_s=round(fact.seconds, 3))

    def _reclaimed(self, fact: facts.Reclaimed) -> None:
        _line(logging.WARNING, "messages.reclaimed", count=fact.count)


def _about(delivery: Delivery) -> dict[str, Any]:
    message, failure = delivery.message, delivery.failure
    about: dict[str, Any] = {
        "event_name": delivery.event,
        "message_id": message.id if message else "",
        "entry_id": delivery.entry_id.decode(errors="replace"),
        "attempt": delivery.attempt,
    }
    if delivery.finished_at:
        about["duration_ms"] = round((delivery.finished_at - delivery.started_at) * 1000, 3)
    if failure is not None:
        about["error_type"] = failure.error_type
        about["error"] = failure.error[:200]
    return about
