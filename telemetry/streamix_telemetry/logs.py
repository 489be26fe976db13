"""Facts as log lines: one for each settled message, one for each change of state.

What is tried again until it works, as to reach Redis, has a line when it begins and one when it
ends, and none for the attempts in between.

The library configures no logging. Unconfigured, structlog's lines go through the standard logger
``streamix_queue`` instead: nothing on stdout, warnings and errors on stderr. While a handler runs,
the ids of its message are bound, so that the lines it writes itself have them.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

import structlog

from streamix_queue.core import facts
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.outcome import ACK, DeadLetter, Dropped, RetryLater
from streamix_queue.core.vitals import is_worker
from streamix_telemetry.kept_span import Kept, ids_of

__all__ = ["LogContext", "LogObserver", "Sink", "printable"]

_LOGGER: Final = "streamix_queue"
_MAX_TEXT = 200
_METHODS: Final = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
}

_standard = logging.getLogger(_LOGGER)


def printable(text: str, limit: int = _MAX_TEXT) -> str:
    """``text`` bounded and on one line: what others wrote must not steer a terminal or fake a line."""
    if len(text) > limit:
        text = text[:limit] + "…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Sink:
    """Where lines go: to structlog if somebody configured it, else to the standard logger."""

    def __init__(self) -> None:
        self._structured = structlog.get_logger(_LOGGER)

    def enabled(self, level: int) -> bool:
        """False if a line of this level would be thrown away."""
        if not structlog.is_configured():
            return _standard.isEnabledFor(level)
        logger = self._structured.bind()
        check = getattr(logger, "is_enabled_for", None) or getattr(logger, "isEnabledFor", None)
        if check is not None:
            return bool(check(level))
        return getattr(getattr(logger, _METHODS[level]), "__name__", "") != "_nop"

    def write(self, level: int, name: str, values: dict[str, Any]) -> None:
        """Write one line."""
        if structlog.is_configured():
            getattr(self._structured, _METHODS[level])(name, logger=_LOGGER, **values)
        elif _standard.isEnabledFor(level):
            # Quoted as Python would: hostile text stays on its line.
            text = " ".join([name, *[f"{key}={value!r}" for key, value in values.items()]])
            # Not `log()`, which would search the stack for a caller that is always this line.
            _standard.handle(_standard.makeRecord(_LOGGER, level, __file__, 0, "%s", (text,), None))


class LogObserver:
    """Writes the log lines of one consumer or publisher. Thread-safe."""

    def __init__(self, stream: str, group: str | None = None) -> None:
        self._whose = {"stream": stream} if group is None else {"stream": stream, "group": group}
        self._sink = Sink()
        self._writers: dict[type[facts.Fact], Callable[[Any], None]] = {
            facts.Settled: self._settled,
            facts.LeaseLost: self._lease_lost,
            facts.SettleFailed: self._settle_failed,
            facts.ConsumerStarted: self._started,
        }

    def notice(self, fact: facts.Fact) -> None:
        """Write the lines of ``fact``, if it has any."""
        kind = type(fact)
        write = self._writers.get(kind)
        if write is not None:
            write(fact)
            return
        line = _LINES.get(kind)
        if line is not None:
            self._write(*line(fact))

    def _settled(self, fact: facts.Settled) -> None:
        debug = self._sink.enabled(logging.DEBUG)
        for attempt in fact.attempts:
            outcome = attempt.outcome
            if outcome is ACK and not debug:
                continue
            if isinstance(outcome, DeadLetter):
                about = self._about(attempt, reason=outcome.reason)
                self._sink.write(logging.ERROR, "message.dead_lettered", about)
            elif isinstance(outcome, RetryLater):
                about = self._about(attempt, delay_ms=outcome.delay_ms)
                self._sink.write(logging.WARNING, "message.retry_scheduled", about)
            elif debug:
                self._sink.write(logging.DEBUG, _quiet_name(attempt), self._about(attempt))

    def _lease_lost(self, fact: facts.LeaseLost) -> None:
        self._sink.write(logging.WARNING, "lease.lost", self._about(fact.attempt))

    def _settle_failed(self, fact: facts.SettleFailed) -> None:
        about = self._about(fact.attempt, refused_with=fact.error_type, refusal=printable(fact.error))
        self._sink.write(logging.ERROR, "message.settle_failed", about)

    def _started(self, fact: facts.ConsumerStarted) -> None:
        self._whose = {**self._whose, "consumer": fact.consumer}
        events = [registration.event for registration in fact.registrations]
        self._write(logging.INFO, "consumer.started", {"concurrency": fact.concurrency, "events": events})

    def _write(self, level: int, name: str, values: dict[str, Any]) -> None:
        self._sink.write(level, name, {**self._whose, **values})

    def _about(self, attempt: Attempt, **more: Any) -> dict[str, Any]:
        message, failure, ids = attempt.message, attempt.failure, ids_of(attempt)
        about: dict[str, Any] = {
            **self._whose,
            "event_name": printable(attempt.event),
            "message_id": printable(message.id) if message else "",
            "entry_id": attempt.entry.id.decode(errors="replace"),
            "attempt": attempt.number,
            "outcome": attempt.outcome.name if attempt.outcome is not None else "",
        }
        if attempt.finished_at:
            about["duration_ms"] = round((attempt.finished_at - attempt.started_at) * 1000, 3)
            about["mailbox_ms"] = round((attempt.started_at - attempt.entry.read_at) * 1000, 3)
        if failure is not None:
            about["error_type"] = failure.error_type
            about["error"] = printable(failure.error)
        if ids is not None:
            about["trace_id"], about["span_id"] = ids
        return {**about, **more}


def _quiet_name(attempt: Attempt) -> str:
    """The name of a line at debug: an ending that needs nobody's attention."""
    if attempt.outcome is ACK:
        return "message.processed"
    if isinstance(attempt.outcome, Dropped):
        return "message.unhandled"
    return "message.moved"


