"""Trimming a stream on Redis, and how long each group wants it kept: for members and operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamix_queue.broker.protocol import Duty
from streamix_queue.broker.redis.link import Link, load_script
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text
from streamix_queue.core.retention import Pin, Trimming

__all__ = ["take_duty", "trim"]

_DUTY = load_script("duty")
_TRIM = load_script("trim")
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


def _pin(raw: Sequence[Any]) -> Pin:
    group, entry_id, pending, age_ms = raw
    return Pin(as_text(group), entry_id.decode(), int(age_ms) / 1000, pending)


def take_duty(link: Link, keys: Keys, consumer: bytes, keep_ms: int | None, ttl_ms: int) -> Duty:
    """Note the wish of a group, and ask whose duty it is; see `UpkeepBroker.take_duty`."""
    keep = _FOR_EVER if keep_ms is None else keep_ms
    locks = [keys.keeps, keys.janitor, keys.upkeep]
    stream, group = link.script(_DUTY, locks, keys.group, keep, consumer, ttl_ms)
    return Duty(bool(stream), bool(group))
