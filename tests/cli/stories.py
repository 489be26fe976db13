"""Messages in the places where `streamix show` looks for them, and what it tells."""

from __future__ import annotations

import json
from typing import Any

import redis

from streamix_queue.core.keys import Keys
from streamix_queue.core.wire import FailedAttempt, History, build, encode, with_history
from tests.admin.services import EVENT
from tests.admin.waiting import TRACE
from tests.support.command import streamix

__all__ = ["NOW", "TRACE_ID", "UUID", "add", "only_id", "put_in_inbox", "states", "told"]

NOW = "2026-04-01T10:00:00+00:00"
TRACE_ID = TRACE[1].decode().split("-")[1]
UUID = "6f1c1f6e-5f0e-4c53-9a35-3d7a8a4f6a0e"


def add(client: redis.Redis, stream: str, entry_id: str = "*", message_id: str = UUID, **data: Any) -> str:
    """An entry of the stream; its id."""
    raw = encode(build(EVENT, data or {"n": 1}, message_id, NOW), max_bytes=10_000)
    added: Any = client.xadd(stream, dict([(b"message", raw), TRACE]), id=entry_id)
    return str(added.decode())


def put_in_inbox(client: redis.Redis, keys: Keys, source_id: str, message_id: str = UUID) -> str:
    """An entry of the group's inbox that was replayed once; its id."""
    raw = encode(build(EVENT, {"n": 1}, message_id, NOW), max_bytes=10_000)
    attempt = FailedAttempt(NOW, 0.25, "TimeoutError", "the network is silent", "c1")
    fields = with_history(raw, TRACE, History(source_id, "replay", [attempt], 1))
    added: Any = client.xadd(keys.inbox(EVENT), dict(zip(fields[::2], fields[1::2], strict=True)))
    return str(added.decode())


def only_id(client: redis.Redis, key: str | bytes) -> str:
    found: Any = client.xrange(key)
    ((entry_id, _),) = found
    return str(entry_id.decode())


def told(*arguments: str, env: dict[str, str]) -> dict[str, Any]:
    ended = streamix("show", *arguments, "-o", "json", env=env)
    assert (ended.code, ended.err) == (0, "")
    found: dict[str, Any] = json.loads(ended.out)
    return found


def states(story: dict[str, Any]) -> dict[str | None, str]:
    return {group["group"]: group["state"] for group in story["groups"]}
