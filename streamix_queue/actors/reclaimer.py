"""The reclaimer: takes over what others left behind, and lets suspects run one at a time."""

from __future__ import annotations

import random
import time
import uuid
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone

from streamix_queue.actors.alarm import Alarm
from streamix_queue.actors.broker_actor import BrokerActor
from streamix_queue.actors.lost_replies import pick_up_lost
from streamix_queue.actors.router import Router
from streamix_queue.broker.protocol import Claimed, ConsumerBroker, Standing
from streamix_queue.core import commands
from streamix_queue.core.commands import Fence
from streamix_queue.core.dead_letter import Origin, trimmed_letter
from streamix_queue.core.delivery import Delivery, Failure
from streamix_queue.core.errors import BrokerUnavailable, GroupMissing
from streamix_queue.core.facts import Fetched, Reclaimed, SuspectStarted, Trimmed
from streamix_queue.core.outcome import HAND_BACK, PARK, DeadLetter, Outcome, Reason
from streamix_queue.held.dispatch import Dispatch
from streamix_queue.held.groups import MendGroups
from streamix_queue.held.table import LeaseTable
from streamix_queue.runtime import Closed, Credits
from streamix_queue.telling.observers import Notice, Outage

__all__ = ["Reclaimer"]

_PAGE = 100
_START = b"0-0"
_MAX_UNMARKED = 10_000
_CROWDED_S = 0.05
_GRACE_S = 1.5
_SETTLE_S = 2.0