# --- facts that have one line, and say of no attempt how it went -------------------------------

Line = tuple[int, str, dict[str, Any]]
"""(level, name, values)"""


def _group_created(fact: facts.GroupCreated) -> Line:
    values = {"start": fact.start, "existing_entries": fact.existing}
    if fact.again:
        return logging.ERROR, "group.created_again", values
    return logging.INFO, "group.created", values


def _drained(fact: facts.Drained) -> Line:
    level = logging.ERROR if fact.overran else logging.INFO
    return level, "consumer.stopped", {"abandoned": fact.overran, "after_s": round(fact.seconds, 3)}


def _crashed(fact: facts.ActorCrashed) -> Line:
    trace = "\n".join(printable(line) for line in fact.traceback.splitlines())
    values = {"actor": fact.actor, "error_type": fact.error_type, "traceback": trace}
    return logging.ERROR, "actor.crashed", values


def _overran(fact: facts.ActorOverran) -> Line:
    """Of a worker only a warning: what it was running is counted where the consumer stops."""
    level = logging.WARNING if is_worker(fact.actor) else logging.ERROR
    return level, "actor.overran", {"actor": fact.actor, "after_s": round(fact.seconds, 1)}


def _pinned(fact: facts.StreamPinned) -> Line:
    """Whom the stream waits for: a group with nothing pending may have no reader any more."""
    pins = [
        {"group": printable(pin.group), "behind_s": round(pin.age_s), "pending": pin.pending}
        for pin in fact.pins
    ]
    return logging.WARNING, "stream.pinned", {"pins": pins, "count": fact.count}


def _upkeep_refused(fact: facts.UpkeepRefused) -> Line:
    values = {"chore": fact.chore, "error_type": fact.error_type, "error": printable(fact.error, 500)}
    return logging.WARNING, "upkeep.refused", values


def _held_back(fact: facts.PublishHeldBack) -> Line:
    values = {"behind": printable(fact.group), "backlog": fact.backlog, "limit": fact.limit}
    return logging.WARNING, "publish.held_back", values


