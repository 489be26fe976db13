"""Trimming a stream, and how long each group wants it kept; mirrors `redis.retention` and its scripts."""

from __future__ import annotations

from contextlib import suppress

from streamix_queue.broker.memory.store import EntryId, Group, Hash, Store, Stream, Text, id_bytes
from streamix_queue.broker.protocol import Duty
from streamix_queue.core.errors import OutOfMemory, WrongKeyType
from streamix_queue.core.keys import Keys
from streamix_queue.core.retention import Pin, Trimming

__all__ = ["take_duty", "trim"]

_FOR_EVER = b"-1"
_MOST_PINS = 16


def take_duty(store: Store, keys: Keys, me: bytes, keep_ms: int | None, ttl_ms: int, now_ms: int) -> Duty:
    """Note the wish of a group, and ask whose duty it is; see `UpkeepBroker.take_duty`."""
    with suppress(OutOfMemory, WrongKeyType):
        store.grow(keys.keeps, Hash)[keys.group] = _FOR_EVER if keep_ms is None else b"%d" % keep_ms
    return Duty(*[_lock(store, key, me, ttl_ms, now_ms) for key in (keys.janitor, keys.upkeep)])


def _lock(store: Store, key: bytes, me: bytes, ttl_ms: int, now_ms: int) -> bool:
    holder = store.keys.get(key)
    if isinstance(holder, Text) and holder != me and now_ms < (holder.until_ms or now_ms):
        return False
    if not store.full:  # else it is everybody's duty, for only economy rests on it
        lock = Text(me)
        lock.until_ms = now_ms + ttl_ms
        store.keys[key] = lock
    return True


def trim(
    store: Store, keys: Keys, key: bytes, keep_ms: int | None, limit: int, pinned_after_ms: int, now_ms: int
) -> Trimming:
    """One step of trimming ``key``; see `UpkeepBroker.trim`."""
    stream = store.get(key, Stream)
    if stream is None:
        return Trimming()
    inbox = keys.is_inbox(key)
    keep = keep_ms if inbox or keep_ms is None else _longest_wish(store, keys, stream, keep_ms)
    pins = [] if keep is None else _pins(stream, max(keep, pinned_after_ms), now_ms)
    told = (len(stream.entries), tuple(pins[:_MOST_PINS]), len(pins))
    if keep is None or not stream.groups:
        return Trimming(0, "", *told)
    floor = min(*map(_needed, stream.groups.values()), (now_ms - keep, 0))
    removed = stream.trim(floor, limit)
    if inbox and removed == 0 and limit:
        removed = _remove_last_acked(stream, floor)
    return Trimming(removed, id_bytes(floor).decode(), len(stream.entries), *told[1:])


def _longest_wish(store: Store, keys: Keys, stream: Stream, keep_ms: int) -> int | None:
    try:
        wishes = store.get(keys.keeps, Hash) or Hash()
    except WrongKeyType:
        return keep_ms
    for group in [group for group in wishes if group not in stream.groups]:
        del wishes[group]
    if _FOR_EVER in wishes.values():
        return None
    return max([keep_ms, *map(int, wishes.values())])


def _pins(stream: Stream, late_ms: int, now_ms: int) -> list[Pin]:
    pins: list[tuple[EntryId, Pin]] = []
    for name, group in stream.groups.items():
        needed: EntryId | None = _needed(group)
        if not group.pending:
            needed = next(iter(stream.after(group.last_delivered)), None)
        if needed is not None and needed < (now_ms - late_ms, 0):
            age_s = (now_ms - needed[0]) / 1000
            pin = Pin(name.decode(), id_bytes(needed).decode(), age_s, len(group.pending))
            pins.append((needed, pin))
    return [pin for _, pin in sorted(pins, key=lambda each: each[0])]


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
