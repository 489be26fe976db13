"""Commands as the tests write them: short, on the group's shared stream unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable

from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core.commands import (
    Absolve,
    AckEntries,
    Bury,
    Command,
    Forward,
    HandBack,
    Lease,
    Schedule,
    Verdict,
)
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
    "bury",
    "forward",
    "fresh",
    "hand_back",
    "one",
    "schedule",
    "stale",
    "written",
]

GONE, DONE, STOLEN, DROPPED = Verdict.GONE, Verdict.DONE, Verdict.STOLEN, Verdict.DROPPED

Fenced = Callable[[Lease], Command]
"""Makes a command that writes an entry elsewhere and then acks it."""

EVENT = "user.created"
FIELDS = [b"message", b'{"id":"1"}', b"traceparent", b"00-\xff\x00"]


def fresh(key: bytes, entry_id: bytes, deliveries: int = 1) -> Lease:
    """A lease on what was seen as ours a moment ago."""
    return Lease(key, entry_id, deliveries, fresh=True)


def stale(key: bytes, entry_id: bytes, deliveries: int = 1) -> Lease:
    """A lease as it is sent again after a lost reply."""
    return Lease(key, entry_id, deliveries, fresh=False)


def one(broker: ConsumerBroker, command: Command) -> object:
    """The answer to a command that is sent alone."""
    (answer,) = broker.settle([command])
    return answer


def ack(*leases: Lease) -> AckEntries:
    return AckEntries(leases[0].key, [lease.entry_id for lease in leases])


def schedule(lease: Lease, delay_ms: int = 60_000) -> Schedule:
    return Schedule(lease, delay_ms, EVENT, FIELDS)


def bury(lease: Lease) -> Bury:
    return Bury(lease, FIELDS)


def forward(lease: Lease) -> Forward:
    return Forward(lease, EVENT, FIELDS, always=True)


def hand_back(*leases: Lease, idle_ms: int = 60_000) -> HandBack:
    return HandBack(leases, idle_ms)


def absolve(*leases: Lease) -> Absolve:
    return Absolve(leases)


FENCED: tuple[Fenced, ...] = (schedule, bury, forward)


def written(backend: Backend) -> list[object]:
    """Everything that fenced commands have written elsewhere, whichever they were."""
    return [
        *backend.scores(backend.keys.delayed),
        *(fields for _, fields in backend.entries(backend.keys.failed)),
        *(fields for _, fields in backend.entries(backend.keys.inbox(EVENT))),
    ]
