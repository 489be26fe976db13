"""Retention, clearing up and pauses on Redis. The functions are for operators' brokers as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamix_queue.broker.protocol import Duty
from streamix_queue.broker.redis.groups import latest_events
from streamix_queue.broker.redis.link import Link, load_script
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text
from streamix_queue.core.retention import Pin, Trimming

__all__ = ["RedisUpkeep", "pause", "paused", "resume", "trim"]

_DUTY = load_script("duty")
_TRIM = load_script("trim")
_REMOVE_IDLE = load_script("remove_idle")
_FORGET = load_script("forget")
_PAUSE = load_script("pause")
_FOR_EVER = -1


def trim(
    link: Link,
    key: bytes,
    keep_ms: int | None,
    limit: int,
    pinned_after_ms: int,
    *,
    keeps: bytes | None = None,
    whole: bool = False,
) -> Trimming:
    """One step of trimming ``key``; see `UpkeepBroker.trim`.

    ``keeps`` is the hash with the wishes of all groups (`Keys.keeps`); None to go by ``keep_ms``
    alone. ``whole`` goes to the last acked entry, and not in whole nodes: for a stream of one group.
    """
    keys = [key] if keeps is None else [key, keeps]
    removed, floor, length, pinning, pins = link.script(
        _TRIM, keys, _FOR_EVER if keep_ms is None else keep_ms, limit, pinned_after_ms, int(whole)
    )
    return Trimming(removed, floor.decode(), length, tuple(map(_pin, pins)), pinning)


def _pin(raw: list[Any]) -> Pin:
    group, entry_id, pending, age_ms = raw
    return Pin(as_text(group), entry_id.decode(), int(age_ms) / 1000, pending)


def pause(link: Link, keys: Keys, events: Sequence[str]) -> int:
    """Pause events of a group; how many were not paused before."""
    newly: int = link.script(_PAUSE, [keys.paused], *events) if events else 0
    return newly


def resume(link: Link, keys: Keys, events: Sequence[str]) -> int:
    """Start events of a group again; how many were paused."""
    were: int = link.call("HDEL", keys.paused, *events) if events else 0
    return were


def paused(link: Link, keys: Keys) -> dict[str, int]:
    """The paused events of a group, and since when (server ms)."""
    flat: list[bytes] = link.call("HGETALL", keys.paused)
    return {
        as_text(event): int(since) if since.isdigit() else 0
        for event, since in zip(flat[::2], flat[1::2], strict=True)
    }


class RedisUpkeep:
    """`UpkeepBroker`, for a broker that has these attributes."""

    _link: Link
    _keys: Keys
    _consumer: bytes

    def take_duty(self, keep_ms: int | None, ttl_ms: int) -> Duty:
        keys = self._keys
        keep = _FOR_EVER if keep_ms is None else keep_ms
        stream, group = self._link.script(
            _DUTY, [keys.keeps, keys.janitor, keys.upkeep], keys.group, keep, self._consumer, ttl_ms
        )
        return Duty(bool(stream), bool(group))

    def trim(self, key: bytes, keep_ms: int | None, limit: int, pinned_after_ms: int) -> Trimming:
        inbox = self._keys.is_inbox(key)
        keeps = None if inbox else self._keys.keeps
        return trim(self._link, key, keep_ms, limit, pinned_after_ms, keeps=keeps, whole=inbox)

    def registered(self, limit: int) -> list[str]:
        events: list[bytes] = self._link.call(*latest_events(self._keys, limit))
        return [event.decode() for event in events]

    def remove_idle(self, keys: Sequence[bytes], idle_ms: int) -> list[str]:
        names: list[bytes] = self._link.script(_REMOVE_IDLE, keys, self._keys.group, self._consumer, idle_ms)
        return sorted(map(as_text, names))

    def forget_suspects(self, cursor: int, count: int) -> tuple[int, int]:
        keys = self._keys
        following, flat = self._link.call("HSCAN", keys.suspects, cursor, "COUNT", count)
        fields = [field for field in flat[::2] if _is_suspect(field)]
        if not fields:
            return int(following), 0
        entries = [keys.suspect(field) for field in fields]
        streams, ids = zip(*entries, strict=True)
        pairs = [part for pair in zip(fields, ids, strict=True) for part in pair]
        forgotten: int = self._link.script(_FORGET, [keys.suspects, *streams], keys.group, *pairs)
        return int(following), forgotten

    def pause(self, events: Sequence[str]) -> int:
        return pause(self._link, self._keys, events)

    def resume(self, events: Sequence[str]) -> int:
        return resume(self._link, self._keys, events)

    def paused(self) -> dict[str, int]:
        return paused(self._link, self._keys)


def _is_suspect(field: bytes) -> bool:
    """True for a field that we wrote; an id that is none would end the script."""
    ms, _, seq = field.rpartition(b"/")[2].partition(b"-")
    return ms.isdigit() and seq.isdigit() and max(len(ms), len(seq)) <= 20
