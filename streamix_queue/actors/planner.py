"""From an outcome to the command that carries it out. Decides; ids and times are passed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from streamix_queue.core import commands
from streamix_queue.core.attempt import Attempt, Failure
from streamix_queue.core.commands import Command, Fence
from streamix_queue.core.dead_letter import Origin, dead_letter
from streamix_queue.core.keys import Keys
from streamix_queue.core.outcome import Ack, DeadLetter, HandBack, HandOver, Park, RetryLater
from streamix_queue.core.wire import FailedAttempt, History, for_retry, history_of, with_history

__all__ = ["Planned", "Planner"]

_MAX_IDS = 256


class Planned(msgspec.Struct, eq=False, gc=False):
    """A command and the attempts that it settles.

    Attributes:
        refused: Redis has refused it before.
        sent_before: It was sent before and the reply was lost: it may have been carried out.
    """

    command: Command
    attempts: Sequence[Attempt]
    refused: bool = False
    sent_before: bool = False

    def resend(self) -> None:
        """Make it fit for a second try: "not pending" may now mean that the first was done."""
        self.sent_before = True
        if isinstance(self.command, commands.FENCED):
            self.command = replace(self.command, fence=replace(self.command.fence, or_absent=False))


class Planner:
    """Makes the commands of one member. Owned by the settler thread.

    Args:
        keys: The group's keys.
        origin: Who we are, for dead letters.
        lease_s: How long a lease lasts, in seconds.
    """

    def __init__(self, keys: Keys, origin: Origin, lease_s: float) -> None:
        self._keys = keys
        self._origin = origin
        self._lease_s = lease_s

    def plan(
        self, attempts: Sequence[Attempt], *, now: str, new_id: Callable[[], str]
    ) -> tuple[list[Planned], list[Attempt]]:
        """The commands for ``attempts``, and those that need none, for another owns the entry.

        Args:
            attempts: Each with an outcome.
            now: ISO 8601 text.
            new_id: Makes a UUID for a dead letter.
        """
        planned: list[Planned] = []
        acks: dict[bytes, list[Attempt]] = {}
        absolved: list[Attempt] = []
        handed_back: dict[bytes, list[Attempt]] = {}
        forgotten: list[Attempt] = []
        for attempt in attempts:
            outcome = attempt.outcome
            if isinstance(outcome, Ack):
                entry = attempt.entry
                acks.setdefault(entry.key, []).append(attempt)
                if entry.deliveries > 1:
                    absolved.append(attempt)
            elif attempt.lease.lost:
                forgotten.append(attempt)
            elif isinstance(outcome, HandBack):
                handed_back.setdefault(attempt.entry.key, []).append(attempt)
            else:
                planned.append(Planned(self._single(attempt, now, new_id), [attempt]))
        planned += [
            Planned(commands.Ack(part[0].entry.key, [d.entry.id for d in part]), part)
            for part in _parts(acks)
        ]
        if absolved:
            planned.append(Planned(commands.Absolve(_fences(absolved)), []))
        idle_ms = round(self._lease_s * 1000)
        planned += [Planned(commands.HandBack(_fences(part), idle_ms), part) for part in _parts(handed_back)]
        return planned, forgotten

    def insist(self, planned: Planned, *, monotonic: float) -> bool:
        """Whether we hold the only copy of what is pending for nobody; then it may be sent again.

        The lease ran when Redis answered, so nobody else can have had the entry: it was trimmed, or
        its group destroyed. Asked before the command that would prove nothing: we may be frozen between.

        Args:
            planned: What Redis has answered `Verdict.GONE` to; made fit to be sent again.
            monotonic: ``time.monotonic()`` after the answer.
        """
        command = planned.command
        if planned.sent_before or not isinstance(command, commands.FENCED) or command.fence.or_absent:
            return False
        (attempt,) = planned.attempts
        if attempt.lease.token != command.fence.deliveries or attempt.lease.lapsed(monotonic):
            return False
        planned.command = replace(command, fence=replace(command.fence, or_absent=True))
        return True

    def let_go(self, attempts: Sequence[Attempt]) -> list[Planned]:
        """The commands for entries that ended and cannot be settled: they come back after a lease.

        With one delivery fewer and no longer suspects, for they killed no process. They settle
        nothing themselves, so no attempts go with them.
        """
        by_stream: dict[bytes, list[Attempt]] = {}
        for attempt in attempts:
            by_stream.setdefault(attempt.entry.key, []).append(attempt)
        planned = [Planned(commands.HandBack(_fences(each), 0), []) for each in by_stream.values()]
        suspects = _fences([attempt for attempt in attempts if attempt.entry.suspect])
        return [*planned, Planned(commands.Absolve(suspects), [])] if suspects else planned

    def _single(self, attempt: Attempt, now: str, new_id: Callable[[], str]) -> Command:
        fence = attempt.lease.fence()
        outcome = attempt.outcome
        if isinstance(outcome, RetryLater):
            return self._retry_later(attempt, fence, outcome, now)
        if isinstance(outcome, DeadLetter):
            failed = self._failed_attempts(attempt, now)
            letter = dead_letter(attempt, outcome.reason, self._origin, failed, new_id(), now)
            return commands.DeadLetter(fence, letter)
        assert isinstance(outcome, (HandOver, Park))
        assert attempt.raw is not None
        history = _history(attempt)
        history.cause = history.cause or "handover"
        fields = with_history(attempt.raw, attempt.extras, history)
        command = commands.Park if isinstance(outcome, Park) else commands.HandOver
        return command(fence, attempt.event, fields)

    def _retry_later(
        self, attempt: Attempt, fence: Fence, outcome: RetryLater, now: str
    ) -> commands.RetryLater:
        assert attempt.message is not None
        assert attempt.raw is not None
        raw = for_retry(attempt.raw, attempt.message.retries + 1, now)
        fields = with_history(raw, attempt.extras, self._history_with(attempt, now))
        return commands.RetryLater(fence, outcome.delay_ms, attempt.event, fields)

    def _history_with(self, attempt: Attempt, now: str) -> History:
        """The history of the message with this attempt as its last."""
        failure = attempt.failure or Failure("", "")
        failed = FailedAttempt(
            at=now,
            seconds=round(max(attempt.finished_at - attempt.started_at, 0.0), 6),
            error_type=failure.error_type,
            error=failure.error[:200],
            consumer=self._origin.consumer,
        )
        return _history(attempt).after(failed, cause="retry", previous=attempt.trace or "")

    def _failed_attempts(self, attempt: Attempt, now: str) -> list[FailedAttempt]:
        if attempt.started_at:
            return self._history_with(attempt, now).attempts
        return history_of(attempt.history).attempts


def _history(attempt: Attempt) -> History:
    history = history_of(attempt.history)
    if not history.source_id:
        history.source_id = attempt.entry.id.decode()
    return history


def _fences(attempts: Sequence[Attempt]) -> list[Fence]:
    return [attempt.lease.fence() for attempt in attempts]


def _parts(by_stream: dict[bytes, list[Attempt]]) -> Iterator[list[Attempt]]:
    """What one command can carry: attempts of one stream, not too many."""
    for attempts in by_stream.values():
        for start in range(0, len(attempts), _MAX_IDS):
            yield attempts[start : start + _MAX_IDS]
