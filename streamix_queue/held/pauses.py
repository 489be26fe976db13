"""Events that an operator has paused: what waits of them goes back, and nothing of them begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from streamix_queue.core.facts import EventPaused, EventResumed
from streamix_queue.core.outcome import PARK
from streamix_queue.held.channel_lanes import ChannelLanes
from streamix_queue.held.endings import Endings
from streamix_queue.telling.observers import Notice

__all__ = ["Pauses"]


class Pauses:
    """Carries out what the group's set of pauses says.

    Owned by one thread at a time: first the one that starts the consumer, then the scheduler's.
    What waits in a lane goes to the event's inbox, and so does what comes from the shared
    stream meanwhile; the inbox is not read until the event is resumed. No attempt is counted,
    and what runs already runs to its end.
    """

    def __init__(self, events: Iterable[str], lanes: ChannelLanes, endings: Endings, notice: Notice) -> None:
        self._events = frozenset(events)
        self._lanes = lanes
        self._endings = endings
        self._notice = notice
        self._paused: frozenset[str] = frozenset()

    def apply(self, paused: Collection[str]) -> None:
        """These events are paused now, and no others. Cheap when nothing has changed."""
        before, now = self._paused, self._events.intersection(paused)
        if now == before:
            return
        self._paused = now
        withdrawn = self._lanes.pause(now)
        self._endings.end(withdrawn, PARK)
        parked = Counter(attempt.event for attempt in withdrawn)
        for event in sorted(now - before):
            self._notice(EventPaused(event, parked[event]))
        for event in sorted(before - now):
            self._notice(EventResumed(event))
