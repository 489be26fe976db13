"""What has ended and waits for the settler: the one way out of a channel."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from streamix_queue.core.outcome import HAND_BACK, Outcome
from streamix_queue.held.delivery import Delivery
from streamix_queue.runtime import Closed, Mailbox

__all__ = ["Endings"]


class Endings(Mailbox[Sequence[Delivery]]):
    """The settler's mailbox: lists of deliveries whose attempts are closed. For any thread.

    What is put after it was closed raises `Closed`: those leases lapse, and another member takes
    the entries over.
    """

    def end(self, deliveries: Sequence[Delivery], outcome: Outcome) -> None:
        """Close the attempts of deliveries that are not to be run, all in the same way."""
        for delivery in deliveries:
            delivery.close(outcome)
        if deliveries:
            self.put(deliveries)

    def hand_back(self, deliveries: Sequence[Delivery]) -> None:
        """Of what was never started, when this process is stopping: also after the settler's end."""
        with suppress(Closed):
            self.end(deliveries, HAND_BACK)
