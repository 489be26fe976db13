"""Retention, clearing up and pauses without Redis; mirrors `redis_upkeep` and its scripts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from streamix_queue.broker.memory.store import (
    EntryId,
    Group,
    Hash,
    MemoryServer,
    SortedSet,
    Store,
    Stream,
    Text,
    id_bytes,
    parse_id,
)
from streamix_queue.broker.protocol import Duty
from streamix_queue.core.errors import GroupMissing, OutOfMemory, WrongKeyType
from streamix_queue.core.keys import Keys
from streamix_queue.core.retention import Pin, Trimming

__all__ = ["MemoryUpkeep", "paused_in"]

_FOR_EVER = b"-1"
_MOST_PINS = 16


def paused_in(store: Store, keys: Keys) -> list[str]:
    """The paused events of a group; none if they cannot be read."""
    try:
        return [event.decode() for event in store.get(keys.paused, Hash) or Hash()]
    except WrongKeyType:
        return []


class MemoryUpkeep:
    """`UpkeepBroker`, for a broker that has these attributes."""

    _server: MemoryServer
    _keys: Keys
    _me: bytes

    # --- whose turn it is -----------------------------------------------------------------------

    def take_duty(self, keep_ms: int | None, ttl_ms: int) -> Duty:
        with self._server.operation("take_duty") as store:
            with suppress(OutOfMemory, WrongKeyType):
                keep = _FOR_EVER if keep_ms is None else b"%d" % keep_ms
                store.grow(self._keys.keeps, Hash)[self._keys.group] = keep
            duties = [self._lock(store, key, ttl_ms) for key in (self._keys.janitor, self._keys.upkeep)]
            return Duty(*duties)

    def _lock(self, store: Store, key: bytes, ttl_ms: int) -> bool:
        holder, now = store.keys.get(key), self._server.now_ms()
        if isinstance(holder, Text) and holder != self._me and now < (holder.until_ms or now):
            return False
        if not store.full:  # else it is everybody's turn, for only economy rests on it
            lock = Text(self._me)
            lock.until_ms = now + ttl_ms
            store.keys[key] = lock
        return True

    # --- retention ------------------------------------------------------------------------------

    def trim(self, key: bytes, keep_ms: int | None, limit: int, pinned_after_ms: int) -> Trimming:
        with self._server.operation("trim") as store:
            stream = store.get(key, Stream)
            if stream is None:
                return Trimming()
            inbox = self._keys.is_inbox(key)
            keep = keep_ms if inbox or keep_ms is None else self._longest_wish(store, stream, keep_ms)
            pins = [] if keep is None else self._pins(stream, max(keep, pinned_after_ms))
            told = (len(stream.entries), tuple(pins[:_MOST_PINS]), len(pins))
            if keep is None or not stream.groups:
                return Trimming(0, "", *told)
            floor = min(*map(_needed, stream.groups.values()), (self._server.now_ms() - keep, 0))
            removed = stream.trim(floor, limit)
            if inbox and removed == 0 and limit:
                removed = _remove_last_acked(stream, floor)
            return Trimming(removed, id_bytes(floor).decode(), len(stream.entries), *told[1:])

    def _longest_wish(self, store: Store, stream: Stream, keep_ms: int) -> int | None:
        try:
            wishes = store.get(self._keys.keeps, Hash) or Hash()
        except WrongKeyType:
            return keep_ms
        for group in [group for group in wishes if group not in stream.groups]:
            del wishes[group]
        if _FOR_EVER in wishes.values():
            return None
        return max([keep_ms, *map(int, wishes.values())])

    def _pins(self, stream: Stream, late_ms: int) -> list[Pin]:
        now = self._server.now_ms()
        pins: list[tuple[EntryId, Pin]] = []
        for name, group in stream.groups.items():
            needed: EntryId | None = _needed(group)
            if not group.pending:
                needed = next(iter(stream.after(group.last_delivered)), None)
            if needed is not None and needed < (now - late_ms, 0):
                age_s = (now - needed[0]) / 1000
                pin = Pin(name.decode(), id_bytes(needed).decode(), age_s, len(group.pending))
                pins.append((needed, pin))
        return [pin for _, pin in sorted(pins, key=lambda each: each[0])]

    # --- clearing up ----------------------------------------------------------------------------

    def registered(self, limit: int) -> list[str]:
        with self._server.operation("registered") as store:
            handlers = store.get(self._keys.handlers, SortedSet) or SortedSet()
            latest = sorted(handlers, key=lambda event: (handlers[event], event), reverse=True)
            return [event.decode() for event in latest[:limit]]

    def remove_idle(self, keys: Sequence[bytes], idle_ms: int) -> list[str]:
        removed: set[str] = set()
        with self._server.operation("remove_idle") as store:
            now = self._server.now_ms()
            for key in keys:
                try:
                    _, group = store.group(key, self._keys.group)
                except GroupMissing:
                    continue
                busy = {pending.owner for pending in group.pending.values()} | {self._me}
                for name, seen in list(group.consumers.items()):
                    if name not in busy and now - seen >= idle_ms:
                        del group.consumers[name]
                        removed.add(name.decode())
        return sorted(removed)

    def forget_suspects(self, cursor: int, count: int) -> tuple[int, int]:
        with self._server.operation("forget_suspects") as store:
            suspects = store.get(self._keys.suspects, Hash) or Hash()
            gone = [field for field in suspects if not self._is_pending(store, field)]
            for field in gone:
                del suspects[field]
            return 0, len(gone)

    def _is_pending(self, store: Store, suspect_field: bytes) -> bool:
        key, raw_id = self._keys.suspect(suspect_field)
        try:
            return parse_id(raw_id) in store.group(key, self._keys.group)[1].pending
        except GroupMissing:
            return False
        except ValueError:  # none that we wrote
            return True

    # --- pauses ---------------------------------------------------------------------------------

    def pause(self, events: Sequence[str]) -> int:
        with self._server.operation("pause") as store:
            paused = store.grow(self._keys.paused, Hash)
            newly = [event.encode() for event in events if event.encode() not in paused]
            paused.update(dict.fromkeys(newly, b"%d" % self._server.now_ms()))
            return len(newly)

    def resume(self, events: Sequence[str]) -> int:
        with self._server.operation("resume") as store:
            paused = store.get(self._keys.paused, Hash) or Hash()
            return sum(paused.pop(event.encode(), None) is not None for event in events)

    def paused(self) -> dict[str, int]:
        with self._server.operation("paused") as store:
            paused = store.get(self._keys.paused, Hash) or Hash()
            return {event.decode(): int(since) for event, since in paused.items()}


def _needed(group: Group) -> EntryId:
    """The lowest id that the group needs: its first pending entry, else the last one it was given."""
    return min([group.last_delivered, *group.pending])


def _remove_last_acked(stream: Stream, floor: EntryId) -> int:
    """Of a stream with one group: the entry that it was given last, if it has acked that."""
    (group, *others) = stream.groups.values()
    if others or group.pending or group.last_delivered != floor or floor not in stream.entries:
        return 0
    stream.delete(floor)
    return 1
