"""The settler: carries out outcomes in batches, keeps what Redis has not confirmed, frees credits."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timezone

from streamix_queue.actors.alarm import Alarm
from streamix_queue.actors.broker_actor import BrokerActor
from streamix_queue.actors.planner import Batch, Planner
from streamix_queue.actors.worker import Letters
from streamix_queue.broker.protocol import Answer, ConsumerBroker
from streamix_queue.core import commands
from streamix_queue.core.commands import Verdict
from streamix_queue.core.delivery import Delivery
from streamix_queue.core.errors import BrokerUnavailable, GroupMissing
from streamix_queue.core.facts import LeaseLost, Settled, SettleFailed
from streamix_queue.core.outcome import PARK
from streamix_queue.held.groups import MendGroups
from streamix_queue.held.table import LeaseTable
from streamix_queue.runtime import Closed
from streamix_queue.telling.observers import Notice, Outage

__all__ = ["Settler", "Unconfirmed"]

_LISTS_PER_ROUND = 64
_HOLD_S = 1.0


class Unconfirmed:
    """What was sent and not confirmed; touched by the settler thread alone.

    Handed from one settler to the next, so that a crash forgets nothing.

    Attributes:
        letters: Not planned yet.
        batches: To be sent now, with ``or_absent`` taken off those that may have been carried out.
        held: Refused for now (out of memory, a key of the wrong type): tried again at a time.
    """

    def __init__(self) -> None:
        self.letters: list[Delivery] = []
        self.batches: list[Batch] = []
        self.held: list[tuple[float, Batch]] = []


class Settler(BrokerActor):
    """Writes every ending, with the ack as its last effect. One round trip for all that waits."""

    def __init__(
        self,
        broker: ConsumerBroker,
        outage: Outage,
        *,
        mailbox: Letters,
        unconfirmed: Unconfirmed,
        planner: Planner,
        leases: LeaseTable,
        retries: Alarm,
        mend_groups: MendGroups,
        notice: Notice,
    ) -> None:
        super().__init__("settler", broker, outage)
        self._mailbox = mailbox
        self._unconfirmed = unconfirmed
        self._planner = planner
        self._leases = leases
        self._retries = retries
        self._mend_groups = mend_groups
        self._notice = notice
        self._last_round = False

    def step(self) -> None:
        """Settle what has come; first what could not be settled before."""
        if not self._unconfirmed.batches:
            self._collect()
        batches = self._unconfirmed.batches
        if not batches:
            return
        sent_at = time.perf_counter()
        try:
            answers = self.broker.settle([batch.command for batch in batches])
        except BrokerUnavailable as error:
            if not error.nothing_done:
                self._unconfirmed.batches = [batch for batch in batches if self._to_be_resent(batch)]
            raise
        self.answered()
        self._unconfirmed.batches = []
        self._conclude(batches, answers, sent_at)

    def _collect(self) -> None:
        """Turn letters, and what was held for long enough, into batches."""
        if self._last_round:
            raise Closed
        waiting, now = self._unconfirmed.held, time.monotonic()
        due = [batch for at, batch in waiting if at <= now]
        try:
            lists = self._mailbox.get_many(
                _LISTS_PER_ROUND, 0.0 if due else (_HOLD_S / 4 if waiting else 5.0)
            )
        except Closed:
            # One more try for what was held; what is refused again stays pending in Redis.
            self._last_round = True
            lists, due = [], [batch for _, batch in waiting]
        self._unconfirmed.held = [(at, batch) for at, batch in waiting if batch not in due]
        self._unconfirmed.batches += due
        self._unconfirmed.letters += [delivery for letters in lists for delivery in letters]
        if self._unconfirmed.letters:
            self._plan()

    def _plan(self) -> None:
        batches, forgotten = self._planner.plan(
            self._unconfirmed.letters,
            now=datetime.now(timezone.utc).isoformat(),
            new_id=lambda: str(uuid.uuid4()),
        )
        self._unconfirmed.letters = []
        self._unconfirmed.batches += batches
        self._leases.remove(forgotten)

    def _conclude(self, batches: list[Batch], answers: list[Answer], sent_at: float) -> None:
        settled: list[Delivery] = []
        missing = False
        for batch, answer in zip(batches, answers, strict=True):
            if isinstance(answer, GroupMissing):
                missing = True
                self._unconfirmed.batches.append(batch)
            elif isinstance(answer, Exception):
                self._hold(batch, answer)
            elif isinstance(answer, list):
                settled += self._handed_back(batch, answer)
            elif answer is Verdict.STOLEN or (answer is Verdict.GONE and not batch.sent_before):
                self._not_ours(batch, answer)
            else:
                if answer is Verdict.DROPPED:
                    batch.deliveries[0].source = "dropped"
                elif isinstance(batch.command, commands.RetryLater):
                    self._retries.ring(batch.command.delay_ms / 1000)
                settled += batch.deliveries
        if settled:
            self._leases.remove(settled)
            self._notice(Settled(settled, time.perf_counter(), sent_at))
        if missing:
            self._mend_groups(self.broker)

    def _handed_back(self, batch: Batch, verdicts: Sequence[Verdict]) -> list[Delivery]:
        """What could be handed back; the rest is pending for nobody, so we hold the only copy."""
        if batch.sent_before or not batch.deliveries or Verdict.GONE not in verdicts:
            return list(batch.deliveries)
        back: list[Delivery] = []
        for delivery, verdict in zip(batch.deliveries, verdicts, strict=True):
            if verdict is Verdict.GONE and delivery.message is not None:
                delivery.outcome = PARK  # the group's inbox takes it, whatever became of its entry
                self._unconfirmed.letters.append(delivery)
            else:
                back.append(delivery)
        self._plan()
        return back

    def _to_be_resent(self, batch: Batch) -> bool:
        """After a lost reply. What may have been handed back is not asked for again.

        Under a name that two processes share it could be the other's by now, with the very same
        delivery count; if it was not handed back, its lease lapses.
        """
        if isinstance(batch.command, commands.HandBack):
            self._leases.remove(batch.deliveries)
            return False
        batch.resend()
        return True

    def _not_ours(self, batch: Batch, answer: Verdict) -> None:
        # The clock is asked after the answer: see `Planner.insist`.
        if answer is Verdict.GONE and self._planner.insist(batch, monotonic=time.monotonic()):
            self._unconfirmed.batches.append(batch)
        else:
            self._lost(batch)

    def _lost(self, batch: Batch) -> None:
        self._leases.remove(batch.deliveries)
        for delivery in batch.deliveries:
            if not delivery.lost:
                delivery.lost = True
                self._notice(LeaseLost(delivery))

    def _hold(self, batch: Batch, error: Exception) -> None:
        """Refused: the entries stay pending and leased, and this is tried again."""
        if not batch.deliveries:
            return  # bookkeeping only
        held = self._unconfirmed.held
        held.append((time.monotonic() + _HOLD_S, batch))
        if not batch.held:
            self._notice(SettleFailed(batch.deliveries[0], type(error).__name__, str(error)))
        batch.held = True
        # They cost credits: were they to take them all, the healthy messages would stop, too.
        # Let go, an entry comes back when its lease has lapsed, and its handler runs again.
        while sum(len(b.deliveries) for _, b in held) * 2 > self._leases.limit:
            _, oldest = held.pop(0)
            self._unconfirmed.batches += self._planner.let_go(oldest.deliveries)
            self._leases.remove(oldest.deliveries)

    def stop(self) -> None:
        """From any thread: settle what is in the mailbox, then end."""
        if not self.abandoned:  # else a successor reads it
            self._mailbox.close()
