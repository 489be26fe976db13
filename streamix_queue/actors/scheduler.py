"""The scheduler: brings retries back when they are due, by the server's clock."""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timezone

from streamix_queue.actors.broker_actor import BrokerActor
from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core.dead_letter import unreadable_member
from streamix_queue.core.errors import Malformed
from streamix_queue.core.facts import Promoted, Unreadable
from streamix_queue.core.wire import outline
from streamix_queue.held.holdings import Holdings

__all__ = ["Scheduler"]

_PAGE = 100
_IDLE_WAIT_S = 1.0
_SHORTEST_WAIT_S, _BREATH_S = 0.001, 0.005


class Scheduler(BrokerActor):
    """Any member moves what is due; nobody leads. Sleeps towards the next due time.

    It also sees the group's nudge, which a member sets that hands entries back, and its paused
    events: one command a second serves all.
    """

    def __init__(self, broker: ConsumerBroker, holdings: Holdings) -> None:
        super().__init__("scheduler", broker, holdings.outage)
        self._holdings = holdings
        self._nudge = b""

    def step(self) -> None:
        """Move what is due, then wait until the next is."""
        wait_s = self.run_once()
        if wait_s > 0:
            self._holdings.retries.wait(wait_s)

    def run_once(self) -> float:
        """Move up to a page of what is due; seconds until it is worth to look again."""
        due = self.broker.due(_PAGE)
        self.answered()
        self._holdings.pauses.apply(due.paused)
        if due.nudge != self._nudge:
            # Of one that was there before us, too: the first sweep may have come before it.
            if due.nudge:
                self._holdings.sweep_now()
            self._nudge = due.nudge
        readable = [member for member in due.members if self._readable(member)]
        if readable:
            self._holdings.notice(Promoted(self.broker.promote(readable)))
        if len(due.members) == _PAGE:
            return 0.0
        # Where retries come due all the time, several go together, each a few ms late.
        shortest = _BREATH_S if due.members else _SHORTEST_WAIT_S
        longest = _IDLE_WAIT_S * random.uniform(0.9, 1.0)  # noqa: S311 - spreads the members
        return longest if due.next_in_ms is None else min(longest, max(due.next_in_ms / 1000, shortest))

    def _readable(self, member: bytes) -> bool:
        """True for a member of ours; another must not block those behind it."""
        try:
            event, parts = outline(member)
            event.decode()
        except (Malformed, ValueError):
            parts = 0
        if parts > 1 and parts % 2 == 1:  # the event, and pairs of name and value
            return True
        now = datetime.now(timezone.utc).isoformat()
        letter = unreadable_member(member, self._holdings.origin, str(uuid.uuid4()), now)
        self.broker.discard_delayed(member, letter)
        self._holdings.notice(Unreadable())
        return False

    def wake(self) -> None:
        """From another thread: end the wait."""
        self._holdings.retries.ring()