class Reclaimer(BrokerActor):
    """Sweeps the pending lists of the stream and the inboxes every third of a lease.

    A process that dies takes the blame to everything it held: the one message that killed it and
    all its neighbours come back alike, delivered twice. So each of them runs alone here, after
    its start was counted in Redis; whichever has been started ``max_deliveries`` times in all
    without an end is the one, and goes to the dead letters. Its neighbours end, and are clear.
    """

    def __init__(
        self,
        broker: ConsumerBroker,
        outage: Outage,
        *,
        keys: Sequence[bytes],
        origin: Origin,
        lease_s: float,
        max_deliveries: int,
        name_is_unique: bool,
        credits_: Credits,
        leases: LeaseTable,
        dispatch: Dispatch,
        router: Router,
        mend_groups: MendGroups,
        alarm: Alarm,
        notice: Notice,
    ) -> None:
        super().__init__("reclaimer", broker, outage)
        self._origin = origin
        self._lease_ms = round(lease_s * 1000)
        self._every_s = lease_s / 3
        self._max_deliveries = max_deliveries
        self._name_is_unique = name_is_unique
        self._credits = credits_
        self._leases = leases
        self._dispatch = dispatch
        self._router = router
        self._mend_groups = mend_groups
        self._alarm = alarm
        self._notice = notice
        # Kept between sweeps: from the start each time, busy entries at the head would for ever
        # hide an idle one at the tail, since XAUTOCLAIM looks at ten times COUNT at most.
        self._cursors = dict.fromkeys(keys, _START)
        self._unmarked: deque[tuple[bytes, bytes]] = deque(maxlen=_MAX_UNMARKED)
        self._next_sweep = 0.0
        self._may_have_lost_a_reply = False
        self._was_away = False
        self._usual_ping_s = 0.0
        # Suspects: delivered before without a recorded outcome, waiting to run alone.
        self._waiting: deque[Delivery] = deque()
        self._last: Delivery | None = None  # the suspect counted last
        self._last_ended_at = 0.0  # if it was never run: dead-lettered, handed over or put back at once
        self._nudged = False  # set by any thread, taken back by the reclaimer's

    def step(self) -> None:
        """Start a suspect if there is room, sweep if it is time, else wait."""
        self._start_suspect()
        now = time.monotonic()
        if self._nudged or now >= self._next_sweep:
            self._nudged = False
            wait_s = self.run_once()
            self._next_sweep = time.monotonic() + wait_s
        elif not self._waiting or not self._may_start_suspect():
            self._alarm.wait(min(self._next_sweep - now, _SETTLE_S))

    def sweep_now(self) -> None:
        """From any thread: a member has handed entries back."""
        self._nudged = True
        self._alarm.ring()

    def run_once(self) -> float:
        """One page of every pending list; seconds until it is worth to look again."""
        if self._may_have_lost_a_reply and self._name_is_unique:
            for key in self._cursors:
                # (A missing group is found by the sweep below, too, and mended.)
                with suppress(GroupMissing), self._leases.arriving:
                    self._accept(pick_up_lost(self.broker, key, self._leases, most_deliveries=None))
        self._may_have_lost_a_reply = False
        if not self._redis_was_there():
            return max(_GRACE_S, min(self._every_s, 5.0))
        self._mark_trimmed()
        for key, cursor in list(self._cursors.items()):
            room = self._room()
            if room < 1:
                return _CROWDED_S
            try:
                claimed = self._claim(key, cursor, min(_PAGE, room))
            except GroupMissing:
                self._mend_groups(self.broker)
                continue
            except BrokerUnavailable:
                self._may_have_lost_a_reply = True
                raise
            self.answered()
            self._cursors[key] = claimed.cursor
            self._note_trimmed(key, claimed.trimmed)
            self._mark_trimmed()
        if any(cursor != _START for cursor in self._cursors.values()):
            return 0.0
        # Spread, so that the members of a group do not all sweep in the same moment.
        return self._every_s * random.uniform(0.8, 1.2)  # noqa: S311

    def _claim(self, key: bytes, cursor: bytes, count: int) -> Claimed:
        """One page of what others left behind on ``key``, held when this returns."""
        with self._leases.arriving:
            leased_at = time.monotonic()
            claimed = self.broker.reclaim(key, self._lease_ms, cursor, count)
            read_at = time.perf_counter()
            taken = [
                Delivery(key, entry_id, fields, read_at, leased_at, deliveries, "reclaim")
                for entry_id, deliveries, fields in claimed.entries
            ]
            self._accept(taken, deleted=len(claimed.trimmed))
        return claimed

    def _redis_was_there(self) -> bool:
        """False if Redis has just come back from an outage, or from standing still.

        Meanwhile nobody could renew, and everything looks abandoned. Its owners try again within
        a second or so: they go first, or each would lose what the others hold.
        """
        asked = time.monotonic()
        self.broker.ping()
        took = time.monotonic() - asked
        # More than usual: over a link that is always slow somebody has to reclaim as well.
        stood_still = took > max(self._every_s / 2, 3 * self._usual_ping_s)
        self._usual_ping_s += (took - self._usual_ping_s) * 0.3
        was_away, self._was_away = self._was_away, False
        return not (was_away or stood_still)

    def on_transient(self, error: BaseException, attempt: int) -> float:
        """As all, and remember it for the next sweep."""
        self._was_away = self._was_away or isinstance(error, BrokerUnavailable)
        return super().on_transient(error, attempt)

    def _room(self) -> int:
        """How many to take: suspects wait for their turn, and must not take all the credits."""
        if self._dispatch.closed:
            return 0  # what comes now would only go back, and that is what we would find again
        for_suspects = max(1, self._credits.limit // 4) - len(self._waiting)
        return min(self._credits.free, for_suspects)

    def _accept(self, taken: list[Delivery], deleted: int = 0) -> None:
        if not taken:
            return
        for delivery in taken:
            delivery.suspect = delivery.deliveries > 1
        self._notice(Reclaimed(len(taken), taken, self._lease_ms / 1000, deleted))
        innocent = [delivery for delivery in taken if not delivery.suspect]
        suspects = [delivery for delivery in taken if delivery.suspect]
        if innocent:
            self._router.route(innocent)
        # Held, and so renewed, while they wait; not decoded, for even that may kill.
        self._waiting.extend(self._leases.add(suspects))
        self._notice(Fetched("reclaim", len(taken)))

    def _note_trimmed(self, key: bytes, entry_ids: Sequence[bytes]) -> None:
        for entry_id in entry_ids:
            if self._leases.get(key, entry_id) is None:  # else the renewer tells, for we have it in hand
                self._unmarked.append((key, entry_id))
                self._notice(Trimmed(key.decode(), entry_id.decode(), held=False))

    def _mark_trimmed(self) -> None:
        """A letter for each; what is refused (a wrong type, no memory) waits for the next sweep."""
        while self._unmarked:
            key, entry_id = self._unmarked[0]
            now = datetime.now(timezone.utc).isoformat()
            letter = trimmed_letter(entry_id, self._origin, str(uuid.uuid4()), now)
            (answer,) = self.broker.settle(
                [commands.DeadLetter(Fence(key, entry_id, 0, or_absent=True), letter)]
            )
            if isinstance(answer, Exception):
                return
            self._unmarked.popleft()

    def _may_start_suspect(self) -> bool:
        """Not before the end of the last one is in Redis: were the next to kill us, both would be blamed."""
        last = self._last
        if last is not None and self._leases.get(last.key, last.entry_id) is last:
            ended_at = last.finished_at or self._last_ended_at
            ended = time.perf_counter() - ended_at if ended_at else 0.0
            if ended < _SETTLE_S:  # longer, and Redis refuses to settle it; that may take for ever
                return False
        return self._dispatch.room_for_suspect()

    def _start_suspect(self) -> None:
        waiting = self._waiting
        if not waiting or not self._may_start_suspect():
            return
        delivery = waiting[0]
        if delivery.lost:
            self._router.settle(waiting.popleft(), HAND_BACK)
            return
        if not self._is_fresh(delivery):
            self._renew(delivery)
            return
        lease = Fence(delivery.key, delivery.entry_id, delivery.deliveries, or_absent=True)
        starts = self.broker.suspect(lease)
        if starts and not self._is_fresh(delivery):
            return  # Redis took its time. Asked again after a renewal, it counts this start only once.
        waiting.popleft()
        if starts == 0:
            delivery.lost = True
            self._router.settle(delivery, HAND_BACK)
            return
        self._last, self._last_ended_at = delivery, 0.0
        if starts >= self._max_deliveries:
            self._end(delivery, self._blamed(delivery, starts))
            return
        self._notice(SuspectStarted(delivery, starts))
        outcome = self._router.open(delivery)
        if outcome is not None:
            self._end(delivery, outcome)
        elif not self._dispatch.put_suspect(delivery):
            # Paused, or closed meanwhile: we are stopping.
            self._end(delivery, PARK if self._dispatch.is_paused(delivery.event) else HAND_BACK)

    def _end(self, delivery: Delivery, outcome: Outcome) -> None:
        """Settle a suspect that was counted and is not run."""
        self._last_ended_at = time.perf_counter()
        self._router.settle(delivery, outcome)

    def _is_fresh(self, delivery: Delivery) -> bool:
        """Whether a worker will start it: one that finds its lease lapsed does not, and it was counted."""
        return time.monotonic() - delivery.leased_at < self._lease_ms / 2000

    def _renew(self, delivery: Delivery) -> None:
        now = time.monotonic()
        lapsed = now - delivery.leased_at >= self._lease_ms / 1000
        (standing,) = self.broker.renew(delivery.key, [(delivery.entry_id, delivery.deliveries)])
        if standing == Standing.OURS or (standing == Standing.ORPHAN and not lapsed):
            delivery.leased_at = now
        else:
            delivery.lost = True

    def _blamed(self, delivery: Delivery, starts: int) -> Outcome:
        # The envelope is opened to make the letter readable; were that what kills, it is kept
        # raw at the next try.
        if starts == self._max_deliveries:
            self._router.open(delivery)
        else:
            delivery.raw = None
        delivery.failure = Failure("Crash", f"the process died {starts} times while it had this message")
        return DeadLetter(Reason.CRASH)

    def teardown(self) -> None:
        """Hand back the suspects that wait: another member can have them at once."""
        with suppress(Closed):
            self._router.release(list(self._waiting))
        self._waiting.clear()
        super().teardown()

    def wake(self) -> None:
        """From another thread: end the wait."""
        self._alarm.ring()
