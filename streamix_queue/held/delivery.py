"""A delivery: an entry that this process holds, its lease, and what becomes of it."""

from __future__ import annotations

import msgspec

from streamix_queue.core.attempt import Attempt, Failure
from streamix_queue.core.entry import Entry
from streamix_queue.core.outcome import Outcome
from streamix_queue.held.lease import Lease

__all__ = ["Delivery"]


class Delivery(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What goes from the fetcher over a lane and a worker to the settler. Each part has its own rules."""

    entry: Entry
    lease: Lease
    attempt: Attempt

    @property
    def event(self) -> str:
        """The event's name, ``""`` if the entry was not decoded."""
        return self.attempt.event

    def close(self, outcome: Outcome, failure: Failure | None = None) -> bool:
        """End the attempt so, from any thread; False, and nothing is changed, if it has ended already."""
        with self.lease.terms.lock:
            return self.attempt.close(outcome, failure)
