"""From an entry to its lane: hold it, decode it once, find its handler, or end it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamix_queue.core.attempt import Attempt
from streamix_queue.core.entry import Entry
from streamix_queue.core.outcome import HAND_BACK, PARK
from streamix_queue.core.registration import Registration
from streamix_queue.held.channel_lanes import ChannelLanes
from streamix_queue.held.endings import Endings
from streamix_queue.held.table import HeldTable

__all__ = ["Router"]


class Router:
    """Thread-safe, for it has no state of its own: fetcher and reclaimer route at the same time."""

    def __init__(
        self,
        registrations: Mapping[str, Registration],
        table: HeldTable,
        lanes: ChannelLanes,
        endings: Endings,
    ) -> None:
        self._registrations = registrations
        self._table = table
        self._lanes = lanes
        self._endings = endings

    def route(self, entries: Sequence[Entry], proved_at: float) -> bool:
        """Hold these, then send each where it belongs.

        Held first: from then on they are renewed, and whatever becomes of them gives the
        credit back.

        Args:
            entries: As Redis delivered them.
            proved_at: ``time.monotonic()`` before Redis was asked for them (s).

        Returns:
            Whether workers still wait for work.
        """
        self.send(self._table.hold(entries, proved_at))
        return self._lanes.workers_wait

    def send(self, attempts: Sequence[Attempt]) -> None:
        """Open these, which are held, and put them into their lanes; or end them at once."""
        runnable: list[Attempt] = []
        ended: list[Attempt] = []
        registrations = self._registrations
        for attempt in attempts:
            outcome = attempt.open(registrations)
            if outcome is None:
                runnable.append(attempt)
            else:
                attempt.close(outcome)
                ended.append(attempt)
        if ended:
            self._endings.put(ended)
        refused = self._lanes.put(runnable)
        if refused:
            self._endings.end(refused, HAND_BACK if self._lanes.closed else PARK)
