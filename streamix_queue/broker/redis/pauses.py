"""The paused events of a group on Redis: for its members and for operators."""

from __future__ import annotations

from collections.abc import Sequence

from streamix_queue.broker.redis.link import Link, load_script
from streamix_queue.core.keys import Keys
from streamix_queue.core.redis_names import as_text

__all__ = ["pause", "paused", "resume"]

_PAUSE = load_script("pause")


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
