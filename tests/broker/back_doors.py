"""More back doors to the data of a backend, which few tests need; see `backends`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from streamix_queue.broker.memory.store import Stream, parse_id
from tests.broker.backends import Backend, MemoryBackend, RedisBackend

__all__ = ["ack_alone", "add_at", "set_group_id", "trimming_entry_by_entry"]

_NODE_SIZE = "stream-node-max-entries"


@contextmanager
def trimming_entry_by_entry(backend: Backend) -> Iterator[None]:
    """Let trimming take single entries, and not only whole nodes of a stream."""
    if not isinstance(backend, RedisBackend):
        yield
        return
    (before,) = backend.client.config_get(_NODE_SIZE).values()
    backend.client.config_set(_NODE_SIZE, 1)
    yield
    backend.client.config_set(_NODE_SIZE, before)


def add_at(backend: Backend, key: bytes, entry_id: bytes) -> None:
    """Add an entry with an id of its own: what has been there for long has a low one."""
    if isinstance(backend, MemoryBackend):
        ms, seq = parse_id(entry_id)
        with backend.server.data() as store:
            stream = store.grow(key, Stream)
            stream.last_id = (ms, seq - 1)
            stream.add([b"message", b"x"], 0)
    elif isinstance(backend, RedisBackend):
        backend.client.xadd(key, {b"message": b"x"}, entry_id)


def ack_alone(backend: Backend, key: bytes, *entry_ids: bytes) -> None:
    """XACK, without the delete that goes with it on an inbox."""
    if isinstance(backend, MemoryBackend):
        with backend.server.data() as store:
            store.ack(key, backend.keys.group, list(map(parse_id, entry_ids)), delete=False)
    elif isinstance(backend, RedisBackend):
        backend.client.xack(key, backend.keys.group, *entry_ids)


def set_group_id(backend: Backend, key: bytes, entry_id: bytes) -> None:
    """XGROUP SETID: the group goes on behind this entry."""
    if isinstance(backend, MemoryBackend):
        with backend.server.data() as store:
            store.group(key, backend.keys.group)[1].last_delivered = parse_id(entry_id)
    elif isinstance(backend, RedisBackend):
        backend.client.xgroup_setid(key, backend.keys.group, entry_id)
