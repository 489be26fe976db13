"""The part of a Redis server that we use, in plain data structures, with its traps and faults.

It behaves as Redis 7.0 and later do, and knows nothing of events or leases. What the classes hold
is guarded by the lock of `MemoryServer`.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from streamix_queue.core.errors import BrokerUnavailable, GroupMissing, OutOfMemory, WrongKeyType

__all__ = [
    "EntryId",
    "Group",
    "Hash",
    "MemoryServer",
    "Pending",
    "SortedSet",
    "Store",
    "Stream",
    "Text",
    "id_bytes",
    "parse_id",
]

EntryId = tuple[int, int]
"""(milliseconds, sequence); compares as Redis compares stream ids."""

ZERO: EntryId = (0, 0)

_SCAN_PER_COUNT = 10
"""XAUTOCLAIM looks at no more than 10 × COUNT pending entries per call."""


def parse_id(raw: bytes | str) -> EntryId:
    """``b"5-1"`` → ``(5, 1)``; the sequence may be left out."""
    text = raw if isinstance(raw, str) else raw.decode()
    ms, _, seq = text.partition("-")
    return int(ms), int(seq or 0)


def id_bytes(entry_id: EntryId) -> bytes:
    """``(5, 1)`` → ``b"5-1"``."""
    return b"%d-%d" % entry_id


class SortedSet(dict[bytes, int]):
    """Member → score."""

    def up_to(self, score: int) -> list[bytes]:
        """Members with at most this score, lowest first, equal ones by their bytes."""
        return sorted((m for m, s in self.items() if s <= score), key=lambda m: (self[m], m))


class Hash(dict[bytes, bytes]):
    """Field → value."""


class Text(bytes):
    """What Redis calls a string."""

    until_ms: int | None = None
    """When it expires (server ms); whoever reads it looks."""


@dataclass
class Pending:
    """One entry that was delivered and not acked yet."""

    owner: bytes
    deliveries: int
    delivered_at: int
    """Server time (ms); the idle time counts from here."""


class Group:
    """A consumer group of one stream."""

    def __init__(self, last_delivered: EntryId) -> None:
        self.last_delivered = last_delivered
        self.pending: dict[EntryId, Pending] = {}
        self.consumers: dict[bytes, int] = {}
        """Name → when it last read or claimed (server ms)."""


class Stream:
    """Entries in the order of their ids, and the groups that read them."""

    def __init__(self) -> None:
        self.entries: dict[EntryId, list[bytes]] = {}
        self.last_id = ZERO
        self.groups: dict[bytes, Group] = {}
        self._ids: list[EntryId] = []  # the keys of entries, ascending, for the bisection

    def add_group(self, name: bytes, last_delivered: EntryId) -> None:
        """XGROUP CREATE; the group must not be there yet."""
        self.groups[name] = Group(last_delivered)

    def add(self, fields: Sequence[bytes], now_ms: int) -> EntryId:
        """XADD with ``*``: the id is the time, or the last id's successor if that is later."""
        ms, seq = self.last_id
        self.last_id = (now_ms, 0) if now_ms > ms else (ms, seq + 1)
        self.entries[self.last_id] = list(fields)
        self._ids.append(self.last_id)
        return self.last_id

    def delete(self, entry_id: EntryId) -> None:
        """XDEL: whoever has it pending is not told."""
        if self.entries.pop(entry_id, None) is not None:
            del self._ids[bisect_right(self._ids, entry_id) - 1]

    def trim(self, floor: EntryId, limit: int) -> int:
        """XTRIM MINID, but entry by entry: remove up to ``limit`` entries below ``floor``."""
        ids = self._ids[: min(limit, bisect_left(self._ids, floor))]
        for entry_id in ids:
            del self.entries[entry_id]
        del self._ids[: len(ids)]
        return len(ids)

    def after(self, entry_id: EntryId) -> list[EntryId]:
        """The ids of the entries behind this one."""
        return self._ids[bisect_right(self._ids, entry_id) :]

    def since(self, ms: int) -> list[EntryId]:
        """The ids of the entries added at ``ms`` or later, newest first."""
        return self._ids[bisect_left(self._ids, (ms, 0)) :][::-1]

    def deliver(self, group: Group, consumer: bytes, count: int, now_ms: int) -> list[EntryId]:
        """XREADGROUP with ``>``: hand the next entries to ``consumer``."""
        group.consumers[consumer] = now_ms
        start = bisect_right(self._ids, group.last_delivered)
        ids = self._ids[start : start + count]
        for entry_id in ids:
            group.pending[entry_id] = Pending(consumer, 1, now_ms)
            group.last_delivered = entry_id
        return ids

    def autoclaim(
        self, group: Group, consumer: bytes, min_idle_ms: int, start: EntryId, count: int, now_ms: int
    ) -> tuple[EntryId, list[EntryId], list[EntryId]]:
        """XAUTOCLAIM: (cursor, claimed, deleted).

        The deleted ones leave the pending list however short they were idle.
        """
        group.consumers[consumer] = now_ms
        order = sorted(group.pending)
        position = bisect_left(order, start)
        end = min(len(order), position + count * _SCAN_PER_COUNT)
        claimed: list[EntryId] = []
        deleted: list[EntryId] = []
        while position < end and len(claimed) + len(deleted) < count:
            entry_id = order[position]
            position += 1
            if entry_id not in self.entries:
                del group.pending[entry_id]
                deleted.append(entry_id)
                continue
            pending = group.pending[entry_id]
            if now_ms - pending.delivered_at < min_idle_ms:
                continue
            pending.owner, pending.delivered_at = consumer, now_ms
            pending.deliveries += 1
            claimed.append(entry_id)
        cursor = order[position] if position < len(order) else ZERO
        return cursor, claimed, deleted


