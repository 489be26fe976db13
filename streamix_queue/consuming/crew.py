"""What a process has once, however many streams its consumer reads."""

from __future__ import annotations

from collections.abc import Callable

from streamix_queue.actors.event_loop import EventLoop
from streamix_queue.actors.prefetch_tuner import PrefetchTuner
from streamix_queue.actors.worker import Worker
from streamix_queue.consuming.stages import Stage
from streamix_queue.core.config import ConsumerConfig
from streamix_queue.core.prefetch_rules import FIRST_PREFETCH
from streamix_queue.held.lanes import Lanes
from streamix_queue.runtime import Actor, ChildSpec, Credits

__all__ = ["Crew"]

_LONGEST_ALONE_S = 30.0


class Crew:
    """The workers of one start of a consumer, and what they share.

    Attributes:
        credits: How many entries may be held, of all channels together.
        prefetch: Sets the limit of the credits.
        lanes: Where attempts wait for a worker.
        loop: Where coroutines run.
    """

    def __init__(self, config: ConsumerConfig) -> None:
        self.credits = Credits(config.prefetch or max(FIRST_PREFETCH, config.concurrency))
        self.prefetch = PrefetchTuner(self.credits, config.concurrency, config.prefetch)
        self.lanes = Lanes(alone_s=min(config.claim_idle_ms / 1000, _LONGEST_ALONE_S))
        self.loop = EventLoop()
        self._concurrency = config.concurrency
        self._drain_s = config.drain_timeout_ms / 1000

    def specs(self) -> list[ChildSpec]:
        """The workers."""
        return [
            ChildSpec(f"worker-{number}", self._worker(number), self._drain_s, Stage.WORKING)
            for number in range(1, self._concurrency + 1)
        ]

    def _worker(self, number: int) -> Callable[[], Actor]:
        return lambda: Worker(number, self.lanes)
