"""The fetcher: takes new entries from the stream and the inboxes, as many as there are credits."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import chain

from streamix_queue.actors.broker_actor import BrokerActor
from streamix_queue.actors.lost_replies import pick_up_lost
from streamix_queue.actors.router import Router
from streamix_queue.broker.protocol import ConsumerBroker, Entry
from streamix_queue.core.delivery import Delivery
from streamix_queue.core.errors import BrokerError, BrokerUnavailable, GroupMissing
from streamix_queue.core.facts import Fetched, Polled, Throttled
from streamix_queue.core.tuning import EXPRESS_CREDITS, plan_read, prefetch_for, resume_at
from streamix_queue.held.dispatch import Dispatch
from streamix_queue.held.groups import MendGroups
from streamix_queue.held.table import LeaseTable
from streamix_queue.runtime import Credits
from streamix_queue.telling.observers import Notice, Outage

__all__ = ["Fetcher", "Prefetch"]

_MENDING_S = 0.05
_PATIENCE_S = 0.2
_SHEDDING_S = 0.01
_SHEDDING_LASTS_S = 1.0
# When little has come, a worker that waits begins at once: woken, it still needs the interpreter and
# perhaps our core, and would get them only when all our bookkeeping is done.
_FEW, _YIELD_S = 4, 1e-6


class Prefetch:
    """How many entries to hold: fixed, or following the handlers. Owned by the fetcher thread."""

    def __init__(self, credits_: Credits, concurrency: int, fixed: int | None) -> None:
        self._credits = credits_
        self._concurrency = concurrency
        self._fixed = fixed
        self._mean_bytes = 0.0

    def saw(self, deliveries: Sequence[Delivery]) -> None:
        """Note the sizes of entries. The first ones count as they are: there may be few of them."""
        # All fields: behind the message there may be a trace context, which is small.
        every_field = chain.from_iterable([delivery.fields for delivery in deliveries])
        mean = sum(map(len, every_field)) / len(deliveries)
        # Bigger ones than before count at once, smaller ones little by little: memory comes first.
        self._mean_bytes += (mean - self._mean_bytes) * (0.1 if mean < self._mean_bytes else 1.0)

    def adjust(self, pace_s: float | None, *, express: bool = False) -> int:
        """Set the limit of the credits; how many free ones are worth a read."""
        if self._fixed is None:
            express_credits = EXPRESS_CREDITS if express else 0
            wanted = prefetch_for(pace_s, self._concurrency, self._mean_bytes, express_credits)
            # A twentieth either way is noise, and not worth a lock.
            if abs(wanted - self._credits.limit) * 20 > self._credits.limit:
                self._credits.resize(wanted)
        return resume_at(self._credits.limit, self._concurrency)


class Fetcher(BrokerActor):
    """Owns the blocking read.

    A read whose reply is lost has still delivered its entries: they are pending under our name
    and nobody here knows them. So after every broken read it looks for what is pending for us
    and not held. That inference needs a name that is ours alone; under a name that the user
    gave it waits for the lease to lapse instead, like anybody else.
    """

    def __init__(
        self,
        broker: ConsumerBroker,
        outage: Outage,
        *,
        stream: bytes,
        inboxes: Mapping[str, bytes],
        name_is_unique: bool,
        prefetch: Prefetch,
        batch_size: int | None,
        block_ms: int,
        credits_: Credits,
        leases: LeaseTable,
        dispatch: Dispatch,
        router: Router,
        mend_groups: MendGroups,
        notice: Notice,
    ) -> None:
        super().__init__("fetcher", broker, outage)
        self.progress_deadline = block_ms / 1000 + 15.0
        self._stream = stream
        self._inboxes = inboxes
        self._name_is_unique = name_is_unique
        self._prefetch = prefetch
        self._batch_size = batch_size
        self._block_ms = block_ms
        self._credits = credits_
        self._leases = leases
        self._dispatch = dispatch
        self._router = router
        self._mend_groups = mend_groups
        self._notice = notice
        self._shed_at = float("-inf")
        # True at the start as well: a predecessor that stalled may have left some.
        self._may_have_lost_a_reply = True

    def step(self) -> None:
        """Wait for credits, then read once."""
        express = self._dispatch.waits_behind_another()
        needed = self._prefetch.adjust(self._dispatch.pace_s, express=express)
        free = self._credits.free
        if free < needed:
            began = time.perf_counter()
            # Just shed: there may be many more of that event on the stream before anything else.
            shedding = began - self._shed_at < _SHEDDING_LASTS_S
            free = self._credits.wait(needed, timeout=_SHEDDING_S if shedding else _PATIENCE_S)
            self._notice(Throttled(time.perf_counter() - began))
        if free < 1:
            # No credits though workers wait: one event's queue holds them all.
            if shed := self._dispatch.shed():
                self._shed_at = time.perf_counter()
                self._router.park(shed)
            return
        if self.stopping.is_set():
            return
        try:
            if self._may_have_lost_a_reply and self._name_is_unique:
                self._pick_up_lost_replies()
            self._may_have_lost_a_reply = False
            self._read(free)
        except GroupMissing:
            self.answered()
            self._mend_groups(self.broker)
            self.pause(_MENDING_S)

    def _read(self, free: int) -> None:
        closed = self._dispatch.is_paused, self._dispatch.crowded
        events = [event for event in self._inboxes if not any(is_closed(event) for is_closed in closed)]
        keys = [self._stream, *(self._inboxes[event] for event in events)]
        welcome = min((self._dispatch.room(event) for event in events), default=free)
        count = plan_read(free, len(keys), self._batch_size).count
        count = max(1, min(count, welcome))
        # A lease counts from before the read: we may have been frozen between reply and here.
        started, leased_at = time.perf_counter(), time.monotonic()
        try:
            reply = self.broker.read(keys, count, self._block_ms)
        except BrokerError as error:
            self._may_have_lost_a_reply = isinstance(error, BrokerUnavailable)
            self._polled(0, started, error)
            raise
        self.answered()
        if self.abandoned:
            # A successor may have picked these up meanwhile, and be done with them.
            if self._name_is_unique:
                self._pick_up_lost_replies()
            return
        taken = 0
        for key, entries in reply:
            taken += len(entries)
            self._deliver(key, entries, leased_at)
        if 0 < taken <= _FEW and self._dispatch.idle():
            time.sleep(_YIELD_S)
        self._polled(taken, started, None)

    def _deliver(self, key: bytes, entries: list[Entry], leased_at: float) -> None:
        read_at = time.perf_counter()
        source = "new" if key == self._stream else "inbox"
        deliveries = [
            Delivery(key, entry_id, fields, read_at, leased_at, 1, source)
            for entry_id, fields in entries
            if fields is not None
        ]
        if deliveries:
            self._prefetch.saw(deliveries)
            self._router.route(deliveries)
            self._notice(Fetched(source, len(deliveries)))

    def _pick_up_lost_replies(self) -> None:
        for key in (self._stream, *self._inboxes.values()):
            with self._leases.arriving:
                found = pick_up_lost(self.broker, key, self._leases, most_deliveries=1)
                if found:
                    self._prefetch.saw(found)
                self._router.route(found)
            if found:
                self._notice(Fetched("recovered", len(found)))

    def _polled(self, count: int, started: float, error: Exception | None) -> None:
        seconds = time.perf_counter() - started
        self._notice(Polled(count, seconds, type(error).__name__ if error else ""))

    def wake(self) -> None:
        """From another thread: end the waiting, for credits and for entries."""
        self._credits.wake()
        self.broker.interrupt()
