"""A worker: takes a turn, runs the handlers, posts what became of them. Does no I/O of its own."""

from __future__ import annotations

import time
from contextlib import suppress

from streamix_queue.actors.executor import Executor
from streamix_queue.core.delivery import Delivery
from streamix_queue.core.outcome import HAND_BACK
from streamix_queue.held.dispatch import Dispatch, Turn
from streamix_queue.runtime import Actor, Closed, Mailbox

__all__ = ["Letters", "Worker"]

Letters = Mailbox[list[Delivery]]
"""The settler's mailbox: deliveries that have an outcome."""

_POST_AFTER_S = 0.001


class Worker(Actor):
    """One of the ``concurrency`` threads that run handlers."""

    # A handler may take an hour; what a worker itself does cannot stall.
    progress_deadline = None

    def __init__(
        self, number: int, dispatch: Dispatch, executor: Executor, settler: Letters, lease_s: float
    ) -> None:
        super().__init__(f"worker-{number}")
        self._number = number
        self._dispatch = dispatch
        self._executor = executor
        self._settler = settler
        self._lease_s = lease_s
        self._turn: Turn | None = None
        self._in_hand: Delivery | None = None

    @property
    def in_hand(self) -> Delivery | None:
        """The delivery whose handler runs now; for others to look at, not to touch."""
        return self._in_hand

    def step(self) -> None:
        """One turn."""
        turn = self._turn = self._dispatch.take(self._number, timeout=60.0)
        if turn is None:
            return
        ran, seconds = self._run(turn)
        self._turn = None
        self._dispatch.done(self._number, turn, ran, seconds)

    def _run(self, turn: Turn) -> tuple[int, float]:
        """Run what is in the turn; (how many ran, seconds in all)."""
        run, lease_s = self._executor.run, self._lease_s
        finished: list[Delivery] = []
        ran, seconds = 0, 0.0
        posted_at = time.perf_counter()
        while (delivery := turn.next()) is not None:
            self._in_hand = delivery
            # Another member may be at it already, or will be any moment: not to be started.
            if delivery.lost or time.monotonic() - delivery.leased_at > lease_s:
                delivery.lost = True
                delivery.outcome = HAND_BACK
            else:
                run(delivery)
                ran += 1
                seconds += delivery.finished_at - delivery.started_at
            finished.append(delivery)
            self._in_hand = None
            if delivery.finished_at - posted_at > _POST_AFTER_S:
                self._post(finished)
                finished = []
                posted_at = time.perf_counter()
        if finished:
            self._post(finished)
        return ran, seconds

    def _post(self, finished: list[Delivery]) -> None:
        self._settler.put(finished)

    def stop(self) -> None:
        """From any thread: end after the delivery in hand; the dispatch gives out no more."""
        self._settle_never_started(self._dispatch.close())
        super().stop()

    def teardown(self) -> None:
        """After a crash of ours: what was in hand goes back, and the turn ends."""
        turn, self._turn = self._turn, None
        if turn is not None:
            left = [] if self._in_hand is None else [self._in_hand]
            while (delivery := turn.next()) is not None:
                left.append(delivery)
            self._settle_never_started(left)
            self._dispatch.done(self._number, turn, 0, 0.0)

    def _settle_never_started(self, deliveries: list[Delivery]) -> None:
        if not deliveries:
            return
        for delivery in deliveries:
            delivery.outcome = HAND_BACK
        with suppress(Closed):  # the settler has ended: the leases lapse, and another member takes over
            self._settler.put(deliveries)
