"""The log lines of retention, of pauses, and of publishers that are held back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from streamix_queue.core import facts
from streamix_queue.core.facts import ConsumerStarted, Fact
from streamix_telemetry.logs import Sink, printable

__all__ = ["UpkeepLogs"]

Line = tuple[int, str, dict[str, Any]]
"""(level, name, values)"""


def _pinned(fact: facts.StreamPinned) -> Line:
    """Who is waited for: without a reader (nothing pending) the group may be abandoned."""
    pins = [
        {"group": printable(pin.group), "behind_s": round(pin.age_s), "pending": pin.pending}
        for pin in fact.pins
    ]
    return logging.WARNING, "stream.pinned", {"pins": pins, "count": fact.count}


def _unpinned(_: facts.StreamUnpinned) -> Line:
    return logging.INFO, "stream.unpinned", {}


def _refused(fact: facts.UpkeepRefused) -> Line:
    refusal = {"chore": fact.chore, "error_type": fact.error_type, "error": printable(fact.error, 500)}
    return logging.WARNING, "upkeep.refused", refusal


def _began(fact: facts.PublishHeldBack) -> Line:
    about = {"behind": printable(fact.group), "backlog": fact.backlog, "limit": fact.limit}
    return logging.WARNING, "publish.held_back", about


def _ended(fact: facts.PublishFreed) -> Line:
    return logging.INFO, "publish.goes_on", {"backlog": fact.backlog, "after_s": round(fact.seconds, 3)}


_LINES: Final[dict[type[Fact], Callable[[Any], Line]]] = {
    facts.StreamTrimmed: lambda fact: (
        logging.DEBUG,
        "stream.trimmed",
        {"count": fact.count, "length": fact.length},
    ),
    facts.StreamPinned: _pinned,
    facts.StreamUnpinned: _unpinned,
    facts.NamesRemoved: lambda fact: (
        logging.INFO,
        "consumers.removed",
        {"names": [printable(name) for name in fact.names[:100]], "count": len(fact.names)},
    ),
    facts.UpkeepRefused: _refused,
    facts.EventPaused: lambda fact: (
        logging.WARNING,
        "event.paused",
        {"event_name": printable(fact.event), "parked": fact.parked},
    ),
    facts.EventResumed: lambda fact: (
        logging.WARNING,
        "event.resumed",
        {"event_name": printable(fact.event)},
    ),
    facts.PublishHeldBack: _began,
    facts.PublishFreed: _ended,
}


class UpkeepLogs:
    """An observer: writes these lines of one consumer or publisher. Thread-safe."""

    def __init__(self, stream: str, group: str | None = None) -> None:
        self._whose = {"stream": stream} if group is None else {"stream": stream, "group": group}
        self._sink = Sink()

    def notice(self, fact: Fact) -> None:
        """Write the line of ``fact``, if it has one."""
        if isinstance(fact, ConsumerStarted):
            self._whose = {**self._whose, "consumer": fact.consumer}
            return
        make = _LINES.get(type(fact))
        if make is not None:
            level, name, values = make(fact)
            self._sink.write(level, name, {**self._whose, **values})
