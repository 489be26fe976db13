"""The lanes of a process and whose turn it is: what all fetchers, reclaimers and workers share."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from streamix_queue.core.appetite import LaneState, share_of_lane
from streamix_queue.core.attempt import Attempt
from streamix_queue.held.endings import Endings
from streamix_queue.held.quarantine import Quarantine
from streamix_queue.runtime import Closed

__all__ = ["Lane", "Lanes", "Share"]

_SMOOTHING = 0.1

Run = Callable[[Attempt], None]


class Lane:
    """A mailbox of attempts that wait for a worker. Every field is under the lock of its `Lanes`.

    Args:
        name: The event; ``""`` for one lane that all events of a channel share.
        limit: Workers it may have at once.
        run: Runs one of its attempts, on a worker's thread.
        endings: Where its attempts go when they have ended.
    """

    __slots__ = (
        "crowded",
        "ended_at",
        "endings",
        "limit",
        "name",
        "open",
        "pace_s",
        "queue",
        "ready",
        "run",
        "running",
    )

    def __init__(self, name: str, limit: int, run: Run, endings: Endings) -> None:
        self.name = name
        self.limit = limit
        self.run = run
        self.endings = endings
        self.queue: deque[Attempt] = deque()
        self.running = 0
        self.open = True
        self.ready = False  # in the queue of lanes that a worker may take from
        self.crowded = False
        self.pace_s: float | None = None
        self.ended_at = 0.0  # time.monotonic() when a share ended, or the last worker got busy

    def state(self, now: float) -> LaneState:
        """What there is to decide by."""
        queued, silent_s = len(self.queue), now - self.ended_at
        return LaneState(self.name, self.limit, self.running, queued, self.pace_s, silent_s, self.crowded)


class Share:
    """Some attempts of one lane for one worker. Idle workers may take from its end."""

    __slots__ = ("alone", "lane", "left")

    def __init__(self, lane: Lane, attempts: deque[Attempt], *, alone: bool = False) -> None:
        self.lane = lane
        self.left = attempts
        self.alone = alone

    def next(self) -> Attempt | None:
        """The next one to run, None if no more are left. A deque's pop is atomic."""
        try:
            return self.left.popleft()
        except IndexError:
            return None

    def take_back(self) -> list[Attempt]:
        """All that its worker has not begun, in order. It may take from the other end meanwhile."""
        taken: list[Attempt] = []
        with suppress(IndexError):
            while True:
                taken.append(self.left.pop())
        taken.reverse()
        return taken


