"""How a running consumer is, at one moment: what gauges and probes are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ActorVitals", "Vitals", "is_worker"]


def is_worker(actor: str) -> bool:
    """True for the name of an actor that runs handlers."""
    return actor.startswith("worker-")


@dataclass(frozen=True)
class ActorVitals:
    """One actor of the tree.

    Attributes:
        name: E.g. ``fetcher`` or ``worker-1``.
        running: False between a crash and the restart.
        silent_s: Seconds since it last made progress.
        deadline_s: Silent for longer, it counts as stalled; None: not judged, for a handler may
            take any time.
    """

    name: str
    running: bool
    silent_s: float
    deadline_s: float | None


@dataclass(frozen=True)
class Vitals:
    """A consumer at one moment. Seconds are of the monotonic clock.

    Attributes:
        consumer: Its name in the group.
        supervisor_silent_s: Since the supervisor last looked after the actors.
        draining: It was asked to stop.
        outage_s: How long Redis has been out of reach; 0 when it is not.
        workers: Threads that run handlers.
        running: Those of them that have work.
        oldest_running_s: The handler that has been running longest; 0 if none runs.
        mailboxes: Event → attempts that wait; ``"*"`` for one mailbox that all events share.
        held: Entries held: waiting, running, and waiting to be settled.
        capacity: How many may be held.
    """

    consumer: str
    actors: tuple[ActorVitals, ...]
    supervisor_silent_s: float
    draining: bool
    outage_s: float
    workers: int
    running: int
    oldest_running_s: float
    mailboxes: Mapping[str, int]
    held: int
    capacity: int
