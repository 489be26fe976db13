"""Retries that wait, for tests that want some without waiting for a service to fail."""

from __future__ import annotations

import json
from typing import Any

import redis

from streamix_queue.core.keys import Keys
from streamix_queue.core.wire import FailedAttempt, History, build, encode, for_retry, frame, with_history

__all__ = ["EVENT", "FAR_MS", "GROUP", "TRACE", "handled", "letters_of", "payload_of", "put_retry"]

EVENT = "order.placed"
GROUP = "billing"
FAR_MS = 4_000_000_000_000
"""Nothing of this is due while the test runs."""
_NOW = "2026-04-01T10:00:00+00:00"
TRACE = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


def put_retry(
    client: redis.Redis, keys: Keys, message_id: str, *, due_ms: int = FAR_MS, event: str = EVENT, **data: Any
) -> bytes:
    """Let the second retry of a message wait; the member of the delayed set."""
    raw = encode(build(event, {"n": 1, **data}, message_id, _NOW), max_bytes=10_000)
    history = History(
        "7-0", "retry", [FailedAttempt(_NOW, 0.1, "TimeoutError", "the network is silent", "c1")]
    )
    fields = with_history(for_retry(raw, 2, _NOW), TRACE, history)
    member = frame([event.encode(), *fields])
    client.zadd(keys.delayed, {member: due_ms})
    return member


def handled(client: redis.Redis, keys: Keys, *events: str) -> None:
    """Let the group be there, with a member that handles these events."""
    if not client.exists(keys.stream) or not client.xinfo_groups(keys.stream):
        client.xgroup_create(keys.stream, keys.group, id="0", mkstream=True)
    client.zadd(keys.handlers, dict.fromkeys(events or [EVENT], 1))


def letters_of(client: redis.Redis, keys: Keys) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """The entries of the dead-letter stream."""
    found: Any = client.xrange(keys.failed)
    return list(found)


def payload_of(letter: dict[bytes, bytes]) -> dict[str, Any]:
    """The data of a dead letter."""
    data: dict[str, Any] = json.loads(letter[b"message"])["data"]
    return data
