"""The mailboxes of the events, and whose turn it is: what fetcher, reclaimer and workers share."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from streamix_queue.core.delivery import Delivery
from streamix_queue.core.tuning import enough_queued, share_of_turn
from streamix_queue.runtime import Closed

__all__ = ["Box", "Dispatch", "Turn"]

_SMOOTHING = 0.1
# After so long without an end, how long the handlers took before tells nothing any more.
_STUCK_S = 0.5
_PLENTY = 1 << 30
_FEW = 64


class Box:
    """One mailbox. Every field is guarded by the lock of its `Dispatch`."""

    __slots__ = ("crowded", "ended_at", "limit", "name", "pace_s", "queue", "ready", "running")

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.limit = limit
        self.queue: deque[Delivery] = deque()
        self.running = 0
        self.ready = False
        self.crowded = False
        self.pace_s: float | None = None
        self.ended_at = 0.0  # time.monotonic() when a turn ended, or the last worker got busy

    def enough(self) -> int:
        """How long the queue may be while all its workers are busy."""
        stuck_s = time.monotonic() - self.ended_at
        if stuck_s < _STUCK_S:
            return enough_queued(self.limit, self.pace_s)
        return enough_queued(self.limit, max(stuck_s, self.pace_s or 0.0))

    def has_enough(self) -> bool:
        """True while all its workers are busy and have a quarter of a second of work before them."""
        return self.running >= self.limit and len(self.queue) >= self.enough()


class Turn:
    """Some deliveries of one mailbox for one worker. Idle workers may take from its end."""

    __slots__ = ("alone", "box", "left")

    def __init__(self, box: Box, deliveries: deque[Delivery], *, alone: bool = False) -> None:
        self.box = box
        self.left = deliveries
        self.alone = alone

    def next(self) -> Delivery | None:
        """The next one to run, None if no more are left. A deque's pop is atomic."""
        try:
            return self.left.popleft()
        except IndexError:
            return None


