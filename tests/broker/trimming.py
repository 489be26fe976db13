"""Steps that the tests of trimming share."""

from __future__ import annotations

from streamix_queue.broker.protocol import ConsumerBroker
from streamix_queue.core import commands
from streamix_queue.core.retention import Trimming
from tests.broker.back_doors import add_at
from tests.broker.backends import Backend

__all__ = ["DAY_MS", "HOUR_MS", "fill", "left", "take", "trim"]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def fill(backend: Backend, count: int, *, age_ms: int = 1000, key: bytes | None = None) -> list[bytes]:
    """Ids of ``count`` new entries, the first of them ``age_ms`` old."""
    first = backend.now_ms() - age_ms
    ids = [b"%d-%d" % (first, number) for number in range(1, count + 1)]
    for entry_id in ids:
        add_at(backend, key or backend.keys.stream, entry_id)
    return ids


def take(backend: Backend, group: str, count: int, *, ack: int = 0) -> ConsumerBroker:
    """A member of ``group`` that has read ``count`` entries and acked the first ``ack`` of them."""
    member = backend.consumer(group=group)
    member.ensure_group(backend.keys.stream, "0")
    ids = [i for i, _ in backend.read(member, count)] if count else []
    if ack:
        member.settle([commands.Ack(backend.keys.stream, ids[:ack])])
    return member


def trim(
    backend: Backend, *, keep_ms: int | None = 0, limit: int = 100_000, late_ms: int = HOUR_MS
) -> Trimming:
    return backend.consumer("janitor").trim(backend.keys.stream, keep_ms, limit, late_ms)


def left(backend: Backend, key: bytes | None = None) -> list[bytes]:
    return [i for i, _ in backend.entries(key or backend.keys.stream)]
