"""The renewer: keeps the leases of all that is held, and this member's place in the registry."""

from __future__ import annotations

import time
from contextlib import suppress

from streamix_queue.actors.broker_actor import BrokerActor
from streamix_queue.broker.protocol import ConsumerBroker, Standing
from streamix_queue.core.attempt import Attempt
from streamix_queue.core.errors import BrokerError, GroupMissing, OutOfMemory
from streamix_queue.core.facts import LeaseLost, Renewed, Trimmed
from streamix_queue.held.holdings import Holdings

__all__ = ["Renewer"]

_IDS_PER_CALL = 500


class Renewer(BrokerActor):
    """Renews every third of a lease, on a thread and a connection of its own.

    So neither a slow settlement nor a blocked read can cost a lease. What can, if it lasts longer
    than the lease: an outage, a stopped process, a handler that holds the GIL. The fence bounds
    the damage then.
    """

    def __init__(self, broker: ConsumerBroker, holdings: Holdings) -> None:
        super().__init__("renewer", broker, holdings.outage)
        self.progress_deadline = 30.0
        self._holdings = holdings
        self._notice = holdings.notice
        self._every_s = holdings.lease_s / 3
        self._next_at = 0.0

    def setup(self) -> None:
        """Say what this member handles, before anything is fetched."""
        with suppress(OutOfMemory):  # leases can be renewed all the same
            self.broker.register(self._holdings.events)

    def step(self) -> None:
        """Wait for the next third of the lease, then renew."""
        if self.rest(max(0.0, self._next_at - time.monotonic())):
            return
        self.run_once()
        # After the work, not before it: a failed round is tried again at once.
        self._next_at = time.monotonic() + self._every_s

    def run_once(self) -> int:
        """Renew all that is held; how many leases are still ours."""
        kept = 0
        for key, held in self._holdings.table.snapshot().items():
            for start in range(0, len(held), _IDS_PER_CALL):
                kept += self._renew(key, held[start : start + _IDS_PER_CALL])
                self.beat()
        self.broker.register(self._holdings.events)
        self.answered()
        return kept

    def _renew(self, key: bytes, held: list[Attempt]) -> int:
        # Before the call: the lease counts from when the server acted, which is later.
        asked_at = time.monotonic()
        tokens = [attempt.lease.token for attempt in held]
        pairs = [(attempt.entry.id, token) for attempt, token in zip(held, tokens, strict=True)]
        try:
            standings = self.broker.renew(key, pairs)
        except GroupMissing:
            standings = [Standing.ORPHAN] * len(held)
        except BrokerError as error:
            self._notice(Renewed(len(held), type(error).__name__))
            raise
        kept = 0
        for attempt, token, standing in zip(held, tokens, standings, strict=True):
            if standing == Standing.OURS:
                kept += attempt.lease.renew(token, asked_at)
            elif attempt.outcome is None:
                # (One with an outcome may just have been acked: not pending is right then.)
                self._not_ours(attempt, token, standing, asked_at)
        self._notice(Renewed(len(held)))
        return kept

    def _not_ours(self, attempt: Attempt, token: int, standing: int, asked_at: float) -> None:
        lease, entry = attempt.lease, attempt.entry
        # Pending for nobody, and our lease had lapsed: another member may well have had it, and ended it.
        if standing == Standing.STOLEN or lease.lapsed(time.monotonic()):
            if lease.lose(token):
                self._notice(LeaseLost(attempt))
        elif lease.adopt(token, asked_at):
            self._notice(Trimmed(entry.key.decode(), entry.id.decode(), held=True))