class Dispatch:
    """Thread-safe: one lock, taken once per batch by those who put and once per turn by workers.

    Mailboxes take turns, so that no event waits for another's queue. An event may be limited in
    how many workers it has at once. Suspects run alone (see `put_suspect`).

    Args:
        limits: Event → how many of it may run at once.
        concurrency: Workers. With one, all events share one mailbox, so that first deliveries
            are handled in the order of the stream.
        alone_s: How long a suspect may keep others waiting: for it to begin, and while it runs.
        on_suspect_done: Called (on the worker's thread) when there is room for the next one.
    """

    def __init__(
        self,
        limits: Mapping[str, int],
        concurrency: int,
        alone_s: float = 30.0,
        on_suspect_done: Callable[[], None] = lambda: None,
    ) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._single = Box("", 1) if concurrency == 1 else None
        self._boxes = {event: self._single or Box(event, limit) for event, limit in limits.items()}
        self._several = self._single is None and len(self._boxes) > 1
        self._ready: deque[Box] = deque()
        self._turns: dict[int, Turn] = {}
        self._waiting = 0
        self._closed = False
        self._paused: frozenset[str] = frozenset()
        self._pace_s: float | None = None
        self._alone_s = alone_s
        self._on_suspect_done = on_suspect_done
        self._suspect: Delivery | None = None
        self._suspect_turn: Turn | None = None
        self._suspect_since = 0.0

    # --- those who bring --------------------------------------------------------------------

    def put(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """Into the mailboxes of their events; returns what was not taken.

        That is all if it is closed, and else what is paused, or would wait behind half a second
        of work of its event while other events have idle workers.
        """
        refused: list[Delivery] = []
        with self._changed:
            if self._closed:
                return deliveries
            if self._paused:
                refused = [delivery for delivery in deliveries if delivery.event in self._paused]
                deliveries = [delivery for delivery in deliveries if delivery.event not in self._paused]
            choosy = self._several and self._waiting
            for delivery in deliveries:
                box = self._boxes[delivery.event]
                if choosy and box.running >= box.limit and len(box.queue) >= 2 * box.enough():
                    refused.append(delivery)
                    continue
                box.queue.append(delivery)
                if not box.ready and box.running < box.limit:
                    box.ready = True
                    self._ready.append(box)
            if self._waiting and self._ready:
                self._changed.notify(min(self._waiting, len(deliveries)))
        return refused

    def put_suspect(self, delivery: Delivery) -> bool:
        """To be run alone; False if closed, paused, or if another suspect has not ended yet.

        It begins when no other handler runs, and none begins beside it. Both waits are bounded
        by ``alone_s``: a handler that takes an hour must not stop a process for two, and what
        kills a process mostly does so at once. Two suspects never run side by side.
        """
        with self._changed:
            if self._closed or delivery.event in self._paused or not self._room_for_suspect():
                return False
            self._suspect, self._suspect_since = delivery, time.monotonic()
            self._changed.notify_all()
            return True

    def room_for_suspect(self) -> bool:
        """True if `put_suspect` would take one."""
        with self._changed:
            return self._room_for_suspect()

    def _room_for_suspect(self) -> bool:
        return self._suspect is None and self._suspect_turn is None

    # --- those who work ---------------------------------------------------------------------

    def take(self, worker: int, timeout: float) -> Turn | None:
        """The next turn for ``worker``; None after ``timeout`` seconds.

        Raises:
            Closed: nothing will come any more.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                if self._closed:
                    raise Closed
                turn = self._next_turn()
                if turn is not None:
                    self._turns[worker] = turn
                    return turn
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._waiting += 1
                self._changed.wait(min(left, self._until_suspect_is_late()))
                self._waiting -= 1

    def done(self, worker: int, turn: Turn, ran: int, seconds: float) -> None:
        """``worker`` has ended its turn, in which ``ran`` handlers took ``seconds`` in all."""
        with self._changed:
            self._turns.pop(worker, None)
            box = turn.box
            box.running -= 1
            box.ended_at = time.monotonic()
            if ran:
                box.pace_s = _smoothed(box.pace_s, seconds / ran, ran)
                self._pace_s = _smoothed(self._pace_s, seconds / ran, ran)
            if box.queue and not box.ready and box.running < box.limit:
                box.ready = True
                self._ready.append(box)
                self._changed.notify()
            if turn is self._suspect_turn:
                self._suspect_turn = None
                self._changed.notify_all()
            elif self._suspect is not None and not self._turns:
                self._changed.notify_all()
        if turn.alone:
            self._on_suspect_done()

    def _next_turn(self) -> Turn | None:
        now = time.monotonic()
        if self._suspect is not None:
            if self._turns and now - self._suspect_since < self._alone_s:
                return None  # the running ones end first, and nothing new begins
            delivery, self._suspect = self._suspect, None
            box = self._boxes[delivery.event]
            box.running += 1
            self._suspect_turn = Turn(box, deque((delivery,)), alone=True)
            self._suspect_since = now
            return self._suspect_turn
        if self._suspect_turn is not None and now - self._suspect_since < self._alone_s:
            return None
        if not self._ready:
            return self._stolen_turn()
        box = self._ready.popleft()
        box.ready = False
        box.running += 1
        if box.running == box.limit:
            box.ended_at = now
        count = share_of_turn(len(box.queue), self._waiting, box.pace_s)
        turn = Turn(box, deque(box.queue.popleft() for _ in range(min(count, len(box.queue)))))
        if box.queue and box.running < box.limit:
            box.ready = True
            self._ready.append(box)  # at the end: the others come first
            if self._waiting:
                self._changed.notify()
        return turn

    def _stolen_turn(self) -> Turn | None:
        """Half of what a busy worker has not begun: the one in its hands may take long."""
        for turn in self._turns.values():
            if turn.left and turn.box.running < turn.box.limit:
                taken: deque[Delivery] = deque()
                for _ in range((len(turn.left) + 1) // 2):
                    try:
                        taken.appendleft(turn.left.pop())
                    except IndexError:
                        break
                if taken:
                    turn.box.running += 1
                    return Turn(turn.box, taken)
        return None

    def _until_suspect_is_late(self) -> float:
        if self._suspect is None and self._suspect_turn is None:
            return 3600.0
        return max(0.001, self._suspect_since + self._alone_s - time.monotonic())

    # --- those who look ----------------------------------------------------------------------

    @property
    def pace_s(self) -> float | None:
        """Mean time of a handler in seconds, lately; None if none has ended yet."""
        return self._pace_s

    def idle(self) -> int:
        """Workers that wait for work."""
        return self._waiting

    def running(self) -> int:
        """Workers that have a turn."""
        with self._changed:
            return len(self._turns)

    def crowded(self, event: str) -> bool:
        """True while ``event`` has work enough, after it had to make room for others."""
        box = self._boxes[event]
        if box.crowded and len(box.queue) <= box.limit:
            box.crowded = False
        return box.crowded or (self._several and box.has_enough())

    def room(self, event: str) -> int:
        """How many more of ``event`` are welcome; few only while a slow one keeps its workers busy."""
        box = self._boxes[event]
        if not self._several or box.running < box.limit:
            return _PLENTY
        enough = box.enough()
        return max(0, enough - len(box.queue)) if enough <= _FEW else _PLENTY

    def waits_behind_another(self) -> bool:
        """True while workers are idle and an event has work enough: what they need is behind it."""
        with self._changed:
            if not (self._several and self._waiting):
                return False
            return any(box.has_enough() for box in self._boxes.values())

    @property
    def closed(self) -> bool:
        """True when it gives out nothing more."""
        return self._closed

    def depths(self) -> dict[str, int]:
        """Mailbox → deliveries in it."""
        with self._changed:
            return {box.name: len(box.queue) for box in self._boxes.values()}

    def is_paused(self, event: str) -> bool:
        """True while ``event`` is not to be begun."""
        return event in self._paused

    # --- making room, pauses, and the end ------------------------------------------------------

    def shed(self) -> list[Delivery]:
        """The newer half of the fullest mailbox, when it keeps idle workers from other events.

        Nothing unless there are several mailboxes: then what is queued does not wait for its
        own event's turn alone.
        """
        with self._changed:
            boxes = list(self._boxes.values())
            if self._single is not None or len(boxes) < 2 or not self._waiting:
                return []
            fullest = max(boxes, key=lambda box: len(box.queue))
            shed = [fullest.queue.pop() for _ in range((len(fullest.queue) + 1) // 2)]
            shed.reverse()
            fullest.crowded = bool(shed)
            return shed

    def pause(self, events: frozenset[str]) -> list[Delivery]:
        """Begin none of these events from now on, and all others; returns what waited of these."""
        with self._changed:
            self._paused = events
            withdrawn: list[Delivery] = []
            if self._suspect is not None and self._suspect.event in events:
                withdrawn.append(self._suspect)
                self._suspect = None
            for turn in self._turns.values():
                if not turn.alone and (turn.box is self._single or turn.box.name in events):
                    # (A worker may take from the other end meanwhile, and even end its turn.)
                    taken: deque[Delivery] = deque()
                    with suppress(IndexError):
                        while True:
                            taken.appendleft(turn.left.pop())
                    turn.box.queue.extendleft(reversed(taken))
            for box in {id(box): box for box in self._boxes.values()}.values():
                withdrawn += [delivery for delivery in box.queue if delivery.event in events]
                box.queue = deque(delivery for delivery in box.queue if delivery.event not in events)
                if box.ready and not box.queue:
                    box.ready = False
                    self._ready.remove(box)
            self._changed.notify_all()
            return withdrawn

    def close(self) -> list[Delivery]:
        """Give out nothing more; returns what was never started (nothing the second time)."""
        with self._changed:
            self._closed = True
            left = [] if self._suspect is None else [self._suspect]
            self._suspect = None
            for turn in self._turns.values():
                while (delivery := turn.next()) is not None:
                    left.append(delivery)
            for box in {id(box): box for box in self._boxes.values()}.values():
                left += box.queue
                box.queue.clear()
            self._ready.clear()
            self._changed.notify_all()
            return left


def _smoothed(mean: float | None, value: float, count: int) -> float:
    """An exponential moving average, as if ``value`` had come ``count`` times."""
    if mean is None:
        return value
    return mean + (value - mean) * (1 - (1 - _SMOOTHING) ** count)