_T = TypeVar("_T", Stream, SortedSet, Hash, Text)


class Store:
    """The keyspace."""

    def __init__(self) -> None:
        self.keys: dict[bytes, object] = {}
        self.full = False
        """True: ``maxmemory`` is reached, and whatever needs more memory is refused."""

    def get(self, key: bytes, kind: type[_T]) -> _T | None:
        """The value of ``key``, None if there is none.

        Raises:
            WrongKeyType: it is of another kind.
        """
        value = self.keys.get(key)
        if value is None:
            return None
        if not isinstance(value, kind):
            raise WrongKeyType(f"{key!r} holds the wrong kind of value")
        return value

    def grow(self, key: bytes, kind: type[_T]) -> _T:
        """As `get`, to add to it: made if missing.

        Raises:
            WrongKeyType: it is of another kind.
            OutOfMemory: the store is full.
        """
        if self.full:
            raise OutOfMemory("maxmemory is reached")
        value = self.get(key, kind)
        if value is None:
            value = self.keys[key] = kind()
        return value

    def group(self, key: bytes, name: bytes) -> tuple[Stream, Group]:
        """A stream and one of its groups.

        Raises:
            GroupMissing: either of them is.
        """
        stream = self.get(key, Stream)
        group = stream.groups.get(name) if stream is not None else None
        if stream is None or group is None:
            raise GroupMissing(f"no group {name!r} on stream {key!r}")
        return stream, group

    def ack(self, key: bytes, name: bytes, ids: Sequence[EntryId], *, delete: bool) -> None:
        """XACK, and XDEL if ``delete``; a missing stream or group is no error."""
        stream = self.get(key, Stream)
        if stream is None:
            return
        group = stream.groups.get(name)
        for entry_id in ids:
            if group is not None:
                group.pending.pop(entry_id, None)
            if delete:
                stream.delete(entry_id)


@dataclass(frozen=True)
class _Fault:
    error: Exception
    after: bool


class MemoryServer:
    """What all brokers of one test share: the data, and the faults to come.

    Any thread may call any method.

    Args:
        clock: The server's wall clock, in seconds; idle times and due times follow it.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._changed = threading.Condition()  # guards every field below, and all data
        self._store = Store()
        self._faults: dict[str, deque[_Fault]] = {}
        self._down = False
        self._blocked = 0

    def now_ms(self) -> int:
        """The server's time."""
        return int(self._clock() * 1000)

    # --- for tests ------------------------------------------------------------------------------

    def fail_next(self, operation: str, error: Exception, *, after: bool = False) -> None:
        """Let the next call of a broker method raise ``error``; several of them queue up.

        Args:
            operation: The method's name, e.g. ``"settle"``.
            error: What to raise.
            after: False: nothing is carried out. True: all of it is, and only the reply is lost.
        """
        with self._changed:
            self._faults.setdefault(operation, deque()).append(_Fault(error, after))

    def down(self, is_down: bool = True) -> None:
        """Answer everything with `BrokerUnavailable`, blocked reads included; the data stays."""
        with self.data():
            self._down = is_down

    def full(self, is_full: bool = True) -> None:
        """Answer what adds data with `OutOfMemory`, as at ``maxmemory``; acks still work."""
        with self.data() as store:
            store.full = is_full

    @property
    def blocked(self) -> int:
        """How many reads are waiting for something to come."""
        with self._changed:
            return self._blocked

    @contextmanager
    def data(self) -> Iterator[Store]:
        """The data, to look at or to change as another client would."""
        with self._changed:
            yield self._store
            self._changed.notify_all()

    # --- for the brokers ------------------------------------------------------------------------

    @contextmanager
    def operation(self, name: str) -> Iterator[Store]:
        """Around the body of every broker method: the lock, and the faults."""
        with self._changed:
            self._check_up()
            faults = self._faults.get(name)
            fault = faults.popleft() if faults else None
            if fault is not None and not fault.after:
                raise fault.error
            yield self._store
            self._changed.notify_all()
            if fault is not None:
                raise fault.error

    def wait(self, seconds: float) -> None:
        """Inside of an operation: let others go on until something changes or time is over."""
        self._blocked += 1
        try:
            self._changed.wait(seconds)
        finally:
            self._blocked -= 1
        self._check_up()

    def wake(self) -> None:
        """End every `wait`, so that its reader looks again. From outside of an operation."""
        with self._changed:
            self._changed.notify_all()

    def _check_up(self) -> None:
        if self._down:
            raise BrokerUnavailable("the memory server is down")
