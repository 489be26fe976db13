"""A worker: takes a share of a lane, runs it, posts what became of it. Does no I/O of its own."""

from __future__ import annotations

import time

from streamix_queue.core.attempt import Attempt
from streamix_queue.core.outcome import HAND_BACK
from streamix_queue.held.endings import Endings
from streamix_queue.held.lanes import Lanes, Share
from streamix_queue.runtime import Actor

__all__ = ["Worker"]

_POST_AFTER_S = 0.001


class Worker(Actor):
    """One of the ``concurrency`` threads that run handlers."""

    # Not judged: a handler may take an hour.
    progress_deadline = None

    def __init__(self, number: int, lanes: Lanes) -> None:
        super().__init__(f"worker-{number}")
        self._number = number
        self._lanes = lanes
        self._share: Share | None = None
        self._in_hand: Attempt | None = None

    @property
    def in_hand(self) -> Attempt | None:
        """The attempt whose handler runs now; for others to look at, not to touch."""
        return self._in_hand

    def step(self) -> None:
        """One share."""
        share = self._share = self._lanes.take(self._number, timeout=60.0)
        if share is None:
            return
        ran, seconds = self._run(share)
        self._share = None
        self._lanes.done(self._number, share, ran, seconds)

    def _run(self, share: Share) -> tuple[int, float]:
        """Run what is in the share; (how many ran, seconds in all)."""
        run, endings, monotonic = share.lane.run, share.lane.endings, time.monotonic
        finished: list[Attempt] = []
        ran, seconds = 0, 0.0
        posted_at = time.perf_counter()
        left = share.left
        while left:
            try:
                attempt = left.popleft()
            except IndexError:
                break  # an idle worker has taken the last
            self._in_hand = attempt
            if attempt.lease.good(monotonic()):
                run(attempt)
                ran += 1
                seconds += attempt.finished_at - attempt.started_at
            else:
                # Another member may be at it already, or will be any moment: not to be started.
                attempt.lease.lose()
                attempt.close(HAND_BACK)
            finished.append(attempt)
            self._in_hand = None
            if attempt.finished_at - posted_at > _POST_AFTER_S:
                self._post(endings, finished)
                finished = []
                posted_at = time.perf_counter()
        if finished:
            self._post(endings, finished)
        return ran, seconds

    def _post(self, endings: Endings, finished: list[Attempt]) -> None:
        endings.put(finished)

    def stop(self) -> None:
        """From any thread: end after the attempt in hand; the lanes give out no more."""
        if not self.replaced:  # else its successor goes on with them
            self._lanes.close()
        super().stop()

    def teardown(self) -> None:
        """After a crash of ours: what was in hand goes back, and the share ends."""
        share, self._share = self._share, None
        if share is not None:
            in_hand = [] if self._in_hand is None else [self._in_hand]
            share.lane.endings.hand_back([*in_hand, *share.take_back()])
            self._lanes.done(self._number, share, 0, 0.0)
