"""The reclaimer: takes over what others left behind, and starts the suspects among it."""

from __future__ import annotations

import random
import time
import uuid
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone

from streamix_queue.actors.broker_actor import BrokerActor
from streamix_queue.actors.lost_replies import pick_up_lost
from streamix_queue.actors.suspects import SETTLE_S, Suspects
from streamix_queue.broker.protocol import Claimed, ConsumerBroker
from streamix_queue.core import commands
from streamix_queue.core.answer_times import AnswerTimes
from streamix_queue.core.commands import Fence
from streamix_queue.core.dead_letter import trimmed_letter
from streamix_queue.core.entry import Entry, entry_of
from streamix_queue.core.errors import BrokerUnavailable, GroupMissing
from streamix_queue.core.facts import Fetched, Reclaimed, Trimmed
from streamix_queue.held.holdings import Holdings
from streamix_queue.held.lanes import Lanes

__all__ = ["Reclaimer"]

_PAGE = 100
_START = b"0-0"
_MAX_UNMARKED = 10_000
_CROWDED_S = 0.05
_SHORTEST_GRACE_S = 1.5


class Reclaimer(BrokerActor):
    """Sweeps the pending lists of the stream and the inboxes every third of a lease."""

    def __init__(self, broker: ConsumerBroker, holdings: Holdings, lanes: Lanes) -> None:
        super().__init__("reclaimer", broker, holdings.outage)
        self._holdings = holdings
        self._notice = holdings.notice
        self._suspects = Suspects(broker, holdings, lanes)
        self._lease_ms = round(holdings.lease_s * 1000)
        self._every_s = holdings.lease_s / 3
        self._grace_s = max(_SHORTEST_GRACE_S, min(self._every_s, 5.0))
        # Kept between sweeps: from the start each time, busy entries at the head would for ever
        # hide an idle one at the tail, since XAUTOCLAIM looks at ten times COUNT at most.
        self._cursors = dict.fromkeys(holdings.streams, _START)
        self._unmarked: deque[tuple[bytes, bytes]] = deque(maxlen=_MAX_UNMARKED)
        self._next_sweep = 0.0
        self._may_have_lost_a_reply = False
        self._was_away = False
        self._answers = AnswerTimes(self._every_s / 2)

    def step(self) -> None:
        """Start a suspect if there is room, sweep if it is time, else wait."""
        holdings = self._holdings
        self._suspects.start_one()
        now = time.monotonic()
        if holdings.sweep_asked.is_set() or now >= self._next_sweep:
            holdings.sweep_asked.clear()
            wait_s = self.run_once()
            self._next_sweep = time.monotonic() + wait_s
        elif not self._suspects or not self._suspects.may_start():
            holdings.sweeps.wait(min(self._next_sweep - now, SETTLE_S))

    def run_once(self) -> float:
        """One page of every pending list; seconds until it is worth to look again."""
        if self._may_have_lost_a_reply and self._holdings.name_is_unique:
            self._pick_up_lost_replies()
        self._may_have_lost_a_reply = False
        if not self._redis_was_there():
            return self._grace_s
        self._mark_trimmed()
        for key, cursor in list(self._cursors.items()):
            room = self._room()
            if room < 1:
                return _CROWDED_S
            try:
                claimed = self._claim(key, cursor, min(_PAGE, room))
            except GroupMissing:
                self._holdings.groups.mend(self.broker)
                continue
            except BrokerUnavailable:
                self._may_have_lost_a_reply = True
                raise
            self.answered()
            if claimed.late:
                return self._grace_s
            self._cursors[key] = claimed.cursor
            self._note_trimmed(key, claimed.trimmed)
            self._mark_trimmed()
        if any(cursor != _START for cursor in self._cursors.values()):
            return 0.0
        # Spread, so that the members of a group do not all sweep in the same moment.
        return self._every_s * random.uniform(0.8, 1.2)  # noqa: S311

    def _pick_up_lost_replies(self) -> None:
        table = self._holdings.table
        for key in self._cursors:
            # (A missing group is found by the sweep, too, and mended.)
            with suppress(GroupMissing), table.arriving:
                found, asked_at = pick_up_lost(self.broker, key, table, most_deliveries=None)
                self._accept(found, asked_at)

    def _claim(self, key: bytes, cursor: bytes, count: int) -> Claimed:
        """One page of what others left behind on ``key``, held when this returns."""
        with self._holdings.table.arriving:
            asked_at = time.monotonic()
            claimed = self.broker.reclaim(
                key, self._lease_ms, cursor, count, self._answers.latest_ms(asked_at)
            )
            read_at = time.perf_counter()
            taken = [
                entry_of(key, entry_id, fields, deliveries, "reclaim", read_at)
                for entry_id, deliveries, fields in claimed.entries
            ]
            self._accept(taken, asked_at, deleted=len(claimed.trimmed))
        return claimed

    def _redis_was_there(self) -> bool:
        """False if Redis has just come back from an outage, or from standing still.

        Meanwhile nobody could renew, and every lease looks lapsed. The owners try again within
        a second or so: they go first, or each would lose what the others hold.
        """
        asked_at = time.monotonic()
        server_ms = self.broker.now_ms()
        as_usual = self._answers.note(asked_at, time.monotonic(), server_ms)
        was_away, self._was_away = self._was_away, False
        return as_usual and not was_away

    def on_transient(self, error: BaseException, attempt: int) -> float:
        """As all, and remember it for the next sweep."""
        self._was_away = self._was_away or isinstance(error, BrokerUnavailable)
        return super().on_transient(error, attempt)

    def _room(self) -> int:
        """How many to take: suspects wait for their turn, and must not take all the credits."""
        if self._holdings.lanes.closed:
            return 0  # what comes now would only go back, and that is what we would find again
        for_suspects = max(1, self._holdings.credits.limit // 4) - len(self._suspects)
        return min(self._holdings.credits.free, for_suspects)

    def _accept(self, taken: Sequence[Entry], asked_at: float, deleted: int = 0) -> None:
        if not taken:
            return
        held = self._holdings.table.hold(taken, asked_at)
        self._notice(Reclaimed(len(taken), held, self._lease_ms / 1000, deleted))
        # The suspects first: were the other to fail, they would be held and waited for by nobody.
        self._suspects.add([attempt for attempt in held if attempt.entry.suspect])
        self._holdings.router.send([attempt for attempt in held if not attempt.entry.suspect])
        self._notice(Fetched("reclaim", len(taken)))

    def _note_trimmed(self, key: bytes, entry_ids: Sequence[bytes]) -> None:
        for entry_id in entry_ids:
            # (Of what we have in hand the renewer tells.)
            if self._holdings.table.get(key, entry_id) is None:
                self._unmarked.append((key, entry_id))
                self._notice(Trimmed(key.decode(), entry_id.decode(), held=False))

    def _mark_trimmed(self) -> None:
        """A letter for each; what is refused (a wrong type, no memory) waits for the next sweep."""
        while self._unmarked:
            key, entry_id = self._unmarked[0]
            now = datetime.now(timezone.utc).isoformat()
            letter = trimmed_letter(entry_id, self._holdings.origin, str(uuid.uuid4()), now)
            fence = Fence(key, entry_id, 0, or_absent=True)
            (answer,) = self.broker.settle([commands.DeadLetter(fence, letter)])
            if isinstance(answer, Exception):
                return
            self._unmarked.popleft()

    def teardown(self) -> None:
        """Hand back the suspects that wait."""
        self._suspects.hand_back()
        super().teardown()

    def wake(self) -> None:
        """From another thread: end the wait."""
        self._holdings.sweeps.ring()
