"""The lanes of one channel: an event's name to its lane, and what the channel wants to read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from streamix_queue.core.appetite import Appetite, appetite_of
from streamix_queue.core.attempt import Attempt
from streamix_queue.held.endings import Endings
from streamix_queue.held.lanes import Lane, Lanes, Run

__all__ = ["ChannelLanes"]


class ChannelLanes:
    """Thread-safe: every field is under the lock of the process' lanes.

    Args:
        lanes: Of the process.
        limits: Event → how many of it may run at once.
        in_order: Whether all events share one lane, so that first deliveries are handled in the
            order of the stream. So it is with one worker.
        run: Runs one attempt, on a worker's thread.
        endings: Where attempts go when they have ended.
        on_room: Called when a suspect of any channel has ended, on the worker's thread.
    """

    def __init__(
        self,
        lanes: Lanes,
        limits: Mapping[str, int],
        *,
        in_order: bool,
        run: Run,
        endings: Endings,
        on_room: Callable[[], None] = lambda: None,
    ) -> None:
        self._lanes = lanes
        self._on_room = on_room
        self._endings = endings
        if in_order:
            self._lane_of = dict.fromkeys(limits, lanes.open("", 1, run, endings))
        else:
            self._lane_of = {event: lanes.open(event, limit, run, endings) for event, limit in limits.items()}
        self._own = list(dict.fromkeys(self._lane_of.values()))
        self._crowded: set[Lane] = set()
        self._paused: frozenset[str] = frozenset()
        self._dropped = False
        lanes.when_room_for_suspect(on_room)

    def appetite(self) -> Appetite:
        """What the fetcher is to read next. Its cost grows with the busy lanes, not with all of them."""
        lanes = self._lanes
        with lanes.changed:
            judged = (*lanes.busy, *self._crowded) if lanes.count > 1 else ()
            for lane in [lane for lane in self._crowded if len(lane.queue) <= lane.limit]:
                lane.crowded = False
                self._crowded.discard(lane)
            now = time.monotonic() if judged else 0.0
            return appetite_of(
                [lane.state(now) for lane in judged if lane.endings is self._endings],
                paused=self._paused,
                several=lanes.count > 1,
                idle=bool(lanes.waiting),
                pace_s=lanes.pace_s,
            )

    def put(self, attempts: Sequence[Attempt]) -> Sequence[Attempt]:
        """Into the lanes of their events; returns what was not taken.

        That is all if the lanes are closed, and else what is paused, or would wait behind half a
        second of work of its event while other events have idle workers.
        """
        with self._lanes.changed:
            if self.closed:
                return attempts
            return self._lanes.put(attempts, self._lane_of, self._paused)

    def put_suspect(self, attempt: Attempt) -> bool:
        """To be run alone; False if closed, paused, or if another suspect has not ended yet."""
        with self._lanes.changed:
            if self._dropped or attempt.event in self._paused:
                return False
            return self._lanes.put_suspect(attempt, self._lane_of[attempt.event])

    @property
    def workers_wait(self) -> bool:
        """Whether workers of the process wait for work: a glance, without the lock."""
        return bool(self._lanes.waiting)

    @property
    def closed(self) -> bool:
        """True when nothing more is given out."""
        return self._lanes.closed or self._dropped

    def is_paused(self, event: str) -> bool:
        """True while ``event`` is not to be begun."""
        return event in self._paused

    def depths(self) -> dict[str, int]:
        """Lane → attempts in it."""
        with self._lanes.changed:
            return {lane.name: len(lane.queue) for lane in self._own}

    def make_room(self) -> list[Attempt]:
        """The newer half of the fullest lane, when it keeps idle workers from other events.

        Nothing unless there are several lanes, for else what is queued does not wait for its own
        event's turn alone; and nothing if the fullest is another channel's, whose fetcher does this.
        """
        lanes = self._lanes
        with lanes.changed:
            fullest = lanes.fullest()
            if lanes.count < 2 or not lanes.waiting or fullest is None:
                return []
            if fullest.endings is not self._endings:
                return []
            removed = [fullest.queue.pop() for _ in range((len(fullest.queue) + 1) // 2)]
            removed.reverse()
            if removed:
                fullest.crowded = True
                self._crowded.add(fullest)
            if not fullest.queue:
                lanes.unready(fullest)
            return removed

    def pause(self, events: frozenset[str]) -> list[Attempt]:
        """Begin none of these events from now on, and all others; returns what waited of these."""
        with self._lanes.changed:
            self._paused = events
            return self._lanes.withdraw(self._own, events)

    def drop(self) -> None:
        """Give out nothing more of this channel, and hand back what was never started of it."""
        with self._lanes.changed:
            self._dropped = True
        self._lanes.forget_listener(self._on_room)
        for lane in self._own:
            self._endings.hand_back(self._lanes.drop(lane))