_LINES: Final[dict[type[facts.Fact], Callable[[Any], Line]]] = {
    facts.GroupCreated: _group_created,
    facts.Draining: lambda fact: (
        logging.INFO,
        "consumer.draining",
        {"running": fact.running, "timeout_s": fact.timeout_s},
    ),
    facts.Drained: _drained,
    facts.BrokerDown: lambda fact: (
        logging.ERROR,
        "redis.disconnected",
        {"error_type": fact.error_type, "error": printable(fact.error, 500)},
    ),
    facts.BrokerUp: lambda fact: (
        logging.WARNING,
        "redis.reconnected",
        {"after_s": round(fact.seconds, 3)},
    ),
    facts.Reclaimed: lambda fact: (logging.WARNING, "messages.reclaimed", {"count": fact.count}),
    facts.Trimmed: lambda fact: (
        logging.ERROR,
        "message.trimmed",
        {"key": fact.key, "entry_id": fact.entry_id, "held": fact.held},
    ),
    facts.Unreadable: lambda _: (logging.ERROR, "retry.unreadable", {}),
    facts.SuspectStarted: lambda fact: (
        logging.WARNING,
        "message.suspect_started",
        {"entry_id": fact.attempt.entry.id.decode(), "starts": fact.starts},
    ),
    facts.ActorStarted: lambda fact: (logging.DEBUG, "actor.started", {"actor": fact.actor}),
    facts.ActorCrashed: _crashed,
    facts.ActorStalled: lambda fact: (
        logging.ERROR,
        "actor.stalled",
        {"actor": fact.actor, "after_s": round(fact.seconds, 1)},
    ),
    facts.ActorRestarted: lambda fact: (
        logging.WARNING,
        "actor.restarted",
        {"actor": fact.actor, "attempt": fact.attempt},
    ),
    facts.ActorOverran: _overran,
    facts.StreamTrimmed: lambda fact: (
        logging.DEBUG,
        "stream.trimmed",
        {"count": fact.count, "length": fact.length},
    ),
    facts.StreamPinned: _pinned,
    facts.StreamUnpinned: lambda _: (logging.INFO, "stream.unpinned", {}),
    facts.NamesRemoved: lambda fact: (
        logging.INFO,
        "consumers.removed",
        {"names": [printable(name) for name in fact.names[:100]], "count": len(fact.names)},
    ),
    facts.UpkeepRefused: _upkeep_refused,
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
    facts.PublishHeldBack: _held_back,
    facts.PublishFreed: lambda fact: (
        logging.INFO,
        "publish.goes_on",
        {"backlog": fact.backlog, "after_s": round(fact.seconds, 3)},
    ),
}


class LogContext:
    """A `ProcessInterceptor`: binds what a message is, for the lines that its handler writes.

    Only when structlog is configured: else there is nobody to read it. Each attempt runs in a
    context of its own (see `new_context`), so that nothing has to be taken back, and what other
    lines of the application have bound stays as it is.
    """

    def __init__(self, stream: str, group: str) -> None:
        self._base = contextvars.Context()
        self.new_context: Callable[[], contextvars.Context] = self._base.copy
        """Makes a context in which stream and group are bound already."""
        self._bind(stream=stream, group=group)
        self._message_id = _variable("message_id")
        self._event = _variable("event_name")
        self._attempt = _variable("attempt")
        self._trace_id = _variable("trace_id")
        self._span_id = _variable("span_id")
        self._wanted = structlog.is_configured()

    def notice(self, fact: facts.Fact) -> None:
        """Learn the consumer's name, and at each poll whether structlog is configured by now."""
        if isinstance(fact, facts.Polled):
            self._wanted = structlog.is_configured()
        elif isinstance(fact, facts.ConsumerStarted):
            self._bind(consumer=fact.consumer)

    def processing(self, attempt: Attempt) -> AbstractContextManager[None] | None:
        """Bind; the context of the attempt ends with it."""
        message = attempt.message
        if not self._wanted or message is None:
            return None
        identity, event = message.id, message.event
        self._message_id.set(identity if identity.isprintable() else printable(identity))
        self._event.set(event if event.isprintable() else printable(event))
        self._attempt.set(message.retries + 1)
        if isinstance(attempt.span, Kept):
            ids = ids_of(attempt)
            if ids is not None:
                self._trace_id.set(ids.trace_id)
                self._span_id.set(ids.span_id)
        return None

    def _bind(self, **values: str) -> None:
        self._base.run(structlog.contextvars.bind_contextvars, **values)


def _variable(name: str) -> contextvars.ContextVar[Any]:
    """The variable in which structlog keeps ``name``: setting it costs a fifth of its function."""
    context = contextvars.Context()
    context.run(structlog.contextvars.bind_contextvars, **{name: None})
    return next(iter(context))
