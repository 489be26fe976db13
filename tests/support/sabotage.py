"""A handler for `ConsumerProcess` whose import breaks the scheduler of that process for good."""

from __future__ import annotations

from streamix_queue.actors.scheduler import Scheduler
from tests.support.handlers import record

__all__ = ["record"]


def _crash(scheduler: Scheduler) -> float:
    raise RuntimeError("a bug of ours")


Scheduler.run_once = _crash  # type: ignore[method-assign,assignment]
