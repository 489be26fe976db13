"""The renewer: keeps the leases of all that is held, and this member's place in the registry."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from streamix_queue.actors.broker_actor import BrokerActor
from streamix_queue.broker.protocol import ConsumerBroker, Standing
from streamix_queue.core.delivery import Delivery
from streamix_queue.core.errors import BrokerError, GroupMissing, OutOfMemory
from streamix_queue.core.facts import LeaseLost, Renewed, Trimmed
from streamix_queue.held.table import LeaseTable
from streamix_queue.telling.observers import Notice, Outage

__all__ = ["Renewer"]

_IDS_PER_CALL = 500


class Renewer(BrokerActor):
    """Renews every third of a lease, on a thread and a connection of its own.

    So neither a slow settlement nor a blocked read can cost a lease. What can is a handler that
    holds the GIL for longer than the lease; the fence bounds the damage then.
    """

    def __init__(
        self,
        broker: ConsumerBroker,
        outage: Outage,
        *,
        lease_s: float,
        leases: LeaseTable,
        events: Sequence[str],
        notice: Notice,
    ) -> None:
        super().__init__("renewer", broker, outage)
        self._lease_s = lease_s
        self._every_s = lease_s / 3
        self.progress_deadline = 30.0
        self._leases = leases
        self._events = events
        self._notice = notice
        self._next_at = 0.0

    def setup(self) -> None:
        """Say what this member handles, before anything is fetched."""
        with suppress(OutOfMemory):  # leases can be renewed all the same
            self.broker.register(self._events)

    def step(self) -> None:
        """Wait for the next third of the lease, then renew."""
        if self.pause(max(0.0, self._next_at - time.monotonic())):
            return
        self.run_once()
        # After the work, not before it: a failed round is tried again at once.
        self._next_at = time.monotonic() + self._every_s

    def run_once(self) -> int:
        """Renew all that is held; how many leases are still ours."""
        kept = 0
        for key, held in self._leases.snapshot().items():
            for start in range(0, len(held), _IDS_PER_CALL):
                kept += self._renew(key, held[start : start + _IDS_PER_CALL])
                self.beat()
        self.broker.register(self._events)
        self.answered()
        return kept

    def _renew(self, key: bytes, held: list[Delivery]) -> int:
        # Before the call: the lease counts from when the server acted, which is later.
        now = time.monotonic()
        leases = [(d.entry_id, d.deliveries) for d in held]
        try:
            standings = self.broker.renew(key, leases)
        except GroupMissing:
            standings = [Standing.ORPHAN] * len(held)
        except BrokerError as error:
            self._notice(Renewed(len(held), type(error).__name__))
            raise
        kept = 0
        for delivery, (_, asked_for), standing in zip(held, leases, standings, strict=True):
            if delivery.deliveries != asked_for:
                continue  # our own reclaimer took it over meanwhile: this is about the lease before
            if standing == Standing.OURS:
                delivery.leased_at = now
                kept += 1
            elif delivery.outcome is None:
                # (One with an outcome may just have been acked: not pending is right then.)
                self._not_ours(delivery, standing, now)
        self._notice(Renewed(len(held)))
        return kept

    def _not_ours(self, delivery: Delivery, standing: int, now: float) -> None:
        # Pending for nobody, and our lease had lapsed: another member may well have had it, and ended it.
        lapsed = time.monotonic() - delivery.leased_at >= self._lease_s
        if standing == Standing.STOLEN or lapsed:
            if not delivery.lost:
                delivery.lost = True
                self._notice(LeaseLost(delivery))
            return
        # We hold the only copy: as good as a lease, for there is nothing that others could claim.
        delivery.leased_at = now
        if not delivery.orphan:
            delivery.orphan = True
            self._notice(Trimmed(delivery.key.decode(), delivery.entry_id.decode(), held=True))
