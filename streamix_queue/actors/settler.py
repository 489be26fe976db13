"""The settler: carries out outcomes in batches, keeps what Redis has not confirmed, frees credits."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timezone

from streamix_queue.actors.broker_actor import BrokerActor
from streamix_queue.actors.planner import Planned, Planner
from streamix_queue.broker.protocol import Answer, ConsumerBroker
from streamix_queue.core import commands
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.commands import Verdict
from streamix_queue.core.errors import BrokerUnavailable, GroupMissing
from streamix_queue.core.facts import LeaseLost, Settled, SettleFailed
from streamix_queue.core.outcome import DROPPED, PARK
from streamix_queue.held.holdings import Holdings
from streamix_queue.runtime import Closed

__all__ = ["Settler", "Unconfirmed"]

_LISTS_PER_ROUND = 64
_TRY_AGAIN_S = 1.0


class Unconfirmed:
    """What was sent and not confirmed. Owned by the settler's thread.

    Handed from one settler to the next, so that a crash forgets nothing.

    Attributes:
        ended: Not planned yet.
        planned: To be sent now, with ``or_absent`` taken off what may have been carried out.
        refused: Refused for now (out of memory, a key of the wrong type): tried again at a time
            (``time.monotonic()``, s).
    """

    def __init__(self) -> None:
        self.ended: list[Attempt] = []
        self.planned: list[Planned] = []
        self.refused: list[tuple[float, Planned]] = []


class Settler(BrokerActor):
    """Writes every ending, with the ack as its last effect. One round trip for all that waits."""

    def __init__(self, broker: ConsumerBroker, holdings: Holdings, unconfirmed: Unconfirmed) -> None:
        super().__init__("settler", broker, holdings.outage)
        self._holdings = holdings
        self._endings = holdings.endings
        self._table = holdings.table
        self._notice = holdings.notice
        self._unconfirmed = unconfirmed
        self._planner = Planner(holdings.keys, holdings.origin, holdings.lease_s)
        self._last_round = False

    def step(self) -> None:
        """Settle what has come; first what could not be settled before."""
        if not self._unconfirmed.planned:
            self._collect()
        planned = self._unconfirmed.planned
        if not planned:
            return
        sent_at = time.perf_counter()
        try:
            answers = self.broker.settle([each.command for each in planned])
        except BrokerUnavailable as error:
            if not error.nothing_done:
                self._unconfirmed.planned = [each for each in planned if self._to_be_resent(each)]
            raise
        self.answered()
        self._unconfirmed.planned = []
        self._conclude(planned, answers, sent_at)

    def _collect(self) -> None:
        """Plan what has ended, and what was refused for long enough."""
        if self._last_round:
            raise Closed
        waiting, now = self._unconfirmed.refused, time.monotonic()
        due = [each for at, each in waiting if at <= now]
        try:
            lists = self._endings.get_many(
                _LISTS_PER_ROUND, 0.0 if due else (_TRY_AGAIN_S / 4 if waiting else 5.0)
            )
        except Closed:
            # One more try for what was refused; what is refused again stays pending in Redis.
            self._last_round = True
            lists, due = [], [each for _, each in waiting]
        self._unconfirmed.refused = [(at, each) for at, each in waiting if each not in due]
        self._unconfirmed.planned += due
        self._unconfirmed.ended += [attempt for ended in lists for attempt in ended]
        if self._unconfirmed.ended:
            self._plan()

    def _plan(self) -> None:
        planned, forgotten = self._planner.plan(
            self._unconfirmed.ended,
            now=datetime.now(timezone.utc).isoformat(),
            new_id=lambda: str(uuid.uuid4()),
        )
        self._unconfirmed.ended = []
        self._unconfirmed.planned += planned
        self._table.remove(forgotten)

    def _conclude(self, planned: list[Planned], answers: list[Answer], sent_at: float) -> None:
        settled: list[Attempt] = []
        missing = False
        for each, answer in zip(planned, answers, strict=True):
            if isinstance(answer, GroupMissing):
                missing = True
                self._unconfirmed.planned.append(each)
            elif isinstance(answer, Exception):
                self._refused(each, answer)
            elif isinstance(answer, list):
                settled += self._handed_back(each, answer)
            elif answer is Verdict.STOLEN or (answer is Verdict.GONE and not each.sent_before):
                self._not_ours(each, answer)
            else:
                if answer is Verdict.DROPPED:
                    each.attempts[0].amend(DROPPED)
                elif isinstance(each.command, commands.RetryLater):
                    self._holdings.retries.ring(each.command.delay_ms / 1000)
                settled += each.attempts
        if settled:
            self._table.remove(settled)
            self._notice(Settled(settled, time.perf_counter(), sent_at))
        if missing:
            self._holdings.groups.mend(self.broker)

    def _handed_back(self, planned: Planned, verdicts: Sequence[Verdict]) -> list[Attempt]:
        """What could be handed back; the rest is pending for nobody, so we hold the only copy."""
        if planned.sent_before or not planned.attempts or Verdict.GONE not in verdicts:
            return list(planned.attempts)
        back: list[Attempt] = []
        for attempt, verdict in zip(planned.attempts, verdicts, strict=True):
            if verdict is Verdict.GONE and attempt.message is not None:
                # The group's inbox takes it, whatever became of its entry.
                attempt.amend(PARK)
                self._unconfirmed.ended.append(attempt)
            else:
                back.append(attempt)
        self._plan()
        return back

    def _to_be_resent(self, planned: Planned) -> bool:
        """After a lost reply. What may have been handed back is not asked for again.

        Under a name that two processes share it could be the other's by now, with the very same
        delivery count; if it was not handed back, its lease lapses.
        """
        if isinstance(planned.command, commands.HandBack):
            self._table.remove(planned.attempts)
            return False
        planned.resend()
        return True

    def _not_ours(self, planned: Planned, answer: Verdict) -> None:
        # The clock is asked after the answer: see `Planner.insist`.
        if answer is Verdict.GONE and self._planner.insist(planned, monotonic=time.monotonic()):
            self._unconfirmed.planned.append(planned)
            return
        self._table.remove(planned.attempts)
        for attempt in planned.attempts:
            if attempt.lease.lose():
                self._notice(LeaseLost(attempt))

    def _refused(self, planned: Planned, error: Exception) -> None:
        """The entries stay pending and leased, and this is tried again."""
        if not planned.attempts:
            return  # bookkeeping only
        waiting = self._unconfirmed.refused
        waiting.append((time.monotonic() + _TRY_AGAIN_S, planned))
        if not planned.refused:
            self._notice(SettleFailed(planned.attempts[0], type(error).__name__, str(error)))
        planned.refused = True
        # They cost credits: were they to take them all, the healthy messages would stop, too.
        # Let go, an entry comes back when its lease has lapsed, and its handler runs again.
        while sum(len(each.attempts) for _, each in waiting) * 2 > self._table.limit:
            _, oldest = waiting.pop(0)
            self._unconfirmed.planned += self._planner.let_go(oldest.attempts)
            self._table.remove(oldest.attempts)

    def stop(self) -> None:
        """From any thread: settle what has ended until now, then end."""
        if not self.replaced:  # else a successor reads them
            self._endings.close()
