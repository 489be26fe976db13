"""What the publisher asks, without Redis; mirrors `redis.publisher`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from streamix_queue.broker.memory.store import MemoryServer, SortedSet, Store, Stream, id_bytes, parse_id
from streamix_queue.broker.protocol import Backlog
from streamix_queue.core.errors import BrokerError, WrongKeyType
from streamix_queue.core.keys import Keys
from streamix_queue.core.wire import MESSAGE, envelope_start

__all__ = ["MemoryPublisherBroker", "ensure_group"]

_RECENT_MS = 60_000  # how far `add_unless_there` looks back
_Kind = TypeVar("_Kind", SortedSet, Stream)


def ensure_group(store: Store, key: bytes, name: bytes, start: str) -> int | None:
    """Create stream and group; the stream's length if the group is new, else None."""
    stream = store.get(key, Stream)
    if stream is not None and name in stream.groups:
        return None
    stream = store.grow(key, Stream)
    stream.add_group(name, stream.last_id if start == "$" else parse_id(start))
    return len(stream.entries)


def _value(fields: Sequence[bytes], name: bytes) -> bytes:
    for at in range(0, len(fields), 2):
        if fields[at] == name:
            return fields[at + 1]
    return b""


def _readable(store: Store, key: bytes, default: _Kind) -> _Kind:
    """The value of ``key``; ``default`` if there is none, or of another type."""
    try:
        return store.get(key, type(default)) or default
    except WrongKeyType:
        return default


class MemoryPublisherBroker:
    """Adds entries. Any thread may call any method."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    def check(self, key: bytes) -> None:
        """A memory is no cluster."""

    def add(self, key: bytes, fields: Sequence[bytes]) -> bytes:
        with self._server.operation("add") as store:
            return id_bytes(store.grow(key, Stream).add(fields, self._server.now_ms()))

    def add_many(self, key: bytes, entries: Sequence[Sequence[bytes]]) -> list[bytes | Exception]:
        answers: list[bytes | Exception] = []
        with self._server.operation("add_many") as store:
            for fields in entries:
                try:
                    entry_id = store.grow(key, Stream).add(fields, self._server.now_ms())
                except BrokerError as error:
                    answers.append(error)
                else:
                    answers.append(id_bytes(entry_id))
        return answers

    def add_unless_there(self, key: bytes, message_id: bytes, fields: Sequence[bytes]) -> bytes:
        with self._server.operation("add_unless_there") as store:
            now = self._server.now_ms()
            stream = store.get(key, Stream) or Stream()
            beginning = envelope_start(message_id)
            for entry_id in stream.since(now - _RECENT_MS):
                if _value(stream.entries[entry_id], MESSAGE).startswith(beginning):
                    return id_bytes(entry_id)
            return id_bytes(store.grow(key, Stream).add(fields, now))

    def ensure_group(self, key: bytes, group: bytes, start: str) -> int | None:
        with self._server.operation("ensure_group") as store:
            return ensure_group(store, key, group, start)

    def backlog(self, stream: str, enough: int) -> Backlog:
        with self._server.operation("backlog") as store:
            shared = store.get(stream.encode(), Stream) or Stream()
            behind = [Backlog("", len(shared.entries))] if not shared.groups else []
            for name, group in shared.groups.items():
                keys = Keys(stream, name.decode())
                count = len(group.pending) + len(shared.after(group.last_delivered))
                count += len(_readable(store, keys.delayed, SortedSet()))
                for event in _readable(store, keys.handlers, SortedSet()):
                    count += len(_readable(store, keys.inbox(event.decode()), Stream()).entries)
                behind.append(Backlog(keys.group_name, count))
            return max(behind, key=lambda backlog: backlog.count)

    def close(self) -> None:
        """Nothing to close."""
