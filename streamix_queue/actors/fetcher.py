"""The fetcher: takes new entries from the stream and the inboxes, as many as there are credits."""

from __future__ import annotations

import time

from streamix_queue.actors.broker_actor import BrokerActor
from streamix_queue.actors.lost_replies import pick_up_lost
from streamix_queue.actors.prefetch_tuner import PrefetchTuner
from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.broker.protocol import Entry as RawEntry
from streamix_queue.core.appetite import Appetite, plan_read
from streamix_queue.core.entry import entries_of
from streamix_queue.core.errors import BrokerError, BrokerUnavailable, GroupMissing
from streamix_queue.core.facts import Fetched, Polled, Throttled
from streamix_queue.core.outcome import PARK
from streamix_queue.held.holdings import Holdings

__all__ = ["Fetcher", "block_for"]

# A stop has to wait for a read that cannot be interrupted (no right to CLIENT UNBLOCK), and a
# signal is to be obeyed within two seconds. An idle consumer still asks less than once a second.
_LONGEST_BLOCK_MS = 2000
_MENDING_S = 0.05
_PATIENCE_S = 0.2
_MAKING_ROOM_S = 0.01
_MAKING_ROOM_LASTS_S = 1.0
# When little has come, the fetcher sleeps for a moment before its bookkeeping: the worker that it has
# woken needs the interpreter lock, and would get it only afterwards.
_FEW, _YIELD_S = 4, 1e-6


def block_for(block_ms: int, claim_idle_ms: int) -> int:
    """How long one read may block, ms: the lease counts from before it, so it takes up little of one."""
    return min(block_ms, _LONGEST_BLOCK_MS, max(1, claim_idle_ms // 4))


class Fetcher(BrokerActor):
    """Owns the blocking read.

    A read whose reply is lost has still delivered its entries: they are pending under our name
    and nobody here knows them. So after every broken read it looks for what is pending for us
    and not held. That inference needs a name that is ours alone; under a name that the user
    gave it waits for the lease to lapse instead, like anybody else.
    """

    def __init__(self, broker: ConsumerBroker, holdings: Holdings, prefetch: PrefetchTuner) -> None:
        super().__init__("fetcher", broker, holdings.outage)
        config = holdings.config
        self._block_ms = block_for(config.block_ms, config.claim_idle_ms)
        self.progress_deadline = self._block_ms / 1000 + 15.0
        self._holdings = holdings
        self._prefetch = prefetch
        self._batch_size = config.batch_size
        self._stream = holdings.keys.stream
        self._notice = holdings.notice
        self._made_room_at = float("-inf")
        # True at the start as well: a predecessor that stalled may have left some.
        self._may_have_lost_a_reply = True
        self._closed: frozenset[str] = frozenset()  # the events that `_open` leaves out
        self._open = holdings.streams
        self._full: list[bytes] = []  # streams that the last read did not empty
        self._read_all_at = float("-inf")

    def step(self) -> None:
        """Wait for credits, then read once."""
        holdings = self._holdings
        appetite = holdings.lanes.appetite()
        needed = self._prefetch.adjust(appetite.pace_s, express=appetite.express)
        free = holdings.credits.free
        if free < needed:
            began = time.perf_counter()
            # Room was made just now: there may be many more of that event before anything else.
            making_room = began - self._made_room_at < _MAKING_ROOM_LASTS_S
            free = holdings.credits.wait(needed, timeout=_MAKING_ROOM_S if making_room else _PATIENCE_S)
            self._notice(Throttled(time.perf_counter() - began))
            appetite = holdings.lanes.appetite()
        if free < 1:
            # No credits though workers wait: one event's lane holds them all.
            if removed := holdings.lanes.make_room():
                self._made_room_at = time.perf_counter()
                holdings.endings.end(removed, PARK)
            return
        if self.stopping.is_set():
            return
        try:
            if self._may_have_lost_a_reply and holdings.name_is_unique:
                self._pick_up_lost_replies()
            self._may_have_lost_a_reply = False
            self._read(free, appetite)
        except GroupMissing:
            self.answered()
            holdings.groups.mend(self.broker)
            self.rest(_MENDING_S)

    def _read(self, free: int, appetite: Appetite) -> None:
        # A lease counts from before the read: we may have been frozen between reply and here.
        started, asked_at = time.perf_counter(), time.monotonic()
        keys = self._open_streams(appetite.closed)
        most, all_of_them = plan_read(
            free,
            len(keys),
            len(self._full),
            batch_size=self._batch_size,
            most=appetite.most,
            since_all_s=asked_at - self._read_all_at,
        )
        if all_of_them:
            self._read_all_at = asked_at
        else:
            keys = self._full
        try:
            # Alone they are not waited for, since what is due elsewhere would have to wait as well.
            reply = self.broker.read(keys, most, self._block_ms if all_of_them else 1)
        except BrokerError as error:
            self._may_have_lost_a_reply = isinstance(error, BrokerUnavailable)
            self._polled(0, started, error)
            raise
        self.answered()
        if self.replaced:
            # A successor may have picked these up meanwhile, and be done with them.
            if self._holdings.name_is_unique:
                self._pick_up_lost_replies()
            return
        taken, workers_wait = 0, False
        self._full = []
        for key, entries in reply:
            taken += len(entries)
            if len(entries) >= most:
                self._full.append(key)
            workers_wait = self._deliver(key, entries, asked_at)
        if 0 < taken <= _FEW and workers_wait:
            time.sleep(_YIELD_S)
        self._polled(taken, started, None)

    def _open_streams(self, closed: frozenset[str]) -> list[bytes]:
        """The shared stream and the inboxes of all events but ``closed``; most often those of before."""
        if closed != self._closed:
            inboxes = self._holdings.inboxes
            self._open = [self._stream, *(key for event, key in inboxes.items() if event not in closed)]
            self._full = [key for key in self._full if key in self._open]
            self._closed = closed
        return self._open

    def _deliver(self, key: bytes, entries: list[RawEntry], asked_at: float) -> bool:
        """Put them on their way; whether workers still wait then."""
        read_at = time.perf_counter()
        source = "new" if key == self._stream else "inbox"
        delivered = entries_of(key, entries, source, read_at)
        if not delivered:
            return False
        self._prefetch.saw(delivered)
        workers_wait = self._holdings.router.route(delivered, asked_at)
        self._notice(Fetched(source, len(delivered)))
        return workers_wait

    def _pick_up_lost_replies(self) -> None:
        holdings = self._holdings
        for key in holdings.streams:
            with holdings.table.arriving:
                found, asked_at = pick_up_lost(self.broker, key, holdings.table, most_deliveries=1)
                if found:
                    self._prefetch.saw(found)
                    holdings.router.route(found, asked_at)
            if found:
                self._notice(Fetched("recovered", len(found)))

    def _polled(self, count: int, started: float, error: Exception | None) -> None:
        seconds = time.perf_counter() - started
        self._notice(Polled(count, seconds, type(error).__name__ if error else ""))

    def wake(self) -> None:
        """From another thread: end the waiting, for credits and for entries."""
        self._holdings.credits.wake()
        self.broker.interrupt()
