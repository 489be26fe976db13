"""Commands as the tests write them: short, on the group's shared stream unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable

from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core import commands
from streamix_queue.core.commands import Command, Fence, Verdict
from tests.broker.backends import Backend

__all__ = [
    "DONE",
    "DROPPED",
    "EVENT",
    "FENCED",
    "FIELDS",
    "GONE",
    "STOLEN",
    "Fenced",
    "absolve",
    "ack",
    "dead_letter",
    "hand_back",
    "one",
    "or_absent",
    "park",
    "retry_later",
    "stale",
    "written",
]

GONE, DONE, STOLEN, DROPPED = Verdict.GONE, Verdict.DONE, Verdict.STOLEN, Verdict.DROPPED

Fenced = Callable[[Fence], Command]
"""Makes a command that writes an entry elsewhere and then acks it."""

EVENT = "user.created"
FIELDS = [b"message", b'{"id":"1"}', b"traceparent", b"00-\xff\x00"]


def or_absent(key: bytes, entry_id: bytes, deliveries: int = 1) -> Fence:
    """A lease on what was seen as ours a moment ago."""
    return Fence(key, entry_id, deliveries, or_absent=True)


def stale(key: bytes, entry_id: bytes, deliveries: int = 1) -> Fence:
    """A lease as it is sent again after a lost reply."""
    return Fence(key, entry_id, deliveries, or_absent=False)


def one(broker: ConsumerBroker, command: Command) -> object:
    """The answer to a command that is sent alone."""
    (answer,) = broker.settle([command])
    return answer


def ack(*leases: Fence) -> commands.Ack:
    return commands.Ack(leases[0].key, [lease.entry_id for lease in leases])


def retry_later(lease: Fence, delay_ms: int = 60_000) -> commands.RetryLater:
    return commands.RetryLater(lease, delay_ms, EVENT, FIELDS)


def dead_letter(lease: Fence) -> commands.DeadLetter:
    return commands.DeadLetter(lease, FIELDS)


def park(lease: Fence) -> commands.Park:
    return commands.Park(lease, EVENT, FIELDS)


def hand_back(*leases: Fence, idle_ms: int = 60_000) -> commands.HandBack:
    return commands.HandBack(leases, idle_ms)


def absolve(*leases: Fence) -> commands.Absolve:
    return commands.Absolve(leases)


FENCED: tuple[Fenced, ...] = (retry_later, dead_letter, park)


def written(backend: Backend) -> list[object]:
    """Everything that fenced commands have written elsewhere, whichever they were."""
    return [
        *backend.scores(backend.keys.delayed),
        *(fields for _, fields in backend.entries(backend.keys.failed)),
        *(fields for _, fields in backend.entries(backend.keys.inbox(EVENT))),
    ]
