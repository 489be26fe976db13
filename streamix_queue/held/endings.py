"""What has ended and waits for the settler: the one way out of a channel."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from streamix_queue.core.attempt import Attempt
from streamix_queue.core.outcome import HAND_BACK, Outcome
from streamix_queue.runtime import Closed, Mailbox

__all__ = ["Endings"]


class Endings(Mailbox[Sequence[Attempt]]):
    """The settler's mailbox: lists of attempts that are closed. For any thread.

    What is put after it was closed raises `Closed`: those leases lapse, and another member takes
    the entries over.
    """

    def end(self, attempts: Sequence[Attempt], outcome: Outcome) -> None:
        """Close attempts that are not to be run, all in the same way."""
        for attempt in attempts:
            attempt.close(outcome)
        if attempts:
            self.put(attempts)

    def hand_back(self, attempts: Sequence[Attempt]) -> None:
        """Of what was never started, when this process is stopping: also after the settler's end."""
        with suppress(Closed):
            self.end(attempts, HAND_BACK)
