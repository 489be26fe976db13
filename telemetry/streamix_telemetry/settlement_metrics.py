"""Settled messages as metrics: what metrics cost each message is spent here.

A batch is counted under one lock. What went well at the first attempt is counted together, and
looked at one by one only when a trace is to become the exemplar of a bucket.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from operator import sub
from typing import Final

from streamix_queue.core import facts
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.outcome import ACK, Ack, DeadLetter, Outcome, Reason
from streamix_queue.core.wire import history_of
from streamix_telemetry import catalogue
from streamix_telemetry.catalogue import FINAL_OUTCOMES, OTHER, OUTCOMES
from streamix_telemetry.cells import CounterCell, HistogramCell
from streamix_telemetry.delivery_history import published_at, redelivery_cause
from streamix_telemetry.kept_span import sampled_ids
from streamix_telemetry.metric_kinds import Histogram
from streamix_telemetry.registry_store import OwnCells

__all__ = ["SettlementMetrics"]

_FEW: Final = 5


class _Event:
    """The cells of one event, and of what went well."""

    __slots__ = ("acks", "durations")

    def __init__(self, acks: CounterCell, durations: HistogramCell) -> None:
        self.acks = acks
        self.durations = durations


class _Rare:
    """The cells of what did not go well at once, by all that tells such attempts apart.

    Attributes:
        durations: Made with the first that was run: what is moved on has no duration.
    """

    __slots__ = ("durations", "processed", "redelivered", "retried")

    def __init__(
        self, processed: CounterCell, redelivered: CounterCell | None, retried: CounterCell | None
    ) -> None:
        self.processed = processed
        self.redelivered = redelivered
        self.retried = retried
        self.durations: HistogramCell | None = None


class SettlementMetrics:
    """Counts the settled attempts of one consumer. Thread-safe.

    Args:
        cells: The consumer's; who makes this holds the lock of their store.
    """

    def __init__(self, cells: OwnCells) -> None:
        self._cells = cells
        self._store = cells.store
        self._events: dict[str, _Event] = {}
        self._rare: dict[tuple[str, str, str | None, str], _Rare] = {}
        self._unacked = 0
        self._queue_time = cells.at(catalogue.QUEUE_TIME_SECONDS)
        self._end_to_end = self._by_outcome(catalogue.END_TO_END_SECONDS)
        self._attempts = self._by_outcome(catalogue.MESSAGE_ATTEMPTS)
        self._mailbox_wait = cells.at(catalogue.MAILBOX_WAIT_SECONDS)
        self._busy = cells.at(catalogue.WORKER_BUSY_SECONDS)
        self._acked = cells.at(catalogue.ACKED_MESSAGES, result="ok")

    def create(self, event: str) -> None:
        """The series of an event, at 0."""
        with self._store.lock:
            self._cells.start("event", event=event)

    def unacked(self, count: int) -> None:
        """Of the acks in the next `Settled`, so many found nothing that was pending."""
        with self._store.lock:
            self._unacked += count

    def count(self, fact: facts.Settled) -> None:
        """Count all of them."""
        # A first attempt that went well needs no look at its history; those are counted together.
        plain: dict[str, list[Attempt]] = {}
        others: list[Attempt] = []
        for attempt in fact.attempts:
            message = attempt.message
            if (
                attempt.outcome is ACK
                and attempt.entry.source == "new"
                and message is not None
                and not message.retries
            ):
                try:
                    plain[message.event].append(attempt)
                except KeyError:
                    plain[message.event] = [attempt]
            else:
                others.append(attempt)
        offset = _wall_offset()
        with self._store.lock:
            for event, attempts in plain.items():
                if len(attempts) < _FEW:
                    self._count_few(event, attempts, fact.at + offset, offset)
                else:
                    self._count_together(event, attempts, fact.at + offset, offset)
            for attempt in others:
                self._count_one(attempt, fact.at + offset, offset)

    def _count_together(self, event: str, attempts: Sequence[Attempt], now: float, offset: float) -> None:
        started = [attempt.started_at for attempt in attempts]
        durations = list(map(sub, [attempt.finished_at for attempt in attempts], started))
        waits = list(map(sub, started, [attempt.entry.read_at for attempt in attempts]))
        published = [int(attempt.entry.id.split(b"-")[0]) / 1000 - offset for attempt in attempts]
        queued = [wait if wait > 0 else 0.0 for wait in map(sub, started, published)]
        at = now - offset
        ages = [at - then if at > then else 0.0 for then in published]
        if attempts[-1].span is not None or attempts[0].span is not None:
            self._show(attempts, self._event(event).durations, durations, queued, now)
        count = len(attempts)
        cells = self._event(event)
        cells.acks.value += count
        self._count_acked(count)
        self._busy.value += sum(durations)
        self._attempts["ack"].counts[0] += count
        self._attempts["ack"].total += count
        cells.durations.observe_many(durations)
        self._mailbox_wait.observe_many(waits)
        self._queue_time.observe_many(queued)
        self._end_to_end["ack"].observe_many(ages)

    def _count_few(self, event: str, attempts: Sequence[Attempt], now: float, offset: float) -> None:
        """The same for so few that lists of them would cost more than they save."""
        cells, numbers, count = self._event(event), self._attempts["ack"], len(attempts)
        cells.acks.value += count
        numbers.counts[0] += count
        numbers.total += count
        self._count_acked(count)
        for attempt in attempts:
            started = attempt.started_at
            duration, published = attempt.finished_at - started, int(attempt.entry.id.split(b"-")[0]) / 1000
            queued, age = started + offset - published, now - published
            cells.durations.observe(duration)
            self._busy.value += duration
            self._mailbox_wait.observe(started - attempt.entry.read_at)
            self._queue_time.observe(queued if queued > 0 else 0.0)
            self._end_to_end["ack"].observe(age if age > 0 else 0.0)
            if attempt.span is not None:
                self._show((attempt,), cells.durations, (duration,), (max(0.0, queued),), now)

    def _show(
        self,
        attempts: Sequence[Attempt],
        durations_of: HistogramCell,
        durations: Sequence[float],
        queued: Sequence[float],
        now: float,
    ) -> None:
        """Make sampled traces the exemplars of their buckets."""
        for attempt, duration, wait in zip(attempts, durations, queued, strict=True):
            ids = sampled_ids(attempt)
            if ids is not None:
                durations_of.show(duration, *ids, now)
                self._queue_time.show(wait, *ids, now)

    def _count_acked(self, count: int) -> None:
        # `unacked` was told before how many of these acks found nothing.
        missing = min(self._unacked, count)
        self._unacked -= missing
        self._acked.value += count - missing

    # --- one by one: what failed, came back, or was moved ------------------------------------------

    def _count_one(self, attempt: Attempt, now: float, offset: float) -> None:
        outcome = _outcome_label(attempt)
        event = attempt.event if attempt.registration is not None else OTHER
        failure = attempt.failure
        error_type = self._store.error_type(failure.error_type) if failure is not None else ""
        history = history_of(attempt.history)
        cause = redelivery_cause(attempt, history)
        key = (event, outcome, cause, error_type)
        cells = self._rare.get(key) or self._rare_cells(key)
        cells.processed.value += 1
        if cells.redelivered is not None:
            cells.redelivered.value += 1
        if cells.retried is not None:
            cells.retried.value += 1
        elif isinstance(attempt.outcome, DeadLetter):
            self._count_dead(attempt.outcome)
        elif isinstance(attempt.outcome, Ack):
            self._count_acked(1)
        published = published_at(attempt, history)
        if attempt.started_at and attempt.finished_at:
            if cells.durations is None:
                cells.durations = self._durations(event, error_type)
            first = attempt.number == 1 and cause != "replay"
            self._count_attempt(attempt, cells.durations, now, attempt.started_at + offset - published, first)
        if outcome in FINAL_OUTCOMES:
            self._attempts[outcome].observe(attempt.number)
            if cause != "replay":
                self._end_to_end[outcome].observe(max(0.0, now - published))

    def _count_attempt(
        self, attempt: Attempt, durations: HistogramCell, now: float, queued: float, first: bool
    ) -> None:
        duration, ids = attempt.finished_at - attempt.started_at, sampled_ids(attempt)
        durations.observe(duration)
        self._busy.value += duration
        self._mailbox_wait.observe(attempt.started_at - attempt.entry.read_at)
        if first:
            self._queue_time.observe(max(0.0, queued))
        if ids is not None:
            durations.show(duration, *ids, now)
            if first:
                self._queue_time.show(max(0.0, queued), *ids, now)

    def _count_dead(self, outcome: DeadLetter) -> None:
        self._cells.at(catalogue.DEAD_LETTERED_MESSAGES, reason=outcome.reason).value += 1
        if outcome.reason == Reason.MALFORMED:
            self._cells.at(catalogue.DECODE_ERRORS).value += 1

    # --- cells ----------------------------------------------------------------------------------

    def _event(self, event: str) -> _Event:
        cells = self._events.get(event)
        if cells is None:
            cells = self._events[event] = _Event(self._processed(event, "ack"), self._durations(event, ""))
        return cells

    def _rare_cells(self, key: tuple[str, str, str | None, str]) -> _Rare:
        event, outcome, cause, error_type = key
        at = self._cells.at
        cells = self._rare[key] = _Rare(
            self._processed(event, outcome),
            None if cause is None else at(catalogue.REDELIVERIES, cause=cause),
            at(catalogue.RETRIES, error_type=error_type) if outcome == "retry" else None,
        )
        return cells

    def _processed(self, event: str, outcome: str) -> CounterCell:
        return self._cells.at(catalogue.PROCESSED_MESSAGES, event=event, outcome=outcome)

    def _durations(self, event: str, error_type: str) -> HistogramCell:
        return self._cells.at(catalogue.PROCESS_DURATION_SECONDS, event=event, error_type=error_type)

    def _by_outcome(self, metric: Histogram) -> dict[str, HistogramCell]:
        return {outcome: self._cells.at(metric, outcome=outcome) for outcome in FINAL_OUTCOMES}


def _outcome_label(attempt: Attempt) -> str:
    outcome: Outcome | None = attempt.outcome
    name = outcome.name if outcome is not None else ""
    return name if name in OUTCOMES else "requeue"


def _wall_offset() -> float:
    """What to add to ``time.perf_counter()`` for the time of day, in seconds."""
    return time.time() - time.perf_counter()
