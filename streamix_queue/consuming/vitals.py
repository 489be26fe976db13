"""What the tree looks like from outside, at one moment. Reads only, from any thread."""

from __future__ import annotations

import time
from collections.abc import Mapping

from streamix_queue.actors.worker import Worker
from streamix_queue.consuming.crew import Crew
from streamix_queue.core.vitals import ActorVitals, Vitals
from streamix_queue.runtime import Actor

__all__ = ["vitals_of"]

SHARED_MAILBOX = "*"


def vitals_of(
    consumer: str,
    actors: Mapping[str, Actor | None],
    crew: Crew,
    depths: Mapping[str, int],
    *,
    last_look: float,
    draining: bool,
    outage_s: float,
) -> Vitals:
    """The vitals of a tree with these ``actors``; None is one that does not run just now."""
    now = time.monotonic()
    workers = [actor for actor in actors.values() if isinstance(actor, Worker)]
    limit = crew.credits.limit
    return Vitals(
        consumer=consumer,
        actors=tuple(_actor(name, actor, now) for name, actor in actors.items()),
        supervisor_silent_s=max(0.0, now - last_look) if last_look > 0 else 0.0,
        draining=draining,
        outage_s=outage_s,
        workers=len(workers),
        running=crew.lanes.running(),
        oldest_running_s=max((_running_s(worker) for worker in workers), default=0.0),
        mailboxes={name or SHARED_MAILBOX: depth for name, depth in depths.items()},
        held=limit - crew.credits.free,
        capacity=limit,
    )


def _actor(name: str, actor: Actor | None, now: float) -> ActorVitals:
    if actor is None:
        return ActorVitals(name, running=False, silent_s=0.0, deadline_s=None)
    return ActorVitals(name, True, max(0.0, now - actor.last_progress), actor.progress_deadline)


def _running_s(worker: Worker) -> float:
    attempt = worker.in_hand
    if attempt is None or not attempt.started_at or attempt.finished_at:
        return 0.0
    return max(0.0, time.perf_counter() - attempt.started_at)
