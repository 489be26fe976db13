"""Those that may have killed their process: counted, started one at a time, and in the end blamed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from streamix_queue.broker.protocol import ConsumerBroker, Standing
from streamix_queue.core.attempt import Attempt, Failure
from streamix_queue.core.commands import Fence
from streamix_queue.core.facts import SuspectStarted
from streamix_queue.core.outcome import HAND_BACK, PARK, DeadLetter, Outcome, Reason
from streamix_queue.held.holdings import Holdings
from streamix_queue.held.lanes import Lanes

__all__ = ["SETTLE_S", "Suspects"]

SETTLE_S = 2.0
"""How long the next one waits for the end of the last to be in Redis (s). Longer, and Redis refuses
to settle it; that may take for ever."""


class Suspects:
    """The suspects of one channel that wait to be started. Owned by the reclaimer's thread.

    The death of a process makes suspects of everything that it held: of the one message that
    killed it and of all its neighbours, which come back alike, delivered twice. So each of them
    runs alone here, after its start was counted in Redis; whichever has been started
    ``max_deliveries`` times in all without an end is the one, and goes to the dead letters. Its
    neighbours end, and are clear.
    """

    def __init__(self, broker: ConsumerBroker, holdings: Holdings, lanes: Lanes) -> None:
        self._broker = broker
        self._lanes = lanes
        self._holdings = holdings
        self._waiting: deque[Attempt] = deque()
        self._last: Attempt | None = None  # the one counted last
        self._last_ended_at = 0.0  # if it was never run: dead-lettered, handed over or put back at once

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, attempts: Sequence[Attempt]) -> None:
        """These wait, held and so renewed; not decoded, for even that may kill."""
        self._waiting.extend(attempts)

    def hand_back(self) -> None:
        """At the end: another member can have them at once."""
        self._holdings.endings.hand_back(list(self._waiting))
        self._waiting.clear()

    def may_start(self) -> bool:
        """Not before the end of the last one is in Redis: were the next to kill us, both would be blamed."""
        last = self._last
        if last is not None and self._holdings.table.holds(last):
            ended_at = last.finished_at or self._last_ended_at
            if (time.perf_counter() - ended_at if ended_at else 0.0) < SETTLE_S:
                return False
        return self._lanes.room_for_suspect()

    def start_one(self) -> None:
        """Count the first that waits and start it, if one may be started now."""
        if not self._waiting or not self.may_start():
            return
        attempt = self._waiting[0]
        lease = attempt.lease
        if lease.lost:
            self._end(self._waiting.popleft(), HAND_BACK)
            return
        # Counted, it has to be started, and a worker declines what has lapsed.
        if not lease.young(time.monotonic()):
            self._renew(attempt)
            return
        # Also if it is pending for nobody by now: to count a start writes no copy of a message.
        fence = Fence(attempt.entry.key, attempt.entry.id, lease.token, or_absent=True)
        starts = self._broker.suspect(fence)
        if starts and not lease.young(time.monotonic()):
            return  # Redis took its time. Asked again after a renewal, it counts this start only once.
        self._waiting.popleft()
        if starts == 0:
            lease.lose()
            self._end(attempt, HAND_BACK)
            return
        self._last, self._last_ended_at = attempt, 0.0
        if starts >= self._holdings.config.max_deliveries:
            self._blame(attempt, starts)
        else:
            self._start(attempt, starts)

    def _start(self, attempt: Attempt, starts: int) -> None:
        lanes = self._holdings.lanes
        self._holdings.notice(SuspectStarted(attempt, starts))
        outcome = attempt.open(self._holdings.registrations)
        if outcome is not None:
            self._end(attempt, outcome)
        elif not lanes.put_suspect(attempt):
            # Paused, or closed meanwhile: we are stopping.
            self._end(attempt, PARK if lanes.is_paused(attempt.event) else HAND_BACK)

    def _blame(self, attempt: Attempt, starts: int) -> None:
        # Opened, the letter is readable. Were opening what kills, it is kept raw at the next try.
        if starts == self._holdings.config.max_deliveries:
            attempt.open(self._holdings.registrations)
        text = f"the process died {starts} times while it had this message"
        attempt.failure = Failure("Crash", text)
        self._end(attempt, DeadLetter(Reason.CRASH))

    def _end(self, attempt: Attempt, outcome: Outcome) -> None:
        """Settle one that is not run."""
        if attempt is self._last:
            self._last_ended_at = time.perf_counter()
        self._holdings.endings.end([attempt], outcome)

    def _renew(self, attempt: Attempt) -> None:
        lease, asked_at = attempt.lease, time.monotonic()
        token, lapsed = lease.token, lease.lapsed(asked_at)
        (standing,) = self._broker.renew(attempt.entry.key, [(attempt.entry.id, token)])
        if standing == Standing.OURS or (standing == Standing.ORPHAN and not lapsed):
            lease.renew(token, asked_at)
        else:
            lease.lose(token)
