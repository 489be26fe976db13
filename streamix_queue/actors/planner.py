"""From an outcome to the command that carries it out. Pure but for the ids and times it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from streamix_queue.core import commands
from streamix_queue.core.commands import Command, Fence
from streamix_queue.core.dead_letter import Origin, dead_letter
from streamix_queue.core.delivery import Delivery, Failure
from streamix_queue.core.keys import Keys
from streamix_queue.core.outcome import Ack, DeadLetter, HandBack, HandOver, Park, RetryLater
from streamix_queue.core.wire import Attempt, History, for_retry, history_of, with_history

__all__ = ["Batch", "Planner"]

_MAX_IDS = 256


class Batch(msgspec.Struct, eq=False, gc=False):
    """A command and the deliveries that it settles.

    Attributes:
        held: Redis has refused it before.
        sent_before: It was sent before and the reply was lost: it may have been carried out.
    """

    command: Command
    deliveries: Sequence[Delivery]
    held: bool = False
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
        self, deliveries: Sequence[Delivery], *, now: str, new_id: Callable[[], str]
    ) -> tuple[list[Batch], list[Delivery]]:
        """The commands for ``deliveries``, and those that need none, for another owns them.

        Args:
            deliveries: Each with an outcome.
            now: ISO 8601 text.
            new_id: Makes a UUID for a dead letter.
        """
        batches: list[Batch] = []
        acks: dict[bytes, list[Delivery]] = {}
        absolved: list[Delivery] = []
        released: dict[bytes, list[Delivery]] = {}
        forgotten: list[Delivery] = []
        for delivery in deliveries:
            outcome = delivery.outcome
            if isinstance(outcome, Ack):
                acks.setdefault(delivery.key, []).append(delivery)
                if delivery.suspect:
                    absolved.append(delivery)
            elif delivery.lost:
                forgotten.append(delivery)
            elif isinstance(outcome, HandBack):
                released.setdefault(delivery.key, []).append(delivery)
            else:
                fence = _fence(delivery)
                batches.append(Batch(self._single(delivery, fence, now, new_id), [delivery]))
        batches += [
            Batch(commands.Ack(part[0].key, [d.entry_id for d in part]), part) for part in _parts(acks)
        ]
        if absolved:
            batches.append(Batch(commands.Absolve([_fence(d) for d in absolved]), []))
        idle_ms = round(self._lease_s * 1000)
        batches += [
            Batch(commands.HandBack([_fence(d) for d in part], idle_ms), part) for part in _parts(released)
        ]
        return batches, forgotten

    def insist(self, batch: Batch, *, monotonic: float) -> bool:
        """Whether we hold the only copy of what is pending for nobody; then the batch may be sent again.

        The lease ran when Redis answered, so nobody else can have had the entry: it was trimmed, or
        its group destroyed. Asked before the command that would prove nothing: we may be frozen between.

        Args:
            batch: What Redis has answered `Verdict.GONE` to; made fit to be sent again.
            monotonic: ``time.monotonic()`` after the answer.
        """
        command = batch.command
        if batch.sent_before or not isinstance(command, commands.FENCED) or command.fence.or_absent:
            return False
        (delivery,) = batch.deliveries
        same_lease = delivery.deliveries == command.fence.deliveries
        if not same_lease or monotonic - delivery.leased_at >= self._lease_s:
            return False
        batch.command = replace(command, fence=replace(command.fence, or_absent=True))
        return True

    def let_go(self, deliveries: Sequence[Delivery]) -> list[Batch]:
        """The commands for entries that ended and cannot be settled: they come back after a lease.

        With one delivery fewer and no longer suspects, for they killed no process. They settle
        nothing themselves, so the batches hold no deliveries.
        """
        fences: dict[bytes, list[Fence]] = {}
        for delivery in deliveries:
            fences.setdefault(delivery.key, []).append(_fence(delivery))
        batches = [Batch(commands.HandBack(each, 0), []) for each in fences.values()]
        suspects = [_fence(d) for d in deliveries if d.suspect]
        return [*batches, Batch(commands.Absolve(suspects), [])] if suspects else batches

    def _single(self, delivery: Delivery, fence: Fence, now: str, new_id: Callable[[], str]) -> Command:
        outcome = delivery.outcome
        if isinstance(outcome, RetryLater):
            return self._schedule(delivery, fence, outcome, now)
        if isinstance(outcome, DeadLetter):
            attempts = self._attempts(delivery, now)
            return commands.DeadLetter(
                fence, dead_letter(delivery, outcome.reason, self._origin, attempts, new_id(), now)
            )
        assert isinstance(outcome, (HandOver, Park))
        assert delivery.raw is not None
        history = history_of(delivery.history)
        if not history.source_id:
            history.source_id = delivery.entry_id.decode()
        history.cause = history.cause or "handover"
        fields = with_history(delivery.raw, delivery.extras, history)
        command = commands.Park if isinstance(outcome, Park) else commands.HandOver
        return command(fence, delivery.event, fields)

    def _schedule(
        self, delivery: Delivery, fence: Fence, outcome: RetryLater, now: str
    ) -> commands.RetryLater:
        assert delivery.message is not None
        assert delivery.raw is not None
        history = self._history_with_attempt(delivery, now)
        raw = for_retry(delivery.raw, delivery.message.retries + 1, now)
        return commands.RetryLater(
            fence, outcome.delay_ms, delivery.event, with_history(raw, delivery.extras, history)
        )

    def _history_with_attempt(self, delivery: Delivery, now: str) -> History:
        history = history_of(delivery.history)
        if not history.source_id:
            history.source_id = delivery.entry_id.decode()
        failure = delivery.failure or Failure("", "")
        attempt = Attempt(
            at=now,
            seconds=round(max(delivery.finished_at - delivery.started_at, 0.0), 6),
            error_type=failure.error_type,
            error=failure.error[:200],
            consumer=self._origin.consumer,
        )
        return history.after(attempt, cause="retry", previous=delivery.trace or "")

    def _attempts(self, delivery: Delivery, now: str) -> list[Attempt]:
        if delivery.started_at:
            return self._history_with_attempt(delivery, now).attempts
        return history_of(delivery.history).attempts


def _fence(delivery: Delivery) -> Fence:
    # That a lease has not lapsed yet proves nothing here: we may be frozen before the command is sent.
    return Fence(delivery.key, delivery.entry_id, delivery.deliveries, or_absent=delivery.orphan)


def _parts(by_stream: dict[bytes, list[Delivery]]) -> Iterator[list[Delivery]]:
    """What one command can carry: deliveries of one stream, not too many."""
    for deliveries in by_stream.values():
        for start in range(0, len(deliveries), _MAX_IDS):
            yield deliveries[start : start + _MAX_IDS]