class Lanes:
    """Thread-safe: one lock, taken once per batch by those who put and twice per share by workers.

    Lanes come and go at run time. They take turns, so that no event waits for another's queue; a
    lane may be limited in how many workers it has at once. A suspect runs alone, see `Quarantine`.

    Args:
        alone_s: How long a suspect may keep others waiting (s).

    Attributes:
        changed: The condition, and with it the lock, that every field here is under; so is every
            `Lane`, and what a channel knows of its own lanes (see `ChannelLanes`).
        busy: Lanes that have all the workers they may have.
        count: How many lanes there are.
        waiting: Workers that wait for work.
        closed: True when nothing more is given out.
        pace_s: Mean time of a handler lately (s); None if none has ended yet.
    """

    def __init__(self, alone_s: float = 30.0) -> None:
        self.changed = threading.Condition(threading.Lock())
        self.busy: set[Lane] = set()
        self.count = 0
        self.waiting = 0
        self.closed = False
        self.pace_s: float | None = None
        self._lanes: dict[Lane, None] = {}  # in the order in which they were opened
        self._ready: deque[Lane] = deque()
        self._shares: dict[int, Share] = {}
        self._quarantine: Quarantine[Lane] = Quarantine(alone_s)
        self._on_room: tuple[Callable[[], None], ...] = ()

    # --- lanes come and go ------------------------------------------------------------------

    def open(self, name: str, limit: int, run: Run, endings: Endings) -> Lane:
        """One more lane; see `Lane`."""
        lane = Lane(name, limit, run, endings)
        with self.changed:
            self._lanes[lane] = None
            self.count = len(self._lanes)
        return lane

    def drop(self, lane: Lane) -> list[Attempt]:
        """Give out nothing more of it; what was never started of it. What runs, runs to its end."""
        with self.changed:
            left = self._withdraw(lane)
            lane.open = False
            self._lanes.pop(lane, None)
            self.count = len(self._lanes)
            self.changed.notify_all()  # a suspect of it may have kept others waiting
            return left

    def _withdraw(self, lane: Lane) -> list[Attempt]:
        left = self._quarantine.withdraw(lambda _, its: its is lane)
        for share in self._shares.values():
            if share.lane is lane:
                left += share.take_back()
        left += lane.queue
        lane.queue.clear()
        self.unready(lane)
        return left

    # --- those who bring --------------------------------------------------------------------

    def put(
        self, attempts: Sequence[Attempt], lane_of: Mapping[str, Lane], paused: frozenset[str]
    ) -> list[Attempt]:
        """Into the lanes of their events; returns what was not taken. The caller has the lock.

        That is what is paused, and what would wait behind half a second of work of its event
        while other events have idle workers.
        """
        refused: list[Attempt] = []
        if paused:
            refused = [attempt for attempt in attempts if attempt.event in paused]
            attempts = [attempt for attempt in attempts if attempt.event not in paused]
        choosy = self.count > 1 and self.waiting
        ready = self._ready
        for attempt in attempts:
            message = attempt.message
            assert message is not None  # what was not decoded goes into no lane
            lane = lane_of[message.event]
            if choosy and lane.running >= lane.limit and self._overfull(lane):
                refused.append(attempt)
                continue
            lane.queue.append(attempt)
            if not lane.ready and lane.running < lane.limit:
                lane.ready = True
                ready.append(lane)
        if self.waiting and ready:
            self.changed.notify(min(self.waiting, len(attempts)))
        return refused

    def _overfull(self, lane: Lane) -> bool:
        return len(lane.queue) >= 2 * lane.state(time.monotonic()).enough

    def put_suspect(self, attempt: Attempt, lane: Lane) -> bool:
        """To be run alone; False if closed, or if another suspect is here. The caller has the lock."""
        if self.closed or not lane.open or not self._quarantine.has_room:
            return False
        self._quarantine.enter(attempt, lane, time.monotonic())
        self.changed.notify_all()
        return True

    def room_for_suspect(self) -> bool:
        """True if `put_suspect` would take one."""
        with self.changed:
            return self._quarantine.has_room

    def when_room_for_suspect(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever a suspect has ended, on the worker's thread."""
        with self.changed:
            self._on_room = (*self._on_room, listener)

    def forget_listener(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        with self.changed:
            self._on_room = tuple(other for other in self._on_room if other != listener)

    # --- those who work ---------------------------------------------------------------------

    def take(self, worker: int, timeout: float) -> Share | None:
        """The next share for ``worker``; None after ``timeout`` seconds.

        Raises:
            Closed: nothing will come any more.
        """
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                if self.closed:
                    raise Closed
                share = self._next_share()
                if share is not None:
                    self._shares[worker] = share
                    return share
                now = time.monotonic()
                if now >= deadline:
                    return None
                self.waiting += 1
                left = deadline - now
                if not self._quarantine.has_room:
                    left = min(left, self._quarantine.late_in(now))
                self.changed.wait(left)
                self.waiting -= 1

    def done(self, worker: int, share: Share, ran: int, seconds: float) -> None:
        """``worker`` has ended its share, of which ``ran`` handlers took ``seconds`` in all."""
        with self.changed:
            self._shares.pop(worker, None)
            lane = share.lane
            lane.running -= 1
            lane.ended_at = time.monotonic()
            if lane.running < lane.limit:
                self.busy.discard(lane)
            if ran:
                lane.pace_s = _smoothed(lane.pace_s, seconds / ran, ran)
                self.pace_s = _smoothed(self.pace_s, seconds / ran, ran)
            if lane.queue and not lane.ready and lane.running < lane.limit:
                lane.ready = True
                self._ready.append(lane)
                self.changed.notify()
            if share.alone:
                self._quarantine.ended()
                self.changed.notify_all()
            elif self._quarantine.waits and not self._shares:
                self.changed.notify_all()
        if share.alone:
            for listener in self._on_room:
                listener()

    def _next_share(self) -> Share | None:
        now = time.monotonic()
        if not self._quarantine.has_room:
            begun = self._quarantine.begin(now, others_run=bool(self._shares))
            if begun is not None:
                attempt, lane = begun
                self._begin(lane, now)
                return Share(lane, deque((attempt,)), alone=True)
            if self._quarantine.holds_others_back(now):
                return None
        if not self._ready:
            return self._split_share(now)
        lane = self._ready.popleft()
        lane.ready = False
        self._begin(lane, now)
        queue = lane.queue
        count = min(share_of_lane(len(queue), self.waiting, lane.pace_s), len(queue))
        share = Share(lane, deque([queue.popleft() for _ in range(count)]))
        if queue and lane.running < lane.limit:
            lane.ready = True
            self._ready.append(lane)  # at the end: the others come first
            if self.waiting:
                self.changed.notify()
        return share

    def _begin(self, lane: Lane, now: float) -> None:
        lane.running += 1
        if lane.running >= lane.limit:
            lane.ended_at = now
            self.busy.add(lane)

    def _split_share(self, now: float) -> Share | None:
        """Half of what a busy worker has not begun: the one in its hands may take long."""
        for share in self._shares.values():
            if share.left and share.lane.running < share.lane.limit:
                taken: deque[Attempt] = deque()
                for _ in range((len(share.left) + 1) // 2):
                    try:
                        taken.appendleft(share.left.pop())
                    except IndexError:
                        break
                if taken:
                    self._begin(share.lane, now)
                    return Share(share.lane, taken)
        return None

    # --- those who look, and those who take back --------------------------------------------

    def running(self) -> int:
        """Workers that have a share."""
        with self.changed:
            return len(self._shares)

    def fullest(self) -> Lane | None:
        """The lane with most that waits. The caller has the lock."""
        return max(self._lanes, key=lambda lane: len(lane.queue), default=None)

    def withdraw(self, lanes: Sequence[Lane], events: frozenset[str]) -> list[Attempt]:
        """What waits of ``events`` in ``lanes``, which are given no more of. The caller has the lock."""
        withdrawn = self._quarantine.withdraw(lambda suspect, lane: lane in lanes and suspect.event in events)
        for share in self._shares.values():
            lane = share.lane
            if not share.alone and lane in lanes and (lane.name in events or not lane.name):
                lane.queue.extendleft(reversed(share.take_back()))
        for lane in lanes:
            withdrawn += [attempt for attempt in lane.queue if attempt.event in events]
            lane.queue = deque(attempt for attempt in lane.queue if attempt.event not in events)
            if not lane.queue:
                self.unready(lane)
        self.changed.notify_all()
        return withdrawn

    def unready(self, lane: Lane) -> None:
        """Offer it to no worker. The caller has the lock."""
        if lane.ready:
            lane.ready = False
            self._ready.remove(lane)

    def close(self) -> None:
        """Give out nothing more, and hand back what was never started. Any thread, and more than once."""
        with self.changed:
            self.closed = True
            left = {lane: self._withdraw(lane) for lane in self._lanes}
            self.changed.notify_all()
        for lane, attempts in left.items():
            lane.endings.hand_back(attempts)


def _smoothed(mean: float | None, value: float, count: int) -> float:
    """An exponential moving average, as if ``value`` had come ``count`` times."""
    if mean is None:
        return value
    return mean + (value - mean) * (1 - (1 - _SMOOTHING) ** count)
